//! The operations listener of real nodes, and `ordain status` over it: who may call what, what the answers are, and what
//! they say when something is broken (`docs/spec/behaviour.md` §9, `docs/operating/operations.md`).

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use client::crypto::{self, KeyType, OrgKind, OrgSpec};
use reqwest::Method;
use serde_json::Value;
use tests::fixture::binaries;
use tests::fixture::bystander::{self, Bystander};
use tests::fixture::cluster::{Cluster, ClusterSpec};
use tests::fixture::http::Caller;
use tests::fixture::network::{Network, NetworkSpec};
use tests::fixture::process::READY;

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);
const POLL_INTERVAL: Duration = Duration::from_millis(50);

async fn running(settings: &'static str) -> Network {
    let mut network = Network::new(&NetworkSpec {
        settings,
        ..NetworkSpec::default()
    });
    network.node.start();
    network.join().await;
    network
}

/// Somebody without a certificate.
fn anybody(network: &Network) -> Caller {
    let [_, tls] = network.node_folders();
    Caller::tls(network.operations_address(), &tls.join("ca.crt"), None)
}

/// Somebody with a certificate of the nodes' organisation.
fn somebody(network: &Network) -> Caller {
    let [_, tls] = network.node_folders();
    let pair = (tls.join("server.crt"), tls.join("server.key"));
    let shows = Some((pair.0.as_path(), pair.1.as_path()));
    Caller::tls(network.operations_address(), &tls.join("ca.crt"), shows)
}

/// Somebody with a certificate that no authority of ours has issued.
fn stranger(network: &Network, folder: &Path) -> Caller {
    let org =
        OrgSpec::new(OrgKind::Orderer, "strangers.example", KeyType::P256).with_node("o9", &["localhost"]);
    let made = crypto::make(folder, &[org], std::time::SystemTime::now()).expect("identities");
    let theirs = made[0].node_tls("o9.strangers.example");
    let [_, ours] = network.node_folders();
    let pair = (theirs.join("server.crt"), theirs.join("server.key"));
    let shows = Some((pair.0.as_path(), pair.1.as_path()));
    Caller::tls(network.operations_address(), &ours.join("ca.crt"), shows)
}

async fn status(caller: &Caller, path: &str) -> u16 {
    caller.get(path).await.expect("an answer").0
}

async fn json(caller: &Caller, path: &str) -> (u16, Value) {
    let (status, body) = caller.get(path).await.expect("an answer");
    (status, serde_json::from_str(&body).expect("JSON"))
}

#[tokio::test]
async fn with_tls_probes_need_no_certificate_and_all_else_does() {
    let network = running("").await;
    let (anybody, somebody) = (anybody(&network), somebody(&network));
    for (path, alone, known) in [
        ("/healthz", 200, 200),
        ("/version", 200, 200),
        ("/readyz", 200, 200),
        ("/readyz?verbose", 401, 200),
        ("/logspec", 401, 200),
        ("/metrics", 401, 404),
        ("/elsewhere", 404, 404),
    ] {
        assert_eq!(status(&anybody, path).await, alone, "{path} by anybody");
        assert_eq!(status(&somebody, path).await, known, "{path} with a certificate");
    }
    let (_, health) = json(&anybody, "/healthz").await;
    assert_eq!(health["status"], "OK");
    let (_, version) = json(&anybody, "/version").await;
    assert_eq!(version["Version"], env!("CARGO_PKG_VERSION"));
    assert!(version["CommitSHA"].is_string(), "{version}");
}

#[tokio::test]
async fn a_certificate_that_nobody_can_verify_is_refused_in_the_handshake() {
    let network = running("").await;
    let folder = tempfile::tempdir().expect("a folder");
    let error = stranger(&network, folder.path()).get("/healthz").await;
    assert!(error.is_err(), "{error:?}");
    assert_eq!(status(&anybody(&network), "/healthz").await, 200);
}

