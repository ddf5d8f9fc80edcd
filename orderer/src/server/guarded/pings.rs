//! When pings come too often. Pure: the time is an argument.
//!
//! A gRPC server lets two pings pass that come too soon, and ends the connection at the third. Whatever it sends on a
//! stream clears that: clients measure the line with pings around messages.

use std::time::{Duration, Instant};

/// Pings that may come too soon.
const STRIKES_MAX: u32 = 2;

/// The pings of one connection.
#[derive(Debug)]
pub struct Pings {
    interval_min: Duration,
    last: Option<Instant>,
    strikes: u32,
}

impl Pings {
    /// Pings may come this often.
    pub fn new(interval_min: Duration) -> Self {
        Self {
            interval_min,
            last: None,
            strikes: 0,
        }
    }

    /// Something was sent on a stream.
    pub fn replied(&mut self) {
        self.last = None;
        self.strikes = 0;
    }

    /// A ping came; true when it is one too many. One that comes late enough clears those before it.
    pub fn is_too_many(&mut self, now: Instant) -> bool {
        let last = self.last.replace(now);
        let is_too_soon = last.is_some_and(|last| now.saturating_duration_since(last) < self.interval_min);
        self.strikes = if is_too_soon { self.strikes + 1 } else { 0 };
        self.strikes > STRIKES_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seconds of pings, and of replies as negative ones; which ping is one too many, if one is.
    fn refused_at(times: &[i64]) -> Option<usize> {
        let (mut pings, begin) = (Pings::new(Duration::from_mins(1)), Instant::now());
        times.iter().position(|time| {
            let now = begin + Duration::from_secs(time.unsigned_abs());
            if *time < 0 {
                pings.replied();
                return false;
            }
            pings.is_too_many(now)
        })
    }

    #[test]
    fn the_third_ping_that_comes_too_soon_is_one_too_many() {
        assert_eq!(refused_at(&[0, 1, 2, 3]), Some(3));
        assert_eq!(refused_at(&[0, 60, 120, 180, 240]), None);
        assert_eq!(refused_at(&[0, 59, 118, 177]), Some(3));
        assert_eq!(refused_at(&[0, 1, 2, 62, 63, 64]), None, "a late one clears them");
    }

    #[test]
    fn a_reply_clears_what_came_before() {
        assert_eq!(refused_at(&[0, 1, 2, -2, 3, 4, 5]), None);
        assert_eq!(refused_at(&[0, 1, 2, -2, 3, 4, 5, 6]), Some(7));
    }
}
