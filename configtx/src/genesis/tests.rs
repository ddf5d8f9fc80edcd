use std::path::PathBuf;
use std::time::Duration;

use protos::wire::common::implicit_meta_policy::Rule;
use protos::wire::common::msp_role::MspRoleType;
use sha2::{Digest, Sha256};

use super::*;
use crate::Bundle;
use crate::config_block::ConfigBlock;
use crate::keys;

fn vector(path: &str) -> Block {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors");
    Block::decode(&std::fs::read(root.join(path)).unwrap()[..]).unwrap()
}

fn implicit_policies(extra: &[(&str, Policy)]) -> Policies {
    let mut policies = Policies::from([
        ("Readers".to_owned(), implicit(Rule::Any, "Readers")),
        ("Writers".to_owned(), implicit(Rule::Any, "Writers")),
        ("Admins".to_owned(), implicit(Rule::Majority, "Admins")),
    ]);
    policies.extend(
        extra
            .iter()
            .map(|(name, policy)| ((*name).to_owned(), policy.clone())),
    );
    policies
}

fn org_policies(msp_id: &str) -> Policies {
    let of = |roles: &[MspRoleType]| any_of_roles(msp_id, roles);
    Policies::from([
        ("Readers".to_owned(), of(&[MspRoleType::Member])),
        ("Writers".to_owned(), of(&[MspRoleType::Member])),
        ("Admins".to_owned(), of(&[MspRoleType::Admin])),
    ])
}

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn org(name: &str, msp: MspConfig, msp_id: &str) -> Organization {
    Organization {
        name: name.to_owned(),
        msp,
        policies: org_policies(msp_id),
        ..Default::default()
    }
}

/// A small solo channel, with MSPs of the vectors.
fn profile() -> Profile {
    let block = ConfigBlock::read(&vector("ecdsa/blocks/raft-one.block")).unwrap();
    let root = block.config.channel_group.unwrap();
    let msp = |group: &str, org: &str| {
        let value = &root.groups[group].groups[org].values[keys::MSP].value;
        MspConfig::decode(value.clone()).unwrap()
    };
    let mut orderer_org = org("OrdererOrg", msp("Orderer", "OrdererOrg"), "OrdererMSP");
    orderer_org.endpoints = vec!["localhost:7050".into()];
    let mut org1 = org("Org1", msp("Application", "Org1"), "Org1MSP");
    org1.anchor_peers = vec![AnchorPeer {
        host: "peer0".into(),
        port: 7051,
    }];
    Profile {
        capabilities: Some(names(&["V3_0"])),
        policies: implicit_policies(&[]),
        orderer: OrdererProfile {
            organizations: vec![orderer_org],
            policies: implicit_policies(&[("BlockValidation", implicit(Rule::Any, "Writers"))]),
            capabilities: Some(names(&["V2_0"])),
            ..Default::default()
        },
        application: Some(ApplicationProfile {
            organizations: vec![org1],
            policies: implicit_policies(&[("Endorsement", implicit(Rule::Majority, "Endorsement"))]),
            capabilities: Some(names(&["V2_5"])),
            acls: BTreeMap::from([("event/Block".into(), "/Channel/Application/Readers".into())]),
        }),
        ..Default::default()
    }
}

fn made(profile: &Profile) -> Result<Block, GenesisError> {
    let now = SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_900);
    genesis_block(profile, "solo-channel", [7; NONCE_BYTES], now)
}

#[test]
fn a_small_profile_gives_these_bytes() {
    let block = made(&profile()).unwrap();
    let header = block.header.as_ref().unwrap();
    assert!(header.number == 0 && header.previous_hash.is_empty());
    assert_eq!(
        header.data_hash[..],
        block::block_data_hash(block.data.as_ref().unwrap())
    );
    let slots: Vec<_> = block
        .metadata
        .as_ref()
        .unwrap()
        .metadata
        .iter()
        .map(hex::encode)
        .collect();
    assert_eq!(slots, ["0a020a00", "", "", "", ""]);
    assert_eq!(
        hex::encode(Sha256::digest(block.encode_to_vec())),
        "bdf67da882557230355e87fc5dc9a610c5b19ff283ac11fe2a3c8497204e1eb4"
    );
}

