//! The configuration as a flat map from path to element, and back.
//!
//! A config is a tree of groups, values and policies. Rules about single elements (versions, who may change
//! them, legal names) are easier to state over a flat list of them:
//!
//! ```text
//! group  /Channel                        <-  its version, mod_policy and the names of its members
//! group  /Channel/Orderer
//! policy /Channel/Orderer/Admins
//! value  /Channel/Orderer/BatchSize
//! ```
//!
//! Source: `docs/spec/rules.md` §5 and §7.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use bytes::Bytes;
use protos::id::NAME_BYTES_MAX;
use protos::wire::common::{ConfigGroup, ConfigPolicy, ConfigValue, Policy};

/// Name of the root group.
pub const ROOT: &str = "Channel";

/// The three kinds of element. A group, a value and a policy of one path are different elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A node with members.
    Group,
    /// A setting.
    Value,
    /// A policy.
    Policy,
}

/// Which element: kind and absolute path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// What it is.
    pub kind: Kind,
    /// Absolute, like `/Channel/Orderer/BatchSize`.
    pub path: String,
}

/// One element without what lies below it.
#[derive(Clone, Debug, PartialEq)]
pub struct Element {
    /// How often it was changed.
    pub version: u64,
    /// Name or path of the policy that governs changes to it.
    pub mod_policy: String,
    /// What it holds.
    pub content: Content,
}

/// What an element holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// Names of the group's direct members.
    Group(Members),
    /// A serialized message; which one depends on the path.
    Value(Bytes),
    /// The policy message, if there is one.
    Policy(Option<Policy>),
}

/// Names of a group's direct members.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Members {
    /// Sub-groups.
    pub groups: BTreeSet<String>,
    /// Values.
    pub values: BTreeSet<String>,
    /// Policies.
    pub policies: BTreeSet<String>,
}

/// Why a key cannot stand in a configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("illegal key {key:?} in group {group}: {reason}")]
pub struct IllegalKey {
    /// Path of the group that holds it.
    pub group: String,
    /// The key.
    pub key: String,
    /// What is wrong with it.
    pub reason: KeyError,
}

/// Why a text is no legal key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// No character.
    #[error("it is empty")]
    Empty,
    /// Over [`NAME_BYTES_MAX`] bytes.
    #[error("it is longer than {NAME_BYTES_MAX} bytes")]
    TooLong,
    /// `.` or `..`.
    #[error("it is a name for a folder")]
    Dots,
    /// Something other than letters, digits, `.` and `-`.
    #[error("it contains illegal characters")]
    IllegalCharacters,
}

/// Checks one key of a group, value or policy: 1 to 249 bytes of `[a-zA-Z0-9.-]`, not `.` or `..`.
pub fn check_key(key: &str) -> Result<(), KeyError> {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'-';
    if key.is_empty() {
        Err(KeyError::Empty)
    } else if key.len() > NAME_BYTES_MAX {
        Err(KeyError::TooLong)
    } else if key == "." || key == ".." {
        Err(KeyError::Dots)
    } else if !key.bytes().all(legal) {
        Err(KeyError::IllegalCharacters)
    } else {
        Ok(())
    }
}

/// A member that a group lists and nobody defines.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key} is listed as a member but not defined")]
pub struct MissingMember {
    /// The member.
    pub key: Key,
}

/// All elements of one configuration, by kind and path.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tree {
    elements: BTreeMap<Key, Element>,
}

impl Tree {
    /// Lays `root` out flat.
    ///
    /// # Errors
    /// The first key, in order of depth, that is not legal.
    pub fn flatten(root: &ConfigGroup) -> Result<Self, IllegalKey> {
        let mut tree = Self::default();
        tree.add_group(format!("/{ROOT}"), root)?;
        Ok(tree)
    }

    fn add_group(&mut self, path: String, group: &ConfigGroup) -> Result<(), IllegalKey> {
        let members = Members {
            groups: legal_keys(&path, group.groups.keys())?,
            values: legal_keys(&path, group.values.keys())?,
            policies: legal_keys(&path, group.policies.keys())?,
        };
        for (name, value) in &group.values {
            self.add_value(format!("{path}/{name}"), value);
        }
        for (name, policy) in &group.policies {
            self.add_policy(format!("{path}/{name}"), policy);
        }
        for (name, below) in &group.groups {
            self.add_group(format!("{path}/{name}"), below)?;
        }
        let element = Element {
            version: group.version,
            mod_policy: group.mod_policy.clone(),
            content: Content::Group(members),
        };
        self.insert(Key::group(path), element);
        Ok(())
    }

