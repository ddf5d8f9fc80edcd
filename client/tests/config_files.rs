//! `ordain config` on files alone: compute, show, sign, explain. Nothing here needs a node.

mod program;

use std::path::Path;

use program::{ordain, stderr, succeed};
use serde_json::Value;

const ORDERER_ADMIN: &str = "OrdererMSP=crypto/ordererOrganizations/example.com/users/Admin@example.com/msp";
const ORG1_ADMIN: &str = "Org1MSP=crypto/peerOrganizations/org1.test/users/Admin@org1.test/msp";

/// Identities, and two genesis blocks that differ in the size of a batch.
fn two_configs() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let orgs = "--orderer-org OrdererMSP:example.com --org Org1MSP:org1.test --org Org2MSP:org2.test";
    succeed(folder.path(), &format!("crypto {orgs}"));
    let genesis = "genesis --channel mych --crypto crypto";
    succeed(folder.path(), &format!("{genesis} --output old.block"));
    succeed(
        folder.path(),
        &format!("{genesis} --output new.block --batch-max-count 200"),
    );
    folder
}

#[test]
fn two_configs_are_compared_and_the_update_is_signed_until_it_is_allowed() {
    let folder = two_configs();
    let shown = succeed(
        folder.path(),
        "config diff old.block new.block --output update.pb",
    );
    assert_eq!(
        shown,
        "\
channel mych, config 0 -> 1

/Channel
  Orderer
    ~ BatchSize
        max_message_count: 500 -> 200

needs
  /Channel/Orderer/Admins: 1 of 1, has 0: not satisfied
    /Channel/Orderer/OrdererMSP/Admins: 1 of [OrdererMSP.admin]: not satisfied
signed by nobody

written to update.pb
"
    );
    let explain = "config explain update.pb --config old.block --json";
    let look =
        |arguments: &str| -> Value { serde_json::from_str(&succeed(folder.path(), arguments)).unwrap() };
    assert_eq!(look(explain)["policies"][0]["missing"][0], "OrdererMSP.admin");
    let sign = format!("config sign update.pb --sign-as {ORG1_ADMIN} --sign-as {ORDERER_ADMIN}");
    assert_eq!(succeed(folder.path(), &sign), "update.pb: 2 signatures\n");
    let signed = look(explain);
    assert_eq!(
        (&signed["allowed"], &signed["signatures"]),
        (&Value::Bool(true), &Value::from(2))
    );
    assert_eq!(signed["signers"][1]["msp_id"], "OrdererMSP");
    let change = &signed["changes"]
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["kind"] == "value")
        .unwrap();
    assert_eq!(
        (&change["path"], &change["new_version"]),
        (&Value::from("/Channel/Orderer/BatchSize"), &Value::from(1))
    );
    assert_eq!(change["details"][0]["new"], "200");
    let again = ordain(folder.path(), &sign);
    assert!(
        stderr(&again).contains("has signed already"),
        "{}",
        stderr(&again)
    );
    assert_eq!(look(explain)["signatures"], 2);
}

#[test]
fn configs_are_taken_as_json_and_as_protobuf_too() {
    let folder = two_configs();
    let block = |name: &str| std::fs::read(folder.path().join(name)).unwrap();
    let config = |name: &str| {
        let block = prost::Message::decode(&block(name)[..]).unwrap();
        configtx::Bundle::from_block(&block).unwrap().config().clone()
    };
    let bytes = prost::Message::encode_to_vec(&config("new.block"));
    std::fs::write(folder.path().join("new.pb"), &bytes).unwrap();
    let text = client::json::decode("common.Config", &bytes, client::json::Options::default()).unwrap();
    std::fs::write(folder.path().join("new.json"), text).unwrap();
    let expected = succeed(folder.path(), "config diff old.block new.block");
    for file in ["new.pb", "new.json"] {
        assert_eq!(
            succeed(folder.path(), &format!("config diff old.block {file}")),
            expected
        );
        let same = ordain(
            folder.path(),
            &format!("config diff --channel mych {file} {file}"),
        );
        assert!(
            same.status.success() && stderr(&same).contains("the same"),
            "{}",
            stderr(&same)
        );
    }
    let asked = ordain(folder.path(), "config diff new.pb old.block");
    assert_eq!(asked.status.code(), Some(2));
}

#[test]
fn what_makes_no_sense_is_exit_code_2_and_what_fails_1() {
    let folder = two_configs();
    std::fs::write(folder.path().join("junk"), "junk").unwrap();
    for (arguments, code, word) in [
        ("config set-batch --max-messages 5", 2, "--yes"),
        ("config set-batch --yes", 2, "--max-messages"),
        ("config set-batch --max-messages 5 --yes", 2, "--msp-id"),
        ("config add-org application Org3 --yes", 2, "--org-msp"),
        ("config add-consenter h:1 --dry-run", 2, "--msp-id"),
        ("config sign new.block", 1, "no config update"),
        ("config explain junk --config old.block", 1, "junk"),
        (
            "config diff junk new.block --channel mych",
            1,
            "junk holds no config",
        ),
        ("config explain missing --config old.block", 1, "missing"),
    ] {
        let output = ordain(folder.path(), arguments);
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(code), "{arguments}: {text}");
        assert!(text.contains(word), "{arguments}: {text}");
    }
}

/// The config of a block file, as `ordain diff` takes it.
fn save_config(folder: &Path, block: &str, config: &str) {
    let block = std::fs::read(folder.join(block)).unwrap();
    let bundle = configtx::Bundle::from_block(&prost::Message::decode(&block[..]).unwrap()).unwrap();
    std::fs::write(
        folder.join(config),
        prost::Message::encode_to_vec(bundle.config()),
    )
    .unwrap();
}

#[test]
fn an_update_without_its_envelope_is_told_apart_from_what_is_no_update() {
    let folder = two_configs();
    save_config(folder.path(), "old.block", "old.pb");
    save_config(folder.path(), "new.block", "new.pb");
    let diff = "diff --channel mych --original old.pb --updated new.pb --output bare.pb";
    succeed(folder.path(), diff);
    std::fs::write(folder.path().join("junk"), "junk").unwrap();
    for (file, is_told) in [("bare.pb", true), ("junk", false), ("old.block", false)] {
        let output = ordain(folder.path(), &format!("config sign {file}"));
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(text.contains("holds no config update"), "{text}");
        assert_eq!(text.contains("ordain config diff writes"), is_told, "{text}");
    }
}

#[test]
fn an_update_against_another_config_says_what_does_not_fit() {
    let folder = two_configs();
    succeed(
        folder.path(),
        "config diff old.block new.block --output update.pb",
    );
    let mut config = configtx::Bundle::from_block(
        &prost::Message::decode(&std::fs::read(folder.path().join("old.block")).unwrap()[..]).unwrap(),
    )
    .unwrap()
    .config()
    .clone();
    let orderer = config
        .channel_group
        .as_mut()
        .unwrap()
        .groups
        .get_mut("Orderer")
        .unwrap();
    orderer.values.get_mut("BatchSize").unwrap().version = 4;
    std::fs::write(
        folder.path().join("later.pb"),
        prost::Message::encode_to_vec(&config),
    )
    .unwrap();
    let output = ordain(folder.path(), "config explain update.pb --config later.pb");
    assert_eq!(output.status.code(), Some(1));
    let text = stderr(&output);
    assert!(
        text.contains("does not fit config 0") && text.contains("/Channel/Orderer/BatchSize"),
        "{text}"
    );
}
