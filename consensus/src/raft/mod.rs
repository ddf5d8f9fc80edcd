//! Raft: what a raft channel's config must be, and how its members change.
//!
//! | module | holds |
//! |---|---|
//! | [`core`] | what a member does, as a function of events; pure |
//! | [`log`] | what a member must not forget |
//! | [`membership`] | who comes and goes between two consenter sets, under which raft ids |
//! | [`storage`] | the same on the disk, for all channels of a node |
//! | [`validator`] | [`RaftValidator`]: the consenter's part of a config |

pub mod core;
pub mod log;
pub mod membership;
pub mod storage;
pub mod validator;

pub use membership::{MemberChange, MembershipError};
pub use storage::{BrokenLog, EngineLog};
pub use validator::{RaftMetadataError, RaftValidator};
