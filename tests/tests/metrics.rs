//! What nodes count, seen from outside: scraped and compared with what was done, received as statsd, and compared with
//! the page and the dashboard that operators are given.

#![expect(
    clippy::float_cmp,
    reason = "counts are whole numbers, which floating point compares exactly"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader};
use std::net::{TcpListener, UdpSocket};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use client::broadcast::{Acknowledge, BroadcastError, BroadcastOptions, submit_all};
use client::deliver::{DeliverStream, Position, Resume, Seek};
use orderer::metrics::Metrics;
use orderer::metrics::family::Kind;
use protos::ChannelId;
use tests::fixture::clients::read_chain;
use tests::fixture::cluster::check::{PATIENCE, oracle};
use tests::fixture::cluster::load::{Load, LoadSpec};
use tests::fixture::cluster::{Cluster, ClusterSpec};
use tests::fixture::metrics::{Scrape, Scraper, with_variables};
use tests::fixture::network::{Network, NetworkSpec};

/// Envelopes sent at each level.
const SENT: u32 = 25;

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Runtime::new().expect("a runtime")
}

async fn send(network: &Network, level: Acknowledge, count: u32) {
    let signer = network.signer();
    let envelopes = (0..count).map(|_| signer.transaction(Bytes::from_static(b"counted")).bytes);
    let options = BroadcastOptions {
        acknowledge: Some(level),
        ..BroadcastOptions::default()
    };
    let answered = submit_all(&network.connect().await, options, envelopes).await;
    assert_eq!(answered.expect("all are taken"), u64::from(count));
}

async fn send_in_vain(network: &Network, envelope: Bytes) {
    let connection = network.connect().await;
    let refused = submit_all(&connection, BroadcastOptions::default(), [envelope]).await;
    assert!(
        matches!(refused, Err(BroadcastError::Refused { .. })),
        "{refused:?}"
    );
}

#[test]
fn a_node_counts_what_passes() {
    let runtime = runtime();
    let mut network = Network::new(&NetworkSpec::default());
    let scraper = Scraper::on(&mut network.node);
    network.node.start();
    let height = runtime.block_on(async {
        network.join().await;
        send(&network, Acknowledge::Accepted, SENT).await;
        send(&network, Acknowledge::Committed, SENT).await;
        send_in_vain(&network, network.impostor().transaction(Bytes::new()).bytes).await;
        let elsewhere = ChannelId::parse("elsewhere").expect("a name");
        send_in_vain(
            &network,
            network.signer_of(&elsewhere).transaction(Bytes::new()).bytes,
        )
        .await;
        u32::try_from(read_chain(&network).await.len()).expect("a short chain")
    });
    // The last streams end a moment after their last message.
    let streams = "grpc_server_stream_requests_completed{code=\"OK\",method=\"Broadcast\",service=\"orderer_AtomicBroadcast\"}";
    let scrape = scraper.wait_for("all streams ended", |scrape| {
        scrape.get(streams) == Some(4.0) && scrape.get("deliver_streams_closed") == Some(1.0)
    });
    assert_broadcast(&scrape);
    assert_blocks(&scrape, f64::from(height));
    assert_node(&scrape);
}

