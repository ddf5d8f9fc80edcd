//! The log texts of `docs/spec/dropin.md` §2, in their order and with their fields.

use tests::fixture::cluster::check::{PATIENCE, oracle};
use tests::fixture::cluster::{Cluster, ClusterSpec};

/// Reads the log of a running node forward, as tools do: each text is searched after the one before.
struct Reader {
    node: usize,
    read: usize,
}

impl Reader {
    fn of(node: usize) -> Self {
        Self { node, read: 0 }
    }

    /// Waits for the next line with `text` and returns the line from there on.
    async fn next(&mut self, cluster: &Cluster, text: &str) -> String {
        let what = format!("{text:?} in the log of node {}", self.node);
        let (read, node) = (self.read, self.node);
        let look = async || {
            let log = cluster.members[node].node.log();
            let place = read + log.get(read..)?.find(text)?;
            let line = log[place..].lines().next()?.to_owned();
            Some((place + text.len(), line))
        };
        let (read, line) = cluster.wait_for_some(&what, look).await;
        self.read = read;
        line
    }
}

fn debugging(members: usize) -> ClusterSpec {
    let mut spec = ClusterSpec::of(members);
    let logging = "orderer.consensus.etcdraft=debug:info";
    spec.variables = vec![("FABRIC_LOGGING_SPEC".to_owned(), logging.to_owned())];
    spec
}

pub(crate) async fn leaders_and_active_nodes_are_told_in_order() {
    let cluster = Cluster::start(&debugging(3)).await;
    let leader = cluster.leader().await;
    let id = leader + 1;
    for node in cluster.all() {
        let mut log = Reader::of(node);
        log.next(
            &cluster,
            "Registrar initializing without a system channel, number of application channels: 0",
        )
        .await;
        log.next(&cluster, "Beginning to serve requests").await;
        let fields = format!(" channel=fixture node={}", node + 1);
        let changed = format!("Raft leader changed: 0 -> {id}");
        assert_eq!(log.next(&cluster, &changed).await, format!("{changed}{fields}"));
        if node == leader {
            let line = log
                .next(&cluster, "Start accepting requests as Raft leader")
                .await;
            assert_eq!(
                line,
                format!("Start accepting requests as Raft leader at block [0]{fields}")
            );
            let others: Vec<String> = (1..=3)
                .filter(|other| *other != id)
                .map(|other| other.to_string())
                .collect();
            let line = log.next(&cluster, "Current active nodes in cluster are: ").await;
            let lists = [
                format!("[{id} {} {}]", others[0], others[1]),
                format!("[{id} {} {}]", others[1], others[0]),
            ];
            let found = line
                .strip_prefix("Current active nodes in cluster are: ")
                .unwrap_or_default();
            assert!(
                lists.iter().any(|list| found == format!("{list}{fields}")),
                "{line}"
            );
        } else {
            let line = log.next(&cluster, "Store ActiveNodes [").await;
            assert!(line.ends_with(&format!("]{fields}")), "{line}");
            for member in 1..=3 {
                assert!(line.contains(&member.to_string()), "{line}");
            }
        }
    }
    for node in cluster.all() {
        let log = cluster.members[node].node.log();
        assert!(!log.contains("ERRO"), "{log}");
    }
    cluster.assert_no_panic();
}

pub(crate) async fn leaders_are_told_again_after_a_restart() {
    let mut cluster = Cluster::start(&ClusterSpec::of(3)).await;
    let oracle = oracle();
    cluster.orders(&cluster.all(), &oracle).await;
    let leader = cluster.leader().await;
    let follower = (leader + 1) % 3;
    cluster.members[follower].node.kill();
    cluster.members[follower].node.start();
    let mut log = Reader::of(follower);
    log.next(&cluster, "Beginning to serve requests").await;
    let fields = format!(" channel=fixture node={}", follower + 1);
    let changed = format!("Raft leader changed: 0 -> {}{fields}", leader + 1);
    assert_eq!(log.next(&cluster, &changed).await, changed);
    log.next(&cluster, "Store ActiveNodes [").await;
    cluster.members[leader].node.kill();
    // To nobody first, then to the next one.
    let lost = format!("Raft leader changed: {} -> ", leader + 1);
    log.next(&cluster, &lost).await;
    let next = cluster.leader_other_than(leader).await;
    let mut log = Reader::of(next);
    log.next(
        &cluster,
        &format!("-> {} channel=fixture node={}", next + 1, next + 1),
    )
    .await;
    log.next(&cluster, "Start accepting requests as Raft leader at block [")
        .await;
    cluster.assert_no_panic();
}

