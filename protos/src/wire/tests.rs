//! Encodings pinned by hand: a wrong number or type in `proto/` shows here.

use bytes::Bytes;
use prost::Message;

use super::common::{
    Capabilities, Capability, ConfigGroup, ConfigUpdate, ConfigValue, LastConfig, MspPrincipal,
    OrdererBlockMetadata, SignaturePolicy, Status, msp_principal, signature_policy,
};
use super::orderer::smartbft::{Options, options::Rotation};
use super::{kvrwset, orderer, protos, raftpb, smartbftprotos};

fn hex_of(message: &impl Message) -> String {
    hex::encode(message.encode_to_vec())
}

#[test]
fn raft_message_writes_its_zeros() {
    assert_eq!(
        hex_of(&raftpb::Message::default()),
        "0800100018002000280030004000500058006800"
    );
    assert_eq!(hex_of(&raftpb::Entry::default()), "080010001800");
    assert_eq!(hex_of(&raftpb::ConfChange::default()), "080010001800");
    assert_eq!(hex_of(&raftpb::SnapshotMetadata::default()), "10001800");
    assert_eq!(
        hex_of(&raftpb::ConfState {
            voters: vec![1, 2],
            ..Default::default()
        }),
        "080108022800"
    );
}

#[test]
fn raft_message_reads_without_required_fields() {
    assert_eq!(
        raftpb::Message::decode(&b""[..]).unwrap(),
        raftpb::Message::default()
    );
}

#[test]
fn raft_bootstrap_entry() {
    let change = raftpb::ConfChange {
        id: 0,
        r#type: raftpb::ConfChangeType::AddNode.into(),
        node_id: 3,
        context: None,
    };
    let entry = raftpb::Entry {
        r#type: raftpb::EntryType::ConfChange.into(),
        term: 1,
        index: 3,
        data: Some(change.encode_to_vec().into()),
    };
    assert_eq!(hex_of(&entry), "0801100118032206080010001803");
    assert_eq!(raftpb::MessageType::ForgetLeader as i32, 23);
    assert_eq!(raftpb::ConfChangeType::AddLearnerNode as i32, 3);
}

/// The reference writes `0a080a0456335f301200`: prost leaves out the value of a map entry when it is the
/// default. Both decode to the same.
#[test]
fn empty_map_values_are_left_out() {
    let capabilities = Capabilities {
        capabilities: [("V3_0".to_owned(), Capability {})].into(),
    };
    assert_eq!(hex_of(&capabilities), "0a060a0456335f30");
    let reference = hex::decode("0a080a0456335f301200").unwrap();
    assert_eq!(Capabilities::decode(&reference[..]).unwrap(), capabilities);
}

#[test]
fn maps_are_written_in_key_order() {
    let mut group = ConfigGroup::default();
    for key in ["b", "a"] {
        group.values.insert(
            key.to_owned(),
            ConfigValue {
                version: 1,
                ..Default::default()
            },
        );
    }
    assert_eq!(hex_of(&group), "1a070a0161120208011a070a016212020801");

    let update = ConfigUpdate {
        isolated_data: [("k".to_owned(), Bytes::from_static(b"v"))].into(),
        ..Default::default()
    };
    assert_eq!(hex_of(&update), "2a060a016b120176");
}

#[test]
fn empty_messages_are_present() {
    let metadata = OrdererBlockMetadata {
        last_config: Some(LastConfig { index: 0 }),
        ..Default::default()
    };
    assert_eq!(hex_of(&metadata), "0a00");
    assert_eq!(hex_of(&OrdererBlockMetadata::default()), "");

    let newest = orderer::SeekPosition {
        r#type: Some(orderer::seek_position::Type::Newest(orderer::SeekNewest {})),
    };
    assert_eq!(hex_of(&newest), "0a00");
}

#[test]
fn a_set_oneof_is_written_at_its_default() {
    let first = SignaturePolicy {
        r#type: Some(signature_policy::Type::SignedBy(0)),
    };
    assert_eq!(hex_of(&first), "0800");
    let all = SignaturePolicy {
        r#type: Some(signature_policy::Type::NOutOf(signature_policy::NOutOf {
            n: 1,
            rules: vec![first],
        })),
    };
    assert_eq!(hex_of(&all), "1206080112020800");
}

#[test]
fn enum_numbers() {
    let done = orderer::DeliverResponse {
        r#type: Some(orderer::deliver_response::Type::Status(
            Status::ServiceUnavailable.into(),
        )),
    };
    assert_eq!(hex_of(&done), "08f703");
    let principal = MspPrincipal {
        principal_classification: msp_principal::Classification::OrganizationUnit.into(),
        principal: Bytes::from_static(b"p"),
    };
    assert_eq!(hex_of(&principal), "0801120170");
    let options = Options {
        leader_rotation: Rotation::Off.into(),
        decisions_per_leader: 3,
        ..Default::default()
    };
    assert_eq!(hex_of(&options), "880101900103");
    assert_eq!(Rotation::Off.as_str_name(), "ROTATION_OFF");
}

#[test]
fn numbers_that_skip() {
    let view = smartbftprotos::NewView {
        signed_view_data: vec![smartbftprotos::SignedViewData::default()],
    };
    assert_eq!(hex_of(&view), "1200");
    let extension = protos::ChaincodeHeaderExtension {
        chaincode_id: Some(protos::ChaincodeId::default()),
    };
    assert_eq!(hex_of(&extension), "1200");
    let range = kvrwset::RangeQueryInfo {
        reads_info: Some(kvrwset::range_query_info::ReadsInfo::RawReads(
            kvrwset::QueryReads::default(),
        )),
        ..Default::default()
    };
    assert_eq!(hex_of(&range), "2200");
}

#[test]
fn decoded_bytes_share_the_input() {
    let input = Bytes::from_static(b"\x0a\x03abc");
    let envelope = super::common::Envelope::decode(input.clone()).unwrap();
    assert_eq!(envelope.payload, "abc");
    assert_eq!(envelope.payload.as_ptr(), input[2..].as_ptr());
}
