//! One channel's ordering, as the front end sees it.

use futures::future::BoxFuture;
use protos::{ConfigSeq, ConsenterId, Envelope};
use tokio::sync::watch;

use crate::consenter::Members;
use crate::meter::ChainLoad;
use crate::ticket::{Ticket, Tickets};
use crate::transport::ClusterMessage;

/// One channel's ordering. Made by a [`Consenter`](crate::Consenter).
pub trait Chain: Send + Sync {
    /// Offers envelopes, to be ordered as they stand in the list. Waits while the mailbox is full; dropping the
    /// future before it is ready offers none of them.
    ///
    /// Ready with `Ok` once all of them are in the chain's intake: a graceful stop still orders them. The
    /// [`Tickets`] tell when each is durable; dropping them costs nothing and withdraws nothing.
    fn enqueue_all(&self, submissions: Vec<Submission>) -> BoxFuture<'_, Result<Tickets, EnqueueError>>;

    /// [`enqueue_all`](Self::enqueue_all) of one. Streams should gather what is ready and use that instead: its
    /// costs are per call.
    fn enqueue(&self, submission: Submission) -> BoxFuture<'_, Result<Ticket, EnqueueError>> {
        let tickets = self.enqueue_all(vec![submission]);
        Box::pin(async move { tickets.await.map(Tickets::into_first) })
    }

    /// True while fresh blocks cannot be promised: before the start, after the end. Strict deliver streams end
    /// on it.
    fn errored(&self) -> watch::Receiver<bool>;

    /// A message of another orderer, already authenticated as `from`. Never waits: a full inbox drops it, which
    /// the sender's protocol repairs.
    fn receive(&self, from: ConsenterId, message: ClusterMessage) -> Result<(), ReceiveError>;

    /// What the chain knows of its members, for judging a config that changes them.
    fn members(&self) -> Members {
        Members::default()
    }

    /// How the chain stands now.
    fn status(&self) -> ChainStatus;

    /// What waits in the chain now.
    fn load(&self) -> ChainLoad {
        ChainLoad::default()
    }

    /// Starts ordering; must be called within a `tokio` runtime, which then runs the chain's tasks. Does nothing
    /// on a chain that was started or halted before.
    fn start(&self);

    /// Takes nothing more in, orders what was taken in, and ends; ready when all of it is durable or the chain
    /// failed. May be called any number of times, and on a chain that was never started.
    ///
    /// While the ledger waits for disk space this waits too: the caller bounds it.
    fn halt(&self) -> BoxFuture<'_, ()>;

    /// Offers to others what only one member does at a time: leadership. For a node that has little room left, and goes
    /// on in its place if nobody takes it. Where there is nothing to offer, nothing happens.
    fn step_aside(&self) {}

    /// Ready when the chain has ended, with how, or with what broke it. Whoever runs the chain waits on this, to
    /// go on as a follower or to quarantine the channel.
    fn ended(&self) -> BoxFuture<'static, Result<Ended, ChainFailure>>;
}

/// How a chain that did not break has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It was halted.
    Halted,
    /// This node is no consenter of the channel any more, or under another id than the chain has.
    NotMember,
    /// The config in force has another consensus type than the chain's.
    OtherType,
    /// The node has lost part of its log and must not take part under its present id.
    LostLog {
        /// What was found.
        reason: String,
    },
}

/// An envelope that was valid at `config_seq`.
#[derive(Clone, Debug)]
pub struct Submission {
    /// What to order.
    pub envelope: Envelope,
    /// How to order it.
    pub kind: SubmissionKind,
    /// The config sequence its checks ran against, noted before them. If the channel has moved on when its turn
    /// comes, it is checked again.
    pub config_seq: ConfigSeq,
}

/// How a submission is ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubmissionKind {
    /// In a batch with others.
    Normal,
    /// A CONFIG envelope made from a config update: alone in a block.
    Config,
}

/// Why a submission was not taken in. The text is what a client reads beside `SERVICE_UNAVAILABLE`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnqueueError {
    /// [`Chain::start`] was not called yet.
    #[error("chain is not started")]
    NotStarted,
    /// The chain is halting or has halted.
    #[error("chain is stopped")]
    Halted,
    /// The chain broke.
    #[error("chain is stopped: {0}")]
    Failed(ChainFailure),
    /// Nobody leads, and nobody did within the time a submission may wait for it.
    #[error("no Raft leader: {reason}")]
    NoLeader {
        /// What is known about it.
        reason: String,
    },
}

/// What broke a chain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChainFailure {
    /// A block could not be written; it may or may not be in the ledger.
    #[error("{0}")]
    Write(#[from] crate::support::WriteError),
    /// The consenter's log could not be written; nothing that hangs on it was sent.
    #[error("the log cannot be written: {reason}")]
    Log {
        /// What went wrong.
        reason: String,
    },
    /// A task of the chain panicked: a bug of ours.
    #[error("{task} task panicked: {message}")]
    Panic {
        /// Which task.
        task: &'static str,
        /// What it said.
        message: String,
    },
}

/// How a chain stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainStatus {
    /// Where it is in its life.
    pub phase: Phase,
    /// Submissions that were taken in and dropped since the start, since the config had moved on and they were not
    /// valid any more. A client at level `accepted` was told SUCCESS for them (`docs/spec/behaviour.md` §1.5).
    pub dropped: u64,
    /// How the cluster stands, as far as this member knows; none for types without one.
    pub cluster: Option<ClusterStatus>,
}

/// How a channel's cluster stands, as one member sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterStatus {
    /// This member.
    pub id: ConsenterId,
    /// All members, in the order of the config in force.
    pub members: Vec<ConsenterId>,
    /// Its term.
    pub term: u64,
    /// Who leads in that term, if anybody is known to.
    pub leader: Option<ConsenterId>,
    /// Members that the leader has heard of lately, itself included; empty while that is not known.
    pub active: Vec<ConsenterId>,
    /// While nobody leads: how many members this one has heard of lately, itself included.
    pub answering: Option<usize>,
    /// What keeps the channel from ordering now, in words for an operator; none while it orders.
    pub trouble: Option<String>,
}

/// The life of a chain; it only moves down this list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Made, not started.
    NotStarted,
    /// Ordering.
    Running,
    /// Ordering what was taken in, taking in nothing.
    Halting,
    /// Ended, everything taken in is durable.
    Halted,
    /// Broken.
    Failed(ChainFailure),
}

impl Phase {
    /// True at an end.
    pub fn is_over(&self) -> bool {
        matches!(self, Self::Halted | Self::Failed(_))
    }

    /// Place in the order; both ends are last.
    pub(crate) fn rank(&self) -> u8 {
        match self {
            Self::NotStarted => 0,
            Self::Running => 1,
            Self::Halting => 2,
            Self::Halted | Self::Failed(_) => 3,
        }
    }
}

/// Why a cluster message was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReceiveError {
    /// The consenter type has no other orderers.
    #[error("a {consenter} chain takes no cluster messages")]
    NoCluster {
        /// The type's name.
        consenter: &'static str,
    },
    /// Not started, or ended.
    #[error("chain is stopped")]
    Stopped,
    /// Messages come faster than they are worked off.
    #[error("the inbox is full")]
    Full,
    /// It cannot be what it says, or not from `from`. Counted; the consenter never sees it.
    #[error("bad message: {reason}")]
    Bad {
        /// What is wrong.
        reason: String,
    },
}
