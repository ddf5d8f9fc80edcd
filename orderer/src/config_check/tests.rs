//! Files in, reports out.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::report::Level;
use super::*;
use crate::testing;

/// A folder with an `orderer.yaml` of this text, and the environment that leads there.
struct World {
    folder: tempfile::TempDir,
    environment: Environment,
}

impl World {
    fn new(settings: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("orderer.yaml"), settings).expect("written");
        let path = folder.path().display().to_string();
        Self {
            folder,
            environment: Environment::from([("FABRIC_CFG_PATH".to_owned(), path)]),
        }
    }

    /// A node with the identity and the TLS files of the vectors, whose folders do not exist yet.
    fn good(more: &str) -> Self {
        Self::new(&format!("{}{more}", good_settings()))
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        self.environment.insert(name.to_owned(), value.to_owned());
        self
    }

    fn check(&self) -> Report {
        check(&self.environment)
    }
}

fn node_folder() -> std::path::PathBuf {
    testing::vectors().join("crypto/ordererOrganizations/ord.vec.test/orderers/o1.ord.vec.test")
}

fn good_settings() -> String {
    let node = node_folder();
    let node = node.display();
    format!(
        "General:
  ListenPort: 0
  LocalMSPDir: {node}/msp
  LocalMSPID: OrdererMSP
  TLS:
    Enabled: true
    PrivateKey: {node}/tls/server.key
    Certificate: {node}/tls/server.crt
    RootCAs: [{node}/tls/ca.crt]
  DiskGuard: {{MinFree: 0}}
FileLedger: {{Location: data}}
Admin: {{ListenAddress: 127.0.0.1:0}}
"
    )
}

fn texts(report: &Report, level: Level) -> Vec<&str> {
    let of_level = report.findings().iter().filter(|finding| finding.level == level);
    of_level.map(|finding| finding.text.as_str()).collect()
}

#[track_caller]
fn assert_told(report: &Report, level: Level, part: &str) {
    assert!(
        texts(report, level).iter().any(|text| text.contains(part)),
        "no {level:?} with {part:?} in\n{}",
        report.text()
    );
}

#[test]
fn a_good_configuration_would_start_and_nothing_is_made() {
    let world = World::good("");
    let report = world.check();
    assert!(report.would_start(), "{}", report.text());
    assert_told(&report, Level::Ok, "General.LocalMSPDir: ");
    assert_told(
        &report,
        Level::Ok,
        "TLS of the general listener: certificate and key belong together",
    );
    assert_told(&report, Level::Ok, "data would be made at the start");
    let entries = fs::read_dir(world.path()).expect("a folder").count();
    assert_eq!(entries, 1, "orderer.yaml alone");
}

#[test]
fn each_setting_is_shown_with_where_it_came_from() {
    let world = World::good("").with("ORDERER_GENERAL_KEEPALIVE_SERVERTIMEOUT", "7s");
    let report = world.check();
    let file = world.path().join("orderer.yaml").display().to_string();
    let (text, json) = (report.text(), report.json());
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    let settings = json["settings"].as_array().expect("settings");
    for (key, value, origin, in_json) in [
        (
            "General.LocalMSPID",
            "\"OrdererMSP\"",
            format!("{file}:4"),
            ("line", serde_json::json!(4)),
        ),
        (
            "General.Keepalive.ServerTimeout",
            "7s",
            "ORDERER_GENERAL_KEEPALIVE_SERVERTIMEOUT".to_owned(),
            ("variable", "ORDERER_GENERAL_KEEPALIVE_SERVERTIMEOUT".into()),
        ),
        (
            "General.ConnectionTimeout",
            "5s",
            "default".to_owned(),
            ("origin", "default".into()),
        ),
        (
            "Consensus.WALDir",
            &format!(
                "{:?}",
                world.path().join("data/etcdraft/wal").display().to_string()
            ),
            "from FileLedger.Location".to_owned(),
            ("from", "FileLedger.Location".into()),
        ),
    ] {
        let line = text
            .lines()
            .find(|line| line.trim_start().starts_with(&format!("{key} = ")));
        let line = line.unwrap_or_else(|| panic!("no {key} in\n{text}"));
        assert!(
            line.contains(value) && line.trim_end().ends_with(&origin),
            "{line}"
        );
        let setting = settings
            .iter()
            .find(|setting| setting["key"] == key)
            .expect("listed");
        assert_eq!(
            (&setting["value"], &setting[in_json.0]),
            (&value.into(), &in_json.1)
        );
    }
    assert_eq!(json["would_start"], true);
    assert_eq!(json["file"], file);
}

#[test]
fn secrets_are_never_printed() {
    let world = World::good("").with("ORDERER_GENERAL_BCCSP_PKCS11_PIN", "open-sesame-4711");
    let report = world.check();
    for printed in [report.text(), report.json()] {
        assert!(printed.contains("(secret)"));
        assert!(!printed.contains("sesame"), "{printed}");
        assert!(!printed.contains("PRIVATE KEY"), "{printed}");
    }
}

