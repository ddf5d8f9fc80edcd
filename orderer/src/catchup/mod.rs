//! Blocks of a channel from the other orderers, none of whom is trusted.
//!
//! ```text
//! chain ──BlockSource──> channel_source ┐
//! follower (onboarding) ────────────────┴─> driver ──> link: Deliver requests to one source
//!                                             │ plan: whom to ask for what (pure)
//!                                             │ verifier: link, content, signatures, configs (pure)
//!                                             └──> Appender: the channel's ledger
//! ```
//!
//! | module | holds |
//! |---|---|
//! | [`plan`] | whom to ask for which blocks, whom to leave alone; pure |
//! | [`verifier`] | a block against the chain so far; pure |
//! | [`driver`] | carries out a plan |
//! | [`link`] | requests to one source |
//! | [`puller`] | what the node shows and signs with |
//! | [`endpoints`] | the orderers that a config lists |
//! | [`channel_source`] | [`consensus::BlockSource`] |
//! | [`appender`] | [`Appender`]: where verified blocks go |
//! | `report` | what the log says about sources |
//!
//! Source: `docs/spec/behaviour.md` §6.4; blocks come from several sources at once, and nobody is given up (§12).

pub mod appender;
pub mod channel_source;
pub mod driver;
pub mod endpoints;
pub mod link;
pub mod plan;
pub mod puller;
pub(crate) mod report;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
pub mod verifier;

pub use appender::{Appender, Tip};
pub use channel_source::ChannelSource;
pub use puller::{Puller, PullerError};

/// Logger of what is pulled; the name is the one operators know from the reference.
pub const LOGGER: &str = "orderer.common.cluster.replication";
