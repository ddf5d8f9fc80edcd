//! Who is asked for which blocks, what came, and who is left alone for a while. Pure: time is an argument.
//!
//! ```text
//! height, block, failed, verified, durable ──> Plan ──> poll: Probe, Open, Read, Close, Redial, Verify, Report
//! ```
//!
//! | module | holds |
//! |---|---|
//! | [`source`] | one source: its claim, its stream, its troubles and rests |
//! | `ranges` | which blocks are missing, and who is to send them |
//!
//! Sources are asked in parallel for ranges of blocks ([`Action::Open`] with a last block), each block of which is
//! read on its own ([`Action::Read`]), so that what is held stays within a bound. Blocks may come out of order; they
//! leave in order, to be verified ([`Action::Verify`]). A plan that follows the channel has one stream more, the
//! *tail*: from a source that has no more than we have, without an end. Others are asked for their heights now and
//! then, which shows a tail that fell silent.
//!
//! What a source says is not believed. A wrong number, an unusable block, or one that does not verify makes all of
//! its unverified blocks go, and it rests; the longer, the more often it happens. Nobody is given up.
//!
//! What is held: blocks received and not durable yet stay within [`Limits::buffer_bytes`], but for one block from
//! each source whose size was underestimated when it was asked for, and the block that all others wait for.

mod ranges;
pub mod source;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use protos::{BlockNumber, Height, SealedBlock};

use source::{Source, State};
pub use source::{SourceId, Trouble};

/// Blocks that are verified at once.
const RUN_BLOCKS_MAX: usize = 64;
/// Bytes of blocks that are verified at once, but for the last one.
const RUN_BYTES_MAX: usize = 4 << 20;

/// A plan is looked at this often whatever it says, as one that has nobody to ask rests for ever.
const WAKE_PAUSE_MAX: Duration = Duration::from_mins(1);

/// Bounds and pauses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of blocks received and not durable yet: `General.Cluster.ReplicationBufferSize`.
    pub buffer_bytes: usize,
    /// Bytes of the largest block that is taken.
    pub block_bytes_max: usize,
    /// How long a source may be silent when it owes something: `General.Cluster.ReplicationPullTimeout`.
    pub pull_timeout: Duration,
    /// The longest pause before an honest source is tried again: `General.Cluster.ReplicationRetryTimeout`.
    pub retry_pause: Duration,
    /// How often the others are asked for their heights while one source is followed.
    pub compare_pause: Duration,
}

/// Up to where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    /// Up to this block, included.
    Through(BlockNumber),
    /// For ever.
    Follow,
}

/// What the driver must do. A source does one thing at a time; what was begun for it before [`Close`](Self::Close)
/// is dropped, and what comes of it is not told.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Action {
    /// Ask it for its height; answer with [`Plan::says_height`] or [`Plan::failed`].
    Probe(SourceId),
    /// Ask it for blocks `first` to `last`; without a last one, for all from `first` on as they come to be.
    Open {
        /// Whom.
        source: SourceId,
        /// The first block.
        first: BlockNumber,
        /// The last block.
        last: Option<BlockNumber>,
    },
    /// Take the next block of its stream; answer with [`Plan::block`] or [`Plan::failed`].
    Read(SourceId),
    /// Drop what it is doing.
    Close(SourceId),
    /// Its connections may be what is wrong: make new ones from now on.
    Redial(SourceId),
    /// Verify these, which follow the last verified ones; answer with [`Plan::verified`].
    Verify(Vec<SealedBlock>),
    /// Something about a source changed that an operator should know: its trouble; none once it is good again.
    Report(SourceId, Option<Trouble>),
}

/// A block that waits for its turn.
#[derive(Clone, Debug)]
struct Received {
    block: SealedBlock,
    from: SourceId,
}

/// One channel's plan. See the [module](self).
#[derive(Debug)]
pub struct Plan {
    limits: Limits,
    goal: Goal,
    sources: Vec<Source>,
    /// The lowest block that is not verified.
    next: BlockNumber,
    /// The lowest block that is neither verified nor here.
    missing: BlockNumber,
    received: BTreeMap<BlockNumber, Received>,
    /// Under verification: numbers from `next` on.
    verifying: Vec<Received>,
    /// Of blocks received and not durable.
    held_bytes: usize,
    /// Average of blocks lately, the guess for blocks to come.
    block_bytes: usize,
    actions: Vec<Action>,
}

