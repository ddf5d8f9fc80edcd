//! The log texts that tools search for (`docs/spec/dropin.md` §2): each row of that table has a test over real nodes,
//! here or in another suite, and [`PROVEN_BY`] says which.

use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use client::deliver::{DeliverStream, Position, Resume, Seek};
use prost::Message as _;
use protos::wire::raftpb::{self, MessageType};
use tests::fixture::cluster::check::{PATIENCE, oracle};
use tests::fixture::cluster::member::Member;
use tests::fixture::cluster::peer::{self, PeerConnection};
use tests::fixture::cluster::{Cluster, ClusterSpec};
use tests::fixture::network::{Network, NetworkSpec};
use tests::fixture::process::Node;

/// How a row of the table begins, and the tests that prove it: `file::name` below the root of the repository.
const PROVEN_BY: &[(&str, &[&str])] = &[
    (
        "`Beginning to serve requests`",
        &[
            "tests/tests/cluster/told.rs::leaders_and_active_nodes_are_told_in_order",
            "tests/tests/log_texts.rs::a_start_is_told_with_the_number_of_chains_and_followers",
        ],
    ),
    (
        "`Registrar initializing without a system channel`",
        &["tests/tests/log_texts.rs::a_start_is_told_with_the_number_of_chains_and_followers"],
    ),
    (
        "`Raft leader changed: 0 -> 1 channel=Ch node=1`",
        &["tests/tests/cluster/told.rs::a_lone_member_leads_at_once_and_says_so"],
    ),
    (
        "`Raft leader changed: [0-9] -> `",
        &[
            "tests/tests/cluster/told.rs::leaders_and_active_nodes_are_told_in_order",
            "tests/tests/cluster/told.rs::leaders_are_told_again_after_a_restart",
            "tests/tests/cluster/told.rs::the_first_leader_is_the_one_that_the_channels_name_decides",
        ],
    ),
    (
        "`Start accepting requests as Raft leader`",
        &[
            "tests/tests/cluster/told.rs::leaders_and_active_nodes_are_told_in_order",
            "tests/tests/cluster/told.rs::a_lone_member_leads_at_once_and_says_so",
        ],
    ),
    (
        "`Store ActiveNodes`",
        &[
            "tests/tests/cluster/told.rs::leaders_are_told_again_after_a_restart",
            "tests/tests/log_texts.rs::a_new_member_joins_without_an_error_in_any_log",
            "consensus/src/raft/core/tests/elections.rs::\
             a_follower_says_who_is_active_when_it_or_the_members_change_and_not_again_and_again",
        ],
    ),
    (
        "`Current active nodes in cluster are: ",
        &["tests/tests/cluster/told.rs::leaders_and_active_nodes_are_told_in_order"],
    ),
    (
        "`N stepped down to follower since quorum is not active`",
        &["tests/tests/cluster/told.rs::a_leader_that_loses_its_majority_says_so"],
    ),
    (
        "`TickIntervalOverride is set",
        &["tests/tests/cluster/told.rs::a_tick_interval_that_is_overridden_is_told"],
    ),
    (
        "`Raft node stopped channel=Ch`",
        &["tests/tests/log_texts.rs::a_member_that_is_removed_stops_and_follows"],
    ),
    (
        "`Suspecting our own eviction from the channel`",
        &["tests/tests/cluster/told.rs::an_evicted_node_tells_how_it_found_out"],
    ),
    (
        "`Detected our own eviction from the channel in block",
        &["tests/tests/cluster/told.rs::an_evicted_node_tells_how_it_found_out"],
    ),
    (
        "`certificate extracted from TLS connection isn't authorized`",
        &[
            "tests/tests/cluster/told.rs::an_evicted_node_tells_how_it_found_out",
            "tests/tests/cluster/refused.rs::callers_without_a_members_certificate_are_refused",
        ],
    ),
    (
        "`Received msg to 5, my ID is probably wrong",
        &["tests/tests/log_texts.rs::a_member_addressed_by_another_id_halts_and_follows"],
    ),
    (
        "`tls: bad certificate`",
        &[
            "tests/tests/log_texts.rs::a_client_that_refuses_the_certificate_is_told",
            "orderer/tests/process.rs::a_client_that_refuses_an_expired_certificate_is_told_in_the_log",
        ],
    ),
    (
        "`channel does not exist`",
        &["tests/tests/log_texts.rs::an_envelope_for_no_channel_is_told_with_channel_and_client"],
    ),
    (
        "`broadcast client identity expired`",
        &["tests/tests/log_texts.rs::an_expired_client_is_told_of_by_both_services"],
    ),
    (
        "`Received status:FORBIDDEN from",
        &["tests/tests/log_texts.rs::a_node_that_may_not_pull_says_so"],
    ),
    (
        "`Received signal: `",
        &[
            "orderer/tests/process.rs::signals_are_answered_and_the_end_is_clean",
            "orderer/tests/process.rs::the_report_names_threads_and_where_they_wait_listeners_and_tasks",
        ],
    ),
    (
        "`ERRO` must **not** appear",
        &["tests/tests/log_texts.rs::a_new_member_joins_without_an_error_in_any_log"],
    ),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The rows of the first table of section 2.
fn rows() -> Vec<String> {
    let spec = fs::read_to_string(root().join("docs/spec/dropin.md")).expect("the specification");
    let (_, section) = spec
        .split_once("## 2. Log texts that are searched")
        .expect("section 2");
    let (section, _) = section.split_once("### 2.1").expect("its end");
    let rows = section.lines().filter_map(|line| line.strip_prefix("| "));
    rows.skip(1).map(str::to_owned).collect()
}

#[test]
fn every_row_of_the_table_has_its_test() {
    let rows = rows();
    assert!(rows.len() >= 20, "{rows:?}");
    for row in &rows {
        let proof = PROVEN_BY.iter().find(|(begin, _)| row.starts_with(begin));
        assert!(proof.is_some(), "no test is named for the row {row:?}");
    }
    for (begin, tests) in PROVEN_BY {
        assert!(
            rows.iter().any(|row| row.starts_with(begin)),
            "there is no row {begin}"
        );
        for test in *tests {
            let (file, name) = test.rsplit_once("::").expect("file::name");
            let code =
                fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
            assert!(code.contains(&format!("fn {name}(")), "{file} has no {name}");
        }
    }
}

/// The line of a log with this text, which must be there by now.
fn line(node: &Node, text: &str) -> String {
    node.wait_for(text, PATIENCE);
    let log = node.log();
    let found = log.lines().find(|line| line.contains(text));
    found.expect("it was there a moment ago").to_owned()
}

/// That level and logger, then the text and the fields at the end of the line.
fn assert_line(node: &Node, level_and_logger: &str, text_and_fields: &str) {
    let line = line(node, text_and_fields);
    assert!(line.contains(level_and_logger), "{line}");
    assert!(line.ends_with(text_and_fields), "{line}");
}

fn no_errors(members: &[Member]) {
    for member in members {
        let log = member.node.stderr();
        assert!(!log.contains("ERRO"), "{log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_is_told_with_the_number_of_chains_and_followers() {
    let mut cluster = Cluster::start(&ClusterSpec::of(1).with_spares(1)).await;
    cluster.launch(&[1]);
    cluster.join_with(1, cluster.genesis()).await;
    cluster.until_follower(1).await;
    for (node, counts) in [
        (0, "1, with 1 consensus.Chain(s) and 0 follower.Chain(s)"),
        (1, "1, with 0 consensus.Chain(s) and 1 follower.Chain(s)"),
    ] {
        let first = "Registrar initializing without a system channel, number of application channels: 0, \
                     with 0 consensus.Chain(s) and 0 follower.Chain(s)";
        let multichannel = "INFO [orderer.common.multichannel]";
        assert_line(&cluster.members[node].node, multichannel, first);
        line(&cluster.members[node].node, "Joining channel fixture");
        cluster.members[node].node.kill();
        cluster.members[node].node.start();
        let again = format!("number of application channels: {counts}");
        assert_line(&cluster.members[node].node, multichannel, &again);
        let ready = "Beginning to serve requests";
        assert_line(&cluster.members[node].node, "INFO [orderer.common.server]", ready);
        let log = cluster.members[node].node.log();
        assert!(log.find(&again) < log.find(ready), "{log}");
    }
    line(
        &cluster.members[0].node,
        "Created and started new channel fixture",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_member_joins_without_an_error_in_any_log() {
    let mut cluster = Cluster::start(&ClusterSpec::of(3).with_spares(1)).await;
    let (all, oracle) = ([0, 1, 2, 3], oracle());
    cluster.orders(&[0, 1, 2], &oracle).await;
    let leader = cluster.leader().await;
    let follower = (leader + 1) % 3;
    // Before it is a member, and before it has the channel, the others call it in vain.
    cluster.add(leader, 3).await;
    cluster.launch(&[3]);
    let block = cluster.config_block(leader).await;
    cluster.join_with(3, &block).await;
    cluster.until_consenter(3).await;
    cluster.orders(&all, &oracle).await;
    let list = async || {
        let log = cluster.members[follower].node.log();
        let last = log
            .lines()
            .rev()
            .find(|line| line.contains("Store ActiveNodes ["))?;
        last.contains('4').then(|| last.to_owned())
    };
    let told = cluster
        .wait_for_some("the new member among the active ones", list)
        .await;
    assert!(
        told.ends_with(&format!("] channel=fixture node={}", follower + 1)),
        "{told}"
    );
    line(&cluster.members[3].node, "Got block [1]");
    let writing = line(&cluster.members[leader].node, "Writing block [1] (Raft index: ");
    assert!(writing.contains("INFO [orderer.consensus.etcdraft]"), "{writing}");
    no_errors(&cluster.members);
    cluster.agree(&all, &oracle).await;
}

/// The leader tells the list again and again; a follower says it once.
#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_active_members_that_stays_the_same_is_said_once() {
    let mut spec = ClusterSpec::of(3);
    let logging = "orderer.consensus.etcdraft=debug:info".to_owned();
    spec.variables = vec![("FABRIC_LOGGING_SPEC".to_owned(), logging)];
    let cluster = Cluster::start(&spec).await;
    let leader = cluster.leader().await;
    let follower = &cluster.members[(leader + 1) % 3].node;
    follower.wait_for("Store ActiveNodes [", PATIENCE);
    let told = |log: &str| log.matches("Current active nodes in cluster are: ").count();
    let before = told(&cluster.members[leader].node.log());
    let look = async || (told(&cluster.members[leader].node.log()) >= before + 3).then_some(());
    cluster
        .wait_for_some("the leader's list, three times more", look)
        .await;
    let said = follower.log();
    let lists: Vec<_> = said
        .lines()
        .filter_map(|line| line.split_once("Store ActiveNodes ").map(|(_, list)| list))
        .collect();
    assert!(lists.windows(2).all(|pair| pair[0] != pair[1]), "{lists:?}");
    assert!(lists.len() <= 3, "{lists:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_is_removed_stops_and_follows() {
    let cluster = Cluster::start(&ClusterSpec::of(4)).await;
    let oracle = oracle();
    cluster.orders(&cluster.all(), &oracle).await;
    let leader = cluster.leader().await;
    let gone = (leader + 1) % 4;
    cluster.remove(leader, gone).await;
    let node = &cluster.members[gone].node;
    let stopped = format!("Raft node stopped channel=fixture node={}", gone + 1);
    assert_line(node, "INFO [orderer.consensus.etcdraft]", &stopped);
    let follows = "Created and started a follower.Chain for channel fixture";
    assert_line(node, "INFO [orderer.common.multichannel]", follows);
    let log = node.log();
    assert!(log.find(&stopped) < log.find(follows), "{log}");
    no_errors(&cluster.members);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_addressed_by_another_id_halts_and_follows() {
    let cluster = Cluster::start(&ClusterSpec::of(3)).await;
    let oracle = oracle();
    cluster.orders(&cluster.all(), &oracle).await;
    let message = raftpb::Message {
        r#type: MessageType::Heartbeat as i32,
        to: 5,
        from: 2,
        term: 1,
        ..raftpb::Message::default()
    };
    let connection = PeerConnection::open(&cluster, 0, &cluster.members[1].tls_files()).await;
    let mut call = connection.call().await;
    let sent = call.send(peer::consensus("fixture", &message)).await;
    sent.expect("the node takes messages of a member");
    let node = &cluster.members[0].node;
    let text = "Received msg to 5, my ID is probably wrong due to out of date, cowardly halting channel=fixture node=1";
    assert_line(node, "WARN [orderer.consensus.etcdraft]", text);
    node.wait_for(
        "Created and started a follower.Chain for channel fixture",
        PATIENCE,
    );
    cluster.orders(&[1, 2], &oracle).await;
    cluster.assert_no_panic();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_refuses_the_certificate_is_told() {
    let cluster = Cluster::start(&ClusterSpec::of(1)).await;
    let other = Cluster::new(&ClusterSpec::of(1));
    let mut target = cluster.target(0);
    // It knows another authority only.
    target.tls = Some(other.admin_tls_files().client());
    for _ in 0..100 {
        assert!(target.connect().await.is_err());
    }
    let line = line(&cluster.members[0].node, "tls: bad certificate");
    assert!(line.contains("WARN [core.comm]"), "{line}");
    assert!(line.contains("remoteaddress=127.0.0."), "{line}");
    let times = cluster.members[0]
        .node
        .log()
        .matches("tls: bad certificate")
        .count();
    assert!(times < 50, "said {times} times");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_envelope_for_no_channel_is_told_with_channel_and_client() {
    let cluster = Cluster::start(&ClusterSpec::of(1)).await;
    let nowhere = protos::ChannelId::parse("nowhere").expect("a name");
    let envelope = || {
        cluster
            .signer_of(&nowhere)
            .transaction(Bytes::from_static(b"x"))
            .bytes
    };
    assert!(cluster.submit(0, envelope()).await.is_err());
    let node = &cluster.members[0].node;
    let first = line(node, "channel does not exist");
    assert!(first.contains("WARN [orderer.common.broadcast]"), "{first}");
    let (before, _) = first.split_once("channel does not exist").expect("the text");
    assert!(
        before.contains("'nowhere'") && before.contains("from 127.0.0."),
        "{first}"
    );
    for _ in 0..100 {
        assert!(cluster.submit(0, envelope()).await.is_err());
    }
    let times = node.log().matches("channel does not exist").count();
    assert!((2..90).contains(&times), "said {times} times");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_client_is_told_of_by_both_services() {
    let mut network = Network::new(&NetworkSpec {
        has_expired_org: true,
        ..NetworkSpec::default()
    });
    network.node.start();
    network.join().await;
    let expired = network.expired_signer();
    let envelope = expired.transaction(Bytes::from_static(b"x")).bytes;
    let connection = network.connect().await;
    let sent = client::broadcast::submit_all(
        &connection,
        client::broadcast::BroadcastOptions::default(),
        [envelope],
    );
    assert!(sent.await.is_err());
    let told = line(&network.node, "broadcast client identity expired");
    assert!(told.contains("WARN [orderer.common.broadcast]"), "{told}");
    let seek = Seek::one(Position::Oldest);
    let mut blocks = DeliverStream::new(&connection, expired, seek, Resume::NEVER);
    assert!(blocks.next().await.is_err());
    let told = line(&network.node, "deliver client identity expired ");
    assert!(told.contains("WARN [common.deliver]"), "{told}");
    let (_, ago) = told.split_once("identity expired ").expect("the text");
    let (seconds, _) = ago.split_once("s before").expect("how long");
    assert!(seconds.parse::<f64>().is_ok(), "{told}");
}

/// A node of other organisations is given the channel's first block.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_may_not_pull_says_so() {
    let cluster = Cluster::start(&ClusterSpec::of(1)).await;
    cluster.orders(&[0], &oracle()).await;
    let mut strangers = Cluster::new(&ClusterSpec::of(1));
    strangers.launch(&[0]);
    let joined = strangers
        .admin(0)
        .join(cluster.genesis().encode_to_vec().into())
        .await;
    joined.expect("whoever administrates the node decides what it follows");
    let node = &strangers.members[0].node;
    let source = &cluster.members[0].place().cluster;
    let text =
        format!("Received status:FORBIDDEN from {source}: forbidden pulling the channel channel=fixture");
    assert_line(node, "WARN [orderer.common.cluster.replication]", &text);
    no_errors(&strangers.members);
    let refused = line(&cluster.members[0].node, "may not read channel 'fixture'");
    assert!(refused.contains("WARN [common.deliver]"), "{refused}");
    // Certificates do not belong into a log line of every try.
    assert!(!cluster.members[0].node.log().contains("BEGIN CERTIFICATE"));
}
