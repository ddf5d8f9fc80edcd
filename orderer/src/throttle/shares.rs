//! Equal shares of a rate among those who are active. Pure: the time is an argument.
//!
//! A share fills evenly and may be overdrawn; whoever overdraws it waits until it is filled up again. So many streams
//! of one client are served in the order in which they came.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::config::Throttling;

/// By what somebody is known: a hash, so that certificates of any make cost the same.
pub type Key = [u8; 32];

/// Most that are known at a time; any more share one share. Keys cost nothing where certificates are not verified.
const KNOWN_MAX: usize = 16 * 1024;
/// What all share that are too many.
const OVERFLOW: Key = [0; 32];
/// For how long a share that is not used is kept.
const KEPT_SECONDS: f64 = 1.0;
/// What somebody new has, in seconds of its share.
const FIRST_SECONDS: f64 = 0.1;
/// How often those who have become inactive are looked for.
const PRUNE_INTERVAL: Duration = Duration::from_millis(500);

/// What is left of somebody's share.
#[derive(Debug)]
struct Share {
    /// Envelopes; below 0: overdrawn.
    left: f64,
    /// When that was so.
    at: Instant,
}

/// The shares of all who are active.
#[derive(Debug)]
pub struct Shares {
    rate: f64,
    inactivity_timeout: Duration,
    known: HashMap<Key, Share>,
    pruned: Option<Instant>,
}

impl Shares {
    /// Nobody is active at first.
    #[expect(clippy::cast_precision_loss, reason = "rates are far below the loss")]
    pub fn new(settings: Throttling) -> Self {
        Self {
            rate: settings.rate as f64,
            inactivity_timeout: settings.inactivity_timeout,
            known: HashMap::new(),
            pruned: None,
        }
    }

    /// Takes `count` out of the share of `key`; how long it is overdrawn.
    #[expect(clippy::cast_precision_loss, reason = "batches are far below the loss")]
    pub fn take(&mut self, key: Key, count: usize, now: Instant) -> Duration {
        self.prune(now);
        let is_full = self.known.len() >= KNOWN_MAX && !self.known.contains_key(&key);
        let key = if is_full { OVERFLOW } else { key };
        let is_new = !self.known.contains_key(&key);
        let each = self.each(self.known.len() + usize::from(is_new));
        let share = self.known.entry(key).or_insert(Share {
            left: (each * FIRST_SECONDS).max(1.0),
            at: now,
        });
        let filled = share.left + each * now.saturating_duration_since(share.at).as_secs_f64();
        // One envelope is kept whatever the share is, else a slow rate would never let one through at once.
        share.left = filled.min((each * KEPT_SECONDS).max(1.0)) - count as f64;
        share.at = now.max(share.at);
        if share.left >= 0.0 {
            Duration::ZERO
        } else {
            Duration::try_from_secs_f64(-share.left / each).unwrap_or(Duration::MAX)
        }
    }

    /// What one of `count` has of the rate.
    #[expect(clippy::cast_precision_loss, reason = "counts are far below the loss")]
    fn each(&self, count: usize) -> f64 {
        self.rate / count as f64
    }

    /// How many are active.
    pub fn known(&self) -> usize {
        self.known.len()
    }

    /// Forgets those who have sent nothing for the inactivity timeout, and owe nothing.
    fn prune(&mut self, now: Instant) {
        let recently = |then| now.saturating_duration_since(then) < PRUNE_INTERVAL;
        if self.pruned.is_some_and(recently) {
            return;
        }
        self.pruned = Some(now);
        let each = self.each(self.known.len().max(1));
        let timeout = self.inactivity_timeout;
        self.known.retain(|_, share| {
            let idle = now.saturating_duration_since(share.at);
            let owes = share.left + each * idle.as_secs_f64() < 0.0;
            owes || idle <= timeout
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(rate: u64) -> Shares {
        Shares::new(Throttling {
            rate,
            inactivity_timeout: Duration::from_secs(5),
        })
    }

    fn key(number: u8) -> Key {
        [number; 32]
    }

    fn milliseconds(number: u64) -> Duration {
        Duration::from_millis(number)
    }

    #[test]
    fn nobody_waits_below_its_share() {
        let (mut shares, begin) = (shares(100), Instant::now());
        for number in 0..1000 {
            let now = begin + milliseconds(11) * number;
            assert_eq!(shares.take(key(1), 1, now), Duration::ZERO, "{number}");
        }
    }

    #[test]
    fn above_its_share_somebody_waits_until_it_is_filled_up() {
        let (mut shares, begin) = (shares(20), Instant::now());
        let mut now = begin;
        for _ in 0..100 {
            now += shares.take(key(1), 1, now);
        }
        let took = (now - begin).as_secs_f64();
        assert!((4.8..=5.0).contains(&took), "{took}");
    }

    #[test]
    fn an_unused_share_is_kept_for_a_second_and_no_longer() {
        let (mut shares, begin) = (shares(100), Instant::now());
        shares.take(key(1), 1, begin);
        let now = begin + Duration::from_secs(4);
        assert_eq!(shares.take(key(1), 100, now), Duration::ZERO);
        assert_eq!(shares.take(key(1), 1, now), milliseconds(10));
    }

    #[test]
    fn the_inactive_lose_their_share_to_the_others() {
        let (mut shares, begin) = (shares(100), Instant::now());
        for number in 1..=4 {
            shares.take(key(number), 1, begin);
        }
        let wait_after = |shares: &mut Shares, seconds: u64| {
            let now = begin + Duration::from_secs(seconds);
            let kept = shares.take(key(1), 0, now);
            assert_eq!(kept, Duration::ZERO);
            let all = if shares.known() == 4 { 25 } else { 100 };
            assert_eq!(shares.take(key(1), all, now), Duration::ZERO);
            shares.take(key(1), 1, now)
        };
        assert_eq!(
            wait_after(&mut shares, 4),
            milliseconds(40),
            "a quarter of the rate"
        );
        shares.take(key(1), 0, begin + Duration::from_secs(8));
        assert_eq!(wait_after(&mut shares, 9), milliseconds(10), "all of it");
        assert_eq!(shares.known(), 1);
    }

    #[test]
    fn one_who_owes_is_not_forgotten() {
        let (mut shares, begin) = (shares(10), Instant::now());
        let wait = shares.take(key(1), 101, begin);
        assert_eq!(wait, Duration::from_secs(10));
        let later = begin + Duration::from_secs(6);
        shares.take(key(2), 1, later);
        assert_eq!(shares.known(), 2, "it still waits");
    }

    #[test]
    fn memory_is_bounded_however_many_keys_there_are() {
        let (mut shares, begin) = (shares(1_000_000), Instant::now());
        for number in 0..2 * KNOWN_MAX as u64 {
            let mut key = [0xff; 32];
            key[..8].copy_from_slice(&number.to_be_bytes());
            shares.take(key, 1, begin);
        }
        assert_eq!(shares.known(), KNOWN_MAX + 1);
    }
}
