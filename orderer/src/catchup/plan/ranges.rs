//! Which blocks are missing, who is to send them, and when the next one is read.

use std::time::Duration;

use protos::{BlockNumber, Height};

use super::source::{Fetch, State};
use super::{Action, Goal, Plan, SourceId, Trouble};

/// Taken as a block's size before the first one came.
pub(super) const BLOCK_BYTES_GUESS: usize = 64 << 10;
/// Blocks that one request asks for at most.
const RANGE_BLOCKS_MAX: u64 = 1024;
/// How long a claim to have more than the followed source has sent must stand before anything is done about it: what
/// is new everywhere comes by itself meanwhile.
pub(super) const GRACE: Duration = Duration::from_secs(1);
/// The block that all others wait for is asked of a second source after this part of the pull timeout.
const HEDGE_PART: u32 = 5;

/// Blocks from the first to the last, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Range {
    first: BlockNumber,
    last: BlockNumber,
}

impl Plan {
    /// Ends streams all of whose blocks came from others. One that is silent has stalled; others were only slower.
    pub(super) fn end_overtaken(&mut self, now: Duration) {
        for id in (0..self.sources.len()).map(SourceId) {
            let Some(fetch) = self.sources[id.0].fetch() else {
                continue;
            };
            if fetch.last.is_none_or(|last| last >= self.missing) {
                continue;
            }
            let silent = now.saturating_sub(fetch.progress);
            if fetch.reading.is_some() && silent >= self.hedge_after() {
                self.failed(id, Trouble::Stalled(silent), now);
            } else {
                self.sources[id.0].state = State::Idle;
                self.actions.push(Action::Close(id));
            }
        }
    }

    /// Gives every idle source something to send.
    pub(super) fn hand_out(&mut self, now: Duration) {
        if self.is_done() {
            return;
        }
        for id in (0..self.sources.len()).map(SourceId) {
            if !self.sources[id.0].is_idle() {
                continue;
            }
            if let Some(range) = self.range_for(id, now) {
                self.open(id, range.first, Some(range.last), now);
            }
        }
        if self.goal == Goal::Follow {
            self.tend_tail(now);
        }
        self.free_head(now);
    }

    /// The buffer is full of later blocks, the one that is due is asked of nobody, and who could send it waits for
    /// room: it drops what it is doing.
    fn free_head(&mut self, now: Duration) {
        let stuck = self.missing == self.next && !self.is_covered(self.next) && self.is_all_waiting();
        if !stuck || self.reading_count() > 0 {
            return;
        }
        let has_it = |id: &SourceId| {
            let source = &self.sources[id.0];
            source.fetch().is_some_and(|fetch| fetch.next > self.next) && source.height.0 > self.next.0
        };
        let Some(id) = (0..self.sources.len()).map(SourceId).find(has_it) else {
            return;
        };
        self.sources[id.0].state = State::Idle;
        self.actions.push(Action::Close(id));
        if let Some(range) = self.range_for(id, now) {
            self.open(id, range.first, Some(range.last), now);
        }
    }

    /// Opens the stream that follows the channel, at a source that has no more than is here; ends one that starts
    /// above a gap which nobody else fills.
    fn tend_tail(&mut self, now: Duration) {
        let (missing, tail) = (self.missing, self.tail());
        if let Some(id) = tail {
            let next = self.sources[id.0].fetch().map(|fetch| fetch.next);
            let gap = next.is_some_and(|next| next > missing);
            if gap && !self.is_covered(missing) {
                self.sources[id.0].state = State::Idle;
                self.actions.push(Action::Close(id));
                if let Some(range) = self.range_for(id, now) {
                    self.open(id, range.first, Some(range.last), now);
                }
            }
            return;
        }
        let at_tip = |id: &SourceId| {
            let source = &self.sources[id.0];
            source.is_idle() && source.height == Height(missing.0)
        };
        if let Some(id) = (0..self.sources.len()).map(SourceId).find(at_tip) {
            self.open(id, missing, None, now);
        }
    }

    pub(super) fn tail(&self) -> Option<SourceId> {
        let found = self.sources.iter().position(super::Source::is_tail);
        found.map(SourceId)
    }

    fn open(&mut self, id: SourceId, first: BlockNumber, last: Option<BlockNumber>, now: Duration) {
        self.sources[id.0].state = State::Fetching(Fetch {
            next: first,
            last,
            reading: None,
            progress: now,
        });
        self.actions.push(Action::Open {
            source: id,
            first,
            last,
        });
    }

    /// What an idle source should send: blocks that nobody is asked for, else those that hold up all others.
    fn range_for(&self, id: SourceId, now: Duration) -> Option<Range> {
        let source = &self.sources[id.0];
        let last = source.height.tip()?;
        let last = match self.goal {
            Goal::Through(through) => last.min(through),
            Goal::Follow => last,
        };
        let follows = self.tail().is_some_and(|tail| {
            let fetch = self.sources[tail.0].fetch();
            fetch.is_some_and(|fetch| fetch.next <= self.missing)
        });
        if follows && now.saturating_sub(source.height_at) < GRACE {
            return None;
        }
        self.free_range(last).or_else(|| self.hedge(last, now))
    }

