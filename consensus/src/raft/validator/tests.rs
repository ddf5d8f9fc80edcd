use std::time::{Duration, UNIX_EPOCH};

use prost::Message;
use protos::ConsenterId;
use protos::wire::common::Block;
use protos::wire::etcdraft::ConfigMetadata;
use protos::wire::orderer::ConsensusType;

use super::*;
use crate::consenter::Members;
use crate::testing::vector;

/// 2027: the authorities of the vectors are valid, their `tls-expired` is not.
const NOW: Duration = Duration::from_hours(500_000);

fn raft_three() -> Bundle {
    Bundle::from_block(&Block::decode(vector("blocks/raft-three.block")).unwrap()).unwrap()
}

/// The config after `change` to its consensus type.
fn with_type(bundle: &Bundle, change: impl FnOnce(&mut ConsensusType)) -> Bundle {
    let mut config = bundle.config().clone();
    let root = config.channel_group.as_mut().unwrap();
    let orderer = root.groups.get_mut("Orderer").unwrap();
    let value = orderer.values.get_mut("ConsensusType").unwrap();
    let mut decoded = ConsensusType::decode(value.value.clone()).unwrap();
    change(&mut decoded);
    value.value = decoded.encode_to_vec().into();
    Bundle::new(bundle.channel_id().clone(), config).unwrap()
}

fn with_metadata(bundle: &Bundle, change: impl FnOnce(&mut ConfigMetadata)) -> Bundle {
    with_type(bundle, |consensus| {
        let mut metadata = ConfigMetadata::decode(consensus.metadata.clone()).unwrap();
        change(&mut metadata);
        consensus.metadata = metadata.encode_to_vec().into();
    })
}

fn judge(old: Option<&Bundle>, new: &Bundle, active: &[u64]) -> Result<(), String> {
    let members = Members {
        ids: [1, 2, 3].map(ConsenterId).to_vec(),
        active: active.iter().copied().map(ConsenterId).collect(),
    };
    let change = ConfigChange {
        old,
        new,
        members: &members,
        now: UNIX_EPOCH + NOW,
    };
    RaftValidator.validate(&change).map_err(|error| error.to_string())
}

/// A consenter of the vectors' orderer organisation that is in no channel.
fn fourth() -> Consenter {
    let folder = "crypto/ordererOrganizations/ord.vec.test/orderers/o4.ord.vec.test/tls/server.crt";
    consenter("o4.ord.vec.test", folder)
}

fn consenter(host: &str, certificate: &str) -> Consenter {
    Consenter {
        host: host.to_owned(),
        port: 7050,
        client_tls_cert: vector(certificate),
        server_tls_cert: vector(certificate),
    }
}

#[test]
fn what_changes_no_member_needs_nobody_alive() {
    let old = raft_three();
    let new = with_metadata(&old, |metadata| {
        metadata.consenters.reverse();
        metadata.consenters[0].host = "elsewhere".to_owned();
        metadata.options.as_mut().unwrap().election_tick = 20;
    });
    assert_eq!(judge(Some(&old), &new, &[]), Ok(()));
    assert_eq!(judge(None, &new, &[]), Ok(()));
}

#[test]
fn one_may_come_while_a_quorum_of_the_new_set_is_alive() {
    let old = raft_three();
    let new = with_metadata(&old, |metadata| metadata.consenters.push(fourth()));
    assert_eq!(judge(Some(&old), &new, &[1, 2, 3]), Ok(()));
    assert_eq!(
        judge(Some(&old), &new, &[1, 2]).unwrap_err(),
        "2 out of 3 nodes are alive, configuration will result in quorum loss: to add one, 3 of the 4 consenters that \
         there would be must be alive, 2 are known to be"
    );
}

