//! Whether the node, and each of its channels, does what it is there for: what `/readyz` says.
//!
//! A pure judgement over [`Facts`]; `facts` gathers them. A reason that *blocks* makes the node, or the
//! channel, not ready; the others are warnings, for a person to act on before they block.

use std::path::PathBuf;
use std::time::Duration;

use consensus::ClusterStatus;
use serde::Serialize;

use crate::admin::{ChannelInfo, Relation, Status as ChannelStatus};
use crate::multichannel::health::Health;

/// A node that lacks more blocks than this is of no use to readers. Under load some are always on their way.
const BEHIND_MAX: u64 = 500;

const DAY_SECONDS: i64 = 24 * 3600;

/// What a node knows of itself.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Where it is in its life.
    pub stage: Stage,
    /// The folders that it writes to, each file system once.
    pub disks: Vec<Disk>,
    /// Why nothing is taken in, for lack of room.
    pub no_room: Option<String>,
    /// A file system with less room than this is warned of, in bytes.
    pub free_bytes_min: u64,
    /// The certificates it shows or signs with.
    pub certificates: Vec<Certificate>,
    /// From how long before its end on a certificate is warned of.
    pub certificate_warning_time: Duration,
    /// Files and folders that cannot be looked at, in words.
    pub unreadable: Vec<String>,
    /// Its channels.
    pub channels: Vec<ChannelFacts>,
}

/// Where a node is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Its channels are being opened.
    Starting,
    /// It serves.
    Serving,
    /// It was told to stop.
    Stopping,
}

/// A file system that a node writes to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Disk {
    /// What is kept there.
    #[serde(rename = "use")]
    pub purpose: &'static str,
    /// The folder.
    pub folder: PathBuf,
    /// What this process may still write.
    pub free_bytes: u64,
    /// The whole.
    pub total_bytes: u64,
}

/// A certificate of the node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Certificate {
    /// The setting that names it.
    #[serde(rename = "use")]
    pub purpose: &'static str,
    /// Its file.
    pub file: PathBuf,
    /// Whose it is.
    pub subject: String,
    /// End of its validity, in RFC 3339.
    pub not_after: String,
    /// Whole days until then; below 0: since then.
    pub days_left: i64,
    /// Seconds until then; below 0: since then.
    #[serde(skip)]
    pub seconds_left: i64,
}

/// A channel as the node sees it.
#[derive(Clone, Debug)]
pub struct ChannelFacts {
    /// What the admin API tells of it.
    pub info: ChannelInfo,
    /// How it stands.
    pub health: Health,
    /// Blocks that others are known to have, or the cluster to have agreed on, and that are not here yet.
    pub behind: u64,
}

/// What is said of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// What is wrong with all of it.
    pub reasons: Vec<Reason>,
    /// As found.
    pub disks: Vec<Disk>,
    /// As found.
    pub certificates: Vec<Certificate>,
    /// Channel by channel.
    pub channels: Vec<ChannelReport>,
}

/// What is said of a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelReport {
    /// As the admin API tells it.
    pub info: ChannelInfo,
    /// As found.
    pub behind: u64,
    /// What is wrong with it.
    pub reasons: Vec<Reason>,
}

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reason {
    /// For programs.
    pub code: Code,
    /// For people.
    pub message: String,
    /// False: a warning.
    pub blocking: bool,
}

