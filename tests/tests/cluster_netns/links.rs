//! Links that are cut, slow, or long.

use std::time::Duration;

use bytes::Bytes;
use client::broadcast::Acknowledge;
use tests::fixture::cluster::check::oracle;
use tests::fixture::cluster::load::{Load, LoadSpec};
use tests::fixture::cluster::netns::Net;
use tests::fixture::cluster::relay::Relay;
use tests::fixture::cluster::{Cluster, ClusterSpec};

/// Acknowledgements that show that ordering goes on.
const GOES_ON: usize = 100;

/// How long a cut lasts that nobody can mend: some election timeouts.
const CUT: Duration = Duration::from_secs(4);

/// Nodes on a network of their own, which order.
async fn on_a_network(nodes: usize) -> (Net, Cluster) {
    let net = Net::new(nodes);
    let mut spec = ClusterSpec::of(nodes);
    spec.places = net.places();
    let cluster = Cluster::start(&spec).await;
    (net, cluster)
}

pub(crate) async fn a_leader_cut_off_from_two_is_replaced_and_follows_after_the_cut_heals() {
    cut_off_leader(3, 0).await;
}

pub(crate) async fn a_leader_with_one_of_five_is_replaced_by_the_other_three() {
    cut_off_leader(5, 1).await;
}

/// With `companions` on its side of the cut. Clients reach both sides.
async fn cut_off_leader(nodes: usize, companions: usize) {
    let (net, cluster) = on_a_network(nodes).await;
    let (all, oracle) = (cluster.all(), oracle());
    let load = Load::start(&cluster, &all, &oracle, LoadSpec::default());
    load.goes_on(GOES_ON).await;
    let leader = cluster.leader().await;
    let minority: Vec<usize> = (0..=companions).map(|step| (leader + step) % nodes).collect();
    net.cut_off(&minority);
    load.goes_on(GOES_ON).await;
    assert!(!minority.contains(&cluster.leader_other_than(leader).await));
    // The minority promises nothing.
    let envelope = cluster.signer().transaction(Bytes::from_static(b"x")).bytes;
    oracle.sent(&envelope);
    for node in &minority {
        let log = &cluster.members[*node].node;
        let text = if *node == leader {
            "stepped down to follower since quorum is not active"
        } else {
            "-> 0 channel"
        };
        log.wait_for(text, tests::fixture::cluster::check::PATIENCE);
    }
    let answer = cluster.submit_at(leader, Acknowledge::Accepted, envelope).await;
    let text = answer.expect_err("the minority orders nothing").unavailable();
    assert!(text.contains("no Raft leader"), "{text}");
    net.heal();
    load.goes_on(GOES_ON).await;
    load.stop().await;
    cluster.orders(&all, &oracle).await;
    cluster.agree(&all, &oracle).await;
    cluster.assert_no_panic();
}

pub(crate) async fn a_follower_cut_off_catches_up_and_does_not_disturb_the_leader() {
    let (net, cluster) = on_a_network(3).await;
    let (all, oracle) = (cluster.all(), oracle());
    let load = Load::start(&cluster, &all, &oracle, LoadSpec::default());
    load.goes_on(GOES_ON).await;
    let leader = cluster.leader().await;
    let follower = (leader + 1) % 3;
    for _ in 0..2 {
        net.cut_off(&[follower]);
        tokio::time::sleep(CUT).await;
        load.goes_on(GOES_ON).await;
        net.heal();
        load.goes_on(GOES_ON).await;
    }
    load.stop().await;
    cluster.orders(&all, &oracle).await;
    assert_eq!(
        cluster.leader().await,
        leader,
        "the one that comes back overthrows nobody"
    );
    cluster.agree(&all, &oracle).await;
    cluster.assert_no_panic();
}

pub(crate) async fn three_nodes_that_are_all_cut_off_order_again_when_the_cuts_heal() {
    let (net, cluster) = on_a_network(3).await;
    let (all, oracle) = (cluster.all(), oracle());
    let load = Load::start(&cluster, &all, &oracle, LoadSpec::default());
    load.goes_on(GOES_ON).await;
    for node in &all {
        net.unplug(*node);
    }
    tokio::time::sleep(CUT).await;
    for node in &all {
        net.plug(*node);
    }
    load.goes_on(GOES_ON).await;
    load.stop().await;
    cluster.orders(&all, &oracle).await;
    cluster.agree(&all, &oracle).await;
    cluster.assert_no_panic();
}

/// Large envelopes, more than the link of one follower can carry.
pub(crate) async fn a_follower_behind_a_slow_link_does_not_hold_up_the_others() {
    let (net, cluster) = on_a_network(3).await;
    let (all, oracle) = (cluster.all(), oracle());
    let leader = cluster.leader().await;
    let [quick, slow] = [(leader + 1) % 3, (leader + 2) % 3];
    net.slow_down(slow, 1_000);
    let spec = LoadSpec {
        data_bytes: 10_000,
        pause: Duration::from_millis(10),
        ..LoadSpec::default()
    };
    let load = Load::start(&cluster, &[leader, quick], &oracle, spec);
    load.goes_on(3 * GOES_ON).await;
    // Heartbeats do not wait behind blocks: the slow one has not lost its leader.
    let log = cluster.members[slow].node.log();
    assert!(!log.contains("-> 0 channel"), "{log}");
    assert_eq!(cluster.leader().await, leader, "the leader stays");
    net.speed_up(slow);
    load.stop().await;
    cluster.orders(&all, &oracle).await;
    cluster.agree(&all, &oracle).await;
    cluster.assert_no_panic();
}

pub(crate) async fn a_leader_behind_slow_links_keeps_leading() {
    let (net, cluster) = on_a_network(3).await;
    let (all, oracle) = (cluster.all(), oracle());
    let leader = cluster.leader().await;
    net.slow_down(leader, 2_000);
    let spec = LoadSpec {
        data_bytes: 10_000,
        pause: Duration::from_millis(20),
        in_flight_max: 16,
        ..LoadSpec::default()
    };
    let load = Load::start(&cluster, &[leader], &oracle, spec);
    load.goes_on(GOES_ON).await;
    assert_eq!(cluster.leader().await, leader, "the leader stays");
    net.speed_up(leader);
    load.goes_on(GOES_ON).await;
    load.stop().await;
    cluster.orders(&all, &oracle).await;
    cluster.agree(&all, &oracle).await;
    cluster.assert_no_panic();
}

/// 80 ms more each way, on every link.
pub(crate) async fn delayed_links_order_and_elect() {
    const DELAY: Duration = Duration::from_millis(80);
    let net = Net::new(3);
    let mut spec = ClusterSpec::of(3);
    spec.places = net.places_behind_relays();
    let mut relays = Vec::new();
    for node in 0..3 {
        let (from, to) = net.relay(node);
        relays.push(Relay::start(from, to, DELAY).await);
    }
    let mut cluster = Cluster::start(&spec).await;
    let (all, oracle) = (cluster.all(), oracle());
    let load = Load::start(&cluster, &all, &oracle, LoadSpec::default());
    load.goes_on(GOES_ON).await;
    let leader = cluster.leader().await;
    cluster.members[leader].node.kill();
    cluster.leader_other_than(leader).await;
    load.goes_on(GOES_ON).await;
    cluster.members[leader].node.start();
    load.goes_on(GOES_ON).await;
    load.stop().await;
    cluster.orders(&all, &oracle).await;
    cluster.agree(&all, &oracle).await;
    cluster.assert_no_panic();
    drop(relays);
}
