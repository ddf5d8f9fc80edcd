//! Whole files in, configuration or messages out.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::*;

mod cluster;
mod keys;
mod said;

const FILE: &str = "/etc/node/orderer.yaml";

fn parse(text: &str) -> Result<Config, ConfigError> {
    parse_with(text, &[])
}

fn parse_with(text: &str, variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
    Config::parse(Path::new(FILE), text, &environment(variables))
}

fn environment(variables: &[(&str, &str)]) -> Environment {
    variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

fn good(text: &str) -> Config {
    parse(text).expect("a good file")
}

fn refusal(text: &str) -> String {
    parse(text).expect_err("a bad file").to_string()
}

const TLS: &str = "
General:
  TLS: {Enabled: true, PrivateKey: tls/server.key, Certificate: tls/server.crt}
";

#[test]
fn an_empty_file_gives_the_defaults() {
    for text in ["", "---\n", "General:\n", "General: {}\nAdmin: null\nDebug: ~\n"] {
        let config = good(text);
        assert_eq!(config.general.listen.to_string(), "127.0.0.1:7050", "{text:?}");
        assert_eq!(config.admin.listen.to_string(), "127.0.0.1:9443");
        assert_eq!(config.general.tls, None);
        assert_eq!(config.general.connection_timeout, Duration::from_secs(5));
        assert_eq!(config.general.recv_bytes_max, 100 << 20);
        assert_eq!(config.general.local_msp_dir, PathBuf::from("/etc/node/msp"));
        assert_eq!(config.general.local_msp_id, "SampleOrg");
        assert_eq!(config.general.authentication.time_window, Duration::from_mins(15));
        assert_eq!(config.general.keepalive.server_interval, Duration::from_hours(2));
        assert_eq!(config.general.acknowledge, Acknowledge::Accepted);
        assert_eq!(config.participation.request_body_bytes_max, 1 << 20);
        assert_eq!(config.ledger.location, PathBuf::from("/etc/node"));
    }
}

/// A file as the reference's network generator writes it (`docs/spec/dropin.md` §1.1).
const GENERATED: &str = r#"
General:
  ListenAddress: 127.0.0.1
  ListenPort: 20010
  TLS:
    Enabled: true
    PrivateKey: /net/crypto/orderer/tls/server.key
    Certificate: /net/crypto/orderer/tls/server.crt
    RootCAs:
    -  /net/crypto/orderer/tls/ca.crt
    ClientAuthRequired: false
    ClientRootCAs:
  Cluster:
    ClientCertificate: /net/crypto/orderer/tls/server.crt
    ClientPrivateKey: /net/crypto/orderer/tls/server.key
    ServerCertificate: /net/crypto/orderer/tls/server.crt
    ServerPrivateKey: /net/crypto/orderer/tls/server.key
    DialTimeout: 5s
    RPCTimeout: 7s
    ReplicationBufferSize: 20971520
    ReplicationPullTimeout: 5s
    ReplicationRetryTimeout: 5s
    ReplicationPolicy:
    ListenAddress: 127.0.0.1
    ListenPort: 20011
  Keepalive:
    ServerMinInterval: 60s
    ServerInterval: 7200s
    ServerTimeout: 20s
  Backoff:
    BaseDelay: 1s
    Multiplier: 1.6
    MaxDelay: 2m0s
  Throttling:
    Rate: 0
  BootstrapMethod: "none"
  LocalMSPDir: /net/crypto/orderer/msp
  LocalMSPID: OrdererMSP
  Profile:
    Enabled: false
    Address: 127.0.0.1:20013
  BCCSP:
    Default: SW
    SW:
      Hash: SHA2
      Security: 256
      FileKeyStore:
        KeyStore:
  Authentication:
    TimeWindow: 15m0s
FileLedger:
  Location: /net/orderer/system
Debug:
  BroadcastTraceDir:
  DeliverTraceDir: null
Consensus:
  WALDir: /net/orderer/etcdraft/wal
  SnapDir: "/net/orderer/etcdraft/snapshot"
  EvictionSuspicion: 5s
  TickIntervalOverride: 642ms
Operations:
  ListenAddress: 127.0.0.1:20012
  TLS:
    Enabled: false
Admin:
  ListenAddress: 127.0.0.1:20014
  TLS:
    Enabled: true
    PrivateKey: /net/crypto/orderer/tls/server.key
    Certificate: /net/crypto/orderer/tls/server.crt
    RootCAs:
    -  /net/crypto/orderer/tls/ca.crt
    ClientAuthRequired: true
    ClientRootCAs:
    -  /net/crypto/orderer/tls/ca.crt
Metrics:
  Provider: disabled
  Statsd:
    Network: udp
    Address: 127.0.0.1:8125
    WriteInterval: 30s
    Prefix: orderer
ChannelParticipation:
  Enabled: true
  MaxRequestBodySize: 1 MB
"#;

#[test]
fn a_generated_file_is_taken_as_it_is() {
    let config = good(GENERATED);
    let tls = config.general.tls.expect("TLS is enabled");
    assert_eq!(config.general.listen.to_string(), "127.0.0.1:20010");
    assert_eq!(
        tls.private_key,
        PathBuf::from("/net/crypto/orderer/tls/server.key")
    );
    assert_eq!(tls.root_cas, [PathBuf::from("/net/crypto/orderer/tls/ca.crt")]);
    assert!(tls.client_root_cas.is_empty());
    assert_eq!(config.general.bccsp.key_store, None);
    assert_eq!(config.ledger.location, PathBuf::from("/net/orderer/system"));
    let admin = config.admin.tls.expect("TLS is enabled");
    assert!(admin.client_auth_required);
    assert_eq!(config.participation.request_body_bytes_max, 1 << 20);
    assert_eq!(config.operations.listen.to_string(), "127.0.0.1:20012");
    assert_eq!(config.operations.tls, None);
}

#[test]
fn operations_listen_on_loopback_on_any_port_unless_told_otherwise() {
    let config = good("FileLedger: {Location: /data}\n");
    assert_eq!(config.operations.listen.to_string(), "127.0.0.1:0");
}

#[test]
fn a_generated_file_is_taken_without_a_warning_about_its_keys() {
    let config = good(GENERATED);
    let about_keys = |warning: &&String| warning.contains("no effect here") || warning.contains("unknown");
    assert_eq!(config.warnings.iter().find(about_keys), None);
}

#[test]
fn keys_and_sections_are_found_in_any_case() {
    let config =
        good("GENERAL:\n  listenport: 1234\n  tls: {enabled: 'false'}\nfileledger: {LOCATION: /data}\n");
    assert_eq!(config.general.listen.port, 1234);
    assert_eq!(config.ledger.location, PathBuf::from("/data"));
}

#[test]
fn numbers_durations_and_lists_may_be_text() {
    let config = good(
        "General:
  ListenPort: \"7051\"
  ConnectionTimeout: '1m0s'
  MaxRecvMsgSize: 64k
  TLS: {Enabled: TRUE, PrivateKey: k, Certificate: c, ClientRootCAs: '[a.pem, /b.pem]', RootCAs: one.pem}
",
    );
    let tls = config.general.tls.expect("TLS is enabled");
    assert_eq!(config.general.listen.port, 7051);
    assert_eq!(config.general.connection_timeout, Duration::from_mins(1));
    assert_eq!(config.general.recv_bytes_max, 65_536);
    assert_eq!(
        tls.client_root_cas,
        [PathBuf::from("/etc/node/a.pem"), PathBuf::from("/b.pem")]
    );
    assert_eq!(tls.root_cas, [PathBuf::from("/etc/node/one.pem")]);
}

#[test]
fn a_zero_means_the_default_where_the_reference_says_so() {
    let config = good("General: {ListenPort: 0, ConnectionTimeout: 0s, Keepalive: {ServerTimeout: 0}}");
    assert_eq!(config.general.listen.port, 7050);
    assert_eq!(config.general.connection_timeout, Duration::from_secs(5));
    assert_eq!(config.general.keepalive.server_timeout, Duration::from_secs(20));
}

#[test]
fn relative_paths_start_at_the_file_or_at_the_working_directory() {
    let config = good(
        "General:
  LocalMSPDir: crypto/msp
  TLS: {Enabled: true, PrivateKey: tls/server.key, Certificate: tls/server.crt}
  BCCSP: {SW: {FileKeyStore: {KeyStore: keys}}}
FileLedger: {Location: data}
Admin:
  TLS: {Enabled: true, PrivateKey: k, Certificate: c, ClientAuthRequired: true, ClientRootCAs: [ca]}
",
    );
    let tls = config.general.tls.expect("TLS is enabled");
    assert_eq!(tls.private_key, PathBuf::from("/etc/node/tls/server.key"));
    assert_eq!(
        config.general.local_msp_dir,
        PathBuf::from("/etc/node/crypto/msp")
    );
    assert_eq!(config.ledger.location, PathBuf::from("/etc/node/data"));
    assert_eq!(config.general.bccsp.key_store, Some(PathBuf::from("keys")));
    let admin = config.admin.tls.expect("TLS is enabled");
    assert_eq!(admin.private_key, PathBuf::from("k"));
}

#[test]
fn a_variable_overrides_the_file() {
    let variables = [
        ("ORDERER_GENERAL_LISTENPORT", "8000"),
        ("ORDERER_GENERAL_LISTENADDRESS", ""),
        ("ORDERER_GENERAL_TLS_CLIENTROOTCAS", "[/a, /b]"),
        ("ORDERER_GENERAL_TLS_CLIENTAUTHREQUIRED", "true"),
    ];
    let config = parse_with(
        "General: {ListenPort: 7000, ListenAddress: localhost, TLS: {Enabled: true, PrivateKey: k, Certificate: c}}",
        &variables,
    )
    .expect("a good file");
    let tls = config.general.tls.expect("TLS is enabled");
    assert_eq!(config.general.listen.to_string(), "localhost:8000");
    assert_eq!(tls.client_root_cas, [PathBuf::from("/a"), PathBuf::from("/b")]);
    assert!(tls.client_auth_required);
}

#[test]
fn of_a_variable_that_is_set_twice_the_last_one_counts() {
    let twice = [
        ("ORDERER_GENERAL_LISTENPORT", "8000"),
        ("ORDERER_GENERAL_LISTENPORT", "9000"),
    ];
    let config = parse_with("", &twice).expect("a good file");
    assert_eq!(config.general.listen.port, 9000);
}

#[test]
fn a_variable_works_without_its_section_in_the_file() {
    let variables = [
        ("ORDERER_GENERAL_AUTHENTICATION_NOEXPIRATIONCHECKS", "true"),
        ("ORDERER_GENERAL_BROADCAST_ACKNOWLEDGE", "committed"),
        ("ORDERER_GENERAL_THROTTLING_RATE", "500"),
        ("ORDERER_ADMIN_LISTENADDRESS", "0.0.0.0:7053"),
        ("ORDERER_CHANNELPARTICIPATION_ENABLED", "true"),
    ];
    let config = parse_with("", &variables).expect("a good file");
    assert!(config.general.authentication.no_expiration_checks);
    assert_eq!(config.general.acknowledge, Acknowledge::Committed);
    assert_eq!(config.admin.listen.to_string(), "0.0.0.0:7053");
    assert_eq!(
        config.general.throttling.map(|throttling| throttling.rate),
        Some(500)
    );
}

#[test]
fn a_value_may_come_from_a_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("orderer.yaml");
    std::fs::write(folder.path().join("id"), "Org7MSP\n").expect("written");
    std::fs::write(folder.path().join("key.pem"), "-----BEGIN PRIVATE KEY-----\n").expect("written");
    let id = folder.path().join("id").display().to_string();
    let from_section = "General: {LocalMSPID: {File: id}, TLS: {PrivateKey: {file: key.pem}, Certificate: c, Enabled: true}}";
    let config = Config::parse(&file, from_section, &environment(&[])).expect("a good file");
    assert_eq!(config.general.local_msp_id, "Org7MSP");
    let tls = config.general.tls.expect("TLS is enabled");
    assert_eq!(tls.private_key, folder.path().join("key.pem"));

    let variable = environment(&[("ORDERER_GENERAL_LOCALMSPID_FILE", &id)]);
    let config = Config::parse(&file, "", &variable).expect("a good file");
    assert_eq!(config.general.local_msp_id, "Org7MSP");
    let config = Config::parse(&file, "General: {LocalMSPID: Written}", &variable).expect("a good file");
    assert_eq!(
        config.general.local_msp_id, "Written",
        "the _FILE form is for absent keys"
    );
}

