//! A whole node as a process: ready, TLS files replaced while it runs, signals.

use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::sync::Arc;
use std::time::{Duration, Instant};

use client::connection::Address;
use client::participation::AdminClient;
use client::tls::{ClientCertificate, ClientTls};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// How long a node may take for one step.
const STEP_TIME_MAX: Duration = Duration::from_secs(15);

/// A certificate and its key, in PEM.
struct Pair {
    certificate: String,
    key: String,
}

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params
        .distinguished_name
        .push(DnType::CommonName, "tls authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority")
}

fn issue(authority: &CertifiedIssuer<'static, KeyPair>) -> Pair {
    let key = KeyPair::generate().expect("a key");
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    let params = CertificateParams::new(names).expect("names");
    let certificate = params.signed_by(&key, authority).expect("a certificate");
    Pair {
        certificate: certificate.pem(),
        key: key.serialize_pem(),
    }
}

/// A node in a folder of its own; killed when dropped.
struct Node {
    folder: tempfile::TempDir,
    general_port: u16,
    admin_port: u16,
    environment: Vec<(&'static str, &'static str)>,
    process: Option<Child>,
}

impl Node {
    fn new(authority: &CertifiedIssuer<'static, KeyPair>) -> Self {
        let node = Self {
            folder: tempfile::tempdir().expect("a folder"),
            general_port: free_port(),
            admin_port: free_port(),
            environment: Vec::new(),
            process: None,
        };
        node.write("ca.crt", &authority.pem());
        node.replace(&issue(authority));
        node.write("orderer.yaml", &node.settings());
        node
    }

