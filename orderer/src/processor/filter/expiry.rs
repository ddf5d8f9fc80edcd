//! Refuses signers whose certificate has ended.

use std::time::{Duration, SystemTime};

/// How long before `now` the certificate ended; none while it has not, or where there is no certificate to look
/// at: such a creator is the policy's to refuse.
pub fn expired_for(expires_at: Option<SystemTime>, now: SystemTime) -> Option<Duration> {
    now.duration_since(expires_at?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_ends_at_its_last_moment_and_unreadable_ones_pass() {
        let end = SystemTime::UNIX_EPOCH + Duration::from_secs(100);
        let second = Duration::from_secs(1);
        assert_eq!(expired_for(Some(end), end - second), None);
        assert_eq!(expired_for(Some(end), end), Some(Duration::ZERO));
        assert_eq!(expired_for(Some(end), end + second), Some(second));
        assert_eq!(expired_for(None, end), None);
    }
}
