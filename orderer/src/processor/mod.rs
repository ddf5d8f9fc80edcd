//! What an envelope must be before it is offered to a chain.
//!
//! ```text
//! bytes -> Opened -> classify -> maintenance -> empty -> size -> expiry -> signer may write -> signature
//!                                                                         (policy, cached)     (batched) |
//!                                    Checked, ready to be ordered <── normal ── Verdict <────────────────'
//!                                    Admitted, see `config_update` <─ update ──'
//! ```
//!
//! Everything is a function of the envelope, one [`Rules`] and the time. The signature comes last and apart:
//! [`Rules::prepare`] does all before it, [`Prepared::signature`] says what is to be verified, and
//! [`Prepared::verdict`] takes the answer. So a caller may verify the signatures of many envelopes as one batch,
//! and [`process`] verifies one alone.
//!
//! | module | holds |
//! |---|---|
//! | [`error`] | [`ProcessError`] and the status of each of its cases |
//! | [`rules`] | [`Rules`]: a config, and the signers found to be allowed under it |
//! | [`config_update`] | what becomes of a `CONFIG_UPDATE` |
//! | [`filter`] | the single checks |
//!
//! The order of the checks and their texts are those of `docs/spec/behaviour.md` §1.2, §1.3.

pub mod config_update;
pub mod error;
pub mod filter;
pub mod rules;

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use protos::envelope::Opened;
use protos::wire::common::HeaderType;

pub use config_update::{Admitted, Proposer};
pub use error::ProcessError;
pub use rules::{Checked, Prepared, Rules, Verdict};

/// How an envelope is treated; chosen by its header type alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Ordered as it is. Every type without a meaning of its own, unknown numbers too.
    Normal,
    /// Asks for another config.
    ConfigUpdate,
}

impl Class {
    /// How an envelope of this class is told that a filter refused it.
    fn refusal(self, error: ProcessError) -> ProcessError {
        match self {
            Self::Normal => error,
            Self::ConfigUpdate => ProcessError::InitialChecks(Box::new(error)),
        }
    }
}

/// Looks at the header type (`docs/spec/rules.md` §3).
pub fn classify(header_type: i32) -> Result<Class, ProcessError> {
    match HeaderType::try_from(header_type) {
        Ok(HeaderType::ConfigUpdate) => Ok(Class::ConfigUpdate),
        Ok(HeaderType::Config) => Err(ProcessError::NotDirect),
        Ok(HeaderType::OrdererTransaction) => Err(ProcessError::NoLongerSupported),
        _ => Ok(Class::Normal),
    }
}

/// Opens a received envelope.
pub fn open(received: Bytes) -> Result<Opened, ProcessError> {
    Opened::open(received).map_err(ProcessError::Unreadable)
}

/// Takes one received envelope through all checks on itself, its signature verified singly.
///
/// `rules_of` finds the rules of a channel by its name; none when this node does not have the channel.
pub fn process<F>(received: Bytes, rules_of: F, now: SystemTime) -> Result<Verdict, ProcessError>
where
    F: FnOnce(&str) -> Option<Arc<Rules>>,
{
    let opened = open(received)?;
    let channel = &opened.channel_header.channel_id;
    let rules = rules_of(channel).ok_or(ProcessError::UnknownChannel)?;
    let prepared = rules.prepare(opened, now)?;
    let verified = prepared.signature().verify();
    prepared.verdict(verified)
}

#[cfg(test)]
mod tests;
