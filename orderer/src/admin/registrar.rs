//! What the API asks of the channels, and the ways that can fail.

use bytes::Bytes;
use consensus::ClusterStatus;
use futures::future::BoxFuture;
use protos::wire::common::Block;
use protos::{BlockNumber, ChannelId, Height, SealedBlock};

/// The channels of this node, as the admin API sees them.
pub trait Registrar: Send + Sync + 'static {
    /// Names of all channels, sorted; also of those that are being onboarded or have failed.
    fn channels(&self) -> Vec<ChannelId>;

    /// One channel, or none of that name.
    fn channel(&self, channel: &ChannelId) -> Option<ChannelInfo>;

    /// Checks `block` and joins its channel. Resolves once the join survives a crash.
    fn join(&self, block: Block) -> BoxFuture<'_, Result<ChannelInfo, JoinError>>;

    /// Checks the config update in `envelope`, a serialized `common.Envelope`, and hands the config that comes of
    /// it to its channel's chain. Resolves once the chain has taken it in, which is before it stands in a block.
    fn update(&self, envelope: Bytes) -> BoxFuture<'_, Result<ChannelInfo, UpdateError>>;

    /// Removes a channel and its blocks from this node. Resolves when nothing of it is left.
    fn remove<'a>(&'a self, channel: &'a ChannelId) -> BoxFuture<'a, Result<(), RemoveError>>;

    /// One block of a channel this node serves.
    fn block<'a>(
        &'a self,
        channel: &'a ChannelId,
        choice: BlockChoice,
    ) -> BoxFuture<'a, Result<SealedBlock, FetchError>>;
}

/// What is told about one channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelInfo {
    /// Its name.
    pub name: ChannelId,
    /// This node's part in it.
    pub relation: Relation,
    /// What this node is doing about it.
    pub status: Status,
    /// How many blocks this node has.
    pub height: Height,
    /// The cluster as this node sees it, while it takes part in one. Beyond what the reference tells.
    pub consensus: Option<ConsensusInfo>,
    /// What an operator should know of a channel that is not simply active. Beyond what the reference tells.
    pub reason: Option<String>,
}

/// A channel's cluster as one member sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsensusInfo {
    /// The consensus type.
    pub kind: String,
    /// Who leads, and who is there.
    pub cluster: ClusterStatus,
}

/// A node's part in a channel (`consensusRelation`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// It orders, as a member of the consenter set.
    Consenter,
    /// It follows, without being a member.
    Follower,
    /// The channel's config still has to be learned.
    ConfigTracker,
    /// The consensus type knows no membership (solo).
    Other,
}

/// What a node is doing about a channel (`status`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It takes part, or follows at the tip.
    Active,
    /// It fetches the blocks it lacks.
    Onboarding,
    /// It cannot go on.
    Inactive,
    /// Its removal did not finish.
    Failed,
}

/// Which block of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockChoice {
    /// The tip.
    Newest,
    /// The genesis block.
    Oldest,
    /// The newest config block.
    Config,
    /// The one with this number.
    Number(BlockNumber),
}

/// Why a channel was not joined. [`reply`](super::reply) gives each its HTTP status.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JoinError {
    /// The block itself is not one that a channel can be joined with.
    #[error("invalid join block: {0}")]
    InvalidBlock(String),
    /// The block is good, but this node cannot run its channel.
    #[error("cannot join: {0}")]
    Refused(String),
    /// The channel is here already.
    #[error("cannot join: channel already exists")]
    AlreadyExists,
    /// A channel of that name is being removed.
    #[error("cannot join: channel pending removal")]
    PendingRemoval,
    /// A channel of that name was not removed completely.
    #[error("cannot join: channel removal failure")]
    RemovalFailed,
    /// The disk or this process failed.
    #[error("cannot join: {0}")]
    Internal(String),
}

/// Why a config update was not taken in. [`reply`](super::reply) gives each its HTTP status.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UpdateError {
    /// It is no envelope at all.
    #[error("cannot unmarshal file part config-update-envelope into an envelope: {0}")]
    Unreadable(String),
    /// It is an envelope, but not one of a config update.
    #[error("invalid config update envelope: {0}")]
    InvalidEnvelope(String),
    /// No such channel here.
    #[error("cannot update: channel does not exist")]
    NoChannel,
    /// This node follows the channel.
    #[error("cannot update: channel is not ready, he is a follower")]
    Follower,
    /// The channel is being removed.
    #[error("cannot update: channel pending removal")]
    PendingRemoval,
    /// The channel was not removed completely.
    #[error("cannot update: channel removal failure")]
    RemovalFailed,
    /// The checks, or the chain, say no; the reason is the one that a broadcast client reads.
    #[error("cannot update: failed update config of channel {channel}: {reason}")]
    Refused {
        /// The channel.
        channel: ChannelId,
        /// Why.
        reason: String,
    },
    /// This process failed.
    #[error("cannot update: {0}")]
    Internal(String),
}

/// Why a channel was not removed, or not wholly. [`reply`](super::reply) gives each its HTTP status.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RemoveError {
    /// No such channel here.
    #[error("cannot remove: channel does not exist")]
    NoChannel,
    /// It is being removed already.
    #[error("cannot remove: channel pending removal")]
    Pending,
    /// A step failed; asking again goes on from there.
    #[error("cannot remove: {0}")]
    Failed(String),
}

/// Why a block was not handed out. All are 404.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// No such channel here.
    #[error("channel does not exist")]
    NoChannel,
    /// This node follows the channel; tools take this answer as the sign that it is no member.
    #[error("channel is not ready, he is a follower")]
    Follower,
    /// The chain is shorter.
    #[error("no such block number [{}] in index", .0.0)]
    NoBlock(BlockNumber),
    /// The block cannot be read.
    #[error("{0}")]
    Failed(String),
}
