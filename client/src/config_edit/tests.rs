//! Each edit gives exactly the delta it should, on configs of reference channels.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use configtx::compute_update::{ComputeUpdateError, compute_update};
use configtx::policy_rule::parse_policy;
use configtx::update::Update;
use configtx::{Bundle, genesis};
use prost::Message as _;
use protos::wire::common::{Block, Config, ConfigUpdateEnvelope};

use super::batch::{BatchChange, set_batch};
use super::consenter::{
    TlsCertificates, TlsChange, add_consenter, remove_consenter, replace_consenter, rotate_certificates,
};
use super::msp::{revoke, set_msp};
use super::organisation::{Part, add_organisation, remove_organisation, set_anchor_peers, set_endpoints};
use super::policy::{remove_policy, set_acl, set_policy};
use super::settings::{CapabilityGroup, set_capabilities, set_maintenance};
use super::*;
use crate::connection::Address;
use crate::genesis::GenesisOrg;
use crate::msp_folder::MspFolder;

fn vectors() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors/ecdsa")
}

fn bundle(channel: &str) -> Bundle {
    let bytes = std::fs::read(vectors().join(format!("blocks/{channel}.block"))).unwrap();
    Bundle::from_block(&Block::decode(&bytes[..]).unwrap()).unwrap()
}

fn config() -> Config {
    bundle("raft-three").config().clone()
}

fn file(path: &str) -> Bytes {
    std::fs::read(vectors().join("crypto").join(path)).unwrap().into()
}

fn address(text: &str) -> Address {
    text.parse().unwrap()
}

fn orderer_tls(name: &str) -> Bytes {
    file(&format!(
        "ordererOrganizations/ord.vec.test/orderers/{name}.ord.vec.test/tls/server.crt"
    ))
}

fn org_folder(name: &str) -> PathBuf {
    vectors().join(format!("crypto/peerOrganizations/{name}.vec.test/msp"))
}

/// What `edited` changes about `channel`, a line an element; the new config is valid.
fn delta(channel: &str, edited: Config) -> Vec<String> {
    let current = bundle(channel);
    let update = compute_update(channel, current.config(), &edited).unwrap();
    Bundle::new(current.channel_id().clone(), edited).unwrap();
    let data = ConfigUpdateEnvelope {
        config_update: update.encode_to_vec().into(),
        signatures: vec![],
    };
    let update = Update::read(data.encode_to_vec().into()).unwrap();
    let changes = update.delta(&current).unwrap();
    changes
        .iter()
        .map(|change| format!("{} version {}", change.key, change.new.version))
        .collect()
}

fn delta_three(edited: Result<Config, EditError>) -> Vec<String> {
    delta("raft-three", edited.unwrap())
}

#[track_caller]
fn no_change(edited: Result<Config, EditError>) {
    let computed = compute_update("raft-three", &config(), &edited.unwrap());
    assert_eq!(computed, Err(ComputeUpdateError::NoDifference));
}

#[test]
fn batch_limits_and_timeout_are_two_values() {
    let size = BatchChange {
        max_message_count: Some(20),
        ..BatchChange::default()
    };
    assert_eq!(
        delta_three(set_batch(config(), &size)),
        ["value /Channel/Orderer/BatchSize version 1"]
    );
    let timeout = BatchChange {
        timeout: Some(Duration::from_secs(1)),
        ..BatchChange::default()
    };
    let changed = set_batch(config(), &timeout).unwrap();
    assert_eq!(
        Bundle::new(bundle("raft-three").channel_id().clone(), changed.clone())
            .unwrap()
            .orderer()
            .batch_timeout,
        Duration::from_secs(1)
    );
    assert_eq!(
        delta_three(Ok(changed)),
        ["value /Channel/Orderer/BatchTimeout version 1"]
    );
}

