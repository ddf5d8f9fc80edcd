//! Nodes come and go, certificates are rotated, a node misses its own removal.

use tests::fixture::cluster::check::{PATIENCE, oracle};
use tests::fixture::cluster::load::{Load, LoadSpec};
use tests::fixture::cluster::{Cluster, ClusterSpec};

/// Acknowledgements that show that ordering goes on.
const GOES_ON: usize = 60;

/// Some node that takes part, other than this one.
fn other_than(node: usize, members: &[usize]) -> usize {
    let other = members.iter().copied().find(|member| *member != node);
    other.expect("another member")
}

pub(crate) async fn nodes_are_added_and_removed_one_after_another_under_load() {
    let mut cluster = Cluster::start(&ClusterSpec::of(3).with_spares(2)).await;
    let oracle = oracle();
    let mut members = vec![0, 1, 2];
    let load = Load::start(&cluster, &members, &oracle, LoadSpec::default());
    for newcomer in [3, 4] {
        cluster.launch(&[newcomer]);
        cluster.add(members[0], newcomer).await;
        let block = cluster.config_block(members[0]).await;
        cluster.join_with(newcomer, &block).await;
        cluster.until_consenter(newcomer).await;
        members.push(newcomer);
        load.goes_on(GOES_ON).await;
        let leaver = members.remove(0);
        cluster.remove(members[0], leaver).await;
        cluster.until_follower(leaver).await;
        load.goes_on(GOES_ON).await;
    }
    load.stop().await;
    cluster.orders(&members, &oracle).await;
    cluster.agree(&members, &oracle).await;
    // Those that left follow.
    let height = cluster.equal_heights(&members, cluster.channel()).await;
    for leaver in [0, 1] {
        cluster.until_height(leaver, height).await;
    }
    cluster.assert_no_panic();
}

pub(crate) async fn certificates_of_all_nodes_are_rotated_one_by_one_under_load() {
    let mut cluster = Cluster::start(&ClusterSpec::of(3)).await;
    let (all, oracle) = (cluster.all(), oracle());
    let load = Load::start(&cluster, &all, &oracle, LoadSpec::default());
    for node in 0..3 {
        load.goes_on(GOES_ON).await;
        let files = cluster.second_tls_files(node);
        cluster.rotate(other_than(node, &all), node, &files).await;
        cluster.until_follower(node).await;
        cluster.members[node].node.kill();
        cluster.members[node].install(&files);
        cluster.members[node].node.start();
        cluster.until_consenter(node).await;
    }
    load.goes_on(GOES_ON).await;
    load.stop().await;
    cluster.orders(&all, &oracle).await;
    cluster.agree(&all, &oracle).await;
    cluster.assert_no_panic();
}

pub(crate) async fn a_leader_that_removes_itself_hands_over_and_follows() {
    let cluster = Cluster::start(&ClusterSpec::of(3)).await;
    let (all, oracle) = (cluster.all(), oracle());
    cluster.orders(&all, &oracle).await;
    let leader = cluster.leader().await;
    cluster.remove(leader, leader).await;
    cluster.until_follower(leader).await;
    let members: Vec<usize> = all.into_iter().filter(|node| *node != leader).collect();
    cluster.orders(&members, &oracle).await;
    cluster.agree(&members, &oracle).await;
    let height = cluster.equal_heights(&members, cluster.channel()).await;
    cluster.until_height(leader, height).await;
    cluster.assert_no_panic();
}

/// It does not know yet who is alive: the update waits until it does, and is not refused.
pub(crate) async fn members_change_through_a_follower_that_was_just_started() {
    let mut cluster = Cluster::start(&ClusterSpec::of(4)).await;
    let (all, oracle) = (cluster.all(), oracle());
    cluster.orders(&all, &oracle).await;
    let leader = cluster.leader().await;
    let (follower, gone) = ((leader + 1) % 4, (leader + 2) % 4);
    let update = cluster.removal(leader, gone).await;
    cluster.members[follower].node.kill();
    cluster.members[follower].node.start();
    let led = async || {
        cluster
            .info(follower)
            .await?
            .consensus
            .filter(|now| now.leader != 0)
    };
    cluster.wait_for_some("a leader", led).await;
    let updated = cluster.admin(follower).update(update).await;
    updated.unwrap_or_else(|error| panic!("refused at once: {error}"));
    cluster.until_follower(gone).await;
    let members: Vec<usize> = all.into_iter().filter(|node| *node != gone).collect();
    cluster.orders(&members, &oracle).await;
    cluster.assert_no_panic();
}

