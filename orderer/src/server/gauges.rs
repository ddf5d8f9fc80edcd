//! What is read off the node when somebody looks at its metrics.

use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::SystemTime;

use consensus::meter::ChainLoad;
use consensus::{ClusterStatus, Members};

use crate::admin::{ChannelInfo, Registrar as _, Relation, Status};
use crate::cluster::{Cluster, Refused};
use crate::config::Config;
use crate::logging::entries::Counted;
use crate::metrics::family::Collect as _;
use crate::metrics::{ChannelMetrics, Families, Metrics, disk};
use crate::multichannel::channel::{Channel, Part};
use crate::multichannel::health::Health;
use crate::multichannel::manager::Manager;
use crate::multichannel::registrar::Participation;
use crate::onboarding::FollowerStatus;

const DAY_SECONDS: f64 = 24.0 * 3600.0;

/// When a certificate in use ends; none where there is none. Asked each time, since files are read again.
pub(super) type CertificateEnd = Box<dyn Fn() -> Option<SystemTime> + Send + Sync>;

/// What the gauges of a node are read from.
pub(super) struct Sources {
    /// Whoever stops the node waits until nobody has the channels any more.
    pub(super) manager: Weak<Manager>,
    pub(super) cluster: Arc<Cluster>,
    /// Folders by the name they have in the label.
    pub(super) folders: Vec<(&'static str, PathBuf)>,
    /// Certificates by the role they have in the label.
    pub(super) certificates: Vec<(&'static str, CertificateEnd)>,
}

/// The folders with data of a node.
pub(super) fn folders(config: &Config) -> Vec<(&'static str, PathBuf)> {
    vec![
        ("ledger", config.ledger.location.clone()),
        ("raft_log", config.consensus.wal_dir.clone()),
        ("raft_snapshots", config.consensus.snap_dir.clone()),
    ]
}

impl Sources {
    /// Reads all of them.
    pub(super) fn sample(&self, metrics: &Metrics) {
        let families = metrics.families();
        if let Some(manager) = self.manager.upgrade() {
            let participation = Participation(Arc::clone(&manager));
            for (id, channel) in &*manager.channels() {
                if let (Some(counted), Some(info)) = (metrics.channel(id.as_str()), participation.channel(id))
                {
                    sample_channel(&counted, families, channel, &info);
                }
            }
            families
                .ours
                .host
                .intake_paused
                .set_flag(manager.node().space.is_full());
        }
        self.sample_cluster(families);
        self.sample_disks(families);
        for (role, end) in &self.certificates {
            sample_certificate(metrics, role, end());
        }
    }

    fn sample_cluster(&self, families: &Families) {
        let (counters, ours) = (self.cluster.counters(), &families.ours);
        for reason in Refused::ALL {
            let refused = ours.peers.refused.with(&[reason.name()]);
            refused.raise_to(counters.refused(reason));
        }
        ours.peers.inbox_full.raise_to(counters.inbox_full());
        ours.peers.streams_stalled.raise_to(counters.streams_stalled());
    }

    /// A folder that is not there yet has no room to tell of.
    fn sample_disks(&self, families: &Families) {
        for (name, folder) in &self.folders {
            if let Ok(room) = disk::room(folder) {
                families.ours.host.disk_free.with(&[name]).set_count(room.free);
                families.ours.host.disk_size.with(&[name]).set_count(room.size);
            }
        }
    }
}

/// The certificate that is used in this role; nothing is told where there is none.
pub(super) fn sample_certificate(metrics: &Metrics, role: &str, end: Option<SystemTime>) {
    let Some(end) = end else {
        return;
    };
    let left = match end.duration_since(SystemTime::now()) {
        Ok(left) => left.as_secs_f64(),
        Err(over) => -over.duration().as_secs_f64(),
    };
    let days = &metrics.families().ours.host.certificate_days;
    days.with(&[role]).set(left / DAY_SECONDS);
}

/// Takes over how many log entries were checked and written.
pub(super) fn sample_log(metrics: &Metrics, counted: &[Counted]) {
    let logging = &metrics.families().logging;
    for level in counted {
        logging.checked.with(&[level.level]).raise_to(level.checked);
        logging.written.with(&[level.level]).raise_to(level.written);
    }
}

fn sample_channel(counted: &ChannelMetrics, families: &Families, channel: &Channel, info: &ChannelInfo) {
    let participation = &families.participation;
    let (relation, status) = codes(info);
    counted.member(&participation.relation, &[]).set(relation);
    counted.member(&participation.status, &[]).set(status);
    counted
        .member(&families.ledger.height, &[])
        .set_count(info.height.0);
    let is_quarantined = matches!(channel.health(), Health::Quarantined(_));
    counted
        .member(&families.ours.standing.quarantined, &[])
        .set_flag(is_quarantined);
    let cluster = match &*channel.part() {
        Part::Chain { chain, .. } => {
            let status = chain.status();
            let dropped = counted.member(&families.ours.path.dropped, &[]);
            dropped.raise_to(status.dropped);
            sample_load(counted, families, chain.load());
            status.cluster.map(|cluster| (cluster, chain.members()))
        }
        Part::Follower { follower, .. } => {
            sample_load(counted, families, following(&follower.status()));
            None
        }
        Part::Nothing => None,
    };
    // What a chain knew when it ended is not how things stand.
    match cluster.filter(|_| channel.health() == Health::Running) {
        Some((cluster, members)) => sample_raft(counted, families, info, &cluster, &members),
        None => forget_raft(families, channel.id().as_str()),
    }
}

/// What waits for a follower: blocks that it knows of.
fn following(status: &FollowerStatus) -> ChainLoad {
    ChainLoad {
        behind: status.known.0.saturating_sub(status.height.0),
        ..ChainLoad::default()
    }
}

/// Whoever orders a channel no longer says nothing about who leads it.
fn forget_raft(families: &Families, channel: &str) {
    let (consensus, ours) = (&families.consensus, &families.ours.standing);
    for gauge in [
        &consensus.is_leader,
        &consensus.cluster_size,
        &consensus.active_nodes,
        &consensus.committed_block,
        &ours.leader_id,
        &ours.term,
        &ours.quorum_have,
        &ours.quorum_need,
    ] {
        gauge.forget("channel", channel);
    }
}

/// The numbers that the reference has for a channel's relation and status (`docs/spec/behaviour.md` §4.2).
fn codes(info: &ChannelInfo) -> (f64, f64) {
    let relation = match info.relation {
        Relation::Other => 0.0,
        Relation::Consenter => 1.0,
        Relation::Follower => 2.0,
        Relation::ConfigTracker => 3.0,
    };
    let status = match info.status {
        Status::Inactive => 0.0,
        Status::Active => 1.0,
        Status::Onboarding => 2.0,
        Status::Failed => 3.0,
    };
    (relation, status)
}

fn sample_load(counted: &ChannelMetrics, families: &Families, load: ChainLoad) {
    let ours = &families.ours;
    let ChainLoad {
        mailbox_bytes,
        pending,
        pending_bytes,
        behind,
    } = load;
    counted
        .member(&ours.standing.mailbox_bytes, &[])
        .set_count(mailbox_bytes);
    counted.member(&ours.standing.pending, &[]).set_count(pending);
    counted
        .member(&ours.standing.pending_bytes, &[])
        .set_count(pending_bytes);
    counted.member(&ours.standing.lag, &[]).set_count(behind);
}

fn sample_raft(
    counted: &ChannelMetrics,
    families: &Families,
    info: &ChannelInfo,
    cluster: &ClusterStatus,
    members: &Members,
) {
    let (consensus, ours) = (&families.consensus, &families.ours);
    let has_leader = cluster.leader.is_some();
    let active = if has_leader { members.active.len() } else { 0 };
    let size = cluster.members.len();
    // All of the counters are there from the start.
    counted.raft();
    counted
        .member(&consensus.is_leader, &[])
        .set_flag(cluster.leader == Some(cluster.id));
    counted.member(&consensus.cluster_size, &[]).set_count(size);
    counted.member(&consensus.active_nodes, &[]).set_count(active);
    let newest = info.height.tip().map_or(0, |tip| tip.0);
    counted.member(&consensus.committed_block, &[]).set_count(newest);
    let leader = cluster.leader.map_or(0, |leader| leader.0);
    counted.member(&ours.standing.leader_id, &[]).set_count(leader);
    counted.member(&ours.standing.term, &[]).set_count(cluster.term);
    counted.member(&ours.standing.quorum_have, &[]).set_count(active);
    counted
        .member(&ours.standing.quorum_need, &[])
        .set_count(size / 2 + 1);
}

#[cfg(test)]
mod tests {
    use protos::{ChannelId, ConsenterId, Height};

    use super::*;

    #[test]
    fn a_channel_that_is_ordered_here_no_longer_has_no_leader_by_this_node() {
        let metrics = Metrics::default();
        let id = ChannelId::parse("ch").unwrap();
        let counted = metrics.open_channel(&id);
        let info = ChannelInfo {
            name: id,
            relation: Relation::Consenter,
            status: Status::Active,
            height: Height(5),
            consensus: None,
            reason: None,
        };
        let cluster = ClusterStatus {
            id: ConsenterId(2),
            members: vec![ConsenterId(1), ConsenterId(2), ConsenterId(3)],
            term: 4,
            leader: Some(ConsenterId(2)),
            active: Vec::new(),
            answering: None,
            trouble: None,
        };
        let members = Members {
            ids: cluster.members.clone(),
            active: vec![ConsenterId(1), ConsenterId(2)],
        };
        sample_raft(&counted, metrics.families(), &info, &cluster, &members);
        let text = || String::from_utf8(metrics.render().1.to_vec()).unwrap();
        for line in [
            "consensus_etcdraft_is_leader{channel=\"ch\"} 1\n",
            "consensus_etcdraft_committed_block_number{channel=\"ch\"} 4\n",
            "consensus_etcdraft_active_nodes{channel=\"ch\"} 2\n",
            "ordain_raft_quorum_need{channel=\"ch\"} 2\n",
            "ordain_raft_leader_id{channel=\"ch\"} 2\n",
        ] {
            assert!(text().contains(line), "{line}");
        }
        forget_raft(metrics.families(), "ch");
        for name in [
            "is_leader",
            "active_nodes",
            "quorum_need",
            "leader_id",
            "raft_term",
        ] {
            assert!(!text().contains(&format!("{name}{{")), "{name}");
        }
        assert!(text().contains("consensus_etcdraft_leader_changes{channel=\"ch\"} 0\n"));
    }
}
