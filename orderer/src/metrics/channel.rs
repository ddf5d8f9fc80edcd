//! What is counted for one channel: handles, each looked up at its first use and kept.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use consensus::meter::ChainMeter;
use parking_lot::RwLock;
use protos::wire::common::{HeaderType, Status};
use protos::{BlockNumber, ChannelId};

use super::families::Families;
use super::family::{Family, Instrument};
use super::instrument::{Counter, Gauge, Histogram, to_f64};

/// What stands for names that nobody knows: they are whatever clients think of.
pub const UNKNOWN: &str = "unknown";

/// The type in an envelope's header, as a label. Types without a name are `unknown`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MessageType(Option<HeaderType>);

/// The types that have names, and one place for the others.
const TYPES: usize = 8;

impl MessageType {
    /// Of this number.
    pub fn of(header_type: i32) -> Self {
        Self(HeaderType::try_from(header_type).ok())
    }

    /// As the reference names it.
    pub fn name(self) -> &'static str {
        self.0.map_or(UNKNOWN, |known| known.as_str_name())
    }

    fn place(self) -> usize {
        let place = self.0.and_then(|known| usize::try_from(known as i32).ok());
        place.unwrap_or(TYPES - 1).min(TYPES - 1)
    }
}

/// What is counted for one channel. Cheap to count into: the handles are looked up once.
///
/// When the channel is removed its series go, and what still holds this counts unseen.
pub struct ChannelMetrics {
    id: ChannelId,
    families: Arc<Families>,
    /// Held while a series is looked up, so that none comes back after the end.
    is_open: RwLock<bool>,
    /// Of envelopes that were taken, by type.
    taken: [OnceLock<Answers>; TYPES],
    deliver: OnceLock<DeliverSeries>,
    raft: OnceLock<RaftSeries>,
    fill: OnceLock<Histogram>,
    order: OnceLock<Histogram>,
    consensus: OnceLock<Histogram>,
    total: OnceLock<Histogram>,
    validate: OnceLock<Histogram>,
    writing: OnceLock<WritingSeries>,
}

/// Series of envelopes of one type that got one answer.
#[derive(Clone, Debug)]
pub struct Answers {
    /// How many.
    pub processed: Counter,
    /// Their checks.
    pub validate: Histogram,
    /// Their way to the chain.
    pub enqueue: Histogram,
}

/// Series of requests for blocks.
#[derive(Debug)]
pub struct DeliverSeries {
    /// Requests that came.
    pub requests_received: Counter,
    /// Blocks that went.
    pub blocks_sent: Counter,
    completed: [Counter; 2],
}

impl DeliverSeries {
    /// A request ended.
    pub fn completed(&self, is_success: bool) {
        self.completed[usize::from(is_success)].inc();
    }
}

/// Series of the writer.
#[derive(Debug)]
pub struct WritingSeries {
    commit_time: Histogram,
    sync_blocks: Histogram,
    stage: Histogram,
}

impl WritingSeries {
    /// `blocks` were written and synced together within `took`.
    pub fn synced(&self, blocks: usize, took: Duration) {
        let blocks = u64::try_from(blocks).unwrap_or(u64::MAX);
        if blocks > 0 {
            self.commit_time.observe_many(took.as_secs_f64(), blocks);
            self.sync_blocks.observe(to_f64(blocks));
        }
    }

    /// A block that was handed over at `since` is durable.
    pub fn durable(&self, since: Instant) {
        self.stage.observe_since(since, 1);
    }
}

/// Series of a raft chain.
#[derive(Debug)]
pub struct RaftSeries {
    /// Config envelopes taken up.
    pub config_proposals: Counter,
    /// Others.
    pub normal_proposals: Counter,
    /// Changes of the leader.
    pub leader_changes: Counter,
    /// Envelopes not taken.
    pub proposal_failures: Counter,
    /// Writes to the log.
    pub persist: Histogram,
    /// The newest checkpoint.
    pub snapshot_block: Gauge,
}

impl ChannelMetrics {
    pub(super) fn new(id: ChannelId, families: Arc<Families>) -> Self {
        Self {
            id,
            families,
            is_open: RwLock::new(true),
            taken: Default::default(),
            deliver: OnceLock::new(),
            raft: OnceLock::new(),
            fill: OnceLock::new(),
            order: OnceLock::new(),
            consensus: OnceLock::new(),
            total: OnceLock::new(),
            validate: OnceLock::new(),
            writing: OnceLock::new(),
        }
    }

    /// One that nobody is shown: for parts that are used without a node.
    pub fn unseen(id: &ChannelId) -> Arc<Self> {
        super::Metrics::default().open_channel(id)
    }

