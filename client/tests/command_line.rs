//! The binary `ordain` as a shell sees it: files made, exit codes, what stderr says. Nothing here needs a node.

mod program;

use std::path::Path;

use configtx::Bundle;
use program::{ordain, stderr, succeed};
use prost::Message as _;
use protos::wire::common::Block;

fn bundle(path: &Path) -> Bundle {
    let bytes = std::fs::read(path).unwrap();
    Bundle::from_block(&Block::decode(&bytes[..]).unwrap()).unwrap()
}

#[test]
fn identities_and_a_raft_channel_in_two_commands() {
    let folder = tempfile::tempdir().unwrap();
    let orgs = "--orderer-org OrdererMSP:example.com:nodes=3 --org Org1MSP:org1.example.com:users=2";
    succeed(folder.path(), &format!("crypto {orgs}"));
    let genesis = "genesis --channel mych --crypto crypto --consensus etcdraft --batch-timeout 250ms";
    let printed = succeed(
        folder.path(),
        &format!("{genesis} --node orderer1.example.com=h1:9000"),
    );
    assert_eq!(printed, "mych.block\n");
    let bundle = bundle(&folder.path().join("mych.block"));
    bundle.check_supported().unwrap();
    let orderer = bundle.orderer();
    assert_eq!(orderer.consensus_type.kind, "etcdraft");
    assert_eq!(orderer.batch_timeout, std::time::Duration::from_millis(250));
}

#[test]
fn a_solo_channel_out_of_msp_folders_named_one_by_one() {
    let folder = tempfile::tempdir().unwrap();
    succeed(
        folder.path(),
        "crypto --key p256 --orderer-org O:ord.test --org A:a.test --output id",
    );
    succeed(
        folder.path(),
        "genesis --channel mych --orderer-org O=id/ordererOrganizations/ord.test/msp --endpoint h:1 \
         --org A=id/peerOrganizations/a.test/msp --output out/first.block",
    );
    let bundle = bundle(&folder.path().join("out/first.block"));
    assert_eq!(bundle.orderer().consensus_type.kind, "solo");
}

#[test]
fn existing_identities_are_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    succeed(folder.path(), "crypto --org A:a.test");
    let output = ordain(folder.path(), "crypto --org A:a.test");
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("exists already"), "{}", stderr(&output));
}

#[test]
fn identities_out_of_a_file_and_what_the_file_adds_later() {
    let folder = tempfile::tempdir().unwrap();
    let template = succeed(folder.path(), "crypto template");
    std::fs::write(folder.path().join("c.yaml"), &template).unwrap();
    let printed = succeed(folder.path(), "crypto generate --config c.yaml");
    assert_eq!(printed, "org1.example.com\norg2.example.com\n");
    let more = template.replace("Count: 1", "Count: 2") + "  - Domain: org3.example.com\n";
    std::fs::write(folder.path().join("c.yaml"), more).unwrap();
    assert_eq!(
        succeed(folder.path(), "crypto extend --config c.yaml"),
        "org3.example.com\n"
    );
    let peers = folder.path().join("crypto-config/peerOrganizations");
    assert!(
        peers
            .join("org2.example.com/peers/peer1.org2.example.com/msp/signcerts")
            .exists()
    );
    let refused = ordain(folder.path(), "crypto --config c.yaml");
    assert!(stderr(&refused).contains("extend"), "{}", stderr(&refused));
    succeed(folder.path(), "crypto --config c.yaml --replace");
    assert!(peers.join("org1.example.com.old/ca").exists());
}

#[test]
fn a_mistake_in_a_file_is_named_with_line_and_key_and_nothing_is_made() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("c.yaml"),
        "PeerOrgs:\n  - Domain: a\n    Users: {Count: few}\n",
    )
    .unwrap();
    let output = ordain(folder.path(), "crypto generate --config c.yaml --output made");
    assert_eq!(output.status.code(), Some(1));
    let text = stderr(&output);
    assert!(
        text.contains("c.yaml:3: PeerOrgs[0].Users.Count") && text.contains("few"),
        "{text}"
    );
    assert!(!folder.path().join("made").exists());
    let output = ordain(folder.path(), "crypto extend --config missing.yaml");
    let text = stderr(&output);
    assert!(text.contains("missing.yaml") && text.contains("next: "), "{text}");
}

