//! What came of a quickstart: the promises that were kept, what was measured, where things are, and what to try next.

use std::fmt;
use std::path::PathBuf;

use client::load::{Counted, Latency, LoadReport};
use indicatif::HumanCount;

use super::commands::{program, shell_word};
use super::drill::Fall;
use super::layout::{CHANNEL, Layout, NodeFiles};
use super::members::Members;
use super::order::Ordered;
use super::ports::address;
use super::report::{blocks, seconds};
use super::{Arguments, FOLDER, table};

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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::members::Leader;
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
}