#[tokio::test]
async fn where_a_certificate_is_required_nothing_is_answered_without() {
    let mut network = Network::new(&NetworkSpec::default());
    network
        .node
        .set_variable("ORDERER_OPERATIONS_TLS_CLIENTAUTHREQUIRED", "true");
    network.node.start();
    let error = anybody(&network).get("/healthz").await;
    assert!(error.is_err(), "{error:?}");
    assert_eq!(status(&somebody(&network), "/healthz").await, 200);
    assert_eq!(status(&somebody(&network), "/logspec").await, 200);
}

#[tokio::test]
async fn without_tls_everything_is_open_and_metrics_are_there_for_prometheus_alone() {
    for (provider, expected) in [("disabled", 404), ("prometheus", 200)] {
        let mut network = Network::new(&NetworkSpec::default());
        network
            .node
            .set_variable("ORDERER_OPERATIONS_TLS_ENABLED", "false");
        network.node.set_variable("ORDERER_METRICS_PROVIDER", provider);
        network.node.start();
        let caller = Caller::plain(network.operations_address());
        for path in ["/healthz", "/version", "/readyz", "/readyz?verbose", "/logspec"] {
            assert_eq!(status(&caller, path).await, 200, "{path}");
        }
        assert_eq!(status(&caller, "/metrics").await, expected, "{provider}");
    }
}