#[test]
fn the_same_again_is_no_change() {
    let size = BatchChange {
        max_message_count: Some(10),
        timeout: Some(Duration::from_millis(500)),
        ..BatchChange::default()
    };
    no_change(set_batch(config(), &size));
    no_change(set_maintenance(config(), false));
    no_change(set_capabilities(
        config(),
        CapabilityGroup::Channel,
        &["V3_0".to_owned()].into(),
    ));
    let settings = MspFolder::read(&org_folder("org1"), "Org1MSP").unwrap().settings;
    no_change(set_msp(config(), "Org1", &settings));
}

#[test]
fn a_batch_timeout_of_nothing_is_refused() {
    let change = BatchChange {
        timeout: Some(Duration::ZERO),
        ..BatchChange::default()
    };
    let error = set_batch(config(), &change).unwrap_err();
    assert!(
        error.to_string().starts_with("/Channel/Orderer/BatchTimeout"),
        "{error}"
    );
}

fn org3(part: Part) -> protos::wire::common::ConfigGroup {
    let org = GenesisOrg {
        name: "Org3".into(),
        msp_id: "Org3MSP".into(),
        msp_folder: org_folder("org3"),
        endpoints: vec![address("o9.org3.vec.test:7050")],
    };
    crate::genesis::organisation_group(part, &org, &mut Vec::new()).unwrap()
}

#[test]
fn a_new_organisation_is_a_new_member_of_its_group() {
    let edited = add_organisation(config(), Part::Application, "Org3", org3(Part::Application));
    let found = delta_three(edited);
    assert_eq!(found[0], "group /Channel/Application version 1");
    assert!(found.contains(&"group /Channel/Application/Org3 version 0".to_owned()));
    assert!(found.contains(&"value /Channel/Application/Org3/MSP version 0".to_owned()));
    assert!(
        found[1..]
            .iter()
            .all(|line| line.contains("/Channel/Application/Org3")),
        "{found:?}"
    );
    let edited = add_organisation(config(), Part::Orderer, "Org3", org3(Part::Orderer));
    let found = delta_three(edited);
    assert_eq!(found[0], "group /Channel/Orderer version 1");
    assert!(found.contains(&"value /Channel/Orderer/Org3/Endpoints version 0".to_owned()));
}

#[test]
fn an_organisation_has_a_free_and_legal_name() {
    let group = || org3(Part::Application);
    let taken = add_organisation(config(), Part::Application, "Org1", group()).unwrap_err();
    assert_eq!(taken.to_string(), "/Channel/Application/Org1 exists already");
    let illegal = add_organisation(config(), Part::Application, "Org 3", group()).unwrap_err();
    assert!(matches!(illegal, EditError::Name { .. }), "{illegal}");
}

#[test]
fn a_removed_organisation_is_one_member_less() {
    let edited = remove_organisation(config(), Part::Application, "Org2");
    assert_eq!(delta_three(edited), ["group /Channel/Application version 1"]);
    let error = remove_organisation(config(), Part::Application, "Org9").unwrap_err();
    assert!(
        error
            .to_string()
            .contains("/Channel/Application/Org1, /Channel/Application/Org2"),
        "{error}"
    );
    let error = remove_organisation(config(), Part::Orderer, "OrdererOrg").unwrap_err();
    assert!(matches!(error, EditError::LastOrganisation { .. }), "{error}");
}

#[test]
fn the_consenters_of_a_bft_organisation_go_first() {
    let bft = bundle("bft-four").config().clone();
    let bft = add_organisation(bft, Part::Orderer, "Org3", org3(Part::Orderer)).unwrap();
    let error = remove_organisation(bft, Part::Orderer, "OrdererOrg").unwrap_err();
    assert!(
        matches!(&error, EditError::HasConsenters { consenters, .. } if consenters.len() == 4),
        "{error}"
    );
}