    /// The lowest blocks up to `last` that are not here and asked of nobody, within the window that the buffer gives.
    fn free_range(&self, last: BlockNumber) -> Option<Range> {
        let mut first = self.missing;
        loop {
            if first > last {
                return None;
            }
            if self.received.contains_key(&first) {
                first = first.next();
            } else if let Some(end) = self.covered_until(first) {
                first = end.next();
            } else {
                break;
            }
        }
        let per_block = self.block_bytes.max(1);
        let window = (self.limits.buffer_bytes / per_block) as u64;
        let end = self.next.0.saturating_add(window.max(1));
        if first.0 >= end && first != self.next {
            return None;
        }
        let blocks = self.blocks_of_range(per_block);
        let mut stop = first.0.saturating_add(blocks - 1).min(last.0);
        stop = stop.min(end.saturating_sub(1).max(first.0));
        if let Some((number, _)) = self.received.range(first..).next() {
            stop = stop.min(number.0 - 1);
        }
        let starts = self.sources.iter().filter_map(super::Source::fetch);
        let starts = starts.filter(|fetch| fetch.last.is_some() && fetch.next > first);
        let next_start = starts.map(|fetch| fetch.next.0).min();
        stop = next_start.map_or(stop, |start| stop.min(start - 1));
        let last = BlockNumber(stop);
        Some(Range { first, last })
    }

    /// A few ranges for each source fit into the buffer, so that none waits for the others.
    fn blocks_of_range(&self, per_block: usize) -> u64 {
        let at_work = self.sources.iter().filter(|source| source.height.0 > self.next.0);
        let parts = 2 * at_work.count().max(1);
        let blocks = self.limits.buffer_bytes / parts / per_block;
        (blocks as u64).clamp(1, RANGE_BLOCKS_MAX)
    }

    /// The blocks that all others wait for, when their source is slow: a second source sends them too.
    fn hedge(&self, last: BlockNumber, now: Duration) -> Option<Range> {
        let slow = |fetch: &&Fetch| {
            fetch.covers(self.missing)
                && fetch.reading.is_some()
                && now.saturating_sub(fetch.progress) >= self.hedge_after()
        };
        let fetches = self.sources.iter().filter_map(super::Source::fetch);
        let covering: Vec<_> = fetches.filter(|fetch| fetch.covers(self.missing)).collect();
        let [only] = covering[..] else {
            return None;
        };
        let first = self.missing;
        (slow(&only) && first <= last).then(|| Range {
            first,
            last: only.last.unwrap_or(first).min(last),
        })
    }

    pub(super) fn hedge_after(&self) -> Duration {
        self.limits.pull_timeout / HEDGE_PART
    }

    fn is_covered(&self, number: BlockNumber) -> bool {
        self.covered_until(number).is_some()
    }

    /// The end of a range that is on its way and has `number` in it.
    fn covered_until(&self, number: BlockNumber) -> Option<BlockNumber> {
        let fetches = self.sources.iter().filter_map(super::Source::fetch);
        let covering = fetches.filter(|fetch| fetch.covers(number));
        covering.filter_map(|fetch| fetch.last).max()
    }

    /// Asks idle sources for their heights, when it is time for it.
    pub(super) fn probe(&mut self, now: Duration) {
        if self.is_done() {
            return;
        }
        let until = now.saturating_add(self.limits.pull_timeout);
        for id in (0..self.sources.len()).map(SourceId) {
            let source = &mut self.sources[id.0];
            let nothing_to_take = source.height.0 <= self.missing.0;
            if source.is_idle() && nothing_to_take && source.probe_at <= now {
                source.state = State::Probing { until };
                self.actions.push(Action::Probe(id));
            }
        }
    }

    /// Reads on where there is room for another block.
    pub(super) fn read(&mut self, now: Duration) {
        let mut expected = self.held_bytes + self.reading_count() * self.block_bytes;
        for id in (0..self.sources.len()).map(SourceId) {
            let is_head = |fetch: &Fetch| fetch.next == self.next && self.verifying.is_empty();
            let Some(fetch) = self.sources[id.0].fetch() else {
                continue;
            };
            if fetch.reading.is_some() {
                continue;
            }
            let has_room = expected + self.block_bytes <= self.limits.buffer_bytes;
            // Nothing leaves the buffer before this one comes.
            let must = is_head(fetch) && !self.received.contains_key(&self.next) && self.is_all_waiting();
            if has_room || must {
                expected += self.block_bytes;
                if let Some(fetch) = self.sources[id.0].fetch_mut() {
                    fetch.reading = Some(now);
                }
                self.actions.push(Action::Read(id));
            }
        }
    }

    fn reading_count(&self) -> usize {
        let fetches = self.sources.iter().filter_map(super::Source::fetch);
        fetches.filter(|fetch| fetch.reading.is_some()).count()
    }

    /// True while all that is held waits for the block that is due: nothing is on its way to the disk.
    fn is_all_waiting(&self) -> bool {
        let waiting: usize = self.received.values().map(|one| one.block.bytes().len()).sum();
        self.held_bytes == waiting
    }
}
