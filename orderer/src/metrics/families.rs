//! Which families there are.
//!
//! The names, types, labels and buckets of the first group are the reference's (`docs/spec/behaviour.md` §9.1), since
//! dashboards and alerts are written for them; those of the second are ours and begin with `ordain_`. The page
//! `docs/operating/metrics.md` says what to alarm on.

use super::family::Family;
use super::grpc::Grpc;
use super::instrument::{Counter, Gauge, Histogram};
use super::process::Process;
use super::registry::{DEFAULT_BOUNDS, Registry};

/// Buckets of the reference for writing blocks, in seconds.
const COMMIT_BOUNDS: &[f64] = &[0.005, 0.01, 0.015, 0.05, 0.1, 1.0, 10.0];
/// Buckets of etcd for syncs of its log: from 1 ms on, each twice the one before, in seconds.
const FSYNC_BOUNDS: &[f64] = &[
    0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.024, 2.048, 4.096, 8.192,
];
/// For the stages of an envelope's way, which may take less than a millisecond, in seconds.
const STAGE_BOUNDS: &[f64] = &[
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];
/// For things that go to the disk with one sync.
const BATCH_BOUNDS: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0];

const CHANNEL: &[&str] = &["channel"];

/// All families of a node.
pub struct Families {
    /// Envelopes that clients send.
    pub broadcast: Broadcast,
    /// Blocks that clients fetch.
    pub deliver: Deliver,
    /// gRPC calls and connections.
    pub grpc: Grpc,
    /// Orderers among themselves.
    pub cluster: Cluster,
    /// Ordering.
    pub consensus: Consensus,
    /// Blocks on disk.
    pub ledger: Ledger,
    /// What this node does on each channel.
    pub participation: Participation,
    /// The log of the process.
    pub logging: Logging,
    /// The process.
    pub process: Process,
    /// The version, as a label.
    pub version: Family<Gauge>,
    /// What the reference does not have.
    pub ours: Ours,
}

impl Families {
    /// Registers all of them.
    pub fn new(registry: &mut Registry) -> Self {
        Self {
            broadcast: Broadcast::new(registry),
            deliver: Deliver::new(registry),
            grpc: Grpc::new(registry),
            cluster: Cluster::new(registry),
            consensus: Consensus::new(registry),
            ledger: Ledger::new(registry),
            participation: Participation::new(registry),
            logging: Logging::new(registry),
            process: Process::new(registry),
            version: registry.gauges(
                "fabric_version",
                "Always 1; the label is the version of this program.",
                &["version"],
            ),
            ours: Ours::new(registry),
        }
    }
}

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
    fn new(registry: &mut Registry) -> Self {
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
    fn new(registry: &mut Registry) -> Self {
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
    fn new(registry: &mut Registry) -> Self {
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
    fn new(registry: &mut Registry) -> Self {
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
    fn new(registry: &mut Registry) -> Self {
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
    fn new(registry: &mut Registry) -> Self {
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
    fn new(registry: &mut Registry) -> Self {
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

/// What the reference does not have.
pub struct Ours {
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
    /// Bytes that wait for a peer.
    pub queue_bytes: Family<Gauge>,
    /// Bytes that may wait.
    pub queue_bytes_max: Family<Gauge>,
    /// Messages of others that were refused.
    pub cluster_refused: Family<Counter>,
    /// Messages of others that were dropped.
    pub inbox_full: Counter,
    /// Streams to peers given up.
    pub streams_stalled: Counter,
    /// Room on disks.
    pub disk_free: Family<Gauge>,
    /// Their size.
    pub disk_size: Family<Gauge>,
    /// Whether writers wait for room.
    pub intake_paused: Gauge,
    /// Days until certificates end.
    pub certificate_days: Family<Gauge>,
}

impl Ours {
    fn new(registry: &mut Registry) -> Self {
        let queue = &["host", "msg_type", "channel"];
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
            cluster_refused: registry.counters(
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
