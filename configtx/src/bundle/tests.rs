use std::collections::BTreeMap;
use std::path::PathBuf;

use bytes::Bytes;
use proptest::prelude::*;
use prost::Message;
use protos::wire::common::{
    BlockDataHashingStructure, Capabilities, ConfigValue, HashingAlgorithm, OrdererAddresses,
};
use protos::wire::orderer::{BatchSize, BatchTimeout};

use super::*;
use crate::capability::encode_capabilities;

fn vector_bytes(path: &str) -> Bytes {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors");
    Bytes::from(std::fs::read(root.join(path)).unwrap())
}

fn vector(path: &str) -> Block {
    Block::decode(vector_bytes(path)).unwrap()
}

fn raft_three() -> ConfigBlock {
    ConfigBlock::read(&vector("ecdsa/blocks/raft-three.block")).unwrap()
}

fn put<M: Message>(group: &mut ConfigGroup, key: &str, value: &M) {
    let value = ConfigValue {
        value: value.encode_to_vec().into(),
        ..Default::default()
    };
    group.values.insert(key.to_owned(), value);
}

/// The error of raft-three's config after `change` to its channel group.
fn refused(change: impl FnOnce(&mut ConfigGroup)) -> String {
    let mut read = raft_three();
    change(read.config.channel_group.as_mut().unwrap());
    Bundle::new(read.channel_id, read.config).unwrap_err().to_string()
}

fn orderer(root: &mut ConfigGroup) -> &mut ConfigGroup {
    root.groups.get_mut("Orderer").unwrap()
}

fn application(root: &mut ConfigGroup) -> &mut ConfigGroup {
    root.groups.get_mut("Application").unwrap()
}

#[test]
fn the_reference_genesis_blocks_are_accepted() {
    for set in ["ecdsa", "ed25519"] {
        for name in [
            "bft-four",
            "raft-one",
            "raft-one-crl",
            "raft-one-v2",
            "raft-three",
            "raft-three-a3",
        ] {
            let bundle = Bundle::from_block(&vector(&format!("{set}/blocks/{name}.block"))).unwrap();
            assert_eq!(bundle.channel_id().as_str(), name);
            assert_eq!(bundle.sequence(), ConfigSeq(0));
            assert_eq!(bundle.check_supported(), Ok(()));
            assert_eq!(bundle.orderer().batch_size.max_message_count, 10);
            assert_eq!(bundle.orderer().batch_timeout.as_millis(), 500);
            assert_eq!(bundle.capabilities().v3(), name != "raft-one-v2");
            assert!(bundle.application().is_some() && !bundle.has_consortiums());
        }
    }
}

#[test]
fn organisations_have_their_msp_ids_and_addresses() {
    let bundle = Bundle::from_block(&vector("ecdsa/blocks/raft-three.block")).unwrap();
    let org = &bundle.orderer().organizations["OrdererOrg"];
    assert_eq!(org.msp_id, "OrdererMSP");
    assert!(!org.endpoints.is_empty());
    let application = bundle.application().unwrap();
    assert_eq!(application.organizations["Org2"].msp_id, "Org2MSP");
}

#[test]
fn unknown_capabilities_are_refused_only_by_who_must_support_them() {
    let mut read = raft_three();
    let root = read.config.channel_group.as_mut().unwrap();
    let capabilities = Capabilities::decode(encode_capabilities(["V2_0", "V9_9"])).unwrap();
    put(application(root), keys::CAPABILITIES, &capabilities);
    let bundle = Bundle::new(read.channel_id.clone(), read.config.clone()).unwrap();
    assert_eq!(bundle.check_supported(), Ok(()));

    put(
        orderer(read.config.channel_group.as_mut().unwrap()),
        keys::CAPABILITIES,
        &capabilities,
    );
    let bundle = Bundle::new(read.channel_id, read.config).unwrap();
    assert_eq!(
        bundle.check_supported().unwrap_err().to_string(),
        "Orderer capabilities V9_9 are required but not supported"
    );
}

