//! `ordain status`

use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::time::Duration;

use super::nodes::NodesArgs;
use super::table::{self, Cell, Paint};
use super::{Failure, output};
use crate::operations::Reason;
use crate::participation::Consensus;
use crate::status::{ChannelStatus, ClusterStatus, NodeStatus, Verdict, look};

/// How often a terminal is drawn anew.
const INTERVAL_SECONDS: u64 = 2;
/// A certificate that ends within so many days is shown in yellow.
const DAYS_FEW: i64 = 30;

/// Shows how the nodes of a cluster and their channels stand, and what is wrong.
///
/// Asks the operations listener of each node (/readyz), and its admin listener where that is not there or not enough,
/// as with nodes of other software. On a terminal the table is drawn anew every two seconds until Ctrl-C; elsewhere it
/// is printed once. LAG is how many blocks a node lacks of what another one has. What keeps a channel or a node from
/// being ready stands below, in its own words; ordain doctor says what to do about it.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  ordain status -c ordain-quickstart/connection.json
  ordain status -c connection.json --once
  ordain status -c connection.json --json | jq -r .verdict
  ordain status --operations node1:8443 --operations node2:8443 --ca tlsca.pem --client-cert a.crt --client-key a.key

Exit status: 0 all well; 1 a node does not answer; 2 the command line makes no sense; 3 all answer, and something is
not ready.")]
pub(super) struct Args {
    #[command(flatten)]
    nodes: NodesArgs,
    /// Draws anew every so many seconds, also where standard output is no terminal.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=3600))]
    watch: Option<u64>,
    /// Prints once and ends, also on a terminal.
    #[arg(long, conflicts_with = "watch")]
    once: bool,
    /// Prints all that is known as one JSON object a line.
    #[arg(long)]
    json: bool,
}

impl Args {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let nodes = self.nodes.resolve()?.access;
        let is_terminal = std::io::stdout().is_terminal();
        let live = is_terminal && !self.once && !self.json;
        let interval = self.watch.or(live.then_some(INTERVAL_SECONDS));
        loop {
            let status = look(&nodes).await;
            if self.json {
                output::json(&status)?;
            } else {
                output::text(frame(&status, is_terminal && interval.is_some()))?;
            }
            let Some(seconds) = interval else {
                return verdict(status.verdict);
            };
            tokio::time::sleep(Duration::from_secs(seconds)).await;
        }
    }
}

fn verdict(verdict: Verdict) -> Result<(), Failure> {
    match verdict {
        Verdict::Well => Ok(()),
        Verdict::NotReady => Err(Failure::not_well()),
        Verdict::Unreachable => Err(Failure::unreachable()),
    }
}

/// The table, in the place of the one before.
fn frame(status: &ClusterStatus, replaces: bool) -> String {
    let text = show(status, table::colours());
    if !replaces {
        return text;
    }
    // Home, each line to its end, and what is left of the one before.
    format!("\x1b[H{}\x1b[J", text.replace('\n', "\x1b[K\n"))
}

fn show(status: &ClusterStatus, colours: bool) -> String {
    let mut text = table::render(&node_rows(&status.nodes), colours);
    let channels = channel_rows(&status.nodes);
    if channels.len() > 1 {
        text.push('\n');
        text.push_str(&table::render(&channels, colours));
    }
    let troubles = troubles(&status.nodes, colours);
    if !troubles.is_empty() {
        text.push('\n');
        text.push_str(&troubles);
    }
    text.push('\n');
    text.push_str(&summary(status, colours));
    text
}

fn heading(names: &[&str]) -> Vec<Cell> {
    names
        .iter()
        .map(|name| Cell::painted(*name, Paint::Faint))
        .collect()
}

fn node_rows(nodes: &[NodeStatus]) -> Vec<Vec<Cell>> {
    let rows = nodes.iter().map(|node| {
        vec![
            Cell::new(&node.node),
            state(&node.state),
            Cell::new(node.version.as_deref().unwrap_or("-")),
            Cell::new(free(node)),
            certificates(node),
        ]
    });
    let heading = heading(&["NODE", "STATE", "VERSION", "DISK FREE", "CERTIFICATES"]);
    std::iter::once(heading).chain(rows).collect()
}

fn state(state: &str) -> Cell {
    let paint = match state {
        "ready" => Paint::Green,
        "starting" | "stopping" => Paint::Yellow,
        _ => Paint::Red,
    };
    Cell::painted(state.replace('_', " "), paint)
}

/// Of the fullest file system.
fn free(node: &NodeStatus) -> String {
    let share = |disk: &&crate::operations::Disk| {
        u128::from(disk.free_bytes) * 1000 / u128::from(disk.total_bytes.max(1))
    };
    let Some(disk) = node.disks.iter().min_by_key(share) else {
        return "-".to_owned();
    };
    format!("{} ({} %)", size(disk.free_bytes), share(&disk) / 10)
}

