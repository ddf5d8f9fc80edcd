use std::collections::BTreeMap;

use serde_json::Value;

use super::*;

/// A telemetry whose spans stay in its queue.
fn queued(ratio: f64) -> (Telemetry, mpsc::Receiver<Vec<Span>>) {
    let (queue, queued) = mpsc::channel(QUEUE_MAX);
    let shared = Shared {
        threshold: threshold(ratio),
        blocks: Mutex::default(),
        queue,
        lost: Arc::default(),
    };
    (Telemetry(Arc::new(shared)), queued)
}

fn channel() -> ChannelId {
    ChannelId::parse("ch").unwrap()
}

/// All spans, as a collector would read them, by their names.
fn told(queued: &mut mpsc::Receiver<Vec<Span>>) -> BTreeMap<String, Value> {
    let mut spans = Vec::new();
    while let Ok(more) = queued.try_recv() {
        spans.extend(more);
    }
    let request = span::request(&[("service.name", "x".to_owned())], &spans);
    let spans = request["resourceSpans"][0]["scopeSpans"][0]["spans"]
        .as_array()
        .unwrap();
    let by_name = |span: &Value| (span["name"].as_str().unwrap().to_owned(), span.clone());
    spans.iter().map(by_name).collect()
}

fn journey(telemetry: &Telemetry) -> Journey {
    let mut journey = telemetry.sample().unwrap();
    journey.validated();
    journey.handed_over();
    journey
}

#[test]
fn a_ratio_chooses_that_share() {
    let count = |ratio| {
        let (telemetry, _queued) = queued(ratio);
        (0..10_000).filter(|_| telemetry.sample().is_some()).count()
    };
    assert_eq!(count(0.0), 0);
    assert_eq!(count(1.0), 10_000);
    let some = count(0.1);
    assert!((700..1300).contains(&some), "{some}");
}

#[test]
fn an_envelope_is_followed_from_its_receipt_to_its_delivery() {
    let (telemetry, mut queue) = queued(1.0);
    let (channel, number) = (channel(), BlockNumber(7));
    let journey = journey(&telemetry);
    telemetry.written(&channel, number, SystemTime::now());
    assert!(telemetry.follows("ch", number));
    telemetry.arrived(&journey, &channel, Ok(number));
    telemetry.delivered("ch", number, SystemTime::now());
    telemetry.delivered("ch", number, SystemTime::now());
    assert!(!telemetry.follows("ch", number));
    let spans = told(&mut queue);
    let names: Vec<_> = spans.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        ["broadcast", "consensus", "deliver", "order", "validate", "write"]
    );
    let root = &spans["broadcast"];
    assert_eq!(root["parentSpanId"], "");
    assert_eq!(root["traceId"].as_str().unwrap().len(), 32);
    for (name, span) in &spans {
        assert_eq!(span["traceId"], root["traceId"]);
        assert_eq!(span["attributes"][0]["value"]["stringValue"], "ch");
        if name != "broadcast" {
            assert_eq!(span["parentSpanId"], root["spanId"]);
        }
        if !matches!(name.as_str(), "validate" | "order") {
            assert_eq!(span["attributes"][1]["value"]["intValue"], "7", "{name}");
        }
        let time = |name: &str| span[name].as_str().unwrap().parse::<u128>().unwrap();
        assert!(time("startTimeUnixNano") <= time("endTimeUnixNano"));
    }
}

#[test]
fn a_block_that_was_delivered_before_its_envelope_arrived_is_told_as_well() {
    let (telemetry, mut queue) = queued(1.0);
    let (channel, number) = (channel(), BlockNumber(7));
    let journey = journey(&telemetry);
    telemetry.written(&channel, number, SystemTime::now());
    telemetry.delivered("ch", number, SystemTime::now());
    telemetry.arrived(&journey, &channel, Ok(number));
    assert!(told(&mut queue).contains_key("deliver"));
}

#[test]
fn what_went_wrong_is_told() {
    let (telemetry, mut queue) = queued(1.0);
    telemetry.refused(&telemetry.sample().unwrap(), "ch", "message was empty");
    let spans = told(&mut queue);
    assert_eq!(spans["broadcast"]["status"]["code"], 2);
    assert_eq!(spans["broadcast"]["status"]["message"], "message was empty");
    assert!(!spans.contains_key("order"));
}

#[test]
fn a_full_queue_loses_spans_and_keeps_nobody_waiting() {
    let (telemetry, queue) = queued(1.0);
    for number in 0..2 * QUEUE_MAX as u64 {
        telemetry.arrived(&journey(&telemetry), &channel(), Ok(BlockNumber(number)));
    }
    assert_eq!(queue.len(), QUEUE_MAX);
}
