//! A disk that is really full: the node's data lies on a small file system of its own, made in a mount namespace.
//!
//! Needs root, so it is a target with `test = false`, named in `.ci/run`. The test runs itself again within
//! `unshare --mount`; nothing of its mounts is seen outside or left behind.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use client::broadcast::{Acknowledge, BroadcastError, BroadcastOptions, submit_all};
use protos::wire::common::Status;
use tests::fixture::bystander::{Bystander, entries, orders};
use tests::fixture::clients::until;
use tests::fixture::cluster::check::oracle;
use tests::fixture::cluster::load::{Load, LoadSpec};
use tests::fixture::cluster::member::Member;
use tests::fixture::cluster::{Cluster, ClusterSpec};
use tests::fixture::network::{Network, NetworkSpec};
use tests::oracle::Oracle;

/// Set in the inner run.
const INSIDE: &str = "ORDAIN_FULL_DISK_INSIDE";
const PAUSED: &str = "intake pauses until there is room: disk full while writing";
const PATIENCE: Duration = Duration::from_secs(60);
/// Acknowledgements that show that ordering goes on.
const GOES_ON: usize = 100;

#[test]
fn a_full_disk_pauses_intake_which_resumes_by_itself_when_there_is_room() {
    within_a_namespace(
        "a_full_disk_pauses_intake_which_resumes_by_itself_when_there_is_room",
        fill_and_free,
    );
}

#[test]
fn intake_stops_before_the_disk_is_full_and_goes_on_only_with_room_to_spare() {
    within_a_namespace(
        "intake_stops_before_the_disk_is_full_and_goes_on_only_with_room_to_spare",
        run_low_and_free,
    );
}

#[test]
fn a_leader_whose_disk_gets_full_is_replaced_and_takes_part_again_when_there_is_room() {
    within_a_namespace(
        "a_leader_whose_disk_gets_full_is_replaced_and_takes_part_again_when_there_is_room",
        run_low_among_three,
    );
}

#[test]
fn a_leader_whose_disks_are_full_all_at_once_holds_up_nobody() {
    within_a_namespace(
        "a_leader_whose_disks_are_full_all_at_once_holds_up_nobody",
        fill_one_of_three,
    );
}

/// Runs `inner` in a mount namespace, where `test` runs itself again.
fn within_a_namespace<F: Future<Output = ()>>(test: &str, inner: impl FnOnce() -> F) {
    if std::env::var_os(INSIDE).is_some() {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        return runtime.block_on(inner());
    }
    assert!(
        rustix::process::geteuid().is_root(),
        "this suite mounts a file system and needs root; run it as root: cargo test --release -p tests --test full_disk"
    );
    let status = Command::new("unshare")
        .args(["--mount", "--propagation", "private", "--"])
        .arg(std::env::current_exe().expect("this program has a path"))
        .args(["--exact", test, "--nocapture"])
        .env(INSIDE, "1")
        .status();
    assert!(
        status.expect("unshare runs").success(),
        "the test within the namespace failed"
    );
}

fn mount_small(folder: &Path, size: &str) {
    fs::create_dir_all(folder).expect("a folder");
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
        .arg(folder)
        .status();
    assert!(
        mounted.expect("mount runs").success(),
        "cannot mount a tmpfs; is this a container without the right?"
    );
}

/// Takes `bytes` of the room.
fn take(file: &Path, bytes: usize) {
    fs::write(file, vec![0; bytes]).expect("written");
}

const MB: usize = 1 << 20;

