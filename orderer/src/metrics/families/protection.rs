//! What keeps clients, and the disk, from taking the node down.

use crate::metrics::family::Family;
use crate::metrics::instrument::{Counter, Gauge};
use crate::metrics::registry::Registry;

/// What the node turned away to protect itself.
pub struct Protection {
    /// Connections ended or not begun.
    pub connections: Family<Counter>,
    /// Envelopes held back.
    pub throttled: Counter,
    /// Whether intake is stopped for lack of room.
    pub intake_stopped: Gauge,
}

impl Protection {
    pub(super) fn new(registry: &mut Registry) -> Self {
        Self {
            connections: registry.counters(
                "ordain.connections_refused_count",
                "Connections that a listener refused or ended, by the reason: too_many (General.Limits.Connections), \
                 pings (General.Keepalive.ServerMinInterval), slow_head (General.Limits.HeaderTime).",
                &["listener", "reason"],
            ),
            throttled: registry.counter(
                "ordain.throttled_envelopes_count",
                "Envelopes that had to wait, since their client is above its share of General.Throttling.Rate.",
            ),
            intake_stopped: registry.gauge(
                "ordain.intake_stopped",
                "1 while nothing is taken in, since a disk has less room than General.DiskGuard.MinFree; else 0.",
            ),
        }
    }
}
