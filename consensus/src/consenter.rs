//! Consenter types: what makes a chain, what checks its metadata, and the tables of both by name.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use configtx::Bundle;
use configtx::consensus_metadata::{BFT, ETCDRAFT};
use protos::block::Hash;
use protos::{ChannelId, ConsenterId};

use crate::bft::{BftMetadataError, BftValidator};
use crate::chain::Chain;
use crate::raft::{RaftConsenter, RaftMetadataError, RaftValidator};
use crate::solo::{SOLO, SoloConsenter};
use crate::support::ConsenterSupport;

/// What a block carries for its consenter, opaque to everybody else. Empty for solo.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConsenterMetadata(pub Bytes);

/// One way to order a channel.
pub trait Consenter: Send + Sync {
    /// Makes the chain of a channel, once per channel and process; it is not started yet. `metadata` is what the
    /// channel's last block carries for this consenter.
    fn handle_chain(
        &self,
        support: Arc<dyn ConsenterSupport>,
        metadata: ConsenterMetadata,
    ) -> Result<Arc<dyn Chain>, HandleChainError>;

    /// Says that blocks of other orderers are appended to the ledger of `channel` from now on, without a chain. What this
    /// consenter keeps outside the ledger falls behind it by that, which is not to be taken for a loss. Only while no
    /// chain of it runs; reads and writes the disk on the calling thread.
    ///
    /// # Errors
    /// In words; nothing may be appended.
    fn before_following(&self, _channel: &ChannelId) -> Result<(), String> {
        Ok(())
    }

    /// Says that the channel will be removed from this node, which other nodes may keep: of what this consenter keeps
    /// outside the ledger only what it owes to them stays, durably, for the case that the channel comes back. Only while
    /// no chain of it runs, and before [`remove_channel`](Self::remove_channel); fine if there is nothing, and where the
    /// channel is not removed in the end. Reads and writes the disk on the calling thread.
    ///
    /// # Errors
    /// In words; it may be tried again.
    fn retire_channel(&self, _channel: &ChannelId, _chain: RemovedChain) -> Result<(), String> {
        Ok(())
    }

    /// Takes away what this consenter keeps of a channel outside its ledger, durably, so that a channel of the same
    /// name starts fresh; but not what it keeps of one that was [retired](Self::retire_channel). Only while no chain of
    /// it runs; fine if there is nothing. Reads and writes the disk on the calling thread.
    ///
    /// # Errors
    /// In words; it may be tried again.
    fn remove_channel(&self, _channel: &ChannelId) -> Result<(), String> {
        Ok(())
    }
}

/// By what a chain is known again whose ledger is removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemovedChain {
    /// Hash of the genesis block's header.
    pub genesis: Hash,
    /// Hash of block 1's header; none if there is none.
    pub first: Option<Hash>,
    /// The metadata of the consensus type in the config in force.
    pub metadata: Bytes,
}

/// Why a consenter does not run a channel.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HandleChainError {
    /// The last block was made by another consenter type.
    #[error("the last block carries {bytes} bytes of metadata that a {consenter} chain does not write")]
    ForeignMetadata {
        /// The type asked.
        consenter: &'static str,
        /// How much was found.
        bytes: usize,
    },
    /// This node is no member of the channel.
    #[error("this node is no consenter of the channel")]
    NotMember,
    /// The node has lost part of its log and must not take part under its present id.
    #[error("{reason}")]
    LostLog {
        /// What was found, and the command that mends it.
        reason: String,
    },
    /// What is on the disk cannot be gone on with.
    #[error("{reason}")]
    Unusable {
        /// What is wrong.
        reason: String,
    },
}

/// Checks the consenter's part of a config that somebody proposes or joins with. A table of its own, since a type
/// may be checked before it can run. A committed config is never judged by it.
pub trait MetadataValidator: Send + Sync {
    /// Checks `change.new` as it stands, and against `change.old`. The validator is that of the type in the old
    /// config, if there is one. A refusal is a bad request.
    fn validate(&self, change: &ConfigChange<'_>) -> Result<(), MetadataError>;

    /// Checks what the type asks of a config when it is about to order it, after everything else was found good.
    /// A refusal is "service unavailable".
    fn validate_for_ordering(&self, _change: &ConfigChange<'_>) -> Result<(), MetadataError> {
        Ok(())
    }
}

/// A config to be judged, and what is known of the channel at the time.
#[derive(Clone, Copy, Debug)]
pub struct ConfigChange<'a> {
    /// The config in force; none for a genesis or join block.
    pub old: Option<&'a Bundle>,
    /// The config to be judged.
    pub new: &'a Bundle,
    /// What the chain knows of its members.
    pub members: &'a Members,
    /// For the dates of certificates.
    pub now: SystemTime,
}

/// What a chain knows of its members. Empty for types without members, and before a chain knows anything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Members {
    /// Their ids, in the order of the consenters in the config in force.
    pub ids: Vec<ConsenterId>,
    /// Those that are known to be alive.
    pub active: Vec<ConsenterId>,
}

/// What is wrong with the consenter's part of a config.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MetadataError {
    /// A type that has no settings was given some.
    #[error("consensus metadata of type {kind} must be empty, got {bytes} bytes")]
    NotEmpty {
        /// The type.
        kind: String,
        /// How much was found.
        bytes: usize,
    },
    /// The type would change, which this one does not allow.
    #[error("consensus type may not change from {old} to {new}")]
    TypeChange {
        /// The type in force.
        old: String,
        /// The type asked for.
        new: String,
    },
    /// What etcdraft says.
    #[error(transparent)]
    Raft(#[from] RaftMetadataError),
    /// What BFT says.
    #[error(transparent)]
    Bft(#[from] BftMetadataError),
}

/// A table of one kind of thing by consensus type.
pub struct Table<T: ?Sized>(BTreeMap<&'static str, Arc<T>>);

/// A consensus type nobody here knows. The channel is quarantined at start and refused at join
/// (`docs/spec/rules.md` §8.3).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("consenter {kind} is not available")]
pub struct NotAvailable {
    /// The type asked for.
    pub kind: String,
}

impl<T: ?Sized> FromIterator<(&'static str, Arc<T>)> for Table<T> {
    fn from_iter<I: IntoIterator<Item = (&'static str, Arc<T>)>>(named: I) -> Self {
        Self(named.into_iter().collect())
    }
}

impl<T: ?Sized> Table<T> {
    /// The one of this type.
    pub fn get(&self, kind: &str) -> Result<Arc<T>, NotAvailable> {
        let found = self.0.get(kind).map(Arc::clone);
        found.ok_or_else(|| NotAvailable {
            kind: kind.to_owned(),
        })
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &Arc<T>> {
        self.0.values()
    }
}

/// The consenters of a node: solo, and raft if there is a place for its logs.
pub fn consenters(raft: Option<RaftConsenter>) -> Table<dyn Consenter> {
    let solo: Arc<dyn Consenter> = Arc::new(SoloConsenter);
    let raft = raft.map(|raft| (ETCDRAFT, Arc::new(raft) as Arc<dyn Consenter>));
    Table([(SOLO, solo)].into_iter().chain(raft).collect())
}

/// The metadata validators this build has.
pub fn metadata_validators() -> Table<dyn MetadataValidator> {
    Table(BTreeMap::from([
        (SOLO, Arc::new(SoloConsenter) as Arc<dyn MetadataValidator>),
        (ETCDRAFT, Arc::new(RaftValidator)),
        (BFT, Arc::new(BftValidator)),
    ]))
}