    fn add_value(&mut self, path: String, value: &ConfigValue) {
        let element = Element {
            version: value.version,
            mod_policy: value.mod_policy.clone(),
            content: Content::Value(value.value.clone()),
        };
        self.insert(Key::value(path), element);
    }

    fn add_policy(&mut self, path: String, policy: &ConfigPolicy) {
        let element = Element {
            version: policy.version,
            mod_policy: policy.mod_policy.clone(),
            content: Content::Policy(policy.policy.clone()),
        };
        self.insert(Key::policy(path), element);
    }

    /// Puts `element` at `key`, in place of what was there.
    pub fn insert(&mut self, key: Key, element: Element) {
        self.elements.insert(key, element);
    }

    /// The element at `key`.
    pub fn get(&self, key: &Key) -> Option<&Element> {
        self.elements.get(key)
    }

    /// The element at `key`, to be changed.
    pub fn get_mut(&mut self, key: &Key) -> Option<&mut Element> {
        self.elements.get_mut(key)
    }

    /// All elements: groups, then values, then policies, each in order of their paths.
    pub fn iter(&self) -> impl Iterator<Item = (&Key, &Element)> {
        self.elements.iter()
    }

    /// The keys of all elements, in the same order.
    pub fn keys(&self) -> impl Iterator<Item = &Key> {
        self.elements.keys()
    }

    /// True when every group from the root down to `key` lists the next one, and the last one lists `key`.
    pub fn lists(&self, key: &Key) -> bool {
        let Some((group, name)) = key.path.rsplit_once('/') else {
            return false;
        };
        if group.is_empty() {
            return key.kind == Kind::Group && name == ROOT && self.get(key).is_some();
        }
        let group = Key::group(group);
        let Some(Content::Group(members)) = self.get(&group).map(|element| &element.content) else {
            return false;
        };
        members.of(key.kind).contains(name) && self.lists(&group)
    }

    /// Builds the nested form from the root down. Elements that no group lists are left out.
    ///
    /// # Errors
    /// A group lists a member (or the root itself is one) that has no element.
    pub fn rebuild(&self) -> Result<ConfigGroup, MissingMember> {
        self.rebuild_group(&format!("/{ROOT}"))
    }

    fn rebuild_group(&self, path: &str) -> Result<ConfigGroup, MissingMember> {
        let key = Key::group(path);
        let Some((element, Content::Group(members))) = self.get(&key).map(|e| (e, &e.content)) else {
            return Err(MissingMember { key });
        };
        Ok(ConfigGroup {
            version: element.version,
            mod_policy: element.mod_policy.clone(),
            groups: each(&members.groups, |name| {
                self.rebuild_group(&format!("{path}/{name}"))
            })?,
            values: each(&members.values, |name| {
                self.rebuild_value(format!("{path}/{name}"))
            })?,
            policies: each(&members.policies, |name| {
                self.rebuild_policy(format!("{path}/{name}"))
            })?,
        })
    }

    fn rebuild_value(&self, path: String) -> Result<ConfigValue, MissingMember> {
        let key = Key::value(path);
        let Some((element, Content::Value(value))) = self.get(&key).map(|e| (e, &e.content)) else {
            return Err(MissingMember { key });
        };
        Ok(ConfigValue {
            version: element.version,
            mod_policy: element.mod_policy.clone(),
            value: value.clone(),
        })
    }

    fn rebuild_policy(&self, path: String) -> Result<ConfigPolicy, MissingMember> {
        let key = Key::policy(path);
        let Some((element, Content::Policy(policy))) = self.get(&key).map(|e| (e, &e.content)) else {
            return Err(MissingMember { key });
        };
        Ok(ConfigPolicy {
            version: element.version,
            mod_policy: element.mod_policy.clone(),
            policy: policy.clone(),
        })
    }
}