#[test]
fn anchor_peers_and_endpoints_are_one_value_each() {
    let peers = [address("peer0.org1.vec.test:7051"), address("[::1]:7052")];
    let edited = set_anchor_peers(config(), "Org1", &peers).unwrap();
    let anchors = &Bundle::new(bundle("raft-three").channel_id().clone(), edited.clone()).unwrap();
    let anchors = &anchors.application().unwrap().organizations["Org1"].anchor_peers;
    assert_eq!((anchors[1].host.as_str(), anchors[1].port), ("::1", 7052));
    let found = delta_three(Ok(edited));
    // The reference tool writes no anchor peers where none are given, so the value is a new member.
    assert!(
        found
            .iter()
            .any(|line| line.starts_with("value /Channel/Application/Org1/AnchorPeers")),
        "{found:?}"
    );
    let edited = set_endpoints(config(), "OrdererOrg", &[address("o1.ord.vec.test:7050")]);
    assert_eq!(
        delta_three(edited),
        ["value /Channel/Orderer/OrdererOrg/Endpoints version 1"]
    );
    set_anchor_peers(config(), "OrdererOrg", &peers).unwrap_err();
}

#[test]
fn new_authorities_replace_the_old_and_lists_stay() {
    let mut settings = MspFolder::read(&org_folder("org1"), "Org1MSP").unwrap().settings;
    settings.tls_root_certs.clear();
    let edited = set_msp(bundle("raft-one-crl").config().clone(), "Org1", &settings).unwrap();
    let found = delta("raft-one-crl", edited.clone());
    assert_eq!(found, ["value /Channel/Application/Org1/MSP version 1"]);
    let Fields { tls_roots, lists } = fields(&edited, "Org1");
    assert_eq!((tls_roots, lists), (0, 1));
    settings.name = "OtherMSP".into();
    let error = set_msp(config(), "Org1", &settings).unwrap_err();
    assert!(matches!(error, EditError::MspId { .. }), "{error}");
}

struct Fields {
    tls_roots: usize,
    lists: usize,
}

fn fields(config: &Config, org: &str) -> Fields {
    let groups = &config.channel_group.as_ref().unwrap().groups["Application"].groups;
    let msp = protos::wire::msp::MspConfig::decode(groups[org].values["MSP"].value.clone()).unwrap();
    let msp = protos::wire::msp::FabricMspConfig::decode(msp.config).unwrap();
    Fields {
        tls_roots: msp.tls_root_certs.len(),
        lists: msp.revocation_list.len(),
    }
}

#[test]
fn a_revocation_list_counts_only_for_who_made_it() {
    let folder = vectors().join("crypto/extra/org1-msp-crl");
    let list = MspFolder::read(&folder, "Org1MSP")
        .unwrap()
        .settings
        .revocation_list[0]
        .clone();
    let edited = revoke(config(), "Org1", &list).unwrap();
    assert_eq!(fields(&edited, "Org1").lists, 1);
    assert_eq!(
        fields(&revoke(edited.clone(), "Org1", &list).unwrap(), "Org1").lists,
        1
    );
    assert_eq!(
        delta_three(Ok(edited)),
        ["value /Channel/Application/Org1/MSP version 1"]
    );
    let error = revoke(config(), "Org2", &list).unwrap_err();
    assert!(
        matches!(error, EditError::ForeignRevocationList { .. }),
        "{error}"
    );
    let error = revoke(config(), "Org1", &Bytes::from_static(b"no list")).unwrap_err();
    assert!(
        error.to_string().starts_with("/Channel/Application/Org1/MSP: "),
        "{error}"
    );
}

#[test]
fn an_msp_in_two_groups_changes_in_both() {
    let org1 = config().channel_group.unwrap().groups["Application"].groups["Org1"].clone();
    let mut group = genesis::orderer_org_group(&genesis::Organization {
        name: "Org1".into(),
        policies: org1
            .policies
            .iter()
            .map(|(name, policy)| (name.clone(), policy.policy.clone().unwrap()))
            .collect(),
        endpoints: vec!["o.org1.vec.test:7050".into()],
        ..genesis::Organization::default()
    })
    .unwrap();
    group.values.insert("MSP".into(), org1.values["MSP"].clone());
    let both = add_organisation(config(), Part::Orderer, "Ord1", group).unwrap();
    let mut settings = MspFolder::read(&org_folder("org1"), "Org1MSP").unwrap().settings;
    settings.tls_root_certs.clear();
    let edited = set_msp(both.clone(), "Org1", &settings).unwrap();
    let root = edited.channel_group.as_ref().unwrap();
    let msp = |part: &str, org: &str| root.groups[part].groups[org].values["MSP"].value.clone();
    assert_eq!(msp("Orderer", "Ord1"), msp("Application", "Org1"));
    assert_ne!(msp("Orderer", "Ord1"), org1.values["MSP"].value);
}

