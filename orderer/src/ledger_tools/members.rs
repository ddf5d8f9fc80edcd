//! This node among the members of a channel whose blocks are imported, and the raft log that it begins with, if any.
//!
//! A member may begin a raft log only where no other member still counts on what it said in its old one
//! (`consensus::raft::ledger_only`). So it must be told that all are stopped, at which block: `--all-stopped-at` with the
//! words that `--dry-run` prints, which must be the same on all members. Otherwise it begins without a log, and takes part
//! as any newcomer does (ADR 017).

use std::cell::RefCell;
use std::fmt;
use std::path::Path;
use std::str::FromStr;

use configtx::Bundle;
use configtx::consensus_metadata::{Consenters, consenters_of};
use consensus::raft::{EngineLog, ledger_only};
use protos::wire::etcdraft::Consenter;
use protos::{ChannelId, ConsenterId, SealedBlock};

use super::export::hex;
use super::folder::Folder;
use super::import::Taken;
use super::sequence::{Job, Sequence};
use super::witnesses::first_metadata;
use super::{Failure, pipeline, say};
use crate::cluster::TlsKey;
use crate::config::{Config, General};
use crate::foreign;
use crate::tls::files;

/// Digits of the newest block's hash that tell two chains of one height apart.
const HASH_DIGITS: usize = 16;

/// What of `orderer ledger import` is about the members of a channel.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct MemberArguments {
    /// Read and verify, say what there is, change nothing
    #[arg(long)]
    pub(super) dry_run: bool,
    /// All members of the channel are stopped, all are given this chain, and none of their raft logs is used again: they
    /// begin a new one together. --dry-run prints the words, which are the same for all. May be repeated
    #[arg(long, value_name = "CHANNEL@HEIGHT@HASH")]
    all_stopped_at: Vec<StoppedAt>,
    /// With --fabric: other members go on running; this one begins without a raft log
    #[arg(long, conflicts_with = "all_stopped_at")]
    pub(super) others_run: bool,
}

impl MemberArguments {
    /// The raft log, if one is to be begun in it.
    pub(super) fn open_logs(&self, folder: &Folder) -> Result<Option<RaftLogs<'_>>, Failure> {
        if self.all_stopped_at.is_empty() {
            return Ok(None);
        }
        let config = folder.config.as_ref().ok_or_else(|| {
            Failure::new("--all-stopped-at needs the node's orderer.yaml, for its certificate and the folder of its raft log")
                .next("give --config FILE in place of --location")
        })?;
        RaftLogs::open(self, config, false).map(Some)
    }
}

/// Where all members of a channel stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StoppedAt {
    channel: ChannelId,
    height: u64,
    /// The first digits of the newest block's hash.
    hash: String,
}

impl StoppedAt {
    fn of(channel: &ChannelId, newest: &SealedBlock) -> Self {
        let mut hash = hex(newest.hash());
        hash.truncate(HASH_DIGITS);
        Self {
            channel: channel.clone(),
            height: newest.height().0,
            hash,
        }
    }
}

impl fmt::Display for StoppedAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}@{}", self.channel, self.height, self.hash)
    }
}

impl FromStr for StoppedAt {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let form = || format!("{text:?} should be CHANNEL@HEIGHT@HASH, as --dry-run prints it");
        let words: Vec<_> = text.split('@').collect();
        let [channel, height, hash] = <[&str; 3]>::try_from(words).map_err(|_| form())?;
        let is_hash = hash.len() == HASH_DIGITS && hash.chars().all(|digit| digit.is_ascii_hexdigit());
        Ok(Self {
            channel: ChannelId::parse(channel).map_err(|error| error.to_string())?,
            height: height.parse().map_err(|_| form())?,
            hash: is_hash.then(|| hash.to_ascii_lowercase()).ok_or_else(form)?,
        })
    }
}

/// By what other orderers know this node; none without TLS.
pub(super) struct OwnKey(Option<TlsKey>);

impl OwnKey {
    /// Reads the certificate that the settings name.
    pub(super) fn read(general: &General) -> Result<Self, String> {
        let Some(file) = general.cluster_server_certificate() else {
            return Ok(Self(None));
        };
        let chain = files::certificates(file).map_err(|error| error.to_string())?;
        let key = chain.first().map(|leaf| TlsKey::of_der(leaf)).transpose();
        key.map(Self)
            .map_err(|error| format!("{}: {error}", file.display()))
    }

    /// Which of them this node is.
    pub(super) fn place(&self, consenters: &[Consenter]) -> Option<usize> {
        let is_self =
            |one: &Consenter| self.0.is_some() && TlsKey::of_pem(&one.server_tls_cert).ok() == self.0;
        consenters.iter().position(is_self)
    }
}

/// What this node is in a channel.
enum Place {
    Consenter { place: usize, members: usize },
    Nowhere,
    Alone,
    NotAvailable(String),
}

impl Place {
    fn of(bundle: &Bundle, own: &OwnKey) -> Self {
        match consenters_of(bundle.orderer()) {
            Ok(Consenters::Raft(consenters)) => match own.place(&consenters) {
                Some(place) => Self::Consenter {
                    place,
                    members: consenters.len(),
                },
                None => Self::Nowhere,
            },
            Ok(Consenters::Solo) => Self::Alone,
            _ => Self::NotAvailable(bundle.orderer().consensus_type.kind.clone()),
        }
    }
}

