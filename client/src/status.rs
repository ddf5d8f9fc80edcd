//! How the nodes of a cluster stand, side by side: what each says of itself, and what only the comparison shows.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::join_all;
use jiff::Timestamp;
use protos::ChannelId;
use serde::Serialize;

use crate::operations::{Certificate, ChannelReadiness, Disk, OperationsClient, Readiness, Reason};
use crate::participation::{AdminClient, AdminError, ChannelInfo};

/// How long one node may take for everything.
const NODE_TIME_MAX: Duration = Duration::from_secs(8);

/// One node, and how to ask it.
#[derive(Clone, Debug)]
pub struct NodeAccess {
    /// What it is called.
    pub name: String,
    /// Its operations listener.
    pub operations: Option<OperationsClient>,
    /// Its admin listener: asked where the other is not there, or does not tell enough.
    pub admin: Option<AdminClient>,
}

/// A cluster at one moment.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClusterStatus {
    /// The whole in a word.
    pub verdict: Verdict,
    /// Node by node, in the order they were given.
    pub nodes: Vec<NodeStatus>,
}

/// A cluster in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Every node answers, and every channel on it is ready.
    Well,
    /// Every node answers, and something is not ready.
    NotReady,
    /// A node does not answer.
    Unreachable,
}

/// One node at one moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct NodeStatus {
    /// What it is called.
    pub node: String,
    /// `ready`, `not_ready`, `starting`, `stopping` or `unreachable`.
    pub state: String,
    /// Why it did not answer, or not everything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Its version, if it told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// How far its clock is ahead of this machine's, in milliseconds, give or take the time of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clock_ms: Option<i64>,
    /// What is wrong with all of it.
    pub reasons: Vec<Reason>,
    /// The file systems that it writes to.
    pub disks: Vec<Disk>,
    /// Its own certificates.
    pub certificates: Vec<Certificate>,
    /// Its channels.
    pub channels: Vec<ChannelStatus>,
}

/// One channel on one node.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ChannelStatus {
    /// Blocks that some other node has, or this one knows of, and that are not here.
    pub lag: u64,
    /// What the node says.
    #[serde(flatten)]
    pub said: ChannelReadiness,
}

/// The state of a node that does not answer.
pub const UNREACHABLE: &str = "unreachable";

impl NodeStatus {
    /// True if it answered.
    pub fn answered(&self) -> bool {
        self.state != UNREACHABLE
    }

    fn unreachable(node: &str, error: String) -> Self {
        Self {
            node: node.to_owned(),
            state: UNREACHABLE.to_owned(),
            error: Some(error),
            ..Self::default()
        }
    }
}

/// Asks all nodes at once.
pub async fn look(nodes: &[NodeAccess]) -> ClusterStatus {
    compare(join_all(nodes.iter().map(look_at)).await)
}

/// Adds what only the comparison shows.
fn compare(mut nodes: Vec<NodeStatus>) -> ClusterStatus {
    let mut heights: BTreeMap<String, u64> = BTreeMap::new();
    for channel in nodes.iter().flat_map(|node| &node.channels) {
        let info = &channel.said.info;
        let highest = heights.entry(info.name.clone()).or_default();
        *highest = info.height.max(*highest);
    }
    for channel in nodes.iter_mut().flat_map(|node| &mut node.channels) {
        let info = &channel.said.info;
        let highest = heights.get(&info.name).copied().unwrap_or_default();
        channel.lag = highest.saturating_sub(info.height).max(channel.said.behind);
    }
    let verdict = nodes.iter().map(judge).max().unwrap_or(Verdict::Well);
    ClusterStatus { verdict, nodes }
}

fn judge(node: &NodeStatus) -> Verdict {
    let is_ready = node.state == "ready" && node.channels.iter().all(|channel| channel.said.ready);
    match (node.answered(), is_ready) {
        (false, _) => Verdict::Unreachable,
        (true, false) => Verdict::NotReady,
        (true, true) => Verdict::Well,
    }
}

async fn look_at(node: &NodeAccess) -> NodeStatus {
    let asked = tokio::time::timeout(NODE_TIME_MAX, ask(node)).await;
    asked.unwrap_or_else(|_| {
        NodeStatus::unreachable(&node.name, format!("no answer within {NODE_TIME_MAX:?}"))
    })
}

async fn ask(node: &NodeAccess) -> NodeStatus {
    let untold = match &node.operations {
        Some(operations) => {
            let asked = Timestamp::now();
            match operations.readiness().await {
                Ok(readiness) => return told(&node.name, readiness, asked, Timestamp::now()),
                Err(error) => Some(error.to_string()),
            }
        }
        None => None,
    };
    let Some(admin) = &node.admin else {
        let error = untold.unwrap_or_else(|| "no address to ask is known".to_owned());
        return NodeStatus::unreachable(&node.name, error);
    };
    match channels(admin).await {
        Ok(channels) => {
            let state = if channels.iter().all(|channel| channel.said.ready) {
                "ready"
            } else {
                "not_ready"
            };
            NodeStatus {
                node: node.name.clone(),
                state: state.to_owned(),
                error: untold,
                version: version(node.operations.as_ref()).await,
                channels,
                ..NodeStatus::default()
            }
        }
        Err(error) => NodeStatus::unreachable(&node.name, untold.unwrap_or_else(|| error.to_string())),
    }
}