#[test]
fn consenters_change_the_consensus_type_alone() {
    let certificates = TlsCertificates {
        client: orderer_tls("o4"),
        server: orderer_tls("o4"),
    };
    let (o3, o4) = (address("o3.ord.vec.test:7050"), address("o4.ord.vec.test:7050"));
    let change = TlsChange {
        client: Some(orderer_tls("o4")),
        server: Some(orderer_tls("o4")),
    };
    let edits = [
        add_consenter(config(), &o4, &certificates),
        remove_consenter(config(), &o3_of(&config())),
        replace_consenter(config(), &o3_of(&config()), &o4, &change),
        rotate_certificates(config(), &o3_of(&config()), &change),
        replace_consenter(config(), &o3_of(&config()), &o3, &TlsChange::default()),
    ];
    let counts = [4, 2, 3, 3, 3];
    for (edit, count) in edits.into_iter().zip(counts) {
        let edited = edit.unwrap();
        assert_eq!(consenters(&edited).len(), count);
        if consenters(&edited) != consenters(&config()) {
            assert_eq!(
                delta_three(Ok(edited)),
                ["value /Channel/Orderer/ConsensusType version 1"]
            );
        }
    }
}

fn consenters(config: &Config) -> Vec<protos::wire::etcdraft::Consenter> {
    let orderer = &config.channel_group.as_ref().unwrap().groups["Orderer"];
    let value = orderer.values["ConsensusType"].value.clone();
    let consensus = protos::wire::orderer::ConsensusType::decode(value).unwrap();
    protos::wire::etcdraft::ConfigMetadata::decode(consensus.metadata)
        .unwrap()
        .consenters
}

fn o3_of(config: &Config) -> Address {
    let third = consenters(config)[2].clone();
    address(&format!("{}:{}", third.host, third.port))
}

#[test]
fn consenters_are_told_apart_by_address_and_certificate() {
    let (o3, new) = (o3_of(&config()), address("o9:1"));
    let own = |name: &str| TlsCertificates {
        client: orderer_tls(name),
        server: orderer_tls(name),
    };
    let error = add_consenter(config(), &o3, &own("o4")).unwrap_err();
    assert!(matches!(error, EditError::IsConsenter { .. }), "{error}");
    let error = add_consenter(config(), &new, &own("o1")).unwrap_err();
    assert!(matches!(error, EditError::CertificateTaken { .. }), "{error}");
    let error = remove_consenter(config(), &new).unwrap_err();
    assert!(error.to_string().contains(&o3.to_string()), "{error}");
    let junk = TlsChange {
        client: Some(Bytes::from_static(b"junk")),
        server: None,
    };
    let error = rotate_certificates(config(), &o3, &junk).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("/Channel/Orderer/ConsensusType: TLS certificate"),
        "{error}"
    );
    let bft = bundle("bft-four").config().clone();
    let error = remove_consenter(bft, &o3).unwrap_err();
    assert_eq!(
        error.to_string(),
        "/Channel/Orderer/ConsensusType is \"BFT\"; consenters can be edited on etcdraft channels only"
    );
}

#[test]
fn the_last_consenter_stays() {
    let one = bundle("raft-one").config().clone();
    let first = consenters(&one)[0].clone();
    let error = remove_consenter(one, &address(&format!("{}:{}", first.host, first.port))).unwrap_err();
    assert!(matches!(error, EditError::LastConsenter { .. }), "{error}");
}

