//! A config update on its way: made, signed by several people, submitted, seen.
//!
//! ```text
//! newest_config ──> edits ──> compute_update ──> UpdateEnvelope ──sign──> file ──sign──> file ...
//!                                                      └──seal──> Broadcast | REST PUT ──> wait_until_ordered
//! ```
//!
//! | module | holds |
//! |---|---|
//! | [`envelope`] | the file that goes from signer to signer |
//! | [`fetch`] | the config in force, from a node |
//! | [`submit`] | handing an update in, and seeing it in a block |

pub mod envelope;
pub mod fetch;
pub mod submit;
#[cfg(test)]
mod tests;

pub use envelope::{UpdateEnvelope, UpdateFileError};
pub use fetch::{FetchError, FetchedConfig, newest_config};
pub use submit::{Ordered, WaitError, wait_until_ordered};