#[test]
fn the_effective_configuration_is_listed_without_secrets() {
    let config = good("General: {ListenPort: 27051, BCCSP: {PKCS11: {Pin: 98765432, Label: hsm}}}");
    let lines: Vec<String> = config.effective.iter().map(ToString::to_string).collect();
    let lines = lines.join("\n");
    for line in [
        "General.ListenAddress = \"127.0.0.1\"",
        "General.ListenPort = 27051",
        "General.TLS.Enabled = false",
        "General.Keepalive.ServerInterval = 2h0m0s",
        "General.BCCSP.PKCS11.Pin = (secret)",
        "General.BCCSP.PKCS11.Label = \"hsm\"",
    ] {
        assert!(lines.lines().any(|found| found == line), "{line}\nin\n{lines}");
    }
    assert!(!lines.contains("98765432"));
}

#[test]
fn what_protects_the_node_has_defaults_and_can_be_set() {
    let general = good("").general;
    assert_eq!(general.throttling, None);
    assert_eq!(general.limits.connections, 10_000);
    assert_eq!(general.limits.handshakes, 1024);
    assert_eq!(general.limits.streams_per_connection, 1024);
    assert_eq!(general.limits.header_time, Duration::from_secs(10));
    assert_eq!(general.cert_reload_interval, Some(Duration::from_secs(10)));
    let guard = general.disk_guard.expect("a disk guard");
    assert_eq!(
        (guard.min_free_bytes, guard.resume_free_bytes),
        (100 << 20, 150 << 20)
    );
    let text = "General:
  Throttling: {Rate: 20, InactivityTimeout: 1m}
  Limits: {Connections: 2, Handshakes: 3, StreamsPerConnection: 4, HeaderTime: 5s}
  DiskGuard: {MinFree: 0}
  CertReloadInterval: 0
";
    let general = good(text).general;
    let throttling = Throttling {
        rate: 20,
        inactivity_timeout: Duration::from_mins(1),
    };
    assert_eq!(general.throttling, Some(throttling));
    let limits = Limits {
        connections: 2,
        handshakes: 3,
        streams_per_connection: 4,
        header_time: Duration::from_secs(5),
    };
    assert_eq!(general.limits, limits);
    assert_eq!((general.disk_guard, general.cert_reload_interval), (None, None));
}

