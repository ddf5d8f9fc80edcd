//! The channels of this node.
//!
//! ```text
//! Manager ── name ──> Channel ──> Chain (consensus) ── ConsenterSupport ──> ChainSupport ──> BlockWriter ──> ledger
//!                        └──────────────────── rules in force, reader, heights ──────────────┘
//! ```
//!
//! | module | holds |
//! |---|---|
//! | [`manager`] | [`Manager`]: opens all channels at start, finds, lists and joins them |
//! | [`join`] | what a join block must be; the join file |
//! | [`channel`] | [`Channel`]: one channel, what this node does on it, and its health |
//! | [`membership`] | whether this node orders a channel or follows it |
//! | [`others`] | [`Others`](others::Others): the seam to the other orderers |
//! | [`view`] | [`View`](view::View): the config in force and the blocks, for readers |
//! | [`chain_support`] | [`ChainSupport`]: what a channel lends to its chain |
//! | [`block_writer`] | metadata, signature, append and sync |
//! | [`writer_pool`] | the threads for that |
//! | [`disk_space`] | the pause while the disk is full |
//! | `intake`, `reading`, `receivers`, `registrar` | the Manager as Broadcast, Deliver, other orderers and the admin API see it |
//! | `remove` | taking a channel off this node |
//! | [`refused`] | a committed config that does not follow the one in force, and its report |
//! | `update` | a config update handed in over REST |
//! | [`health`] | starting, running, following, quarantined |
//!
//! Kept here: one channel's fault ends in its [`Health`], and the others do not notice.

pub mod block_writer;
pub mod chain_support;
pub mod channel;
pub mod disk_space;
#[cfg(test)]
mod fakes;
pub mod health;
mod intake;
pub mod join;
pub mod manager;
pub mod membership;
pub mod others;
mod reading;
mod receivers;
pub mod refused;
pub mod registrar;
mod remove;
mod update;
pub mod view;
pub mod writer_pool;

pub use chain_support::ChainSupport;
pub use channel::Channel;
pub use health::Health;
pub use manager::Manager;

/// Logger of this part; the name is the one operators know from the reference.
pub const LOGGER: &str = "orderer.common.multichannel";
