//! Blocks of a channel from the other orderers, none of whom is trusted.
//!
//! | module | holds |
//! |---|---|
//! | [`appender`] | [`Appender`]: where verified blocks go |
//!
//! Source: `docs/spec/behaviour.md` §6.4.

pub mod appender;

pub use appender::{Appender, Tip};
