//! The way of envelopes as a collector of OpenTelemetry is told: a real one receives OTLP over HTTP.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;
use tests::fixture::cluster::check::{PATIENCE, oracle};
use tests::fixture::cluster::{Cluster, ClusterSpec};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Keeps the spans that it is sent.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<Value>>>);

impl Collector {
    /// Serves at the address that it answers.
    async fn start() -> (Self, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let collector = Self::default();
        let serving = collector.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let serving = serving.clone();
                tokio::spawn(async move { serving.serve(stream).await });
            }
        });
        (collector, format!("http://{address}/v1/traces"))
    }

    async fn serve(&self, mut stream: TcpStream) {
        let (head, body) = read_request(&mut stream).await;
        assert!(head.starts_with("POST /v1/traces HTTP/1.1\r\n"), "{head}");
        let head = head.to_ascii_lowercase();
        assert!(head.contains("content-type: application/json\r\n"), "{head}");
        let request: Value = serde_json::from_slice(&body).expect("JSON");
        for resource in request["resourceSpans"].as_array().expect("resources") {
            let service = &resource["resource"]["attributes"][0];
            assert_eq!(service["key"], "service.name");
            assert_eq!(service["value"]["stringValue"], "ordain-orderer");
            for scope in resource["scopeSpans"].as_array().expect("scopes") {
                let spans = scope["spans"].as_array().expect("spans");
                self.0
                    .lock()
                    .expect("nothing panics under it")
                    .extend(spans.iter().cloned());
            }
        }
        let answer = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";
        stream.write_all(answer.as_bytes()).await.expect("answered");
    }

    /// The spans of each trace, by their names.
    fn traces(&self) -> Vec<BTreeMap<String, Value>> {
        let mut traces = BTreeMap::<String, BTreeMap<String, Value>>::new();
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        for span in &*self.0.lock().expect("nothing panics under it") {
            let trace = traces.entry(text(&span["traceId"])).or_default();
            trace.insert(text(&span["name"]), span.clone());
        }
        traces.into_values().collect()
    }
}

async fn read_request(stream: &mut TcpStream) -> (String, Vec<u8>) {
    let mut received = Vec::new();
    let end = loop {
        assert!(stream.read_buf(&mut received).await.expect("a request") > 0);
        if let Some(end) = received.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
    };
    let head = String::from_utf8(received[..end].to_vec()).expect("text");
    let length = head.lines().find_map(|line| {
        line.to_ascii_lowercase()
            .strip_prefix("content-length: ")
            .map(str::to_owned)
    });
    let length: usize = length.expect("a length").parse().expect("a number");
    while received.len() < end + length {
        assert!(stream.read_buf(&mut received).await.expect("the rest") > 0);
    }
    (head, received.split_off(end))
}

fn traced(members: usize, endpoint: &str) -> ClusterSpec {
    let variable = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    ClusterSpec {
        variables: vec![
            variable("ORDERER_GENERAL_TRACING_ENDPOINT", endpoint),
            variable("ORDERER_GENERAL_TRACING_SAMPLERATIO", "1"),
        ],
        ..ClusterSpec::of(members)
    }
}

fn attribute(span: &Value, key: &str) -> String {
    let attributes = span["attributes"].as_array().expect("attributes");
    let found = attributes.iter().find(|attribute| attribute["key"] == key);
    let value = &found.unwrap_or_else(|| panic!("no {key}: {span}"))["value"];
    let text = value["stringValue"].as_str().or(value["intValue"].as_str());
    text.expect("a value").to_owned()
}

fn nanos(span: &Value, field: &str) -> u128 {
    span[field].as_str().expect("a text").parse().expect("a number")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_is_told_the_way_of_an_envelope_from_broadcast_to_deliver() {
    let (collector, endpoint) = Collector::start().await;
    let cluster = Cluster::start(&traced(3, &endpoint)).await;
    let (all, oracle) = (cluster.all(), oracle());
    cluster.orders(&all, &oracle).await;
    let chain = cluster.agree(&all, &oracle).await;
    // Each node has ordered one, and delivered all.
    let whole = async || {
        let traces = collector.traces();
        let names = ["broadcast", "validate", "order", "consensus", "write", "deliver"];
        let is_whole = |trace: &&BTreeMap<String, Value>| names.iter().all(|name| trace.contains_key(*name));
        let whole: Vec<_> = traces.iter().filter(is_whole).cloned().collect();
        (whole.len() >= 3).then_some(whole)
    };
    for trace in cluster.wait_for_some("three whole traces", whole).await {
        let root = &trace["broadcast"];
        let block: u64 = attribute(root, "ordain.block").parse().expect("a number");
        assert!((1..chain.len() as u64).contains(&block), "{root}");
        for (name, span) in &trace {
            assert_eq!(attribute(span, "ordain.channel"), "fixture");
            let is_root = name == "broadcast";
            assert_eq!(is_root, span["parentSpanId"] == "", "{span}");
            assert!(is_root || span["parentSpanId"] == root["spanId"], "{span}");
        }
        for name in ["consensus", "write", "deliver"] {
            assert_eq!(attribute(&trace[name], "ordain.block"), block.to_string());
        }
        let way = ["validate", "order", "consensus", "write"];
        let begins: Vec<_> = way
            .iter()
            .map(|name| nanos(&trace[*name], "startTimeUnixNano"))
            .collect();
        assert!(begins.is_sorted(), "{begins:?}");
        assert!(begins[0] >= nanos(root, "startTimeUnixNano"));
        assert!(nanos(&trace["write"], "endTimeUnixNano") <= nanos(root, "endTimeUnixNano"));
    }
    cluster.assert_no_panic();
}

/// It takes connections and never answers.
#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_hangs_slows_nothing_down() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let endpoint = format!("http://{}/v1/traces", listener.local_addr().expect("an address"));
    let held = tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            held.push(stream);
        }
    });
    let mut cluster = Cluster::start(&traced(1, &endpoint)).await;
    let oracle = oracle();
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(7) {
        let one = Instant::now();
        cluster.orders(&[0], &oracle).await;
        assert!(one.elapsed() < Duration::from_secs(2), "{:?}", one.elapsed());
    }
    let told = "spans are not sent to the collector: http://127.0.0.1:";
    cluster.members[0].node.wait_for(told, PATIENCE);
    cluster.members[0].node.terminate();
    let status = cluster.members[0].node.wait_for_end(PATIENCE);
    assert!(status.success(), "{status}");
    held.abort();
}