impl Plan {
    /// For a channel that has `height` blocks, and `sources` other orderers.
    pub fn new(limits: Limits, goal: Goal, height: Height, sources: usize) -> Self {
        Self {
            limits,
            goal,
            sources: vec![Source::new(); sources],
            next: height.next_number(),
            missing: height.next_number(),
            received: BTreeMap::new(),
            verifying: Vec::new(),
            held_bytes: 0,
            block_bytes: ranges::BLOCK_BYTES_GUESS.min(limits.buffer_bytes),
            actions: Vec::new(),
        }
    }

    /// True once all blocks up to the goal are verified; never for one that follows.
    pub fn is_done(&self) -> bool {
        matches!(self.goal, Goal::Through(last) if self.next > last)
    }

    /// Blocks verified so far, with those from before.
    pub fn height(&self) -> Height {
        Height(self.next.0)
    }

    /// Bytes of blocks received and not durable.
    pub fn held_bytes(&self) -> usize {
        self.held_bytes
    }

    /// What is wrong with each source.
    pub fn troubles(&self) -> impl Iterator<Item = Option<&Trouble>> {
        self.sources.iter().map(Source::trouble)
    }

    /// The most that a source says it has, those in trouble left out.
    pub fn height_claimed(&self) -> Height {
        let heights = self.sources.iter().map(|source| source.height);
        heights.max().unwrap_or_default()
    }

    /// A source answers a probe.
    pub fn says_height(&mut self, id: SourceId, height: Height, now: Duration) {
        let compare = self.tail().map(|_| self.limits.compare_pause);
        let pause_max = self.limits.retry_pause;
        let Some(source) = self.sources.get_mut(id.0) else {
            return;
        };
        if !matches!(source.state, State::Probing { .. }) {
            return;
        }
        match source.says(height, now) {
            Ok(()) => {
                match compare {
                    Some(pause) => source.probe_at = now.saturating_add(pause),
                    None => source.plan_probe(pause_max, now),
                }
                // One that has nothing for us has no way to prove itself with a block.
                if height.0 <= self.missing.0 && source.is_good() {
                    self.actions.push(Action::Report(id, None));
                }
            }
            Err(trouble) => self.failed(id, trouble, now),
        }
    }

    /// A source sent the block that was read.
    pub fn block(&mut self, id: SourceId, block: SealedBlock, now: Duration) {
        let Some(source) = self.sources.get_mut(id.0) else {
            return;
        };
        let Some(fetch) = source.fetch_mut() else {
            return;
        };
        let (due, got) = (fetch.next, block.number());
        if got != due {
            return self.failed(id, Trouble::OutOfTurn { due, got }, now);
        }
        let bytes = block.bytes().len();
        if bytes > self.limits.block_bytes_max {
            let what = format!("block {got} has {bytes} bytes");
            return self.failed(id, Trouble::Malformed(what), now);
        }
        fetch.next = due.next();
        fetch.reading = None;
        fetch.progress = now;
        if fetch.last.is_some_and(|last| due >= last) {
            source.state = State::Idle;
            self.actions.push(Action::Close(id));
        }
        self.sources[id.0].has_sent(got);
        self.keep(Received { block, from: id });
    }

    /// A source failed: it rests, and what it was doing ends.
    pub fn failed(&mut self, id: SourceId, trouble: Trouble, now: Duration) {
        let Some(source) = self.sources.get_mut(id.0) else {
            return;
        };
        if matches!(source.state, State::Fetching(_) | State::Probing { .. }) {
            self.actions.push(Action::Close(id));
        }
        if trouble.is_of_connection() {
            self.actions.push(Action::Redial(id));
        }
        if trouble.is_lie() {
            self.drop_blocks_of(id);
        }
        let source = &mut self.sources[id.0];
        if source.fail(trouble.clone(), self.limits.retry_pause, now) {
            self.actions.push(Action::Report(id, Some(trouble)));
        }
    }

    /// Of the blocks under verification the first `good` ones are good and handed to the ledger. `fault` is what is
    /// wrong with the one after them; without, those that are left are to be verified again.
    pub fn verified(&mut self, good: usize, fault: Option<String>, now: Duration) {
        let run = std::mem::take(&mut self.verifying);
        let mut liar = None;
        for (at, received) in run.into_iter().enumerate() {
            if at < good {
                self.next = received.block.number().next();
                if self.sources[received.from.0].is_good() {
                    self.actions.push(Action::Report(received.from, None));
                }
            } else if at == good && fault.is_some() {
                liar = Some(received.from);
                self.held_bytes = self.held_bytes.saturating_sub(received.block.bytes().len());
            } else {
                self.received.insert(received.block.number(), received);
            }
        }
        self.missing = self.next;
        self.advance_missing();
        if let (Some(liar), Some(fault)) = (liar, fault) {
            self.failed(liar, Trouble::BadBlock(fault), now);
        }
    }

