//! What nodes say of themselves, each with what to do about it; their clocks and versions side by side.

use std::collections::BTreeSet;

use super::finding::Finding;
use crate::operations::Reason;
use crate::status::{ClusterStatus, NodeStatus};

/// Clocks that differ by more are warned of: leases and timeouts do not care, people who compare logs do.
const CLOCK_MS_FEW: i64 = 2_000;
/// Clocks that differ by more make requests fail: the time window of deliver requests is 15 min by default.
const CLOCK_MS_MANY: i64 = 5 * 60 * 1000;

/// Everything that can be said of the nodes.
pub fn findings(status: &ClusterStatus) -> Vec<Finding> {
    let mut findings: Vec<Finding> = status.nodes.iter().flat_map(of_node).collect();
    findings.extend(clocks(&status.nodes));
    findings.extend(versions(&status.nodes));
    findings
}

fn of_node(node: &NodeStatus) -> Vec<Finding> {
    let place = format!("node {}", node.node);
    let error = node.error.as_deref().unwrap_or("no answer");
    if !node.answered() {
        let next = "is the process running there? Its log says why it ended; orderer doctor, run there, says whether it \
                    would start. If it runs: are these the addresses of its operations and admin listeners, and may \
                    this client call them (--ca, --client-cert, --client-key)?";
        return vec![Finding::problem(place, error, next)];
    }
    let mut findings = Vec::new();
    if node.error.is_some() {
        let next = "give the operations listener of the node: the admin listener does not tell of disks, certificates \
                    and clocks";
        findings.push(Finding::warning(&place, error, next));
    }
    findings.extend(node.reasons.iter().map(|reason| of_reason(&place, reason)));
    for channel in &node.channels {
        let place = format!("channel {} at {}", channel.said.info.name, node.node);
        findings.extend(
            channel
                .said
                .reasons
                .iter()
                .map(|reason| of_reason(&place, reason)),
        );
    }
    if findings.is_empty() {
        let channels = node.channels.len();
        findings.push(Finding::ok(
            place,
            format!(
                "ready, with {channels} channel{}",
                if channels == 1 { "" } else { "s" }
            ),
        ));
    }
    findings
}

fn of_reason(place: &str, reason: &Reason) -> Finding {
    let next = next_step(&reason.code);
    if reason.blocking {
        Finding::problem(place, &reason.message, next)
    } else {
        Finding::warning(place, &reason.message, next)
    }
}

/// What to do about a reason of `/readyz`.
fn next_step(code: &str) -> &'static str {
    match code {
        "starting" => "wait: it opens its channels. The log tells how far it is",
        "stopping" => "start it again, if that was not meant",
        "disk_full" | "disk_low" => {
            "free some room, or give the file system more: what waits goes on by itself. What may be deleted: \
             docs/operating/operations.md"
        }
        "disk_hangs" => "look at the disk (dmesg, iostat): a restart of the node does not mend it",
        "certificate_expired" | "certificate_expires" => {
            "put a new certificate for the SAME key into that file and send the node SIGHUP. With another key, tell the \
             channels first: ordain config rotate-consenter-cert"
        }
        "unreadable" => "restore the file or its mode: the next start wants it",
        "quarantined" => {
            "the other channels go on. See to the cause that is named, then restart the node. If its blocks are \
             damaged and other nodes have them: ordain channel remove, then ordain channel join with the newest config \
             block of another node"
        }
        "removing" => {
            "if it does not end by itself: ordain channel remove it again, it goes on where it stopped"
        }
        "onboarding" => {
            "wait. If the height does not grow: can this node reach the orderer endpoints of the channel?"
        }
        "behind" => "can this node reach the orderer endpoints of the channel? Do they still serve it?",
        "not_taking_part" => {
            "take the node out of the channel's consenters and add it again: ordain config remove-consenter, then \
             ordain config add-consenter"
        }
        "no_leader" | "no_quorum" => {
            "bring members back until a majority can reach each other: see which nodes do not answer, and what is said \
             of the consenters below"
        }
        "member_missing" => "see why that member does not answer, before another one fails",
        _ => "see the log of the node",
    }
}

