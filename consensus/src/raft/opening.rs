//! What a chain begins with: read from the ledger, the config in force and the log.

use bytes::Bytes;
use configtx::Severity;
use configtx::consensus_metadata::{ETCDRAFT, RaftMetadata};
use prost::Message;
use protos::block::{Hash, header_hash};
use protos::wire::common::Block;
use protos::wire::etcdraft::BlockMetadata;
use protos::{BlockNumber, ChannelId, ConsenterId};

use super::block_metadata::{read, read_block_metadata};
use super::core::{ConfigInForce, Origin, Planted, Start, Tip};
use super::log::{Identity, LogWrite, RaftLog};
use crate::consenter::{ConsenterMetadata, HandleChainError};
use crate::support::ConsenterSupport;

/// Slots of metadata in a block.
const METADATA_SLOTS: usize = 5;

/// All that the chain of a channel begins with. `metadata` is what the newest block carries. Reads the disk.
pub(super) fn open(
    support: &dyn ConsenterSupport,
    metadata: &ConsenterMetadata,
    log: &dyn RaftLog,
    seed: u64,
    incarnation: u64,
) -> Result<Start, HandleChainError> {
    let unusable = |reason: String| HandleChainError::Unusable { reason };
    let config = config_in_force(support).map_err(|error| unusable(error.to_string()))?;
    let place = support.own_place(&config.consenters);
    let place = place.ok_or(HandleChainError::NotMember)?;
    let tip = tip(
        support,
        read(metadata).map_err(unusable)?,
        config.consenters.len(),
    )
    .map_err(unusable)?;
    let id = own_id(&tip, config.consenters.len(), place).map_err(unusable)?;
    let log = log.load(support.channel_id());
    let log = log.map_err(|error| unusable(error.to_string()))?;
    let origin = log.retired.as_ref().map(|_| origin(support)).transpose();
    Ok(Start {
        channel: support.channel_id().clone(),
        id,
        seed,
        incarnation,
        origin: origin.map_err(unusable)?,
        log,
        tip,
        config,
        planted: Planted::default(),
    })
}

/// How the ledger begins.
fn origin(support: &dyn ConsenterSupport) -> Result<Origin, String> {
    let hash_of = |number| -> Result<Option<Hash>, String> {
        let block = support.block(BlockNumber(number))?;
        Ok(block.and_then(|block| block.header.as_ref().map(header_hash)))
    };
    let genesis = hash_of(0)?.ok_or("the ledger has no genesis block")?;
    let first = hash_of(1)?;
    Ok(Origin { genesis, first })
}

/// Puts on record that a follower now brings the ledger ahead of the log: a member whose certificate was replaced comes
/// back under its id when the node has the new one.
pub(super) fn note_pulls(channel: &ChannelId, log: &dyn RaftLog) -> Result<(), String> {
    let state = log.load(channel).map_err(|error| error.to_string())?;
    match state.identity.and_then(Identity::followed) {
        Some(identity) => {
            let write = LogWrite {
                identity: Some(identity),
                ..LogWrite::default()
            };
            let written = log.write(&[(channel.clone(), write)]);
            written.map_err(|error| error.to_string())
        }
        None => Ok(()),
    }
}

/// The node's raft id, by its place among the consenters.
fn own_id(tip: &Tip, consenters: usize, place: usize) -> Result<ConsenterId, String> {
    let ids = &tip.metadata.consenter_ids;
    match ids.get(place) {
        Some(id) if ids.len() == consenters => Ok(ConsenterId(*id)),
        _ => Err(format!(
            "the config has {consenters} consenters, the metadata of block {} has ids of {}",
            tip.number.0,
            ids.len()
        )),
    }
}

/// Why a raft chain cannot work with the config in force.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoConfig {
    /// The channel is not, or no longer, one of etcdraft.
    #[error("its consensus type is {0}")]
    OtherType(String),
    /// What it says of raft is no good.
    #[error("{0}")]
    Unusable(String),
}

/// The config in force, as the core needs it.
pub(super) fn config_in_force(support: &dyn ConsenterSupport) -> Result<ConfigInForce, NoConfig> {
    let kind = support.consensus_type();
    if kind != ETCDRAFT {
        return Err(NoConfig::OtherType(kind));
    }
    let metadata = RaftMetadata::read(&support.consensus_metadata(), Severity::Commit);
    let metadata = metadata.map_err(|error| NoConfig::Unusable(error.to_string()))?;
    Ok(ConfigInForce {
        sequence: support.config_seq(),
        batch: support.batch_config(),
        consenters: metadata.consenters,
        options: metadata.options,
    })
}

/// The ledger's tip, for a config with this many consenters. `metadata` is what its newest block says, if it says
/// anything.
pub(super) fn tip(
    support: &dyn ConsenterSupport,
    metadata: Option<BlockMetadata>,
    consenters: usize,
) -> Result<Tip, String> {
    let number = support.height().0.checked_sub(1);
    let number = BlockNumber(number.ok_or("the ledger is empty")?);
    let block = read_block(support, number)?;
    let metadata = match metadata {
        Some(metadata) => metadata,
        None => newest_metadata(support, number, consenters)?,
    };
    tip_of(number, block, metadata)
}

pub(super) fn tip_of(number: BlockNumber, mut block: Block, metadata: BlockMetadata) -> Result<Tip, String> {
    let header = block.header.as_ref();
    let header = header.ok_or_else(|| format!("block {} has no header", number.0))?;
    let hash = header_hash(header);
    block.metadata.get_or_insert_default().metadata = vec![Bytes::new(); METADATA_SLOTS];
    Ok(Tip {
        number,
        hash,
        metadata,
        entry: block.encode_to_vec().into(),
    })
}

fn read_block(support: &dyn ConsenterSupport, number: BlockNumber) -> Result<Block, String> {
    let block = support.block(number)?;
    block.ok_or_else(|| format!("block {} is not in the ledger", number.0))
}

/// What the newest block says that says anything; what a genesis block means if none does.
fn newest_metadata(
    support: &dyn ConsenterSupport,
    tip: BlockNumber,
    consenters: usize,
) -> Result<BlockMetadata, String> {
    for number in (1..=tip.0).rev().map(BlockNumber) {
        let said = read_block_metadata(&read_block(support, number)?);
        if let Some(metadata) = said.map_err(|error| format!("block {}: {error}", number.0))? {
            return Ok(metadata);
        }
    }
    Ok(BlockMetadata {
        consenter_ids: (1..=consenters as u64).collect(),
        next_consenter_id: consenters as u64 + 1,
        raft_index: 0,
    })
}
