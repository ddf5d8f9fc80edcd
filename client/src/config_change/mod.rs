//! What a config update changes, in terms that people read.
//!
//! ```text
//! Config, Config ──> changes() ──> [Change] ──> Tree (Display) | JSON
//!                       │
//!                       └── facts: a value's message as label and text, side by side for old and new
//! ```
//!
//! | module | holds |
//! |---|---|
//! | [`facts`] | a value's content, by the place where it stands |
//! | [`policy_text`] | a policy in the words that operators write |
//! | [`certificate`] | certificates and revocation lists in one line |
//! | [`tree`] | changes as an indented tree, with or without colours |
//!
//! Every text that may have come from somebody else is shown without its control characters.

pub mod certificate;
pub mod facts;
pub mod policy_text;
#[cfg(test)]
mod tests;
pub mod tree;

use std::collections::{BTreeMap, BTreeSet};

use configtx::tree::{Key, Kind, ROOT};
use protos::wire::common::{ConfigGroup, ConfigPolicy, ConfigValue};
use serde::{Serialize, Serializer};

use facts::Fact;

/// One element that is not what it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Which element.
    #[serde(flatten, serialize_with = "as_path_and_kind")]
    pub key: Key,
    /// Its version before; none when it is new.
    pub old_version: Option<u64>,
    /// Its version after; none when it is gone.
    pub new_version: Option<u64>,
    /// What differs in it.
    pub details: Vec<Detail>,
}

/// One part of an element's content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Detail {
    /// What it is called.
    pub name: String,
    /// As it was; none when it is new.
    pub old: Option<String>,
    /// As it will be; none when it is gone.
    pub new: Option<String>,
}

/// How an element changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// It is another.
    Changed,
}

impl Change {
    /// How the element changed.
    pub fn what(&self) -> What {
        what(self.old_version.as_ref(), self.new_version.as_ref())
    }
}

impl Detail {
    /// How this part changed.
    pub fn what(&self) -> What {
        what(self.old.as_ref(), self.new.as_ref())
    }
}

fn what<T>(old: Option<&T>, new: Option<&T>) -> What {
    match (old, new) {
        (None, _) => What::Added,
        (_, None) => What::Removed,
        _ => What::Changed,
    }
}

fn as_path_and_kind<S: Serializer>(key: &Key, serializer: S) -> Result<S::Ok, S::Error> {
    use serde::ser::SerializeMap as _;
    let mut map = serializer.serialize_map(Some(2))?;
    map.serialize_entry("path", &key.path)?;
    map.serialize_entry("kind", kind_name(key.kind))?;
    map.end()
}

fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Group => "group",
        Kind::Value => "value",
        Kind::Policy => "policy",
    }
}

/// What differs between two root groups, from the root down. A group comes before its members; of these, values
/// come first, then policies, then groups. Another version is a difference: a group has one when its members change.
pub fn changes(old: &ConfigGroup, new: &ConfigGroup) -> Vec<Change> {
    let mut found = Vec::new();
    compare_groups(&format!("/{ROOT}"), Some(old), Some(new), &mut found);
    found
}

fn compare_groups(path: &str, old: Option<&ConfigGroup>, new: Option<&ConfigGroup>, found: &mut Vec<Change>) {
    let details = mod_policy(old.map(|old| &old.mod_policy), new.map(|new| &new.mod_policy));
    let versions = (old.map(|old| old.version), new.map(|new| new.version));
    found.extend(change(Key::group(path), versions, details));
    pairs(
        old.map(|old| &old.values),
        new.map(|new| &new.values),
        |name, old, new| {
            found.extend(compare_values(format!("{path}/{name}"), old, new));
        },
    );
    pairs(
        old.map(|old| &old.policies),
        new.map(|new| &new.policies),
        |name, old, new| {
            found.extend(compare_policies(format!("{path}/{name}"), old, new));
        },
    );
    pairs(
        old.map(|old| &old.groups),
        new.map(|new| &new.groups),
        |name, old, new| {
            compare_groups(&format!("{path}/{name}"), old, new, found);
        },
    );
}