/// The counts of what was sent and refused.
fn assert_broadcast(scrape: &Scrape) {
    let sent = f64::from(2 * SENT);
    let success = "{channel=\"fixture\",status=\"SUCCESS\",type=\"ENDORSER_TRANSACTION\"}";
    let forbidden = "{channel=\"fixture\",status=\"FORBIDDEN\",type=\"ENDORSER_TRANSACTION\"}";
    let unknown = "{channel=\"unknown\",status=\"BAD_REQUEST\",type=\"ENDORSER_TRANSACTION\"}";
    let of = |name: &str, labels: &str| scrape.value(&format!("{name}{labels}"));
    for (labels, count) in [(success, sent), (forbidden, 1.0), (unknown, 1.0)] {
        assert_eq!(of("broadcast_processed_count", labels), count, "{labels}");
        assert_eq!(of("broadcast_validate_duration_count", labels), count, "{labels}");
    }
    assert_eq!(of("broadcast_enqueue_duration_count", success), sent);
    assert_eq!(
        of("ordain_refused_count", "{channel=\"fixture\",reason=\"denied\"}"),
        1.0
    );
    assert_eq!(
        of(
            "ordain_refused_count",
            "{channel=\"unknown\",reason=\"unknown_channel\"}"
        ),
        1.0
    );
    let method = "{method=\"Broadcast\",service=\"orderer_AtomicBroadcast\"}";
    assert_eq!(of("grpc_server_stream_requests_received", method), 4.0);
    assert_eq!(of("grpc_server_stream_messages_received", method), sent + 2.0);
    assert_eq!(of("grpc_server_stream_messages_sent", method), sent + 2.0);
    let ended = "{code=\"OK\",method=\"Broadcast\",service=\"orderer_AtomicBroadcast\"}";
    assert_eq!(of("grpc_server_stream_request_duration_count", ended), 4.0);
    // Each of the clients has a connection of its own.
    assert!(of("grpc_comm_conn_opened", "") >= 5.0);
    assert!(of("grpc_comm_conn_closed", "") <= of("grpc_comm_conn_opened", ""));
}

/// The counts of a chain of this height, which was read once.
fn assert_blocks(scrape: &Scrape, height: f64) {
    let channel = |name: &str| scrape.value(&format!("{name}{{channel=\"fixture\"}}"));
    // The genesis block came with the join, and nobody cut it.
    let cut = height - 1.0;
    assert_eq!(channel("ledger_blockchain_height"), height);
    assert_eq!(channel("ledger_blockstorage_commit_time_count"), cut);
    assert_eq!(channel("blockcutter_block_fill_duration_count"), cut);
    assert!(channel("ordain_ledger_sync_blocks_count") <= cut);
    assert_eq!(channel("ordain_ledger_sync_blocks_sum"), cut);
    let stage = |name: &str| {
        scrape.value(&format!(
            "ordain_stage_duration_seconds_count{{channel=\"fixture\",stage=\"{name}\"}}"
        ))
    };
    let taken = f64::from(2 * SENT);
    assert_eq!([stage("order"), stage("write")], [cut, cut]);
    assert_eq!([stage("validate"), stage("total")], [taken + 1.0, taken]);
    let deliver = "{channel=\"fixture\",data_type=\"block\",filtered=\"false\"}";
    assert_eq!(scrape.value(&format!("deliver_blocks_sent{deliver}")), height);
    assert_eq!(scrape.value(&format!("deliver_requests_received{deliver}")), 1.0);
    let completed = "deliver_requests_completed{channel=\"fixture\",data_type=\"block\",filtered=\"false\",success=\"true\"}";
    assert_eq!(scrape.value(completed), 1.0);
    assert_eq!(scrape.value("deliver_streams_opened"), 1.0);
    let sent = "grpc_server_stream_messages_sent{method=\"Deliver\",service=\"orderer_AtomicBroadcast\"}";
    assert_eq!(scrape.value(sent), height + 1.0);
    assert_eq!(channel("participation_consensus_relation"), 1.0);
    assert_eq!(channel("participation_status"), 1.0);
    for idle in [
        "ordain_channel_quarantined",
        "ordain_channel_lag_blocks",
        "ordain_chain_mailbox_bytes",
        "ordain_submissions_dropped_count",
    ] {
        assert_eq!(channel(idle), 0.0, "{idle}");
    }
}

