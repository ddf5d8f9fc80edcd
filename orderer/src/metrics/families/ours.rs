//! What the reference does not have: whether a channel can order, where the time goes, what waits, and what will run out.

use super::CHANNEL;
use crate::metrics::family::Family;
use crate::metrics::instrument::{Counter, Gauge, Histogram};
use crate::metrics::registry::Registry;

/// For the stages of an envelope's way, which may take less than a millisecond, in seconds.
const STAGE_BOUNDS: &[f64] = &[
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];
/// For things that go to the disk with one sync.
const BATCH_BOUNDS: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0];

/// What the reference does not have.
pub struct Ours {
    /// How channels stand.
    pub standing: Standing,
    /// The way of envelopes.
    pub path: Path,
    /// Orderers among themselves.
    pub peers: Peers,
    /// What the node stands on.
    pub host: Host,
}

impl Ours {
    pub(super) fn new(registry: &mut Registry) -> Self {
        Self {
            standing: Standing::new(registry),
            path: Path::new(registry),
            peers: Peers::new(registry),
            host: Host::new(registry),
        }
    }
}

/// How a channel stands.
pub struct Standing {
    /// Blocks this node lacks.
    pub lag: Family<Gauge>,
    /// Who leads.
    pub leader_id: Family<Gauge>,
    /// Raft's term.
    pub term: Family<Gauge>,
    /// Active members.
    pub quorum_have: Family<Gauge>,
    /// Members it takes.
    pub quorum_need: Family<Gauge>,
    /// Whether the channel is out of order.
    pub quarantined: Family<Gauge>,
    /// Bytes in the chain's mailbox.
    pub mailbox_bytes: Family<Gauge>,
    /// Envelopes not seen in a block yet.
    pub pending: Family<Gauge>,
    /// Their bytes.
    pub pending_bytes: Family<Gauge>,
}

impl Standing {
    fn new(registry: &mut Registry) -> Self {
        Self {
            lag: registry.gauges(
                "ordain.channel_lag_blocks",
                "Blocks that this node knows of and does not have: committed and not durable here, or claimed by an \
                 orderer that it fetches from.",
                CHANNEL,
            ),
            leader_id: registry.gauges(
                "ordain.raft_leader_id",
                "Raft id of the leader that this node knows of; 0: none.",
                CHANNEL,
            ),
            term: registry.gauges("ordain.raft_term", "Raft's term; it rises with each election.", CHANNEL),
            quorum_have: registry.gauges(
                "ordain.raft_quorum_have",
                "Consenters that the leader has heard of lately; 0 without a leader.",
                CHANNEL,
            ),
            quorum_need: registry.gauges(
                "ordain.raft_quorum_need",
                "Consenters that it takes to order.",
                CHANNEL,
            ),
            quarantined: registry.gauges(
                "ordain.channel_quarantined",
                "1 while the channel is out of order on this node until somebody looks after it, else 0.",
                CHANNEL,
            ),
            mailbox_bytes: registry.gauges(
                "ordain.chain_mailbox_bytes",
                "Bytes offered to the chain and not taken up yet; clients wait at 8 MiB.",
                CHANNEL,
            ),
            pending: registry.gauges(
                "ordain.chain_pending_envelopes",
                "Envelopes that this node took in and has not seen in a block yet.",
                CHANNEL,
            ),
            pending_bytes: registry.gauges("ordain.chain_pending_bytes", "Their bytes.", CHANNEL),
        }
    }
}

/// The way of an envelope.
pub struct Path {
    /// Where the time goes.
    pub stages: Family<Histogram>,
    /// Blocks that share a sync.
    pub sync_blocks: Family<Histogram>,
    /// Writes to the raft log that share a sync.
    pub log_sync_writes: Histogram,
    /// Envelopes taken in and dropped.
    pub dropped: Family<Counter>,
    /// Envelopes refused.
    pub refused: Family<Counter>,
}

impl Path {
    fn new(registry: &mut Registry) -> Self {
        Self {
            stages: registry.histograms(
                "ordain.stage_duration_seconds",
                "Where the time of an envelope goes. validate: its checks; order: from the oldest envelope of a block \
                 being offered to the chain to the cut, on the node that cuts; consensus: from a block's way into the raft \
                 log to its commit; write: from a block being handed to the ledger until it is durable; total: from an \
                 envelope being offered to the chain until its block is durable here.",
                &["channel", "stage"],
                STAGE_BOUNDS,
            ),
            sync_blocks: registry.histograms(
                "ordain.ledger_sync_blocks",
                "Blocks made durable by one sync.",
                CHANNEL,
                BATCH_BOUNDS,
            ),
            log_sync_writes: registry.histogram(
                "ordain.raft_log_sync_writes",
                "Writes to the raft log, of all channels, made durable by one sync.",
                BATCH_BOUNDS,
            ),
            dropped: registry.counters(
                "ordain.submissions_dropped_count",
                "Envelopes that were taken in and dropped, since the config changed and they are not valid any more.",
                CHANNEL,
            ),
            refused: registry.counters(
                "ordain.refused_count",
                "Envelopes refused, by the reason. Names of channels that are not here count as unknown.",
                &["channel", "reason"],
            ),
        }
    }
}

/// Orderers among themselves.
pub struct Peers {
    /// Bytes that wait for a peer.
    pub queue_bytes: Family<Gauge>,
    /// Bytes that may wait.
    pub queue_bytes_max: Family<Gauge>,
    /// Messages of others that were refused.
    pub refused: Family<Counter>,
    /// Messages of others that were dropped.
    pub inbox_full: Counter,
    /// Streams to peers given up.
    pub streams_stalled: Counter,
}

impl Peers {
    fn new(registry: &mut Registry) -> Self {
        let queue = &["host", "msg_type", "channel"];
        Self {
            queue_bytes: registry.gauges(
                "ordain.cluster_egress_queue_bytes",
                "Bytes that wait for a peer.",
                queue,
            ),
            queue_bytes_max: registry.gauges(
                "ordain.cluster_egress_queue_bytes_max",
                "Bytes that may wait for a peer.",
                queue,
            ),
            refused: registry.counters(
                "ordain.cluster_refused_count",
                "Calls and messages of other orderers that were refused, by the reason.",
                &["reason"],
            ),
            inbox_full: registry.counter(
                "ordain.cluster_inbox_full_count",
                "Messages of other orderers that were dropped since the chain's inbox was full.",
            ),
            streams_stalled: registry.counter(
                "ordain.cluster_streams_stalled_count",
                "Streams to peers that were given up since nothing was taken from them.",
            ),
        }
    }
}

/// What the node stands on.
pub struct Host {
    /// Room on disks.
    pub disk_free: Family<Gauge>,
    /// Their size.
    pub disk_size: Family<Gauge>,
    /// Whether writers wait for room.
    pub intake_paused: Gauge,
    /// Days until certificates end.
    pub certificate_days: Family<Gauge>,
}

impl Host {
    fn new(registry: &mut Registry) -> Self {
        Self {
            disk_free: registry.gauges(
                "ordain.disk_free_bytes",
                "Bytes that this process may still write where a folder is.",
                &["folder"],
            ),
            disk_size: registry.gauges(
                "ordain.disk_size_bytes",
                "Size of the file system where a folder is.",
                &["folder"],
            ),
            intake_paused: registry.gauge(
                "ordain.intake_paused",
                "1 while envelopes wait since a ledger has no room on its disk, else 0.",
            ),
            certificate_days: registry.gauges(
                "ordain.certificate_days_left",
                "Days until the certificate ends that this node uses in a role; below 0 afterwards.",
                &["role"],
            ),
        }
    }
}
