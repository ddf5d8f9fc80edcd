use prost::Message;
use protos::wire::common::policy::PolicyType;
use protos::wire::common::{ConfigGroup, ConfigPolicy, ConfigUpdate, ImplicitMetaPolicy, Policy};
use protos::wire::orderer::BatchSize;

use super::*;
use crate::testing::{
    channel, config_block, orderer_admin, root, signed, untouched, with_value, written_orderer,
};

fn batch_size() -> BatchSize {
    BatchSize {
        max_message_count: 20,
        absolute_max_bytes: 131_072,
        preferred_max_bytes: 32_768,
    }
}

fn propose(current: &Bundle, update: &ConfigUpdate) -> Result<Proposal, ProposeError> {
    propose_config_update(current, signed(update, &[&orderer_admin()]))
}

/// What commit says to a block of the config that `update` gives, after `change` to that config.
fn commit(
    current: &Bundle,
    update: &ConfigUpdate,
    change: impl FnOnce(&mut Config),
) -> Result<Bundle, String> {
    let data = signed(update, &[&orderer_admin()]);
    let mut config = Update::read(data.clone()).unwrap().apply(current).unwrap().config;
    change(&mut config);
    let block = config_block("raft-three", &config, data);
    validate(current, &block).map_err(|error| error.to_string())
}

/// An update that writes the orderer group anew, with `change` to it. Unchanged members are in both sets.
fn with_orderer_group(current: &Bundle, change: impl FnOnce(&mut ConfigGroup)) -> ConfigUpdate {
    let mut update = untouched(current);
    let orderer = root(current).groups["Orderer"].clone();
    let read = update.read_set.as_mut().unwrap();
    read.groups.insert("Orderer".to_owned(), orderer.clone());
    let written = written_orderer(&mut update);
    *written = orderer;
    written.version += 1;
    change(written);
    update
}

#[test]
fn what_is_proposed_commits() {
    let current = channel("raft-three");
    let update = with_value(&current, "BatchSize", &batch_size());
    let proposed = propose(&current, &update).unwrap().bundle;
    let committed = commit(&current, &update, |_| {}).unwrap();
    assert_eq!(committed.config(), proposed.config());
    assert_eq!(committed.sequence(), ConfigSeq(1));
    assert_eq!(committed.orderer().batch_size.max_message_count, 20);
}

#[test]
fn a_config_that_is_not_what_its_update_gives_is_no_commit() {
    let current = channel("raft-three");
    let update = with_value(&current, "BatchSize", &batch_size());
    let error = commit(&current, &update, |config| config.sequence = 2).unwrap_err();
    assert_eq!(error, "config has sequence 2, expected 1");
    let error = commit(&current, &update, |config| {
        let root = config.channel_group.as_mut().unwrap();
        let orderer = root.groups.get_mut("Orderer").unwrap();
        orderer.values.get_mut("BatchSize").unwrap().version = 7;
        orderer.values.remove("BatchTimeout");
    });
    assert_eq!(
        error.unwrap_err(),
        "config differs from what its last update gives in group /Channel/Orderer, value /Channel/Orderer/BatchSize, \
         value /Channel/Orderer/BatchTimeout"
    );
}

#[test]
fn a_config_block_of_another_channel_or_without_update_is_no_commit() {
    let current = channel("raft-three");
    let update = with_value(&current, "BatchSize", &batch_size());
    let data = signed(&update, &[&orderer_admin()]);
    let config = Update::read(data.clone())
        .unwrap()
        .apply(&current)
        .unwrap()
        .config;
    let error = validate(&current, &config_block("raft-one", &config, data)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "config block is for channel raft-one, this is channel raft-three"
    );
    let error = validate(&current, &config_block("raft-three", &config, Bytes::new())).unwrap_err();
    assert!(matches!(error, CommitError::Update(UpdateError::Channel { .. })));
    assert!(matches!(
        validate(&current, &Block::default()),
        Err(CommitError::Block(_))
    ));
}

#[test]
fn what_would_be_lost_is_refused_at_intake_and_stands_in_a_block() {
    let current = channel("raft-three");
    let mut update = untouched(&current);
    let policy = ConfigPolicy {
        mod_policy: "Admins".to_owned(),
        ..ConfigPolicy::default()
    };
    written_orderer(&mut update)
        .policies
        .insert("Orphan".to_owned(), policy);
    assert_eq!(
        propose(&current, &update).unwrap_err().to_string(),
        "policy /Channel/Orderer/Orphan would be lost: the write set adds it below a group that does not rise in \
         version"
    );
    assert!(commit(&current, &update, |_| {}).is_ok());
}

#[test]
fn a_policy_with_an_unknown_rule_is_refused_at_intake_and_stands_in_a_block() {
    let current = channel("raft-three");
    let update = with_orderer_group(&current, |orderer| {
        let rule = ImplicitMetaPolicy {
            sub_policy: "Admins".to_owned(),
            rule: 9,
        };
        let policy = ConfigPolicy {
            policy: Some(Policy {
                r#type: PolicyType::ImplicitMeta as i32,
                value: rule.encode_to_vec().into(),
            }),
            mod_policy: "Admins".to_owned(),
            ..ConfigPolicy::default()
        };
        orderer.policies.insert("Odd".to_owned(), policy);
    });
    assert_eq!(
        propose(&current, &update).unwrap_err().to_string(),
        "policy /Channel/Orderer/Odd has a rule other than ANY, ALL and MAJORITY"
    );
    assert!(commit(&current, &update, |_| {}).is_ok());
}

#[test]
fn block_validation_may_not_go_by_intake_and_may_be_gone_in_a_block() {
    let current = channel("raft-three");
    let update = with_orderer_group(&current, |orderer| {
        orderer.policies.remove("BlockValidation");
    });
    let error = propose(&current, &update).unwrap_err().to_string();
    assert!(
        error.contains("no policy /Channel/Orderer/BlockValidation"),
        "{error}"
    );
    assert!(commit(&current, &update, |_| {}).is_ok());
}

#[test]
fn capabilities_of_the_future_are_refused_at_both_ends() {
    let current = channel("raft-three");
    let mut update = with_value(&current, "Capabilities", &BatchSize::default());
    let value = written_orderer(&mut update)
        .values
        .get_mut("Capabilities")
        .unwrap();
    value.value = crate::capability::encode_capabilities(["V9_9"]);
    let text = "Orderer capabilities V9_9 are required but not supported";
    assert_eq!(propose(&current, &update).unwrap_err().to_string(), text);
    assert_eq!(commit(&current, &update, |_| {}).unwrap_err(), text);
}

#[test]
fn what_this_node_does_not_know_is_refused_at_intake() {
    let current = channel("raft-three");
    let update = with_value(&current, "BatchSize", &batch_size());
    // The write set once more, with nothing but field 99, a number: decoders join the two.
    let strange = [&update.encode_to_vec()[..], &[0x1a, 3, 0x98, 0x06, 1]].concat();
    let data = crate::testing::signed_bytes(&strange, &[&orderer_admin()]);
    let error = propose_config_update(&current, data.clone()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "field 99 in config update/write_set is not known to this node, so it cannot compute the new config"
    );
    let config = Update::read(data.clone())
        .unwrap()
        .apply(&current)
        .unwrap()
        .config;
    assert!(validate(&current, &config_block("raft-three", &config, data)).is_ok());
}