    /// Takes its series away with `forget`; none comes back.
    pub(super) fn end(&self, forget: impl FnOnce()) {
        let mut is_open = self.is_open.write();
        *is_open = false;
        forget();
    }

    /// A member of `family`, whose first label is the channel.
    pub fn member<T: Instrument>(&self, family: &Family<T>, more: &[&str]) -> T {
        let is_open = self.is_open.read();
        if !*is_open {
            return family.unseen();
        }
        let labels: Vec<&str> = std::iter::once(self.id.as_str())
            .chain(more.iter().copied())
            .collect();
        family.with(&labels)
    }

    /// Envelopes of this type that were taken.
    pub fn taken(&self, kind: MessageType) -> &Answers {
        self.taken[kind.place()].get_or_init(|| self.answered(kind, Status::Success))
    }

    /// Envelopes of this type that got this answer. Looks it up each time.
    pub fn answered(&self, kind: MessageType, status: Status) -> Answers {
        let labels = [kind.name(), status.as_str_name()];
        let broadcast = &self.families.broadcast;
        Answers {
            processed: self.member(&broadcast.processed, &labels),
            validate: self.member(&broadcast.validate, &labels),
            enqueue: self.member(&broadcast.enqueue, &labels),
        }
    }

    /// The checks of envelopes, whatever came of them.
    pub fn validated(&self) -> &Histogram {
        self.stage(&self.validate, "validate")
    }

    /// Requests for blocks.
    pub fn deliver(&self) -> &DeliverSeries {
        // Only the clients of peers get filtered blocks, and no other data.
        let (filtered, data_type) = ("false", "block");
        self.deliver.get_or_init(|| {
            let deliver = &self.families.deliver;
            let completed =
                |success| self.member(&deliver.requests_completed, &[filtered, data_type, success]);
            DeliverSeries {
                requests_received: self.member(&deliver.requests_received, &[filtered, data_type]),
                blocks_sent: self.member(&deliver.blocks_sent, &[filtered, data_type]),
                completed: [completed("false"), completed("true")],
            }
        })
    }

    /// The writer.
    pub fn writing(&self) -> &WritingSeries {
        self.writing.get_or_init(|| WritingSeries {
            commit_time: self.member(&self.families.ledger.commit_time, &[]),
            sync_blocks: self.member(&self.families.ours.path.sync_blocks, &[]),
            stage: self.member(&self.families.ours.path.stages, &["write"]),
        })
    }

    /// The raft chain; the channel has these series from now on.
    pub fn raft(&self) -> &RaftSeries {
        self.raft.get_or_init(|| {
            let consensus = &self.families.consensus;
            RaftSeries {
                config_proposals: self.member(&consensus.config_proposals, &[]),
                normal_proposals: self.member(&consensus.normal_proposals, &[]),
                leader_changes: self.member(&consensus.leader_changes, &[]),
                proposal_failures: self.member(&consensus.proposal_failures, &[]),
                persist: self.member(&consensus.persist, &[]),
                snapshot_block: self.member(&consensus.snapshot_block, &[]),
            }
        })
    }

    /// Counts a refusal. Looks it up each time.
    pub fn refused(&self, reason: &'static str) {
        self.member(&self.families.ours.path.refused, &[reason]).inc();
    }

    fn stage<'a>(&self, place: &'a OnceLock<Histogram>, name: &str) -> &'a Histogram {
        place.get_or_init(|| self.member(&self.families.ours.path.stages, &[name]))
    }
}

impl std::fmt::Debug for ChannelMetrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ChannelMetrics({})", self.id)
    }
}

impl ChainMeter for ChannelMetrics {
    fn proposed(&self, normal: u64, config: u64) {
        let raft = self.raft();
        raft.normal_proposals.add(normal);
        raft.config_proposals.add(config);
    }

    fn block_filled(&self, within: Duration) {
        let fill = || self.member(&self.families.consensus.fill, &[]);
        self.fill.get_or_init(fill).observe_time(within);
    }

    fn block_cut(&self, waited: Duration) {
        self.stage(&self.order, "order").observe_time(waited);
    }

    fn block_committed(&self, after: Duration) {
        self.stage(&self.consensus, "consensus").observe_time(after);
    }

    fn finished(&self, after: Duration, count: u64) {
        let total = self.stage(&self.total, "total");
        total.observe_many(after.as_secs_f64(), count);
    }

    fn log_written(&self, within: Duration) {
        self.raft().persist.observe_time(within);
    }

    fn leader_changed(&self) {
        self.raft().leader_changes.inc();
    }

    fn checkpoint(&self, block: BlockNumber) {
        self.raft().snapshot_block.set_count(block.0);
    }
}