/// Each name of the two maps, with what it stands for in each.
fn pairs<'a, T>(
    old: Option<&'a BTreeMap<String, T>>,
    new: Option<&'a BTreeMap<String, T>>,
    mut each: impl FnMut(&str, Option<&'a T>, Option<&'a T>),
) {
    let names: BTreeSet<_> = [old, new]
        .into_iter()
        .flatten()
        .flat_map(BTreeMap::keys)
        .collect();
    for name in names {
        let of = |map: Option<&'a BTreeMap<String, T>>| map.and_then(|map| map.get(name));
        each(name, of(old), of(new));
    }
}

fn compare_values(path: String, old: Option<&ConfigValue>, new: Option<&ConfigValue>) -> Option<Change> {
    let facts =
        |value: Option<&ConfigValue>| value.map_or_else(Vec::new, |value| facts::value(&path, &value.value));
    let mut details = side_by_side(&facts(old), &facts(new));
    let bytes = |value: Option<&ConfigValue>| value.map(|value| value.value.clone());
    if let (true, Some(old), Some(new)) = (details.is_empty(), bytes(old), bytes(new)) {
        details.extend(encoding(&old, &new));
    }
    details.extend(mod_policy(
        old.map(|old| &old.mod_policy),
        new.map(|new| &new.mod_policy),
    ));
    let versions = (old.map(|old| old.version), new.map(|new| new.version));
    change(Key::value(path), versions, details)
}

/// For values that say the same in other bytes: another order, say, or fields that this program does not know.
fn encoding(old: &[u8], new: &[u8]) -> Option<Detail> {
    (old != new).then(|| Detail {
        name: "order or encoding".to_owned(),
        old: Some(facts::fingerprint(old)),
        new: Some(facts::fingerprint(new)),
    })
}

fn compare_policies(path: String, old: Option<&ConfigPolicy>, new: Option<&ConfigPolicy>) -> Option<Change> {
    let rule = |policy: Option<&ConfigPolicy>| policy.map_or_else(Vec::new, facts::policy);
    let mut details = side_by_side(&rule(old), &rule(new));
    let message = |policy: Option<&ConfigPolicy>| policy.and_then(|policy| policy.policy.clone());
    if let (true, Some(old), Some(new)) = (details.is_empty(), message(old), message(new)) {
        details.extend(encoding(&old.value, &new.value));
    }
    details.extend(mod_policy(
        old.map(|old| &old.mod_policy),
        new.map(|new| &new.mod_policy),
    ));
    let versions = (old.map(|old| old.version), new.map(|new| new.version));
    change(Key::policy(path), versions, details)
}

fn change(
    key: Key,
    (old_version, new_version): (Option<u64>, Option<u64>),
    details: Vec<Detail>,
) -> Option<Change> {
    (old_version != new_version || !details.is_empty()).then_some(Change {
        key,
        old_version,
        new_version,
        details,
    })
}

/// Of elements that stay; what comes and goes has its governing policy for granted.
fn mod_policy(old: Option<&String>, new: Option<&String>) -> Vec<Detail> {
    match (old, new) {
        (Some(old), Some(new)) if old != new => vec![Detail {
            name: "mod_policy".to_owned(),
            old: Some(facts::plain(old)),
            new: Some(facts::plain(new)),
        }],
        _ => Vec::new(),
    }
}

/// What differs, by label: what was there first, in its order, then what is new.
fn side_by_side(old: &[Fact], new: &[Fact]) -> Vec<Detail> {
    let text_in = |facts: &[Fact], label: &str| {
        let mut same = facts.iter().filter(|fact| fact.label == label);
        same.next().map(|fact| fact.text.clone())
    };
    let added = new.iter().filter(|fact| text_in(old, &fact.label).is_none());
    let labels: Vec<_> = old.iter().chain(added).map(|fact| fact.label.clone()).collect();
    let details = labels.into_iter().map(|label| Detail {
        old: text_in(old, &label),
        new: text_in(new, &label),
        name: label,
    });
    details.filter(|detail| detail.old != detail.new).collect()
}
