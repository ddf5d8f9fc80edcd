//! What a follower tells, and whom it asks.

use std::sync::Arc;

use configtx::Bundle;
use consensus::WriteError;
use protos::{BlockNumber, Height};

/// Whoever runs a follower; asked about each config.
pub trait Host: Send + Sync {
    /// Block `number` is durable and brought `config` into force. Called for the join block and for every config
    /// block above it, never for those below: they were in force before this node came.
    ///
    /// [`GoOn::Stop`] ends the follower before it takes another block.
    fn config_in_force(&self, number: BlockNumber, config: &Arc<Bundle>) -> GoOn;
}

/// Whether a follower goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GoOn {
    /// It follows on.
    Follow,
    /// It ends: the node is a consenter now.
    Stop,
}

/// How a follower stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FollowerStatus {
    /// For `status` of the REST interface.
    pub state: FollowerState,
    /// How many blocks it has, those not durable yet included.
    pub height: Height,
    /// The most blocks that an orderer says to have from which it fetches, as far as it was told.
    pub known: Height,
    /// What keeps it from getting blocks now, in words for an operator; none while it gets them or has all.
    pub trouble: Option<String>,
}

/// Where a follower is (`docs/spec/behaviour.md` §4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FollowerState {
    /// The join block is not in the ledger yet.
    Onboarding,
    /// It is.
    Active,
}

/// How a follower ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FollowerEnd {
    /// It was stopped from outside.
    Stopped,
    /// Its host said so after a config block.
    Consenter,
    /// The ledger takes no more blocks.
    Failed(WriteError),
    /// A bug of ours.
    Panicked(String),
}