#[test]
fn each_broken_rule_of_the_channel_group_is_named() {
    let addresses = OrdererAddresses {
        addresses: vec!["o1:7050".into()],
    };
    let none: Capabilities = Capabilities::default();
    let cases: Vec<(String, &str)> = vec![
        (
            refused(|root| put(root, keys::ORDERER_ADDRESSES, &addresses)),
            "initializing channelconfig failed: global OrdererAddresses are not allowed with V3_0 capability, \
             use org specific addresses only",
        ),
        (
            refused(|root| put(root, keys::CAPABILITIES, &none)),
            "no orderer addresses are set",
        ),
        (
            refused(|root| {
                put(
                    root,
                    keys::HASHING_ALGORITHM,
                    &HashingAlgorithm { name: "MD5".into() },
                );
            }),
            "unknown hashing algorithm \"MD5\"",
        ),
        (
            refused(|root| {
                put(
                    root,
                    keys::BLOCK_DATA_HASHING_STRUCTURE,
                    &BlockDataHashingStructure { width: 4 },
                );
            }),
            "hashing width is 4",
        ),
        (
            refused(|root| put(root, "Surprise", &none)),
            "unexpected key Surprise among the values of /Channel",
        ),
        (
            refused(|root| drop(root.groups.insert("Extra".into(), ConfigGroup::default()))),
            "group /Channel/Extra is not allowed",
        ),
        (
            refused(|root| drop(root.groups.remove("Orderer"))),
            "no Orderer group",
        ),
        (
            refused(|root| drop(orderer(root).values.remove(keys::CAPABILITIES))),
            "capabilities of group Channel need",
        ),
        (
            refused(|root| {
                orderer(root).values.remove(keys::CAPABILITIES);
                root.values.remove(keys::CAPABILITIES);
            }),
            "capabilities of group Application need",
        ),
    ];
    for (found, expected) in cases {
        assert!(found.contains(expected), "{found}\nlacks: {expected}");
    }
}

#[test]
fn each_broken_rule_of_the_orderer_group_is_named() {
    let size = |count, absolute, preferred| BatchSize {
        max_message_count: count,
        absolute_max_bytes: absolute,
        preferred_max_bytes: preferred,
    };
    let timeout = |text: &str| BatchTimeout { timeout: text.into() };
    let cases: Vec<(String, &str)> = vec![
        (
            refused(|root| put(orderer(root), keys::BATCH_SIZE, &size(0, 2, 1))),
            "max_message_count must be greater than 0",
        ),
        (
            refused(|root| drop(orderer(root).values.remove(keys::BATCH_SIZE))),
            "max_message_count must be greater than 0",
        ),
        (
            refused(|root| put(orderer(root), keys::BATCH_SIZE, &size(1, 2, 3))),
            "preferred batch size 3 is above the absolute maximum 2",
        ),
        (
            refused(|root| put(orderer(root), keys::BATCH_TIMEOUT, &timeout("2 s"))),
            "batch timeout: unknown unit \" s\"",
        ),
        (
            refused(|root| put(orderer(root), keys::BATCH_TIMEOUT, &timeout("-2s"))),
            "batch timeout -2s must be greater than 0",
        ),
        (
            refused(|root| {
                let org = orderer(root).groups.get_mut("OrdererOrg").unwrap();
                org.values.remove(keys::ENDPOINTS);
            }),
            "endpoints of org OrdererOrg are missing",
        ),
        (
            refused(|root| {
                let broken = ConfigValue {
                    value: Bytes::from_static(&[0xff]),
                    ..Default::default()
                };
                orderer(root).values.insert(keys::KAFKA_BROKERS.into(), broken);
            }),
            "value /Channel/Orderer/KafkaBrokers does not decode",
        ),
        (
            refused(|root| {
                let org = orderer(root).groups.get_mut("OrdererOrg").unwrap();
                org.groups.insert("Below".into(), ConfigGroup::default());
            }),
            "group /Channel/Orderer/OrdererOrg/Below is not allowed",
        ),
    ];
    for (found, expected) in cases {
        assert!(found.contains(expected), "{found}\nlacks: {expected}");
    }
}

#[test]
fn endpoints_need_their_capability() {
    let found = refused(|root| {
        let old = Capabilities::decode(encode_capabilities(["V1_3"])).unwrap();
        put(root, keys::CAPABILITIES, &old);
        let addresses = OrdererAddresses {
            addresses: vec!["o1:7050".into()],
        };
        put(root, keys::ORDERER_ADDRESSES, &addresses);
    });
    assert!(
        found.contains("endpoints of org OrdererOrg need channel capability V1_4_2"),
        "{found}"
    );
}