#[test]
fn a_file_that_asks_for_nothing_makes_nothing_and_that_is_said() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("other.yaml"), "General: {ListenPort: 7050}\n").unwrap();
    for action in ["generate", "extend"] {
        let output = ordain(folder.path(), &format!("crypto {action} --config other.yaml"));
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(0), "{text}");
        assert!(text.starts_with("other.yaml: nothing to make"), "{text}");
    }
}

#[test]
fn what_is_missing_is_named_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    for (arguments, what, next) in [
        (
            "genesis --channel mych --crypto gone",
            "gone/organisations.json",
            "ordain crypto",
        ),
        ("deliver -c gone.json", "gone.json", "quickstart"),
        (
            "config set-batch --max-messages 5 --yes --sign-as A=gone -c gone.json",
            "gone.json",
            "check the path",
        ),
    ] {
        let output = ordain(folder.path(), arguments);
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(
            text.contains(what) && text.contains("next: ") && text.contains(next),
            "{text}"
        );
    }
}

#[test]
fn a_certificate_with_the_key_of_another_is_named_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    succeed(folder.path(), "crypto --org A:a.test:users=2");
    let users = "crypto/peerOrganizations/a.test/users";
    let (one, two) = (
        format!("{users}/User1@a.test/tls"),
        format!("{users}/User2@a.test/tls"),
    );
    let tls = format!("--ca {one}/ca.crt --client-cert {one}/client.crt --client-key {two}/client.key");
    let output = ordain(folder.path(), &format!("channel list --admin 127.0.0.1:1 {tls}"));
    assert_eq!(output.status.code(), Some(1));
    let text = stderr(&output);
    let told = format!(
        "error: {one}/client.crt: client certificate and key are unusable: the key is not that of the certificate\n  \
         next: give certificate and key of one pair\n"
    );
    assert_eq!(text, told);
}

#[test]
fn a_command_line_without_sense_is_exit_code_2() {
    let folder = tempfile::tempdir().unwrap();
    for (arguments, word) in [
        ("deliver --channel ch", "--msp-id"),
        ("deliver --from latest", "latest"),
        ("deliver --from 5 --to 3", "--from 5 comes after --to 3"),
        ("deliver --json --format table", "--format"),
        ("broadcast --in-flight 0", "--in-flight"),
        ("broadcast --acknowledge soon", "soon"),
        ("broadcast --raw", "--raw"),
        ("bench -n 0", "0"),
        ("bench --streams many", "many"),
        ("bench --key rsa", "rsa"),
        ("bench --read --rate 5", "--rate"),
        ("bench --no-verify", "--read"),
        ("bench --patience soon", "soon"),
        ("genesis --channel UPPER", "UPPER"),
        ("crypto", "organisation"),
        ("crypto --key p256", "--org"),
        ("crypto --config c.yaml --org A:a.test", "--config"),
        ("crypto extend", "--config"),
        ("channel list", "--admin"),
        ("channel list --admin h:1 --server-name x", "--ca"),
        ("channel list --admin h:1 --ca x --client-cert y", "--client-key"),
        ("channel list --admin nowhere", "nowhere"),
        ("channel info UPPER --admin h:1", "UPPER"),
        ("channel join --admin h:1", "--block"),
        ("channel remove --admin h:1", "CHANNEL"),
        ("channel remove mych --admin h:1", "--yes"),
        ("channel fetch mych latest --admin h:1", "latest"),
        ("channel update mych --admin h:1", "--envelope"),
        ("completions tcsh", "tcsh"),
        ("dleiver", "dleiver"),
    ] {
        let output = ordain(folder.path(), arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments}: {}", stderr(&output));
        assert!(stderr(&output).contains(word), "{arguments}: {}", stderr(&output));
    }
}