#[test]
fn each_fault_is_named() {
    type Change = fn(&mut ConfigMetadata);
    let old = raft_three();
    let cases: [(Change, &str); 6] = [
        (
            |m| m.options = None,
            "invalid new config metadata: etcdraft metadata has no options",
        ),
        (
            |m| m.options.as_mut().unwrap().tick_interval = "-1s".to_owned(),
            "invalid new config metadata: TickInterval (-1s) must be greater than 0",
        ),
        (
            |m| m.consenters.clear(),
            "invalid new config metadata: consenter set is empty",
        ),
        (
            |m| m.consenters.truncate(1),
            "more than one consenter changes: none added, ",
        ),
        (
            |m| m.consenters[1].server_tls_cert = m.consenters[0].client_tls_cert.clone(),
            "invalid new config metadata: consenters o1.ord.vec.test:",
        ),
        (
            |m| m.consenters[2].server_tls_cert = b"x".to_vec().into(),
            "invalid new config metadata: consenter o3.ord.vec.test:7053 has invalid certificate: verifying tls server \
             cert: ",
        ),
    ];
    for (change, expected) in cases {
        let error = judge(Some(&old), &with_metadata(&old, change), &[1, 2, 3]).unwrap_err();
        assert!(error.starts_with(expected), "{error}");
    }
}

#[test]
fn metadata_may_not_be_emptied() {
    let old = raft_three();
    let new = with_type(&old, |consensus| consensus.metadata.clear());
    assert!(
        judge(Some(&old), &new, &[1, 2, 3])
            .unwrap_err()
            .starts_with("invalid new config metadata: etcdraft metadata is empty")
    );
}

#[test]
fn an_expired_certificate_is_forgiven_to_those_who_have_it_already() {
    let expired = || consenter("o9.ord.vec.test", "crypto/extra/tls-expired/cert.pem");
    let old = raft_three();
    let new = with_metadata(&old, |metadata| metadata.consenters.push(expired()));
    let error = judge(Some(&old), &new, &[1, 2, 3]).unwrap_err();
    assert!(
        error.contains("o9.ord.vec.test:7050") && error.contains("has expired"),
        "{error}"
    );
    // The same consenter, there from the beginning.
    assert_eq!(judge(Some(&new), &new, &[]), Ok(()));
    assert_eq!(judge(None, &new, &[]), Ok(()));
}

#[test]
fn a_joined_config_is_refused_without_the_words_for_updates() {
    let new = with_metadata(&raft_three(), |metadata| {
        metadata.options.as_mut().unwrap().heartbeat_tick = 10;
    });
    assert_eq!(
        judge(None, &new, &[]).unwrap_err(),
        "ElectionTick (10) must be greater than HeartbeatTick (10)"
    );
}

#[test]
fn on_the_way_to_bft_endpoints_of_organisations_are_asked_for_in_the_words_tools_compare() {
    let block = Block::decode(vector("blocks/raft-one-v2.block")).unwrap();
    let old = Bundle::from_block(&block).unwrap();
    let mut config = old.config().clone();
    let root = config.channel_group.as_mut().unwrap();
    let organisations = &mut root.groups.get_mut("Orderer").unwrap().groups;
    for organisation in organisations.values_mut() {
        organisation.values.remove("Endpoints");
    }
    let without = Bundle::new(old.channel_id().clone(), config).unwrap();
    let new = with_type(&without, |consensus| consensus.r#type = "BFT".to_owned());
    let told = judge(Some(&without), &new, &[]).unwrap_err();
    let expected = "illegal orderer config detected during consensus metadata validation: endpoints of org OrdererOrg \
                    are missing";
    assert!(told.starts_with(expected), "{told}");
}

#[test]
fn the_type_changes_to_bft_only_and_with_all_that_bft_needs() {
    let old = raft_three();
    let new = with_type(&old, |consensus| consensus.r#type = "solo".to_owned());
    assert_eq!(
        judge(Some(&old), &new, &[]).unwrap_err(),
        "consensus type may not change from etcdraft to solo"
    );
    let new = with_type(&old, |consensus| consensus.r#type = "BFT".to_owned());
    assert_eq!(
        judge(Some(&old), &new, &[]).unwrap_err(),
        "value Orderers names no consenter"
    );
}
