//! Channels removed and made again, crashes in the middle of joins and removals.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use prost::Message as _;
use protos::ChannelId;
use protos::wire::common::Block;
use tests::fixture::cluster::check::oracle;
use tests::fixture::cluster::{Cluster, ClusterSpec};
use tests::oracle::Oracle;

/// When a process is killed after a request was sent to it.
const KILLED_AFTER_MS: [u64; 8] = [0, 1, 2, 4, 7, 12, 25, 60];

/// So long a channel waits for what would be wrong to do without. Several election timeouts.
const WAITS: Duration = Duration::from_secs(4);

/// The node that crashes; the others are a majority.
const NODE: usize = 2;

fn id(channel: &str) -> ChannelId {
    ChannelId::parse(channel).expect("a channel name")
}

/// Three nodes, and a channel that goes on whatever happens to others.
async fn three() -> (Cluster, std::sync::Arc<Oracle>) {
    let cluster = Cluster::start(&ClusterSpec::of(3)).await;
    let oracle = oracle();
    cluster.orders(&cluster.all(), &oracle).await;
    (cluster, oracle)
}

/// Another channel of all three, which the first two have joined.
async fn joined_by_two(cluster: &Cluster, channel: &str) -> Block {
    let block = cluster.first_block(channel, 3);
    for node in [0, 1] {
        cluster.join_with(node, &block).await;
    }
    block
}

/// All three order the channel, and agree on it. Whatever was sent there before is in `oracle`.
async fn orders_everywhere(cluster: &Cluster, channel: &str, genesis: &Block, oracle: &Oracle) {
    let signer = cluster.signer_of(&id(channel));
    for node in cluster.all() {
        cluster.orders_through(node, &signer, oracle).await;
    }
    cluster.agree_on(&cluster.all(), genesis, &signer, oracle).await;
}

/// The first channel has not noticed anything.
async fn first_goes_on(cluster: &Cluster, oracle: &Oracle) {
    cluster.orders(&cluster.all(), oracle).await;
    cluster.agree(&cluster.all(), oracle).await;
    cluster.assert_no_panic();
}

async fn is_listed(cluster: &Cluster, node: usize, channel: &str) -> bool {
    let list = cluster.admin(node).list().await.expect("a list");
    list.channels.iter().any(|entry| entry.name == channel)
}

/// Removes a channel from one node.
async fn remove(cluster: &Cluster, node: usize, channel: &str) {
    let removed = cluster.admin(node).remove(&id(channel)).await;
    removed.expect("it is removed");
    until_gone(cluster, node, channel).await;
}

/// Waits until a node has nothing of a channel.
async fn until_gone(cluster: &Cluster, node: usize, channel: &str) {
    let gone = async || (!is_listed(cluster, node, channel).await).then_some(());
    cluster.wait_for_some("the channel is gone", gone).await;
    let member = &cluster.members[node];
    for folder in [
        member.data_folder().join("chains").join(channel),
        member.snap_folder().join(channel),
        member.wal_folder().join(channel),
    ] {
        let gone = async || (!folder.exists()).then_some(());
        cluster.wait_for_some("its folders are gone", gone).await;
    }
}

pub(crate) async fn a_removed_channel_is_made_again_in_the_same_processes() {
    let (cluster, oracle) = three().await;
    for _ in 0..3 {
        let genesis = cluster.first_block("again", 3);
        for node in cluster.all() {
            cluster.join_with(node, &genesis).await;
        }
        orders_everywhere(&cluster, "again", &genesis, &Oracle::default()).await;
        for node in cluster.all() {
            remove(&cluster, node, "again").await;
        }
    }
    first_goes_on(&cluster, &oracle).await;
}