#[test]
fn policies_anywhere_in_the_tree() {
    let rule = parse_policy("Signature", "OR('Org1MSP.admin')").unwrap();
    let edited = set_policy(config(), "/Channel/Application/Org1/Endorsement", rule.clone());
    assert_eq!(
        delta_three(edited),
        ["policy /Channel/Application/Org1/Endorsement version 1"]
    );
    let any = parse_policy("ImplicitMeta", "ANY Admins").unwrap();
    assert_eq!(
        delta_three(set_policy(config(), "/Channel/Admins", any)),
        ["policy /Channel/Admins version 1"]
    );
    let edited = set_policy(config(), "/Channel/Application/Mine", rule.clone()).unwrap();
    let new = edited.channel_group.as_ref().unwrap().groups["Application"].policies["Mine"].clone();
    assert_eq!(new.mod_policy, "Admins");
    let found = delta_three(Ok(edited));
    assert_eq!(
        found,
        [
            "group /Channel/Application version 1",
            "policy /Channel/Application/Mine version 0"
        ]
    );
    let removed = remove_policy(config(), "/Channel/Application/Endorsement");
    assert_eq!(delta_three(removed), ["group /Channel/Application version 1"]);
    for bad in [
        "",
        "/",
        "Channel/Admins",
        "/Channel",
        "/Channel/",
        "/Chan/Admins",
        "/Channel/None/Admins",
        "/Channel/a b",
    ] {
        set_policy(config(), bad, rule.clone()).unwrap_err();
    }
}

#[test]
fn access_lists_come_and_go() {
    let edited = set_acl(config(), "peer/Propose", Some("/Channel/Application/Readers")).unwrap();
    let found = delta_three(Ok(edited.clone()));
    assert!(
        found
            .iter()
            .any(|line| line.starts_with("value /Channel/Application/ACLs")),
        "{found:?}"
    );
    set_acl(edited, "peer/Propose", None).unwrap();
    let error = set_acl(config(), "no/such", None).unwrap_err();
    assert_eq!(
        error.to_string(),
        "/Channel/Application/ACLs/no/such: there is no such value"
    );
}

#[test]
fn capabilities_of_each_group() {
    let names = |name: &str| BTreeSet::from([name.to_owned()]);
    let cases = [
        (
            CapabilityGroup::Orderer,
            "V1_4_2",
            "value /Channel/Orderer/Capabilities version 1",
        ),
        (
            CapabilityGroup::Application,
            "V2_0",
            "value /Channel/Application/Capabilities version 1",
        ),
        (
            CapabilityGroup::Channel,
            "V2_0",
            "value /Channel/Capabilities version 1",
        ),
    ];
    for (group, name, expected) in cases {
        assert_eq!(
            delta_three(set_capabilities(config(), group, &names(name))),
            [expected]
        );
    }
}

#[test]
fn an_unknown_capability_is_named_with_its_place() {
    let names = BTreeSet::from(["V9_9".to_owned()]);
    let of = |group| set_capabilities(config(), group, &names);
    let error = of(CapabilityGroup::Channel).unwrap_err();
    assert_eq!(
        error.to_string(),
        "/Channel/Capabilities: capability V9_9 is not known here"
    );
    of(CapabilityGroup::Orderer).unwrap_err();
    of(CapabilityGroup::Application).unwrap();
}

#[test]
fn maintenance_is_a_state_of_the_consensus_type() {
    let on = set_maintenance(config(), true).unwrap();
    assert_eq!(
        delta_three(Ok(on.clone())),
        ["value /Channel/Orderer/ConsensusType version 1"]
    );
    no_change(set_maintenance(on, false));
}

#[test]
fn a_config_without_groups_names_what_is_missing() {
    let empty = Config::default();
    let error = set_maintenance(empty, true).unwrap_err();
    assert_eq!(error.to_string(), "/Channel: there is no such group");
}
