//! The Manager as Deliver sees it.

use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use ledger::{BlockReader, ReadError};
use protos::wire::common::Status as WireStatus;
use protos::{BlockNumber, Height, SealedBlock};
use tokio::sync::watch;

use super::channel::Part;
use super::manager::Manager;
use super::view::View;
use crate::deliver::source::{Channels, Source};
use crate::processor::Rules;

/// Blocks read at once.
const BLOCKS_AT_ONCE: usize = 16;
/// Reading at once stops past this many bytes.
const BYTES_AT_ONCE: usize = 1 << 20;

impl Channels for Manager {
    fn find(&self, channel: &str) -> Result<Arc<dyn Source>, WireStatus> {
        let channel = self.get(channel).ok_or(WireStatus::NotFound)?;
        // Without a config nobody can be let in.
        let view = channel.view().ok_or(WireStatus::ServiceUnavailable)?;
        let errored = match &*channel.part() {
            Part::Chain { chain, .. } => chain.errored(),
            // A node that should order and cannot has good blocks, and will not have the newest for long.
            Part::Follower { reason: Some(_), .. } | Part::Nothing => watch::channel(true).1,
            Part::Follower { reason: None, .. } => return Err(WireStatus::NotFound),
        };
        Ok(Arc::new(Readable {
            view: Arc::clone(view),
            errored,
        }))
    }
}

/// One channel's blocks, with or without a chain that adds to them.
struct Readable {
    view: Arc<View>,
    errored: watch::Receiver<bool>,
}

impl Source for Readable {
    fn rules(&self) -> Arc<Rules> {
        self.view.rules()
    }

    fn heights(&self) -> watch::Receiver<Height> {
        self.view.heights()
    }

    fn errored(&self) -> watch::Receiver<bool> {
        self.errored.clone()
    }

    fn read(
        &self,
        first: BlockNumber,
        end: BlockNumber,
    ) -> BoxFuture<'static, Result<Vec<SealedBlock>, ReadError>> {
        let reader = self.view.reader().clone();
        let reading = tokio::task::spawn_blocking(move || read(&reader, first, end));
        // A panic there ends as no block, which the stream reports.
        async move { reading.await.unwrap_or_else(|_| Ok(Vec::new())) }.boxed()
    }
}

fn read(reader: &BlockReader, first: BlockNumber, end: BlockNumber) -> Result<Vec<SealedBlock>, ReadError> {
    let mut blocks = Vec::new();
    let mut bytes = 0;
    for block in reader.iter(first) {
        let block = match block {
            Ok(block) => block,
            // The blocks before a damaged one are still good.
            Err(_) if !blocks.is_empty() => break,
            Err(error) => return Err(error),
        };
        bytes += block.bytes().len();
        let is_last = block.number().next() >= end;
        blocks.push(block);
        if is_last || blocks.len() >= BLOCKS_AT_ONCE || bytes >= BYTES_AT_ONCE {
            break;
        }
    }
    Ok(blocks)
}
