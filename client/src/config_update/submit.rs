//! Seeing an update in a block, or seeing why it will never be in one.

use std::time::Duration;

use configtx::Bundle;
use configtx::bundle::BundleError;
use configtx::config_block::{ConfigBlock, ConfigBlockError};
use configtx::update::{Update, UpdateError};
use prost::Message as _;
use protos::block::SealError;
use protos::envelope::Opened;
use protos::wire::common::{Block, ConfigUpdateEnvelope, Envelope};
use protos::{BlockNumber, ConfigSeq, SealedBlock, block};

use super::UpdateEnvelope;
use crate::connection::Connection;
use crate::deliver::{DeliverError, DeliverStream, Position, Resume, Seek};
use crate::envelope::EnvelopeSigner;

/// Where an update stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ordered {
    /// The config block.
    pub number: BlockNumber,
    /// The sequence of the new config.
    pub sequence: ConfigSeq,
}

/// Why an update was not seen in a block.
#[derive(Debug, thiserror::Error)]
pub enum WaitError {
    /// Another update was ordered first, and this one does not fit any more. It will never be ordered.
    #[error(
        "another config update was ordered first, in block {number}, and this one no longer applies: {reason}"
    )]
    Overtaken {
        /// Block of the other one.
        number: BlockNumber,
        /// Why.
        reason: Box<UpdateError>,
    },
    /// It may be ordered yet.
    #[error("the update was accepted and was in no block within {} s; it may be ordered yet", time_max.as_secs())]
    Timeout {
        /// How long was waited.
        time_max: Duration,
    },
    /// The node delivers nothing.
    #[error(transparent)]
    Deliver(#[from] DeliverError),
    /// It delivered something that is no block.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// A config block that cannot be read.
    #[error("config block {number}: {source}")]
    Block {
        /// Which.
        number: BlockNumber,
        /// Why.
        source: ConfigBlockError,
    },
    /// A config block with an unusable config.
    #[error("config in block {number}: {source}")]
    Config {
        /// Which.
        number: BlockNumber,
        /// Why.
        source: Box<BundleError>,
    },
}

/// Reads blocks from `first` on until one holds `update`, for at most `time_max`.
///
/// Of updates that were computed from one config and touch the same elements, the first one ordered wins; nodes
/// drop the others without a word (`docs/spec/rules.md` §4). That is found out here.
pub async fn wait_until_ordered(
    connection: &Connection,
    signer: &EnvelopeSigner,
    first: BlockNumber,
    update: &UpdateEnvelope,
    time_max: Duration,
) -> Result<Ordered, WaitError> {
    let seek = Seek {
        headers_only: true,
        ..Seek::follow(Position::Number(first))
    };
    let mut stream = DeliverStream::new(connection, signer.clone(), seek, Resume::default());
    let look = async {
        loop {
            let block = stream.next().await?.ok_or_else(|| DeliverError::Malformed {
                reason: "a stream without an end came to its end".to_owned(),
            })?;
            if let Some(ordered) = judge(&block, update)? {
                return Ok(ordered);
            }
        }
    };
    let in_time = tokio::time::timeout(time_max, look).await;
    in_time.unwrap_or(Err(WaitError::Timeout { time_max }))
}

/// Whether `sealed` holds `update`; an error when it holds one that leaves no room for it.
fn judge(sealed: &SealedBlock, update: &UpdateEnvelope) -> Result<Option<Ordered>, WaitError> {
    let number = sealed.number();
    let decoded = sealed.decode()?;
    if !block::is_config_block(&decoded) {
        return Ok(None);
    }
    let read = ConfigBlock::read(&decoded).map_err(|source| WaitError::Block { number, source })?;
    let sequence = ConfigSeq(read.config.sequence);
    if read.last_update.is_some_and(|last| holds(&last, update)) {
        return Ok(Some(Ordered { number, sequence }));
    }
    refuse_if_stale(number, &decoded, update).map(|()| None)
}

/// The update counts, whoever submitted it and whatever signatures were added on the way.
fn holds(last: &Envelope, update: &UpdateEnvelope) -> bool {
    let opened = Opened::open(last.encode_to_vec().into());
    let content = opened
        .ok()
        .and_then(|opened| ConfigUpdateEnvelope::decode(opened.data).ok());
    content.is_some_and(|content| content.config_update == update.config_update())
}

fn refuse_if_stale(number: BlockNumber, block: &Block, update: &UpdateEnvelope) -> Result<(), WaitError> {
    let bundle = Bundle::from_block(block).map_err(|source| WaitError::Config {
        number,
        source: Box::new(source),
    })?;
    let applied = Update::read(update.data()).and_then(|update| update.apply(&bundle));
    applied.map(drop).map_err(|reason| WaitError::Overtaken {
        number,
        reason: Box::new(reason),
    })
}
