//! What is wrong with a cluster, and what to do next: nodes, clocks, certificates against the config in force, members
//! that can be reached.
//!
//! ```text
//! status ──> nodes ───────────┐
//! config block ──> channel ───┼──> Finding, Finding, ... ──> Diagnosis ──> text, JSON
//!        └─> dial (each consenter, as a peer would)
//! ```
//!
//! | module | holds |
//! |---|---|
//! | [`finding`] | what was found, and how it is shown |
//! | [`nodes`] | what nodes say of themselves, with what to do about it |
//! | [`channel`] | the consenters of a config against what they show |
//! | [`dial`] | one TLS handshake that is judged and not refused |
//!
//! Nothing is changed: this only looks.

pub mod channel;
pub mod dial;
pub mod finding;
pub mod nodes;

pub use finding::{Diagnosis, Finding, Severity};
