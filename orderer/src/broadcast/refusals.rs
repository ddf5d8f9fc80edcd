//! Refusals in the log, so that clients that try again and again do not fill it.
//!
//! What a client did wrong is said each time: tools wait for it. That a channel cannot order now is said once a second
//! for each channel, with how many more were refused since.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use protos::wire::common::Status as WireStatus;

use super::{LOGGER, Refusal};

/// How often it is said that a channel cannot order.
const INTERVAL: Duration = Duration::from_secs(1);
/// Channels remembered. While the node stops, these may be any names that clients think of.
const CHANNELS_MAX: usize = 4096;

/// What was said of each channel.
#[derive(Debug, Default)]
pub struct Refusals(Mutex<HashMap<String, Said>>);

#[derive(Debug)]
struct Said {
    at: Instant,
    /// Refusals since then.
    kept_back: u64,
}

impl Refusals {
    /// Says that `client` was refused, unless that was said a moment ago.
    pub fn tell(&self, refusal: &Refusal, client: SocketAddr) {
        let Some(kept_back) = self.kept_back(refusal, Instant::now()) else {
            return;
        };
        let Refusal {
            status,
            info,
            channel,
        } = refusal;
        let status = status.as_str_name();
        let more = match kept_back {
            0 => String::new(),
            count => format!(" ({count} more since this was said last)"),
        };
        tracing::warn!(
            target: LOGGER,
            "refused an envelope for channel '{channel}' from {client} with {status}: {info}{more}"
        );
    }

    /// How many were not said before this one; none if this one is not to be said either.
    fn kept_back(&self, refusal: &Refusal, now: Instant) -> Option<u64> {
        if refusal.status != WireStatus::ServiceUnavailable {
            return Some(0);
        }
        let mut channels = self.0.lock();
        if channels.len() >= CHANNELS_MAX {
            channels.clear();
        }
        let Some(said) = channels.get_mut(&refusal.channel) else {
            let said = Said {
                at: now,
                kept_back: 0,
            };
            channels.insert(refusal.channel.clone(), said);
            return Some(0);
        };
        if now.saturating_duration_since(said.at) < INTERVAL {
            said.kept_back += 1;
            return None;
        }
        said.at = now;
        Some(std::mem::take(&mut said.kept_back))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(status: WireStatus, channel: &str) -> Refusal {
        Refusal {
            status,
            info: "as asked".to_owned(),
            channel: channel.to_owned(),
        }
    }

    #[test]
    fn a_channel_that_cannot_order_is_told_of_once_a_second_and_mistakes_each_time() {
        let (refusals, begin) = (Refusals::default(), Instant::now());
        let busy = |channel: &str, after_ms| {
            let refusal = refusal(WireStatus::ServiceUnavailable, channel);
            refusals.kept_back(&refusal, begin + Duration::from_millis(after_ms))
        };
        assert_eq!(busy("a", 0), Some(0));
        assert_eq!(busy("a", 10), None);
        assert_eq!(busy("b", 10), Some(0));
        assert_eq!(busy("a", 20), None);
        assert_eq!(busy("a", 1000), Some(2));
        assert_eq!(busy("a", 2000), Some(0));
        let bad = refusal(WireStatus::BadRequest, "a");
        for _ in 0..3 {
            assert_eq!(refusals.kept_back(&bad, begin), Some(0));
        }
    }

    #[test]
    fn memory_for_channels_is_bounded() {
        let (refusals, now) = (Refusals::default(), Instant::now());
        for number in 0..3 * CHANNELS_MAX {
            let refusal = refusal(WireStatus::ServiceUnavailable, &number.to_string());
            assert_eq!(refusals.kept_back(&refusal, now), Some(0));
        }
        assert!(refusals.0.lock().len() <= CHANNELS_MAX);
    }
}
