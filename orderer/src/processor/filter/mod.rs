//! The single checks, each a pure function.
//!
//! | module | refuses |
//! |---|---|
//! | [`maintenance`] | normal messages while the channel is in maintenance |
//! | [`empty`] | an empty payload |
//! | [`size`] | what is above the channel's limit |
//! | [`expiry`] | signers whose certificate has ended |
//! | [`signature`] | signers the policy does not allow |

pub mod empty;
pub mod expiry;
pub mod maintenance;
pub mod signature;
pub mod size;
