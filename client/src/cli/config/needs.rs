//! Which policies an update needs and what they have, in lines of text or as JSON.

use configtx::explain::{AskedPolicy, ChangedElement, Explanation, Fate};
use configtx::policy::{Asks, PolicyState};
use serde_json::{Value, json};

use crate::config_change::facts::plain;

const STEP: &str = "  ";

/// Each policy with what it asks for, and what no policy can help.
pub(super) fn policies(explanation: &Explanation) -> Vec<String> {
    let mut lines = Vec::new();
    for policy in explanation.policies.values() {
        describe(policy, 1, &mut lines);
    }
    lines.extend(explanation.elements.iter().filter_map(hopeless));
    lines
}

fn hopeless(element: &ChangedElement) -> Option<String> {
    let key = &element.key;
    match &element.policy {
        AskedPolicy::Missing(path) => Some(format!(
            "{STEP}{path}, which does not exist: nobody can change {key}"
        )),
        _ if element.fate == Fate::Lost => {
            Some(format!("{STEP}warning: {key} is in no group and would be lost"))
        }
        AskedPolicy::None | AskedPolicy::Known(_) => None,
    }
}

/// A policy, and below it those that it counts.
fn describe(policy: &PolicyState, depth: usize, lines: &mut Vec<String>) {
    let (indent, path) = (STEP.repeat(depth), &policy.path);
    let state = if policy.satisfied {
        "satisfied"
    } else {
        "not satisfied"
    };
    match &policy.asks {
        Asks::Signatures { rule, signed, .. } => {
            let names: Vec<_> = signed.iter().map(|one| plain(&one.subject)).collect();
            let by = if names.is_empty() {
                String::new()
            } else {
                format!(", signed by {}", names.join(" and "))
            };
            lines.push(format!("{indent}{path}: {}: {state}{by}", plain(rule)));
        }
        Asks::SubPolicies {
            needed,
            sub_groups,
            parts,
        } => {
            let has = parts.iter().filter(|part| part.satisfied).count();
            let needed = needed.map_or_else(|| "an unknown number".to_owned(), |needed| needed.to_string());
            lines.push(format!(
                "{indent}{path}: {needed} of {sub_groups}, has {has}: {state}"
            ));
            for part in parts {
                describe(part, depth.saturating_add(1), lines);
            }
        }
    }
}

/// Who signed.
pub(super) fn signatures(explanation: &Explanation) -> Vec<String> {
    let Explanation { given, counted, .. } = explanation;
    if *given == 0 {
        return vec!["signed by nobody".to_owned()];
    }
    let name = |(msp_id, subject): (&str, &str)| format!("{STEP}{}, {}", plain(msp_id), plain(subject));
    let mut lines = vec!["signed by".to_owned()];
    lines.extend(counted.iter().map(|one| name((&one.msp_id, &one.subject))));
    let ignored = given.saturating_sub(counted.len());
    if ignored > 0 {
        lines.push(format!(
            "{STEP}{ignored} more, which do not count: unknown, wrong or repeated"
        ));
    }
    lines
}

/// Whose signatures would help, each once.
pub(super) fn missing(explanation: &Explanation) -> Vec<String> {
    let mut missing: Vec<_> = explanation
        .policies
        .values()
        .flat_map(PolicyState::could_sign)
        .collect();
    missing.sort();
    missing.dedup();
    missing
}

/// A policy, its parts inside.
pub(super) fn policy_json(policy: &PolicyState) -> Value {
    let asks = match &policy.asks {
        Asks::Signatures { rule, .. } => json!({ "rule": rule }),
        Asks::SubPolicies {
            needed,
            sub_groups,
            parts,
        } => json!({
            "needed": needed,
            "of": sub_groups,
            "parts": parts.iter().map(policy_json).collect::<Vec<_>>(),
        }),
    };
    let signed: Vec<_> = policy.signed().iter().map(ToString::to_string).collect();
    json!({
        "path": policy.path,
        "satisfied": policy.satisfied,
        "asks": asks,
        "signed": signed,
        "missing": policy.could_sign(),
    })
}
