mod properties;

use protos::wire::common::{ConfigPolicy, ConfigValue};
use protos::wire::orderer::BatchSize;

use super::*;
use crate::testing::{
    bare, channel, identity, orderer_admin, org1_admin, org2_admin, root, signed, untouched, with_value,
    written_orderer,
};

fn batch_size() -> BatchSize {
    BatchSize {
        max_message_count: 20,
        absolute_max_bytes: 131_072,
        preferred_max_bytes: 32_768,
    }
}

fn apply(current: &Bundle, data: Bytes) -> Result<Outcome, UpdateError> {
    Update::read(data).and_then(|update| update.apply(current))
}

fn refused(current: &Bundle, update: &ConfigUpdate) -> String {
    apply(current, signed(update, &[&orderer_admin()]))
        .unwrap_err()
        .to_string()
}

#[test]
fn a_changed_value_is_the_only_difference() {
    let current = channel("raft-three");
    let update = with_value(&current, "BatchSize", &batch_size());
    let outcome = apply(&current, signed(&update, &[&orderer_admin()])).unwrap();
    let mut expected = current.config().clone();
    expected.sequence = 1;
    let orderer = expected.channel_group.as_mut().unwrap().groups.get_mut("Orderer");
    let value = orderer.unwrap().values.get_mut("BatchSize").unwrap();
    value.version = 1;
    value.value = batch_size().encode_to_vec().into();
    assert_eq!(outcome.config, expected);
    assert!(outcome.lost.is_empty());
}

#[test]
fn a_refusal_names_policies_and_the_signers_that_count() {
    let current = channel("raft-three");
    let update = with_value(&current, "BatchSize", &batch_size());
    let signers = [&org1_admin(), &org1_admin(), &identity("GhostMSP", "admin-org2")];
    let error = apply(&current, signed(&update, &signers))
        .unwrap_err()
        .to_string();
    let expected = "policy /Channel/Orderer/Admins for value /Channel/Orderer/BatchSize is not satisfied; \
                    1 of 3 config signatures count: Org1MSP (";
    assert!(error.starts_with(expected), "{error}");
    let error = apply(&current, signed(&update, &[])).unwrap_err().to_string();
    assert!(
        error.ends_with("not satisfied; 0 of 0 config signatures count"),
        "{error}"
    );
}

#[test]
fn an_update_against_another_config_says_which_version_it_is() {
    let current = channel("raft-three");
    let mut update = with_value(&current, "BatchSize", &batch_size());
    update
        .read_set
        .as_mut()
        .unwrap()
        .groups
        .get_mut("Orderer")
        .unwrap()
        .version = 5;
    assert_eq!(
        refused(&current, &update),
        "read set has group /Channel/Orderer at version 5, the config in force has it at version 0; compute the \
         update from the newest config"
    );
    let mut update = with_value(&current, "BatchSize", &batch_size());
    written_orderer(&mut update)
        .values
        .get_mut("BatchSize")
        .unwrap()
        .version = 2;
    assert_eq!(
        refused(&current, &update),
        "value /Channel/Orderer/BatchSize is written at version 2, expected 1: the config in force has it at version \
         0"
    );
    let mut update = untouched(&current);
    let gone = ConfigValue::default();
    let read = update.read_set.as_mut().unwrap();
    read.values.insert("Gone".to_owned(), gone);
    assert!(refused(&current, &update).starts_with("read set has value /Channel/Gone, which the config"));
}

#[test]
fn an_update_for_another_channel_or_without_effect_is_refused() {
    let current = channel("raft-three");
    let mut update = untouched(&current);
    assert!(refused(&current, &update).starts_with("update has no effect"));
    update.channel_id = "other".to_owned();
    assert_eq!(
        refused(&current, &update),
        "config update is for channel \"other\", this is channel raft-three"
    );
    assert!(matches!(
        apply(&current, Bytes::from_static(b"\xff")),
        Err(UpdateError::Decode { .. })
    ));
}

#[test]
fn mod_policies_are_texts_that_need_not_name_a_policy() {
    let current = channel("raft-three");
    let with_mod_policy = |text: &str| {
        let mut update = with_value(&current, "BatchSize", &batch_size());
        let value = written_orderer(&mut update).values.get_mut("BatchSize").unwrap();
        text.clone_into(&mut value.mod_policy);
        update
    };
    for text in ["Nobody", "/Channel/Nowhere/Admins", "Org/Admins"] {
        let data = signed(&with_mod_policy(text), &[&orderer_admin()]);
        assert!(apply(&current, data).is_ok(), "{text}");
    }
    assert_eq!(
        refused(&current, &with_mod_policy("")),
        "mod_policy of value /Channel/Orderer/BatchSize is not set"
    );
    for text in ["a b", "//Channel", "Admins/", "/", ".."] {
        assert!(
            refused(&current, &with_mod_policy(text)).contains("has an invalid path element"),
            "{text}"
        );
    }
}