#[test]
fn acls_need_their_capability() {
    let found = refused(|root| {
        let old = Capabilities::decode(encode_capabilities(["V1_1"])).unwrap();
        put(application(root), keys::CAPABILITIES, &old);
        put(application(root), keys::ACLS, &Capabilities::default());
    });
    assert!(found.contains("ACLs need application capability V1_2"), "{found}");
}

#[test]
fn one_msp_id_has_one_definition() {
    let found = refused(|root| {
        let application = application(root);
        let mut twin = application.groups["Org1"].clone();
        application.groups.insert("Org1Twin".into(), twin.clone());
        let msp = twin.values.get_mut(keys::MSP).unwrap();
        let mut config = protos::wire::msp::MspConfig::decode(msp.value.clone()).unwrap();
        let mut fabric = protos::wire::msp::FabricMspConfig::decode(config.config.clone()).unwrap();
        fabric.tls_root_certs.clear();
        config.config = fabric.encode_to_vec().into();
        msp.value = config.encode_to_vec().into();
        application.groups.insert("Org1Zwin".into(), twin);
    });
    assert!(
        found.ends_with(
            "organisations /Channel/Application/Org1 and /Channel/Application/Org1Zwin share msp Org1MSP with \
             different settings"
        ),
        "{found}"
    );
}

#[test]
fn illegal_keys_are_refused() {
    let found = refused(|root| {
        let policy = root.policies["Admins"].clone();
        root.policies.insert("my policy".into(), policy);
    });
    assert!(
        found.contains("illegal key \"my policy\" in group /Channel"),
        "{found}"
    );
}

#[test]
fn a_block_without_config_is_named_so() {
    for block in [Block::default(), vector("ecdsa/chain/raft-three/o1-001.block")] {
        assert_eq!(
            Bundle::from_block(&block).unwrap_err().to_string(),
            "block is not a config block"
        );
    }
}

#[test]
fn every_element_is_listed_as_the_reference_lists_it() {
    use sha2::{Digest, Sha256};
    for set in ["ecdsa", "ed25519"] {
        for name in ["bft-four", "raft-one-v2", "raft-three-a3"] {
            let bundle = Bundle::from_block(&vector(&format!("{set}/blocks/{name}.block"))).unwrap();
            let tree = Tree::flatten(bundle.config().channel_group.as_ref().unwrap()).unwrap();
            let mut listed: BTreeMap<&str, Vec<String>> = BTreeMap::new();
            for (key, element) in tree.iter() {
                let head = format!(
                    "{} v{} mod_policy={}",
                    key.path, element.version, element.mod_policy
                );
                let hash = |bytes: &[u8]| hex::encode(Sha256::digest(bytes));
                let (kind, line) = match &element.content {
                    crate::tree::Content::Group(_) => ("groups", head),
                    crate::tree::Content::Value(v) => ("values", format!("{head} value_sha256={}", hash(v))),
                    crate::tree::Content::Policy(p) => {
                        let p = p.clone().unwrap_or_default();
                        let hash = hash(&p.value);
                        (
                            "policies",
                            format!("{head} type={} value_sha256={hash}", p.r#type),
                        )
                    }
                };
                listed.entry(kind).or_default().push(line);
            }
            let expected = vector_bytes(&format!("{set}/blocks/{name}.json"));
            let expected: serde_json::Value = serde_json::from_slice(&expected).unwrap();
            for (kind, mut lines) in listed {
                lines.sort();
                assert_eq!(expected[kind], serde_json::json!(lines), "{set} {name} {kind}");
            }
        }
    }
}

proptest! {
    #[test]
    fn no_bytes_make_reading_a_block_panic(bytes: Vec<u8>) {
        if let Ok(block) = Block::decode(&bytes[..]) {
            let _ = Bundle::from_block(&block);
        }
    }

    #[test]
    fn a_damaged_config_block_never_panics(damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)) {
        let mut bytes = vector_bytes("ecdsa/blocks/raft-one.block").to_vec();
        for (place, value) in damage {
            let place = place.index(bytes.len());
            bytes[place] = value;
        }
        if let Ok(block) = Block::decode(&bytes[..]) {
            let _ = Bundle::from_block(&block);
        }
    }
}
