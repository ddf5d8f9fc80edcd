//! Raft: what a raft channel's config must be, and how its members change.
//!
//! | module | holds |
//! |---|---|
//! | [`core`] | what a member does, as a function of events; pure |
//! | [`log`] | what a member must not forget |
//! | `node`, `wire` | raft-rs behind our types; its messages on the wire, checked before it sees them |
//! | [`membership`] | who comes and goes between two consenter sets, under which raft ids |
//! | [`storage`] | the same on the disk, for all channels of a node |
//! | [`validator`] | [`RaftValidator`]: the consenter's part of a config |

pub mod core;
pub mod log;
pub mod membership;
mod node;
pub mod storage;

pub mod validator;
mod wire;

pub use membership::{MemberChange, MembershipError};
pub use storage::{BrokenLog, EngineLog};
pub use validator::{RaftMetadataError, RaftValidator};
