use bytes::Bytes;
use configtx::Bundle;
use configtx::policy_rule::parse_policy;
use prost::Message as _;
use protos::wire::common::{Block, Config, ConfigGroup, Policy};

use super::tree::Tree;
use super::*;
use crate::config_edit::batch::{BatchChange, set_batch};
use crate::config_edit::msp::revoke;
use crate::config_edit::organisation::{Part, remove_organisation};
use crate::config_edit::policy::{set_acl, set_policy};
use crate::config_edit::settings::set_maintenance;
use crate::msp_folder::MspFolder;

fn vector(path: &str) -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/vectors/ecdsa")
        .join(path)
}

fn config(channel: &str) -> Config {
    let bytes = std::fs::read(vector(&format!("blocks/{channel}.block"))).unwrap();
    Bundle::from_block(&Block::decode(&bytes[..]).unwrap())
        .unwrap()
        .config()
        .clone()
}

fn group(config: Config) -> ConfigGroup {
    config.channel_group.unwrap()
}

fn shown(edited: Config) -> String {
    let changes = changes(&group(config("raft-three")), &group(edited));
    Tree {
        changes: &changes,
        versions: false,
        colours: false,
    }
    .to_string()
}

#[test]
fn a_tree_shows_old_and_new_where_they_stand() {
    let edited = set_batch(
        config("raft-three"),
        &BatchChange {
            max_message_count: Some(20),
            absolute_max_bytes: Some(10 << 20),
            ..BatchChange::default()
        },
    );
    let edited = set_maintenance(edited.unwrap(), true).unwrap();
    let edited = set_acl(edited, "peer/Propose", Some("/Channel/Application/Readers")).unwrap();
    assert_eq!(
        shown(edited),
        "\
/Channel
  Application
    ~ ACLs
        + peer/Propose: /Channel/Application/Readers
  Orderer
    ~ BatchSize
        max_message_count: 10 -> 20
        absolute_max_bytes: 131072 (128 KiB) -> 10485760 (10 MiB)
    ~ ConsensusType
        state: normal -> maintenance
"
    );
}

#[test]
fn policies_are_shown_as_rules() {
    let rule = parse_policy(
        "Signature",
        "OutOf(2, 'Org1MSP.admin', AND('Org2MSP.peer', 'Org2MSP.client'))",
    )
    .unwrap();
    let edited = set_policy(config("raft-three"), "/Channel/Application/Admins", rule).unwrap();
    assert_eq!(
        shown(edited),
        "\
/Channel
  Application
    ~ policy Admins
        rule: MAJORITY Admins -> AND(AND('Org2MSP.peer', 'Org2MSP.client'), 'Org1MSP.admin')
"
        .replace(
            "AND(AND('Org2MSP.peer', 'Org2MSP.client'), 'Org1MSP.admin')",
            "AND('Org1MSP.admin', AND('Org2MSP.peer', 'Org2MSP.client'))"
        )
    );
}

#[test]
fn rules_read_back_as_they_were_written() {
    for (kind, rule) in [
        ("ImplicitMeta", "ANY Readers"),
        ("ImplicitMeta", "ALL Admins"),
        ("ImplicitMeta", "MAJORITY Endorsement"),
        ("Signature", "OR('A.member')"),
        ("Signature", "AND('A.admin', 'B.client')"),
        ("Signature", "OutOf(2, 'A.peer', 'B.orderer', 'C.peer')"),
        (
            "Signature",
            "OR('A.admin', AND('B.peer', OutOf(2, 'C.peer', 'D.peer', 'E.peer')))",
        ),
    ] {
        let policy = parse_policy(kind, rule).unwrap();
        assert_eq!(policy_text::policy(&policy), rule);
    }
}

#[test]
fn a_policy_that_cannot_be_read_is_described() {
    let text = policy_text::policy(&Policy {
        r#type: 1,
        value: Bytes::from_static(b"\xff\xff"),
    });
    assert!(text.starts_with("policy of type 1, 2 bytes, SHA-256 "), "{text}");
}

#[test]
fn what_goes_is_listed_with_all_it_held() {
    let text = shown(remove_organisation(config("raft-three"), Part::Application, "Org2").unwrap());
    for line in [
        "    - group Org2\n",
        "      - MSP\n",
        "          - MSP id: Org2MSP\n",
        "      - policy Admins\n          - rule: OR('Org2MSP.admin')\n",
    ] {
        assert!(text.contains(line), "no {line:?} in\n{text}");
    }
    assert!(!text.contains("Org1"), "{text}");
}

#[test]
fn certificates_and_lists_are_told_by_subject_serial_and_day() {
    let list = MspFolder::read(&vector("crypto/extra/org1-msp-crl"), "Org1MSP").unwrap();
    let list = list.settings.revocation_list[0].clone();
    let text = shown(revoke(config("raft-three"), "Org1", &list).unwrap());
    assert!(
        text.contains("+ revocation list by C=US, ST=California, L=San Francisco"),
        "{text}"
    );
    assert!(text.contains("revokes 1: "), "{text}");
    let facts = facts::value(
        "/Channel/Application/Org1/MSP",
        &group(config("raft-three")).groups["Application"].groups["Org1"].values["MSP"].value,
    );
    let labels: Vec<_> = facts.iter().map(|fact| fact.label.as_str()).collect();
    let root = labels.iter().find(|label| label.starts_with("root CA ")).unwrap();
    assert!(
        root.contains("CN=ca.org1.vec.test")
            && root.contains(", serial ")
            && root.contains(", expires 2036-"),
        "{root}"
    );
}

#[test]
fn every_value_of_every_channel_can_be_described() {
    for channel in [
        "raft-one",
        "raft-three",
        "bft-four",
        "raft-one-v2",
        "raft-one-crl",
    ] {
        let all = changes(&ConfigGroup::default(), &group(config(channel)));
        for change in &all {
            for detail in &change.details {
                assert_ne!(detail.name, "content", "{channel} {}", change.key);
            }
        }
    }
}

#[test]
fn a_value_in_other_bytes_is_not_passed_over() {
    let mut edited = config("raft-three");
    let root = edited.channel_group.as_mut().unwrap();
    let value = root
        .groups
        .get_mut("Orderer")
        .unwrap()
        .values
        .get_mut("BatchTimeout")
        .unwrap();
    // A field that nobody knows.
    value.value = [&value.value[..], &[0xf8, 0x01, 0x01]].concat().into();
    let text = shown(edited);
    assert!(
        text.contains("~ BatchTimeout\n        order or encoding: "),
        "{text}"
    );
}

#[test]
fn versions_are_shown_on_request() {
    let (old, mut new) = (group(config("raft-three")), group(config("raft-three")));
    new.groups.get_mut("Application").unwrap().version = 1;
    let changes = changes(&old, &new);
    let tree = |versions| Tree {
        changes: &changes,
        versions,
        colours: false,
    };
    assert_eq!(
        tree(true).to_string(),
        "/Channel\n  ~ group Application (version 0 -> 1)\n"
    );
    assert_eq!(tree(false).to_string(), "");
}

#[test]
fn texts_of_others_cannot_steer_a_terminal() {
    let mut edited = config("raft-three");
    let root = edited.channel_group.as_mut().unwrap();
    root.mod_policy = "Admins\u{1b}[2J".to_owned();
    let text = shown(edited);
    assert!(
        !text.contains('\u{1b}') && text.contains("mod_policy: Admins -> Admins\u{fffd}[2J"),
        "{text}"
    );
}
