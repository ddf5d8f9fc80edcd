//! `orderer ledger` and `ordain backup` as processes, beside nodes that run, are killed, and move.
//!
//! What they find in damaged folders is tested in `orderer/src/ledger_tools/tests.rs`; the pages `docs/operating/backup.md`
//! and `recover.md` are run by the test `ledger_pages`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use bytes::Bytes;
use client::broadcast::{Acknowledge, BroadcastOptions, submit_all};
use client::genesis::BatchSpec;
use consensus::raft::ledger_only::GAP;
use consensus::raft::read_block_metadata;
use serde_json::Value;
use tests::fixture::binaries;
use tests::fixture::cluster::check::oracle;
use tests::fixture::cluster::{Cluster, ClusterSpec};
use tests::fixture::network::{Network, NetworkSpec};
use tests::fixture::process::Node;

const CHANNEL: &str = "fixture";
const PATIENCE: Duration = Duration::from_mins(1);
/// Kills of an import, spread over the time that one takes.
const KILLS: u32 = 12;

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Runtime::new().expect("a runtime")
}

/// Runs `orderer ledger` with the settings in `folder`.
fn ledger(folder: &Path, arguments: &[&str]) -> Output {
    ledger_command(folder, arguments).output().expect("orderer runs")
}

fn ledger_command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(binaries::orderer());
    command
        .arg("ledger")
        .args(arguments)
        .env("FABRIC_CFG_PATH", folder);
    command
}

fn text(output: &Output) -> String {
    let both = [&output.stdout[..], &output.stderr].concat();
    String::from_utf8_lossy(&both).into_owned()
}

/// What a command printed that ended with this code.
fn ended(output: &Output, code: i32) -> String {
    assert_eq!(output.status.code(), Some(code), "{}", text(output));
    text(output)
}

fn report(output: &Output, code: i32) -> Value {
    ended(output, code);
    serde_json::from_slice(&output.stdout).expect("one JSON object")
}

/// Has envelopes of these sizes ordered, each acknowledged as committed.
async fn order(network: &Network, sizes: &[usize]) {
    let options = BroadcastOptions {
        acknowledge: Some(Acknowledge::Committed),
        ..BroadcastOptions::default()
    };
    let signer = network.signer();
    let envelopes = sizes
        .iter()
        .map(|size| signer.transaction(Bytes::from(vec![0x5a; *size])).bytes);
    let envelopes: Vec<_> = envelopes.collect();
    submit_all(&network.connect().await, options, envelopes)
        .await
        .expect("acknowledged");
}

async fn height(network: &Network) -> u64 {
    network
        .admin()
        .info(network.channel())
        .await
        .expect("the channel")
        .height
}

fn stop(network: &mut Network) {
    end(&mut network.node);
}

fn started(spec: &NetworkSpec, sizes: &[usize]) -> Network {
    let mut network = Network::new(spec);
    network.node.start();
    runtime().block_on(async {
        network.join().await;
        order(&network, sizes).await;
    });
    network
}

/// Ends a node by SIGTERM.
fn end(node: &mut Node) {
    node.terminate();
    assert!(node.wait_for_end(PATIENCE).success());
}

fn path(path: &Path) -> &str {
    path.to_str().expect("a path of UTF-8")
}

/// Everything in a folder: paths and contents.
fn picture(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let (mut files, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                files.push((path.clone(), Vec::new()));
                folders.push(path);
            } else {
                files.push((path.clone(), fs::read(path).expect("a file")));
            }
        }
    }
    files.sort();
    files
}

#[test]
fn a_running_nodes_folder_is_checked_and_copied_beside_it() {
    let mut network = started(&NetworkSpec::default(), &[1000; 25]);
    let folder = network.node.folder().to_owned();
    let checked = report(&ledger(&folder, &["verify", "--json"]), 0);
    assert_eq!(
        (&checked["in_use"], &checked["sound"]),
        (&Value::Bool(true), &Value::Bool(true))
    );
    let seen = checked["channels"][0]["height"].as_u64().expect("a number");
    assert!(seen > 0);
    let said = ended(&ledger(&folder, &["verify"]), 0);
    assert!(
        said.contains("a node runs on") && said.contains("everything is sound"),
        "{said}"
    );
    let copy = folder.join("copy");
    ended(&ledger(&folder, &["export", CHANNEL, "-o", path(&copy)]), 0);
    let said = ended(&ledger(&folder, &["import", path(&copy)]), 1);
    assert!(
        said.contains("in use") && said.contains("stop the node"),
        "{said}"
    );
    runtime().block_on(order(&network, &[10]));
    stop(&mut network);
    let checked = report(&ledger(&folder, &["verify", CHANNEL, "--json"]), 0);
    assert_eq!(checked["in_use"], Value::Bool(false));
    assert!(checked["channels"][0]["height"].as_u64() > Some(seen));
}

