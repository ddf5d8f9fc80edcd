//! Why an update does not apply to a config.

use std::fmt;

use protos::ChannelId;

use crate::policy::SignerName;
use crate::tree::{IllegalKey, Key, KeyError, MissingMember};

/// Unmet policies that a text names; the others are counted.
const SHOWN_MAX: usize = 3;

/// Why an update does not apply. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UpdateError {
    /// Not the message it should be.
    #[error("{what} does not decode: {source}")]
    Decode {
        /// Which message.
        what: &'static str,
        /// Where decoding failed.
        source: prost::DecodeError,
    },
    /// It was made for another channel.
    #[error("config update is for channel {found:?}, this is channel {expected}")]
    Channel {
        /// The channel it names.
        found: String,
        /// The channel it came to.
        expected: ChannelId,
    },
    /// A key in one of its sets is illegal.
    #[error("{set}: {source}")]
    Key {
        /// Which set.
        set: Set,
        /// The key.
        source: IllegalKey,
    },
    /// It was computed against something the config does not have.
    #[error(
        "read set has {element}, which the config in force does not have; compute the update from the newest config"
    )]
    ReadMissing {
        /// The element.
        element: Key,
    },
    /// It was computed against another config.
    #[error(
        "read set has {element} at version {found}, the config in force has it at version {current}; compute the \
         update from the newest config"
    )]
    ReadVersion {
        /// The element.
        element: Key,
        /// Version in the read set.
        found: u64,
        /// Version in the config.
        current: u64,
    },
    /// It changes nothing.
    #[error(
        "update has no effect: its write set has nothing that its read set does not have at the same version"
    )]
    NoEffect,
    /// A written element without a mod policy.
    #[error("mod_policy of {element} is not set")]
    NoModPolicy {
        /// The element.
        element: Key,
    },
    /// A written element whose mod policy cannot be the name of a policy.
    #[error("mod_policy {mod_policy:?} of {element} has an invalid path element: {reason}")]
    ModPolicy {
        /// The element.
        element: Key,
        /// As written.
        mod_policy: String,
        /// What is wrong.
        reason: KeyError,
    },
    /// A new element that does not begin at 0.
    #[error("{element} is new and written at version {found}, expected 0")]
    NewVersion {
        /// The element.
        element: Key,
        /// As written.
        found: u64,
    },
    /// A changed element that is not written at the next version.
    #[error(
        "{element} is written at version {found}, expected {}: the config in force has it at version {current}",
        current.wrapping_add(1)
    )]
    Version {
        /// The element.
        element: Key,
        /// As written.
        found: u64,
        /// Version in the config.
        current: u64,
    },
    /// The header of a config signature cannot be read, which spoils the update whatever the others say.
    #[error("header of config signature {index} does not decode: {source}")]
    SignatureHeader {
        /// Which signature, from 0.
        index: usize,
        /// Where decoding failed.
        source: prost::DecodeError,
    },
    /// The signatures are not enough.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// A group lists a member that nobody defines.
    #[error(transparent)]
    Member(#[from] MissingMember),
}

/// One of the two sets of an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Set {
    /// What it was computed against.
    Read,
    /// What it writes.
    Write,
}

impl fmt::Display for Set {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read => "read set",
            Self::Write => "write set",
        })
    }
}

/// Policies that the signatures of an update do not satisfy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Denied {
    /// At least one, in the order of their elements.
    pub unmet: Vec<Unmet>,
    /// Signatures given.
    pub given: usize,
    /// Each signer whose signature counts.
    pub counted: Vec<SignerName>,
}

/// A changed element, and the policy that does not allow the change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unmet {
    /// The element.
    pub element: Key,
    /// Path of the policy.
    pub policy: String,
    /// False when the config has no such policy, so that nobody can change the element.
    pub exists: bool,
}

impl fmt::Display for Unmet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            element,
            policy,
            exists,
        } = self;
        let state = if *exists {
            "is not satisfied"
        } else {
            "does not exist"
        };
        write!(f, "policy {policy} for {element} {state}")
    }
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, unmet) in self.unmet.iter().take(SHOWN_MAX).enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{unmet}")?;
        }
        if let Some(more) = self.unmet.len().checked_sub(SHOWN_MAX).filter(|more| *more > 0) {
            write!(f, " and {more} more")?;
        }
        let (counted, given) = (self.counted.len(), self.given);
        write!(f, "; {counted} of {given} config signatures count")?;
        if counted > 0 {
            let names: Vec<_> = self.counted.iter().map(SignerName::to_string).collect();
            write!(f, ": {}", names.join(", "))?;
        }
        Ok(())
    }
}