/// What can be wrong. The names in JSON are for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// The channels are being opened.
    Starting,
    /// The node, or the channel, is being stopped.
    Stopping,
    /// The disk is full: writes wait for room.
    DiskFull,
    /// The disk will be full.
    DiskLow,
    /// A certificate is not valid any more.
    CertificateExpired,
    /// A certificate will not be valid any more.
    CertificateExpires,
    /// A file or folder of the node cannot be read: the next start will want it.
    Unreadable,
    /// The disk does not answer.
    DiskHangs,
    /// The channel that was asked for is not here.
    NoSuchChannel,
    /// The channel is set aside until the next start.
    Quarantined,
    /// The channel is being removed, or its removal did not finish.
    Removing,
    /// The channel's blocks are being fetched for the first time.
    Onboarding,
    /// Many blocks are lacking, or cannot be had.
    Behind,
    /// A consenter that only follows.
    NotTakingPart,
    /// Nobody leads, though a majority may be there.
    NoLeader,
    /// Too few members can be heard of to have a leader, or to keep one.
    NoQuorum,
    /// The member does not order for another reason.
    NotOrdering,
    /// The leader hears nothing of some members.
    MemberMissing,
}

impl Reason {
    /// Something that keeps the node, or a channel, from being ready.
    pub(super) fn blocking(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            blocking: true,
        }
    }

    fn warning(code: Code, message: impl Into<String>) -> Self {
        Self {
            blocking: false,
            ..Self::blocking(code, message)
        }
    }
}

impl ChannelReport {
    /// True if nothing blocks it.
    pub fn is_ready(&self) -> bool {
        !blocks(&self.reasons)
    }
}

impl Report {
    /// True if nothing blocks the node as a whole.
    pub fn node_is_ready(&self) -> bool {
        !blocks(&self.reasons)
    }
}

fn blocks(reasons: &[Reason]) -> bool {
    reasons.iter().any(|reason| reason.blocking)
}

/// Judges a node.
pub fn judge(facts: Facts) -> Report {
    let certificates = facts.certificates.iter();
    let certificates =
        certificates.filter_map(|certificate| expiry(certificate, facts.certificate_warning_time));
    let unreadable = facts.unreadable.into_iter();
    let unreadable = unreadable.map(|text| Reason::warning(Code::Unreadable, text));
    let reasons = stage(facts.stage)
        .into_iter()
        .chain(
            facts
                .no_room
                .map(|reason| Reason::blocking(Code::DiskFull, reason)),
        )
        .chain(
            facts
                .disks
                .iter()
                .filter_map(|disk| low(disk, facts.free_bytes_min)),
        )
        .chain(certificates)
        .chain(unreadable)
        .collect();
    Report {
        reasons,
        channels: facts.channels.into_iter().map(judge_channel).collect(),
        disks: facts.disks,
        certificates: facts.certificates,
    }
}

fn stage(stage: Stage) -> Option<Reason> {
    match stage {
        Stage::Starting => Some(Reason::blocking(Code::Starting, "channels are being opened")),
        Stage::Stopping => Some(Reason::blocking(Code::Stopping, "the node was told to stop")),
        Stage::Serving => None,
    }
}

fn low(disk: &Disk, free_bytes_min: u64) -> Option<Reason> {
    (disk.free_bytes < free_bytes_min).then(|| {
        let mebibytes = disk.free_bytes / (1024 * 1024);
        let text = format!(
            "{} in {}: {mebibytes} MiB free",
            disk.purpose,
            disk.folder.display()
        );
        Reason::warning(Code::DiskLow, text)
    })
}

fn expiry(certificate: &Certificate, warning_time: Duration) -> Option<Reason> {
    let Certificate {
        purpose,
        file,
        not_after,
        seconds_left,
        ..
    } = certificate;
    let file = file.display();
    if *seconds_left <= 0 {
        let text = format!("{purpose}: {file} has expired on {not_after}");
        return Some(Reason::blocking(Code::CertificateExpired, text));
    }
    let is_near = u64::try_from(*seconds_left).is_ok_and(|left| left <= warning_time.as_secs());
    is_near.then(|| {
        let text = format!(
            "{purpose}: {file} expires on {not_after}, in {} days",
            seconds_left / DAY_SECONDS
        );
        Reason::warning(Code::CertificateExpires, text)
    })
}

