//! Settings of real processes: the listener combinations in use, files that change while the node runs, what is private,
//! and `orderer config check` (`docs/spec/dropin.md` §1, `docs/spec/behaviour.md` §10).

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, SystemTime};

use client::crypto::{self, KeyType, OrgKind, OrgPaths, OrgSpec};
use client::participation::AdminClient;
use client::tls::{ClientCertificate, ClientTls};
use client::{Address, Target};
use tempfile::TempDir;
use tests::fixture::binaries;
use tests::fixture::clients::until;
use tests::fixture::http::Caller;
use tests::fixture::network::{Network, NetworkSpec};
use tests::fixture::ports;
use tests::fixture::process::Node;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const PATIENCE: Duration = Duration::from_mins(1);
/// Certificates are made for ten years, these eleven years ago.
const EXPIRED_BEFORE: Duration = Duration::from_hours(11 * 365 * 24);
/// Takes handshakes back to when they were valid.
const SHIFT: &str = "26280h0m0s";
const SHIFT_TIME: Duration = Duration::from_hours(3 * 365 * 24);

/// A folder with the identities of one node.
struct World {
    folder: TempDir,
    org: OrgPaths,
}

impl World {
    /// Whose certificates were made so long ago.
    fn aged(age: Duration) -> Self {
        let folder = TempDir::with_prefix("ordain-").expect("a temporary folder");
        let org = OrgSpec::new(OrgKind::Orderer, "o.example", KeyType::P256)
            .with_node("o1", &["localhost", "127.0.0.1"]);
        let made = crypto::make(&folder.path().join("crypto"), &[org], SystemTime::now() - age);
        let org = made.expect("identities").remove(0);
        Self { folder, org }
    }

    fn tls(&self) -> PathBuf {
        self.org.node_tls("o1.o.example")
    }

    fn msp(&self) -> PathBuf {
        self.org.node_msp("o1.o.example")
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("not/there/yet")
    }

    /// The node with these settings, in the shape that generators write.
    fn node(&self, listeners: &Listeners) -> Node {
        let yaml = listeners.yaml(self);
        fs::write(self.folder.path().join("orderer.yaml"), yaml).expect("orderer.yaml");
        Node::new(self.folder.path())
    }

    /// A client that trusts the node's authority, and shows the node's own certificate or nothing.
    fn client(&self, shows: bool) -> ClientTls {
        let read = |name: &str| fs::read(self.tls().join(name)).expect("a TLS file");
        let (certificate, key) = (read("server.crt"), read("server.key"));
        let pair = ClientCertificate {
            certificate: &certificate,
            key: &key,
        };
        ClientTls::new(&read("ca.crt"), shows.then_some(pair)).expect("TLS settings")
    }
}

/// One combination of `docs/spec/dropin.md` §1.2.
#[derive(Clone, Copy)]
struct Combination {
    name: &'static str,
    general_tls: bool,
    /// A listener for orderers alone.
    own_cluster: bool,
    admin_tls: bool,
    operations_tls: bool,
    /// Certificates have expired, and the clocks of handshakes are set back.
    expired: bool,
}

const COMBINATIONS: [Combination; 4] = [
    Combination {
        name: "usual",
        general_tls: true,
        own_cluster: true,
        admin_tls: true,
        operations_tls: true,
        expired: false,
    },
    Combination {
        name: "one port for both",
        general_tls: true,
        own_cluster: false,
        admin_tls: true,
        operations_tls: true,
        expired: false,
    },
    Combination {
        name: "no TLS for clients",
        general_tls: false,
        own_cluster: true,
        admin_tls: false,
        operations_tls: false,
        expired: false,
    },
    Combination {
        name: "repair with expired certificates",
        general_tls: true,
        own_cluster: true,
        admin_tls: true,
        operations_tls: false,
        expired: true,
    },
];

struct Listeners {
    combination: Combination,
    general: Address,
    cluster: Address,
    admin: Address,
    operations: Address,
}

fn loopback() -> Address {
    format!("127.0.0.1:{}", ports::free())
        .parse()
        .expect("an address")
}

impl Listeners {
    fn of(combination: Combination) -> Self {
        Self {
            combination,
            general: loopback(),
            cluster: loopback(),
            admin: loopback(),
            operations: loopback(),
        }
    }

