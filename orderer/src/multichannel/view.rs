//! What can be had of a channel by reading alone: the config in force, and the blocks.

use std::sync::Arc;

use arc_swap::ArcSwap;
use ledger::BlockReader;
use protos::block;
use protos::wire::common::Block;
use protos::{BlockNumber, ChannelId, Height, SealedBlock};
use tokio::sync::watch;

use super::chain_support::{NodeParts, SupportError};
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
        let bundle = read_config(&reader, newest.last_config)?;
        if bundle.channel_id() != channel {
            let found = bundle.channel_id().clone();
            return Err(SupportError::OtherChannel { found });
        }
        let rules = Rules::new(Arc::new(bundle), node.no_expiration_checks)?;
        let view = Self {
            rules: Arc::new(ArcSwap::from_pointee(rules)),
            heights: watch_heights(&reader),
            reader,
        };
        Ok((view, newest))
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
    fn read(reader: &BlockReader) -> Result<Self, SupportError> {
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

fn read_config(reader: &BlockReader, number: BlockNumber) -> Result<configtx::Bundle, SupportError> {
    let found = reader.get(number)?.ok_or(SupportError::NoConfigBlock(number))?;
    let found = found.decode().map_err(|_| SupportError::NoConfigBlock(number))?;
    Ok(configtx::Bundle::from_block(&found)?)
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