#[test]
fn addresses_are_split_at_the_port() {
    for (text, host, port, shown) in [
        ("127.0.0.1:9443", "127.0.0.1", 9443, "127.0.0.1:9443"),
        (":9443", "", 9443, ":9443"),
        ("[::1]:0", "::1", 0, "[::1]:0"),
        ("node.example.com:1", "node.example.com", 1, "node.example.com:1"),
    ] {
        let listen = Listen::parse(text).expect(text);
        assert_eq!((listen.host.as_str(), listen.port), (host, port));
        assert_eq!(listen.to_string(), shown);
    }
    for text in ["", "host", "host:", "host:70000", "::1:80", "[::1:80"] {
        assert_eq!(Listen::parse(text), None, "{text}");
    }
}

#[test]
fn the_file_is_searched_where_the_variable_says_first() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().display().to_string();
    let variables = environment(&[("FABRIC_CFG_PATH", &path)]);
    let error = locate(&variables).expect_err("nothing there").to_string();
    assert!(
        error.contains(&path) && error.contains("/etc/hyperledger/fabric"),
        "{error}"
    );
    assert!(error.contains("orderer quickstart"), "{error}");

    std::fs::write(folder.path().join("orderer.yml"), "").expect("written");
    assert_eq!(
        locate(&variables).expect("found"),
        folder.path().join("orderer.yml")
    );
    std::fs::write(folder.path().join("orderer.yaml"), "").expect("written");
    assert_eq!(
        locate(&variables).expect("found"),
        folder.path().join("orderer.yaml")
    );
}

