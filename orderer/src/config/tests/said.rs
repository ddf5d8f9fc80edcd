//! What is refused, and what is warned of, in words that name the place and what to do.

use super::*;

#[test]
fn operations_in_plain_text_beyond_this_machine_are_warned_of() {
    let config = good("FileLedger: {Location: /data}\nOperations: {ListenAddress: '0.0.0.0:8443'}\n");
    let warned = config
        .warnings
        .iter()
        .filter(|warning| warning.contains("0.0.0.0:8443"));
    assert_eq!(warned.count(), 1, "{:?}", config.warnings);
}

#[test]
fn a_key_of_a_feature_that_is_not_there_is_named_with_the_reason_once_it_asks_for_it() {
    let text = "General:\n  Profile: {Enabled: true}\n  Cluster: {ReplicationMaxRetries: 3, ReplicationPolicy: simple}\n";
    for (key, reason) in [
        (
            "General.Profile.Enabled",
            "the profiles are those of a Go program",
        ),
        (
            "General.Cluster.ReplicationMaxRetries",
            "blocks that are missing are asked for until they are there",
        ),
        (
            "General.Cluster.ReplicationPolicy",
            "blocks are fetched from several orderers and each is verified",
        ),
    ] {
        let begin = format!("{key} is set, but has no effect here: {reason}");
        let told = good(text).warnings;
        assert_eq!(
            told.iter().filter(|one| one.starts_with(&begin)).count(),
            1,
            "{told:?}"
        );
    }
    let as_by_default = "General:\n  Profile: {Enabled: false, Address: 127.0.0.1:6060}\n  Cluster: \
                         {ReplicationMaxRetries: 12, ReplicationPolicy: consensus}\n";
    let told = good(as_by_default).warnings;
    assert!(!told.iter().any(|one| one.contains("no effect")), "{told:?}");
}

#[test]
fn an_unknown_key_is_named_with_its_line_and_the_key_that_was_meant() {
    assert_eq!(
        refusal("General:\n  ListenAdress: 0.0.0.0\n"),
        "/etc/node/orderer.yaml:2: unknown key General.ListenAdress; did you mean General.ListenAddress?"
    );
    assert_eq!(
        refusal("Generel:\n  ListenPort: 1\n  Cluster:\n    Nothing: 2\n"),
        "/etc/node/orderer.yaml:1: unknown key Generel; did you mean General?"
    );
    assert_eq!(
        refusal("General:\n  Location: /data\n"),
        "/etc/node/orderer.yaml:2: unknown key General.Location; did you mean FileLedger.Location?"
    );
    assert_eq!(
        refusal("Zebra: 1\n"),
        "/etc/node/orderer.yaml:1: unknown key Zebra"
    );
}

#[test]
fn keys_of_earlier_versions_are_refused_with_advice() {
    let text = refusal("General:\n  LedgerType: file\nKafka:\n  Verbose: true\n");
    assert_eq!(
        text,
        "/etc/node/orderer.yaml:2: General.LedgerType is no key any more: the ledger is always on disk; delete the \
         key\n/etc/node/orderer.yaml:3: Kafka is no key any more: Kafka ordering is gone since v3; delete the section"
    );
}

#[test]
fn unknown_consensus_keys_are_accepted_with_a_warning() {
    let config = good("Consensus: {Whatever: 1, Deep: {Er: 2}}");
    assert!(
        config
            .warnings
            .iter()
            .any(|warning| warning.contains("unknown: Consensus.Whatever, Consensus.Deep"))
    );
}

#[test]
fn everything_that_is_wrong_is_told_at_once() {
    let error = parse_with(
        "General:\n  ListenPort: seven\n  TLS:\n    Enabled: maybe\n  Keepalive: 5\nAdmin:\n  ListenAddress: nowhere\n",
        &[("ORDERER_GENERAL_CONNECTIONTIMEOUT", "5")],
    )
    .expect_err("a bad file");
    let text = error.to_string();
    for part in [
        "orderer.yaml:2: General.ListenPort: 'seven' is no port number (0 to 65535)",
        "orderer.yaml:4: General.TLS.Enabled: 'maybe' is neither true nor false",
        "orderer.yaml:5: General.Keepalive is a section, but a value stands there",
        "environment variable ORDERER_GENERAL_CONNECTIONTIMEOUT: General.ConnectionTimeout: '5' is no duration",
    ] {
        assert!(text.contains(part), "{part}\nin\n{text}");
    }
}

#[test]
fn a_key_twice_in_different_case_is_refused() {
    let text = refusal("General:\n  ListenPort: 1\n  listenport: 2\n");
    assert_eq!(
        text,
        "/etc/node/orderer.yaml:3: General.listenport is set a second time (first in line 2)"
    );
}

