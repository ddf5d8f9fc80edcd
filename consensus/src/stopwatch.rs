//! `Stopwatch`: the times of a driver's work, on their way to the [`ChainMeter`].
//!
//! The clock is read once for each call, cut, write and block, and not for each envelope. A driver tells what its core
//! wanted; the core itself knows no time.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use prost::Message;
use protos::BlockNumber;
use protos::wire::common::BlockHeader;
use tokio::time::Instant;

use crate::meter::ChainMeter;

/// Times under way.
pub(crate) struct Stopwatch {
    meter: Arc<dyn ChainMeter>,
    /// When the first of the envelopes in the cutter came to it; none: it is empty.
    fill_began: Option<Instant>,
    /// The batch timer runs, so the cutter is not empty.
    is_pending: bool,
    /// When the oldest and the newest of this node's own envelopes that are not cut were offered.
    oldest: Option<Instant>,
    newest: Option<Instant>,
    /// Writes to the log that are not durable.
    writes: VecDeque<(u64, Instant)>,
    /// Blocks in the log that are not agreed on.
    proposed: VecDeque<Proposed>,
}

/// A block that was handed to the log.
struct Proposed {
    number: u64,
    at: Instant,
    /// How long it was filled, and its oldest envelope waited, where it was cut here.
    cut: Option<Cut>,
}

#[derive(Clone, Copy)]
struct Cut {
    filled: std::time::Duration,
    waited: Option<std::time::Duration>,
}

/// The first field of a block; what follows is skipped.
#[derive(Clone, PartialEq, Message)]
struct Head {
    #[prost(message, optional, tag = "1")]
    header: Option<BlockHeader>,
}

impl Stopwatch {
    /// One at rest.
    pub(crate) fn new(meter: Arc<dyn ChainMeter>) -> Self {
        Self {
            meter,
            fill_began: None,
            is_pending: false,
            oldest: None,
            newest: None,
            writes: VecDeque::new(),
            proposed: VecDeque::new(),
        }
    }

    /// Who is told.
    pub(crate) fn meter(&self) -> &dyn ChainMeter {
        &*self.meter
    }

    /// A submission that was offered at that time goes to the cutter of this node.
    pub(crate) fn submitted(&mut self, offered: Instant) {
        self.oldest.get_or_insert(offered);
        self.newest = Some(offered);
    }

    /// Nothing is cut on this node now: who cuts what it has is not known.
    pub(crate) fn cuts_nothing(&mut self) {
        (self.oldest, self.newest, self.fill_began, self.is_pending) = (None, None, None, false);
    }

    /// The batch timer was armed: envelopes wait in the cutter; or it stopped: none do.
    pub(crate) fn pending(&mut self, is_pending: bool) {
        self.is_pending = is_pending;
    }

    /// The core has been told something, and what it wanted was noted: the first envelope of the next block may have
    /// come.
    pub(crate) fn settled(&mut self) {
        if self.is_pending && self.fill_began.is_none() {
            self.fill_began = Some(Instant::now());
            self.oldest = self.oldest.or(self.newest);
        }
    }

    /// A block of normal envelopes was cut, which nobody else has to agree to.
    pub(crate) fn cut(&mut self) {
        let cut = self.take_cut(Instant::now());
        self.tell_cut(cut);
    }

    fn take_cut(&mut self, now: Instant) -> Cut {
        Cut {
            filled: self
                .fill_began
                .take()
                .map_or_else(Default::default, |at| now - at),
            waited: self.oldest.take().map(|at| now - at),
        }
    }

    fn tell_cut(&self, cut: Cut) {
        self.meter.block_filled(cut.filled);
        if let Some(waited) = cut.waited {
            self.meter.block_cut(waited);
        }
    }

