//! `ordain doctor` and `orderer doctor` over real nodes: what they find where something is wrong, and what they say to do.

use std::process::{Command, Output};
use std::time::{Duration, Instant};

use client::participation::BlockChoice;
use tests::fixture::binaries;
use tests::fixture::cluster::{Cluster, ClusterSpec};

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);
const POLL_INTERVAL: Duration = Duration::from_millis(50);

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn ordain_doctor(cluster: &Cluster) -> Output {
    let connection = cluster.connection_file_of("all", &cluster.all());
    Command::new(binaries::ordain())
        .args(["doctor", "-c"])
        .arg(connection)
        .output()
        .expect("ordain runs")
}

/// Runs it until it ends with `code`, as nodes need a moment to find each other.
fn until(code: i32, run: impl Fn() -> Output) -> String {
    let began = Instant::now();
    loop {
        let output = run();
        if output.status.code() == Some(code) {
            return stdout(&output);
        }
        assert!(
            began.elapsed() < PATIENCE,
            "not {code}: {:?}\n{}{}",
            output.status,
            stdout(&output),
            String::from_utf8_lossy(&output.stderr)
        );
        std::thread::sleep(POLL_INTERVAL);
    }
}

fn address(cluster: &Cluster, node: usize) -> String {
    cluster.members[node].place().cluster.to_string()
}