#[test]
fn a_node_does_not_start_while_its_folder_is_checked_and_a_lock_is_told() {
    let mut network = started(&NetworkSpec::default(), &[10]);
    stop(&mut network);
    let lock = fs::File::open(network.data_folder().join("ordain.lock")).expect("the lock");
    lock.lock_shared().expect("locked");
    let mut twin = network.twin();
    assert_eq!(twin.start_in_vain(PATIENCE).code(), Some(2));
    assert!(twin.stderr().contains("in use by another process"));
}

#[test]
fn a_channel_goes_to_another_folder_by_export_and_import_and_its_node_goes_on() {
    let mut network = started(&NetworkSpec::default(), &[1000; 25]);
    let folder = network.node.folder().to_owned();
    stop(&mut network);
    let exported = Command::new("sh")
        .arg("-c")
        .arg(format!(
            "'{0}' ledger export {CHANNEL} -o - | cat > copy && '{0}' ledger export {CHANNEL} --from 1 --to 2 -o part --json",
            binaries::orderer().display()
        ))
        .env("FABRIC_CFG_PATH", &folder)
        .current_dir(&folder)
        .output()
        .expect("a shell");
    let part = report(&exported, 0);
    assert_eq!(
        (&part["first"], &part["last"], &part["blocks"]),
        (&1.into(), &2.into(), &2.into())
    );
    fs::rename(network.data_folder(), folder.join("before")).expect("moved");
    fs::write(folder.join("genesis"), protos_bytes(&network)).expect("a file");
    let genesis = folder.join("genesis");
    let said = ended(&ledger(&folder, &["import", path(&folder.join("part"))]), 1);
    assert!(said.contains("block 0"), "{said}");
    let imported = report(
        &ledger(
            &folder,
            &[
                "import",
                path(&folder.join("copy")),
                "--genesis",
                path(&genesis),
                "--json",
            ],
        ),
        0,
    );
    ended(&ledger(&folder, &["verify"]), 0);
    network.node.start();
    runtime().block_on(async {
        assert_eq!(Some(height(&network).await), imported["height"].as_u64());
        order(&network, &[10]).await;
    });
}

/// The genesis block as a file.
fn protos_bytes(network: &Network) -> Vec<u8> {
    use prost::Message as _;
    network.genesis().encode_to_vec()
}

#[test]
fn a_copy_of_another_network_is_refused_by_the_genesis_block() {
    let mut network = started(&NetworkSpec::default(), &[10]);
    let folder = network.node.folder().to_owned();
    let copy = folder.join("copy");
    stop(&mut network);
    ended(&ledger(&folder, &["export", CHANNEL, "-o", path(&copy)]), 0);
    let other = Network::new(&NetworkSpec::default());
    let other = other.node.folder().join("genesis");
    fs::write(&other, protos_bytes(&Network::new(&NetworkSpec::default()))).expect("a file");
    let target = folder.join("target");
    let arguments = [
        "import",
        path(&copy),
        "--genesis",
        path(&other),
        "--location",
        path(&target),
    ];
    let said = ended(&ledger(&folder, &arguments), 2);
    assert!(said.contains("not the one of --genesis"), "{said}");
    assert_eq!(fs::read_dir(target.join("chains")).expect("a folder").count(), 0);
}

