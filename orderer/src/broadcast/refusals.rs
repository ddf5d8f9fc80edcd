//! Refusals in the log, so that clients that try again and again do not fill it.
//!
//! What a client did wrong is said as often as a tool could be waiting for it. That a channel cannot order now is said
//! once a second for each channel. Both say how many more were refused since.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use protos::wire::common::Status as WireStatus;

use super::{LOGGER, Refusal};
use crate::logging::seldom::{Mistakes, Seldom, more};

/// What was said of each channel.
#[derive(Debug)]
pub struct Refusals {
    unavailable: Seldom<String>,
    mistakes: Mistakes,
}

impl Default for Refusals {
    fn default() -> Self {
        Self {
            unavailable: Seldom::new(1, Duration::from_secs(1)),
            mistakes: Mistakes::default(),
        }
    }
}

impl Refusals {
    /// Says that `client` was refused, unless that was said a moment ago.
    pub fn tell(&self, refusal: &Refusal, client: SocketAddr) {
        let Some(more) = self.news(refusal) else {
            return;
        };
        let Refusal {
            status,
            info,
            channel,
            ..
        } = refusal;
        let status = status.as_str_name();
        tracing::warn!(
            target: LOGGER,
            "refused an envelope for channel '{channel}' from {client} with {status}: {info}{more}"
        );
    }

    /// What is to be said of those that were not told; none if this one is not to be told either.
    fn news(&self, refusal: &Refusal) -> Option<String> {
        if refusal.status == WireStatus::ServiceUnavailable {
            let channel = refusal.channel.clone();
            return self.unavailable.tell(channel, Instant::now()).map(more);
        }
        self.mistakes.tell(&refusal.channel, &refusal.info)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::MessageType;

    fn refusal(status: WireStatus, channel: &str) -> Refusal {
        Refusal {
            status,
            info: "as asked".to_owned(),
            channel: channel.to_owned(),
            kind: MessageType::default(),
            reason: "as_asked",
        }
    }

    #[test]
    fn a_channel_that_cannot_order_is_told_of_once_and_a_mistake_a_few_times() {
        let refusals = Refusals::default();
        let told = |status, channel, times| {
            let refusal = refusal(status, channel);
            (0..times).filter(|_| refusals.news(&refusal).is_some()).count()
        };
        assert_eq!(told(WireStatus::ServiceUnavailable, "a", 3), 1);
        assert_eq!(told(WireStatus::ServiceUnavailable, "b", 3), 1);
        assert_eq!(told(WireStatus::BadRequest, "a", 1000), 5);
        assert_eq!(told(WireStatus::BadRequest, "b", 1), 1);
    }
}
