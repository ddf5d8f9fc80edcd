//! Policies over the policies of the direct sub-groups.

use std::sync::Arc;

use protos::wire::common::ImplicitMetaPolicy;
use protos::wire::common::implicit_meta_policy::Rule;

use super::Policy;
use crate::identity::Identity;

#[derive(Debug)]
pub(super) struct ImplicitMeta {
    /// One for each sub-group that has the policy; the others never hold.
    policies: Vec<Arc<Policy>>,
    sub_groups: usize,
    threshold: Threshold,
}

#[derive(Debug, PartialEq, Eq)]
enum Threshold {
    AtLeast(usize),
    /// What the reference makes of a rule number it does not know. Intake refuses it; a committed block that
    /// has it must be judged alike on every node.
    None,
}

impl ImplicitMeta {
    /// `sub_groups` are the policies of that name, one entry for each direct sub-group.
    pub(super) fn new(wire: &ImplicitMetaPolicy, sub_groups: Vec<Option<Arc<Policy>>>) -> Self {
        let threshold = threshold(wire.rule, sub_groups.len());
        Self {
            sub_groups: sub_groups.len(),
            policies: sub_groups.into_iter().flatten().collect(),
            threshold,
        }
    }

    /// True when the rule's number means nothing (`docs/spec/rules.md` §9).
    pub(super) fn is_unknown(&self) -> bool {
        self.threshold == Threshold::None
    }

    /// The policies of that name that the sub-groups have.
    pub(super) fn policies(&self) -> &[Arc<Policy>] {
        &self.policies
    }

    /// How many sub-groups there are.
    pub(super) fn sub_groups(&self) -> usize {
        self.sub_groups
    }

    /// How many policies must hold; none when the rule means nothing.
    pub(super) fn needed(&self) -> Option<usize> {
        match self.threshold {
            Threshold::AtLeast(count) => Some(count),
            Threshold::None => None,
        }
    }

    pub(super) fn holds(&self, identities: &[Arc<Identity>]) -> bool {
        let mut holding = self.policies.iter().filter(|policy| policy.holds(identities));
        match self.threshold {
            Threshold::AtLeast(0) => true,
            Threshold::AtLeast(count) => holding.nth(count - 1).is_some(),
            Threshold::None => holding.next().is_none(),
        }
    }
}

fn threshold(rule: i32, sub_groups: usize) -> Threshold {
    match Rule::try_from(rule) {
        Ok(_) if sub_groups == 0 => Threshold::AtLeast(0),
        Ok(Rule::Any) => Threshold::AtLeast(1),
        Ok(Rule::All) => Threshold::AtLeast(sub_groups),
        Ok(Rule::Majority) => Threshold::AtLeast(sub_groups / 2 + 1),
        Err(_) => Threshold::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds_follow_the_number_of_sub_groups() {
        for (sub_groups, any, all, majority) in [
            (0, 0, 0, 0),
            (1, 1, 1, 1),
            (2, 1, 2, 2),
            (3, 1, 3, 2),
            (4, 1, 4, 3),
        ] {
            for (rule, expected) in [(Rule::Any, any), (Rule::All, all), (Rule::Majority, majority)] {
                assert_eq!(
                    threshold(rule as i32, sub_groups),
                    Threshold::AtLeast(expected),
                    "{rule:?}"
                );
            }
        }
        assert_eq!(threshold(3, 2), Threshold::None);
        assert_eq!(threshold(-1, 2), Threshold::None);
    }
}
