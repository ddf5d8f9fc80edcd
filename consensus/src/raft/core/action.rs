//! What a raft chain wants done.

use std::time::Duration;

use bytes::Bytes;
use protos::block::Hash;
use protos::wire::common::Block;
use protos::{BlockNumber, ConsenterId};

use crate::consenter::ConsenterMetadata;
use crate::raft::log::LogWrite;
use crate::support::WriteError;
use crate::ticket::{Outcome, TicketId, TimerToken};
use crate::transport::{ClusterMessage, MessageKind, Peer};

/// What the driver must start, in order, before it offers the next event. What takes time reports back as an event;
/// no action waits for another to finish, so heartbeats flow while the disk works.
#[derive(Debug, PartialEq)]
#[must_use]
pub enum Action {
    /// Write to the log, in order; report [`Event::Persisted`](super::Event::Persisted). Several may be made durable
    /// by one sync and reported by the last number.
    Persist {
        /// Counts up by one.
        number: u64,
        /// What to write.
        write: LogWrite,
    },
    /// Send. Whatever had to be durable before it is.
    Send {
        /// To whom.
        to: ConsenterId,
        /// On which stream.
        kind: MessageKind,
        /// What.
        message: ClusterMessage,
    },
    /// The others from now on. The first action of a member, and again when they change.
    SetPeers(Vec<Peer>),
    /// Write this committed block; report [`Event::Written`](super::Event::Written) or
    /// [`Event::WriteFailed`](super::Event::WriteFailed).
    WriteBlock {
        /// Follows the one before.
        number: BlockNumber,
        /// Header and data.
        block: Block,
        /// `etcdraft.BlockMetadata`.
        metadata: ConsenterMetadata,
    },
    /// Write this committed block of one config envelope; report
    /// [`Event::ConfigApplied`](super::Event::ConfigApplied) or [`Event::WriteFailed`](super::Event::WriteFailed).
    /// No other block is asked for until then.
    WriteConfigBlock {
        /// Follows the one before.
        number: BlockNumber,
        /// Header and data.
        block: Block,
        /// `etcdraft.BlockMetadata`, of the new config already.
        metadata: ConsenterMetadata,
    },
    /// Get the blocks the ledger lacks up to `through` from other orderers; report
    /// [`Event::CaughtUp`](super::Event::CaughtUp). No write is open or asked for until then.
    CatchUp {
        /// The last one needed.
        through: BlockNumber,
    },
    /// Ask the other consenters for their heights; report [`Event::ChannelIsNew`](super::Event::ChannelIsNew) once
    /// this node and as many of them as make a majority say 1, and nobody says more. Stops when a later event makes
    /// the core take part otherwise; asking on does no harm.
    AskWhetherNew,
    /// Ask them what became of the channel. Where anybody has a block 1, report
    /// [`Event::ChannelHasBlocks`](super::Event::ChannelHasBlocks), known if any of these has the hash `first`. Where all
    /// others of the config in force and of `members` answered, and none has more than the genesis block, report
    /// [`Event::ChannelIsNew`](super::Event::ChannelIsNew).
    AskWhatBecame {
        /// Hash of the header of block 1 as this node had it.
        first: Hash,
        /// The metadata of the consensus type as it was in force here last.
        members: Bytes,
    },
    /// Report [`Event::BatchTimerFired`](super::Event::BatchTimerFired) when `after` has passed. No other timer runs.
    ArmBatchTimer {
        /// To report.
        token: TimerToken,
        /// From now.
        after: Duration,
    },
    /// Stop the timer.
    DisarmBatchTimer,
    /// These tickets get this outcome.
    Resolve {
        /// In rising order.
        tickets: Vec<TicketId>,
        /// Theirs.
        outcome: Outcome,
    },
    /// Something an operator or a tool wants to read in the log.
    Notice(Notice),
    /// A block could not be written: the chain is broken and does nothing more.
    Errored(WriteError),
    /// This node is no member any more, or is addressed by another id than it has: the chain ends.
    NotMember,
    /// The node lost part of its log; the loss is on record when this comes. The chain ends.
    LostLog {
        /// What was found.
        reason: String,
    },
    /// After [`Event::Halt`](super::Event::Halt): the chain ends.
    Finish,
}

/// A change that goes to the log of the process (`docs/spec/dropin.md` §2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// `Raft leader changed: A -> B`; none is 0.
    LeaderChanged {
        /// Before.
        from: Option<ConsenterId>,
        /// Now.
        to: Option<ConsenterId>,
    },
    /// `Start accepting requests as Raft leader at block [H]`.
    Leading {
        /// The newest block.
        tip: BlockNumber,
    },
    /// `N stepped down to follower since quorum is not active`.
    QuorumLost,
    /// `No leader is present, cluster size is N`: for one or two members.
    NoLeader {
        /// Members.
        members: usize,
    },
    /// `Store ActiveNodes [..]`: a follower learns the list from its leader: the first one of each leader, another
    /// one, or the next one after the members have changed.
    ActiveNodesReceived(Vec<ConsenterId>),
    /// `Current active nodes in cluster are: [..]`: a leader's list is stable; its own id first.
    ActiveNodes(Vec<ConsenterId>),
    /// `Received msg to N, my ID is probably wrong due to out of date, cowardly halting`.
    AddressedAs(ConsenterId),
    /// A peer's message was refused, with the reason.
    Refused {
        /// The sender.
        from: ConsenterId,
        /// What was wrong.
        reason: String,
    },
    /// Submissions were dropped since the config moved on and they are not valid any more.
    Dropped {
        /// What the checks said of the first.
        reason: String,
    },
    /// Another one is to lead: this one ends, or a config that changes its own membership waits for that.
    TransferringLeadership {
        /// To whom.
        to: ConsenterId,
    },
    /// Membership in raft follows the config.
    MembersChanged {
        /// The voters now.
        voters: Vec<ConsenterId>,
    },
    /// Envelopes that the last run had taken in and left in no block are to be ordered now.
    TakenUp {
        /// How many.
        waiting: usize,
    },
    /// A checkpoint was made.
    CheckpointMade {
        /// At which block.
        block: BlockNumber,
    },
}
