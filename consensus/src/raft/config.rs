//! `RaftConsenter`: what makes the raft chains of a node, and its settings.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use protos::ChannelId;
use tokio::sync::watch;

use super::chain::{Chosen, RaftChain};
use super::log::{RaftLog, Retired};
use super::log_writer::LogWriter;
use super::opening;
use crate::chain::Chain;
use crate::consenter::{Consenter, ConsenterMetadata, HandleChainError, RemovedChain};
use crate::support::ConsenterSupport;

/// How long a submission waits for a leader at most, if the node does not say.
const LEADER_WAIT_MAX: Duration = Duration::from_secs(5);

/// What is a node's own choice, and not the channel's.
#[derive(Clone)]
pub struct RaftNode {
    /// The logs of all its channels: [`EngineLog`](super::EngineLog), or [`BrokenLog`](super::BrokenLog) if that
    /// cannot be opened.
    pub log: Arc<dyn RaftLog>,
    /// Length of a tick instead of the channels' own; none in production.
    pub tick_override: Option<Duration>,
    /// How long a member is without a leader before it asks others whether it was removed.
    pub eviction_suspicion: Duration,
    /// How long a submission waits for a leader; one and a half election timeouts if none, 5 s at most.
    pub leader_wait: Option<Duration>,
}

/// Runs channels whose consensus type is `etcdraft`. One serves all channels of a node.
#[derive(Clone)]
pub struct RaftConsenter {
    node: RaftNode,
    writer: LogWriter,
    /// Chains rest until this is true.
    serving: watch::Receiver<bool>,
    /// Tells this run of the node from others.
    incarnation: u64,
}

impl RaftConsenter {
    /// The consenter of a node, with the thread that writes its log.
    pub fn new(node: RaftNode) -> Self {
        Self {
            writer: LogWriter::start(Arc::clone(&node.log)),
            node,
            serving: watch::channel(true).1,
            incarnation: random(),
        }
    }

    /// The same, whose chains rest until `serving` is true: whoever reads the log of the process forward finds the end
    /// of its start before the first leader (`docs/spec/dropin.md` §2).
    #[must_use]
    pub fn resting_until(mut self, serving: watch::Receiver<bool>) -> Self {
        self.serving = serving;
        self
    }
}

impl Consenter for RaftConsenter {
    fn handle_chain(
        &self,
        support: Arc<dyn ConsenterSupport>,
        metadata: ConsenterMetadata,
    ) -> Result<Arc<dyn Chain>, HandleChainError> {
        let start = opening::open(&*support, &metadata, &*self.node.log, random(), self.incarnation)?;
        let options = start.config.options;
        let tick = self.node.tick_override.unwrap_or(options.tick_interval);
        let election_timeout = tick.saturating_mul(options.election_ticks);
        let leader_wait = (election_timeout + election_timeout / 2).min(LEADER_WAIT_MAX);
        let chosen = Chosen {
            tick,
            is_overridden: self.node.tick_override.is_some(),
            election_timeout,
            eviction_suspicion: self.node.eviction_suspicion,
            leader_wait: self.node.leader_wait.unwrap_or(leader_wait),
        };
        let log = self.writer.channel(support.channel_id().clone());
        let serving = self.serving.clone();
        Ok(Arc::new(RaftChain::new(support, start, log, chosen, serving)?))
    }

    fn before_following(&self, channel: &ChannelId) -> Result<(), String> {
        opening::note_pulls(channel, &*self.node.log)
    }

    fn retire_channel(&self, channel: &ChannelId, chain: RemovedChain) -> Result<(), String> {
        let RemovedChain {
            genesis,
            first,
            metadata,
        } = chain;
        let retired = Retired {
            genesis,
            first,
            members: metadata,
        };
        let retired = self.node.log.retire(channel, retired);
        retired.map_err(|error| error.to_string())
    }

    fn remove_channel(&self, channel: &ChannelId) -> Result<(), String> {
        let removed = self.node.log.remove(channel);
        removed.map_err(|error| error.to_string())
    }
}

impl std::fmt::Debug for RaftConsenter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RaftConsenter")
            .field("incarnation", &self.incarnation)
            .finish_non_exhaustive()
    }
}

/// A number that no other call is likely to give. It decides election timeouts, and tells runs apart.
fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

#[cfg(test)]
mod tests {
    use protos::ConsenterId;

    use super::*;
    use crate::raft::EngineLog;
    use crate::raft::log::{Identity, LogWrite};

    #[tokio::test]
    async fn blocks_pulled_while_it_follows_are_no_lost_log() {
        let folder = tempfile::tempdir().unwrap();
        let log = EngineLog::open(&folder.path().join("wal"), &folder.path().join("snap")).unwrap();
        let log: Arc<dyn RaftLog> = Arc::new(log);
        let raft = RaftConsenter::new(RaftNode {
            log: Arc::clone(&log),
            tick_override: None,
            eviction_suspicion: Duration::from_mins(10),
            leader_wait: None,
        });
        let channel = ChannelId::parse("ch").unwrap();
        raft.before_following(&channel).unwrap();
        assert_eq!(log.load(&channel).unwrap().identity, None);
        let identity = Identity {
            id: ConsenterId(3),
            lost: None,
            votes_from: 7,
            pulled: 2,
        };
        let write = LogWrite {
            identity: Some(identity.clone()),
            ..LogWrite::default()
        };
        log.write(&[(channel.clone(), write)]).unwrap();
        for _ in 0..2 {
            raft.before_following(&channel).unwrap();
            let expected = Identity {
                pulled: u64::MAX,
                ..identity.clone()
            };
            assert_eq!(log.load(&channel).unwrap().identity, Some(expected));
        }
    }
}
