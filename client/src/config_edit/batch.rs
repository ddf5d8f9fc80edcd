//! When a block is complete.

use std::time::Duration;

use configtx::duration::GoDuration;
use configtx::keys;
use protos::wire::common::Config;
use protos::wire::orderer::{BatchSize, BatchTimeout};

use super::EditError;
use super::place::Place;

/// What shall change; the rest stays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BatchChange {
    /// Envelopes in a block.
    pub max_message_count: Option<u32>,
    /// Bytes that no envelope may exceed.
    pub absolute_max_bytes: Option<u32>,
    /// Bytes that a block should stay below.
    pub preferred_max_bytes: Option<u32>,
    /// How long a block's first envelope waits for more; above 0.
    pub timeout: Option<Duration>,
}

/// Changes limits and timeout of the channel's blocks.
pub fn set_batch(mut config: Config, change: &BatchChange) -> Result<Config, EditError> {
    let mut orderer = Place::orderer(&mut config)?;
    let size: BatchSize = orderer.value(keys::BATCH_SIZE)?;
    let size = BatchSize {
        max_message_count: change.max_message_count.unwrap_or(size.max_message_count),
        absolute_max_bytes: change.absolute_max_bytes.unwrap_or(size.absolute_max_bytes),
        preferred_max_bytes: change.preferred_max_bytes.unwrap_or(size.preferred_max_bytes),
    };
    orderer.set(keys::BATCH_SIZE, &size);
    if let Some(timeout) = change.timeout {
        set_timeout(&mut orderer, timeout)?;
    }
    Ok(config)
}

/// The same length of time in other words is no change.
fn set_timeout(orderer: &mut Place<'_>, timeout: Duration) -> Result<(), EditError> {
    if timeout.is_zero() {
        let path = orderer.path_of(keys::BATCH_TIMEOUT);
        return Err(EditError::Timeout { path });
    }
    let old: BatchTimeout = orderer.value(keys::BATCH_TIMEOUT)?;
    let old = old
        .timeout
        .parse::<GoDuration>()
        .ok()
        .and_then(GoDuration::to_std);
    if old != Some(timeout) {
        let timeout = GoDuration::from_std(timeout).to_string();
        orderer.set(keys::BATCH_TIMEOUT, &BatchTimeout { timeout });
    }
    Ok(())
}
