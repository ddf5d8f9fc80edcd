//! The config update that turns one config into another.
//!
//! The two configs are compared element by element, from the root down. Versions and the sequence of the updated
//! config do not count, so an operator edits the content and nothing else:
//!
//! ```text
//! original ─┐                ┌─ read set:  what the update relies on, at the versions of the original
//!           ├─ differences ──┤
//! updated  ─┘                └─ write set: what it changes, each at the next version; what is new at 0
//! ```
//!
//! Serialized values are compared as bytes. Source: `docs/spec/tools.md` §3.4.

use std::collections::BTreeMap;

use protos::wire::common::{Config, ConfigGroup, ConfigPolicy, ConfigUpdate, ConfigValue};

/// Why there is no update.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ComputeUpdateError {
    /// One of the configs is empty.
    #[error("the original config has no channel group")]
    NoOriginalGroup,
    /// One of the configs is empty.
    #[error("the updated config has no channel group")]
    NoUpdatedGroup,
    /// Nothing but versions differs.
    #[error("the original and the updated config do not differ")]
    NoDifference,
}

/// Computes the update of `channel_id` that turns `original` into `updated`. The name is not checked.
pub fn compute_update(
    channel_id: &str,
    original: &Config,
    updated: &Config,
) -> Result<ConfigUpdate, ComputeUpdateError> {
    let original = original.channel_group.as_ref();
    let original = original.ok_or(ComputeUpdateError::NoOriginalGroup)?;
    let updated = updated.channel_group.as_ref();
    let updated = updated.ok_or(ComputeUpdateError::NoUpdatedGroup)?;
    let sets = Sets::of(original, updated).ok_or(ComputeUpdateError::NoDifference)?;
    Ok(ConfigUpdate {
        channel_id: channel_id.to_owned(),
        read_set: Some(sets.read),
        write_set: Some(sets.write),
        ..ConfigUpdate::default()
    })
}

/// A group's part of the read set and of the write set.
struct Sets {
    read: ConfigGroup,
    write: ConfigGroup,
}

impl Sets {
    /// Nothing when the groups do not differ.
    fn of(original: &ConfigGroup, updated: &ConfigGroup) -> Option<Self> {
        let values = Members::of(&original.values, &updated.values);
        let policies = Members::of(&original.policies, &updated.policies);
        let groups = Members::of(&original.groups, &updated.groups);
        let members_changed = values.set_changed || policies.set_changed || groups.set_changed;
        if members_changed || original.mod_policy != updated.mod_policy {
            return Some(Self::of_whole_group(original, updated, values, policies, groups));
        }
        let same = values.written.is_empty() && policies.written.is_empty() && groups.written.is_empty();
        (!same).then(|| Self {
            read: ConfigGroup {
                groups: groups.read,
                ..ConfigGroup::at(original.version)
            },
            write: ConfigGroup {
                values: values.written,
                policies: policies.written,
                groups: groups.written,
                ..ConfigGroup::at(original.version)
            },
        })
    }

    /// The group itself changes, so both sets list every member that stays: the write set says what its members are
    /// from now on.
    fn of_whole_group(
        original: &ConfigGroup,
        updated: &ConfigGroup,
        values: Members<ConfigValue>,
        policies: Members<ConfigPolicy>,
        groups: Members<ConfigGroup>,
    ) -> Self {
        let (read_values, write_values) = values.with_unchanged();
        let (read_policies, write_policies) = policies.with_unchanged();
        let (read_groups, write_groups) = groups.with_unchanged();
        Self {
            read: ConfigGroup {
                values: read_values,
                policies: read_policies,
                groups: read_groups,
                ..ConfigGroup::at(original.version)
            },
            write: ConfigGroup {
                values: write_values,
                policies: write_policies,
                groups: write_groups,
                mod_policy: updated.mod_policy.clone(),
                ..ConfigGroup::at(next(original.version))
            },
        }
    }
}

/// What became of a group's members of one kind.
struct Members<T> {
    /// In both configs and equal; with nothing but their versions.
    unchanged: BTreeMap<String, T>,
    /// What the read set says about changed members. Only groups say anything.
    read: BTreeMap<String, T>,
    /// Changed and new members.
    written: BTreeMap<String, T>,
    /// A member came or went.
    set_changed: bool,
}