/// What the node says of itself.
fn assert_node(scrape: &Scrape) {
    let version = format!("fabric_version{{version=\"{}\"}}", env!("CARGO_PKG_VERSION"));
    assert_eq!(scrape.value(&version), 1.0);
    assert_eq!(scrape.value("ordain_intake_paused"), 0.0);
    for folder in ["ledger", "raft_log"] {
        let free = scrape.value(&format!("ordain_disk_free_bytes{{folder=\"{folder}\"}}"));
        let size = scrape.value(&format!("ordain_disk_size_bytes{{folder=\"{folder}\"}}"));
        assert!(0.0 < free && free <= size, "{folder}: {free} of {size}");
    }
    for role in ["enrolment", "server_tls", "admin_tls"] {
        let days = scrape.value(&format!("ordain_certificate_days_left{{role=\"{role}\"}}"));
        assert!((3000.0..4000.0).contains(&days), "{role}: {days}");
    }
    for counts in ["logging_entries_checked", "logging_entries_written"] {
        assert!(scrape.value(&format!("{counts}{{level=\"info\"}}")) > 0.0);
    }
    assert!(scrape.value("process_cpu_seconds_total") > 0.0);
    assert!(scrape.value("process_resident_memory_bytes") > 1e6);
    // What tools search for.
    for (name, kind) in [
        ("grpc_server_stream_request_duration", "histogram"),
        ("grpc_comm_conn_opened", "counter"),
        ("grpc_comm_conn_closed", "counter"),
    ] {
        assert_eq!(scrape.kind(name), Some(kind), "{name}");
    }
}

#[test]
fn a_removed_channel_leaves_no_series() {
    let runtime = runtime();
    let mut network = Network::new(&NetworkSpec::default());
    let scraper = Scraper::on(&mut network.node);
    network.node.start();
    runtime.block_on(async {
        network.join().await;
        send(&network, Acknowledge::Committed, SENT).await;
        read_chain(&network).await;
    });
    assert!(scraper.scrape().mentioning("fixture").len() > 50);
    runtime.block_on(async {
        network
            .admin()
            .remove(network.channel())
            .await
            .expect("it is removed");
    });
    scraper.wait_for("nothing of the channel", |scrape| {
        scrape.mentioning("fixture").is_empty()
    });
    runtime.block_on(async {
        network.join().await;
        send(&network, Acknowledge::Committed, 1).await;
    });
    let success =
        "broadcast_processed_count{channel=\"fixture\",status=\"SUCCESS\",type=\"ENDORSER_TRANSACTION\"}";
    assert_eq!(scraper.scrape().value(success), 1.0);
}

/// Nodes of a cluster, and a scraper for each.
struct Scraped {
    cluster: Cluster,
    scrapers: Vec<Scraper>,
}

impl Scraped {
    /// All of them join the channel.
    async fn start(spec: &ClusterSpec) -> Self {
        let mut cluster = Cluster::new(spec);
        let members = cluster.members.iter_mut();
        let scrapers = members.map(|member| Scraper::on(&mut member.node)).collect();
        let all = cluster.all();
        cluster.launch(&all);
        cluster.join(&all).await;
        cluster.leader().await;
        Self { cluster, scrapers }
    }
}