    /// Something is written to the log, these entries with it, which were `cut_here` or came from the leader.
    pub(crate) fn write_began<'a>(
        &mut self,
        write: u64,
        entries: impl Iterator<Item = &'a Bytes>,
        cut_here: bool,
    ) {
        let at = Instant::now();
        self.writes.push_back((write, at));
        for number in entries.filter_map(block_number) {
            // A later leader's take the places of those that were not agreed on.
            while self.proposed.back().is_some_and(|last| last.number >= number) {
                self.proposed.pop_back();
            }
            let cut = cut_here.then(|| self.take_cut(at));
            self.proposed.push_back(Proposed { number, at, cut });
        }
    }

    /// Everything up to this write is durable.
    pub(crate) fn write_ended(&mut self, write: u64) {
        while let Some((_, at)) = self.writes.pop_front_if(|(number, _)| *number <= write) {
            self.meter.log_written(at.elapsed());
        }
    }

    /// A block is agreed on.
    pub(crate) fn committed(&mut self, BlockNumber(number): BlockNumber, is_config: bool) {
        while let Some(block) = self.proposed.pop_front_if(|block| block.number <= number) {
            if block.number == number {
                self.meter.block_committed(block.at.elapsed());
            }
            // A config is not cut: it comes as a block of its own.
            if let Some(cut) = block.cut.filter(|_| block.number == number && !is_config) {
                self.tell_cut(cut);
            }
        }
    }
}

fn block_number(entry: &Bytes) -> Option<u64> {
    let head = Head::decode(entry.clone()).ok()?;
    head.header.map(|header| header.number)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::time::Duration;

    use protos::block;

    use super::*;

    const STEP: Duration = Duration::from_secs(1);

    /// Notes what it is told.
    #[derive(Default)]
    struct Told(Mutex<Vec<(&'static str, u64)>>);

    impl Told {
        fn note(&self, what: &'static str, time: Duration) {
            self.0.lock().unwrap().push((what, time.as_secs()));
        }

        fn take(&self) -> Vec<(&'static str, u64)> {
            std::mem::take(&mut *self.0.lock().unwrap())
        }
    }

    impl ChainMeter for Told {
        fn block_filled(&self, within: Duration) {
            self.note("filled", within);
        }

        fn block_cut(&self, waited: Duration) {
            self.note("cut", waited);
        }

        fn block_committed(&self, after: Duration) {
            self.note("committed", after);
        }

        fn log_written(&self, within: Duration) {
            self.note("written", within);
        }
    }

    fn watch() -> (Arc<Told>, Stopwatch) {
        let told = Arc::<Told>::default();
        (Arc::clone(&told), Stopwatch::new(told))
    }

    fn entry(number: u64) -> Bytes {
        let envelope = Bytes::from(vec![7; 1000]);
        block::next(BlockNumber(number), &[0; 32], vec![envelope])
            .encode_to_vec()
            .into()
    }

    async fn pass(steps: u32) {
        tokio::time::advance(STEP * steps).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_block_fills_from_its_first_envelope_and_the_rest_of_an_overflow_from_the_cut() {
        let (told, mut watch) = watch();
        let offered = Instant::now();
        pass(1).await;
        watch.submitted(offered);
        watch.pending(true);
        watch.settled();
        pass(2).await;
        watch.submitted(Instant::now());
        watch.cut(); // and the newcomer stays
        watch.settled();
        assert_eq!(told.take(), [("filled", 2), ("cut", 3)]);
        pass(4).await;
        watch.pending(false);
        watch.cut();
        watch.settled();
        assert_eq!(told.take(), [("filled", 4), ("cut", 4)]);
        watch.cut(); // of an envelope that closed its block at once
        assert_eq!(told.take(), [("filled", 0)]);
    }

    #[tokio::test(start_paused = true)]
    async fn blocks_are_timed_from_the_log_to_the_agreement() {
        let (told, mut watch) = watch();
        watch.write_began(1, [&entry(5), &Bytes::new()].into_iter(), true);
        pass(1).await;
        watch.write_began(2, [&entry(6), &entry(7)].into_iter(), true);
        pass(1).await;
        watch.write_ended(1);
        assert_eq!(told.take(), [("written", 2)]);
        watch.committed(BlockNumber(5), false);
        assert_eq!(told.take(), [("committed", 2), ("filled", 0)]);
        watch.committed(BlockNumber(6), true);
        assert_eq!(told.take(), [("committed", 1)]);
        watch.write_began(3, std::iter::once(&entry(7)), false); // of another leader
        pass(3).await;
        watch.write_ended(3);
        watch.committed(BlockNumber(7), false);
        assert_eq!(told.take(), [("written", 4), ("written", 3), ("committed", 3)]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_others_cut_is_not_timed() {
        let (told, mut watch) = watch();
        watch.submitted(Instant::now());
        watch.cuts_nothing();
        pass(5).await;
        watch.submitted(Instant::now());
        pass(1).await;
        watch.cut();
        assert_eq!(told.take(), [("filled", 0), ("cut", 1)]);
    }
}
