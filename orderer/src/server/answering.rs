//! What signals ask of the node while it runs. It holds no channel, so that it delays no end.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::{Arc, Weak};

use consensus::ClusterStatus;
use tokio_util::task::TaskTracker;

use super::LOGGER;
use crate::catchup::Puller;
use crate::cluster::Cluster;
use crate::multichannel::channel::{Channel, Part};
use crate::multichannel::manager::Manager;
use crate::report::tasks::Tasks;
use crate::signals::Answering;
use crate::tls::Acceptor;

/// The running node, as signals know it.
pub(super) struct Running {
    pub(super) manager: Weak<Manager>,
    pub(super) cluster: Arc<Cluster>,
    pub(super) puller: Arc<Puller>,
    pub(super) listeners: Vec<Listener>,
    pub(super) tasks: Tasks,
}

/// One listener.
#[derive(Clone)]
pub(super) struct Listener {
    pub(super) name: &'static str,
    pub(super) address: SocketAddr,
    pub(super) acceptor: Acceptor,
    /// A task for each connection; none where they are not counted.
    pub(super) connections: Option<TaskTracker>,
}

impl Answering for Running {
    /// Reads the TLS files of all listeners, and those for calling other orderers, again. Connections from now on use
    /// them; whatever has files that are not good goes on with what it had.
    fn reload(&self) {
        let with_tls = self
            .listeners
            .iter()
            .filter(|listener| listener.acceptor.is_tls());
        for Listener { name, acceptor, .. } in with_tls {
            tell_reloaded(&format!("the {name} listener"), acceptor.reload());
        }
        tell_reloaded("calls to other orderers", self.cluster.reload());
        tell_reloaded("block requests to other orderers", self.puller.reload());
    }

    fn describe(&self) -> String {
        let mut text = "listeners:\n".to_owned();
        // Writing to a String cannot fail.
        for listener in &self.listeners {
            let _ = write!(text, "  {} {}", listener.name, listener.address);
            if let Some(connections) = &listener.connections {
                let _ = write!(text, ", {} connections", connections.len());
            }
            text.push('\n');
        }
        let _ = write!(text, "calls and requests under way:\n{}", self.tasks.describe());
        text.push_str("channels:\n");
        let Some(manager) = self.manager.upgrade() else {
            return text + "  they are closed";
        };
        let channels = manager.channels();
        let mut channels: Vec<_> = channels.values().collect();
        channels.sort_by(|one, other| one.id().cmp(other.id()));
        for channel in channels {
            let _ = writeln!(text, "  {}", describe_channel(channel));
        }
        text
    }
}

fn describe_channel(channel: &Channel) -> String {
    let (id, height, health) = (channel.id(), channel.height(), channel.health());
    let mut text = format!("{id}: {health}, height {height}");
    let part = channel.part();
    let more = match &*part {
        Part::Nothing => return text,
        Part::Chain { chain, kind } => {
            let status = chain.status();
            let cluster = status.cluster.as_ref().map(describe_cluster);
            format!(", {kind} {:?}{}", status.phase, cluster.unwrap_or_default())
        }
        Part::Follower { follower, .. } => {
            let trouble = follower.status().trouble;
            trouble.map_or_else(String::new, |trouble| format!(", {trouble}"))
        }
    };
    text.push_str(&more);
    text
}

fn describe_cluster(cluster: &ClusterStatus) -> String {
    let ids = |ids: &[protos::ConsenterId]| {
        let ids: Vec<_> = ids.iter().map(|id| id.0.to_string()).collect();
        ids.join(" ")
    };
    let mut text = format!(
        ", member {} of [{}], term {}, leader {}, active [{}]",
        cluster.id.0,
        ids(&cluster.members),
        cluster.term,
        cluster.leader.map_or(0, |leader| leader.0),
        ids(&cluster.active)
    );
    if let Some(trouble) = &cluster.trouble {
        let _ = write!(text, ", {trouble}");
    }
    text
}

fn tell_reloaded<E: std::fmt::Display>(whose: &str, outcome: Result<(), E>) {
    match outcome {
        Ok(()) => tracing::info!(target: LOGGER, "TLS files of {whose} are read again"),
        Err(error) => tracing::error!(target: LOGGER, "TLS files of {whose} are kept as they were: {error}"),
    }
}
