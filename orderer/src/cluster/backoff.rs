//! How long to wait before the next attempt. Pure.

use std::time::Duration;

use crate::config::Backoff;

/// Pauses of the first attempts: a peer that is restarted must be reached soon, since failing over and catching up
/// hang on it.
const FIRST_PAUSES: [Duration; 4] = [
    Duration::from_millis(20),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(200),
];
/// How often the last of them is made before the configured pauses begin: for about ten seconds.
const QUICK_ATTEMPTS: u32 = 50;

/// The pauses between attempts to connect to one peer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pauses {
    settings: Backoff,
    /// Attempts that failed in a row.
    failed: u32,
}

impl Pauses {
    pub(super) fn new(settings: Backoff) -> Self {
        Self { settings, failed: 0 }
    }

    /// The next attempt is the first one again.
    pub(super) fn reset(&mut self) {
        self.failed = 0;
    }

    /// After a failed attempt: how long to wait before the next one.
    pub(super) fn next(&mut self) -> Duration {
        let attempt = self.failed;
        self.failed = self.failed.saturating_add(1);
        if attempt < QUICK_ATTEMPTS {
            let at = (attempt as usize).min(FIRST_PAUSES.len() - 1);
            return FIRST_PAUSES[at].min(self.settings.max);
        }
        let Backoff {
            base,
            multiplier,
            max,
        } = self.settings;
        let exponent = i32::try_from(attempt - QUICK_ATTEMPTS).unwrap_or(i32::MAX);
        let seconds = base.as_secs_f64() * multiplier.powi(exponent);
        Duration::try_from_secs_f64(seconds).unwrap_or(max).min(max)
    }
}

/// The pauses before a stream that the peer ended is opened again. Without a bound of their own, a removed node would
/// keep the others busy with refusals.
#[derive(Clone, Copy, Debug)]
pub(super) struct StreamPauses(Duration);

/// The longest.
const STREAM_PAUSE_MAX: Duration = Duration::from_secs(5);

impl StreamPauses {
    /// The first and shortest.
    pub(super) const SHORTEST: Duration = Duration::from_millis(100);

    pub(super) fn new() -> Self {
        Self(Self::SHORTEST)
    }

    /// How long to wait, the stream having lived for `lived`.
    pub(super) fn next(&mut self, lived: Duration) -> Duration {
        if lived > STREAM_PAUSE_MAX {
            self.0 = Self::SHORTEST;
        }
        let pause = self.0;
        self.0 = (pause * 2).min(STREAM_PAUSE_MAX);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: Backoff = Backoff {
        base: Duration::from_secs(1),
        multiplier: 1.6,
        max: Duration::from_secs(20),
    };

    #[test]
    fn attempts_are_quick_at_first_and_then_as_configured() {
        let mut pauses = Pauses::new(SETTINGS);
        let quick: Duration = (0..QUICK_ATTEMPTS).map(|_| pauses.next()).sum();
        assert!(
            quick > Duration::from_secs(9) && quick < Duration::from_secs(11),
            "{quick:?}"
        );
        assert_eq!(pauses.next(), Duration::from_secs(1));
        assert_eq!(pauses.next(), Duration::from_millis(1600));
        assert_eq!((0..1000).map(|_| pauses.next()).max(), Some(SETTINGS.max));
        pauses.reset();
        assert_eq!(pauses.next(), FIRST_PAUSES[0]);
    }

    #[test]
    fn no_pause_is_longer_than_configured() {
        let max = Duration::from_millis(30);
        let mut pauses = Pauses::new(Backoff { max, ..SETTINGS });
        assert_eq!((0..100).map(|_| pauses.next()).max(), Some(max));
    }

    #[test]
    fn a_stream_that_lived_is_opened_again_soon() {
        let mut pauses = StreamPauses::new();
        let at_once = Duration::ZERO;
        for _ in 0..20 {
            pauses.next(at_once);
        }
        assert_eq!(pauses.next(at_once), STREAM_PAUSE_MAX);
        assert_eq!(pauses.next(Duration::from_mins(1)), StreamPauses::SHORTEST);
        assert_eq!(pauses.next(at_once), StreamPauses::SHORTEST * 2);
    }
}