#[test]
fn a_file_of_another_folder_than_the_variable_names_is_warned_of() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("orderer.yaml");
    std::fs::write(&file, "").expect("written");
    let warned = |named: &Path| {
        let variables = environment(&[("FABRIC_CFG_PATH", &named.display().to_string())]);
        let warnings = Config::read(&file, &variables).expect("a configuration").warnings;
        let mut about = warnings
            .into_iter()
            .filter(|warning| warning.contains("FABRIC_CFG_PATH"));
        about.next()
    };
    assert_eq!(warned(folder.path()), None);
    let other = folder.path().join("other");
    let text = format!(
        "FABRIC_CFG_PATH is {}, which has no orderer.yaml: {} is used instead",
        other.display(),
        file.display()
    );
    assert_eq!(warned(&other), Some(text));
}

#[test]
fn a_collector_of_spans_is_off_by_default_and_its_address_is_checked() {
    let tracing = |text: &str| {
        let parsed = Config::parse(&PathBuf::from("/etc/orderer.yaml"), text, &BTreeMap::new());
        parsed.map(|config| config.general.tracing)
    };
    assert_eq!(tracing("").unwrap(), None);
    for (endpoint, expected) in [
        ("http://localhost:4318", "http://localhost:4318/v1/traces"),
        ("http://localhost:4318/", "http://localhost:4318/v1/traces"),
        ("http://localhost:4318/here", "http://localhost:4318/here"),
    ] {
        let set = tracing(&format!("General: {{Tracing: {{Endpoint: '{endpoint}'}}}}")).unwrap();
        let set = set.expect("it is set");
        assert_eq!(set.endpoint.to_string(), expected);
        assert!((set.sample_ratio - 0.01).abs() < f64::EPSILON);
    }
    for (settings, told) in [
        (
            "Endpoint: 'https://h:1'",
            "General.Tracing.Endpoint is 'https://h:1'",
        ),
        ("Endpoint: nonsense", "http://HOST:PORT or http://HOST:PORT/PATH"),
        ("SampleRatio: 2", "General.Tracing.SampleRatio is 2"),
    ] {
        let error = tracing(&format!("General: {{Tracing: {{{settings}}}}}")).unwrap_err();
        assert!(error.to_string().contains(told), "{error}");
    }
}