/// A config whose batch size nobody may change: its policy does not exist.
#[test]
fn an_element_whose_policy_is_missing_cannot_be_changed() {
    let mut config = channel("raft-three").config().clone();
    let orderer = config.channel_group.as_mut().unwrap().groups.get_mut("Orderer");
    let value = orderer.unwrap().values.get_mut("BatchSize").unwrap();
    value.mod_policy = "Nobody".to_owned();
    let current = Bundle::new(channel("raft-three").channel_id().clone(), config).unwrap();
    let update = with_value(&current, "BatchSize", &batch_size());
    assert_eq!(
        refused(&current, &update),
        format!(
            "policy /Channel/Orderer/Nobody for value /Channel/Orderer/BatchSize does not exist; 1 of 1 config \
             signatures count: OrdererMSP ({})",
            orderer_admin().certificate().subject()
        )
    );
}

#[test]
fn a_rewritten_group_has_the_members_it_lists() {
    let current = channel("raft-three");
    let application = root(&current).groups["Application"].clone();
    let mut listed = ConfigGroup {
        version: 1,
        mod_policy: "Admins".to_owned(),
        ..ConfigGroup::default()
    };
    let version_only = |policy: &ConfigPolicy| ConfigPolicy {
        version: policy.version,
        ..ConfigPolicy::default()
    };
    listed.groups = [("Org1".to_owned(), bare(&application.groups["Org1"]))].into();
    listed.policies = application
        .policies
        .iter()
        .map(|(name, policy)| (name.clone(), version_only(policy)))
        .collect();
    let mut update = untouched(&current);
    for (set, version) in [(&mut update.read_set, 0), (&mut update.write_set, 1)] {
        let group = ConfigGroup {
            version,
            ..listed.clone()
        };
        let set = set.as_mut().unwrap();
        set.groups = [("Application".to_owned(), group)].into();
    }
    let data = signed(&update, &[&org1_admin(), &org2_admin()]);
    let config = apply(&current, data).unwrap().config;
    let after = &config.channel_group.unwrap().groups["Application"];
    assert_eq!(after.groups.keys().collect::<Vec<_>>(), ["Org1"]);
    assert_eq!(after.groups["Org1"], application.groups["Org1"]);
    assert_eq!(after.policies, application.policies);
    assert!(after.values.is_empty() && after.version == 1);
}

#[test]
fn a_new_element_below_an_unchanged_group_needs_nobody_and_is_lost() {
    let current = channel("raft-three");
    let mut update = untouched(&current);
    let policy = ConfigPolicy {
        mod_policy: "Admins".to_owned(),
        ..ConfigPolicy::default()
    };
    written_orderer(&mut update)
        .policies
        .insert("Orphan".to_owned(), policy);
    let outcome = apply(&current, signed(&update, &[])).unwrap();
    assert_eq!(outcome.config.channel_group, current.config().channel_group);
    assert_eq!(outcome.config.sequence, 1);
    assert_eq!(outcome.lost, [Key::policy("/Channel/Orderer/Orphan")]);
}

#[test]
fn empty_mod_policies_are_filled_in_where_capabilities_are_known() {
    let base = channel("raft-three");
    let mut config = base.config().clone();
    let root = config.channel_group.as_mut().unwrap();
    root.mod_policy.clear();
    let application = root.groups.get_mut("Application").unwrap();
    application
        .policies
        .get_mut("Readers")
        .unwrap()
        .mod_policy
        .clear();
    let current = Bundle::new(base.channel_id().clone(), config).unwrap();
    let update = with_value(&current, "BatchSize", &batch_size());
    let outcome = apply(&current, signed(&update, &[&orderer_admin()])).unwrap();
    let after = outcome.config.channel_group.unwrap();
    assert_eq!(after.mod_policy, "Admins");
    assert_eq!(
        after.groups["Application"].policies["Readers"].mod_policy,
        "Admins"
    );
}

#[test]
fn one_unreadable_signature_header_spoils_the_update() {
    let current = channel("raft-three");
    let update = with_value(&current, "BatchSize", &batch_size());
    let data = signed(&update, &[&orderer_admin(), &orderer_admin()]);
    let mut envelope = ConfigUpdateEnvelope::decode(data).unwrap();
    envelope.signatures[1].signature_header = Bytes::from_static(b"\xff");
    let error = apply(&current, envelope.encode_to_vec().into()).unwrap_err();
    assert!(matches!(error, UpdateError::SignatureHeader { index: 1, .. }));
}