#[test]
fn broken_yaml_is_named_with_its_line() {
    for (text, line) in [
        ("General:\n  ListenPort: [1\n", 3),
        ("General:\n  A: 1\n  A: 2\n", 3),
        ("- a\n- b\n", 1),
        ("General: {}\n---\nAdmin: {}\n", 3),
    ] {
        match parse(text) {
            Err(ConfigError::Yaml { line: found, .. }) => assert_eq!(found, line, "{text:?}"),
            other => panic!("{text:?} gave {other:?}"),
        }
    }
}

#[test]
fn relations_between_keys_are_checked() {
    for (text, part) in [
        (
            "Admin: {TLS: {Enabled: true, PrivateKey: k, Certificate: c}}",
            "Admin.TLS.ClientAuthRequired must be true",
        ),
        (
            "General: {TLS: {Enabled: true}}",
            "General.TLS.PrivateKey is not set",
        ),
        ("General: {BootstrapMethod: file}", "only 'none' exists since v3"),
        (
            "General: {BCCSP: {Default: PKCS11}}",
            "PKCS11, which is not supported",
        ),
        ("General: {BCCSP: {SW: {Security: 512}}}", "256 and 384 exist"),
        (
            "General: {ListenAddress: '0.0.0.0:7050'}",
            "the port belongs into General.ListenPort",
        ),
        ("Admin: {ListenAddress: localhost}", "HOST:PORT is expected"),
        (
            "General: {Backoff: {Multiplier: 0.5}}",
            "pauses must not get shorter",
        ),
        (
            "General: {DiskGuard: {MinFree: 2 GB, ResumeFree: 1 GB}}",
            "ResumeFree is 1 GB, but must not be less than General.DiskGuard.MinFree, 2 GB",
        ),
        (
            "General: {Limits: {StreamsPerConnection: 5000000000}}",
            "StreamsPerConnection is above 4294967295",
        ),
        (
            "Consensus: {WALDir: /raft, SnapDir: /raft}",
            "each takes a folder of its own",
        ),
    ] {
        let told = refusal(text);
        assert!(told.contains(part), "{part}\nin\n{told}");
    }
}

#[test]
fn plain_listening_is_allowed_with_a_warning() {
    assert!(
        good("")
            .warnings
            .iter()
            .any(|warning| warning.contains("without TLS"))
    );
    assert!(
        !good(TLS)
            .warnings
            .iter()
            .any(|warning| warning.contains("without TLS"))
    );
}

#[test]
fn a_plain_admin_listener_that_others_reach_is_warned_of() {
    let warned = |address: &str| {
        let config = good(&format!("Admin: {{ListenAddress: '{address}'}}"));
        config
            .warnings
            .iter()
            .any(|warning| warning.contains("whoever reaches that address"))
    };
    for (address, expected) in [
        ("127.0.0.1:9443", false),
        ("localhost:9443", false),
        ("[::1]:9443", false),
        ("0.0.0.0:9443", true),
        (":9443", true),
        ("10.0.0.5:9443", true),
    ] {
        assert_eq!(warned(address), expected, "{address}");
    }
}

#[test]
fn variables_that_set_no_key_are_named() {
    let variables = [
        ("ORDERER_GENERAL_LISTENPRT", "1"),
        ("ORDERER_GENERAL_LOCALMSPID_FILE", ""),
        ("ORDERER_GENERAL_GENESISPROFILE", "x"),
        ("ORDERER_SERVICE_HOST", "10.0.0.1"),
        ("PATH", "/bin"),
    ];
    let config = parse_with("", &variables).expect("a good file");
    let told = "these environment variables set no key: ORDERER_GENERAL_GENESISPROFILE, ORDERER_GENERAL_LISTENPRT \
                (did you mean ORDERER_GENERAL_LISTENPORT?)";
    assert!(
        config.warnings.iter().any(|warning| warning == told),
        "{:?}",
        config.warnings
    );
}

#[test]
fn a_file_that_nests_without_end_is_refused() {
    for text in [
        "[".repeat(100_000),
        "a:\n ".repeat(50),
        format!("{{a: {}", "{a: ".repeat(100_000)),
    ] {
        assert!(parse(&text).is_err());
    }
}

#[test]
fn a_rate_that_clients_can_escape_is_warned_of() {
    let warned = |text: &str| {
        good(text)
            .warnings
            .iter()
            .any(|one| one.contains("are not held back"))
    };
    let throttling = "  Throttling: {Rate: 1}\n";
    assert!(warned(&format!("{TLS}{throttling}")));
    let required = TLS.replace("Enabled: true", "Enabled: true, ClientAuthRequired: true");
    assert!(!warned(&format!("{required}{throttling}")));
    assert!(!warned(TLS));
}