/// A node that comes back to a channel takes part as if it had been down: once with the genesis block, once with a
/// later one, and whether it led or not.
pub(crate) async fn a_channel_removed_from_one_node_is_joined_again_there() {
    let (mut cluster, oracle) = three().await;
    let leader = cluster.leader().await;
    for (node, is_genesis) in [
        (leader, true),
        ((leader + 1) % 3, false),
        ((leader + 2) % 3, true),
    ] {
        let others: Vec<usize> = cluster.all().into_iter().filter(|other| *other != node).collect();
        remove(&cluster, node, "fixture").await;
        cluster.orders(&others, &oracle).await;
        if is_genesis {
            cluster.join(&[node]).await;
            let info = cluster.admin(node).info(cluster.channel()).await.expect("joined");
            assert_eq!(
                (info.consensus_relation.as_str(), info.status.as_str()),
                ("consenter", "active")
            );
        } else {
            cluster.set_batch_count(others[0], 7).await;
            let block = cluster.config_block(others[0]).await;
            cluster.join_with(node, &block).await;
        }
        cluster.until_consenter(node).await;
        cluster.orders(&cluster.all(), &oracle).await;
        // It counts: with one of the others it is a majority.
        cluster.members[others[0]].node.kill();
        cluster.orders(&[others[1], node], &oracle).await;
        cluster.members[others[0]].node.start();
        cluster.orders(&cluster.all(), &oracle).await;
    }
    first_goes_on(&cluster, &oracle).await;
}

/// `docs/spec/dropin.md` §5: folders that tools know are deleted by hand while the process runs. It is no sign to
/// forget anything: the folders are made again.
pub(crate) async fn folders_deleted_by_hand_after_a_removal_are_made_again() {
    let (cluster, oracle) = three().await;
    remove(&cluster, NODE, "fixture").await;
    let member = &cluster.members[NODE];
    for folder in [member.snap_folder(), member.wal_folder()] {
        let _ = fs::remove_dir_all(folder.join("fixture")); // as scripts do, whether it is there or not
    }
    cluster.orders(&[0, 1], &oracle).await;
    cluster.join(&[NODE]).await;
    assert!(member.snap_folder().join("fixture").is_dir());
    assert!(member.wal_folder().join("fixture").is_dir());
    first_goes_on(&cluster, &oracle).await;
}

/// Two of three removed a channel of which the third, which is down, has the only copy: nobody begins it anew.
pub(crate) async fn a_channel_that_one_node_still_has_is_not_begun_anew_by_the_others() {
    let (mut cluster, oracle) = three().await;
    cluster.agree(&cluster.all(), &oracle).await;
    let height = cluster.equal_heights(&cluster.all(), cluster.channel()).await;
    cluster.members[NODE].node.kill();
    for node in [0, 1] {
        remove(&cluster, node, "fixture").await;
    }
    cluster.join(&[0, 1]).await;
    tokio::time::sleep(WAITS).await;
    for node in [0, 1] {
        let info = cluster.admin(node).info(cluster.channel()).await.expect("joined");
        assert_eq!(info.height, 1);
        let trouble = info
            .consensus
            .and_then(|consensus| consensus.trouble)
            .expect("a reason");
        assert!(trouble.contains("does not answer"), "{trouble}");
    }
    cluster.members[NODE].node.start();
    for node in [0, 1] {
        cluster.until_height(node, height).await;
    }
    first_goes_on(&cluster, &oracle).await;
}

fn join_file(cluster: &Cluster, name: &str) -> PathBuf {
    let folder = cluster.members[NODE].data_folder().join("pendingops/join");
    fs::create_dir_all(&folder).expect("a folder");
    folder.join(name)
}

/// What a crash leaves behind, step by step. Each is made by hand while the node is down, on a channel of its own.
pub(crate) async fn a_crash_at_each_step_of_a_join_is_made_good() {
    let (mut cluster, oracle) = three().await;
    for step in ["unfinished", "file", "folder", "ledger", "blocks"] {
        let there = Oracle::default();
        let genesis = joined_by_two(&cluster, step).await;
        let file = join_file(&cluster, &format!("{step}.join"));
        match step {
            "ledger" | "blocks" => {
                cluster.join_with(NODE, &genesis).await;
                if step == "blocks" {
                    orders_everywhere(&cluster, step, &genesis, &there).await;
                }
                cluster.members[NODE].node.kill();
            }
            _ => cluster.members[NODE].node.kill(),
        }
        let bytes = genesis.encode_to_vec();
        match step {
            "unfinished" => {
                let half = &bytes[..bytes.len() / 2];
                fs::write(join_file(&cluster, "unfinished.join~"), half).expect("written");
            }
            "folder" => {
                let folder = cluster.members[NODE].data_folder().join("chains").join(step);
                fs::create_dir_all(folder).expect("a folder");
                fs::write(&file, bytes).expect("written");
            }
            _ => fs::write(&file, bytes).expect("written"),
        }
        cluster.members[NODE].node.start();
        if step == "unfinished" {
            assert!(
                !is_listed(&cluster, NODE, step).await,
                "half a join file is no join"
            );
            cluster.join_with(NODE, &genesis).await;
        }
        orders_everywhere(&cluster, step, &genesis, &there).await;
        assert!(!file.exists(), "{step}: the join is done and its file is there");
    }
    first_goes_on(&cluster, &oracle).await;
}