#[test]
fn large_blocks_are_copied_and_an_import_killed_at_any_moment_leaves_all_or_nothing() {
    let spec = NetworkSpec {
        batch: BatchSpec {
            absolute_max_bytes: 40 << 20,
            preferred_max_bytes: 2 << 20,
            ..NetworkSpec::default().batch
        },
        ..NetworkSpec::default()
    };
    let mut sizes = vec![300_000; 40];
    sizes.push(12 << 20);
    let mut network = started(&spec, &sizes);
    let folder = network.node.folder().to_owned();
    stop(&mut network);
    let copy = folder.join("copy");
    let exported = report(
        &ledger(&folder, &["export", CHANNEL, "-o", path(&copy), "--json"]),
        0,
    );
    let import =
        |target: &Path| ledger_command(&folder, &["import", path(&copy), "--location", path(target)]);
    let began = Instant::now();
    ended(&import(&folder.join("whole")).output().expect("orderer runs"), 0);
    let took = began.elapsed();
    let (mut whole, mut nothing) = (0, 0);
    for kill in 0..KILLS {
        let target = folder.join(format!("target-{kill}"));
        let mut child = import(&target).spawn().expect("orderer runs");
        std::thread::sleep(took * kill / (KILLS - 2));
        let _ = child.kill(); // it may have ended
        child.wait().expect("it ends");
        if target.join("chains").join(CHANNEL).exists() {
            whole += 1;
        } else {
            nothing += 1;
            ended(&import(&target).output().expect("orderer runs"), 0);
        }
        let checked = report(
            &ledger(&folder, &["verify", "--location", path(&target), "--json"]),
            0,
        );
        let (height, problems) = (&checked["channels"][0]["height"], &checked["problems"]);
        assert!(
            *height == exported["blocks"] && problems.as_array().is_some_and(Vec::is_empty),
            "{checked}"
        );
        fs::remove_dir_all(target).expect("removed");
    }
    println!("{whole} imports were whole, of {nothing} nothing was there");
    assert!(nothing > 0);
}

#[test]
fn a_backup_of_a_running_node_is_verified_goes_on_where_it_ended_and_can_be_imported() {
    let network = started(&NetworkSpec::default(), &[1000; 25]);
    let folder = network.node.folder().to_owned();
    let connection = network.connection_file();
    let copy = folder.join("copy.blocks");
    let backup = || {
        Command::new(binaries::ordain())
            .args(["backup", "--json", "-c", path(&connection), "-o", path(&copy)])
            .output()
            .expect("ordain runs")
    };
    let first = report(&backup(), 0);
    assert_eq!(first["added"], first["height"]);
    runtime().block_on(order(&network, &[1000; 25]));
    let second = report(&backup(), 0);
    let height = runtime().block_on(height(&network));
    assert_eq!(second["height"].as_u64(), Some(height));
    assert!(second["added"].as_u64() < second["height"].as_u64() && second["added"].as_u64() > Some(0));
    assert_eq!(report(&backup(), 0)["added"], 0);
    // As an interrupted run leaves it.
    let whole = fs::read(&copy).expect("the copy");
    fs::write(&copy, &whole[..whole.len() - 100]).expect("cut");
    let again = backup();
    assert_eq!(report(&again, 0)["added"], 1);
    assert!(text(&again).contains("cut off"), "{}", text(&again));
    assert_eq!(fs::read(&copy).expect("the copy"), whole);
    let target = folder.join("target");
    ended(
        &ledger(&folder, &["import", path(&copy), "--location", path(&target)]),
        0,
    );
    let checked = report(
        &ledger(&folder, &["verify", "--location", path(&target), "--json"]),
        0,
    );
    assert_eq!(checked["channels"][0]["height"].as_u64(), Some(height));
    // Another channel's copy is never gone on with.
    let other = started(&NetworkSpec::default(), &[10; 25]);
    let refused = Command::new(binaries::ordain())
        .args(["backup", "-c", path(&other.connection_file()), "-o", path(&copy)])
        .output()
        .expect("ordain runs");
    assert_eq!(refused.status.code(), Some(1), "{}", text(&refused));
    assert_eq!(fs::read(&copy).expect("the copy"), whole);
}

#[test]
fn folders_of_a_reference_orderer_are_refused_by_name_and_nothing_in_them_changes() {
    let mut network = Network::new(&NetworkSpec::default());
    let data = network.data_folder();
    let log = data.join("etcdraft/wal/ch1/0000000000000000-0000000000000000.wal");
    fs::create_dir_all(log.parent().expect("a folder")).expect("made");
    fs::write(&log, b"log").expect("written");
    let before = picture(&data);
    assert_eq!(network.node.start_in_vain(PATIENCE).code(), Some(2));
    let said = network.node.stderr();
    assert!(
        said.contains("0000000000000000-0000000000000000.wal is part of a raft log of the reference"),
        "{said}"
    );
    assert_eq!(picture(&data), before);
    fs::create_dir_all(data.join("chains/ch1")).expect("made");
    fs::write(data.join("chains/ch1/blockfile_000000"), b"blocks").expect("written");
    let before = picture(&data);
    assert_eq!(network.node.start_in_vain(PATIENCE).code(), Some(2));
    let said = network.node.stderr();
    assert!(
        said.contains("is a data folder of the reference implementation")
            && said.contains("orderer ledger import --fabric"),
        "{said}"
    );
    let folder = network.node.folder().to_owned();
    let said = ended(&ledger(&folder, &["verify"]), 1);
    assert!(said.contains("orderer ledger import --fabric"), "{said}");
    let said = ended(&ledger(&folder, &["import", "--fabric", path(&data)]), 1);
    assert!(said.contains("another FileLedger.Location"), "{said}");
    assert_eq!(picture(&data), before);
}