/// Verifies a chain, and says what it is and what all members must agree on.
pub(super) fn describe(
    channel: Option<ChannelId>,
    own: Option<&OwnKey>,
    next: &mut dyn FnMut() -> Result<Option<SealedBlock>, Failure>,
) -> Result<(), Failure> {
    let sequence = RefCell::new(Sequence::of(channel));
    pipeline::run(
        || Ok(next()?.map(|block| sequence.borrow_mut().take(block, None))),
        |job| refuse_faults(&job),
    )?;
    let sequence = sequence.into_inner();
    let (Some(channel), Some(newest), Some(bundle)) =
        (sequence.channel(), sequence.newest(), sequence.bundle())
    else {
        return Err(Failure::damaged("there is no block"));
    };
    let (height, hash) = (newest.height(), hex(newest.hash()));
    say(format!("channel {channel}: height {height}, newest hash {hash}"));
    let Some(own) = own else { return Ok(()) };
    match Place::of(bundle, own) {
        Place::Consenter { place, members } => {
            let metadata = sequence
                .raft_metadata()
                .cloned()
                .unwrap_or_else(|| first_metadata(members));
            say(format!(
                "  this node is raft member {} of {:?}, next id {}, raft index {}",
                metadata.consenter_ids.get(place).copied().unwrap_or_default(),
                metadata.consenter_ids,
                metadata.next_consenter_id,
                metadata.raft_index
            ));
            say(format!("  --all-stopped-at {}", StoppedAt::of(channel, newest)));
        }
        Place::Nowhere => say("  this node is no consenter of it: it will follow"),
        Place::Alone => say("  consensus type solo: this node will order it alone"),
        Place::NotAvailable(kind) => say(format!(
            "  consensus type {kind}: this program only serves its blocks"
        )),
    }
    Ok(())
}

fn refuse_faults(job: &Job) -> Result<(), Failure> {
    match job.faults.first() {
        None => Ok(()),
        Some(fault) => Err(Failure::damaged(&fault.text)),
    }
}

/// Begins raft logs for chains that are imported.
pub(super) struct RaftLogs<'a> {
    arguments: &'a MemberArguments,
    own: OwnKey,
    log: EngineLog,
    /// The operator must say how a member begins.
    must_be_told: bool,
}

impl<'a> RaftLogs<'a> {
    /// Opens the raft log of the node, which must be stopped.
    pub(super) fn open(
        arguments: &'a MemberArguments,
        config: &Config,
        must_be_told: bool,
    ) -> Result<Self, Failure> {
        foreign::refuse(config).map_err(Failure::new)?;
        let (wal, snap): (&Path, &Path) = (&config.consensus.wal_dir, &config.consensus.snap_dir);
        let log = EngineLog::open(wal, snap);
        Ok(Self {
            arguments,
            own: OwnKey::read(&config.general).map_err(Failure::new)?,
            log: log.map_err(|error| Failure::new(format!("the raft log cannot be opened: {error}")))?,
            must_be_told,
        })
    }

    /// Begins the log of a channel, where this node is to have one; answers the index it begins with.
    pub(super) fn begin(&self, taken: &Taken<'_>) -> Result<Option<u64>, Failure> {
        let channel = &taken.channel;
        let Some(bundle) = taken.sequence.bundle() else {
            return Ok(None);
        };
        let Place::Consenter { place, members } = Place::of(bundle, &self.own) else {
            return Ok(None);
        };
        // A channel with only its first block begins its log by itself.
        if taken.newest.number().0 == 0 || !self.is_told(taken)? {
            return Ok(None);
        }
        let metadata = taken
            .sequence
            .raft_metadata()
            .cloned()
            .unwrap_or_else(|| first_metadata(members));
        let id = metadata.consenter_ids.get(place).copied().map(ConsenterId);
        let no_id = || {
            Failure::damaged(format!(
                "channel {channel}: the newest block has no id for this node"
            ))
        };
        let newest = taken.newest.decode().map_err(Failure::damaged)?;
        let id = id.ok_or_else(no_id)?;
        let index = ledger_only::begin_anew(&self.log, channel, id, &newest, &metadata);
        index.map(Some).map_err(Failure::new)
    }

    /// Whether the operator said that all members are stopped at this block.
    fn is_told(&self, taken: &Taken<'_>) -> Result<bool, Failure> {
        let channel = &taken.channel;
        let here = StoppedAt::of(channel, &taken.newest);
        let mut said = self.arguments.all_stopped_at.iter();
        match said.find(|said| said.channel == *channel) {
            Some(said) if *said == here => Ok(true),
            Some(said) => {
                let what = format!(
                    "channel {channel} ends here at {here}, not at {said}; nothing of it was imported"
                );
                Err(Failure::new(what).next(
                    "all members must be given one chain, the longest that any of them has: take its blocks to this member, \
                     then repeat",
                ))
            }
            None if self.must_be_told && !self.arguments.others_run => {
                let what = format!(
                    "this node is a consenter of channel {channel}, and how it begins was not said; nothing of it was imported"
                );
                Err(Failure::new(what).next(format!(
                    "if all members of the channel are stopped and go over together, give --all-stopped-at {here} on each of \
                     them; if others go on running, --others-run"
                )))
            }
            None => Ok(false),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_all_stopped_is_said_in_one_word() {
        let said: StoppedAt = "ch.1@12@5AC01DC39D2EE0F1".parse().unwrap();
        assert_eq!(said.to_string(), "ch.1@12@5ac01dc39d2ee0f1");
        for wrong in [
            "ch1@12",
            "ch1@x@5ac01dc39d2ee0f1",
            "Ch1@12@5ac01dc39d2ee0f1",
            "ch1@12@5ac0",
            "ch1@1@2@3",
        ] {
            assert!(wrong.parse::<StoppedAt>().is_err(), "{wrong}");
        }
    }
}
