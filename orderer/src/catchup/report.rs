//! What the log says about sources, each change of state once, and about the blocks that come.

use std::time::Instant;

use client::Address;
use protos::{ChannelId, SealedBlock};

use super::LOGGER;
use super::plan::Trouble;
use crate::logging::seldom::{Seldom, more};

/// A block has come and verified. Of many a second, a few are said.
pub(super) fn got(channel: &ChannelId, block: &SealedBlock, said: &Seldom<()>) {
    if let Some(kept_back) = said.tell((), Instant::now()) {
        let (number, kib, more) = (
            block.number(),
            block.bytes().len().div_ceil(1024),
            more(kept_back),
        );
        tracing::info!(target: LOGGER, %channel, "Got block [{number}] of size {kib}KB{more}");
    }
}

/// A source is in trouble, or out of it. Nothing here needs anybody: other sources are asked, and this one again.
pub(crate) fn log(channel: &ChannelId, source: &Address, trouble: Option<&Trouble>) {
    match trouble {
        None => tracing::info!(target: LOGGER, %channel, "Pulling blocks from {source} again"),
        // Harnesses search for this text (docs/spec/dropin.md §2).
        Some(Trouble::Forbidden) => tracing::warn!(
            target: LOGGER, %channel,
            "Received status:FORBIDDEN from {source}: forbidden pulling the channel"
        ),
        Some(Trouble::NotFound) => tracing::info!(
            target: LOGGER, %channel,
            "Received status:NOT_FOUND from {source}: it does not serve the channel, or has no such block"
        ),
        Some(Trouble::Status(status)) => tracing::info!(
            target: LOGGER, %channel,
            "Received status:{status} from {source}: not pulling from it for now"
        ),
        Some(Trouble::Itself) => tracing::debug!(
            target: LOGGER, %channel,
            "The orderer endpoint {source} is this node"
        ),
        Some(lie) if lie.is_lie() => tracing::warn!(
            target: LOGGER, %channel,
            "Not trusting {source} for a while: {lie}"
        ),
        Some(other) => tracing::info!(
            target: LOGGER, %channel,
            "Cannot pull blocks from {source}, others are asked: {other}"
        ),
    }
}