/// Bytes in the unit that people would use.
fn size(bytes: u64) -> String {
    const UNITS: [(u64, &str); 4] = [
        (1 << 40, "TiB"),
        (1 << 30, "GiB"),
        (1 << 20, "MiB"),
        (1 << 10, "KiB"),
    ];
    let unit = UNITS.iter().find(|(unit, _)| bytes >= *unit);
    unit.map_or_else(
        || format!("{bytes} B"),
        |(unit, name)| format!("{} {name}", bytes / unit),
    )
}

/// The one that ends first.
fn certificates(node: &NodeStatus) -> Cell {
    let days = node
        .certificates
        .iter()
        .map(|certificate| certificate.days_left)
        .min();
    match days {
        None => Cell::new("-"),
        Some(days) if days < 0 => Cell::painted("expired", Paint::Red),
        Some(days) if days < DAYS_FEW => Cell::painted(format!("{days} days"), Paint::Yellow),
        Some(days) => Cell::new(format!("{days} days")),
    }
}

/// By channel first: that is what people ask about.
fn channel_rows(nodes: &[NodeStatus]) -> Vec<Vec<Cell>> {
    let mut all: Vec<(&NodeStatus, &ChannelStatus)> = nodes
        .iter()
        .flat_map(|node| node.channels.iter().map(move |channel| (node, channel)))
        .collect();
    // Stable: nodes stay in the order that they were given in.
    all.sort_by(|(_, a), (_, b)| a.said.info.name.cmp(&b.said.info.name));
    let heading = heading(&[
        "CHANNEL", "NODE", "STATE", "RELATION", "HEIGHT", "LAG", "LEADER", "TERM", "ACTIVE",
    ]);
    let rows = all.into_iter().map(|(node, channel)| channel_row(node, channel));
    std::iter::once(heading).chain(rows).collect()
}

fn channel_row(node: &NodeStatus, channel: &ChannelStatus) -> Vec<Cell> {
    let info = &channel.said.info;
    let ready = if channel.said.ready { "ready" } else { "not_ready" };
    let consensus = info.consensus.as_ref();
    let lag = match channel.lag {
        0 => Cell::new("0"),
        lag => Cell::painted(lag.to_string(), Paint::Yellow),
    };
    vec![
        Cell::new(&info.name),
        Cell::new(&node.node),
        state(ready),
        Cell::new(format!("{}, {}", info.consensus_relation, info.status)),
        Cell::new(info.height.to_string()),
        lag,
        consensus.map_or_else(|| Cell::new("-"), leader),
        Cell::new(consensus.map_or_else(|| "-".to_owned(), |consensus| consensus.term.to_string())),
        Cell::new(consensus.map_or_else(|| "-".to_owned(), active)),
    ]
}

fn leader(consensus: &Consensus) -> Cell {
    match consensus.leader {
        0 => Cell::painted("none", Paint::Red),
        leader if leader == consensus.id => Cell::new(format!("{leader}, this one")),
        leader => Cell::new(leader.to_string()),
    }
}

/// How many members the leader hears of, of how many.
fn active(consensus: &Consensus) -> String {
    let members = consensus.members.len();
    // Nobody has said so since the last leader was there.
    if consensus.active.is_empty() || consensus.leader == 0 {
        return format!("? of {members}");
    }
    format!("{} of {members}", consensus.active.len())
}

fn troubles(nodes: &[NodeStatus], colours: bool) -> String {
    let mut text = String::new();
    for node in nodes {
        if let Some(error) = &node.error {
            let (word, paint) = if node.answered() {
                ("warning", Paint::Yellow)
            } else {
                ("unreachable", Paint::Red)
            };
            let word = paint.on(word, colours);
            // A String takes everything.
            let _ = writeln!(text, "{word} {}: {error}", node.node);
        }
        for reason in &node.reasons {
            text.push_str(&trouble(&node.node, reason, colours));
        }
        for channel in &node.channels {
            let place = format!("{} at {}", channel.said.info.name, node.node);
            for reason in &channel.said.reasons {
                text.push_str(&trouble(&place, reason, colours));
            }
        }
    }
    text
}

fn trouble(place: &str, reason: &Reason, colours: bool) -> String {
    let (word, paint) = if reason.blocking {
        ("not ready", Paint::Red)
    } else {
        ("warning", Paint::Yellow)
    };
    format!(
        "{} {place}: {} ({})\n",
        paint.on(word, colours),
        reason.message,
        reason.code
    )
}

fn summary(status: &ClusterStatus, colours: bool) -> String {
    let nodes = status.nodes.len();
    let ready = status.nodes.iter().filter(|node| node.state == "ready").count();
    let (word, paint) = match status.verdict {
        Verdict::Well => ("all well", Paint::Green),
        Verdict::NotReady => ("not all ready", Paint::Red),
        Verdict::Unreachable => ("not all reachable", Paint::Red),
    };
    format!(
        "{}: {ready} of {nodes} node{} ready\n",
        paint.on(word, colours),
        if nodes == 1 { "" } else { "s" }
    )
}

#[cfg(test)]
mod tests;
