//! Random trees, random mutations, random bytes.

use std::collections::BTreeMap;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use protos::wire::common::{ConfigPolicy, ConfigValue, Policy};

use super::*;
use crate::compute_update::compute_update;
use crate::explain::{Fate, explain};
use crate::identity::SigningIdentity;
use crate::testing::{config_block, signed_bytes};
use crate::validator;

fn name() -> impl Strategy<Value = String> {
    "[ab]"
}

fn mod_policy() -> impl Strategy<Value = String> {
    prop_oneof![Just("Admins".to_owned()), Just("/Channel/Admins".to_owned())]
}

prop_compose! {
    fn value()(version in 0..3_u64, value in vec(0..2_u8, 0..2), mod_policy in mod_policy()) -> ConfigValue {
        ConfigValue { version, value: value.into(), mod_policy }
    }
}

prop_compose! {
    fn policy()(version in 0..3_u64, kind in 0..3_i32, is_there: bool, mod_policy in mod_policy()) -> ConfigPolicy {
        let policy = is_there.then(|| Policy { r#type: kind, value: Bytes::new() });
        ConfigPolicy { version, policy, mod_policy }
    }
}

/// A tree of a few elements, so that two of them have much in common.
fn tree() -> impl Strategy<Value = ConfigGroup> {
    let members = || {
        (
            btree_map(name(), value(), 0..3),
            btree_map(name(), policy(), 0..3),
        )
    };
    let leaf = (0..3_u64, mod_policy(), members());
    let leaf = leaf.prop_map(|(version, mod_policy, (values, policies))| ConfigGroup {
        version,
        mod_policy,
        values,
        policies,
        groups: BTreeMap::new(),
    });
    leaf.prop_recursive(3, 12, 2, move |below| {
        (0..3_u64, mod_policy(), members(), btree_map(name(), below, 0..3)).prop_map(
            |(version, mod_policy, (values, policies), groups)| ConfigGroup {
                version,
                mod_policy,
                values,
                policies,
                groups,
            },
        )
    })
}

fn config(root: &ConfigGroup) -> Config {
    Config {
        sequence: 7,
        channel_group: Some(root.clone()),
    }
}

fn without_versions(group: &ConfigGroup) -> ConfigGroup {
    let mut group = group.clone();
    group.version = 0;
    group.values.values_mut().for_each(|value| value.version = 0);
    group.policies.values_mut().for_each(|policy| policy.version = 0);
    group
        .groups
        .values_mut()
        .for_each(|below| *below = without_versions(below));
    group
}

fn all_admins() -> [SigningIdentity; 3] {
    [orderer_admin(), org1_admin(), org2_admin()]
}

fn sign_by_all(update: &[u8]) -> Bytes {
    signed_bytes(update, &all_admins().each_ref())
}

/// Updates of the vectors that are accepted, as they were before signing.
fn accepted_updates() -> Vec<Vec<u8>> {
    let current = channel("raft-three");
    vec![
        with_value(&current, "BatchSize", &batch_size()).encode_to_vec(),
        {
            let mut changed = current.config().clone();
            let root = changed.channel_group.as_mut().unwrap();
            let application = root.groups.get_mut("Application").unwrap();
            let org = application.groups["Org2"].clone();
            application.groups.insert("Org4".to_owned(), org);
            application.groups.remove("Org1");
            let update = compute_update("raft-three", current.config(), &changed);
            update.unwrap().encode_to_vec()
        },
    ]
}

/// Whatever is accepted does what its explanation says, and commits.
fn check_effect(current: &Bundle, data: &Bytes) -> Result<(), TestCaseError> {
    let Ok(proposal) = validator::propose_config_update(current, data.clone()) else {
        return Ok(());
    };
    let new = proposal.bundle;
    prop_assert_eq!(new.sequence().0, current.sequence().0 + 1);
    let explanation = explain(&proposal.update, current).unwrap();
    prop_assert!(explanation.is_allowed());
    let fate = |key: &Key| {
        let found = explanation.elements.iter().find(|element| element.key == *key);
        found.map(|element| element.fate)
    };
    for (key, after) in new.tree().iter() {
        match current.tree().get(key) {
            None => prop_assert_eq!(fate(key), Some(Fate::Added), "{}", key),
            Some(before) if before == after => {}
            Some(before) => {
                prop_assert_eq!(fate(key), Some(Fate::Changed), "{}", key);
                prop_assert_eq!(after.version, before.version + 1, "{}", key);
            }
        }
    }
    for key in current.tree().keys().filter(|key| new.tree().get(key).is_none()) {
        prop_assert_eq!(fate(key), Some(Fate::Removed), "{}", key);
    }
    let block = config_block("raft-three", new.config(), data.clone());
    let committed = validator::validate(current, &block);
    prop_assert!(committed.is_ok(), "{:?}", committed.err());
    Ok(())
}

proptest! {
    #[test]
    fn a_computed_update_gives_the_wanted_config(original in tree(), updated in tree()) {
        let Ok(update) = compute_update("c", &config(&original), &config(&updated)) else {
            prop_assert_eq!(without_versions(&original), without_versions(&updated));
            return Ok(());
        };
        let update = Update::read(signed(&update, &[])).unwrap();
        let before = Tree::flatten(&original).unwrap();
        let delta = update.delta_in(&before).unwrap();
        let result = outcome(&delta, &before, ConfigSeq(7)).unwrap();
        prop_assert!(result.lost.is_empty());
        prop_assert_eq!(result.config.sequence, 8);
        let root = result.config.channel_group.unwrap();
        prop_assert_eq!(without_versions(&root), without_versions(&updated));
        // Versions stay where nothing changed, and rise by one where something did.
        for (key, after) in Tree::flatten(&root).unwrap().iter() {
            match before.get(key) {
                None => prop_assert_eq!(after.version, 0, "{}", key),
                Some(old) if old.version == after.version => {
                    prop_assert_eq!(&old.content, &after.content, "{}", key);
                    prop_assert_eq!(&old.mod_policy, &after.mod_policy, "{}", key);
                }
                Some(old) => prop_assert_eq!(after.version, old.version + 1, "{}", key),
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_mutated_update_is_refused_or_does_what_it_declares(
        which in 0..2_usize,
        flips in vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
    ) {
        let mut update = accepted_updates().swap_remove(which);
        for (place, byte) in &flips {
            let place = place.index(update.len());
            update[place] = *byte;
        }
        check_effect(&channel("raft-three"), &sign_by_all(&update))?;
    }

    #[test]
    fn a_mutated_signed_update_never_panics(flips in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)) {
        let mut data = sign_by_all(&accepted_updates().swap_remove(0)).to_vec();
        for (place, byte) in &flips {
            let place = place.index(data.len());
            data[place] = *byte;
        }
        check_effect(&channel("raft-three"), &data.into())?;
    }

    #[test]
    fn random_bytes_never_panic(bytes: Vec<u8>) {
        let current = channel("raft-three");
        let refused = validator::propose_config_update(&current, bytes.clone().into());
        prop_assert!(refused.is_err());
        let refused = validator::propose_config_update(&current, sign_by_all(&bytes));
        prop_assert!(refused.is_err());
    }
}

#[test]
fn what_the_properties_begin_with_is_accepted() {
    let current = channel("raft-three");
    for update in accepted_updates() {
        let proposed = validator::propose_config_update(&current, sign_by_all(&update));
        assert!(proposed.is_ok(), "{}", proposed.unwrap_err());
    }
}
