//! Against a block that the reference genesis tool made of the same folders.

use std::os::unix::fs::PermissionsExt as _;

use configtx::Bundle;
use configtx::config_block::ConfigBlock;
use protos::wire::common::ConfigGroup;
use protos::wire::orderer::ConsensusType;

use super::*;
use crate::crypto::{self, KeyType, OrgKind, OrgSpec};

fn vectors() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors/ecdsa")
}

fn group_of(block: &Block) -> ConfigGroup {
    ConfigBlock::read(block).unwrap().config.channel_group.unwrap()
}

fn org(name: &str, msp_id: &str, folder: &str, endpoints: Vec<Address>) -> GenesisOrg {
    GenesisOrg {
        name: name.to_owned(),
        msp_id: msp_id.to_owned(),
        msp_folder: vectors().join("crypto").join(folder).join("msp"),
        endpoints,
    }
}

/// Addresses as the reference block has them, certificates from the files it was made of.
fn spec_of(reference: &ConfigGroup) -> GenesisSpec {
    let orderer = &reference.groups["Orderer"];
    let kind = ConsensusType::decode(orderer.values["ConsensusType"].value.clone()).unwrap();
    let members = etcdraft::ConfigMetadata::decode(kind.metadata)
        .unwrap()
        .consenters;
    let member = |(number, member): (usize, &etcdraft::Consenter)| {
        let node = format!(
            "crypto/ordererOrganizations/ord.vec.test/orderers/o{}.ord.vec.test/tls",
            number + 1
        );
        let certificate = vectors().join(node).join("server.crt");
        ConsenterSpec {
            address: format!("{}:{}", member.host, member.port).parse().unwrap(),
            client_tls_certificate: certificate.clone(),
            server_tls_certificate: certificate,
        }
    };
    let endpoints = orderer.groups["OrdererOrg"].values["Endpoints"].value.clone();
    let endpoints = protos::wire::common::OrdererAddresses::decode(endpoints)
        .unwrap()
        .addresses;
    let endpoints = endpoints.iter().map(|address| address.parse().unwrap()).collect();
    GenesisSpec {
        channel: ChannelId::parse("raft-three").unwrap(),
        orderer_orgs: vec![org(
            "OrdererOrg",
            "OrdererMSP",
            "ordererOrganizations/ord.vec.test",
            endpoints,
        )],
        application_orgs: vec![
            org("Org1", "Org1MSP", "peerOrganizations/org1.vec.test", vec![]),
            org("Org2", "Org2MSP", "peerOrganizations/org2.vec.test", vec![]),
        ],
        consensus: ConsensusSpec::Etcdraft(members.iter().enumerate().map(member).collect()),
        batch: BatchSpec {
            max_message_count: 10,
            absolute_max_bytes: 131_072,
            preferred_max_bytes: 32_768,
            timeout: Duration::from_millis(500),
        },
    }
}

#[test]
fn folders_and_defaults_give_the_reference_tools_config() {
    let bytes = fs::read(vectors().join("blocks/raft-three.block")).unwrap();
    let mut reference = group_of(&Block::decode(&bytes[..]).unwrap());
    // The one thing in it that is no default.
    let application = reference.groups.get_mut("Application").unwrap();
    application.values.remove("ACLs").unwrap();
    let made = group_of(&spec_of(&reference).block(SystemTime::now()).unwrap());
    assert_eq!(made.groups["Application"], reference.groups["Application"]);
    assert_eq!(made.groups["Orderer"], reference.groups["Orderer"]);
    assert_eq!(made, reference);
}

fn solo(root: &Path, key: KeyType) -> GenesisSpec {
    let specs = [
        OrgSpec::new(OrgKind::Orderer, "ord.test", key).with_node("orderer", &["localhost"]),
        OrgSpec::new(OrgKind::Peer, "org1.test", key).with_users(1),
    ];
    let made = crypto::make(root, &specs, SystemTime::now()).unwrap();
    let org = |name: &str, paths: &crypto::OrgPaths, endpoints| GenesisOrg {
        name: name.to_owned(),
        msp_id: name.to_owned(),
        msp_folder: paths.msp(),
        endpoints,
    };
    let endpoint = "localhost:7050".parse().unwrap();
    GenesisSpec {
        channel: ChannelId::parse("test").unwrap(),
        orderer_orgs: vec![org("OrdererMSP", &made[0], vec![endpoint])],
        application_orgs: vec![org("Org1MSP", &made[1], vec![])],
        consensus: ConsensusSpec::Solo,
        batch: BatchSpec::default(),
    }
}

#[test]
fn identities_made_here_make_a_config_that_passes_every_check() {
    for key in [KeyType::Ed25519, KeyType::P256] {
        let root = tempfile::tempdir().unwrap();
        let spec = solo(root.path(), key);
        let block = spec.block(SystemTime::now()).unwrap();
        let bundle = Bundle::from_block(&block).unwrap();
        bundle.check_supported().unwrap();
        assert_eq!(bundle.channel_id().as_str(), "test");
    }
}

