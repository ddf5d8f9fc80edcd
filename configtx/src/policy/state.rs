//! What a policy asks for, and how far some signers have come with it: for people who gather signatures.

use std::sync::Arc;

use super::implicit::ImplicitMeta;
use super::signature::SignaturePolicy;
use super::{Policy, Rule};
use crate::identity::Identity;

/// How a policy stands with some signers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyState {
    /// Its path.
    pub path: String,
    /// Whether the signers satisfy it.
    pub satisfied: bool,
    /// What it asks for.
    pub asks: Asks,
}

/// What a policy asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asks {
    /// Signatures of principals.
    Signatures {
        /// The rule in words, like `1 of [Org1MSP.admin]`.
        rule: String,
        /// Those of the signers that are one of its principals.
        signed: Vec<SignerName>,
        /// Its principals that none of the signers is.
        open: Vec<String>,
    },
    /// Policies of sub-groups.
    SubPolicies {
        /// How many must hold; none for a rule without a meaning, which holds exactly when no sub-policy does.
        needed: Option<usize>,
        /// How many sub-groups there are; those without such a policy count and never hold.
        sub_groups: usize,
        /// The policies that there are.
        parts: Vec<PolicyState>,
    },
}

/// Who signed, in words.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SignerName {
    /// The MSP of the signer.
    pub msp_id: String,
    /// Subject of the signer's certificate.
    pub subject: String,
}

impl Identity {
    /// The identity in words.
    pub fn name(&self) -> SignerName {
        SignerName {
            msp_id: self.msp_id().to_owned(),
            subject: self.certificate().subject().to_owned(),
        }
    }
}

impl std::fmt::Display for SignerName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.msp_id, self.subject)
    }
}

impl PolicyState {
    /// Everybody who signed and whom the policy, or a policy below it, asks for; each once.
    pub fn signed(&self) -> Vec<SignerName> {
        let mut names = match &self.asks {
            Asks::Signatures { signed, .. } => signed.clone(),
            Asks::SubPolicies { parts, .. } => parts.iter().flat_map(Self::signed).collect(),
        };
        names.sort();
        names.dedup();
        names
    }

    /// The principals whose signatures would bring the policy further; each once, none when it is satisfied.
    pub fn could_sign(&self) -> Vec<String> {
        if self.satisfied {
            return Vec::new();
        }
        let mut principals = match &self.asks {
            Asks::Signatures { open, .. } => open.clone(),
            Asks::SubPolicies { parts, .. } => parts.iter().flat_map(Self::could_sign).collect(),
        };
        principals.sort();
        principals.dedup();
        principals
    }
}

impl Policy {
    /// How the policy stands when `identities` have signed.
    pub fn state(&self, identities: &[Arc<Identity>]) -> PolicyState {
        PolicyState {
            path: self.path().to_owned(),
            satisfied: self.holds(identities),
            asks: match &self.rule {
                Rule::Signature(rule) => signatures(rule, identities),
                Rule::ImplicitMeta(rule) => sub_policies(rule, identities),
            },
        }
    }
}

fn signatures(rule: &SignaturePolicy, identities: &[Arc<Identity>]) -> Asks {
    let principals = rule.principals();
    let is_asked = |identity: &&Arc<Identity>| principals.iter().any(|one| identity.satisfies(one));
    let is_open = |principal: &&crate::identity::Principal| {
        !identities.iter().any(|identity| identity.satisfies(principal))
    };
    Asks::Signatures {
        rule: rule.to_string(),
        signed: identities.iter().filter(is_asked).map(|one| one.name()).collect(),
        open: principals
            .iter()
            .filter(is_open)
            .map(ToString::to_string)
            .collect(),
    }
}

fn sub_policies(rule: &ImplicitMeta, identities: &[Arc<Identity>]) -> Asks {
    let parts = rule.policies().iter();
    Asks::SubPolicies {
        needed: rule.needed(),
        sub_groups: rule.sub_groups(),
        parts: parts.map(|policy| policy.state(identities)).collect(),
    }
}