#[test]
fn what_cannot_be_done_is_refused_with_code_1() {
    let folder = tempfile::tempdir().expect("a folder");
    let empty = folder.path().join("empty");
    fs::create_dir(&empty).expect("made");
    for (arguments, expected) in [
        (&["verify"][..], "no orderer.yaml found"),
        (&["verify", "--location", "nowhere"], "is no folder"),
        (&["verify", "Wrong", "--location", "empty"], "illegal characters"),
        (&["verify", "ch1", "--location", "empty"], "is no data folder"),
        (
            &["export", "ch1", "-o", "x", "--location", "empty"],
            "is no data folder",
        ),
        (&["export", "ch1", "--location", "empty"], "--output"),
        (
            &[
                "export",
                "ch1",
                "-o",
                "x",
                "--from",
                "5",
                "--to",
                "4",
                "--location",
                "empty",
            ],
            "--to is before --from",
        ),
        (&["import", "--location", "empty"], "FILE"),
        (
            &["import", "nowhere", "--location", "empty"],
            "cannot open nowhere",
        ),
        (
            &["import", "--fabric", "empty", "--location", "empty"],
            "no data folder of a Fabric orderer",
        ),
        (
            &["import", "--fabric", "empty", "--all-stopped-at", "ch1"],
            "CHANNEL@HEIGHT@HASH",
        ),
        (&["import", "x", "--others-run"], "--fabric"),
        (&["nothing"], "nothing"),
    ] {
        let output = ledger_command(&empty, arguments)
            .current_dir(folder.path())
            .output()
            .expect("orderer runs");
        let said = ended(&output, 1);
        assert!(said.contains(expected), "{arguments:?}: {said}");
    }
}

/// A member's blocks as a data folder of a reference orderer; its own data and log go aside, as `before`.
fn as_reference(cluster: &Cluster, node: usize) -> PathBuf {
    let member = &cluster.members[node];
    let reference = member.folder().join("reference");
    let chain = reference.join("chains").join(CHANNEL);
    fs::create_dir_all(&chain).expect("made");
    let file = chain.join("blockfile_000000");
    ended(
        &ledger(member.folder(), &["export", CHANNEL, "-o", path(&file)]),
        0,
    );
    fs::create_dir(member.folder().join("before")).expect("made");
    for part in ["data", "wal", "snap"] {
        fs::rename(
            member.folder().join(part),
            member.folder().join("before").join(part),
        )
        .expect("moved");
    }
    reference
}

