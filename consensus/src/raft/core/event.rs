//! What can happen to a raft chain.

use bytes::Bytes;
use configtx::consensus_metadata::RaftOptions;
use protos::block::Hash;
use protos::wire::common::Block;
use protos::wire::etcdraft::{BlockMetadata, Consenter};
use protos::{BlockNumber, ChannelId, ConfigSeq, ConsenterId, Height};

use crate::chain::Submission;
use crate::raft::log::LogState;
use crate::support::{BatchConfig, WriteError};
use crate::ticket::{TicketId, TimerToken};
use crate::transport::ClusterMessage;

/// Everything that can happen to a raft chain.
#[derive(Debug)]
pub enum Event {
    /// One tick interval has passed.
    Tick,
    /// The next submission of this node. Only while `RaftCore::accepts`.
    Submitted {
        /// Higher than every one before; the first is at least 1.
        ticket: TicketId,
        /// What to order.
        submission: Submission,
    },
    /// Another consenter says something. Nothing in it has been checked but who sent it.
    Received {
        /// The sender, by its certificate.
        from: ConsenterId,
        /// What it says.
        message: ClusterMessage,
    },
    /// The submit stream to a peer was made, for the first time or again: what was sent before may be lost.
    SubmitStreamOpened {
        /// The peer.
        to: ConsenterId,
    },
    /// Messages to a peer were dropped or its stream broke.
    Unreachable {
        /// The peer.
        to: ConsenterId,
    },
    /// Somebody else should lead, if there is one who could: this node has little room left.
    StepAside,
    /// The timer of [`Action::ArmBatchTimer`](super::Action::ArmBatchTimer) ran out.
    BatchTimerFired {
        /// The one it was armed with.
        token: TimerToken,
    },
    /// The writes of all [`Action::Persist`](super::Action::Persist) up to `number` are durable.
    Persisted {
        /// The last one.
        number: u64,
    },
    /// A block of normal envelopes is durable. In order, once each.
    Written {
        /// The oldest block not reported yet.
        number: BlockNumber,
    },
    /// A config block is durable and its config in force.
    ConfigApplied {
        /// The oldest block not reported yet.
        number: BlockNumber,
        /// The config now in force.
        config: ConfigInForce,
    },
    /// One of the blocks that [`Action::CatchUp`](super::Action::CatchUp) has brought, where
    /// [`RaftCore::unseen_from`](super::RaftCore::unseen_from) asks for them. In order, before `CaughtUp`.
    Pulled {
        /// As it is in the ledger.
        block: Block,
    },
    /// A config block is durable after which the channel has another consensus type: nothing more is ordered here, and
    /// the driver ends the core once the others can know of the block.
    TypeChanged {
        /// The oldest block not reported yet.
        number: BlockNumber,
    },
    /// The ledger has what [`Action::CatchUp`](super::Action::CatchUp) asked for, or more.
    CaughtUp {
        /// Its newest block.
        tip: Tip,
        /// The config now in force.
        config: ConfigInForce,
    },
    /// The channel is new everywhere: an answer to [`Action::AskWhetherNew`](super::Action::AskWhetherNew) or
    /// [`Action::AskWhatBecame`](super::Action::AskWhatBecame), which say who was asked. Not reported otherwise.
    ChannelIsNew,
    /// Another orderer has a block 1: the answer to [`Action::AskWhatBecame`](super::Action::AskWhatBecame), unless it
    /// is [`ChannelIsNew`](Self::ChannelIsNew).
    ChannelHasBlocks {
        /// It is the one that this node had before it removed the channel.
        is_known: bool,
    },
    /// No leader is heard of, and other orderers have blocks up to `through` that the ledger lacks. Answered with
    /// [`Action::CatchUp`](super::Action::CatchUp) as soon as no write is open.
    Behind {
        /// The newest block that is known of.
        through: BlockNumber,
    },
    /// A block could not be written. The last event a core needs.
    WriteFailed(WriteError),
    /// Hand over leadership if it is held, order what can be ordered, then finish. Nothing is submitted after it.
    Halt,
}

/// All that a chain needs to know of the config in force.
#[derive(Clone, Debug, PartialEq)]
pub struct ConfigInForce {
    /// Its sequence.
    pub sequence: ConfigSeq,
    /// How it wants batches cut.
    pub batch: BatchConfig,
    /// The consenters, in configured order.
    pub consenters: Vec<Consenter>,
    /// Timing and limits; only the snapshot interval takes effect without a restart (`docs/spec/behaviour.md` §5.3).
    pub options: RaftOptions,
}

/// The newest block of a ledger, as a chain needs it.
#[derive(Clone, Debug, PartialEq)]
pub struct Tip {
    /// Its number.
    pub number: BlockNumber,
    /// Its header's hash.
    pub hash: Hash,
    /// What the newest block that carries any says: ids of the consenters, next id, raft index. For a genesis block:
    /// ids 1..n, n + 1, 0.
    pub metadata: BlockMetadata,
    /// The block without metadata, in the form of an entry: what a checkpoint holds.
    pub entry: Bytes,
}

impl Tip {
    /// The ledger's height.
    pub fn height(&self) -> Height {
        Height::of_tip(self.number)
    }
}

/// Which chain a ledger holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Hash of the genesis block's header.
    pub genesis: Hash,
    /// Hash of block 1's header; none if there is none.
    pub first: Option<Hash>,
}

/// All that a core begins with.
#[derive(Clone, Debug)]
pub struct Start {
    /// The channel; its name decides the first leader.
    pub channel: ChannelId,
    /// This member.
    pub id: ConsenterId,
    /// Decides the election timeouts.
    pub seed: u64,
    /// Tells this run of the node from others.
    pub incarnation: u64,
    /// The ledger.
    pub tip: Tip,
    /// The config in force.
    pub config: ConfigInForce,
    /// What the log holds.
    pub log: LogState,
    /// How the ledger begins. Only needed if the log says that it is that of a channel which was removed.
    pub origin: Option<Origin>,
    /// Bugs put back on purpose, to see that simulation finds them.
    pub planted: Planted,
}

/// Bugs that simulation can put back. All are off in production.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Planted {
    /// Envelopes are handed to a new leader before its first entry is applied.
    pub early_resubmission: bool,
}