    fn yaml(&self, world: &World) -> String {
        let Combination {
            general_tls,
            own_cluster,
            admin_tls,
            operations_tls,
            expired,
            ..
        } = self.combination;
        let (tls, msp, data) = (world.tls(), world.msp(), world.data());
        let (tls, msp, data) = (tls.display(), msp.display(), data.display());
        let shift = if expired { SHIFT } else { "0s" };
        let cluster = if own_cluster {
            format!(
                "    ClientCertificate: {tls}/server.crt\n    ClientPrivateKey: {tls}/server.key\n    \
                 ServerCertificate: {tls}/server.crt\n    ServerPrivateKey: {tls}/server.key\n    RootCAs: \
                 [{tls}/ca.crt]\n    ListenAddress: 127.0.0.1\n    ListenPort: {}\n    TLSHandshakeTimeShift: {shift}",
                self.cluster.port()
            )
        } else {
            "    ListenPort: 0\n    ListenAddress: \"\"\n    ServerCertificate:\n    ServerPrivateKey:"
                .to_owned()
        };
        format!(
            "General:
  ListenAddress: 127.0.0.1
  ListenPort: {general}
  TLS:
    Enabled: {general_tls}
    PrivateKey: {tls}/server.key
    Certificate: {tls}/server.crt
    RootCAs:
    -  {tls}/ca.crt
    ClientAuthRequired: false
    ClientRootCAs:
    TLSHandshakeTimeShift: {shift}
  Cluster:
{cluster}
    ReplicationPolicy:
  Keepalive:
    ServerMinInterval: 60s
    ServerInterval: 7200s
  BootstrapMethod: \"none\"
  LocalMSPDir: {msp}
  LocalMSPID: OrdererMSP
  BCCSP:
    Default: SW
    SW:
      Hash: SHA2
      Security: 256
      FileKeyStore:
        KeyStore:
    PKCS11:
      Pin: open-sesame-4711
FileLedger:
  Location: {data}/system
Debug:
  BroadcastTraceDir:
  DeliverTraceDir: null
Consensus:
  WALDir: {data}/etcdraft/wal
  SnapDir: {data}/etcdraft/snapshot
  EvictionSuspicion: 5s
  TickIntervalOverride: 642ms
Operations:
  ListenAddress: {operations}
  TLS:
    Enabled: {operations_tls}
    PrivateKey: {tls}/server.key
    Certificate: {tls}/server.crt
    ClientAuthRequired: false
    ClientRootCAs:
    -  {tls}/ca.crt
Admin:
  ListenAddress: {admin}
  TLS:
    Enabled: {admin_tls}
    PrivateKey: {tls}/server.key
    Certificate: {tls}/server.crt
    ClientAuthRequired: true
    ClientRootCAs:
    -  {tls}/ca.crt
    TLSHandshakeTimeShift: {shift}
Metrics:
  Provider: disabled
ChannelParticipation:
  Enabled: true
  MaxRequestBodySize: 1 MB
",
            general = self.general.port(),
            operations = self.operations,
            admin = self.admin
        )
    }
}

/// Whether whoever listens at `target` answers in HTTP/2.
async fn speaks_http2(address: &Address, tls: Option<ClientTls>) -> bool {
    let target = Target {
        address: address.clone(),
        tls,
    };
    let Ok(mut stream) = target.open().await else {
        return false;
    };
    let begin = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    let mut head = [0; 9];
    stream.write_all(begin).await.is_ok()
        && stream.flush().await.is_ok()
        && stream.read_exact(&mut head).await.is_ok()
        && head[3] == 0x4
}