#[test]
fn members_tell_who_leads_and_how_many_there_are() {
    runtime().block_on(async {
        let mut scraped = Scraped::start(&ClusterSpec::of(3).with_spares(1)).await;
        let oracle = oracle();
        scraped.cluster.orders(&[0, 1, 2], &oracle).await;
        let leader = scraped.cluster.leader().await;
        let of = |name: &str| format!("{name}{{channel=\"fixture\"}}");
        let height = scraped
            .cluster
            .equal_heights(&[0, 1, 2], scraped.cluster.channel())
            .await;
        let newest = u32::try_from(height - 1).map(f64::from).expect("a short chain");
        for node in 0..3 {
            let scrape = scraped.scrapers[node].wait_for("all members active", |scrape| {
                scrape.get(&of("consensus_etcdraft_active_nodes")) == Some(3.0)
                    && scrape.get(&of("consensus_etcdraft_committed_block_number")) == Some(newest)
            });
            let value = |name: &str| scrape.value(&of(name));
            let leads = f64::from(u8::from(node == leader));
            assert_eq!(value("consensus_etcdraft_is_leader"), leads, "node {node}");
            assert_eq!(value("consensus_etcdraft_cluster_size"), 3.0);
            assert_eq!(
                [value("ordain_raft_quorum_have"), value("ordain_raft_quorum_need")],
                [3.0, 2.0]
            );
            assert!(value("ordain_raft_leader_id") >= 1.0);
            assert_eq!(value("consensus_etcdraft_normal_proposals_received"), 1.0);
            assert_eq!(value("consensus_etcdraft_proposal_failures"), 0.0);
            assert!(value("consensus_etcdraft_leader_changes") >= 1.0);
            assert!(value("consensus_etcdraft_data_persist_duration_count") >= newest);
            assert!(scrape.value("etcd_disk_wal_fsync_duration_seconds_count") >= 1.0);
            assert_eq!(value("participation_consensus_relation"), 1.0);
            assert_eq!(value("ordain_channel_lag_blocks"), 0.0);
            assert_eq!(value("ordain_chain_pending_envelopes"), 0.0);
            // One for each kind of message and peer, made when it is first needed.
            let connections = scrape.value("cluster_comm_egress_tls_connection_count");
            assert!((2.0..=6.0).contains(&connections), "{connections}");
            assert!((2.0..=6.0).contains(&value("cluster_comm_egress_queue_workers")));
            assert!(scrape.value("cluster_comm_ingress_stream_count") >= 2.0);
            let blocks_cut = scrape.get(&of("blockcutter_block_fill_duration_count"));
            assert_eq!(blocks_cut.unwrap_or_default(), leads * newest, "node {node}");
        }
        let beside = scraped.scrapers[3].wait_for("the follower has all blocks", |scrape| {
            scrape.get(&of("ledger_blockchain_height")) == Some(newest + 1.0)
        });
        assert_eq!(beside.value(&of("participation_consensus_relation")), 2.0);
        assert_eq!(beside.get(&of("consensus_etcdraft_is_leader")), None);
        assert_eq!(beside.value(&of("ordain_channel_lag_blocks")), 0.0);

        scraped.cluster.members[leader].node.kill();
        let next = scraped.cluster.leader_other_than(leader).await;
        let scrape = scraped.scrapers[next].wait_for("two members are left", |scrape| {
            scrape.get(&of("ordain_raft_quorum_have")) == Some(2.0)
        });
        assert_eq!(scrape.value(&of("consensus_etcdraft_is_leader")), 1.0);
    });
}

const STREAMS: &str = "cluster_comm_egress_stream_count{channel=\"fixture\"}";
const CONNECTIONS: &str = "cluster_comm_egress_tls_connection_count";
const STALLED: &str = "ordain_cluster_streams_stalled_count";

/// What clients send, more than the windows of a stream to a peer hold.
const LARGE: LoadSpec = LoadSpec {
    pause: Duration::from_millis(50),
    in_flight_max: 8,
    acknowledge: Acknowledge::Committed,
    data_bytes: 400_000,
};

/// Envelopes that show that ordering goes on.
const GOES_ON: usize = 10;

/// Three members that give a stream up soon, and whose leader stays.
fn members_with_short_patience() -> ClusterSpec {
    let mut spec = ClusterSpec::of(3);
    spec.variables = vec![("ORDERER_GENERAL_CLUSTER_RPCTIMEOUT".to_owned(), "1s".to_owned())];
    spec.options.election_tick = 50;
    spec
}

