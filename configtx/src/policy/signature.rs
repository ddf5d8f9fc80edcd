//! Signature policies: n-of trees over principals.
//!
//! Evaluation is greedy and never goes back: a `signed_by` takes the first unused identity that fits, rules
//! run left to right without stopping early, and a rule that fails gives back what it took
//! (`docs/spec/rules.md` §9). So the order of signatures and of rules matters.

use std::fmt;
use std::sync::Arc;

use protos::wire::common::signature_policy::Type;
use protos::wire::common::{SignaturePolicy as WireRule, SignaturePolicyEnvelope};

use super::PolicyFault;
use crate::identity::{Identity, MspManager, Principal};

#[derive(Debug)]
pub(super) struct SignaturePolicy {
    principals: Vec<Principal>,
    rule: Rule,
}

#[derive(Debug)]
enum Rule {
    /// Index into the principals.
    SignedBy(usize),
    NOutOf {
        n: i32,
        rules: Vec<Rule>,
    },
}

impl SignaturePolicy {
    /// Nesting is bounded by what the decoder of `envelope` accepted.
    pub(super) fn compile(
        envelope: &SignaturePolicyEnvelope,
        msps: &MspManager,
    ) -> Result<Self, PolicyFault> {
        if envelope.version != 0 {
            return Err(PolicyFault::Version {
                found: envelope.version,
            });
        }
        let rule = envelope.rule.as_ref().ok_or(PolicyFault::NoRule)?;
        let rule = Rule::compile(rule, envelope.identities.len())?;
        let principals = envelope
            .identities
            .iter()
            .map(|principal| msps.principal(principal))
            .collect();
        Ok(Self { principals, rule })
    }

    /// Who may be asked for.
    pub(super) fn principals(&self) -> &[Principal] {
        &self.principals
    }

    fn describe(&self, rule: &Rule) -> String {
        match rule {
            Rule::SignedBy(index) => self.principals[*index].to_string(),
            Rule::NOutOf { n, rules } => {
                let rules: Vec<_> = rules.iter().map(|rule| self.describe(rule)).collect();
                format!("{n} of [{}]", rules.join(", "))
            }
        }
    }

    pub(super) fn holds(&self, identities: &[Arc<Identity>]) -> bool {
        let mut taken = Taken {
            used: vec![false; identities.len()],
            order: Vec::new(),
        };
        self.evaluate(&self.rule, identities, &mut taken)
    }

    /// Leaves `taken` as it was when the rule fails.
    fn evaluate(&self, rule: &Rule, identities: &[Arc<Identity>], taken: &mut Taken) -> bool {
        match rule {
            Rule::SignedBy(index) => {
                let principal = &self.principals[*index];
                let fits = |place: &usize| !taken.used[*place] && identities[*place].satisfies(principal);
                let found = (0..identities.len()).find(fits);
                found.inspect(|place| taken.take(*place)).is_some()
            }
            Rule::NOutOf { n, rules } => {
                let before = taken.order.len();
                let holding = rules
                    .iter()
                    .filter(|rule| self.evaluate(rule, identities, taken))
                    .count();
                let holds = usize::try_from(*n).is_ok_and(|n| holding >= n) || *n <= 0;
                if !holds {
                    taken.give_back(before);
                }
                holds
            }
        }
    }
}

impl fmt::Display for SignaturePolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.describe(&self.rule))
    }
}

impl Rule {
    fn compile(rule: &WireRule, principals: usize) -> Result<Self, PolicyFault> {
        match rule.r#type.as_ref().ok_or(PolicyFault::NoRule)? {
            Type::SignedBy(index) => usize::try_from(*index)
                .ok()
                .filter(|place| *place < principals)
                .map(Self::SignedBy)
                .ok_or(PolicyFault::Index {
                    index: *index,
                    principals,
                }),
            Type::NOutOf(gate) => {
                let rules = gate.rules.iter().map(|rule| Self::compile(rule, principals));
                Ok(Self::NOutOf {
                    n: gate.n,
                    rules: rules.collect::<Result<_, _>>()?,
                })
            }
        }
    }
}

/// Which identities are used up, and in which order they were.
struct Taken {
    used: Vec<bool>,
    order: Vec<usize>,
}

impl Taken {
    fn take(&mut self, place: usize) {
        self.used[place] = true;
        self.order.push(place);
    }

    fn give_back(&mut self, keep: usize) {
        self.order
            .drain(keep..)
            .for_each(|place| self.used[place] = false);
    }
}