impl<T: Element> Members<T> {
    fn of(original: &BTreeMap<String, T>, updated: &BTreeMap<String, T>) -> Self {
        let mut members = Self {
            unchanged: BTreeMap::new(),
            read: BTreeMap::new(),
            written: BTreeMap::new(),
            set_changed: original.keys().ne(updated.keys()),
        };
        for (name, updated) in updated {
            match original.get(name) {
                Some(original) => members.compare(name, original, updated),
                None => members.write(name, updated.as_new()),
            }
        }
        members
    }

    fn compare(&mut self, name: &str, original: &T, updated: &T) {
        match original.change_to(updated) {
            None => {
                self.unchanged.insert(name.to_owned(), T::at(original.version()));
            }
            Some(Change { read, write }) => {
                self.read.extend(read.map(|read| (name.to_owned(), read)));
                self.write(name, write);
            }
        }
    }

    fn write(&mut self, name: &str, element: T) {
        self.written.insert(name.to_owned(), element);
    }

    /// The read set and the write set of a group that lists its unchanged members too.
    fn with_unchanged(mut self) -> (BTreeMap<String, T>, BTreeMap<String, T>) {
        self.read.extend(self.unchanged.clone());
        self.written.extend(self.unchanged);
        (self.read, self.written)
    }
}

/// What a changed element adds to the two sets.
struct Change<T> {
    read: Option<T>,
    write: T,
}

/// A group, value or policy.
trait Element: Clone {
    fn version(&self) -> u64;

    /// An element of which only the version is told.
    fn at(version: u64) -> Self;

    /// The same element as one that did not exist before.
    fn as_new(&self) -> Self;

    /// Nothing when both say the same.
    fn change_to(&self, updated: &Self) -> Option<Change<Self>>;
}

/// Values and policies are alike: neither has members, and each differs as a whole.
macro_rules! element_without_members {
    ($element:ident, $content:ident) => {
        impl Element for $element {
            fn version(&self) -> u64 {
                self.version
            }

            fn at(version: u64) -> Self {
                Self {
                    version,
                    ..Self::default()
                }
            }

            fn as_new(&self) -> Self {
                Self {
                    version: 0,
                    ..self.clone()
                }
            }

            fn change_to(&self, updated: &Self) -> Option<Change<Self>> {
                let same = self.mod_policy == updated.mod_policy && self.$content == updated.$content;
                let version = next(self.version);
                (!same).then(|| Change {
                    read: None,
                    write: Self {
                        version,
                        ..updated.clone()
                    },
                })
            }
        }
    };
}

element_without_members!(ConfigValue, value);
element_without_members!(ConfigPolicy, policy);

impl Element for ConfigGroup {
    fn version(&self) -> u64 {
        self.version
    }

    fn at(version: u64) -> Self {
        Self {
            version,
            ..Self::default()
        }
    }

    fn as_new(&self) -> Self {
        Self {
            version: 0,
            groups: all_new(&self.groups),
            values: all_new(&self.values),
            policies: all_new(&self.policies),
            mod_policy: self.mod_policy.clone(),
        }
    }

    fn change_to(&self, updated: &Self) -> Option<Change<Self>> {
        Sets::of(self, updated).map(|sets| Change {
            read: Some(sets.read),
            write: sets.write,
        })
    }
}

fn all_new<T: Element>(members: &BTreeMap<String, T>) -> BTreeMap<String, T> {
    let new = members
        .iter()
        .map(|(name, element)| (name.clone(), element.as_new()));
    new.collect()
}

/// No config comes to the end of the versions; one made up goes on at 0, and no node takes it.
fn next(version: u64) -> u64 {
    version.wrapping_add(1)
}

#[cfg(test)]
mod tests {
    use protos::wire::common::Policy;

    use super::*;

    fn value(version: u64, content: &'static str) -> ConfigValue {
        ConfigValue {
            version,
            value: content.into(),
            mod_policy: "Admins".to_owned(),
        }
    }

    fn config(group: ConfigGroup) -> Config {
        Config {
            sequence: 7,
            channel_group: Some(group),
        }
    }

