//! The text that Prometheus reads, format 0.0.4.
//!
//! Labels stand in the order of their names, as the reference has them: tools search for whole lines.

use std::fmt::Write as _;

use super::family::{Kind, Value};
use super::instrument::Snapshot;
use super::registry::Collected;

/// What the text is, for HTTP.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Writes all of `families`.
pub fn encode(families: &[Collected]) -> String {
    let mut text = String::with_capacity(64 << 10);
    for family in families {
        encode_family(&mut text, family);
    }
    text
}

fn encode_family(text: &mut String, family: &Collected) {
    let name = family.description.name();
    let help = family.description.help.replace('\\', r"\\").replace('\n', r"\n");
    let kind = match family.kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Histogram => "histogram",
    };
    // Writing to a string does not fail.
    let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    for (values, value) in &family.samples {
        let labels = labels(family.description.labels, values);
        match value {
            Value::Counter(value) | Value::Gauge(value) => line(text, &name, &labels, &number(*value)),
            Value::Histogram(snapshot) => encode_histogram(text, &name, &labels, snapshot),
        }
    }
}

fn encode_histogram(text: &mut String, name: &str, labels: &[String], snapshot: &Snapshot) {
    let bucket = format!("{name}_bucket");
    let ends = snapshot.bounds.iter().copied().chain([f64::INFINITY]);
    let mut below = 0;
    for (end, (count, _)) in ends.zip(&snapshot.buckets) {
        below += count;
        let mut labels = labels.to_vec();
        labels.push(format!("le=\"{}\"", number(end)));
        line(text, &bucket, &labels, &below.to_string());
    }
    line(text, &format!("{name}_sum"), labels, &number(snapshot.sum()));
    line(text, &format!("{name}_count"), labels, &below.to_string());
}

fn line(text: &mut String, name: &str, labels: &[String], value: &str) {
    let _ = if labels.is_empty() {
        writeln!(text, "{name} {value}")
    } else {
        writeln!(text, "{name}{{{}}} {value}", labels.join(","))
    };
}

fn labels(names: &[&str], values: &[String]) -> Vec<String> {
    let mut pairs: Vec<(&&str, &String)> = names.iter().zip(values).collect();
    pairs.sort_unstable();
    let pair = |(name, value): (&&str, &String)| format!("{name}=\"{}\"", escaped(value));
    pairs.into_iter().map(pair).collect()
}

fn escaped(value: &str) -> String {
    value
        .replace('\\', r"\\")
        .replace('"', "\\\"")
        .replace('\n', r"\n")
}

fn number(value: f64) -> String {
    if value == f64::INFINITY {
        "+Inf".to_owned()
    } else {
        value.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::super::registry::Registry;
    use super::*;

    #[test]
    fn each_kind_is_written_as_prometheus_reads_it() {
        let mut registry = Registry::default();
        registry.counter("b.opened", "how many \\ there\nwere").add(7);
        registry
            .gauges("a", "level", &["type", "channel"])
            .with(&["x\"\\\ny", "ch"])
            .set(2.5);
        registry.counters("unused", "nothing yet", &["channel"]);
        let times = registry.histograms("c.time", "seconds", &["host"], &[0.005, 1.0]);
        times.with(&["h"]).observe_many(0.25, 2);
        times.with(&["h"]).observe(3.0);
        let expected = "\
# HELP a level
# TYPE a gauge
a{channel=\"ch\",type=\"x\\\"\\\\\\ny\"} 2.5
# HELP b_opened how many \\\\ there\\nwere
# TYPE b_opened counter
b_opened 7
# HELP c_time seconds
# TYPE c_time histogram
c_time_bucket{host=\"h\",le=\"0.005\"} 0
c_time_bucket{host=\"h\",le=\"1\"} 2
c_time_bucket{host=\"h\",le=\"+Inf\"} 3
c_time_sum{host=\"h\"} 3.5
c_time_count{host=\"h\"} 3
";
        assert_eq!(encode(&registry.collect()), expected);
    }
}
