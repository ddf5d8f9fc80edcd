//! How often one ledger holds each envelope of a run.

use std::sync::Arc;

use protos::SealedBlock;

use super::tally::Tally;

/// The envelopes of a run that is over, and which of them were acknowledged. Of a run on one channel.
pub struct Account {
    tally: Arc<Tally>,
}

impl Account {
    pub(super) fn new(tally: Arc<Tally>) -> Self {
        Self { tally }
    }

    /// Begins to count in one ledger.
    pub fn count(&self) -> Count<'_> {
        Count {
            tally: &self.tally,
            times: vec![0; self.tally.len()],
        }
    }
}

/// A count that is going on.
pub struct Count<'a> {
    tally: &'a Tally,
    times: Vec<u8>,
}

/// What a count came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Envelopes that are there exactly once.
    pub once: u64,
    /// Acknowledged ones that are not there.
    pub missing: u64,
    /// Envelopes that are there more than once.
    pub repeated: u64,
}

impl Count<'_> {
    /// Counts what `block` holds.
    pub fn take(&mut self, block: &SealedBlock) {
        let data = block.decode().ok().and_then(|block| block.data);
        for entry in data.iter().flat_map(|data| &data.data) {
            if let Some(index) = self.tally.find(0, entry) {
                self.times[index] = self.times[index].saturating_add(1);
            }
        }
    }

    /// The outcome for the blocks taken so far.
    pub fn outcome(&self) -> Counted {
        let mut counted = Counted::default();
        for (index, times) in self.times.iter().enumerate() {
            match times {
                0 => counted.missing += u64::from(self.tally.is_acknowledged(index)),
                1 => counted.once += 1,
                _ => counted.repeated += 1,
            }
        }
        counted
    }
}
