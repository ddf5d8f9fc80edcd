//! What a quickstart says.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use client::load::{Counted, Latency, LoadReport};
use indicatif::HumanCount;

use super::drill::Fall;
use super::error::QuickstartError;
use super::layout::{CHANNEL, Layout, Moved, NodeFiles};
use super::members::Members;
use super::nodes::Nodes;
use super::order::Ordered;
use super::ports::address;
use super::{Arguments, FOLDER, table};

/// Said when everything is done and the nodes go on.
pub(super) const SERVING: &str = "\nServing until Ctrl-C.";
/// Said when a signal ended that.
pub(super) const STOPPING: &str = "\nStopping. The same command goes on with the same chain.";

/// Which folder, and whether it was there.
pub(super) fn folder(layout: &Layout) -> String {
    let what = if layout.is_new() {
        "made: identities, genesis block, settings"
    } else {
        "found, and resumed"
    };
    format!("folder    {} ({what})", layout.folder().display())
}

/// A port that was taken.
pub(super) fn moved(Moved { from, to }: Moved) -> String {
    format!(
        "port      {from} is in use by another program; took {to} in its place (orderer.yaml and connection.json say so)"
    )
}

/// The nodes that serve.
pub(super) fn nodes(layout: &Layout, nodes: &Nodes) -> String {
    let lines = layout.nodes().iter().zip(nodes.process_ids()).map(|(node, id)| {
        let process = id.map(|id| format!(", process {id}")).unwrap_or_default();
        format!(
            "node      {} serves on {}{process}",
            node.name,
            address(node.ports.general)
        )
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The channel before the load.
pub(super) fn channel(joined: bool, height: u64) -> String {
    let how = if joined {
        "joined".to_owned()
    } else {
        format!("{}, verified", blocks(height))
    };
    format!("channel   {CHANNEL} ({how})")
}

fn blocks(count: u64) -> String {
    format!("{} block{}", HumanCount(count), if count == 1 { "" } else { "s" })
}

/// How far a load is.
pub(super) fn progress(verb: &str, done: u64, all: u64) -> String {
    format!(
        "load      {} of {} envelopes {verb}",
        HumanCount(done),
        HumanCount(all)
    )
}

/// The leader was killed.
pub(super) fn killed(name: &str, term: u64, ordered: u64) -> String {
    format!(
        "killed    {name}, which led in term {term}, after {} envelopes (SIGKILL)",
        HumanCount(ordered)
    )
}

/// Another one leads.
pub(super) fn leads(name: &str, term: u64, after: Duration) -> String {
    format!("leader    {name} leads in term {term}, {} later", seconds(after))
}

/// The killed node is back.
pub(super) fn back(name: &str, process_id: Option<u32>) -> String {
    let process = process_id.map(|id| format!(", process {id}")).unwrap_or_default();
    format!("back      {name} serves again{process}")
}

fn seconds(time: Duration) -> String {
    format!("{:.2} s", time.as_secs_f64())
}

/// What went wrong, with the log that says more, and what to do about it.
pub(super) fn failure(error: &QuickstartError) -> String {
    let mut parts = vec![format!("\norderer quickstart: {error}\n")];
    if let Some(log) = error.log() {
        let lines: String = log.lines.iter().flat_map(|line| ["  ", line, "\n"]).collect();
        parts.push(format!("The end of {}:\n{lines}", log.file.display()));
    }
    if let Some(advice) = error.advice() {
        parts.push(format!("What next: {advice}.\n"));
    }
    parts.join("\n")
}

/// What came of it all, and what to do with it.
pub(super) struct Summary {
    ordered: Option<Ordered>,
    height: u64,
    /// How several nodes stand, a line each.
    table: Vec<String>,
    folder: PathBuf,
    connection: PathBuf,
    endpoints: Vec<Endpoint>,
    ordain: String,
    /// The command that serves on, where this run does not.
    serve: Option<String>,
}

struct Endpoint {
    name: String,
    general: String,
    admin: String,
    log: PathBuf,
}

impl Summary {
    /// Of a network whose chain has `height` blocks; no load if none was asked for, no members of a node alone.
    pub(super) fn new(
        arguments: &Arguments,
        layout: &Layout,
        ordered: Option<Ordered>,
        height: u64,
        members: Option<&Members>,
    ) -> Self {
        let endpoint = |node: &NodeFiles| Endpoint {
            name: node.name.clone(),
            general: address(node.ports.general),
            admin: address(node.ports.admin),
            log: node.log.clone(),
        };
        Self {
            ordered,
            height,
            table: members.map(table::rows).unwrap_or_default(),
            folder: layout.folder().to_owned(),
            connection: layout.connection_file(),
            endpoints: layout.nodes().iter().map(endpoint).collect(),
            ordain: program("ordain"),
            serve: arguments.exit.then(|| {
                let folder = shell_word(layout.folder());
                let us = program("orderer");
                if folder == FOLDER {
                    format!("{us} quickstart --count 0")
                } else {
                    format!("{us} quickstart --count 0 --dir {folder}")
                }
            }),
        }
    }

    fn result(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.ordered {
            None => writeln!(f, "\nNo load was asked for.\n")?,
            Some(ordered) => {
                promises(&ordered.report, f)?;
                if let Some(counted) = ordered.ledgers {
                    self.equal(&ordered.report, counted, f)?;
                }
                if let Some(fall) = &ordered.fall {
                    fell(fall, ordered, f)?;
                }
                measured(&ordered.report, f)?;
            }
        }
        writeln!(f, "  chain         {}", blocks(self.height))?;
        let between = if self.table.is_empty() { "" } else { "\n" };
        write!(f, "{between}")?;
        self.table.iter().try_for_each(|row| writeln!(f, "  {row}"))
    }

    fn equal(&self, load: &LoadReport, counted: Counted, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (nodes, all) = (self.endpoints.len(), blocks(self.height));
        if counted.once == load.sent {
            let sent = HumanCount(load.sent);
            writeln!(
                f,
                "All {sent} envelopes stand exactly once in the ledger of each of the {nodes} nodes, and headers and\n\
                 data of all {all} are equal there.\n"
            )
        } else {
            let (once, none) = (HumanCount(counted.once), HumanCount(load.sent - counted.once));
            writeln!(
                f,
                "The ledger of each of the {nodes} nodes holds {once} envelopes, each exactly once; {none} that were \
                 never\nacknowledged are in none. Headers and data of all {all} are equal.\n"
            )
        }
    }

    fn places(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\nWhere things are\n")?;
        if let [
            Endpoint {
                general, admin, log, ..
            },
        ] = &self.endpoints[..]
        {
            writeln!(f, "  clients       {general} (gRPC over TLS)")?;
            writeln!(f, "  admin         {admin} (REST over mutual TLS)")?;
            writeln!(f, "  log           {}", log.display())?;
        } else {
            writeln!(f, "  node          clients (gRPC)      admin (REST)        log")?;
            for endpoint in &self.endpoints {
                let Endpoint {
                    name,
                    general,
                    admin,
                    log,
                } = endpoint;
                writeln!(f, "  {name:<13} {general:<19} {admin:<19} {}", log.display())?;
            }
        }
        writeln!(
            f,
            "  connection    {} (what clients need)",
            self.connection.display()
        )?;
        writeln!(
            f,
            "  everything    {} (settings, identities, blocks; remove it to begin anew)",
            self.folder.display()
        )
    }

    fn next(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ordain = &self.ordain;
        let file = shell_word(&self.connection);
        match &self.serve {
            Some(serve) => write!(
                f,
                "\nTry next\n\n  # serve; the rest in another terminal meanwhile\n  {serve}\n"
            )?,
            None => writeln!(f, "\nTry next, in another terminal while the node serves")?,
        }
        write!(
            f,
            "
  # order something of your own, and read it back
  echo hello | {ordain} broadcast -c {file} --acknowledge committed
  {ordain} deliver -c {file} --from newest

  # ask the node about the channel
  {ordain} channel info {CHANNEL} -c {file}

  # see how everything stands
  {ordain} status -c {file}

  # measure
  {ordain} bench -c {file} -n 20000"
        )
    }
}

fn promises(load: &LoadReport, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let (envelopes, blocks) = (HumanCount(load.acknowledged), blocks(load.blocks));
    writeln!(
        f,
        "\nAll {envelopes} acknowledged envelopes came back exactly once, in {blocks}. Each block's hashes, its\nlink \
         to the one before, and its signature were verified.\n"
    )
}

fn fell(fall: &Fall, ordered: &Ordered, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let Fall {
        name,
        successor,
        term,
        ..
    } = fall;
    let succeeded = seconds(fall.succeeded_after);
    writeln!(
        f,
        "{name} was killed while it led in term {}. {successor} led in term {term} after {succeeded};",
        fall.leader.term
    )?;
    let (back, healed) = (
        seconds(fall.back_after),
        seconds(ordered.healed_after.unwrap_or_default()),
    );
    let (resent, open) = (
        HumanCount(ordered.report.resent),
        HumanCount(ordered.report.unanswered),
    );
    writeln!(
        f,
        "{name} served again after {back}, and had caught up when the load was over ({healed}). Of what\nwas \
         unanswered when it died, {open} envelopes were in blocks, and {resent} in none: those were sent again.\n"
    )
}

fn measured(load: &LoadReport, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let rate = format!("{:.0}", load.throughput).parse().unwrap_or_default();
    let (rate, bytes) = (HumanCount(rate), load.payload_bytes);
    writeln!(f, "  throughput    {rate} envelopes/s of {bytes} bytes")?;
    let Latency { p50_ms, p99_ms, .. } = load.delivery;
    writeln!(
        f,
        "  latency       p50 {p50_ms:.1} ms, p99 {p99_ms:.1} ms, from sending an envelope to having its block, at \
         full load"
    )
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.result(f)?;
        self.places(f)?;
        self.next(f)
    }
}

/// How to call another program of ours from where the user is.
fn program(name: &str) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    if is_run_by_cargo(&here) {
        let profile = if cfg!(debug_assertions) { "" } else { " --release" };
        return format!("cargo run -q{profile} --bin {name} --");
    }
    let beside = std::env::current_exe()
        .map(|program| program.with_file_name(name))
        .unwrap_or_default();
    match beside.parent() {
        Some(folder) if beside.is_file() && !is_on_path(folder) => {
            let short = beside.strip_prefix(&here);
            shell_word(&short.map_or(beside.clone(), |short| Path::new(".").join(short)))
        }
        _ => name.to_owned(),
    }
}

/// Whether `cargo run` started this, inside the workspace: then it can start other programs of it too, and builds
/// them first.
fn is_run_by_cargo(here: &Path) -> bool {
    let package = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let workspace = package.as_deref().and_then(Path::parent);
    std::env::var_os("CARGO").is_some() && workspace.is_some_and(|root| here.starts_with(root))
}

fn is_on_path(folder: &Path) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|listed| listed == folder)
}

