//! One event into one line.

use std::fmt::{self, Write as _};
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use jiff::Timestamp;
use parking_lot::Mutex;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use super::names::logger;
use super::spec::Spec;

/// Filter, counter and output of the log.
pub struct Console {
    spec: ArcSwap<Spec>,
    /// Number of the next line, from 1, shown in hexadecimal.
    next: AtomicU64,
    color: bool,
    output: Mutex<Box<dyn Write + Send>>,
}

/// The `tracing` layer over a [`Console`].
pub struct Printing(pub Arc<Console>);

impl Console {
    /// Prints what `spec` lets through to `output`.
    pub fn new(spec: Spec, color: bool, output: Box<dyn Write + Send>) -> Self {
        Self {
            spec: ArcSwap::from_pointee(spec),
            next: AtomicU64::new(1),
            color,
            output: Mutex::new(output),
        }
    }

    /// The spec in force.
    pub fn spec(&self) -> Arc<Spec> {
        self.spec.load_full()
    }

    /// Puts another spec in force at once.
    pub fn set_spec(&self, spec: Spec) {
        self.spec.store(Arc::new(spec));
        // Every log statement remembers whether it prints; let each ask again.
        tracing::callsite::rebuild_interest_cache();
    }

    fn prints(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= self.spec.load().level(&logger(metadata.target()))
    }

    fn print(&self, event: &Event<'_>) {
        let mut text = Text::default();
        event.record(&mut text);
        // The number is drawn under the lock, so that lines are in its order.
        let mut output = self.output.lock();
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let line = line(Timestamp::now(), number, event.metadata(), &text, self.color);
        // There is nowhere left to report to.
        let _ = output.write_all(line.as_bytes());
        let _ = output.flush();
    }
}

impl fmt::Debug for Console {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Console")
            .field("spec", &self.spec.load())
            .finish_non_exhaustive()
    }
}

impl<S: Subscriber> Layer<S> for Printing {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        // Spans are not shown, so nothing needs them.
        if metadata.is_event() && self.0.prints(metadata) {
            Interest::always()
        } else {
            Interest::never()
        }
    }

    fn enabled(&self, metadata: &Metadata<'_>, _context: Context<'_, S>) -> bool {
        metadata.is_event() && self.0.prints(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.0.spec.load().most_verbose())
    }

    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        self.0.print(event);
    }
}

/// `time UTC number LEVL [logger] function -> message key=value`.
fn line(now: Timestamp, number: u64, metadata: &Metadata<'_>, text: &Text, color: bool) -> String {
    let (level, code) = shown_level(*metadata.level());
    let (plain, bold, reset) = if color {
        (
            format!("\u{1b}[{code}m"),
            format!("\u{1b}[{code};1m"),
            "\u{1b}[0m",
        )
    } else {
        (String::new(), String::new(), "")
    };
    let time = now.strftime("%Y-%m-%d %H:%M:%S%.3f");
    let name = logger(metadata.target());
    let place = metadata
        .module_path()
        .and_then(|path| path.rsplit("::").next())
        .unwrap_or("-");
    let Text { message, fields } = text;
    format!(
        "{plain}{time} UTC {number:04x} {level}{reset} [{name}] {bold}{place}{reset} -> {message}{fields}\n"
    )
}

/// Four letters, and the colour's number.
fn shown_level(level: Level) -> (&'static str, u8) {
    match level {
        Level::ERROR => ("ERRO", 31),
        Level::WARN => ("WARN", 33),
        Level::INFO => ("INFO", 34),
        Level::DEBUG => ("DEBU", 36),
        Level::TRACE => ("PAYL", 35),
    }
}

/// Message and fields of an event, safe to print.
#[derive(Default)]
struct Text {
    message: String,
    /// ` key=value` for each.
    fields: String,
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let value = format!("{value:?}");
        if field.name() == "message" {
            self.message = harmless(&value);
        } else {
            // Writing to a String cannot fail.
            let _ = write!(self.fields, " {}={}", field.name(), harmless(&value));
        }
    }

    /// Text stands without quotes, unless it has blanks in it.
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() != "message" && (value.is_empty() || value.contains([' ', '"', '='])) {
            self.record_debug(field, &value);
        } else {
            self.record_debug(field, &format_args!("{value}"));
        }
    }
}

