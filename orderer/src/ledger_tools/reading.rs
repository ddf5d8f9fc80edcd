//! What a channel's folder holds, in order; while a node writes to it, only what is durable.

use std::collections::VecDeque;
use std::path::PathBuf;

use ledger::{Damage, Inspected, Inspection, Place, ReadError};
use protos::{Height, SealedBlock};

/// An [`Inspection`] that holds back blocks of which nothing says yet that they are durable.
pub(super) struct Reading {
    inspection: Inspection,
    /// None: everything that is there counts.
    held: Option<VecDeque<Inspected>>,
    unfinished: Option<Damage>,
}

impl Reading {
    pub(super) fn new(inspection: Inspection, in_use: bool) -> Self {
        Self {
            inspection,
            held: in_use.then(VecDeque::new),
            unfinished: None,
        }
    }

    pub(super) fn next(&mut self) -> Result<Option<Inspected>, ReadError> {
        loop {
            let Some(held) = &mut self.held else {
                return self.inspection.next().transpose();
            };
            // A block is known to be durable once a later record says so.
            let is_sure = |found: &Inspected| match found {
                Inspected::Block { block, .. } => block.number().0 < self.inspection.vouched().0,
                Inspected::Damaged(_) | Inspected::Missing { .. } => true,
            };
            if held.front().is_some_and(is_sure) {
                return Ok(held.pop_front());
            }
            match self.inspection.next().transpose()? {
                Some(found) => held.push_back(found),
                None => return Ok(None),
            }
        }
    }

    /// Below this height the records say that everything was durable.
    pub(super) fn vouched(&self) -> Height {
        self.inspection.vouched()
    }

    pub(super) fn file(&self, place: &Place) -> PathBuf {
        self.inspection.file(place)
    }

    /// At the end of [`next_block`](Self::next_block): a write that was never finished, or goes on now.
    pub(super) fn unfinished(&self) -> Option<&Damage> {
        self.unfinished.as_ref()
    }

    /// The next block; an error in words where blocks are damaged or missing before it.
    pub(super) fn next_block(&mut self) -> Result<Option<SealedBlock>, String> {
        match self.next().map_err(|error| error.to_string())? {
            None => Ok(None),
            Some(Inspected::Block { block, .. }) => Ok(Some(block)),
            Some(Inspected::Damaged(part)) => {
                // What comes later says whether this was ever finished.
                while self
                    .inspection
                    .next()
                    .transpose()
                    .map_err(|error| error.to_string())?
                    .is_some()
                {}
                if !part.is_in_newest_file || part.damage.block.0 < self.vouched().0 {
                    return Err(part.damage.to_string());
                }
                self.unfinished = Some(part.damage);
                Ok(None)
            }
            Some(Inspected::Missing { file, from, to }) => Err(format!(
                "blocks {from} to {to} are missing before {}",
                file.display()
            )),
        }
    }
}