fn judge_channel(facts: ChannelFacts) -> ChannelReport {
    let ChannelFacts { info, health, behind } = facts;
    let mut reasons = match health {
        Health::Starting => vec![Reason::blocking(Code::Starting, "it is being opened")],
        Health::Running => running(&info),
        Health::Following { reason } => following(&info, reason).into_iter().collect(),
        Health::Stopped => vec![Reason::blocking(Code::Stopping, "it is stopped")],
        Health::Removing => vec![Reason::blocking(Code::Removing, "it is being removed")],
        Health::HalfRemoved(reason) => {
            let text = format!("its removal did not finish: {reason}");
            vec![Reason::blocking(Code::Removing, text)]
        }
        Health::Quarantined(reason) => vec![Reason::blocking(Code::Quarantined, reason)],
    };
    let is_told = reasons.iter().any(|reason: &Reason| reason.blocking);
    if behind > BEHIND_MAX && !is_told {
        let text = format!("{behind} blocks that others have are not here yet");
        reasons.push(Reason::blocking(Code::Behind, text));
    }
    ChannelReport {
        info,
        behind,
        reasons,
    }
}

fn following(info: &ChannelInfo, reason: Option<String>) -> Option<Reason> {
    if let Some(reason) = reason {
        return Some(Reason::blocking(Code::NotTakingPart, reason));
    }
    let trouble = info.reason.as_ref();
    if info.status == ChannelStatus::Onboarding {
        let trouble = trouble.map_or_else(String::new, |trouble| format!("; {trouble}"));
        let text = format!(
            "{} blocks are here, the others are being fetched{trouble}",
            info.height.0
        );
        return Some(Reason::blocking(Code::Onboarding, text));
    }
    trouble.map(|trouble| Reason::blocking(Code::Behind, trouble.as_str()))
}

fn running(info: &ChannelInfo) -> Vec<Reason> {
    if let Some(reason) = &info.reason {
        return vec![Reason::blocking(Code::NotOrdering, reason.as_str())];
    }
    let cluster = info.consensus.as_ref().map(|consensus| &consensus.cluster);
    // A channel that is ordered here alone has none.
    let Some(cluster) = cluster.filter(|_| info.relation == Relation::Consenter) else {
        return Vec::new();
    };
    leader(cluster)
        .into_iter()
        .chain(missing_members(cluster))
        .collect()
}

fn leader(cluster: &ClusterStatus) -> Option<Reason> {
    let (members, active) = (cluster.members.len(), cluster.active.len());
    let quorum = members / 2 + 1;
    let trouble = cluster.trouble.as_deref();
    match cluster.leader {
        None => {
            let lacks_quorum = cluster.answering.is_some_and(|answering| answering < quorum);
            let code = if lacks_quorum {
                Code::NoQuorum
            } else {
                Code::NoLeader
            };
            Some(Reason::blocking(code, trouble.unwrap_or("no leader is known")))
        }
        Some(leader) if leader == cluster.id && active < quorum => {
            let text =
                format!("this node leads, and hears of {active} of {members} members, itself included");
            Some(Reason::blocking(Code::NoQuorum, text))
        }
        Some(_) => trouble.map(|trouble| Reason::blocking(Code::NotOrdering, trouble)),
    }
}

fn missing_members(cluster: &ClusterStatus) -> Option<Reason> {
    let missing = cluster.members.iter().filter(|id| !cluster.active.contains(id));
    let missing: Vec<_> = missing.map(|id| id.0.to_string()).collect();
    // While nobody leads, or does not say who is active, nobody is missing.
    if cluster.leader.is_none() || cluster.active.is_empty() || missing.is_empty() {
        return None;
    }
    let (members, active) = (cluster.members.len(), cluster.active.len());
    let spare = active.saturating_sub(members / 2 + 1);
    let text = format!(
        "the leader hears nothing of member {}; {spare} more may fail before the channel stops",
        missing.join(", ")
    );
    Some(Reason::warning(Code::MemberMissing, text))
}

#[cfg(test)]
mod tests;