/// The text of the finding at `place`, with what to do.
fn finding(shown: &str, place: &str) -> String {
    let from = shown
        .find(place)
        .unwrap_or_else(|| panic!("nothing about {place:?} in\n{shown}"));
    let rest = &shown[from..];
    let next = rest.find("\n   next: ").map(|at| at + 1);
    let end = next.map_or(rest.len(), |at| {
        rest[at..].find('\n').map_or(rest.len(), |end| at + end)
    });
    rest[..end].to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_is_well_is_told_to_be_and_its_consenters_were_dialled() {
    let cluster = Cluster::start(&ClusterSpec::of(3)).await;
    let shown = until(0, || ordain_doctor(&cluster));
    assert!(
        shown.contains("3 of 3 consenters can be reached with the right certificate, 2 are needed"),
        "{shown}"
    );
    assert!(shown.contains("ok       clocks: within "), "{shown}");
    assert!(shown.ends_with("\nnothing wrong was found\n"), "{shown}");
    assert!(!shown.contains('\x1b'), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_node_is_found_with_what_that_means_for_the_quorum() {
    let mut cluster = Cluster::start(&ClusterSpec::of(3)).await;
    cluster.members[1].node.kill();
    let shown = until(3, || ordain_doctor(&cluster));
    let gone = address(&cluster, 1);
    let consenter = finding(
        &shown,
        &format!("consenter {gone} of fixture: cannot be reached from here: "),
    );
    assert!(
        consenter.contains("next: is the orderer running there"),
        "{consenter}"
    );
    let node = finding(&shown, &format!("PROBLEM  node {gone}: "));
    assert!(node.contains("orderer doctor, run there"), "{node}");
    let quorum = finding(&shown, "channel fixture: 2 of 3 consenters can be reached");
    assert!(
        quorum.contains("next: one more that fails stops the channel"),
        "{quorum}"
    );
}

/// A cluster of three whose last node runs with a TLS pair that no config knows.
async fn with_another_pair() -> Cluster {
    let mut cluster = Cluster::start(&ClusterSpec::of(3)).await;
    let node = &mut cluster.members[2].node;
    node.terminate();
    assert!(node.wait_for_end(PATIENCE).success());
    let other = cluster.second_tls_files(2);
    cluster.members[2].install(&other);
    cluster.members[2].node.start();
    cluster
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_with_another_tls_pair_than_the_config_has_is_found_with_both_certificates() {
    let cluster = with_another_pair().await;
    let shown = until(3, || ordain_doctor(&cluster));
    let place = format!(
        "PROBLEM  consenter {} of fixture: it shows another key than the config has for it",
        address(&cluster, 2)
    );
    let wrong = finding(&shown, &place);
    for part in [
        "         shown:     ",
        "CN=o3second.orderers.example, serial ",
        "         in config: ",
        "CN=o3.orderers.example, serial ",
        "ordain config rotate-consenter-cert",
    ] {
        assert!(wrong.contains(part), "{part} in\n{wrong}");
    }
}

#[tokio::test]
async fn a_channel_in_quarantine_is_found_with_its_reason_and_the_way_back() {
    let mut cluster = Cluster::start(&ClusterSpec::of(1)).await;
    let node = &mut cluster.members[0].node;
    node.terminate();
    assert!(node.wait_for_end(PATIENCE).success());
    let folder = cluster.members[0].data_folder().join("chains/fixture");
    let file = folder.join("blocks-00000000000000000000.v1");
    let segment = std::fs::File::options()
        .write(true)
        .open(file)
        .expect("a segment");
    let len = segment.metadata().expect("a length").len();
    segment.set_len(len - 10).expect("cut");
    cluster.members[0].node.start();
    let shown = until(3, || ordain_doctor(&cluster));
    let broken = finding(
        &shown,
        &format!("PROBLEM  channel fixture at {}: ", address(&cluster, 0)),
    );
    assert!(broken.contains("next: the other channels go on"), "{broken}");
    assert!(broken.contains("ordain channel join"), "{broken}");
}

/// `orderer doctor` as a node's user runs it.
fn orderer_doctor(cluster: &Cluster, node: usize, more: &[&str]) -> Output {
    Command::new(binaries::orderer())
        .arg("doctor")
        .args(more)
        .env("FABRIC_CFG_PATH", cluster.members[node].folder())
        .output()
        .expect("orderer runs")
}

#[tokio::test(flavor = "multi_thread")]
async fn beside_a_running_node_the_doctor_finds_its_place_and_its_fellows() {
    let cluster = Cluster::start(&ClusterSpec::of(3)).await;
    let shown = until(0, || orderer_doctor(&cluster, 0, &[]));
    for part in [
        format!(
            "this node in fixture: it is the consenter {}, with the certificates that the config has",
            address(&cluster, 0)
        ),
        "3 of 3 consenters can be reached with the right certificate, 2 are needed".to_owned(),
        format!(
            "general listener {}: process {} (orderer) listens there",
            address(&cluster, 0),
            cluster.members[0].node.id()
        ),
        "\nnothing wrong was found\n".to_owned(),
    ] {
        assert!(shown.contains(&part), "{part} in\n{shown}");
    }
}

/// As with the MSP id of another organisation in `orderer.yaml`: the node would run, and its blocks be refused.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_whose_blocks_nobody_would_take_is_told_so() {
    let cluster = Cluster::start(&ClusterSpec::of(1)).await;
    let doctor = || {
        let mut command = Command::new(binaries::orderer());
        command
            .arg("doctor")
            .env("FABRIC_CFG_PATH", cluster.members[0].folder());
        command.env("ORDERER_GENERAL_LOCALMSPID", "OtherMSP");
        command.output().expect("orderer runs")
    };
    let shown = until(2, doctor);
    let wrong = finding(
        &shown,
        "PROBLEM  this node in fixture: nobody will take the blocks that it signs, as ",
    );
    assert!(
        wrong.contains(" of OtherMSP: policy /Channel/Orderer/BlockValidation"),
        "{wrong}"
    );
    assert!(
        wrong.contains("next: set General.LocalMSPID and LocalMSPDir"),
        "{wrong}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn beside_a_node_with_another_tls_pair_the_doctor_shows_both_certificates() {
    let cluster = with_another_pair().await;
    let file = cluster.folder().join("config.block");
    let block = cluster
        .admin(0)
        .block(cluster.channel(), BlockChoice::Config)
        .await;
    std::fs::write(&file, block.expect("the config block").bytes()).expect("written");
    let file = file.display().to_string();
    let shown = until(2, || orderer_doctor(&cluster, 2, &["--block", &file]));
    let wrong = finding(
        &shown,
        "PROBLEM  this node in fixture: the config has another key for ",
    );
    for part in [
        "CN=o3second.orderers.example",
        "CN=o3.orderers.example",
        "next: give the node its old certificate and key back",
    ] {
        assert!(wrong.contains(part), "{part} in\n{wrong}");
    }
}

#[tokio::test]
async fn a_node_that_cannot_start_is_told_why_and_what_to_do() {
    let mut cluster = Cluster::start(&ClusterSpec::of(1)).await;
    let node = &mut cluster.members[0].node;
    node.terminate();
    assert!(node.wait_for_end(PATIENCE).success());
    // The certificate of one pair with the key of another.
    let (own, other) = (cluster.members[0].tls_files(), cluster.second_tls_files(0));
    std::fs::copy(&other.key, &own.key).expect("another key");
    let admin = cluster.members[0].place().admin.clone();
    let taken = std::net::TcpListener::bind((admin.host(), admin.port())).expect("a free port");
    let output = orderer_doctor(&cluster, 0, &[]);
    let shown = stdout(&output);
    assert_eq!(output.status.code(), Some(2), "{shown}");
    let pair = finding(
        &shown,
        "PROBLEM  settings: TLS of the general listener: certificate ",
    );
    assert!(
        pair.contains("next: put certificate and key of one pair there"),
        "{pair}"
    );
    let port = finding(&shown, &format!("PROBLEM  admin listener {admin}: process "));
    assert!(
        port.contains(&format!("process {} ", std::process::id())) && port.contains("no orderer"),
        "{port}"
    );
    drop(taken);
    let output = orderer_doctor(&cluster, 0, &["--json"]);
    assert_eq!(output.status.code(), Some(2));
    let found: serde_json::Value = serde_json::from_str(&stdout(&output)).expect("JSON");
    let problems = found["findings"].as_array().expect("findings").iter();
    let problems = problems.filter(|finding| finding["severity"] == "problem");
    assert!(
        problems.clone().count() >= 1 && problems.clone().all(|found| found["next"].is_string()),
        "{found}"
    );
}
