//! Messages between the consenters of a channel, and where they go.
//!
//! ```text
//! chain ── Transport::send(to, kind, message) ──> orderer's cluster client ~~ Cluster/Step ~~> the other node
//! chain <── Chain::receive(from, message) ─────── its cluster service, which knows `from` by its certificate
//! ```
//!
//! A message may be lost, late, doubled or out of order with one of another [`MessageKind`]; those of one kind from
//! one run of a sender arrive in the order they were sent, as long as the stream holds.

use std::collections::BTreeMap;

use bytes::Bytes;
use protos::{ConfigSeq, ConsenterId, Envelope};
use tokio::sync::watch;

/// What one orderer says to another about one channel.
#[derive(Clone, Debug, PartialEq)]
pub enum ClusterMessage {
    /// `orderer.ConsensusRequest`.
    Consensus {
        /// The consenter's own: `raftpb.Message` for etcdraft.
        payload: Bytes,
        /// `etcdraft.ClusterMetadata` of a leader; mostly empty.
        metadata: Bytes,
    },
    /// `orderer.SubmitRequest`: an envelope for the leader.
    Submit {
        /// The envelope, checked by the sender. A config update is the wrapped CONFIG envelope.
        envelope: Envelope,
        /// The config sequence that it was checked at.
        config_seq: ConfigSeq,
        /// Which one of the sender's it is; none from nodes that do not number them.
        mark: Option<ForwardMark>,
    },
}

/// Numbers the envelopes that one run of a sender hands to the leader of one term.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ForwardMark {
    /// The leader's term.
    pub term: u64,
    /// The run of the sender.
    pub incarnation: u64,
    /// From 1, without gaps. One with an empty envelope says that nothing through this number comes any more.
    pub number: u64,
}

/// Each kind has a stream and a bounded queue of its own towards each peer, so that none waits behind another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MessageKind {
    /// Small and urgent: heartbeats, votes, their answers, and answers to appends.
    Heartbeat,
    /// Log entries and snapshots.
    Append,
    /// Envelopes for the leader.
    Submit,
}

/// Another consenter of the channel, as the config in force has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its raft id.
    pub id: ConsenterId,
    /// Where it listens.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// PEM; whoever calls with this public key is this peer.
    pub client_tls_cert: Bytes,
    /// PEM; whoever is dialled must show this public key.
    pub server_tls_cert: Bytes,
}

/// One channel's way to its other consenters. Nothing here blocks or waits.
pub trait Transport: Send + Sync {
    /// The others from now on: connections to new ones are made, those to old ones end, and calls are taken from
    /// these alone.
    fn set_peers(&self, peers: Vec<Peer>);

    /// Queues a message. A full queue drops it and says so; for [`MessageKind::Append`] and
    /// [`MessageKind::Heartbeat`] raft sends again, for [`MessageKind::Submit`] the core does.
    fn send(&self, to: ConsenterId, kind: MessageKind, message: ClusterMessage) -> Result<(), SendError>;

    /// Throws away what waits as [`MessageKind::Heartbeat`]: this node leads no more. A peer that hears of it only when it
    /// is reached again would take it for its leader, and wait for it.
    fn forget_heartbeats(&self);

    /// How often the submit stream to each peer was made since the start. Each time, what was queued for it before
    /// is thrown away first: the core hands it again.
    fn submit_streams(&self) -> watch::Receiver<BTreeMap<ConsenterId, u64>>;
}

/// Why a message was not queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// No such peer.
    #[error("consenter {0} is not a peer")]
    UnknownPeer(ConsenterId),
    /// It takes messages more slowly than they come.
    #[error("the queue to consenter {0} is full")]
    Full(ConsenterId),
    /// There is no connection to it now.
    #[error("consenter {0} is not connected")]
    NotConnected(ConsenterId),
}

/// The transport of a channel without other consenters.
#[derive(Clone, Copy, Debug, Default)]
pub struct Alone;

impl Transport for Alone {
    fn set_peers(&self, _peers: Vec<Peer>) {}

    fn send(&self, to: ConsenterId, _kind: MessageKind, _message: ClusterMessage) -> Result<(), SendError> {
        Err(SendError::UnknownPeer(to))
    }

    fn forget_heartbeats(&self) {}

    fn submit_streams(&self) -> watch::Receiver<BTreeMap<ConsenterId, u64>> {
        watch::channel(BTreeMap::new()).1
    }
}
