//! What a quickstart says on its way.

use std::time::Duration;

use indicatif::HumanCount;

use super::error::QuickstartError;
use super::layout::{CHANNEL, Layout, Moved};
use super::nodes::Nodes;
use super::ports::address;

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

/// So many blocks, in words.
pub(super) fn blocks(count: u64) -> String {
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

/// A time as it is told: to a hundredth of a second.
pub(super) fn seconds(time: Duration) -> String {
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

#[cfg(test)]
mod tests {
    use super::super::node::{LogEnd, NodeError};
    use super::*;

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
}