/// No control codes; a line break goes on with a tab, so that no part of a message can pass for a line of its
/// own.
fn harmless(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.trim_end_matches('\n').chars() {
        match character {
            '\n' => safe.push_str("\n\t"),
            '\t' => safe.push('\t'),
            control if control.is_control() => safe.extend(control.escape_default()),
            other => safe.push(other),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    /// Output that tests can read.
    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl Write for Page {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// What `log` prints under `spec`, without the times.
    fn printed(spec: &str, color: bool, log: impl FnOnce(&Console)) -> String {
        let page = Page::default();
        let spec = Spec::parse(spec).expect("a spec");
        let console = Arc::new(Console::new(spec, color, Box::new(page.clone())));
        let subscriber = tracing_subscriber::registry().with(Printing(Arc::clone(&console)));
        tracing::subscriber::with_default(subscriber, || log(&console));
        let bytes = page.0.lock().clone();
        String::from_utf8(bytes).expect("text")
    }

    #[test]
    fn a_line_has_time_number_level_logger_message_and_fields() {
        let text = printed("info", false, |_| {
            tracing::info!(target: "orderer.common.server", "Beginning to serve requests");
            tracing::warn!(channel = "ch1", node = 1, "Raft leader changed: 0 -> 1");
        });
        let mut lines = text
            .lines()
            .map(|line| line.split_at("2026-11-21 01:37:22.702".len()));
        let (time, rest) = lines.next().expect("a line");
        assert!(time.starts_with("20") && time.as_bytes()[19] == b'.', "{time}");
        assert_eq!(
            rest,
            " UTC 0001 INFO [orderer.common.server] tests -> Beginning to serve requests"
        );
        let (_, rest) = lines.next().expect("a line");
        let message =
            " UTC 0002 WARN [orderer.common.server] tests -> Raft leader changed: 0 -> 1 channel=ch1 node=1";
        assert_eq!(rest, message);
    }

    #[test]
    fn the_spec_decides_by_logger_and_can_change() {
        let text = printed("orderer.consensus.etcdraft=debug:warn", false, |console| {
            for _ in 0..2 {
                tracing::debug!(target: "consensus::raft", "raft debug");
                tracing::info!(target: "consensus::solo", "solo info");
                console.set_spec(Spec::parse("info").expect("a spec"));
            }
        });
        assert_eq!(text.matches("raft debug").count(), 1);
        assert_eq!(text.matches("solo info").count(), 1);
    }

    #[test]
    fn colour_surrounds_level_and_place_only() {
        let text = printed("info", true, |_| tracing::info!("hello"));
        assert!(text.starts_with("\u{1b}[34m20"), "{text:?}");
        assert!(
            text.ends_with(
                "0001 INFO\u{1b}[0m [orderer.common.server] \u{1b}[34;1mtests\u{1b}[0m -> hello\n"
            )
        );
    }

    #[test]
    fn text_of_others_cannot_forge_lines_or_send_control_codes() {
        let name = "x\n2026-11-21 UTC 0001 INFO forged\r\u{1b}[2J";
        let text = printed("info", false, |_| {
            tracing::info!(name, "channel {name} is unknown");
        });
        assert_eq!(
            text.lines().filter(|line| line.starts_with("20")).count(),
            1,
            "{text:?}"
        );
        assert!(!text.contains(['\r', '\u{1b}']), "{text:?}");
    }

    #[test]
    fn a_field_with_blanks_is_quoted() {
        let text = printed("info", false, |_| {
            tracing::info!(why = "no leader", who = "a.b", "refused");
        });
        assert!(text.ends_with("refused why=\"no leader\" who=a.b\n"), "{text}");
    }
}
