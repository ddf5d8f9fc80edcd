use std::time::UNIX_EPOCH;

use prost::Message;
use protos::wire::common::{Block, ConfigGroup, Orderers};
use protos::wire::orderer::ConsensusType;
use protos::wire::orderer::smartbft::Options;

use super::*;
use crate::consenter::Members;
use crate::testing::vector;

fn bft_four() -> Bundle {
    Bundle::from_block(&Block::decode(vector("blocks/bft-four.block")).unwrap()).unwrap()
}

/// The config after `change` to its orderer group.
fn changed(change: impl FnOnce(&mut ConfigGroup)) -> Bundle {
    let current = bft_four();
    let mut config = current.config().clone();
    let root = config.channel_group.as_mut().unwrap();
    change(root.groups.get_mut("Orderer").unwrap());
    Bundle::new(current.channel_id().clone(), config).unwrap()
}

fn with_options(change: impl FnOnce(&mut Options)) -> Bundle {
    changed(|orderer| {
        let value = orderer.values.get_mut("ConsensusType").unwrap();
        let mut consensus = ConsensusType::decode(value.value.clone()).unwrap();
        let mut options = Options::decode(consensus.metadata.clone()).unwrap();
        change(&mut options);
        consensus.metadata = options.encode_to_vec().into();
        value.value = consensus.encode_to_vec().into();
    })
}

fn with_consenters(change: impl FnOnce(&mut Orderers)) -> Bundle {
    changed(|orderer| {
        let value = orderer.values.get_mut("Orderers").unwrap();
        let mut consenters = Orderers::decode(value.value.clone()).unwrap();
        change(&mut consenters);
        value.value = consenters.encode_to_vec().into();
    })
}

/// What both checks say: that of the proposal, and that before ordering.
fn judge(new: &Bundle) -> [Result<(), String>; 2] {
    let old = bft_four();
    let change = ConfigChange {
        old: Some(&old),
        new,
        members: &Members::default(),
        now: UNIX_EPOCH,
    };
    [
        BftValidator.validate(&change),
        BftValidator.validate_for_ordering(&change),
    ]
    .map(|verdict| verdict.map_err(|error| error.to_string()))
}

#[test]
fn a_config_whose_policy_follows_from_its_consenters_is_ordered() {
    assert_eq!(judge(&bft_four()), [Ok(()), Ok(())]);
    assert_eq!(
        judge(&with_options(|options| options.request_pool_size = 9)),
        [Ok(()), Ok(())]
    );
}

#[test]
fn a_consenter_set_that_the_policy_does_not_follow_is_not_ordered() {
    let [proposal, ordering] = judge(&with_consenters(|set| drop(set.consenter_mapping.pop())));
    assert_eq!(proposal, Ok(()));
    assert_eq!(
        ordering.unwrap_err(),
        "policy /Channel/Orderer/BlockValidation is not the one that follows from the 3 consenters"
    );
    let [_, ordering] = judge(&with_consenters(|set| set.consenter_mapping.clear()));
    assert_eq!(ordering.unwrap_err(), "value Orderers names no consenter");
}

#[test]
fn rotation_is_refused_before_ordering_and_other_options_at_once() {
    let [proposal, ordering] = judge(&with_options(|options| options.set_leader_rotation(Rotation::On)));
    assert_eq!(proposal, Ok(()));
    assert!(ordering.is_err());
    let [proposal, _] = judge(&with_options(|options| options.request_pool_size = 0));
    assert_eq!(
        proposal.unwrap_err(),
        "BFT option RequestPoolSize must be greater than 0"
    );
}

#[test]
fn two_consenters_may_not_share_an_id() {
    let [proposal, _] = judge(&with_consenters(|set| {
        set.consenter_mapping[1].id = set.consenter_mapping[0].id;
    }));
    assert!(
        proposal
            .unwrap_err()
            .starts_with("two consenters in value Orderers have id")
    );
}