#[test]
fn without_a_file_the_places_and_quickstart_are_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().display().to_string();
    let report = check(&Environment::from([("FABRIC_CFG_PATH".to_owned(), path.clone())]));
    assert!(!report.would_start());
    for part in [path.as_str(), "/etc/hyperledger/fabric", "orderer quickstart"] {
        assert_told(&report, Level::Problem, part);
    }
}

#[test]
fn everything_that_is_wrong_in_the_file_is_told_at_once_with_its_line() {
    let world = World::new("General:\n  ListenPort: seven\n  Typo: 1\nAdmin:\n  ListenAddress: nowhere\n");
    let report = world.check();
    let file = world.path().join("orderer.yaml").display().to_string();
    for part in ["2: General.ListenPort: 'seven'", "3: unknown key General.Typo"] {
        assert_told(&report, Level::Problem, &format!("{file}:{part}"));
    }
    assert!(
        report.text().contains("the node would NOT start: 2 problems"),
        "{}",
        report.text()
    );
}

#[test]
fn a_part_of_the_data_folder_that_cannot_be_used_is_found() {
    let world = World::good("");
    fs::create_dir(world.path().join("data")).expect("a folder");
    fs::write(world.path().join("data/chains"), "in the way").expect("written");
    let report = world.check();
    assert_told(&report, Level::Ok, "FileLedger.Location: ");
    assert_told(&report, Level::Problem, "data/chains is no folder");
}

#[test]
fn authorities_that_are_not_there_are_warned_of_and_keep_nobody_from_starting() {
    let world = World::good("").with("ORDERER_GENERAL_TLS_ROOTCAS", "[/no/such/ca.crt]");
    let report = world.check();
    assert!(report.would_start(), "{}", report.text());
    let told = "General.TLS.RootCAs: cannot read /no/such/ca.crt";
    assert_told(&report, Level::Warning, told);
}

#[test]
fn what_a_start_would_stumble_over_is_found_before_it() {
    let node = node_folder();
    let other = testing::vectors().join("crypto/ordererOrganizations/ord.vec.test/orderers/o2.ord.vec.test");
    let (node, other) = (node.display().to_string(), other.display().to_string());
    for (variable, value, part) in [
        (
            "ORDERER_GENERAL_TLS_PRIVATEKEY",
            "/no/such/key".to_owned(),
            "cannot read /no/such/key",
        ),
        (
            "ORDERER_GENERAL_TLS_PRIVATEKEY",
            format!("{other}/tls/server.key"),
            "/tls/server.key: the key is not that of the certificate",
        ),
        (
            "FABRIC_LOGGING_FORMAT",
            "%{nope}".to_owned(),
            "invalid logging format '%{nope}'",
        ),
        (
            "ORDERER_GENERAL_LOCALMSPDIR",
            format!("{node}/nothing"),
            "General.LocalMSPDir: cannot read",
        ),
        (
            "ORDERER_FILELEDGER_LOCATION",
            "/dev/null/data".to_owned(),
            "FileLedger.Location: /dev/null is no folder",
        ),
        (
            "ORDERER_CONSENSUS_WALDIR",
            format!("{node}/tls/server.crt/wal"),
            "server.crt is no folder",
        ),
        (
            "ORDERER_GENERAL_LISTENADDRESS",
            "203.0.113.1".to_owned(),
            "cannot listen on 203.0.113.1",
        ),
        (
            "ORDERER_GENERAL_LISTENADDRESS",
            "no such host".to_owned(),
            "cannot be resolved",
        ),
        ("FABRIC_LOGGING_SPEC", "louder".to_owned(), "louder"),
    ] {
        let report = World::good("").with(variable, &value).check();
        assert_told(&report, Level::Problem, part);
    }
}

#[test]
fn two_listeners_at_one_address_are_found() {
    let world = World::good("")
        .with("ORDERER_GENERAL_LISTENPORT", "7123")
        .with("ORDERER_ADMIN_LISTENADDRESS", "127.0.0.1:7123");
    assert_told(
        &world.check(),
        Level::Problem,
        "the admin listener are both at 127.0.0.1:7123",
    );
}

#[test]
fn an_address_in_use_is_no_problem_since_the_node_may_run() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let report = World::good("")
        .with("ORDERER_ADMIN_LISTENADDRESS", &address)
        .check();
    assert!(report.would_start());
    assert_told(
        &report,
        Level::Warning,
        &format!("the admin listener: {address} is in use"),
    );
}

#[test]
fn a_private_key_that_others_can_read_is_warned_of() {
    let world = World::good("");
    let key = world.path().join("server.key");
    fs::copy(node_folder().join("tls/server.key"), &key).expect("copied");
    let text = format!("the private key {} can be read by others", key.display());
    for (mode, warned) in [(0o600, false), (0o640, true), (0o644, true)] {
        fs::set_permissions(&key, fs::Permissions::from_mode(mode)).expect("changed");
        let report = check(&Environment::from([
            ("FABRIC_CFG_PATH".to_owned(), world.path().display().to_string()),
            (
                "ORDERER_GENERAL_TLS_PRIVATEKEY".to_owned(),
                key.display().to_string(),
            ),
        ]));
        let found = texts(&report, Level::Warning)
            .iter()
            .any(|one| one.starts_with(&text));
        assert_eq!(found, warned, "{mode:o}\n{}", report.text());
    }
}