#[tokio::test]
async fn a_logging_spec_that_is_put_changes_what_is_logged_at_once() {
    let network = running("").await;
    let caller = somebody(&network);
    let put = async |spec: &str| {
        let body = format!(r#"{{"spec":"{spec}"}}"#);
        caller
            .ask(Method::PUT, "/logspec", body)
            .await
            .expect("an answer")
    };
    let spec = async || caller.get("/logspec").await.expect("an answer").1;
    assert_eq!(spec().await, "{\"spec\":\"info\"}\n");
    assert!(!network.node.log().contains(" DEBU "), "{}", network.node.log());
    assert_eq!(put("debug").await, (204, String::new()));
    assert_eq!(spec().await, "{\"spec\":\"debug\"}\n");
    bystander::orders(&network.connect().await, &network.signer()).await;
    network.node.wait_for(" DEBU ", PATIENCE);
    assert_eq!(put("info:orderer.common.cluster=warn").await.0, 204);
    assert_eq!(spec().await, "{\"spec\":\"orderer.common.cluster=warn:info\"}\n");
    let (status, reason) = put("a=b=c:::").await;
    assert_eq!(
        (status, reason.as_str()),
        (
            400,
            "{\"error\":\"invalid logging specification 'a=b=c:::': bad segment 'a=b=c'\"}\n"
        )
    );
    assert_eq!(put("error").await.0, 204);
    let before = network.node.log().len();
    bystander::orders(&network.connect().await, &network.signer()).await;
    let after = network.node.log();
    assert!(!after[before..].contains(" INFO "), "{}", &after[before..]);
}

#[tokio::test]
async fn the_listener_opens_before_the_channels_do_and_closes_after_them() {
    let mut network = running("").await;
    let log = network.node.log();
    let opened = log.find("Operations are served at https://127.0.0.1:");
    let (opened, channels) = (
        opened.expect("its address"),
        log.find("Registrar initializing").expect("channels"),
    );
    assert!(opened < channels, "{log}");
    let caller = anybody(&network);
    network.node.terminate();
    // Whatever is answered from now on says so; the rest is silence.
    let mut told = Vec::new();
    while let Ok((status, body)) = caller.get("/readyz").await {
        told.push((status, body));
    }
    assert!(network.node.wait_for_end(PATIENCE).success());
    let stopping = told
        .iter()
        .filter(|(status, body)| *status == 503 && body.contains("stopping"));
    let ready = told.iter().filter(|(status, _)| *status == 200);
    assert_eq!(stopping.count() + ready.count(), told.len(), "{told:?}");
}

#[test]
fn without_a_section_it_listens_on_loopback_on_a_port_that_the_log_names() {
    let mut network = Network::new(&NetworkSpec::default());
    let file = network.node.folder().join("orderer.yaml");
    let text = std::fs::read_to_string(&file).expect("settings");
    let (before, _) = text.split_once("Operations:\n").expect("the section");
    std::fs::write(&file, before).expect("written");
    network.node.start();
    let log = network.node.log();
    let (_, rest) = log
        .split_once("Operations are served at http://127.0.0.1:")
        .expect("its address");
    let port: u16 = rest
        .lines()
        .next()
        .expect("a line")
        .trim()
        .parse()
        .expect("a port");
    assert_ne!(port, 0);
    assert!(std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
}

#[test]
fn a_taken_port_ends_the_start_with_1_and_its_name() {
    let mut network = Network::new(&NetworkSpec::default());
    let _taken = TcpListener::bind(("127.0.0.1", network.operations_address().port())).expect("a free port");
    let status = network.node.start_in_vain(PATIENCE);
    assert_eq!(status.code(), Some(1));
    let told = format!("cannot listen on {} (operations): ", network.operations_address());
    assert!(network.node.stderr().contains(&told), "{}", network.node.stderr());
}

#[test]
fn nothing_is_said_of_tls_files_that_a_listener_does_not_have() {
    let mut network = Network::new(&NetworkSpec::default());
    let node = &mut network.node;
    node.set_variable("ORDERER_OPERATIONS_TLS_ENABLED", "false");
    node.start();
    node.reload();
    let last = "TLS files of block requests to other orderers are read again";
    node.wait_for(last, PATIENCE);
    let log = node.log();
    assert!(!log.contains("TLS files of the operations listener"), "{log}");
}

#[test]
fn sighup_reads_its_tls_files_again() {
    let mut network = Network::new(&NetworkSpec::default());
    network.node.start();
    network.node.reload();
    network
        .node
        .wait_for("TLS files of the operations listener are read again", PATIENCE);
}

/// A node with a good channel, and one whose last block was cut off while it was down.
async fn with_a_broken_channel() -> Network {
    let mut network = running("").await;
    Bystander::join(&network).await.orders().await;
    bystander::orders(&network.connect().await, &network.signer()).await;
    network.node.terminate();
    assert!(network.node.wait_for_end(PATIENCE).success());
    let folder = network
        .data_folder()
        .join("chains")
        .join(network.channel().as_str());
    let segment = std::fs::File::options()
        .write(true)
        .open(folder.join("blocks-00000000000000000000.v1"))
        .expect("a segment");
    let len = segment.metadata().expect("a length").len();
    segment.set_len(len - 10).expect("cut");
    network.node.start();
    network
}

#[tokio::test]
async fn a_broken_channel_makes_the_node_not_ready_and_does_not_ask_for_a_restart() {
    let network = with_a_broken_channel().await;
    let caller = somebody(&network);
    assert_eq!(status(&caller, "/healthz").await, 200);
    for (path, expected) in [
        ("/readyz", 503),
        ("/readyz?require=any", 200),
        ("/readyz?channel=bystander", 200),
        ("/readyz?channel=fixture", 503),
        ("/readyz?channel=fixture&channel=bystander", 503),
        ("/readyz?channel=other", 404),
        ("/readyz?chanel=fixture", 400),
    ] {
        assert_eq!(status(&caller, path).await, expected, "{path}");
    }
    let (_, short) = json(&anybody(&network), "/readyz").await;
    assert_eq!(short["status"], "not_ready");
    assert_eq!(short["reasons"][0]["code"], "quarantined");
    assert!(!short.to_string().contains("fixture"), "{short}");
    let (_, verbose) = json(&caller, "/readyz?verbose").await;
    let channels = verbose["channels"].as_array().expect("channels");
    let fixture = channels
        .iter()
        .find(|channel| channel["name"] == "fixture")
        .expect("it");
    assert_eq!(fixture["ready"], false);
    assert_eq!(fixture["reasons"][0]["code"], "quarantined");
    assert!(verbose["disks"][0]["free_bytes"].as_u64().is_some(), "{verbose}");
    assert!(
        verbose["certificates"][0]["days_left"].as_i64().is_some(),
        "{verbose}"
    );
}

fn ordain(connection: &Path, arguments: &[&str]) -> Output {
    Command::new(binaries::ordain())
        .args(arguments)
        .arg("-c")
        .arg(connection)
        .output()
        .expect("ordain runs")
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[tokio::test]
async fn status_shows_a_broken_channel_and_ends_with_3() {
    let network = with_a_broken_channel().await;
    let output = ordain(&network.connection_file(), &["status"]);
    let shown = stdout(&output);
    assert_eq!(output.status.code(), Some(3), "{shown}");
    let address = network.address().to_string();
    assert!(
        shown.contains(&format!("not ready fixture at {address}: ")),
        "{shown}"
    );
    assert!(shown.contains("(quarantined)"), "{shown}");
    assert!(shown.contains("bystander"), "{shown}");
    assert!(shown.ends_with("not all ready: 0 of 1 node ready\n"), "{shown}");
    assert!(!shown.contains('\x1b'), "{shown}");
}

/// Runs `ordain status` until it ends with `code` and prints `text`.
fn status_until(connection: &Path, code: i32, text: &str) -> String {
    let began = Instant::now();
    loop {
        let output = ordain(connection, &["status"]);
        let shown = stdout(&output);
        if output.status.code() == Some(code) && shown.contains(text) {
            return shown;
        }
        assert!(
            began.elapsed() < PATIENCE,
            "no {text:?} with {code}: {:?}\n{shown}{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        std::thread::sleep(POLL_INTERVAL);
    }
}

fn connection_of_all(cluster: &Cluster) -> PathBuf {
    cluster.connection_file_of("all", &cluster.all())
}

#[tokio::test(flavor = "multi_thread")]
async fn status_shows_a_cluster_well_then_without_a_node_then_without_a_quorum() {
    let mut cluster = Cluster::start(&ClusterSpec::of(3)).await;
    let connection = connection_of_all(&cluster);
    let well = status_until(&connection, 0, "3 of 3\n");
    assert!(well.ends_with("all well: 3 of 3 nodes ready\n"), "{well}");
    assert_eq!(well.matches("this one").count(), 1, "{well}");
    let leader = cluster.leader().await;
    let others: Vec<usize> = cluster.all().into_iter().filter(|node| *node != leader).collect();
    let address = |cluster: &Cluster, node: usize| cluster.members[node].place().client.to_string();
    cluster.members[others[0]].node.kill();
    let gone = address(&cluster, others[0]);
    let shown = status_until(&connection, 1, "(member_missing)");
    assert!(
        shown.contains(&format!("unreachable {gone}: no answer from ")),
        "{shown}"
    );
    assert!(
        shown.contains("0 more may fail before the channel stops"),
        "{shown}"
    );
    assert!(shown.contains("not all reachable: 2 of 3 nodes ready"), "{shown}");
    cluster.members[others[1]].node.kill();
    let shown = status_until(
        &connection,
        1,
        "1 of 3 consenters answer, 2 are needed (no_quorum)",
    );
    let place = format!("not ready fixture at {}: ", address(&cluster, leader));
    assert!(shown.contains(&place), "{shown}");
    let left = cluster.connection_file(leader);
    let output = ordain(&left, &["status", "--json"]);
    assert_eq!(output.status.code(), Some(3));
    let status: Value = serde_json::from_str(&stdout(&output)).expect("JSON");
    assert_eq!(status["verdict"], "not_ready");
    assert_eq!(
        status["nodes"][0]["channels"][0]["reasons"][0]["code"],
        "no_quorum"
    );
    assert!(cluster.members[leader].node.log().contains(READY));
}
