//! Cuts a stream of envelopes into batches.
//!
//! ```text
//! envelope ──> Receiver::ordered ──> Ordered { batches: at most two, pending }
//!    timer ──> Receiver::cut     ──> batch
//! ```
//!
//! | module | holds |
//! |---|---|
//! | [`receiver`] | [`Receiver`], [`Ordered`], [`Batches`] |
//! | [`limits`] | [`BatchLimits`], checked when made |
//!
//! What one call of [`Receiver::ordered`] does (`docs/spec/behaviour.md` §3; sizes are payload plus
//! signature bytes; the first row that fits counts):
//!
//! | the envelope | nothing was pending | something was pending |
//! |---|---|---|
//! | is larger than `preferred_max_bytes` | a batch of it alone | two batches: what was pending, then it alone |
//! | would take pending above `preferred_max_bytes` | cannot be | a batch of what was pending; then as if nothing was |
//! | is number `max_message_count` | a batch of it alone | a batch of all |
//! | else | pending | pending |
//!
//! Envelopes leave in the order they came, each once. Two envelopes that fill the preferred size exactly
//! stay together.
//!
//! Not here: the batch timer (the caller's; it runs exactly while [`Ordered::pending`] is true), config
//! messages (the caller cuts, then orders them alone), and `absolute_max_bytes` (enforced at intake).

pub mod limits;
pub mod receiver;

pub use limits::{BatchLimits, LimitsError};
pub use receiver::{Batches, Ordered, Receiver};
