//! What protects the node from its clients, and from its disk: `General.{Throttling,Limits,DiskGuard}`.

use super::Assembly;
use crate::config::values::shown_bytes;
use crate::config::{DiskGuard, Limits, ServerTls, Throttling};

/// What `DiskGuard.ResumeFree` is in halves of `MinFree`, where it is not set: without a distance between the two,
/// intake would stop and go on with each block.
const RESUME_HALVES: u64 = 3;

impl Assembly<'_> {
    /// `general` is TLS of the general listener.
    pub(super) fn throttling(&mut self, general: Option<&ServerTls>) -> Option<Throttling> {
        let throttling = Throttling {
            rate: self.values.number("General.Throttling.Rate"),
            inactivity_timeout: self.values.duration("General.Throttling.InactivityTimeout"),
        };
        if throttling.rate == 0 {
            return None;
        }
        if !general.is_some_and(|tls| tls.client_auth_required) {
            self.warnings.push(
                "General.Throttling.Rate is set, but clients need not show a TLS certificate \
                 (General.TLS.ClientAuthRequired): those that show none are not held back"
                    .to_owned(),
            );
        }
        Some(throttling)
    }

    pub(super) fn limits(&mut self) -> Limits {
        let streams = "General.Limits.StreamsPerConnection";
        let streams_per_connection = u32::try_from(self.values.number(streams)).unwrap_or_else(|_| {
            self.problem(streams, format!("{streams} is above {}", u32::MAX));
            0
        });
        Limits {
            connections: self.bytes("General.Limits.Connections"),
            handshakes: self.bytes("General.Limits.Handshakes"),
            streams_per_connection,
            header_time: self.values.duration("General.Limits.HeaderTime"),
        }
    }

    pub(super) fn disk_guard(&mut self) -> Option<DiskGuard> {
        let min_free_bytes = self.values.number("General.DiskGuard.MinFree");
        if min_free_bytes == 0 {
            return None;
        }
        let resume_free_bytes = match self.values.number("General.DiskGuard.ResumeFree") {
            0 => min_free_bytes.saturating_mul(RESUME_HALVES) / 2,
            written => written,
        };
        if resume_free_bytes < min_free_bytes {
            let what = format!(
                "General.DiskGuard.ResumeFree is {}, but must not be less than General.DiskGuard.MinFree, {}",
                shown_bytes(resume_free_bytes),
                shown_bytes(min_free_bytes)
            );
            self.problem("General.DiskGuard.ResumeFree", what);
        }
        Some(DiskGuard {
            min_free_bytes,
            resume_free_bytes,
            interval: self.values.duration("General.DiskGuard.Interval"),
        })
    }
}
