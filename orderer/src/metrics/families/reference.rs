//! Families of the reference: names, types, labels and buckets of `docs/spec/behaviour.md` §9.1.

use super::CHANNEL;
use crate::metrics::family::Family;
use crate::metrics::instrument::{Counter, Gauge, Histogram};
use crate::metrics::registry::{DEFAULT_BOUNDS, Registry};

/// Buckets of the reference for writing blocks, in seconds.
const COMMIT_BOUNDS: &[f64] = &[0.005, 0.01, 0.015, 0.05, 0.1, 1.0, 10.0];
/// Buckets of etcd for syncs of its log: from 1 ms on, each twice the one before, in seconds.
const FSYNC_BOUNDS: &[f64] = &[
    0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.024, 2.048, 4.096, 8.192,
];
/// `broadcast_*`: by channel, header type and the status that was answered.
pub struct Broadcast {
    /// Answers.
    pub processed: Family<Counter>,
    /// From the start of a batch's checks to their end.
    pub validate: Family<Histogram>,
    /// From there until the chain has taken them.
    pub enqueue: Family<Histogram>,
}

impl Broadcast {
    pub(super) fn new(registry: &mut Registry) -> Self {
        let labels = &["channel", "type", "status"];
        Self {
            processed: registry.counters(
                "broadcast.processed_count",
                "Envelopes answered. Names of channels that are not here count as unknown.",
                labels,
            ),
            validate: registry.histograms(
                "broadcast.validate_duration",
                "Seconds from taking up an envelope to its verdict. Those of one stream are checked in batches, and each \
                 takes as long as its batch.",
                labels,
                DEFAULT_BOUNDS,
            ),
            enqueue: registry.histograms(
                "broadcast.enqueue_duration",
                "Seconds from the verdict on an envelope until its channel's chain has taken it.",
                labels,
                DEFAULT_BOUNDS,
            ),
        }
    }
}

/// `deliver_*`.
pub struct Deliver {
    /// Blocks handed to clients.
    pub blocks_sent: Family<Counter>,
    /// Requests for channels that are here.
    pub requests_received: Family<Counter>,
    /// Those that ended.
    pub requests_completed: Family<Counter>,
    /// Calls that began.
    pub streams_opened: Counter,
    /// Calls that ended.
    pub streams_closed: Counter,
}

impl Deliver {
    pub(super) fn new(registry: &mut Registry) -> Self {
        Self {
            blocks_sent: registry.counters(
                "deliver.blocks_sent",
                "Blocks sent to clients.",
                &["channel", "filtered", "data_type"],
            ),
            requests_received: registry.counters(
                "deliver.requests_received",
                "Requests for blocks of a channel that is here.",
                &["channel", "filtered", "data_type"],
            ),
            requests_completed: registry.counters(
                "deliver.requests_completed",
                "Requests for blocks that have ended; success is whether all that was asked for was sent.",
                &["channel", "filtered", "data_type", "success"],
            ),
            streams_opened: registry.counter("deliver.streams_opened", "Deliver calls that began."),
            streams_closed: registry.counter("deliver.streams_closed", "Deliver calls that ended."),
        }
    }
}

/// `cluster_comm_*`. A host is one of the channel's consenters as its config has it, `host:port`.
pub struct Cluster {
    /// Messages that may wait for a peer.
    pub queue_capacity: Family<Gauge>,
    /// Messages that wait.
    pub queue_length: Family<Gauge>,
    /// Queues that are worked off.
    pub queue_workers: Family<Gauge>,
    /// Streams to peers.
    pub streams: Family<Gauge>,
    /// Connections to peers.
    pub connections: Gauge,
    /// Streams of peers.
    pub ingress_streams: Gauge,
    /// Messages that found their queue full.
    pub dropped: Family<Counter>,
    /// From a message's turn until it is handed over.
    pub send_time: Family<Histogram>,
}

impl Cluster {
    pub(super) fn new(registry: &mut Registry) -> Self {
        let queue = &["host", "msg_type", "channel"];
        Self {
            queue_capacity: registry.gauges(
                "cluster.comm.egress_queue_capacity",
                "Messages that may wait for a peer, all queues of this type together. Transactions are bounded by their \
                 bytes, see ordain_cluster_egress_queue_bytes_max.",
                queue,
            ),
            queue_length: registry.gauges(
                "cluster.comm.egress_queue_length",
                "Messages that wait for a peer.",
                queue,
            ),
            queue_workers: registry.gauges(
                "cluster.comm.egress_queue_workers",
                "Queues towards peers that are worked off.",
                CHANNEL,
            ),
            streams: registry.gauges("cluster.comm.egress_stream_count", "Open streams to peers.", CHANNEL),
            connections: registry.gauge(
                "cluster.comm.egress_tls_connection_count",
                "Open TLS connections to peers; all channels share them.",
            ),
            ingress_streams: registry.gauge("cluster.comm.ingress_stream_count", "Open streams of peers."),
            dropped: registry.counters(
                "cluster.comm.msg_dropped_count",
                "Messages to a peer that were dropped since their queue was full, or since newer ones replace them.",
                &["host", "channel"],
            ),
            send_time: registry.histograms(
                "cluster.comm.msg_send_time",
                "Seconds from the turn of a message until HTTP/2 has taken it. Messages that are sent together take as \
                 long as all of them.",
                &["host", "channel"],
                DEFAULT_BOUNDS,
            ),
        }
    }
}

