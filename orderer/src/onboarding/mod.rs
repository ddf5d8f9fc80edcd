//! Channels of which this node is no consenter: it takes the blocks from others and keeps them.
//!
//! ```text
//! join block J ──> blocks 0 to J from those that J lists; at J the header must be J's ──> follow the channel
//! no join block ────────────────────────────────────────────────────────────────────────┘   │
//!                        Host::config_in_force, at J and at each config block above it <────┘
//! ```
//!
//! | module | holds |
//! |---|---|
//! | [`follower`] | [`Follower`]: takes blocks until it is stopped |
//! | [`host`] | [`Host`]: whoever runs a follower; how a follower stands and ends |
//! | `genesis` | which block 0 |
//!
//! New blocks come by a stream as soon as they are made; nothing is polled but, now and then, the heights of others.
//! Source: `docs/spec/behaviour.md` §7, §4.3, §4.4.

pub mod follower;
mod genesis;
pub mod host;
#[cfg(test)]
mod tests;

pub use follower::{Follower, Following, JoinBlock, JoinBlockError};
pub use host::{FollowerEnd, FollowerState, FollowerStatus, GoOn, Host};

/// Logger of followers; the name is the one operators know from the reference.
pub const LOGGER: &str = "orderer.common.onboarding";
