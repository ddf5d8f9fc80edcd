//! What became of each envelope.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::Mutex;

/// Counters of a running load, for showing how far it is.
#[derive(Debug, Default)]
pub struct Progress {
    /// Envelopes signed.
    pub signed: AtomicU64,
    /// Envelopes acknowledged.
    pub acknowledged: AtomicU64,
    /// Distinct envelopes seen in blocks.
    pub delivered: AtomicU64,
}

/// All envelopes of a run. Times are nanoseconds since the clock started; 0 means: not yet.
pub(super) struct Tally {
    envelopes: Vec<Bytes>,
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
    is_sent: AtomicBool,
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
    pub(super) fn new(envelopes: Vec<Bytes>, progress: Arc<Progress>) -> Self {
        let by_tail = (0..).zip(&envelopes).map(|(i, entry)| (tail(entry), i)).collect();
        Self {
            by_tail,
            marks: envelopes.iter().map(|_| Mark::default()).collect(),
            envelopes,
            clock: Mutex::new(Instant::now()),
            progress,
        }
    }

    /// Times count from here.
    pub(super) fn start_clock(&self) {
        *self.clock.lock() = Instant::now();
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

    pub(super) fn sent(&self, index: usize) {
        self.marks[index].sent.store(self.now(), Ordering::Relaxed);
        self.marks[index].is_sent.store(true, Ordering::Release);
    }

    pub(super) fn acknowledged(&self, index: usize) {
        self.marks[index]
            .acknowledged
            .store(self.now(), Ordering::Release);
        self.progress.acknowledged.fetch_add(1, Ordering::Relaxed);
    }

    /// Notes a block entry; false if it is none of this run's envelopes.
    pub(super) fn delivered(&self, entry: &Bytes, now: u64) -> bool {
        let Some(index) = self.by_tail.get(&tail(entry)).map(|index| *index as usize) else {
            return false;
        };
        if self.envelopes[index] != *entry {
            return false;
        }
        let mark = &self.marks[index];
        if mark.deliveries.fetch_add(1, Ordering::AcqRel) == 0 {
            mark.delivered.store(now, Ordering::Release);
            self.progress.delivered.fetch_add(1, Ordering::Relaxed);
        }
        true
    }

    /// True when every acknowledged envelope was delivered.
    pub(super) fn is_complete(&self) -> bool {
        self.marks.iter().all(|mark| {
            mark.acknowledged.load(Ordering::Acquire) == 0 || mark.deliveries.load(Ordering::Acquire) > 0
        })
    }

    /// Each envelope that was sent, with its times since it was sent.
    pub(super) fn fates(&self) -> impl Iterator<Item = Fate> {
        let sent = |mark: &&Mark| mark.is_sent.load(Ordering::Acquire);
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

    /// When the last envelope was delivered and acknowledged, since the clock started.
    pub(super) fn last_times(&self) -> (Duration, Duration) {
        let last = |time: fn(&Mark) -> &AtomicU64| {
            let times = self.marks.iter().map(|mark| time(mark).load(Ordering::Acquire));
            Duration::from_nanos(times.max().unwrap_or_default())
        };
        (last(|mark| &mark.delivered), last(|mark| &mark.acknowledged))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally() -> Tally {
        let envelopes = (0..3_u8).map(|i| Bytes::from(vec![i; 40])).collect();
        Tally::new(envelopes, Arc::default())
    }

    #[test]
    fn entries_are_matched_whole() {
        let tally = tally();
        let mut changed = vec![1; 40];
        changed[0] = 9;
        assert!(!tally.delivered(&changed.into(), 1));
        assert!(!tally.delivered(&Bytes::from_static(b"short"), 1));
        assert!(tally.delivered(&Bytes::from(vec![1; 40]), 1));
    }

    #[test]
    fn a_run_is_complete_when_all_acknowledged_were_delivered() {
        let tally = tally();
        tally.sent(0);
        assert!(tally.is_complete());
        tally.acknowledged(0);
        assert!(!tally.is_complete());
        tally.delivered(&tally.envelope(0), tally.now());
        assert!(tally.is_complete());
        tally.delivered(&tally.envelope(0), tally.now());
        let fates: Vec<_> = tally.fates().collect();
        assert_eq!((fates.len(), fates[0].deliveries), (1, 2));
        assert!(fates[0].delivered.is_some());
    }
}