async fn assert_serves(world: &World, listeners: &Listeners) {
    let Combination { name, expired, .. } = listeners.combination;
    let client = |shows: bool| {
        let client = world.client(shows);
        if expired {
            client.looking_back(SHIFT_TIME)
        } else {
            client
        }
    };
    let of = |has_tls: bool, shows: bool| has_tls.then(|| client(shows));
    let Combination {
        general_tls,
        own_cluster,
        admin_tls,
        operations_tls,
        ..
    } = listeners.combination;
    for shows in [false, true] {
        let answers = speaks_http2(&listeners.general, of(general_tls, shows)).await;
        assert!(answers, "{name}: general, with a certificate: {shows}");
    }
    assert_eq!(
        speaks_http2(&listeners.cluster, of(true, true)).await,
        own_cluster,
        "{name}: cluster"
    );
    assert!(
        !speaks_http2(&listeners.cluster, of(true, false)).await,
        "{name}: cluster without a certificate"
    );
    let admin =
        |shows: bool| AdminClient::new(&listeners.admin, of(admin_tls, shows).as_ref()).expect("a client");
    assert!(admin(true).list().await.is_ok(), "{name}: admin");
    assert_eq!(
        admin(false).list().await.is_ok(),
        !admin_tls,
        "{name}: admin without a certificate"
    );
    let operations = if operations_tls {
        Caller::tls(&listeners.operations, &world.tls().join("ca.crt"), None)
    } else {
        Caller::plain(&listeners.operations)
    };
    let (status, text) = operations.get("/healthz").await.expect("an answer");
    assert_eq!(status, 200, "{name}: operations: {text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_listener_combination_in_use_starts_and_serves() {
    for combination in COMBINATIONS {
        let age = if combination.expired {
            EXPIRED_BEFORE
        } else {
            Duration::ZERO
        };
        let (world, listeners) = (World::aged(age), Listeners::of(combination));
        let mut node = world.node(&listeners);
        node.start();
        assert_serves(&world, &listeners).await;
        assert!(
            world.data().join("etcdraft/wal").is_dir(),
            "made with its parents"
        );
        let told = node.stderr();
        for role in [
            "The enrollment certificate ",
            "The TLS server certificate of the general listener ",
        ] {
            let expired = told
                .lines()
                .any(|line| line.contains(role) && line.contains(" has expired on "));
            let is_shown = combination.general_tls || role.contains("enrollment");
            assert_eq!(
                expired,
                combination.expired && is_shown,
                "{}: {role}",
                combination.name
            );
        }
        node.terminate();
        assert!(node.wait_for_end(PATIENCE).success(), "{}", combination.name);
    }
}

#[test]
fn without_a_file_the_places_searched_and_quickstart_are_named_with_exit_code_1() {
    let folder = TempDir::new().expect("a folder");
    let mut node = Node::new(folder.path());
    let status = node.start_in_vain(PATIENCE);
    assert_eq!(status.code(), Some(1));
    let told = node.stderr();
    for part in [
        &folder.path().display().to_string(),
        "/etc/hyperledger/fabric",
        "orderer quickstart",
    ] {
        assert!(told.contains(part), "{part} in {told}");
    }
}

/// What `orderer config check` prints for the file in `folder`.
fn config_check(folder: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(binaries::orderer());
    command.args(["config", "check"]).args(arguments);
    command
        .env("FABRIC_CFG_PATH", folder)
        .envs(variables.iter().copied());
    command.output().expect("it runs")
}

#[test]
fn config_check_says_by_its_exit_code_whether_the_node_would_start() {
    let (world, listeners) = (World::aged(Duration::ZERO), Listeners::of(COMBINATIONS[0]));
    let _node = world.node(&listeners);
    let folder = world.folder.path();
    let good = config_check(folder, &[], &[]);
    let text = String::from_utf8(good.stdout).expect("text");
    assert_eq!(good.status.code(), Some(0), "{text}");
    assert!(text.contains("the node would start: 0 problems"), "{text}");
    let line = format!("General.ListenPort = {}", listeners.general.port());
    let found = text
        .lines()
        .find(|found| found.trim_start().starts_with(&line))
        .expect("listed");
    assert!(found.trim_end().ends_with("orderer.yaml:3"), "{found}");
    assert!(!world.data().exists(), "nothing is made");

    let variable = ("ORDERER_ADMIN_TLS_CLIENTAUTHREQUIRED", "false");
    let bad = config_check(folder, &["--json"], &[variable]);
    assert_eq!(bad.status.code(), Some(1));
    let report: serde_json::Value = serde_json::from_slice(&bad.stdout).expect("JSON");
    assert_eq!(report["would_start"], false);
    let finding = &report["findings"][0];
    assert_eq!(finding["level"], "problem");
    let text = finding["text"].as_str().expect("a text");
    assert!(
        text.contains("Admin.TLS.ClientAuthRequired must be true"),
        "{text}"
    );
}

#[test]
fn expired_certificates_are_told_by_config_check_and_keep_nobody_from_starting() {
    let world = World::aged(EXPIRED_BEFORE);
    let _node = world.node(&Listeners::of(COMBINATIONS[3]));
    let checked = config_check(world.folder.path(), &[], &[]);
    let text = String::from_utf8(checked.stdout).expect("text");
    assert_eq!(checked.status.code(), Some(0), "{text}");
    assert!(text.contains("warning  The enrollment certificate"), "{text}");
}

/// Puts another certificate, key and authority in place of the node's.
fn replace(world: &World, other: &World) {
    for name in ["server.crt", "server.key", "ca.crt"] {
        fs::copy(other.tls().join(name), world.tls().join(name)).expect("copied");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_that_change_are_used_without_a_restart_and_bad_ones_are_not() {
    let (world, other) = (World::aged(Duration::ZERO), World::aged(Duration::ZERO));
    let listeners = Listeners::of(COMBINATIONS[0]);
    let mut node = world
        .node(&listeners)
        .with_variable("ORDERER_GENERAL_CERTRELOADINTERVAL", "50ms");
    node.start();
    let (old, new) = (world.client(true), other.client(true));
    let all = [&listeners.general, &listeners.cluster];
    for address in all {
        assert!(speaks_http2(address, Some(old.clone())).await);
        assert!(!speaks_http2(address, Some(new.clone())).await);
    }
    replace(&world, &other);
    let told = |text: &str| node.stderr().contains(text);
    until("the operations listener has the new files", PATIENCE, || {
        told("TLS files of the operations listener are read again")
    })
    .await;
    for address in all {
        assert!(speaks_http2(address, Some(new.clone())).await, "{address}");
        assert!(!speaks_http2(address, Some(old.clone())).await, "{address}");
    }
    let admin = AdminClient::new(&listeners.admin, Some(&new)).expect("a client");
    assert!(admin.list().await.is_ok());

    let junk = "-----BEGIN PRIVATE KEY-----\nbm8ga2V5IGF0IGFsbA==\n-----END PRIVATE KEY-----\n";
    fs::write(world.tls().join("server.key"), junk).expect("written");
    until("the bad key is told", PATIENCE, || {
        told("TLS files of the general listener are kept as they were")
    })
    .await;
    assert!(speaks_http2(&listeners.general, Some(new.clone())).await);
    assert!(
        !node.stderr().contains("bm8ga2V5IGF0IGFsbA"),
        "what is in a key file is not told"
    );
}

/// Every line of base64 in a key file.
fn secret_lines(file: &Path) -> Vec<String> {
    let text = fs::read_to_string(file).expect("a key");
    let secret = |line: &&str| !line.starts_with("-----") && line.len() > 10;
    text.lines().filter(secret).map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_is_in_what_a_node_prints_at_its_most_talkative() {
    let (world, listeners) = (World::aged(Duration::ZERO), Listeners::of(COMBINATIONS[0]));
    let mut node = world
        .node(&listeners)
        .with_variable("FABRIC_LOGGING_SPEC", "debug")
        .with_variable("ORDERER_GENERAL_BCCSP_PKCS11_LABEL", "a-label");
    node.start();
    assert_serves(&world, &listeners).await;
    node.reload();
    node.wait_for("TLS files of the operations listener are read again", PATIENCE);
    node.terminate();
    assert!(node.wait_for_end(PATIENCE).success());
    let printed = node.stderr();
    assert!(
        printed.contains("General.BCCSP.PKCS11.Pin = (secret)"),
        "{printed}"
    );
    assert!(printed.contains("a-label"));
    let mut secrets = vec!["open-sesame-4711".to_owned(), "PRIVATE KEY".to_owned()];
    secrets.extend(secret_lines(&world.tls().join("server.key")));
    let keystore = fs::read_dir(world.msp().join("keystore")).expect("a folder");
    for key in keystore {
        secrets.extend(secret_lines(&key.expect("an entry").path()));
    }
    for secret in secrets {
        assert!(!printed.contains(&secret), "{secret} is printed");
    }
}

/// Everything below a folder that its group or others can do anything with.
fn open_to_others(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let metadata = fs::symlink_metadata(&path).expect("metadata");
        if metadata.permissions().mode() & 0o077 != 0 {
            found.push(path.clone());
        }
        if metadata.is_dir() {
            open_to_others(&path, found);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_node_makes_is_for_its_user_alone() {
    let mut network = Network::new(&NetworkSpec::default());
    network.node.start();
    network.join().await;
    tests::fixture::bystander::orders(&network.connect().await, &network.signer()).await;
    let mut found = Vec::new();
    let mode = fs::metadata(network.data_folder())
        .expect("a folder")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o700);
    open_to_others(&network.data_folder(), &mut found);
    assert!(found.is_empty(), "{found:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_private_key_that_others_can_read_is_told_at_the_start() {
    let (world, listeners) = (World::aged(Duration::ZERO), Listeners::of(COMBINATIONS[1]));
    let key = world.tls().join("server.key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).expect("changed");
    let mut node = world.node(&listeners);
    node.start();
    let text = format!(
        "the private key {} can be read by others than its owner",
        key.display()
    );
    assert_eq!(node.stderr().matches(&text).count(), 1);
}