    /// Channel at 3 with the value A at 1, a policy P at 4, and the group Orderer at 2 with the value B at 5.
    fn original() -> ConfigGroup {
        let orderer = ConfigGroup {
            values: [("B".to_owned(), value(5, "b"))].into(),
            ..ConfigGroup::at(2)
        };
        ConfigGroup {
            values: [("A".to_owned(), value(1, "a"))].into(),
            policies: [("P".to_owned(), ConfigPolicy::at(4))].into(),
            groups: [("Orderer".to_owned(), orderer)].into(),
            mod_policy: "Admins".to_owned(),
            ..ConfigGroup::at(3)
        }
    }

    fn update(edit: impl FnOnce(&mut ConfigGroup)) -> Result<(ConfigGroup, ConfigGroup), ComputeUpdateError> {
        let mut updated = original();
        edit(&mut updated);
        let update = compute_update("ch", &config(original()), &config(updated))?;
        assert_eq!(update.channel_id, "ch");
        Ok((update.read_set.unwrap(), update.write_set.unwrap()))
    }

    #[test]
    fn versions_alone_are_no_difference() {
        let renumbered = update(|group| {
            group.version = 9;
            group.values.get_mut("A").unwrap().version = 9;
        });
        assert_eq!(renumbered, Err(ComputeUpdateError::NoDifference));
    }

    #[test]
    fn a_config_without_a_group_is_refused() {
        let (empty, full) = (Config::default(), config(original()));
        assert_eq!(
            compute_update("ch", &empty, &full),
            Err(ComputeUpdateError::NoOriginalGroup)
        );
        assert_eq!(
            compute_update("ch", &full, &empty),
            Err(ComputeUpdateError::NoUpdatedGroup)
        );
    }

    #[test]
    fn a_changed_value_is_written_whole_and_not_read() {
        let (read, write) = update(|group| {
            group
                .groups
                .get_mut("Orderer")
                .unwrap()
                .values
                .insert("B".to_owned(), value(0, "c"));
        })
        .unwrap();
        let orderer = |values: BTreeMap<_, _>| ConfigGroup {
            groups: [(
                "Orderer".to_owned(),
                ConfigGroup {
                    values,
                    ..ConfigGroup::at(2)
                },
            )]
            .into(),
            ..ConfigGroup::at(3)
        };
        assert_eq!(read, orderer(BTreeMap::new()));
        assert_eq!(write, orderer([("B".to_owned(), value(6, "c"))].into()));
    }

    #[test]
    fn a_new_member_moves_the_group_and_lists_all_that_stays() {
        let (read, write) = update(|group| {
            group.values.insert("New".to_owned(), value(42, "n"));
        })
        .unwrap();
        let kept = ConfigGroup {
            values: [("A".to_owned(), ConfigValue::at(1))].into(),
            policies: [("P".to_owned(), ConfigPolicy::at(4))].into(),
            groups: [("Orderer".to_owned(), ConfigGroup::at(2))].into(),
            ..ConfigGroup::at(3)
        };
        assert_eq!(read, kept);
        let mut expected = ConfigGroup {
            version: 4,
            mod_policy: "Admins".to_owned(),
            ..kept
        };
        expected.values.insert("New".to_owned(), value(0, "n"));
        assert_eq!(write, expected);
    }

    #[test]
    fn a_new_group_has_version_0_all_the_way_down() {
        let (_, write) = update(|group| {
            let copy = original();
            group.groups.insert("Copy".to_owned(), copy);
        })
        .unwrap();
        let copy = &write.groups["Copy"];
        assert_eq!(
            (copy.version, copy.values["A"].version, copy.policies["P"].version),
            (0, 0, 0)
        );
        let below = &copy.groups["Orderer"];
        assert_eq!(
            (below.version, below.values["B"].version, copy.mod_policy.as_str()),
            (0, 0, "Admins")
        );
    }

    #[test]
    fn a_policy_without_content_differs_from_an_empty_one() {
        let (read, write) = update(|group| {
            group.policies.get_mut("P").unwrap().policy = Some(Policy::default());
        })
        .unwrap();
        assert!(read.policies.is_empty());
        assert_eq!(write.policies["P"].version, 5);
        assert_eq!((write.version, write.mod_policy.as_str()), (3, ""));
    }
}
