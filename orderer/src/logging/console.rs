//! From events to lines: filter, number, output.

use std::fmt;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use jiff::Timestamp;
use parking_lot::Mutex;
use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use super::entries::Entries;
use super::entry::Entry;
use super::format::Format;
use super::names::logger;
use super::spec::Spec;

/// Filter, counter and output of the log.
pub struct Console {
    spec: ArcSwap<Spec>,
    /// Number of the next line, from 1.
    next: AtomicU64,
    format: Format,
    entries: Arc<Entries>,
    output: Mutex<Box<dyn Write + Send>>,
}

/// The `tracing` layer over a [`Console`].
pub struct Printing(pub Arc<Console>);

impl Console {
    /// Prints what `spec` lets through to `output`, in this format.
    pub fn new(spec: Spec, format: Format, output: Box<dyn Write + Send>) -> Self {
        Self {
            spec: ArcSwap::from_pointee(spec),
            next: AtomicU64::new(1),
            format,
            entries: Arc::default(),
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

    /// How many entries were checked and written so far.
    pub fn entries(&self) -> &Arc<Entries> {
        &self.entries
    }

    fn print(&self, event: &Event<'_>) {
        let mut entry = Entry::read(event);
        self.entries.count_checked(entry.level());
        let mut line = String::new();
        // The number is drawn under the lock, so that lines are in its order.
        let mut output = self.output.lock();
        entry.number = self.next.fetch_add(1, Ordering::Relaxed);
        entry.time = Timestamp::now();
        self.format.write(&entry, &mut line);
        let written = output.write_all(line.as_bytes()).and_then(|()| output.flush());
        // There is nowhere left to report to but the counts.
        if written.is_ok() {
            self.entries.count_written(entry.level());
        }
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

    fn printed(spec: &str, color: bool, log: impl FnOnce(&Console)) -> String {
        printed_as("", spec, color, log)
    }

    /// What `log` prints under `spec` in this format.
    fn printed_as(format: &str, spec: &str, color: bool, log: impl FnOnce(&Console)) -> String {
        let page = Page::default();
        let spec = Spec::parse(spec).expect("a spec");
        let format = Format::parse(format, color).expect("a format");
        let console = Arc::new(Console::new(spec, format, Box::new(page.clone())));
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

    /// The end of the one line that a format makes of one entry, from `from` on.
    fn line_as(format: &str, from: &str) -> String {
        let text = printed_as(format, "debug", false, |_| {
            tracing::warn!(
                target: "orderer.common.server",
                channel = %"ch1", node = 1_u64, why = "no leader", whole = true,
                "a \"word\"\nand more"
            );
        });
        let at = text
            .find(from)
            .unwrap_or_else(|| panic!("no {from:?} in {text:?}"));
        text[at..].to_owned()
    }

    #[test]
    fn a_format_string_is_read_with_its_verbs_and_widths() {
        for (format, expected) in [
            (
                "%{id:04x} %{level:.4s} [%{module}] %{shortfunc} -> %{message}",
                "0001 WARN [orderer.common.server] tests -> ",
            ),
            ("%{id} %{id:X} %{id:3d}|%{id:-3d}|%{id:03b}|", "1 1   1|1  |001|"),
            (
                "%{level:7s}|%{level:-7s}|%{level:.2s}|%{level:4.1s}|",
                "   WARN|WARN   |WA|   W|",
            ),
            ("<%{module:q}> %{level}%", "<\"orderer.common.server\"> WARN%"),
            ("%{color}%{color:bold}%{message:.3s}%{color:reset}.", "a \"."),
        ] {
            let line = line_as(format, "");
            assert!(line.starts_with(expected), "{format}: {line}");
            assert!(
                line.ends_with(" channel=ch1 node=1 why=\"no leader\" whole=true\n"),
                "{line}"
            );
        }
        let year = line_as("%{time:2006} %{message}", "20");
        assert!(
            year[4..].starts_with(" a \"word\"\n\tand more channel=ch1"),
            "{year}"
        );
    }

    #[test]
    fn colours_of_a_format_string_are_those_of_the_level() {
        let text = printed_as(
            "%{color}%{level}%{color:reset} %{color:bold}%{message}",
            "info",
            true,
            |_| tracing::error!("x"),
        );
        assert_eq!(text, "\u{1b}[31mERROR\u{1b}[0m \u{1b}[31;1mx\n");
    }

    #[test]
    fn json_has_the_field_names_of_the_reference() {
        let line = line_as("json", "{");
        let read: serde_json::Value = serde_json::from_str(&line).expect("one object a line");
        let object = read.as_object().expect("an object");
        assert_eq!(object["level"], "warn");
        assert_eq!(object["name"], "orderer.common.server");
        assert_eq!(object["msg"], "a \"word\"\nand more");
        assert_eq!(object["channel"], "ch1");
        assert_eq!(object["node"], 1);
        assert_eq!(object["whole"], true);
        let caller = object["caller"].as_str().expect("a place");
        assert!(caller.starts_with("logging/console.rs:"), "{caller}");
        let seconds = object["ts"].as_f64().expect("a number");
        let now = i32::try_from(Timestamp::now().as_second()).expect("before 2038");
        assert!((seconds - f64::from(now)).abs() < 60.0, "{seconds}");
        let begins = line.starts_with("{\"level\":\"warn\",\"ts\":");
        assert!(
            begins && line.ends_with("}\n") && line.lines().count() == 1,
            "{line}"
        );
    }

    #[test]
    fn logfmt_quotes_what_has_blanks() {
        let line = line_as("logfmt", " level=");
        let (before, after) = line.split_once(" caller=logging/console.rs:").expect("a place");
        assert_eq!(before, " level=warn name=orderer.common.server");
        let (_, after) = after.split_once(' ').expect("more");
        assert_eq!(
            after,
            "msg=\"a \\\"word\\\"\\nand more\" channel=ch1 node=1 why=\"no leader\" whole=true\n"
        );
    }

    #[test]
    fn a_bad_format_is_refused_with_what_is_wrong() {
        let told = |text: &str| Format::parse(text, false).expect_err(text).to_string();
        assert_eq!(
            told("x %{id"),
            "invalid logging format 'x %{id': '%{id' has no closing brace"
        );
        assert_eq!(
            told("%{pid}"),
            "invalid logging format '%{pid}': unknown verb 'pid'; there are color, id, level, message, module, \
             shortfunc and time"
        );
        for bad in [
            "%{color:red}",
            "%{id:s}",
            "%{id:.2d}",
            "%{level:4x}",
            "%{level:99999999999s}",
            "%{message:.s.s}",
        ] {
            let verb = bad[2..].split(':').next().expect("a verb");
            let text = told(bad);
            assert!(text.contains(&format!("is nothing that {verb} takes")), "{text}");
        }
    }

    #[test]
    fn entries_are_counted_by_level_and_those_not_written_are_not() {
        /// A terminal that is gone.
        struct Gone;

        impl Write for Gone {
            fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
                Err(std::io::ErrorKind::BrokenPipe.into())
            }

            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }

        let counts = |output: Box<dyn Write + Send>| {
            let spec = Spec::parse("info").expect("a spec");
            let format = Format::parse("", false).expect("a format");
            let console = Arc::new(Console::new(spec, format, output));
            let subscriber = tracing_subscriber::registry().with(Printing(Arc::clone(&console)));
            tracing::subscriber::with_default(subscriber, || {
                tracing::info!("one");
                tracing::info!("two");
                tracing::warn!("three");
                tracing::debug!("nothing");
            });
            let counted = console.entries().counted();
            let counted = counted.map(|level| (level.level, level.checked, level.written));
            counted.filter(|counted| counted.1 > 0).collect::<Vec<_>>()
        };
        assert_eq!(counts(Box::<Page>::default()), [("info", 2, 2), ("warn", 1, 1)]);
        assert_eq!(counts(Box::new(Gone)), [("info", 2, 0), ("warn", 1, 0)]);
    }
}