impl Members {
    /// The names of one kind.
    pub fn of(&self, kind: Kind) -> &BTreeSet<String> {
        match kind {
            Kind::Group => &self.groups,
            Kind::Value => &self.values,
            Kind::Policy => &self.policies,
        }
    }
}

fn legal_keys<'a>(
    group: &str,
    keys: impl Iterator<Item = &'a String>,
) -> Result<BTreeSet<String>, IllegalKey> {
    keys.map(|key| match check_key(key) {
        Ok(()) => Ok(key.clone()),
        Err(reason) => Err(IllegalKey {
            group: group.to_owned(),
            key: key.clone(),
            reason,
        }),
    })
    .collect()
}

fn each<T>(
    names: &BTreeSet<String>,
    build: impl Fn(&str) -> Result<T, MissingMember>,
) -> Result<BTreeMap<String, T>, MissingMember> {
    names
        .iter()
        .map(|name| Ok((name.clone(), build(name)?)))
        .collect()
}

impl Key {
    /// The group at `path`.
    pub fn group(path: impl Into<String>) -> Self {
        Self {
            kind: Kind::Group,
            path: path.into(),
        }
    }

    /// The value at `path`.
    pub fn value(path: impl Into<String>) -> Self {
        Self {
            kind: Kind::Value,
            path: path.into(),
        }
    }

    /// The policy at `path`.
    pub fn policy(path: impl Into<String>) -> Self {
        Self {
            kind: Kind::Policy,
            path: path.into(),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Group => "group",
            Self::Value => "value",
            Self::Policy => "policy",
        })
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named<T>(name: &str, item: T) -> BTreeMap<String, T> {
        BTreeMap::from([(name.to_owned(), item)])
    }

    fn sample() -> ConfigGroup {
        let orderer = ConfigGroup {
            version: 2,
            mod_policy: "Admins".into(),
            policies: named(
                "Admins",
                ConfigPolicy {
                    version: 1,
                    mod_policy: "Admins".into(),
                    policy: Some(Policy {
                        r#type: 3,
                        value: Bytes::from_static(b"p"),
                    }),
                },
            ),
            ..Default::default()
        };
        ConfigGroup {
            groups: named("Orderer", orderer),
            values: named(
                "Capabilities",
                ConfigValue {
                    version: 7,
                    value: Bytes::from_static(b"v"),
                    mod_policy: "Admins".into(),
                },
            ),
            ..Default::default()
        }
    }

    #[test]
    fn every_element_is_listed_with_its_path() {
        let tree = Tree::flatten(&sample()).unwrap();
        let listed: Vec<_> = tree
            .iter()
            .map(|(key, e)| format!("{key} v{} {}", e.version, e.mod_policy))
            .collect();
        assert_eq!(
            listed,
            [
                "group /Channel v0 ",
                "group /Channel/Orderer v2 Admins",
                "value /Channel/Capabilities v7 Admins",
                "policy /Channel/Orderer/Admins v1 Admins",
            ]
        );
    }

    #[test]
    fn a_flattened_config_is_rebuilt_as_it_was() {
        assert_eq!(Tree::flatten(&sample()).unwrap().rebuild().unwrap(), sample());
    }

    #[test]
    fn a_listed_member_must_be_defined() {
        let mut tree = Tree::flatten(&sample()).unwrap();
        let gone = Key::policy("/Channel/Orderer/Admins");
        tree.elements.remove(&gone);
        assert_eq!(tree.rebuild().unwrap_err().key, gone);
    }

    #[test]
    fn illegal_keys_are_named_with_their_group() {
        for (key, reason) in [
            ("", KeyError::Empty),
            ("..", KeyError::Dots),
            ("a b", KeyError::IllegalCharacters),
            ("ü", KeyError::IllegalCharacters),
            ("a/b", KeyError::IllegalCharacters),
        ] {
            let mut root = sample();
            let below = root.groups.get_mut("Orderer").unwrap();
            below.values = named(key, ConfigValue::default());
            let error = Tree::flatten(&root).unwrap_err();
            assert_eq!((error.group.as_str(), error.reason), ("/Channel/Orderer", reason));
        }
        assert_eq!(check_key(&"k".repeat(250)), Err(KeyError::TooLong));
        assert_eq!(check_key("V1.4-x"), Ok(()));
    }
}
