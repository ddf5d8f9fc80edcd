//! `docs/operating/monitor.md`: the addresses that it names are asked of a running node, and the metrics that it names are
//! ones that the node has.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use tests::fixture::cluster::check::oracle;
use tests::fixture::cluster::{Cluster, ClusterSpec};
use tests::fixture::http::Caller;

const PAGE: &str = "docs/operating/monitor.md";
/// Where the node's metrics get their names.
const METRICS: &str = "orderer/src/metrics";
/// First words of the names of metrics. What else has an underscore is a label or a function.
const FIRST_WORDS: [&str; 12] = [
    "broadcast",
    "blockcutter",
    "cluster",
    "consensus",
    "deliver",
    "etcd",
    "grpc",
    "ledger",
    "logging",
    "ordain",
    "participation",
    "process",
];
/// What Prometheus adds to the name of a histogram.
const OF_HISTOGRAMS: [&str; 3] = ["_bucket", "_sum", "_count"];

fn read(path: &str) -> String {
    let path = workspace().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The paths in the rows that begin with `GET`.
fn paths(page: &str) -> Vec<String> {
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `GET "));
    rows.filter_map(|row| row.split('`').next())
        .map(str::to_owned)
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_orders_answers_at_each_address_of_the_page() {
    let mut spec = ClusterSpec::of(1);
    "Metrics:\n  Provider: prometheus\n".clone_into(&mut spec.settings);
    let cluster = Cluster::start(&spec).await;
    cluster.orders(&[0], &oracle()).await;
    let paths = paths(&read(PAGE));
    assert!(paths.len() >= 6, "{paths:?}");
    let tls = cluster.admin_tls_files();
    let shows = Some((tls.certificate.as_path(), tls.key.as_path()));
    let caller = Caller::tls(&cluster.members[0].place().operations, &tls.authority, shows);
    for path in paths {
        let (status, body) = caller.get(&path).await.expect("an answer");
        assert_eq!(status, 200, "{path}: {body}");
        if path == "/metrics" {
            let height = "ledger_blockchain_height{channel=\"fixture\"}";
            assert!(body.contains(height), "{body}");
        }
    }
    cluster.assert_no_panic();
}

/// Names of metrics in a text.
fn metrics(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let is_one = |word: &&str| {
        let first = word.split('_').next().unwrap_or_default();
        word.contains('_') && !word.ends_with('_') && FIRST_WORDS.contains(&first)
    };
    words.filter(is_one).map(str::to_owned).collect()
}

/// The texts in double quotes of all files below a folder, with the dots of statsd's names as Prometheus writes them.
fn literals(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            literals(&path, found);
        } else {
            let text = fs::read_to_string(&path).expect("text");
            let quoted = text.split('"').skip(1).step_by(2);
            found.extend(quoted.map(|text| text.replace('.', "_")));
        }
    }
}

#[test]
fn each_metric_of_the_page_is_one_that_the_node_has() {
    let mut known = BTreeSet::new();
    literals(&workspace().join(METRICS), &mut known);
    let is_known = |name: &str| {
        let of_histogram = OF_HISTOGRAMS.iter().filter_map(|end| name.strip_suffix(end));
        known.contains(name) || of_histogram.into_iter().any(|base| known.contains(base))
    };
    let named = metrics(&read(PAGE));
    assert!(named.len() > 10, "{PAGE} names only {named:?}");
    let unknown: Vec<_> = named.iter().filter(|name| !is_known(name)).collect();
    assert!(
        unknown.is_empty(),
        "{PAGE} names metrics that no node has: {unknown:?}"
    );
}