    fn settings(&self) -> String {
        let msp = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../tests/vectors/ed25519/crypto/ordererOrganizations/ord.vec.test/orderers")
            .join("o1.ord.vec.test/msp");
        let (general, admin, msp) = (self.general_port, self.admin_port, msp.display());
        format!(
            "
General:
  ListenPort: {general}
  TLS: {{Enabled: true, PrivateKey: server.key, Certificate: server.crt}}
  LocalMSPDir: {msp}
  LocalMSPID: OrdererMSP
FileLedger: {{Location: data/ledger}}
Admin:
  ListenAddress: 127.0.0.1:{admin}
  TLS:
    Enabled: true
    PrivateKey: server.key
    Certificate: server.crt
    ClientAuthRequired: true
    ClientRootCAs: [ca.crt]
"
        )
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).expect("written");
    }

    fn replace(&self, pair: &Pair) {
        self.write("server.crt", &pair.certificate);
        self.write("server.key", &pair.key);
    }

    fn start(&mut self) {
        let child = Command::new(env!("CARGO_BIN_EXE_orderer"))
            .current_dir(self.folder.path())
            .env_clear()
            .envs(self.environment.iter().copied())
            .stderr(File::create(self.path("log")).expect("a log"))
            .spawn();
        self.process = Some(child.expect("the binary runs"));
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).expect("a log")
    }

    /// Waits until `text` is in the log `times` times.
    fn wait_for(&self, text: &str, times: usize) {
        let begun = Instant::now();
        while self.log().matches(text).count() < times {
            assert!(begun.elapsed() < STEP_TIME_MAX, "no {text:?} in\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn signal(&self, name: &str) {
        let id = self.process.as_ref().expect("a process").id().to_string();
        let sent = Command::new("kill").args(["-s", name, &id]).status();
        assert!(sent.expect("kill runs").success());
    }

    fn wait_for_end(&mut self) -> ExitStatus {
        let begun = Instant::now();
        let process = self.process.as_mut().expect("a process");
        loop {
            if let Some(status) = process.try_wait().expect("a state") {
                return status;
            }
            assert!(begun.elapsed() < STEP_TIME_MAX, "still running");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}

/// The certificate a client of the gRPC listener is shown.
async fn shown(authority: &CertifiedIssuer<'static, KeyPair>, port: u16) -> CertificateDer<'static> {
    let stream = handshake(authority, port).await.expect("a handshake");
    let (_, session) = stream.get_ref();
    assert_eq!(session.alpn_protocol(), Some(&b"h2"[..]));
    session.peer_certificates().expect("a certificate")[0]
        .clone()
        .into_owned()
}

async fn handshake(
    authority: &CertifiedIssuer<'static, KeyPair>,
    port: u16,
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(authority.der().clone()).expect("a root");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let tcp = TcpStream::connect(("127.0.0.1", port))
        .await
        .expect("a connection");
    let name = ServerName::try_from("localhost").expect("a name");
    TlsConnector::from(Arc::new(config)).connect(name, tcp).await
}

fn der(pair: &Pair) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pair.certificate.as_bytes()).expect("a certificate")
}

#[tokio::test]
async fn a_hangup_takes_new_tls_files_into_use_and_keeps_the_old_where_they_are_bad() {
    let authority = authority();
    let mut node = Node::new(&authority);
    node.start();
    node.wait_for("Beginning to serve requests", 1);

    let next = issue(&authority);
    node.replace(&next);
    assert_ne!(shown(&authority, node.general_port).await, der(&next));
    node.signal("HUP");
    node.wait_for("listener are read again", 2);
    assert_eq!(shown(&authority, node.general_port).await, der(&next));

    node.write("server.key", "no key");
    node.signal("HUP");
    node.wait_for("listener are kept as they were", 2);
    assert_eq!(shown(&authority, node.general_port).await, der(&next));
}

#[tokio::test]
async fn the_admin_listener_answers_clients_of_its_authority() {
    let authority = authority();
    let mut node = Node::new(&authority);
    node.start();
    node.wait_for("Beginning to serve requests", 1);

    let pair = issue(&authority);
    let certificate = ClientCertificate {
        certificate: pair.certificate.as_bytes(),
        key: pair.key.as_bytes(),
    };
    let address: Address = format!("127.0.0.1:{}", node.admin_port)
        .parse()
        .expect("an address");
    let list = async |certificate| {
        let tls = ClientTls::new(authority.pem().as_bytes(), certificate).expect("good files");
        AdminClient::new(&address, Some(&tls))
            .expect("a client")
            .list()
            .await
    };
    assert!(
        list(Some(certificate))
            .await
            .expect("an answer")
            .channels
            .is_empty()
    );
    assert!(list(None).await.is_err());
}

#[test]
fn signals_are_answered_and_the_end_is_clean() {
    let mut node = Node::new(&authority());
    node.start();
    node.wait_for("Beginning to serve requests", 1);

    node.signal("USR1");
    node.wait_for("Received signal: 10 (user defined signal 1)", 1);
    node.wait_for("Go routines report", 1);
    node.wait_for("\tchannels:", 1);
    node.signal("TERM");
    assert_eq!(node.wait_for_end().code(), Some(0));
    assert!(
        node.log().contains("Received signal: 15 (terminated)"),
        "{}",
        node.log()
    );
    node.start();
    node.wait_for("Beginning to serve requests", 1);
    node.signal("INT");
    assert_eq!(node.wait_for_end().code(), Some(0));
    assert!(
        node.log().contains("Received signal: 2 (interrupt)"),
        "{}",
        node.log()
    );

    node.start();
    node.wait_for("Beginning to serve requests", 1);
}

#[test]
fn the_report_names_threads_and_where_they_wait_listeners_and_tasks() {
    let mut node = Node::new(&authority());
    node.start();
    node.wait_for("Beginning to serve requests", 1);
    node.signal("USR1");
    node.wait_for("\tchannels:", 1);
    let log = node.log();
    let report = &log[log.find("Go routines report").expect("a report")..];
    for text in [
        " tasks on ",
        " threads: id, state, processor time, name, where it waits",
        " signals",
        "What the node is doing:",
        &format!("general 127.0.0.1:{}, 0 connections", node.general_port),
        &format!("admin 127.0.0.1:{}", node.admin_port),
    ] {
        assert!(report.contains(text), "no {text:?} in {report}");
    }
    let threads = report.lines().filter(|line| line.contains(" s tokio-rt-worker"));
    assert!(threads.count() >= 1, "{report}");
    // The process goes on, and tells again when asked again.
    node.signal("USR1");
    node.wait_for("\tchannels:", 2);
}

#[tokio::test]
async fn a_client_that_refuses_an_expired_certificate_is_told_in_the_log() {
    let authority = authority();
    let mut node = Node::new(&authority);
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(["localhost".to_owned()]).expect("names");
    (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 1, 1));
    let certificate = params.signed_by(&key, &authority).expect("a certificate");
    node.replace(&Pair {
        certificate: certificate.pem(),
        key: key.serialize_pem(),
    });
    node.start();
    node.wait_for("Beginning to serve requests", 1);
    assert!(handshake(&authority, node.general_port).await.is_err());
    node.wait_for("tls: bad certificate", 1);
}

#[test]
fn quit_leaves_a_report_and_exit_status_2() {
    let mut node = Node::new(&authority());
    node.start();
    node.wait_for("Beginning to serve requests", 1);
    node.signal("QUIT");
    assert_eq!(node.wait_for_end().code(), Some(2));
    let log = node.log();
    assert!(log.contains("Received signal: 3 (quit)"), "{log}");
    assert!(
        log.contains("Go routines report") && log.contains("\tchannels:"),
        "{log}"
    );
}

#[test]
fn the_format_of_the_log_is_chosen_by_the_environment() {
    let mut node = Node::new(&authority());
    node.environment = vec![("FABRIC_LOGGING_FORMAT", "json")];
    node.start();
    node.wait_for("Beginning to serve requests", 1);
    node.signal("TERM");
    assert_eq!(node.wait_for_end().code(), Some(0));
    let mut messages = Vec::new();
    for line in node.log().lines() {
        let entry: serde_json::Value = serde_json::from_str(line).expect("an object in each line");
        for field in ["level", "ts", "name", "caller", "msg"] {
            assert!(!entry[field].is_null(), "no {field}: {line}");
        }
        messages.push(entry["msg"].as_str().expect("a text").to_owned());
    }
    let ready = "Beginning to serve requests";
    assert!(messages.iter().any(|message| message == ready), "{messages:?}");

    node.environment = vec![("FABRIC_LOGGING_FORMAT", "%{level:.1s}|%{module}|%{message}")];
    node.start();
    node.wait_for("I|orderer.common.server|Beginning to serve requests", 1);
    node.signal("TERM");
    assert_eq!(node.wait_for_end().code(), Some(0));

    node.environment = vec![("FABRIC_LOGGING_FORMAT", "%{pid} %{message}")];
    node.start();
    assert_eq!(node.wait_for_end().code(), Some(2));
    let told = "invalid logging format '%{pid} %{message}': unknown verb 'pid'";
    assert!(node.log().contains(told), "{}", node.log());
}

#[test]
fn log_entries_are_counted_by_level_in_the_metrics() {
    use std::io::{Read as _, Write as _};

    let mut node = Node::new(&authority());
    node.environment = vec![("ORDERER_METRICS_PROVIDER", "prometheus")];
    node.start();
    node.wait_for("Beginning to serve requests", 1);
    let log = node.log();
    let address = log
        .split("Operations are served at http://")
        .nth(1)
        .expect("an address");
    let address = address.lines().next().expect("an address");
    let mut scraper = std::net::TcpStream::connect(address).expect("a connection");
    let request = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    scraper.write_all(request.as_bytes()).expect("sent");
    let mut text = String::new();
    scraper.read_to_string(&mut text).expect("an answer");
    for name in ["logging_entries_checked", "logging_entries_written"] {
        let series = format!("{name}{{level=\"info\"}} ");
        let value = text.lines().find_map(|line| line.strip_prefix(&series));
        let value: f64 = value
            .unwrap_or_else(|| panic!("no {series}in {text}"))
            .parse()
            .expect("a number");
        let lines = log.lines().filter(|line| line.contains(" INFO ")).count();
        assert!(
            value >= f64::from(u32::try_from(lines).expect("few lines")),
            "{value} of {lines}"
        );
    }
}

#[test]
fn a_bad_logging_spec_ends_the_start_with_2() {
    let mut node = Node::new(&authority());
    node.environment = vec![("FABRIC_LOGGING_SPEC", "loud")];
    node.start();
    assert_eq!(node.wait_for_end().code(), Some(2));
    let told = "invalid logging specification 'loud': bad segment 'loud'";
    assert!(node.log().contains(told), "{}", node.log());
}

#[test]
fn trace_folders_are_made_when_they_are_set_and_not_otherwise() {
    let mut node = Node::new(&authority());
    node.start();
    node.wait_for("Beginning to serve requests", 1);
    node.signal("TERM");
    assert_eq!(node.wait_for_end().code(), Some(0));
    assert!(!node.path("traces").exists());
    node.environment = vec![
        ("ORDERER_DEBUG_BROADCASTTRACEDIR", "traces/broadcast"),
        ("ORDERER_DEBUG_DELIVERTRACEDIR", "traces/deliver"),
    ];
    node.start();
    node.wait_for("Beginning to serve requests", 1);
    node.wait_for("request is kept as a file in traces/", 2);
    let begun = Instant::now();
    while !node.path("traces/broadcast").exists() || !node.path("traces/deliver").exists() {
        assert!(begun.elapsed() < STEP_TIME_MAX, "no folders");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_port_in_use_ends_the_start_with_1() {
    let mut node = Node::new(&authority());
    let _taken = TcpListener::bind(("127.0.0.1", node.general_port)).expect("the port");
    node.start();
    assert_eq!(node.wait_for_end().code(), Some(1));
    let address = format!("127.0.0.1:{}", node.general_port);
    assert!(
        node.log().contains(&format!("cannot listen on {address}")),
        "{}",
        node.log()
    );
}
