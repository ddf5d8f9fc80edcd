//! Solo: one orderer that orders by itself.
//!
//! ```text
//! enqueue_all ──> mailbox ──> driver ── jobs ──> writer ──> ConsenterSupport
//!                (by bytes)  (core,     <─ events ──┘       (many blocks open)
//!                             timer,
//!                             tickets)
//! ```
//!
//! The channel's consensus type is `solo` and its metadata empty (`docs/spec/rules.md` §8.3); batches and the
//! batch timer follow `docs/spec/behaviour.md` §3.
//!
//! | module | holds |
//! |---|---|
//! | [`core`] | [`SoloCore`](core::SoloCore): events in, actions out; pure |
//! | `driver` | the task around the core |
//! | `writer` | the task that makes blocks and hands them to the support |
//! | `chain` | [`SoloConsenter`], and the chain it makes |

mod chain;
pub mod core;
mod driver;
mod writer;

pub use chain::SoloConsenter;

#[cfg(test)]
mod tests;

/// Name of the consensus type.
pub const SOLO: &str = "solo";