#[test]
fn three_members_go_over_from_reference_folders_together_and_order() {
    let runtime = runtime();
    let oracle = oracle();
    let mut cluster = runtime.block_on(Cluster::start(&ClusterSpec::of(3)));
    let all = cluster.all();
    runtime.block_on(cluster.orders(&all, &oracle));
    let height = runtime.block_on(cluster.equal_heights(&all, cluster.channel()));
    for member in &mut cluster.members {
        end(&mut member.node);
        let checked = report(&ledger(member.folder(), &["verify", "--json"]), 0);
        assert_eq!(
            checked["channels"][0]["height"].as_u64(),
            Some(height),
            "{checked}"
        );
    }
    let mut words = Vec::new();
    for node in [0, 1] {
        let reference = as_reference(&cluster, node);
        let before = picture(&reference);
        let folder = cluster.members[node].folder().to_owned();
        let fabric = ["import", "--fabric", path(&reference)];
        let said = ended(&ledger(&folder, &[&fabric[..], &["--dry-run"]].concat()), 0);
        let (_, token) = said.split_once("--all-stopped-at ").expect("what all must say");
        let token = token.lines().next().expect("a line").trim().to_owned();
        assert!(
            said.contains(&format!("raft member {} of [1, 2, 3]", node + 1)),
            "{said}"
        );
        // Without being told that all are stopped, or with another block, it is refused.
        let said = ended(&ledger(&folder, &fabric), 1);
        assert!(
            said.contains("--all-stopped-at") && said.contains("nothing of it was imported"),
            "{said}"
        );
        let other = token.replace(&format!("@{height}@"), &format!("@{}@", height + 1));
        ended(
            &ledger(&folder, &[&fabric[..], &["--all-stopped-at", &other]].concat()),
            1,
        );
        ended(
            &ledger(&folder, &[&fabric[..], &["--all-stopped-at", &token]].concat()),
            0,
        );
        assert_eq!(picture(&reference), before, "the original is left as it was");
        ended(&ledger(&folder, &["verify"]), 0);
        words.push(token);
    }
    assert_eq!(words[0], words[1], "the members say the same");
    // The third one is started with its old log, by mistake: it must not do any harm, and takes part.
    cluster.launch(&all);
    runtime.block_on(async {
        cluster.orders(&all, &oracle).await;
        let chain = cluster.agree(&all, &oracle).await;
        assert!(chain.len() as u64 > height);
        let newest = chain.last().expect("a block").decode().expect("a block");
        let metadata = read_block_metadata(&newest).expect("metadata").expect("of raft");
        assert!(metadata.raft_index > GAP, "{metadata:?}");
        cluster.members[0].node.kill();
        cluster.orders(&[1, 2], &oracle).await;
        cluster.members[0].node.start();
        cluster.orders(&all, &oracle).await;
        cluster.agree(&all, &oracle).await;
    });
    cluster.assert_no_panic();
}

#[test]
fn one_member_goes_over_while_the_others_run_and_takes_part_once_it_was_taken_off_the_list_and_put_back() {
    let runtime = runtime();
    let oracle = oracle();
    let mut cluster = runtime.block_on(Cluster::start(&ClusterSpec::of(3)));
    let all = cluster.all();
    runtime.block_on(cluster.orders(&all, &oracle));
    end(&mut cluster.members[2].node);
    let reference = as_reference(&cluster, 2);
    let folder = cluster.members[2].folder().to_owned();
    ended(
        &ledger(&folder, &["import", "--fabric", path(&reference), "--others-run"]),
        0,
    );
    let said = ended(&ledger(&folder, &["verify"]), 0);
    assert!(said.contains("no raft log"), "{said}");
    runtime.block_on(async {
        cluster.orders(&[0, 1], &oracle).await;
        cluster.members[2].node.start();
        // The leader remembers what this member has confirmed.
        let height = cluster.equal_heights(&[0, 1], cluster.channel()).await;
        cluster.until_height(2, height).await;
        cluster.mend(0, 2);
        cluster.until_consenter(2).await;
        cluster.orders(&all, &oracle).await;
        cluster.members[0].node.kill();
        cluster.orders(&[1, 2], &oracle).await;
        cluster.agree(&[1, 2], &oracle).await;
    });
    cluster.assert_no_panic();
}

#[test]
fn a_log_from_an_old_copy_is_found_by_verify_and_such_a_member_only_follows() {
    let runtime = runtime();
    let oracle = oracle();
    let mut cluster = runtime.block_on(Cluster::start(&ClusterSpec::of(3)));
    let all = cluster.all();
    runtime.block_on(cluster.orders(&all, &oracle));
    end(&mut cluster.members[2].node);
    let folder = cluster.members[2].folder().to_owned();
    let copied = Command::new("cp")
        .args(["-a", "wal", "wal.old"])
        .current_dir(&folder)
        .status();
    assert!(copied.expect("cp").success());
    cluster.members[2].node.start();
    runtime.block_on(cluster.orders(&all, &oracle));
    runtime.block_on(cluster.equal_heights(&all, cluster.channel()));
    end(&mut cluster.members[2].node);
    fs::remove_dir_all(folder.join("wal")).expect("removed");
    fs::rename(folder.join("wal.old"), folder.join("wal")).expect("moved");
    let checked = report(&ledger(&folder, &["verify", "--json"]), 2);
    let problem = &checked["channels"][0]["problems"][0];
    assert_eq!(problem["kind"], "raft-log", "{checked}");
    assert!(
        problem["next"]
            .as_str()
            .is_some_and(|next| next.contains("list of consenters")),
        "{problem}"
    );
    cluster.members[2].node.start();
    runtime.block_on(async {
        cluster.until_follower(2).await;
        cluster.orders(&[0, 1], &oracle).await;
    });
    assert!(cluster.channel_info(2, cluster.channel()).contains("log"));
}
