//! The config in force, as a node tells it.

use configtx::Bundle;
use configtx::bundle::BundleError;
use protos::block::{self, MetadataError, SealError};
use protos::{BlockNumber, ChannelId, SealedBlock};

use crate::connection::Connection;
use crate::deliver::{DeliverError, DeliverStream, Position, Resume, Seek};
use crate::envelope::EnvelopeSigner;

/// The newest config of a channel.
#[derive(Debug)]
pub struct FetchedConfig {
    /// The block that holds it, as it came.
    pub block: SealedBlock,
    /// The config, parsed and checked.
    pub bundle: Bundle,
    /// The newest block of the channel when it was asked.
    pub newest: BlockNumber,
}

/// Why the config in force is not known.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The node delivers nothing.
    #[error(transparent)]
    Deliver(#[from] DeliverError),
    /// It delivered something that is no block.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The newest block does not tell where the config is.
    #[error("block {number} does not tell its config: {source}")]
    LastConfig {
        /// Which block.
        number: BlockNumber,
        /// What is wrong with its metadata.
        source: MetadataError,
    },
    /// The config block holds no usable config.
    #[error("config in block {number}: {source}")]
    Config {
        /// Which block.
        number: BlockNumber,
        /// What is wrong with it.
        source: Box<BundleError>,
    },
    /// The config is that of another channel.
    #[error("the node was asked for channel {asked} and delivered the config of {got}")]
    OtherChannel {
        /// Which was asked for.
        asked: ChannelId,
        /// Which came.
        got: ChannelId,
    },
}

/// Asks the node for its newest block, and for the config block which that names.
///
/// The node is believed: neither links nor signatures are checked here. A wrong config leads to an update that
/// the channel refuses, since an update states what it was computed against.
pub async fn newest_config(
    connection: &Connection,
    signer: &EnvelopeSigner,
) -> Result<FetchedConfig, FetchError> {
    let newest = one(connection, signer, Position::Newest).await?;
    let number = newest.number();
    let last =
        block::last_config(&newest.decode()?).map_err(|source| FetchError::LastConfig { number, source })?;
    let found = if last == number {
        newest
    } else {
        one(connection, signer, Position::Number(last)).await?
    };
    let bundle = Bundle::from_block(&found.decode()?).map_err(|source| FetchError::Config {
        number: last,
        source: Box::new(source),
    })?;
    if bundle.channel_id() != signer.channel() {
        return Err(FetchError::OtherChannel {
            asked: signer.channel().clone(),
            got: bundle.channel_id().clone(),
        });
    }
    Ok(FetchedConfig {
        block: found,
        bundle,
        newest: number,
    })
}

/// Served also while consensus reports an error: config is what one then wants to see.
async fn one(
    connection: &Connection,
    signer: &EnvelopeSigner,
    position: Position,
) -> Result<SealedBlock, FetchError> {
    let seek = Seek {
        best_effort: true,
        ..Seek::one(position)
    };
    let mut stream = DeliverStream::new(connection, signer.clone(), seek, Resume::default());
    let block = stream.next().await?.ok_or_else(|| DeliverError::Malformed {
        reason: "one block was asked for and none came".to_owned(),
    })?;
    Ok(block)
}