pub(crate) async fn a_crash_at_any_moment_of_a_join_is_made_good() {
    let (mut cluster, oracle) = three().await;
    for after_ms in KILLED_AFTER_MS {
        let channel = format!("after{after_ms}");
        let there = Oracle::default();
        let genesis = joined_by_two(&cluster, &channel).await;
        let admin = cluster.admin(NODE);
        let block = genesis.encode_to_vec().into();
        let joining = tokio::spawn(async move { admin.join(block).await });
        tokio::time::sleep(Duration::from_millis(after_ms)).await;
        cluster.members[NODE].node.kill();
        let answered = joining.await.expect("a request does not panic").is_ok();
        cluster.members[NODE].node.start();
        let listed = is_listed(&cluster, NODE, &channel).await;
        assert!(listed || !answered, "the node said that it joined {channel}");
        if !listed {
            cluster.join_with(NODE, &genesis).await;
        }
        orders_everywhere(&cluster, &channel, &genesis, &there).await;
    }
    first_goes_on(&cluster, &oracle).await;
}

/// A marker is what a removal begins with. From then on a start finishes it, whatever is left.
pub(crate) async fn a_crash_at_each_step_of_a_removal_is_made_good() {
    let (mut cluster, oracle) = three().await;
    for step in ["marked", "unlinked", "logless"] {
        let there = Oracle::default();
        let genesis = joined_by_two(&cluster, step).await;
        cluster.join_with(NODE, &genesis).await;
        orders_everywhere(&cluster, step, &genesis, &there).await;
        cluster.members[NODE].node.kill();
        let member = &cluster.members[NODE];
        let markers = member.data_folder().join("pendingops/remove");
        fs::create_dir_all(&markers).expect("a folder");
        fs::write(markers.join(format!("{step}.remove")), b"").expect("written");
        let snap = member.snap_folder().join(step);
        match step {
            "unlinked" => {
                fs::remove_dir_all(member.data_folder().join("chains").join(step)).expect("removed");
            }
            "logless" if snap.exists() => fs::remove_dir_all(snap).expect("removed"),
            _ => {}
        }
        cluster.members[NODE].node.start();
        until_gone(&cluster, NODE, step).await;
        // The name is free, and nothing of the old channel comes back.
        for node in [0, 1] {
            cluster
                .admin(node)
                .remove(&id(step))
                .await
                .expect("it is removed");
        }
        let there = Oracle::default();
        let genesis = joined_by_two(&cluster, step).await;
        cluster.join_with(NODE, &genesis).await;
        orders_everywhere(&cluster, step, &genesis, &there).await;
    }
    first_goes_on(&cluster, &oracle).await;
}

pub(crate) async fn a_crash_at_any_moment_of_a_removal_is_made_good() {
    let (mut cluster, oracle) = three().await;
    for after_ms in KILLED_AFTER_MS {
        let channel = format!("after{after_ms}");
        let there = Oracle::default();
        let genesis = joined_by_two(&cluster, &channel).await;
        cluster.join_with(NODE, &genesis).await;
        orders_everywhere(&cluster, &channel, &genesis, &there).await;
        let (admin, name) = (cluster.admin(NODE), id(&channel));
        let removing = tokio::spawn(async move { admin.remove(&name).await });
        tokio::time::sleep(Duration::from_millis(after_ms)).await;
        cluster.members[NODE].node.kill();
        let answered = removing.await.expect("a request does not panic").is_ok();
        cluster.members[NODE].node.start();
        if is_listed(&cluster, NODE, &channel).await {
            assert!(!answered, "the node said that it removed {channel}");
            // It is whole: it orders as before.
            orders_everywhere(&cluster, &channel, &genesis, &there).await;
            cluster
                .admin(NODE)
                .remove(&id(&channel))
                .await
                .expect("it is removed");
        }
        until_gone(&cluster, NODE, &channel).await;
    }
    first_goes_on(&cluster, &oracle).await;
}