/// The peer is stopped where it is (its connections stay, and nothing is read from them), then killed, then started.
#[test]
fn a_peer_that_takes_nothing_and_one_that_is_gone_show_in_the_queues_and_streams_towards_them() {
    runtime().block_on(async {
        let Scraped {
            mut cluster,
            scrapers,
        } = Scraped::start(&members_with_short_patience()).await;
        let (all, oracle) = (cluster.all(), oracle());
        cluster.orders(&all, &oracle).await;
        let leader = cluster.leader().await;
        let [sick, well] = [(leader + 1) % 3, (leader + 2) % 3];
        let towards = [Towards::of(&cluster, sick), Towards::of(&cluster, well)];
        let seen = &scrapers[leader];
        let before = seen.scrape();
        assert_eq!(
            [before.value(STALLED), before.value(&towards[0].dropped)],
            [0.0, 0.0]
        );
        // Heartbeats and blocks have 100 places each; transactions are bounded by their bytes.
        assert_eq!(before.value(&towards[0].capacity), 200.0);

        let load = Load::start(&cluster, &[leader, well], &oracle, LARGE);
        load.goes_on(GOES_ON).await;
        cluster.members[sick].node.pause();
        assert_seen_waiting(seen, &towards[0]);
        load.goes_on(GOES_ON).await;
        cluster.members[sick].node.kill();
        let gone = seen_gone(seen, &towards[0], &before);
        load.goes_on(GOES_ON).await;
        load.stop().await;
        let now = seen.scrape();
        let [to_sick, to_well] = towards.each_ref().map(|series| now.value(&series.sent));
        assert_eq!(to_sick, gone.value(&towards[0].sent), "nothing is sent to nobody");
        assert!(to_well > gone.value(&towards[1].sent));
        assert_eq!(now.value(&towards[1].dropped), 0.0);

        cluster.members[sick].node.start();
        cluster.orders(&all, &oracle).await;
        seen.wait_for("all that waited is sent", |scrape| {
            scrape.value(STREAMS) >= before.value(STREAMS)
                && scrape.value(&towards[0].length) <= 1.0
                && scrape.value(&towards[0].sent) > to_sick
        });
        cluster.agree(&all, &oracle).await;
    });
}

fn assert_seen_waiting(seen: &Scraper, towards: &Towards) {
    seen.wait_for("blocks wait for the stopped peer", |scrape| {
        scrape.value(&towards.length) > 0.0 && scrape.value(&towards.bytes) > 400_000.0
    });
    seen.wait_for("its stream is given up", |scrape| scrape.value(STALLED) >= 1.0);
}

fn seen_gone(seen: &Scraper, towards: &Towards, before: &Scrape) -> Scrape {
    let what = "its streams are gone, and heartbeats give way to newer ones";
    seen.wait_for(what, |scrape| {
        scrape.value(STREAMS) <= before.value(STREAMS) - 2.0
            && scrape.value(CONNECTIONS) <= before.value(CONNECTIONS) - 2.0
            && scrape.value(&towards.dropped) > 0.0
    })
}

/// The series of what waits for one peer and is sent to it.
struct Towards {
    capacity: String,
    length: String,
    bytes: String,
    dropped: String,
    sent: String,
}

impl Towards {
    fn of(cluster: &Cluster, node: usize) -> Self {
        let host = &cluster.members[node].place().cluster;
        let queue =
            |name: &str| format!("{name}{{channel=\"fixture\",host=\"{host}\",msg_type=\"consensus\"}}");
        let peer = |name: &str| format!("{name}{{channel=\"fixture\",host=\"{host}\"}}");
        Self {
            capacity: queue("cluster_comm_egress_queue_capacity"),
            length: queue("cluster_comm_egress_queue_length"),
            bytes: queue("ordain_cluster_egress_queue_bytes"),
            dropped: peer("cluster_comm_msg_dropped_count"),
            sent: peer("cluster_comm_msg_send_time_count"),
        }
    }
}

/// A metric of the page: type and labels.
type Documented = BTreeMap<String, (String, BTreeSet<String>)>;

fn docs(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../docs/operating")
        .join(name);
    std::fs::read_to_string(path).expect("a page of the documentation")
}

/// The rows of the tables of `metrics.md` that begin with a metric.
fn documented() -> Documented {
    let page = docs("metrics.md");
    let rows = page.lines().filter(|line| line.starts_with("| `"));
    let mut metrics = Documented::new();
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        // There are tables of other things.
        let Some(&[name, kind, labels]) = cells.first_chunk() else {
            continue;
        };
        if !["counter", "gauge", "histogram"].contains(&kind) {
            continue;
        }
        let labels = labels.split([',', ' ']).map(|label| label.trim_matches('`'));
        let labels = labels
            .filter(|label| !label.is_empty())
            .map(str::to_owned)
            .collect();
        let twin = metrics.insert(name.trim_matches('`').to_owned(), (kind.to_owned(), labels));
        assert_eq!(twin, None, "{name} stands there twice");
    }
    metrics
}