#[test]
fn a_block_file_replaces_an_older_one_whole() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("new/genesis.block");
    let block = solo(root.path(), KeyType::Ed25519)
        .block(SystemTime::now())
        .unwrap();
    for _ in 0..2 {
        write_block(&path, &block).unwrap();
    }
    assert_eq!(Block::decode(&fs::read(&path).unwrap()[..]).unwrap(), block);
    assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    // The process may take more away.
    assert_eq!(
        (mode(&path) & !0o640, mode(path.parent().unwrap()) & !0o750),
        (0, 0)
    );
}

#[test]
fn a_block_that_cannot_be_written_leaves_nothing_behind() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("taken.block");
    fs::create_dir_all(folder.join("inside")).unwrap();
    assert!(write_block(&folder, &Block::default()).is_err());
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
}

#[test]
fn skipped_files_of_msp_folders_are_told() {
    let root = tempfile::tempdir().unwrap();
    let spec = solo(root.path(), KeyType::Ed25519);
    let read = spec.profile().unwrap();
    assert_eq!(read.warnings, Vec::<String>::new());
    fs::write(
        spec.application_orgs[0].msp_folder.join("cacerts/README"),
        "no certificate",
    )
    .unwrap();
    let warnings = spec.profile().unwrap().warnings;
    assert!(
        warnings.len() == 1 && warnings[0].contains("organisation Org1MSP") && warnings[0].contains("README")
    );
}

/// A profile that is as it should be, and the warnings after `change`.
fn reviewed(channel: &str, change: impl FnOnce(&mut Profile)) -> Vec<String> {
    let root = tempfile::tempdir().unwrap();
    let mut profile = solo(root.path(), KeyType::Ed25519).profile().unwrap().profile;
    change(&mut profile);
    let block = genesis_block(&profile, channel, [7; 24], SystemTime::now()).unwrap();
    review(&profile, channel, &block)
}

#[test]
fn a_block_that_is_as_it_should_be_needs_no_warning() {
    assert_eq!(reviewed("test", |_| ()), Vec::<String>::new());
}

#[test]
fn what_would_keep_nodes_from_joining_is_told_in_full() {
    type Change = fn(&mut Profile);
    let cases: [(Change, &[&str]); 6] = [
        (
            |p| p.capabilities = Some(["V3_0".to_owned(), "V9_9".to_owned()].into()),
            &[
                "/Channel/Capabilities: V9_9 is no capability",
                "no orderer can join",
            ],
        ),
        (
            |p| p.orderer.organizations[0].endpoints.push("nowhere".to_owned()),
            &["/Channel/Orderer/OrdererMSP/Endpoints: \"nowhere\" should be HOST:PORT"],
        ),
        (
            |p| p.application.as_mut().unwrap().organizations[0].msp.config = vec![0xff].into(),
            &["/Channel/Application/Org1MSP/MSP: ", "no orderer can join"],
        ),
        (
            |p| {
                let application = p.application.as_mut().unwrap();
                let mut second = application.organizations[0].clone();
                second.anchor_peers = vec![protos::wire::protos::AnchorPeer {
                    host: "p".into(),
                    port: -1,
                }];
                application.organizations.push(second);
            },
            &[
                "there is more than one organisation of this name",
                "AnchorPeers p: -1 is no port",
            ],
        ),
        (
            |p| {
                p.orderer.consensus = Consensus::Etcdraft(etcdraft::ConfigMetadata {
                    consenters: vec![etcdraft::Consenter {
                        host: "o".into(),
                        port: 70_000,
                        client_tls_cert: vec![1].into(),
                        server_tls_cert: vec![2].into(),
                    }],
                    options: None,
                });
            },
            &[
                "70000 is no port",
                "its client TLS certificate is none",
                "its server TLS certificate is none",
            ],
        ),
        (
            |p| {
                let member = |id| protos::wire::common::Consenter {
                    id,
                    host: "o".into(),
                    port: 1,
                    msp_id: "M".into(),
                    identity: vec![1].into(),
                    client_tls_cert: vec![1].into(),
                    server_tls_cert: vec![1].into(),
                };
                p.orderer.consensus = Consensus::Bft {
                    consenters: vec![member(3), member(0), member(3)],
                    options: Some(Box::default()),
                };
            },
            &[
                "with ID 0",
                "ID 3 belongs to more than one",
                "SmartBFT: ",
                "CollectTimeout",
                "its identity is none",
            ],
        ),
    ];
    for (change, texts) in cases {
        let warnings = reviewed("test", change).join("\n");
        for text in texts {
            assert!(warnings.contains(text), "{text}: {warnings}");
        }
    }
    let warnings = reviewed("Bad_Channel", |_| ()).join("\n");
    assert!(
        warnings.contains("channel id: ") && warnings.contains("no orderer can join"),
        "{warnings}"
    );
}

#[test]
fn a_folder_that_is_no_msp_is_named_with_its_organisation() {
    let root = tempfile::tempdir().unwrap();
    let mut spec = solo(root.path(), KeyType::Ed25519);
    spec.application_orgs[0].msp_folder = root.path().join("nowhere");
    let error = spec.block(SystemTime::now()).unwrap_err().to_string();
    assert!(error.contains("Org1MSP") && error.contains("nowhere"), "{error}");
}
