//! What became of each envelope.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::Mutex;

use super::Progress;

/// All envelopes of a run. Times are nanoseconds since the clock started; 0 means: not yet.
pub(super) struct Tally {
    envelopes: Vec<Bytes>,
    /// Envelopes are dealt out to signers in turn; this is the channel of each signer.
    channel_of_signers: Vec<usize>,
    by_tail: HashMap<Tail, u32>,
    marks: Vec<Mark>,
    clock: Mutex<Instant>,
    progress: Arc<Progress>,
}

#[derive(Default)]
struct Mark {
    sent: AtomicU64,
    acknowledged: AtomicU64,
    delivered: AtomicU64,
    deliveries: AtomicU8,
}

/// The end of an entry is the end of its signature, which is unlike all others; the whole entry is compared
/// only with the one envelope it may be.
type Tail = [u8; 16];

fn tail(entry: &[u8]) -> Tail {
    entry.last_chunk().copied().unwrap_or_default()
}

/// What is known of one envelope in the end.
pub(super) struct Fate {
    pub(super) acknowledged: Option<Duration>,
    pub(super) delivered: Option<Duration>,
    pub(super) deliveries: u8,
}

impl Tally {
    pub(super) fn new(
        envelopes: Vec<Bytes>,
        channel_of_signers: Vec<usize>,
        progress: Arc<Progress>,
    ) -> Self {
        let by_tail = (0..).zip(&envelopes).map(|(i, entry)| (tail(entry), i)).collect();
        Self {
            by_tail,
            marks: envelopes.iter().map(|_| Mark::default()).collect(),
            envelopes,
            channel_of_signers,
            clock: Mutex::new(Instant::now()),
            progress,
        }
    }

    /// Times count from here.
    pub(super) fn start_clock(&self) {
        *self.clock.lock() = Instant::now();
    }

    /// Where times count from.
    pub(super) fn started(&self) -> Instant {
        *self.clock.lock()
    }

    /// The run's progress, which also says when to end it.
    pub(super) fn progress(&self) -> &Progress {
        &self.progress
    }

    fn channel_of(&self, index: usize) -> usize {
        self.channel_of_signers[index % self.channel_of_signers.len()]
    }

    /// Nanoseconds since the clock started, never 0.
    pub(super) fn now(&self) -> u64 {
        let elapsed = self.clock.lock().elapsed();
        u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX).max(1)
    }

    pub(super) fn envelope(&self, index: usize) -> Bytes {
        self.envelopes[index].clone()
    }

    pub(super) fn len(&self) -> usize {
        self.envelopes.len()
    }

    /// Notes that an envelope is being sent, with the time that its latencies count from.
    pub(super) fn sent(&self, index: usize, from: u64) {
        self.marks[index].sent.store(from.max(1), Ordering::Release);
    }

    /// How long ago an envelope was sent, or due; none if there is no such envelope or it was not sent.
    pub(super) fn age(&self, index: usize) -> Option<Duration> {
        match self.marks.get(index)?.sent.load(Ordering::Acquire) {
            0 => None,
            from => Some(Duration::from_nanos(self.now().saturating_sub(from))),
        }
    }

    pub(super) fn acknowledged(&self, index: usize) {
        self.marks[index]
            .acknowledged
            .store(self.now(), Ordering::Release);
        self.progress.acknowledged.fetch_add(1, Ordering::Relaxed);
    }

    /// Which of this run's envelopes for `channel` an entry of a block is.
    pub(super) fn find(&self, channel: usize, entry: &Bytes) -> Option<usize> {
        let index = *self.by_tail.get(&tail(entry))? as usize;
        (self.channel_of(index) == channel && self.envelopes[index] == *entry).then_some(index)
    }

    /// Notes an entry of a block of `channel`; false if it is none of this run's envelopes for that channel.
    pub(super) fn delivered(&self, channel: usize, entry: &Bytes, now: u64) -> bool {
        let Some(index) = self.find(channel, entry) else {
            return false;
        };
        let mark = &self.marks[index];
        if mark.deliveries.fetch_add(1, Ordering::AcqRel) == 0 {
            mark.delivered.store(now, Ordering::Release);
            self.progress.delivered.fetch_add(1, Ordering::Relaxed);
        }
        true
    }

    /// Whether an envelope was acknowledged.
    pub(super) fn is_acknowledged(&self, index: usize) -> bool {
        self.marks[index].acknowledged.load(Ordering::Acquire) > 0
    }

    /// Whether an envelope was seen in a block.
    pub(super) fn is_delivered(&self, index: usize) -> bool {
        self.marks[index].deliveries.load(Ordering::Acquire) > 0
    }

    /// True when every acknowledged envelope for `channel` was delivered.
    pub(super) fn is_complete(&self, channel: usize) -> bool {
        (0..self.len()).all(|index| {
            !self.is_acknowledged(index) || self.is_delivered(index) || self.channel_of(index) != channel
        })
    }

    /// Each envelope that was sent, with its times since it was sent.
    pub(super) fn fates(&self) -> impl Iterator<Item = Fate> {
        let sent = |mark: &&Mark| mark.sent.load(Ordering::Acquire) > 0;
        self.marks.iter().filter(sent).map(|mark| {
            let since_sent = |time: &AtomicU64| match time.load(Ordering::Acquire) {
                0 => None,
                at => Some(Duration::from_nanos(
                    at.saturating_sub(mark.sent.load(Ordering::Relaxed)),
                )),
            };
            Fate {
                acknowledged: since_sent(&mark.acknowledged),
                delivered: since_sent(&mark.delivered),
                deliveries: mark.deliveries.load(Ordering::Acquire),
            }
        })
    }

    /// When the last envelope was delivered, since the clock started.
    pub(super) fn last_delivery(&self) -> Duration {
        let times = self
            .marks
            .iter()
            .map(|mark| mark.delivered.load(Ordering::Acquire));
        Duration::from_nanos(times.max().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three envelopes for two channels: 0, 1, 0.
    fn tally() -> Tally {
        let envelopes = (0..3_u8).map(|i| Bytes::from(vec![i; 40])).collect();
        Tally::new(envelopes, vec![0, 1], Arc::default())
    }

    #[test]
    fn entries_are_matched_whole_and_in_their_channel() {
        let tally = tally();
        let mut changed = vec![1; 40];
        changed[0] = 9;
        assert!(!tally.delivered(1, &changed.into(), 1));
        assert!(!tally.delivered(1, &Bytes::from_static(b"short"), 1));
        assert!(!tally.delivered(0, &tally.envelope(1), 1));
        assert!(tally.delivered(1, &tally.envelope(1), 1));
    }

    #[test]
    fn a_channel_is_complete_when_all_its_acknowledged_were_delivered() {
        let tally = tally();
        tally.sent(0, tally.now());
        assert!(tally.is_complete(0));
        tally.acknowledged(0);
        assert!(!tally.is_complete(0) && tally.is_complete(1));
        tally.delivered(0, &tally.envelope(0), tally.now());
        assert!(tally.is_complete(0));
        tally.delivered(0, &tally.envelope(0), tally.now());
        let fates: Vec<_> = tally.fates().collect();
        assert_eq!((fates.len(), fates[0].deliveries), (1, 2));
        assert!(fates[0].delivered.is_some());
    }
}