/// Stops below 20 MB, goes on at 30 MB.
async fn run_low_and_free() {
    let mut network = Network::new(&NetworkSpec {
        variables: &[
            ("ORDERER_GENERAL_DISKGUARD_MINFREE", "20 MB"),
            ("ORDERER_GENERAL_DISKGUARD_INTERVAL", "20ms"),
        ],
        ..NetworkSpec::default()
    });
    mount_small(&network.data_folder(), "64m");
    let fillers = [0, 1].map(|number| network.data_folder().join(format!("filler{number}")));
    network.node.start();
    network.join().await;
    orders(&network.connect().await, &network.signer()).await;
    let before = entries(&network.connect().await, &network.signer()).await;

    let free = orderer::disk_guard::free_bytes(&network.data_folder()).expect("the file system answers");
    let free = usize::try_from(free).expect("64 MB at most");
    // 25 MB are left then: less than what lets intake go on, and more than what stops it.
    take(&fillers[0], free - 25 * MB);
    orders(&network.connect().await, &network.signer()).await;
    take(&fillers[1], 10 * MB);
    network.node.wait_for("intake stops: ", PATIENCE);
    assert_refused_for_room(&network).await;
    let now = entries(&network.connect().await, &network.signer()).await;
    assert!(now.is_superset(&before), "blocks are read all the same");

    fs::remove_file(&fillers[1]).expect("removed");
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_refused_for_room(&network).await;
    fs::remove_file(&fillers[0]).expect("removed");
    network.node.wait_for("intake goes on: there is room", PATIENCE);
    orders(&network.connect().await, &network.signer()).await;
    assert!(!network.node.stderr().contains(PAUSED), "no write ever failed");
}

async fn assert_refused_for_room(network: &Network) {
    let envelope = network.signer().transaction(Bytes::from_static(b"no room")).bytes;
    let options = BroadcastOptions::default();
    match submit_all(&network.connect().await, options, [envelope]).await {
        Err(BroadcastError::Refused {
            index: 0,
            status,
            info,
        }) => {
            assert_eq!(Status::try_from(status), Ok(Status::ServiceUnavailable));
            assert_says_no_room(&info);
        }
        other => panic!("not refused: {other:?}"),
    }
}

fn assert_says_no_room(info: &str) {
    assert!(
        info.starts_with("intake is paused: ") && info.contains("less than General.DiskGuard.MinFree, 20 MB"),
        "{info}"
    );
}

/// Three members, each with small disks for its blocks and its log, which stop below 20 MB.
async fn three_on_small_disks() -> Cluster {
    let mut spec = ClusterSpec::of(3);
    spec.variables = [("MINFREE", "20 MB"), ("INTERVAL", "20ms")]
        .map(|(key, value)| (format!("ORDERER_GENERAL_DISKGUARD_{key}"), value.to_owned()))
        .into();
    let mut cluster = Cluster::new(&spec);
    for member in &cluster.members {
        for folder in [member.data_folder(), member.wal_folder()] {
            mount_small(&folder, "64m");
        }
    }
    let all = cluster.all();
    cluster.launch(&all);
    cluster.join(&all).await;
    cluster
}

/// They order, and clients send through all three all the time.
async fn three_under_load() -> (Cluster, Arc<Oracle>, Load) {
    let cluster = three_on_small_disks().await;
    let oracle = oracle();
    let load = Load::start(&cluster, &cluster.all(), &oracle, LoadSpec::default());
    load.goes_on(GOES_ON).await;
    (cluster, oracle, load)
}

/// All take part again, have one chain, and it is the one that clients were told of.
async fn all_agree(cluster: &Cluster, oracle: &Oracle, load: Load) {
    let all = cluster.all();
    load.goes_on(GOES_ON).await;
    load.stop().await;
    cluster.orders(&all, oracle).await;
    cluster.agree(&all, oracle).await;
    cluster.assert_no_panic();
}

/// The one that is full writes what the others order.
async fn run_low_among_three() {
    let (cluster, oracle, load) = three_under_load().await;
    let full = cluster.leader().await;
    let others = [(full + 1) % 3, (full + 2) % 3];
    let folder = cluster.members[full].data_folder();
    let filler = folder.join("filler");
    let free = orderer::disk_guard::free_bytes(&folder).expect("the file system answers");
    take(&filler, usize::try_from(free).expect("64 MB at most") - 15 * MB);
    cluster.members[full].node.wait_for("intake stops: ", PATIENCE);
    cluster.leader_other_than(full).await;
    let envelope = cluster.signer().transaction(Bytes::from_static(b"no room")).bytes;
    oracle.sent(&envelope);
    let refused = cluster.submit(full, envelope.clone()).await;
    let info = refused.expect_err("there is no room").unavailable();
    assert_says_no_room(&info);
    oracle.refused(&envelope, &info);
    load.goes_on(GOES_ON).await;
    cluster.orders(&others, &oracle).await;
    let height = cluster.info(others[0]).await.expect("an answer").height;
    cluster.until_height(full, height).await;

    fs::remove_file(&filler).expect("removed");
    cluster.members[full]
        .node
        .wait_for("intake goes on: there is room", PATIENCE);
    all_agree(&cluster, &oracle, load).await;
    let is_paused = |member: &Member| member.node.stderr().contains(PAUSED);
    assert!(!cluster.members.iter().any(is_paused), "no write ever failed");
}

