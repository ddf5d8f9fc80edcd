//! Lines for programs: JSON and logfmt, with the field names of the reference.
//!
//! ```text
//! {"level":"info","ts":1795226516.2479694,"name":"orderer.common.server","caller":"server/mod.rs:208","msg":"..."}
//! ts=1795226516.2479694 level=info name=orderer.common.server caller=server/mod.rs:208 msg="..."
//! ```
//!
//! What an entry is about follows under its own names: `"channel":"ch1","node":1`.

use std::fmt::Write as _;

use tracing::Level;

use super::entry::{Entry, Value};

/// Appends an object.
pub fn json(entry: &Entry, line: &mut String) {
    let (level, seconds) = (level(entry.level()), seconds(entry));
    // Writing to a String cannot fail.
    let _ = write!(line, "{{\"level\":\"{level}\",\"ts\":{seconds}");
    let text = |value: &str| serde_json::Value::from(value).to_string();
    for (name, value) in [
        ("name", entry.logger().as_ref()),
        ("caller", &entry.caller()),
        ("msg", &entry.message),
    ] {
        let _ = write!(line, ",\"{name}\":{}", text(value));
    }
    for (name, value) in &entry.fields {
        let shown = match value {
            Value::Literal(literal) => literal.clone(),
            Value::Text(value) | Value::Shown(value) => text(value),
        };
        let _ = write!(line, ",{}:{shown}", text(name));
    }
    line.push('}');
}

/// Appends `key=value` throughout.
pub fn logfmt(entry: &Entry, line: &mut String) {
    let (level, seconds) = (level(entry.level()), seconds(entry));
    // Writing to a String cannot fail.
    let _ = write!(line, "ts={seconds} level={level}");
    let (logger, caller) = (entry.logger(), entry.caller());
    let fixed = [
        ("name", logger.as_ref()),
        ("caller", &caller),
        ("msg", &entry.message),
    ];
    let fields = entry.fields.iter().map(|(name, value)| (*name, value.as_str()));
    for (name, value) in fixed.into_iter().chain(fields) {
        let _ = write!(line, " {name}={}", quoted(value));
    }
}

/// Since 1970, in seconds.
#[expect(
    clippy::cast_precision_loss,
    reason = "a time stamp for readers: a double has 100 ns at this distance from 1970"
)]
fn seconds(entry: &Entry) -> f64 {
    entry.time.as_nanosecond() as f64 / 1e9
}

/// As logging specs name it.
fn level(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "info",
        Level::DEBUG => "debug",
        Level::TRACE => "payload",
    }
}

/// In quotes where a reader could not tell its end otherwise.
fn quoted(value: &str) -> String {
    let is_plain = |c: char| !c.is_whitespace() && !c.is_control() && !matches!(c, '"' | '=' | '\\');
    if !value.is_empty() && value.chars().all(is_plain) {
        value.to_owned()
    } else {
        serde_json::Value::from(value).to_string()
    }
}