fn told(node: &str, readiness: Readiness, asked: Timestamp, answered: Timestamp) -> NodeStatus {
    let channels = readiness.channels.into_iter();
    NodeStatus {
        node: node.to_owned(),
        state: readiness.status,
        error: None,
        version: Some(readiness.version),
        clock_ms: clock_ms(&readiness.time, asked, answered),
        reasons: readiness.reasons,
        disks: readiness.disks,
        certificates: readiness.certificates,
        channels: channels.map(|said| ChannelStatus { lag: 0, said }).collect(),
    }
}

/// The node looked at its clock somewhere between question and answer.
fn clock_ms(time: &str, asked: Timestamp, answered: Timestamp) -> Option<i64> {
    let time: Timestamp = time.parse().ok()?;
    let (asked, answered) = (asked.as_millisecond(), answered.as_millisecond());
    let middle = asked + (answered - asked) / 2;
    Some(time.as_millisecond() - middle)
}

async fn version(operations: Option<&OperationsClient>) -> Option<String> {
    Some(operations?.version().await.ok()?.version)
}

async fn channels(admin: &AdminClient) -> Result<Vec<ChannelStatus>, AdminError> {
    let mut channels = Vec::new();
    for entry in admin.list().await?.channels {
        let name = ChannelId::parse(&entry.name).map_err(|error| AdminError::Malformed {
            reason: error.to_string(),
        })?;
        match admin.info(&name).await {
            Ok(info) => channels.push(ChannelStatus {
                lag: 0,
                said: judged(info),
            }),
            // Removed since it was listed.
            Err(AdminError::Refused { status: 404, .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(channels)
}

/// What the admin API tells, for nodes that tell no more.
fn judged(info: ChannelInfo) -> ChannelReadiness {
    let trouble = info
        .consensus
        .as_ref()
        .and_then(|consensus| consensus.trouble.clone());
    let inactive = (info.status != "active").then(|| format!("the channel is {}", info.status));
    let message = info.reason.clone().or(trouble).or(inactive);
    let reason = message.map(|message| Reason {
        code: "not_ordering".to_owned(),
        message,
        blocking: true,
    });
    ChannelReadiness {
        ready: reason.is_none(),
        behind: 0,
        reasons: reason.into_iter().collect(),
        info,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn channel(name: &str, height: u64, status: &str) -> ChannelStatus {
        let info = serde_json::json!({
            "name": name, "url": "/u", "consensusRelation": "consenter", "status": status, "height": height,
        });
        ChannelStatus {
            lag: 0,
            said: judged(serde_json::from_value(info).unwrap()),
        }
    }

    fn node(name: &str, channels: Vec<ChannelStatus>) -> NodeStatus {
        NodeStatus {
            node: name.to_owned(),
            state: "ready".to_owned(),
            channels,
            ..NodeStatus::default()
        }
    }

    #[test]
    fn a_channel_lags_behind_the_highest_node() {
        let status = compare(vec![
            node("a", vec![channel("x", 7, "active"), channel("y", 1, "active")]),
            node("b", vec![channel("x", 5, "active")]),
        ]);
        let lags: Vec<_> = status
            .nodes
            .iter()
            .flat_map(|node| &node.channels)
            .map(|channel| channel.lag)
            .collect();
        assert_eq!(lags, [0, 0, 2]);
        assert_eq!(status.verdict, Verdict::Well);
    }

    #[test]
    fn a_clock_is_compared_with_the_middle_of_question_and_answer() {
        let at = |second| Timestamp::from_second(second).unwrap();
        assert_eq!(clock_ms("1970-01-01T00:01:00Z", at(40), at(60)), Some(10_000));
        assert_eq!(clock_ms("noon", at(40), at(60)), None);
    }

    #[test]
    fn the_worst_node_decides() {
        let well = || node("a", vec![channel("x", 7, "active")]);
        let onboarding = || node("b", vec![channel("x", 7, "onboarding")]);
        let gone = || NodeStatus::unreachable("c", "refused".to_owned());
        for (nodes, verdict) in [
            (vec![well(), well()], Verdict::Well),
            (vec![well(), onboarding()], Verdict::NotReady),
            (vec![onboarding(), gone()], Verdict::Unreachable),
        ] {
            assert_eq!(compare(nodes).verdict, verdict);
        }
    }
}