/// A path as one word of a POSIX shell.
fn shell_word(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain = |c: char| c.is_alphanumeric() || "._-/+:@%".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::members::Leader;
    use super::super::node::{LogEnd, NodeError};
    use super::*;

    fn summary(ordered: Option<Ordered>) -> String {
        let endpoint = Endpoint {
            name: "orderer1".into(),
            general: "127.0.0.1:1".into(),
            admin: "127.0.0.1:2".into(),
            log: "my network/orderer.log".into(),
        };
        let summary = Summary {
            ordered,
            height: 1011,
            table: Vec::new(),
            folder: "my network".into(),
            connection: "my network/connection.json".into(),
            endpoints: vec![endpoint],
            ordain: "ordain".into(),
            serve: None,
        };
        summary.to_string()
    }

    fn load() -> LoadReport {
        LoadReport {
            ok: true,
            key: "Ed25519".into(),
            acknowledge: "committed",
            payload_bytes: 1024,
            streams: 2,
            in_flight_max: 1000,
            sent: 5000,
            acknowledged: 5000,
            delivered: 5000,
            blocks: 10,
            signing_seconds: 0.1,
            seconds: 0.2,
            throughput: 25_000.4,
            delivery: Latency {
                p50_ms: 31.24,
                p90_ms: 50.0,
                p99_ms: 60.06,
                max_ms: 70.0,
            },
            ..LoadReport::default()
        }
    }

    fn ordered(report: LoadReport) -> Ordered {
        Ordered {
            report,
            ledgers: None,
            fall: None,
            healed_after: None,
        }
    }

    #[test]
    fn a_fall_of_the_leader_is_told_with_what_became_of_every_envelope() {
        let report = LoadReport {
            acknowledged: 4950,
            unanswered: 50,
            resent: 7,
            ..load()
        };
        let fall = Fall {
            leader: Leader { node: 1, term: 4 },
            name: "orderer2".into(),
            killed_at: tokio::time::Instant::now(),
            successor: "orderer3".into(),
            term: 5,
            succeeded_after: Duration::from_millis(1310),
            back_after: Duration::from_millis(1500),
        };
        let counted = Counted {
            once: 5000,
            ..Counted::default()
        };
        let text = summary(Some(Ordered {
            ledgers: Some(counted),
            fall: Some(fall),
            healed_after: Some(Duration::from_secs(3)),
            ..ordered(report)
        }));
        for part in [
            "All 5,000 envelopes stand exactly once in the ledger of each",
            "data of all 1,011 blocks are equal there",
            "orderer2 was killed while it led in term 4. orderer3 led in term 5 after 1.31 s",
            "50 envelopes were in blocks, and 7 in none: those were sent again",
        ] {
            assert!(text.contains(part), "{part} is not in:\n{text}");
        }
        assert!(text.lines().all(|line| line.len() <= 110), "{text}");
    }

    #[test]
    fn the_summary_says_what_was_measured_and_where_things_are() {
        let text = summary(Some(ordered(load())));
        for part in [
            "All 5,000 acknowledged envelopes came back exactly once, in 10 blocks",
            "25,000 envelopes/s",
            "p50 31.2 ms, p99 60.1 ms",
            "1,011 blocks",
            "127.0.0.1:1 (gRPC over TLS)",
            "127.0.0.1:2 (REST over mutual TLS)",
            "echo hello | ordain broadcast -c 'my network/connection.json' --acknowledge committed\n",
        ] {
            assert!(text.contains(part), "{part} is not in:\n{text}");
        }
        assert!(text.lines().all(|line| line.len() <= 110), "{text}");
    }

    #[test]
    fn without_a_load_nothing_is_said_to_be_measured() {
        let text = summary(None);
        assert!(text.contains("No load was asked for"), "{text}");
        assert!(!text.contains("throughput"), "{text}");
    }

    #[test]
    fn a_dead_node_is_told_with_its_log_and_what_to_do() {
        let log = LogEnd {
            file: "d/orderer.log".into(),
            lines: vec!["one".into(), "two".into()],
        };
        let error = NodeError::Died {
            name: "orderer1".into(),
            how: "exit status: 2".into(),
            log,
        };
        let text = failure(&error.into());
        let begin = "\norderer quickstart: orderer1 died: exit status: 2\n\nThe end of d/orderer.log:\n  one\n  two\n\nWhat next: ";
        assert!(text.starts_with(begin), "{text}");
    }

    #[test]
    fn odd_paths_are_quoted() {
        assert_eq!(shell_word(Path::new("a/b-c_d.json")), "a/b-c_d.json");
        assert_eq!(shell_word(Path::new("it's")), r"'it'\''s'");
        assert_eq!(shell_word(Path::new("$HOME/x")), "'$HOME/x'");
    }
}
