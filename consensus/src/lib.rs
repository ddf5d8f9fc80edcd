//! Consenter traits, the solo consenter and the raft consenter.
//!
//! ```text
//! front end ── Chain::enqueue ──> driver ── Event ──> core
//!     ^                             │  <── Action ──────┘
//!     └──────── Ticket ─────────────┤
//!                                   └── ConsenterSupport::write_block ──> ledger (through orderer)
//! ```
//!
//! | module | holds |
//! |---|---|
//! | [`chain`] | [`Chain`], [`Submission`], the errors and states a caller sees |
//! | [`ticket`] | [`Tickets`], [`Ticket`]: what became of a submission; [`Completion`], their other end |
//! | [`meter`] | what chains tell about their work, and what waits in them |
//! | [`support`] | [`ConsenterSupport`], [`Revalidate`]: what the orderer lends to a chain |
//! | [`transport`], [`block_source`] | the other orderers: messages to and from them, and their blocks |
//! | `mailbox`, `open_tickets`, `backlog` | what callers and drivers share: submissions by bytes, tickets without outcome |
//! | `stopwatch` | the times of a driver, for the meter |
//! | `life`, `batch_timer` | what chains share: their phases, and what their drivers wait on |
//! | [`consenter`] | [`Consenter`], [`MetadataValidator`], and the tables of both by name |
//! | [`solo`] | one orderer that orders by itself |
//! | [`raft`] | a cluster that orders by raft |
//! | [`bft`] | what the configs of such channels must be; this build does not run them |
//!
//! A consenter is two parts. Its core is a pure function of events: no clock, thread, randomness or `tokio`,
//! so that simulation runs the same code. Its driver is the tasks that carry out the core's actions in order.
//!
//! Kept here: an accepted submission is in exactly one block, or its ticket says why not; blocks are handed to
//! the support in order of their numbers; a config message is alone in its block and nothing is ordered between
//! it and its coming into force.
//!
//! Not here: the ledger, signatures, filters and policies. They are the support's.

mod backlog;
mod batch_timer;
pub mod bft;
pub mod block_source;
pub mod chain;
pub mod consenter;
mod life;
mod mailbox;
pub mod meter;
mod open_tickets;
pub mod raft;
pub mod solo;
mod stopwatch;
pub mod support;
#[cfg(test)]
mod testing;
pub mod ticket;
pub mod transport;

pub use block_source::BlockSource;
pub use chain::{Chain, ChainFailure, ChainStatus, ClusterStatus, Ended, EnqueueError, Phase, ReceiveError};
pub use chain::{Submission, SubmissionKind};
pub use consenter::{
    ConfigChange, Consenter, ConsenterMetadata, HandleChainError, Members, MetadataError, RemovedChain,
};
pub use consenter::{MetadataValidator, NotAvailable, Table, consenters, metadata_validators};
pub use support::{BatchConfig, ConsenterSupport, Revalidate, RevalidateError, WriteError};
pub use ticket::{Completion, Outcome, Ticket, TicketError, Tickets};
pub use transport::{ClusterMessage, ForwardMark, MessageKind, Peer, SendError, Transport};
