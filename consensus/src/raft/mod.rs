//! Raft: what a raft channel's config must be, how its members change, and how it is ordered.
//!
//! ```text
//! front end ── Chain ──> driver ── Event ──> core ──> raft-rs
//! cluster ── receive ──>   │    <── Action ──┘
//!                          ├──> log writer ──> RaftLog: one raft-engine for all channels
//!                          ├──> ConsenterSupport ──> ledger
//!                          └──> Transport, BlockSource ──> the other consenters
//! ```
//!
//! | module | holds |
//! |---|---|
//! | [`core`] | what a member does, as a function of events; pure |
//! | `node`, `wire` | raft-rs behind our types; its messages on the wire, checked before it sees them |
//! | [`log`] | what a member must not forget |
//! | [`storage`] | the same on the disk, for all channels of a node |
//! | `log_writer` | the thread that writes it |
//! | [`config`] | [`RaftConsenter`], and what a node chooses for it |
//! | `retire` | what of a log is kept when its channel is removed from this node |
//! | [`ledger_only`] | a log for blocks that came without one; whether a log fits the blocks |
//! | `opening`, `block_metadata` | what a chain begins with; what blocks carry for it |
//! | `chain`, `inbox` | the [`Chain`](crate::Chain) in front of a driver; messages on their way to it |
//! | `driver` | the task around the core |
//! | `notices` | what operators and tools look for in the log of the process |
//! | [`membership`] | who comes and goes between two consenter sets, under which raft ids |
//! | [`validator`] | [`RaftValidator`]: the consenter's part of a config |

mod block_metadata;
mod chain;
pub mod config;
pub mod core;
mod driver;
mod inbox;
pub mod ledger_only;
pub mod log;
mod log_writer;
pub mod membership;
mod node;
mod notices;
mod opening;
mod retire;
pub mod storage;
pub mod validator;
mod wire;

#[cfg(test)]
mod tests;

pub use block_metadata::read_block_metadata;
pub use config::{RaftConsenter, RaftNode};
pub use membership::{MemberChange, MembershipError};
pub use retire::retire;
pub use storage::{BrokenLog, EngineLog};
pub use validator::{RaftMetadataError, RaftValidator};
