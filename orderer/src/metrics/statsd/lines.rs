//! The lines of statsd, and what is new since the last ones.
//!
//! Names have dots where Prometheus has `_`, and the values of the labels behind them. Times are in seconds although
//! their kind is `ms`: the reference does so, and dashboards reckon with it. Of a histogram, each bucket in which
//! something came is one line with the mean of what came, and how many that were as the sampling rate: count and sum
//! are exact, and the number of lines is bounded however much came.

use std::collections::HashMap;

use crate::metrics::family::Value;
use crate::metrics::instrument::{Snapshot, to_f64};
use crate::metrics::registry::Collected;

/// What was written so far, by name.
#[derive(Clone, Debug, Default)]
pub(super) struct Written(HashMap<String, Value>);

impl Written {
    /// The lines for what came since, and what is written once they are. Series that are gone are forgotten.
    pub(super) fn since(&self, families: &[Collected], prefix: &str) -> (Vec<String>, Self) {
        let mut lines = Vec::new();
        let mut now = HashMap::new();
        for family in families {
            for (labels, value) in &family.samples {
                let name = name(prefix, family.description.path, labels);
                push_lines(&mut lines, &name, value, self.0.get(&name));
                now.insert(name, value.clone());
            }
        }
        (lines, Self(now))
    }
}

fn name(prefix: &str, path: &str, labels: &[String]) -> String {
    let mut name = format!("{prefix}{path}");
    for label in labels {
        name.push('.');
        let forbidden = |c: char| c.is_whitespace() || matches!(c, '.' | ':' | '|');
        name.extend(label.chars().map(|c| if forbidden(c) { '_' } else { c }));
    }
    name
}

fn push_lines(lines: &mut Vec<String>, name: &str, value: &Value, before: Option<&Value>) {
    match (value, before) {
        (Value::Counter(total), before) => {
            let before = match before {
                // A smaller one than before is another one.
                Some(Value::Counter(before)) if before <= total => *before,
                _ => 0.0,
            };
            if *total > before {
                lines.push(format!("{name}:{:.6}|c\n", total - before));
            }
        }
        (Value::Gauge(value), _) => {
            if *value < 0.0 {
                // A sign would mean a difference.
                lines.push(format!("{name}:0.000000|g\n"));
            }
            lines.push(format!("{name}:{value:.6}|g\n"));
        }
        (Value::Histogram(snapshot), before) => {
            let before = match before {
                Some(Value::Histogram(before)) if before.count() <= snapshot.count() => Some(before),
                _ => None,
            };
            push_histogram(lines, name, snapshot, before);
        }
    }
}

fn push_histogram(lines: &mut Vec<String>, name: &str, snapshot: &Snapshot, before: Option<&Snapshot>) {
    for (place, (count, sum)) in snapshot.buckets.iter().enumerate() {
        let before = before.and_then(|before| before.buckets.get(place));
        let (count_before, sum_before) = before.copied().unwrap_or_default();
        let came = count.saturating_sub(count_before);
        let mean = (sum - sum_before) / to_f64(came.max(1));
        match came {
            0 => {}
            1 => lines.push(format!("{name}:{mean:.6}|ms\n")),
            _ => lines.push(format!("{name}:{mean:.6}|ms|@{}\n", 1.0 / to_f64(came))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::registry::Registry;

    #[test]
    fn counters_are_sent_as_what_came_since_and_gauges_as_they_are() {
        let mut registry = Registry::default();
        let counters = registry.counters("b.count", "", &["host", "channel"]);
        let gauge = registry.gauge("a.level", "");
        counters.with(&["h.x:1 |", "ch"]).add(2);
        gauge.set(-1.5);
        let (lines, written) = Written::default().since(&registry.collect(), "pre.");
        assert_eq!(
            lines.concat(),
            "pre.a.level:0.000000|g\npre.a.level:-1.500000|g\npre.b.count.h_x_1__.ch:2.000000|c\n"
        );
        gauge.set(0.0);
        let (lines, written) = written.since(&registry.collect(), "pre.");
        assert_eq!(lines, ["pre.a.level:0.000000|g\n"]);
        counters.with(&["h.x:1 |", "ch"]).add(1);
        let (lines, _) = written.since(&registry.collect(), "pre.");
        assert_eq!(lines[1], "pre.b.count.h_x_1__.ch:1.000000|c\n");
        registry.forget_channel("ch");
        let (_, written) = written.since(&registry.collect(), "pre.");
        counters.with(&["h.x:1 |", "ch"]).add(1);
        let (lines, _) = written.since(&registry.collect(), "pre.");
        assert_eq!(lines[1], "pre.b.count.h_x_1__.ch:1.000000|c\n");
    }

    #[test]
    fn a_histogram_is_one_line_for_each_bucket_that_something_fell_into() {
        let mut registry = Registry::default();
        let times = registry.histogram("t", "", &[1.0, 2.0]);
        times.observe(0.5);
        times.observe_many(1.5, 3);
        times.observe(2.0);
        let (lines, written) = Written::default().since(&registry.collect(), "");
        assert_eq!(lines, ["t:0.500000|ms\n", "t:1.625000|ms|@0.25\n"]);
        times.observe(9.0);
        let (lines, _) = written.since(&registry.collect(), "");
        assert_eq!(lines, ["t:9.000000|ms\n"]);
    }
}
