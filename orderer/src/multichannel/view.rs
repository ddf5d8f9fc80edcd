//! What can be had of a channel by reading alone: the config in force, and the blocks.

use std::sync::Arc;

use arc_swap::ArcSwap;
use configtx::Bundle;
use ledger::BlockReader;
use protos::block;
use protos::wire::common::Block;
use protos::{BlockNumber, ChannelId, Height, SealedBlock};
use tokio::sync::watch;

use super::chain_support::{NodeParts, SupportError};
use super::refused;
use crate::processor::Rules;

/// One channel's config in force, and its blocks.
#[derive(Debug)]
pub struct View {
    rules: Arc<ArcSwap<Rules>>,
    reader: BlockReader,
    heights: watch::Receiver<Height>,
}

/// The newest block of a channel, and where its config is.
pub(super) struct Newest {
    pub(super) sealed: SealedBlock,
    pub(super) block: Block,
    pub(super) last_config: BlockNumber,
}

impl View {
    /// Reads the newest block and the config in force of `channel`.
    pub(super) fn open(
        channel: &ChannelId,
        reader: BlockReader,
        node: &NodeParts,
    ) -> Result<(Self, Newest), SupportError> {
        let newest = Newest::read(&reader)?;
        let bundle = config_in_force(&reader, newest.last_config)?;
        if bundle.channel_id() != channel {
            let found = bundle.channel_id().clone();
            return Err(SupportError::OtherChannel { found });
        }
        let view = Self::under(Arc::new(bundle), reader, node)?;
        Ok((view, newest))
    }

    /// The blocks of `reader`, for whom `bundle` lets in.
    pub(super) fn under(
        bundle: Arc<Bundle>,
        reader: BlockReader,
        node: &NodeParts,
    ) -> Result<Self, SupportError> {
        let rules = Rules::new(bundle, node.no_expiration_checks)?;
        Ok(Self {
            rules: Arc::new(ArcSwap::from_pointee(rules)),
            heights: watch_heights(&reader),
            reader,
        })
    }

    /// The checks in force.
    pub fn rules(&self) -> Arc<Rules> {
        self.rules.load_full()
    }

    /// Where the checks in force are replaced.
    pub(super) fn rules_in_force(&self) -> &Arc<ArcSwap<Rules>> {
        &self.rules
    }

    /// Reads its blocks.
    pub fn reader(&self) -> &BlockReader {
        &self.reader
    }

    /// The durable height, as it grows.
    pub fn heights(&self) -> watch::Receiver<Height> {
        self.heights.clone()
    }
}

impl Newest {
    pub(super) fn read(reader: &BlockReader) -> Result<Self, SupportError> {
        let sealed = reader.tip()?.ok_or(SupportError::Empty)?;
        let block = sealed
            .decode()
            .map_err(|_| SupportError::NoConfigBlock(sealed.number()))?;
        Ok(Self {
            last_config: block::last_config(&block)?,
            sealed,
            block,
        })
    }
}

/// The config of block `number`, the newest one. It was checked before it was written; here it is checked once more,
/// as what is on the disk may not be what was written.
fn config_in_force(reader: &BlockReader, number: BlockNumber) -> Result<Bundle, SupportError> {
    let block = read_block(reader, number)?;
    let Some(before) = number.0.checked_sub(1).map(BlockNumber) else {
        return Ok(Bundle::from_block(&block)?);
    };
    let previous = block::last_config(&read_block(reader, before)?)?;
    let bundle = Bundle::from_block(&read_block(reader, previous)?)?;
    Ok(refused::validate(&Arc::new(bundle), previous, &block)?)
}

fn read_block(reader: &BlockReader, number: BlockNumber) -> Result<Block, SupportError> {
    let found = reader.get(number)?.ok_or(SupportError::NoConfigBlock(number))?;
    found.decode().map_err(|_| SupportError::NoConfigBlock(number))
}

fn watch_heights(reader: &BlockReader) -> watch::Receiver<Height> {
    let (sender, heights) = watch::channel(reader.height());
    let latest = sender.clone();
    reader.on_height(Box::new(move |height| {
        sender.send_replace(height);
    }));
    // Registered first, so that no height is missed in between.
    latest.send_replace(reader.height());
    heights
}