/// Differences between the nodes; this machine's own clock is not among those that count.
fn clocks(nodes: &[NodeStatus]) -> Option<Finding> {
    let clocks: Vec<(&str, i64)> = nodes
        .iter()
        .filter_map(|node| Some((node.node.as_str(), node.clock_ms?)))
        .collect();
    let (first, last) = (
        clocks.iter().min_by_key(|(_, clock)| *clock)?,
        clocks.iter().max_by_key(|(_, clock)| *clock)?,
    );
    let apart = last.1.saturating_sub(first.1);
    let seconds = format!("{}.{} s", apart / 1000, apart % 1000 / 100);
    if apart <= CLOCK_MS_FEW {
        let ours = clocks.iter().map(|(_, clock)| clock.saturating_abs()).min()?;
        if ours > CLOCK_MS_FEW {
            let what = format!(
                "this machine's clock is {} s away from those of all nodes",
                ours / 1000
            );
            return Some(Finding::warning("clocks", what, "see to its time service"));
        }
        return Some(Finding::ok(
            "clocks",
            format!("within {seconds}, as far as can be seen from here"),
        ));
    }
    let what = format!("{} is {seconds} ahead of {}", last.0, first.0);
    let next = "see to the time service on both: timedatectl, chronyc tracking";
    Some(if apart > CLOCK_MS_MANY {
        Finding::problem("clocks", what, next)
    } else {
        Finding::warning("clocks", what, next)
    })
}

fn versions(nodes: &[NodeStatus]) -> Option<Finding> {
    let versions: BTreeSet<&str> = nodes.iter().filter_map(|node| node.version.as_deref()).collect();
    (versions.len() > 1).then(|| {
        let versions: Vec<&str> = versions.into_iter().collect();
        let what = format!("nodes run different ones: {}", versions.join(", "));
        Finding::warning("versions", what, "finish the upgrade, one node at a time")
    })
}

#[cfg(test)]
mod tests {
    use super::super::finding::Severity;
    use super::*;
    use crate::status::Verdict;

    fn node(name: &str, clock_ms: i64) -> NodeStatus {
        NodeStatus {
            node: name.to_owned(),
            state: "ready".to_owned(),
            version: Some("0.1.0".to_owned()),
            clock_ms: Some(clock_ms),
            ..NodeStatus::default()
        }
    }

    fn told(nodes: Vec<NodeStatus>) -> Vec<Finding> {
        findings(&ClusterStatus {
            verdict: Verdict::Well,
            nodes,
        })
    }

    #[test]
    fn nodes_that_are_well_are_told_to_be() {
        let findings = told(vec![node("a", 0), node("b", 100)]);
        assert!(
            findings.iter().all(|finding| finding.severity == Severity::Ok),
            "{findings:?}"
        );
        assert_eq!(findings[0].what, "ready, with 0 channels");
    }

    #[test]
    fn clocks_that_are_apart_are_named() {
        for (ahead, severity, what) in [
            (1_000, Severity::Ok, "within 1.0 s"),
            (3_500, Severity::Warning, "b is 3.5 s ahead of a"),
            (600_000, Severity::Problem, "b is 600.0 s ahead of a"),
        ] {
            let finding = clocks(&[node("a", 0), node("b", ahead)]).unwrap();
            assert_eq!(finding.severity, severity, "{finding:?}");
            assert!(finding.what.starts_with(what), "{finding:?}");
        }
        let finding = clocks(&[node("a", 9_000), node("b", 9_500)]).unwrap();
        assert!(
            finding.what.contains("this machine's clock is 9 s"),
            "{finding:?}"
        );
    }

    #[test]
    fn each_reason_comes_with_what_to_do() {
        let mut broken = node("a", 0);
        broken.reasons = vec![Reason {
            code: "disk_low".to_owned(),
            message: "blocks in /data: 5 MiB free".to_owned(),
            blocking: false,
        }];
        let findings = told(vec![broken]);
        assert_eq!(findings[0].severity, Severity::Warning);
        assert!(findings[0].next.as_ref().unwrap().contains("free some room"));
    }

    #[test]
    fn a_node_that_does_not_answer_is_a_problem() {
        let gone = NodeStatus {
            node: "a".to_owned(),
            state: crate::status::UNREACHABLE.to_owned(),
            error: Some("connection refused".to_owned()),
            ..NodeStatus::default()
        };
        let findings = told(vec![gone]);
        assert_eq!(findings[0].severity, Severity::Problem);
        assert_eq!(findings[0].what, "connection refused");
    }

    #[test]
    fn different_versions_are_warned_of() {
        let newer = NodeStatus {
            version: Some("0.2.0".to_owned()),
            ..node("b", 0)
        };
        let findings = told(vec![node("a", 0), newer]);
        let versions = findings
            .iter()
            .find(|finding| finding.place == "versions")
            .unwrap();
        assert_eq!(versions.what, "nodes run different ones: 0.1.0, 0.2.0");
    }
}