    /// Verified blocks of together `bytes` are durable.
    pub fn durable(&mut self, bytes: usize) {
        self.held_bytes = self.held_bytes.saturating_sub(bytes);
    }

    /// What is to be done at `now`, in this order.
    pub fn poll(&mut self, now: Duration) -> Vec<Action> {
        self.expire(now);
        self.end_overtaken(now);
        self.hand_out(now);
        self.probe(now);
        self.read(now);
        self.verify();
        std::mem::take(&mut self.actions)
    }

    /// When to [`poll`](Self::poll) again if nothing happens before; after `now`.
    pub fn wake(&self, now: Duration) -> Duration {
        let pull_timeout = self.limits.pull_timeout;
        let due = self.sources.iter().flat_map(|source| match &source.state {
            State::Resting { until } | State::Probing { until } => [*until, Duration::MAX],
            State::Idle => [source.probe_at, source.height_at.saturating_add(ranges::GRACE)],
            State::Fetching(fetch) => {
                let since = fetch.reading.unwrap_or(now);
                let hedge = fetch.progress.saturating_add(self.hedge_after());
                [since.saturating_add(pull_timeout), hedge]
            }
        });
        let later = due.filter(|due| *due > now).min();
        let at_most = now.saturating_add(WAKE_PAUSE_MAX);
        later.unwrap_or(at_most).min(at_most)
    }

    /// Keeps a block that came, unless it is here already.
    fn keep(&mut self, received: Received) {
        let number = received.block.number();
        let is_here = number < self.next
            || number.0 < self.next.0 + self.verifying.len() as u64
            || self.received.contains_key(&number);
        if is_here {
            return;
        }
        let bytes = received.block.bytes().len();
        self.held_bytes += bytes;
        self.block_bytes = (self.block_bytes * 7 + bytes).div_ceil(8);
        self.received.insert(number, received);
        self.advance_missing();
    }

    fn drop_blocks_of(&mut self, id: SourceId) {
        let received = std::mem::take(&mut self.received);
        for (number, one) in received {
            if one.from == id {
                self.held_bytes = self.held_bytes.saturating_sub(one.block.bytes().len());
                self.missing = self.missing.min(number);
            } else {
                self.received.insert(number, one);
            }
        }
    }

    fn advance_missing(&mut self) {
        let verifying = BlockNumber(self.next.0 + self.verifying.len() as u64);
        self.missing = self.missing.max(verifying);
        while self.received.contains_key(&self.missing) {
            self.missing = self.missing.next();
        }
    }

    /// Ends what takes too long, and wakes who has rested.
    fn expire(&mut self, now: Duration) {
        let pull_timeout = self.limits.pull_timeout;
        for id in (0..self.sources.len()).map(SourceId) {
            let source = &mut self.sources[id.0];
            let trouble = match &source.state {
                State::Resting { until } if *until <= now => {
                    source.state = State::Idle;
                    None
                }
                State::Probing { until } if *until <= now => Some(Trouble::Stalled(pull_timeout)),
                State::Fetching(fetch) => {
                    let waited = fetch.reading.map(|since| now.saturating_sub(since));
                    waited
                        .filter(|waited| *waited >= pull_timeout)
                        .and_then(|_| self.late(id))
                }
                _ => None,
            };
            if let Some(trouble) = trouble {
                self.failed(id, trouble, now);
            }
        }
    }

    /// What is wrong with a source that was silent for the pull timeout. One that follows the channel may be, unless
    /// there is more than it sent.
    fn late(&self, id: SourceId) -> Option<Trouble> {
        let fetch = self.sources[id.0].fetch()?;
        if fetch.last.is_some() {
            return Some(Trouble::Stalled(self.limits.pull_timeout));
        }
        // Only blocks that are verified prove it: a claim alone would let a liar end the streams of the honest.
        let (has, other) = (Height(fetch.next.0), self.height());
        (other > has).then_some(Trouble::Behind { has, other })
    }

    fn verify(&mut self) {
        if !self.verifying.is_empty() {
            return;
        }
        let (mut bytes, mut due) = (0, self.next);
        while self.verifying.len() < RUN_BLOCKS_MAX && bytes < RUN_BYTES_MAX {
            let Some(received) = self.received.remove(&due) else {
                break;
            };
            bytes += received.block.bytes().len();
            due = due.next();
            self.verifying.push(received);
        }
        if !self.verifying.is_empty() {
            let run = self.verifying.iter().map(|one| one.block.clone()).collect();
            self.actions.push(Action::Verify(run));
        }
    }
}