#[test]
fn the_page_has_every_metric_with_its_type_and_labels() {
    let metrics = Metrics::default();
    let registered: Documented = metrics
        .registry()
        .descriptions()
        .map(|(description, kind)| {
            let kind = match kind {
                Kind::Counter => "counter",
                Kind::Gauge => "gauge",
                Kind::Histogram => "histogram",
            };
            let labels = description
                .labels
                .iter()
                .map(|label| (*label).to_owned())
                .collect();
            (description.name(), (kind.to_owned(), labels))
        })
        .collect();
    assert_eq!(documented(), registered);
}

#[test]
fn every_metric_of_the_page_and_the_dashboard_is_in_a_real_scrape() {
    let scrapes = runtime().block_on(async {
        let scraped = Scraped::start(&ClusterSpec::of(3).with_spares(1)).await;
        let (cluster, oracle) = (&scraped.cluster, oracle());
        cluster.orders(&[0, 1, 2], &oracle).await;
        cluster.agree(&[0, 1, 2], &oracle).await;
        let elsewhere = ChannelId::parse("elsewhere").expect("a name");
        let stray = cluster.signer_of(&elsewhere).transaction(Bytes::new()).bytes;
        assert!(cluster.submit(0, stray).await.is_err());
        scraped.scrapers.iter().map(Scraper::scrape).collect::<Vec<_>>()
    });
    let shown: BTreeSet<String> = scrapes.iter().flat_map(Scrape::names).collect();
    let documented = documented();
    let missing: Vec<_> = documented.keys().filter(|name| !shown.contains(*name)).collect();
    assert!(missing.is_empty(), "on the page and not in a scrape: {missing:?}");
    let unknown: Vec<_> = shown
        .iter()
        .filter(|name| !documented.contains_key(*name))
        .collect();
    assert!(unknown.is_empty(), "in a scrape and not on the page: {unknown:?}");
    for (source, names) in [("grafana.json", dashboard()), ("metrics.md", alerts())] {
        assert!(names.len() > 5, "{source}");
        for name in names {
            let bare = ["_bucket", "_sum", "_count"]
                .iter()
                .find_map(|end| name.strip_suffix(end));
            let is_there = shown.contains(&name)
                || bare.is_some_and(|bare| {
                    scrapes
                        .iter()
                        .any(|scrape| scrape.kind(bare) == Some("histogram"))
                });
            assert!(is_there, "{source} asks for {name}, which no node shows");
        }
    }
}

/// Names of metrics in the queries of the dashboard.
fn dashboard() -> BTreeSet<String> {
    let dashboard: serde_json::Value = serde_json::from_str(&docs("grafana.json")).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels");
    let targets = panels
        .iter()
        .filter_map(|panel| panel["targets"].as_array())
        .flatten();
    let queries = targets.map(|target| target["expr"].as_str().expect("a query"));
    queries.flat_map(names_in).collect()
}

/// Names of metrics in the alert rules of the page.
fn alerts() -> BTreeSet<String> {
    let page = docs("metrics.md");
    let queries = page.lines().filter_map(|line| line.trim().strip_prefix("expr: "));
    queries.flat_map(names_in).collect()
}

/// Words of a query that are names: those with a prefix of a metric, outside of quotes and label lists.
fn names_in(query: &str) -> BTreeSet<String> {
    const PREFIXES: [&str; 13] = [
        "broadcast_",
        "blockcutter_",
        "cluster_comm_",
        "consensus_etcdraft_",
        "deliver_",
        "etcd_",
        "fabric_version",
        "grpc_",
        "ledger_",
        "logging_",
        "ordain_",
        "participation_",
        "process_",
    ];
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = query.split(|c: char| !is_word(c));
    let names = words.filter(|word| PREFIXES.iter().any(|prefix| word.starts_with(prefix)));
    names.map(str::to_owned).collect()
}

