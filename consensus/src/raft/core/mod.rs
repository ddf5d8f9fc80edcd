//! What a member of a raft channel does, as a function of events.
//!
//! | module | holds |
//! |---|---|
//! | [`event`] | everything that can happen, and what a core begins with |
//! | [`action`] | everything it can want done |

pub mod action;
pub mod event;

pub use action::{Action, Notice};
pub use event::{ConfigInForce, Event, Planted, Start, Tip};
