//! Warnings about certificates of others that expire soon (`docs/spec/behaviour.md` §6.3).

use std::time::{Duration, Instant, SystemTime};

use super::LOGGER;
use super::said::Said;
use super::tls_key::{describe, valid_until};

/// The same certificate is warned of once within this.
const SAID_TIME: Duration = Duration::from_mins(5);

/// Looks at certificates of connections in use.
#[derive(Debug)]
pub(super) struct Expiry {
    /// How long before the end of its validity a certificate is warned of.
    warning_time: Duration,
    said: Said,
}

impl Expiry {
    pub(super) fn new(warning_time: Duration) -> Self {
        Self {
            warning_time,
            said: Said::default(),
        }
    }

    /// Warns if `certificate` (DER), which `whose` names, expires soon.
    pub(super) fn check(&self, certificate: &[u8], whose: &str) {
        let Some(end) = valid_until(certificate) else {
            return;
        };
        let Some(remaining) = remaining(end, SystemTime::now()).filter(|left| *left <= self.warning_time)
        else {
            return;
        };
        let text = format!("{whose}: {}", describe(certificate));
        if self.said.is_news(&text, SAID_TIME, Instant::now()) {
            let hours = remaining.as_secs() / 3600;
            tracing::warn!(target: LOGGER, "Certificate expires within {hours} h: {text}");
        }
    }
}

/// Until `end`, in seconds since 1970; zero afterwards. None for times that are none.
fn remaining(end: i64, now: SystemTime) -> Option<Duration> {
    let now = now.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    let end = Duration::from_secs(u64::try_from(end).ok()?);
    Some(end.saturating_sub(now))
}