/// `docs/spec/dropin.md` §5 gives the examples: SHA-256 of the name decides.
pub(crate) async fn the_first_leader_is_the_one_that_the_channels_name_decides() {
    let cluster = Cluster::start(&ClusterSpec::of(3).named("testchannel")).await;
    for node in cluster.all() {
        let mut log = Reader::of(node);
        let line = log.next(&cluster, "Raft leader changed: ").await;
        let expected = format!(
            "Raft leader changed: 0 -> 2 channel=testchannel node={}",
            node + 1
        );
        assert_eq!(line, expected);
    }
    cluster.assert_no_panic();
}

pub(crate) async fn a_lone_member_leads_at_once_and_says_so() {
    let mut cluster = Cluster::start(&ClusterSpec::of(1)).await;
    let oracle = oracle();
    for _ in 0..2 {
        let mut log = Reader::of(0);
        // Readers only move forward: the start is over before anybody leads.
        log.next(&cluster, "Registrar initializing without a system channel")
            .await;
        log.next(&cluster, "Beginning to serve requests").await;
        let changed = "Raft leader changed: 0 -> 1 channel=fixture node=1";
        assert_eq!(log.next(&cluster, changed).await, changed);
        log.next(&cluster, "Start accepting requests as Raft leader at block [")
            .await;
        cluster.orders(&[0], &oracle).await;
        cluster.members[0].node.kill();
        cluster.members[0].node.start();
    }
    cluster.orders(&[0], &oracle).await;
    cluster.agree(&[0], &oracle).await;
    cluster.assert_no_panic();
}

pub(crate) async fn a_tick_interval_that_is_overridden_is_told() {
    let mut spec = ClusterSpec::of(1);
    "  TickIntervalOverride: 642ms\n".clone_into(&mut spec.consensus_settings);
    let cluster = Cluster::start(&spec).await;
    let text = "TickIntervalOverride is set, overriding channel configuration tick interval to 642ms";
    cluster.members[0].node.wait_for(text, PATIENCE);
    cluster.assert_no_panic();
}

pub(crate) async fn a_leader_that_loses_its_majority_says_so() {
    let mut cluster = Cluster::start(&ClusterSpec::of(2)).await;
    let leader = cluster.leader().await;
    let mut log = Reader::of(leader);
    log.next(&cluster, "Start accepting requests as Raft leader")
        .await;
    cluster.members[1 - leader].node.kill();
    let (id, fields) = (leader + 1, format!(" channel=fixture node={}", leader + 1));
    let lost = format!("{id} stepped down to follower since quorum is not active");
    log.next(&cluster, &lost).await;
    log.next(
        &cluster,
        &format!("No leader is present, cluster size is 2{fields}"),
    )
    .await;
    cluster.members[1 - leader].node.start();
    let oracle = oracle();
    cluster.orders(&[0, 1], &oracle).await;
    cluster.agree(&[0, 1], &oracle).await;
    cluster.assert_no_panic();
}

pub(crate) async fn an_evicted_node_tells_how_it_found_out() {
    let mut cluster = Cluster::start(&ClusterSpec::of(4)).await;
    let oracle = oracle();
    cluster.orders(&cluster.all(), &oracle).await;
    cluster.members[3].node.kill();
    cluster.remove(0, 3).await;
    cluster.members[3].node.start();
    let mut log = Reader::of(3);
    let fields = " channel=fixture node=4";
    let line = log
        .next(&cluster, "Suspecting our own eviction from the channel for ")
        .await;
    assert!(line.ends_with(fields), "{line}");
    let line = log
        .next(&cluster, "Detected our own eviction from the channel in block [")
        .await;
    assert!(line.contains("] channel=fixture"), "{line}");
    log.next(&cluster, "Periodic check is stopping. channel=fixture")
        .await;
    log.next(
        &cluster,
        "Pulled all blocks up to eviction block. channel=fixture",
    )
    .await;
    log.next(&cluster, "Raft node stopped channel=fixture").await;
    log.next(
        &cluster,
        "Created and started a follower.Chain for channel fixture",
    )
    .await;
    let refused = "certificate extracted from TLS connection isn't authorized";
    let told = async || {
        let mut others = cluster.members[..3].iter();
        others
            .any(|member| member.node.log().contains(refused))
            .then_some(())
    };
    cluster
        .wait_for_some("the others refuse the removed node", told)
        .await;
    cluster.assert_no_panic();
}