/// `blockcutter_*`, `consensus_etcdraft_*`.
pub struct Consensus {
    /// From a block's first envelope to its cut.
    pub fill: Family<Histogram>,
    /// Members that are heard of.
    pub active_nodes: Family<Gauge>,
    /// Members.
    pub cluster_size: Family<Gauge>,
    /// The newest block.
    pub committed_block: Family<Gauge>,
    /// Whether this node leads.
    pub is_leader: Family<Gauge>,
    /// The newest checkpoint's block.
    pub snapshot_block: Family<Gauge>,
    /// Config envelopes taken.
    pub config_proposals: Family<Counter>,
    /// Other envelopes taken.
    pub normal_proposals: Family<Counter>,
    /// Changes of the leader.
    pub leader_changes: Family<Counter>,
    /// Envelopes not taken.
    pub proposal_failures: Family<Counter>,
    /// From a write's beginning to its end.
    pub persist: Family<Histogram>,
    /// Syncs of the log.
    pub fsync: Histogram,
}

impl Consensus {
    pub(super) fn new(registry: &mut Registry) -> Self {
        Self {
            fill: registry.histograms(
                "blockcutter.block_fill_duration",
                "Seconds from the first envelope of a block to its cut, on the node that cuts it.",
                CHANNEL,
                DEFAULT_BOUNDS,
            ),
            active_nodes: registry.gauges(
                "consensus.etcdraft.active_nodes",
                "Consenters that the leader has heard of lately, itself included; 0 without a leader.",
                CHANNEL,
            ),
            cluster_size: registry.gauges(
                "consensus.etcdraft.cluster_size",
                "Consenters by the config in force.",
                CHANNEL,
            ),
            committed_block: registry.gauges(
                "consensus.etcdraft.committed_block_number",
                "Number of the newest block that is agreed on and durable here.",
                CHANNEL,
            ),
            is_leader: registry.gauges(
                "consensus.etcdraft.is_leader",
                "1 if this node leads the channel, else 0.",
                CHANNEL,
            ),
            snapshot_block: registry.gauges(
                "consensus.etcdraft.snapshot_block_number",
                "Number of the block of the newest checkpoint of the raft log.",
                CHANNEL,
            ),
            config_proposals: registry.counters(
                "consensus.etcdraft.config_proposals_received",
                "Config envelopes that clients gave to this node and its chain has taken up.",
                CHANNEL,
            ),
            normal_proposals: registry.counters(
                "consensus.etcdraft.normal_proposals_received",
                "Other envelopes that clients gave to this node and its chain has taken up.",
                CHANNEL,
            ),
            leader_changes: registry.counters(
                "consensus.etcdraft.leader_changes",
                "How often the leader changed, to nobody included, since the start.",
                CHANNEL,
            ),
            proposal_failures: registry.counters(
                "consensus.etcdraft.proposal_failures",
                "Envelopes that passed their checks and the chain did not take: no leader, or it is stopped.",
                CHANNEL,
            ),
            persist: registry.histograms(
                "consensus.etcdraft.data_persist_duration",
                "Seconds from handing raft's data to the log until it is durable.",
                CHANNEL,
                DEFAULT_BOUNDS,
            ),
            fsync: registry.histogram(
                "etcd.disk_wal_fsync_duration_seconds",
                "Seconds of one durable write of the raft log, which all channels share.",
                FSYNC_BOUNDS,
            ),
        }
    }
}

/// `ledger_*`.
pub struct Ledger {
    /// Blocks.
    pub height: Family<Gauge>,
    /// Writing and syncing them.
    pub commit_time: Family<Histogram>,
}

impl Ledger {
    pub(super) fn new(registry: &mut Registry) -> Self {
        Self {
            height: registry.gauges("ledger.blockchain_height", "Blocks that are durable here.", CHANNEL),
            commit_time: registry.histograms(
                "ledger.blockstorage_commit_time",
                "Seconds of writing and syncing a block. Blocks that share a sync take as long as all of them.",
                CHANNEL,
                COMMIT_BOUNDS,
            ),
        }
    }
}

/// `participation_*`.
pub struct Participation {
    /// What this node is in the channel.
    pub relation: Family<Gauge>,
    /// How it stands.
    pub status: Family<Gauge>,
}

impl Participation {
    pub(super) fn new(registry: &mut Registry) -> Self {
        Self {
            relation: registry.gauges(
                "participation.consensus_relation",
                "What this node is in the channel: 0 other, 1 consenter, 2 follower, 3 config-tracker.",
                CHANNEL,
            ),
            status: registry.gauges(
                "participation.status",
                "How the channel stands on this node: 0 inactive, 1 active, 2 onboarding, 3 failed.",
                CHANNEL,
            ),
        }
    }
}

/// `logging_*`.
pub struct Logging {
    /// Entries that the logging spec let through.
    pub checked: Family<Counter>,
    /// Those that were written.
    pub written: Family<Counter>,
}

impl Logging {
    pub(super) fn new(registry: &mut Registry) -> Self {
        Self {
            checked: registry.counters(
                "logging.entries_checked",
                "Log entries that the logging spec let through.",
                &["level"],
            ),
            written: registry.counters(
                "logging.entries_written",
                "Log entries that were written.",
                &["level"],
            ),
        }
    }
}