#[test]
fn the_block_is_a_valid_config_with_the_usual_defaults() {
    let bundle = Bundle::from_block(&made(&profile()).unwrap()).unwrap();
    assert_eq!(bundle.channel_id().as_str(), "solo-channel");
    assert_eq!(bundle.check_supported(), Ok(()));
    let orderer = bundle.orderer();
    assert_eq!(orderer.consensus_type.kind, "solo");
    assert!(orderer.consensus_type.metadata.is_empty());
    assert_eq!(orderer.batch_timeout, Duration::from_secs(2));
    assert_eq!(orderer.batch_size.max_message_count, 500);
    assert_eq!(orderer.batch_size.absolute_max_bytes, 10_485_760);
    assert_eq!(orderer.batch_size.preferred_max_bytes, 2_097_152);
}

#[test]
fn the_header_says_config_in_whole_seconds_with_the_nonces_tx_id() {
    let block = made(&profile()).unwrap();
    let entry = block.data.unwrap().data.remove(0);
    let opened = protos::envelope::Opened::open(entry).unwrap();
    let header = &opened.channel_header;
    assert_eq!((header.r#type, header.version, header.epoch), (1, 1, 0));
    let time = header.timestamp.as_ref().unwrap();
    assert_eq!((time.seconds, time.nanos), (1_700_000_000, 0));
    assert_eq!(header.tx_id, hex::encode(Sha256::digest([7; NONCE_BYTES])));
    assert!(opened.signature.is_empty());
    let signature_header = opened.signature_header().unwrap();
    assert!(signature_header.creator.is_empty());
    assert_eq!(signature_header.nonce.len(), NONCE_BYTES);
}

/// Reads a profile back out of a block of the reference.
fn profile_of(block: &Block) -> Profile {
    let config = ConfigBlock::read(block).unwrap().config;
    let bundle = Bundle::from_block(block).unwrap();
    let root = config.channel_group.unwrap();
    let (orderer, application) = (&root.groups["Orderer"], &root.groups["Application"]);
    let policies = |group: &ConfigGroup| -> Policies {
        let each = group.policies.iter();
        each.map(|(name, p)| (name.clone(), p.policy.clone().unwrap()))
            .collect()
    };
    let capabilities = |group: &ConfigGroup| -> CapabilityNames {
        let value = &group.values[keys::CAPABILITIES].value;
        let value = protos::wire::common::Capabilities::decode(value.clone()).unwrap();
        Some(value.capabilities.into_keys().collect())
    };
    let organizations = |group: &ConfigGroup| -> Vec<Organization> {
        let each = group.groups.iter();
        each.map(|(name, org)| Organization {
            name: name.clone(),
            msp: MspConfig::decode(org.values[keys::MSP].value.clone()).unwrap(),
            policies: policies(org),
            endpoints: bundle
                .orderer()
                .organizations
                .get(name)
                .map(|org| org.endpoints.clone())
                .unwrap_or_default(),
            anchor_peers: Vec::new(),
        })
        .collect()
    };
    let settings = bundle.orderer();
    let metadata = settings.consensus_type.metadata.clone();
    let consensus = match settings.consensus_type.kind.as_str() {
        "BFT" => Consensus::Bft {
            consenters: settings.consenters.clone(),
            options: Some(Box::new(smartbft::Options::decode(metadata).unwrap())),
        },
        _ => Consensus::Etcdraft(etcdraft::ConfigMetadata::decode(metadata).unwrap()),
    };
    let size = &settings.batch_size;
    Profile {
        consortium: bundle.channel().consortium.clone(),
        capabilities: capabilities(&root),
        policies: policies(&root),
        orderer: OrdererProfile {
            consensus,
            addresses: bundle.channel().orderer_addresses.clone(),
            batch_timeout: GoDuration::from_std(settings.batch_timeout),
            batch_size: BatchSize {
                max_message_count: size.max_message_count,
                absolute_max_bytes: size.absolute_max_bytes,
                preferred_max_bytes: size.preferred_max_bytes,
            },
            channels_max: settings.channels_max,
            organizations: organizations(orderer),
            policies: policies(orderer),
            capabilities: capabilities(orderer),
        },
        application: Some(ApplicationProfile {
            organizations: organizations(application),
            policies: policies(application),
            capabilities: capabilities(application),
            acls: bundle.application().unwrap().acls.clone(),
        }),
        consortiums: None,
    }
}

#[test]
fn the_reference_tools_blocks_are_made_again_from_their_content() {
    for set in ["ecdsa", "ed25519"] {
        for name in [
            "bft-four",
            "raft-one",
            "raft-one-crl",
            "raft-one-v2",
            "raft-three",
            "raft-three-a3",
        ] {
            let block = vector(&format!("{set}/blocks/{name}.block"));
            let expected = ConfigBlock::read(&block).unwrap().config.channel_group.unwrap();
            let group = channel_group(&profile_of(&block)).unwrap();
            assert_eq!(group, expected, "{set} {name}");
        }
    }
}

#[test]
fn bft_replaces_whatever_block_validation_was_given() {
    let mut profile = profile_of(&vector("ecdsa/blocks/bft-four.block"));
    let computed = channel_group(&profile).unwrap();
    let given = implicit(Rule::Any, "Writers");
    profile.orderer.policies.insert("BlockValidation".into(), given);
    assert_eq!(channel_group(&profile).unwrap(), computed);
}

#[test]
fn what_a_profile_lacks_is_named() {
    type Change = fn(&mut Profile);
    let cases: [(Change, &str); 9] = [
        (
            |p| drop(p.policies.remove("Admins")),
            "/Channel: no Admins policy defined",
        ),
        (
            |p| drop(p.orderer.policies.remove("BlockValidation")),
            "/Channel/Orderer: no BlockValidation policy defined",
        ),
        (
            |p| {
                drop(
                    p.application.as_mut().unwrap().organizations[0]
                        .policies
                        .remove("Writers"),
                );
            },
            "/Channel/Application/Org1: no Writers policy defined",
        ),
        (|p| p.application = None, "the profile has no Application section"),
        (
            |p| p.orderer.addresses.push("o:1".into()),
            "/Channel/OrdererAddresses: channel capability V3_0 allows no addresses for the whole channel (o:1): \
             give each orderer organisation endpoints",
        ),
        (
            |p| p.orderer.organizations[0].endpoints.clear(),
            "/Channel/Orderer/OrdererOrg: organisation OrdererOrg has no orderer endpoints, channel capability \
             V3_0 requires them",
        ),
        (
            |p| p.orderer.consensus = Consensus::Etcdraft(etcdraft::ConfigMetadata::default()),
            "etcdraft configuration has no consenters",
        ),
        (
            |p| {
                p.orderer.consensus = Consensus::Bft {
                    consenters: vec![Consenter {
                        host: "o1".into(),
                        port: 7050,
                        ..Default::default()
                    }],
                    options: None,
                };
            },
            "consenter o1:7050 has no MSP ID",
        ),
        (
            |p| {
                p.capabilities = None;
                p.orderer.consensus = Consensus::Bft {
                    consenters: Vec::new(),
                    options: None,
                };
            },
            "/Channel/Orderer/ConsensusType: BFT needs channel capability V3_0",
        ),
    ];
    for (change, expected) in cases {
        let mut changed = profile();
        change(&mut changed);
        assert_eq!(made(&changed).unwrap_err().to_string(), expected);
    }
}

#[test]
fn a_system_channel_can_be_made() {
    let mut profile = profile();
    let organizations = profile.application.take().unwrap().organizations;
    profile.consortiums = Some(BTreeMap::from([("Sample".to_owned(), organizations)]));
    let bundle = Bundle::from_block(&made(&profile).unwrap()).unwrap();
    assert!(bundle.has_consortiums() && bundle.application().is_none());
}

#[test]
fn capabilities_are_absent_or_empty_as_asked() {
    let mut profile = profile();
    profile.application.as_mut().unwrap().capabilities = Some(names(&[]));
    let group = channel_group(&profile).unwrap();
    assert!(
        group.groups["Application"].values[keys::CAPABILITIES]
            .value
            .is_empty()
    );
    profile.application.as_mut().unwrap().capabilities = None;
    let group = channel_group(&profile).unwrap();
    assert!(
        !group.groups["Application"]
            .values
            .contains_key(keys::CAPABILITIES)
    );
}
