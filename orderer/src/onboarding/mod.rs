//! Channels of which this node is no consenter: it takes the blocks from others and keeps them.
//!
//! | module | holds |
//! |---|---|
//! | [`host`] | [`Host`]: whoever runs a follower; how a follower stands and ends |
//!
//! Source: `docs/spec/behaviour.md` §7.

pub mod host;

pub use host::{FollowerEnd, FollowerState, FollowerStatus, GoOn, Host};
