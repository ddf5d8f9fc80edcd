//! Who may do what: policies by path, evaluated over signatures (`docs/spec/rules.md` §6, §9).
//!
//! ```text
//! [SignedData] --verify, one by one--> [Identity] --Policy--> satisfied or not
//! ```
//!
//! | module | holds |
//! |---|---|
//! | `signature` | n-of trees over principals, each identity used once |
//! | `implicit` | any, all or the majority of the sub-groups' policies |
//! | `state` | [`PolicyState`]: how far some signers have come, in words |
//! | `tree` | [`PolicyTree`]: the policies of a configuration by path |

mod implicit;
mod signature;
mod state;
mod tree;

use std::fmt;
use std::sync::Arc;

use crate::identity::{Identity, MspManager};

use implicit::ImplicitMeta;
use signature::SignaturePolicy;
pub use state::{Asks, PolicyState, SignerName};
pub use tree::{PolicyFault, PolicyTree, PolicyTreeError};

/// One signature, as it arrives.
#[derive(Clone, Copy, Debug)]
pub struct SignedData<'a> {
    /// The encoded `SerializedIdentity` of the signer.
    pub identity: &'a [u8],
    /// The bytes that were signed.
    pub data: &'a [u8],
    /// The signature.
    pub signature: &'a [u8],
}

/// Why a policy says no.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// The signatures that count are not enough.
    #[error("policy {policy} is not satisfied by {accepted} accepted of {given} signatures")]
    NotSatisfied {
        /// Its path.
        policy: String,
        /// Signatures given.
        given: usize,
        /// Identities whose signature verified.
        accepted: usize,
    },
    /// There is no such policy, which is one that always says no.
    #[error("policy {policy:?} does not exist")]
    Unknown {
        /// As it was asked for.
        policy: String,
    },
}

/// One compiled policy.
pub struct Policy {
    path: String,
    msps: Arc<MspManager>,
    rule: Rule,
}

enum Rule {
    Signature(SignaturePolicy),
    ImplicitMeta(ImplicitMeta),
}

impl Policy {
    /// Its absolute path, such as `/Channel/Writers`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Verifies the signatures, each by itself, and evaluates over the identities behind the good ones.
    pub fn evaluate(&self, signed: &[SignedData<'_>]) -> Result<(), PolicyError> {
        let accepted = accepted_identities(&self.msps, signed);
        self.decide(&accepted, signed.len())
    }

    /// Evaluates over identities whose signatures are known to be good and of which each occurs once.
    pub fn evaluate_identities(&self, identities: &[Arc<Identity>]) -> Result<(), PolicyError> {
        self.decide(identities, identities.len())
    }

    fn decide(&self, identities: &[Arc<Identity>], given: usize) -> Result<(), PolicyError> {
        if self.holds(identities) {
            return Ok(());
        }
        let (policy, accepted) = (self.path.clone(), identities.len());
        Err(PolicyError::NotSatisfied {
            policy,
            given,
            accepted,
        })
    }

    fn holds(&self, identities: &[Arc<Identity>]) -> bool {
        match &self.rule {
            Rule::Signature(rule) => rule.holds(identities),
            Rule::ImplicitMeta(rule) => rule.holds(identities),
        }
    }
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Policy({})", self.path)
    }
}

/// The identities behind signatures that verify, in order, each once.
///
/// An identity that does not read is skipped, and so is a bad signature; a later good one of the same
/// identity still counts. Nothing is validated here beyond what reading an identity needs.
pub fn accepted_identities(msps: &MspManager, signed: &[SignedData<'_>]) -> Vec<Arc<Identity>> {
    let mut accepted: Vec<Arc<Identity>> = Vec::new();
    for one in signed {
        let Ok(identity) = msps.identity(one.identity) else {
            continue;
        };
        let is_known = accepted.iter().any(|known| known.is_same_signer(&identity));
        if !is_known && identity.verify(one.data, one.signature) {
            accepted.push(identity);
        }
    }
    accepted
}

#[cfg(test)]
mod tests;
