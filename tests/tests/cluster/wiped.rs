//! Nodes that lost their data or their log.

use std::fs;
use std::time::Duration;

use tests::fixture::cluster::check::{PATIENCE, oracle};
use tests::fixture::cluster::{Cluster, ClusterSpec};
use tests::oracle::Oracle;

/// Two of three are up, and one of them may not vote: so long nobody leads. Several election timeouts.
const NOBODY_LEADS: Duration = Duration::from_secs(4);

/// Three members that have ordered something; the last one is stopped, and what `wipe` takes away is gone.
async fn with_one_wiped(oracle: &Oracle, wipe: impl Fn(&Cluster, usize)) -> Cluster {
    let mut cluster = Cluster::start(&ClusterSpec::of(3)).await;
    cluster.orders(&cluster.all(), oracle).await;
    cluster.agree(&cluster.all(), oracle).await;
    for member in &mut cluster.members {
        member.node.kill();
    }
    wipe(&cluster, 2);
    cluster
}

/// The wiped node and one other are there. The wiped one must help nobody to lead.
async fn assert_does_not_vote(cluster: &Cluster) {
    tokio::time::sleep(NOBODY_LEADS).await;
    for node in [0, 2] {
        let log = cluster.members[node].node.log();
        assert!(
            !log.contains("Start accepting requests as Raft leader"),
            "node {node} leads with the vote of one that lost its log"
        );
    }
}

/// Takes the node out and in again where it says that its log is lost; ready when it takes part.
async fn mend(cluster: &Cluster, oracle: &Oracle, node: usize) {
    cluster.orders(&[0, 1], oracle).await;
    // Known once it has heard of the leader.
    let height = cluster.equal_heights(&[0, 1], cluster.channel()).await;
    cluster.until_height(node, height).await;
    cluster.mend(0, node);
    cluster.until_consenter(node).await;
    cluster.orders(&[0, 1, node], oracle).await;
}

/// The mended node counts: with one of the others it is a majority.
async fn assert_counts(cluster: &mut Cluster, oracle: &Oracle) {
    cluster.members[0].node.kill();
    cluster.orders(&[1, 2], oracle).await;
    cluster.members[0].node.start();
    cluster.orders(&[0, 1, 2], oracle).await;
    cluster.agree(&[0, 1, 2], oracle).await;
    cluster.assert_no_panic();
}

pub(crate) async fn a_wiped_node_does_not_vote_and_the_command_mends_it() {
    let oracle = oracle();
    let mut cluster = with_one_wiped(&oracle, |cluster, node| cluster.members[node].wipe()).await;
    cluster.launch(&[0, 2]);
    cluster.join(&[2]).await;
    assert_does_not_vote(&cluster).await;
    cluster.members[1].node.start();
    mend(&cluster, &oracle, 2).await;
    assert_counts(&mut cluster, &oracle).await;
}

pub(crate) async fn a_node_that_lost_its_log_does_not_vote_and_the_command_mends_it() {
    let oracle = oracle();
    let mut cluster = with_one_wiped(&oracle, |cluster, node| cluster.members[node].wipe_log()).await;
    cluster.launch(&[0, 2]);
    assert_does_not_vote(&cluster).await;
    cluster.members[1].node.start();
    mend(&cluster, &oracle, 2).await;
    assert_counts(&mut cluster, &oracle).await;
}

/// `docs/spec/dropin.md` §5: a stopped node whose snapshot folder was deleted, its log kept.
pub(crate) async fn checkpoints_that_were_deleted_are_made_again() {
    let oracle = oracle();
    let mut spec = ClusterSpec::of(3);
    spec.options.snapshot_interval_size = 1 << 10;
    let mut cluster = Cluster::start(&spec).await;
    let all = cluster.all();
    for _ in 0..8 {
        cluster.orders(&all, &oracle).await;
    }
    let folder = cluster.members[2].snap_folder().join("fixture");
    let count = |what: &str| {
        let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{what}: {error}"));
        entries.count()
    };
    assert!(count("before") >= 4, "{} checkpoints", count("before"));
    cluster.members[2].node.kill();
    fs::remove_dir_all(cluster.members[2].snap_folder()).expect("removed");
    for _ in 0..4 {
        cluster.orders(&[0, 1], &oracle).await;
    }
    cluster.members[2].node.start();
    for _ in 0..4 {
        cluster.orders(&all, &oracle).await;
    }
    cluster.agree(&all, &oracle).await;
    let there = async || (count("after") > 0).then_some(());
    cluster.wait_for_some("a checkpoint", there).await;
    cluster.members[2]
        .node
        .wait_for("channel=fixture node=3", PATIENCE);
    cluster.assert_no_panic();
}