/// There is no room for a single block or entry of the log: the others need neither.
async fn fill_one_of_three() {
    let (cluster, oracle, load) = three_under_load().await;
    let full = cluster.leader().await;
    let others = [(full + 1) % 3, (full + 2) % 3];
    let member = &cluster.members[full];
    let fillers = [member.data_folder(), member.wal_folder()].map(|folder| folder.join("filler"));
    fillers.iter().for_each(|filler| fill(filler));
    cluster.leader_other_than(full).await;
    load.goes_on(GOES_ON).await;
    cluster.orders(&others, &oracle).await;
    for filler in &fillers {
        fs::remove_file(filler).expect("removed");
    }
    all_agree(&cluster, &oracle, load).await;
}

/// Takes all room there is; gives it back when the file is removed.
fn fill(file: &Path) {
    let mut out = File::create(file).expect("a file");
    let block = vec![0; 4096];
    while out.write_all(&block).is_ok() {}
}

async fn fill_and_free() {
    // Without the guard, which would stop intake before.
    let mut network = Network::new(&NetworkSpec {
        variables: &[("ORDERER_GENERAL_DISKGUARD_MINFREE", "0")],
        ..NetworkSpec::default()
    });
    mount_small(&network.data_folder(), "16m");
    let filler = network.data_folder().join("filler");
    network.node.start();
    network.join().await;
    let bystander = Bystander::join(&network).await;
    bystander.orders().await;
    orders(&network.connect().await, &network.signer()).await;
    let before = entries(&network.connect().await, &network.signer()).await;

    fill(&filler);
    assert_paused(&network).await;
    // Reading goes on, and so does the REST interface.
    assert_eq!(entries(&network.connect().await, &network.signer()).await, before);
    let info = network
        .admin()
        .info(network.channel())
        .await
        .expect("the channel is listed");
    assert_eq!(info.status, "active");

    fs::remove_file(&filler).expect("removed");
    bystander.orders().await;
    orders(&network.connect().await, &network.signer()).await;

    survive_a_kill(&mut network, &filler).await;
}

/// What is sent while the disk is full is told so, once a first one has found out.
async fn assert_paused(network: &Network) {
    let signer = network.signer();
    let text = "intake is paused: the disk of this node is full";
    let options = BroadcastOptions {
        acknowledge: Some(Acknowledge::Accepted),
        ..BroadcastOptions::default()
    };
    // Larger than what may be left of the last page.
    let envelope = || signer.transaction(Bytes::from(vec![0; 20_000])).bytes;
    let told = || network.node.stderr().matches(PAUSED).count();
    let before = told();
    let first = submit_all(&network.connect().await, options, [envelope()]).await;
    assert_eq!(first.expect("nobody knows yet that the disk is full"), 1);
    until("the writer finds the disk full", PATIENCE, || told() > before).await;
    match submit_all(&network.connect().await, options, [envelope()]).await {
        Err(BroadcastError::Refused {
            index: 0,
            status,
            info,
        }) => {
            assert_eq!(
                (Status::try_from(status), &info[..]),
                (Ok(Status::ServiceUnavailable), text)
            );
        }
        other => panic!("not refused: {other:?}"),
    }
}

/// Killed while its disk is full, and started on it: what was there is read, and ordering goes on with the first room.
async fn survive_a_kill(network: &mut Network, filler: &Path) {
    let before = entries(&network.connect().await, &network.signer()).await;
    fill(filler);
    assert_paused(network).await;
    network.node.kill();
    network.node.start();
    assert_eq!(entries(&network.connect().await, &network.signer()).await, before);
    fs::remove_file(filler).expect("removed");
    orders(&network.connect().await, &network.signer()).await;
    Bystander::of(network).orders().await;
}