pub(crate) async fn a_node_that_was_down_when_it_was_removed_finds_out() {
    let mut cluster = Cluster::start(&ClusterSpec::of(4)).await;
    let (all, oracle) = (cluster.all(), oracle());
    cluster.orders(&all, &oracle).await;
    cluster.members[3].node.kill();
    cluster.remove(0, 3).await;
    cluster.orders(&[0, 1, 2], &oracle).await;
    cluster.members[3].node.start();
    cluster.until_follower(3).await;
    cluster.orders(&[0, 1, 2], &oracle).await;
    cluster.agree(&[0, 1, 2], &oracle).await;
    let height = cluster.equal_heights(&[0, 1, 2], cluster.channel()).await;
    cluster.until_height(3, height).await;
    // Another start changes nothing.
    cluster.members[3].node.kill();
    cluster.members[3].node.start();
    cluster.until_follower(3).await;
    cluster.assert_no_panic();
}

pub(crate) async fn a_node_removed_and_added_again_takes_part_under_its_new_id() {
    let mut cluster = Cluster::start(&ClusterSpec::of(3)).await;
    let (all, oracle) = (cluster.all(), oracle());
    cluster.orders(&all, &oracle).await;
    let node = 2;
    // Once while it is there, once while it is down for both.
    cluster.remove(0, node).await;
    cluster.until_follower(node).await;
    cluster.add(0, node).await;
    cluster.until_consenter(node).await;
    cluster.orders(&all, &oracle).await;
    cluster.members[node].node.kill();
    cluster.remove(0, node).await;
    cluster.orders(&[0, 1], &oracle).await;
    cluster.add(0, node).await;
    cluster.members[node].node.start();
    cluster.until_consenter(node).await;
    cluster.orders(&all, &oracle).await;
    // Ids are not used again: 3 went, 4 went, 5 is here.
    let id = "channel=fixture node=5";
    cluster.members[node].node.wait_for(id, PATIENCE);
    cluster.agree(&all, &oracle).await;
    cluster.assert_no_panic();
}

pub(crate) async fn one_node_grows_to_two_and_to_three() {
    let mut cluster = Cluster::start(&ClusterSpec::of(1).with_spares(2)).await;
    let oracle = oracle();
    cluster.orders(&[0], &oracle).await;
    // The second is not there yet: the only member is without a majority as soon as it has ordered the update.
    cluster.add(0, 1).await;
    let block = cluster.config_block(0).await;
    cluster.launch(&[1, 2]);
    cluster.join_with(1, &block).await;
    cluster.until_consenter(1).await;
    cluster.orders(&[0, 1], &oracle).await;
    cluster.add(1, 2).await;
    let block = cluster.config_block(1).await;
    cluster.join_with(2, &block).await;
    cluster.until_consenter(2).await;
    cluster.orders(&[0, 1, 2], &oracle).await;
    cluster.agree(&[0, 1, 2], &oracle).await;
    cluster.assert_no_panic();
}

/// Its ledger is ahead of its log when it takes part again under the id that it had.
pub(crate) async fn a_node_whose_certificates_were_rotated_while_it_was_down_takes_part() {
    let mut cluster = Cluster::start(&ClusterSpec::of(3)).await;
    let (all, oracle) = (cluster.all(), oracle());
    cluster.orders(&all, &oracle).await;
    cluster.members[2].node.kill();
    let files = cluster.second_tls_files(2);
    cluster.rotate(0, 2, &files).await;
    cluster.orders(&[0, 1, 0, 1], &oracle).await;
    cluster.members[2].install(&files);
    cluster.members[2].node.start();
    cluster.until_consenter(2).await;
    cluster.orders(&all, &oracle).await;
    // It counts: with one of the others it is a majority.
    cluster.members[0].node.kill();
    cluster.orders(&[1, 2], &oracle).await;
    cluster.members[0].node.start();
    cluster.orders(&all, &oracle).await;
    cluster.agree(&all, &oracle).await;
    cluster.assert_no_panic();
}
