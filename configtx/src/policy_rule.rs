//! Policies as operators write them: a type and a rule in text.
//!
//! ```text
//! ImplicitMeta   ANY Readers                                      parse_implicit
//! Signature      OR('Org1MSP.admin', AND('A.peer', 'B.peer'))     parse_signature
//!                OutOf(2, 'A.member', 'B.member', 'C.member')
//! ```
//!
//! A signature rule is a gate; a gate's arguments are principals in quotes and further gates. Principals are
//! numbered inside out: the gates among the arguments first, from left to right, and then the principals that
//! stand beside them. Nothing is shared: who is named twice stands in the policy twice.
//!
//! Source: `docs/spec/tools.md` §2.4.

mod grammar;
#[cfg(test)]
mod tests;

use prost::Message as _;
use protos::wire::common::implicit_meta_policy::Rule;
use protos::wire::common::policy::PolicyType;
use protos::wire::common::{ImplicitMetaPolicy, Policy, SignaturePolicyEnvelope};

use grammar::Parser;

/// How deep gates may stand in each other.
///
/// A node reads policies with a limit of 100 nested messages, and each gate is two of them; whoever writes
/// deeper ones makes a channel that no node can join.
pub const GATES_NESTED_MAX: usize = 32;

/// Why a text is no policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyRuleError {
    /// Neither of the two types.
    #[error("unknown policy type {found:?}: it is ImplicitMeta or Signature")]
    Type {
        /// As given.
        found: String,
    },
    /// Not two words with one blank between them.
    #[error(
        "implicit rule {rule:?} should be two words with one blank between them, such as \"ANY Readers\""
    )]
    ImplicitWords {
        /// As given.
        rule: String,
    },
    /// The first word of an implicit rule is none of the three.
    #[error("implicit rule {rule:?} begins with {found:?}: it is ANY, ALL or MAJORITY")]
    ImplicitQuantity {
        /// As given.
        rule: String,
        /// Its first word.
        found: String,
    },
    /// A signature rule that does not follow the grammar.
    #[error("signature rule {rule:?}, column {column}: {fault}")]
    Signature {
        /// As given.
        rule: String,
        /// Where the fault is, in characters from 1.
        column: usize,
        /// What it is.
        fault: Fault,
    },
}

/// What is wrong in a signature rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Something else was expected there.
    #[error("expected {expected}, found {found}")]
    Expected {
        /// What.
        expected: &'static str,
        /// What stands there.
        found: String,
    },
    /// No gate has this name.
    #[error("unknown gate {found:?}: it is AND, And, OR, Or, OutOf, OUTOF or outof")]
    Gate {
        /// As given.
        found: String,
    },
    /// A principal without a known role.
    #[error("principal {found:?} does not end in .member, .admin, .client, .peer or .orderer")]
    Role {
        /// The text in quotes.
        found: String,
    },
    /// A principal whose MSP id a rule cannot express.
    #[error("MSP id {found:?} in a rule is made of letters, digits, dots and dashes")]
    MspId {
        /// As given.
        found: String,
    },
    /// A gate around nothing.
    #[error("a gate needs at least one principal or gate in it")]
    Empty,
    /// More signatures than could ever be given.
    #[error("{n} of {arguments} can never be met")]
    TooMany {
        /// How many it asks for.
        n: u32,
        /// How many it has.
        arguments: usize,
    },
    /// Gates in gates in gates.
    #[error("gates stand in each other deeper than {GATES_NESTED_MAX}")]
    TooDeep,
}

/// The policy of type `kind`, which is `ImplicitMeta` or `Signature`, that `rule` describes.
pub fn parse_policy(kind: &str, rule: &str) -> Result<Policy, PolicyRuleError> {
    let (kind, value) = match kind {
        "ImplicitMeta" => (PolicyType::ImplicitMeta, parse_implicit(rule)?.encode_to_vec()),
        "Signature" => (PolicyType::Signature, parse_signature(rule)?.encode_to_vec()),
        _ => {
            return Err(PolicyRuleError::Type {
                found: kind.to_owned(),
            });
        }
    };
    Ok(Policy {
        r#type: kind as i32,
        value: value.into(),
    })
}

/// Reads `ANY`, `ALL` or `MAJORITY` with the name of the policies one level below, which may be any text
/// without blanks.
pub fn parse_implicit(rule: &str) -> Result<ImplicitMetaPolicy, PolicyRuleError> {
    let words = rule.split_once(' ').filter(|(_, name)| !name.contains(' '));
    let Some((quantity, sub_policy)) = words else {
        return Err(PolicyRuleError::ImplicitWords {
            rule: rule.to_owned(),
        });
    };
    let parsed = match quantity {
        "ANY" => Rule::Any,
        "ALL" => Rule::All,
        "MAJORITY" => Rule::Majority,
        _ => {
            return Err(PolicyRuleError::ImplicitQuantity {
                rule: rule.to_owned(),
                found: quantity.to_owned(),
            });
        }
    };
    Ok(ImplicitMetaPolicy {
        sub_policy: sub_policy.to_owned(),
        rule: parsed as i32,
    })
}

/// Reads a gate over principals and gates.
///
/// `OutOf` takes a number from 0 to one more than it has arguments, with or without quotes. Blanks may stand
/// between all parts, a comma behind the last argument.
pub fn parse_signature(rule: &str) -> Result<SignaturePolicyEnvelope, PolicyRuleError> {
    let mut parser = Parser::new(rule);
    parser.whole_rule().map_err(|fault| PolicyRuleError::Signature {
        rule: rule.to_owned(),
        column: parser.column(),
        fault,
    })
}
