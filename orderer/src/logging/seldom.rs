//! The same trouble again and again: said a few times, then counted, so that it does not fill the log.
//!
//! Tools wait for some of these texts and look for them again after each of their own tries, so the first few of a
//! kind within a while are said each.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Kinds remembered; past it all are forgotten, since any text that others send may be one.
const KINDS_MAX: usize = 4096;

/// What was said of each kind of trouble.
#[derive(Debug)]
pub struct Seldom<K> {
    interval: Duration,
    /// So many are said within an interval.
    count_max: u32,
    said: Mutex<HashMap<K, Said>>,
}

#[derive(Debug)]
struct Said {
    since: Instant,
    count: u32,
    kept_back: u64,
}

impl<K: Eq + Hash> Seldom<K> {
    /// At most `count_max` of a kind are said within `interval`.
    pub fn new(count_max: u32, interval: Duration) -> Self {
        Self {
            interval,
            count_max,
            said: Mutex::default(),
        }
    }

    /// Whether this one is to be said: then, how many of its kind were not since the last one was; none otherwise.
    pub fn tell(&self, kind: K, now: Instant) -> Option<u64> {
        let mut kinds = self.said.lock();
        if kinds.len() >= KINDS_MAX {
            kinds.clear();
        }
        let said = kinds.entry(kind).or_insert(Said {
            since: now,
            count: 0,
            kept_back: 0,
        });
        if now.saturating_duration_since(said.since) >= self.interval {
            (said.since, said.count) = (now, 0);
        }
        if said.count >= self.count_max {
            said.kept_back += 1;
            return None;
        }
        said.count += 1;
        Some(std::mem::take(&mut said.kept_back))
    }
}

/// Mistakes of clients, by channel and words: the first few within some seconds are said each.
#[derive(Debug)]
pub struct Mistakes(Seldom<(String, String)>);

impl Default for Mistakes {
    fn default() -> Self {
        Self(Seldom::new(5, Duration::from_secs(5)))
    }
}

impl Mistakes {
    /// Whether this one is to be said: then, what is to be added about those that were not.
    pub fn tell(&self, channel: &str, words: &str) -> Option<String> {
        let kind = (channel.to_owned(), words.to_owned());
        self.0.tell(kind, Instant::now()).map(more)
    }
}

/// ` (3 more since this was said last)`, or nothing.
pub fn more(kept_back: u64) -> String {
    match kept_back {
        0 => String::new(),
        count => format!(" ({count} more since this was said last)"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_of_a_kind_are_said_and_the_rest_is_counted() {
        let (seldom, begin) = (Seldom::new(2, Duration::from_secs(1)), Instant::now());
        let tell = |kind: &'static str, after_ms| seldom.tell(kind, begin + Duration::from_millis(after_ms));
        assert_eq!(tell("a", 0), Some(0));
        assert_eq!(tell("a", 10), Some(0));
        assert_eq!(tell("a", 20), None);
        assert_eq!(tell("b", 20), Some(0));
        assert_eq!(tell("a", 30), None);
        assert_eq!(tell("a", 1000), Some(2));
        assert_eq!(tell("a", 1001), Some(0));
        assert_eq!(more(0), "");
        assert_eq!(more(2), " (2 more since this was said last)");
    }

    #[test]
    fn memory_for_kinds_is_bounded() {
        let (seldom, now) = (Seldom::new(1, Duration::from_secs(1)), Instant::now());
        for number in 0..3 * KINDS_MAX {
            assert_eq!(seldom.tell(number, now), Some(0));
        }
        assert!(seldom.said.lock().len() <= KINDS_MAX);
    }
}