/// What `docs/spec/dropin.md` §9 lists, without the runtime of another language.
const STATSD: [&str; 11] = [
    "ordererorg_orderer.consensus.etcdraft.committed_block_number",
    "ordererorg_orderer.participation.consensus_relation",
    "ordererorg_orderer.ledger.blockchain_height",
    "ordererorg_orderer.ledger.blockstorage_commit_time",
    "ordererorg_orderer.logging.entries_checked.info:",
    "ordererorg_orderer.logging.entries_written.info:",
    "ordererorg_orderer.grpc.server.stream_requests_received.orderer_AtomicBroadcast.Deliver:",
    "ordererorg_orderer.grpc.server.stream_requests_completed.orderer_AtomicBroadcast.Deliver.",
    "ordererorg_orderer.grpc.server.stream_request_duration.orderer_AtomicBroadcast.Deliver.",
    "ordererorg_orderer.grpc.server.stream_messages_received.orderer_AtomicBroadcast.Deliver",
    "ordererorg_orderer.grpc.server.stream_messages_sent.orderer_AtomicBroadcast.Deliver",
];

/// Everything that a statsd server has received.
type Received = Arc<Mutex<String>>;

/// A node that orders a raft channel alone and writes to this statsd server.
fn check_statsd(network: &str, address: &str, received: &Received) {
    runtime().block_on(async {
        let mut cluster = Cluster::new(&ClusterSpec::of(1));
        let variables = [
            ("ORDERER_METRICS_PROVIDER", "statsd"),
            ("ORDERER_METRICS_STATSD_NETWORK", network),
            ("ORDERER_METRICS_STATSD_ADDRESS", address),
            ("ORDERER_METRICS_STATSD_WRITEINTERVAL", "200ms"),
            ("ORDERER_METRICS_STATSD_PREFIX", "ordererorg_orderer"),
        ];
        with_variables(&mut cluster.members[0].node, &variables);
        cluster.launch(&[0]);
        cluster.join(&[0]).await;
        cluster.leader().await;
        cluster.orders(&[0], &oracle()).await;
        let connection = cluster.connect(0).await.expect("a connection");
        let seek = Seek::range(Position::Oldest, Position::Newest);
        let mut blocks = DeliverStream::new(&connection, cluster.signer(), seek, Resume::NEVER);
        while blocks.next().await.expect("blocks").is_some() {}
        drop(blocks);
        let deadline = Instant::now() + PATIENCE;
        let missing = || {
            let text = received.lock().expect("the text");
            STATSD
                .iter()
                .filter(|name| !text.contains(**name))
                .copied()
                .collect::<Vec<_>>()
        };
        while !missing().is_empty() {
            assert!(Instant::now() < deadline, "not received: {:?}", missing());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let text = received.lock().expect("the text").clone();
    let height = "ordererorg_orderer.ledger.blockchain_height.fixture:2.000000|g";
    assert!(text.lines().any(|line| line == height), "{text}");
    // As differences: all of them together are what was sent.
    let processed = "ordererorg_orderer.broadcast.processed_count.fixture.ENDORSER_TRANSACTION.SUCCESS:";
    let counts = text.lines().filter_map(|line| line.strip_prefix(processed));
    assert_eq!(counts.collect::<Vec<_>>(), ["1.000000|c"]);
}

#[test]
fn statsd_is_written_over_tcp() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("it has one").to_string();
    let received = Received::default();
    let text = Arc::clone(&received);
    std::thread::spawn(move || {
        let (stream, _) = listener.accept().expect("the node connects");
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            let mut text = text.lock().expect("the text");
            text.push_str(&line);
            text.push('\n');
        }
    });
    check_statsd("tcp", &address, &received);
}

#[test]
fn statsd_is_written_over_udp() {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let address = socket.local_addr().expect("it has one").to_string();
    let received = Received::default();
    let text = Arc::clone(&received);
    std::thread::spawn(move || {
        let mut packet = [0; 2048];
        while let Ok(bytes) = socket.recv(&mut packet) {
            *text.lock().expect("the text") += &String::from_utf8_lossy(&packet[..bytes]);
        }
    });
    check_statsd("udp", &address, &received);
}
