//! Holding back clients that send more than their share (`General.Throttling`, `docs/spec/behaviour.md` §1.5).
//!
//! ```text
//! TLS client certificate ─> Client: its key, its authority's key
//! stream: batch received ─> Throttle::pace ─> shares of the client, of its organisation ─> sleep ─> the checks
//! ```
//!
//! Each node takes `Rate` envelopes a second of its Broadcast clients together. Clients that are active have equal
//! shares of it, and so have their organisations; an envelope needs both. Whoever is above its share waits: nothing is
//! refused, the waiting reaches the client as flow control. A client that shows no certificate is not held back.
//!
//! The reference fills a share up once a second; here it fills evenly, and one that was left unused is kept for a
//! second as there.
//!
//! | module | holds |
//! |---|---|
//! | [`shares`] | who may send how much when; pure |
//! | [`client`] | by what clients and their organisations are told apart |

pub mod client;
pub mod shares;

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::config::Throttling;
use crate::metrics::Counter;
pub use client::Client;
use shares::Shares;

/// Most envelopes of a held-back stream that are let through at a time: their answers come together.
pub const BATCH_COUNT_MAX: usize = 16;

/// The throttle of a node. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Throttle(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    both: Mutex<Both>,
    /// Envelopes that had to wait.
    delayed: Counter,
}

#[derive(Debug)]
struct Both {
    clients: Shares,
    organisations: Shares,
}

impl Throttle {
    /// One that keeps to these settings, and counts the envelopes that have to wait.
    pub fn new(settings: Throttling, delayed: Counter) -> Self {
        Self(Arc::new(Inner {
            both: Mutex::new(Both {
                clients: Shares::new(settings),
                organisations: Shares::new(settings),
            }),
            delayed,
        }))
    }

    /// Ready when `client` may have `count` envelopes judged.
    pub async fn pace(&self, client: &Client, count: usize) {
        let wait = self.take(client, count, Instant::now());
        if !wait.is_zero() {
            self.0.delayed.add(u64::try_from(count).unwrap_or(u64::MAX));
            tokio::time::sleep(wait).await;
        }
    }

    /// Takes `count` out of both shares; how long they are overdrawn.
    fn take(&self, client: &Client, count: usize, now: Instant) -> Duration {
        let mut both = self.0.both.lock();
        let of_client = both.clients.take(client.key, count, now);
        let of_organisation = both.organisations.take(client.organisation, count, now);
        of_client.max(of_organisation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(key: u8, organisation: u8) -> Client {
        Client {
            key: [key; 32],
            organisation: [organisation; 32],
        }
    }

    fn throttle(rate: u64) -> Throttle {
        let settings = Throttling {
            rate,
            inactivity_timeout: Duration::from_secs(5),
        };
        Throttle::new(settings, Counter::default())
    }

    /// Envelopes a second that each client gets through, if all send as fast as they may for 20 s.
    fn rates(rate: u64, clients: &[Client]) -> Vec<f64> {
        let (throttle, begin) = (throttle(rate), Instant::now());
        let end = begin + Duration::from_secs(20);
        let mut next = vec![begin; clients.len()];
        let mut sent = vec![0_u32; clients.len()];
        while let Some((at, now)) = next.iter().copied().enumerate().min_by_key(|(_, now)| *now) {
            if now >= end {
                break;
            }
            sent[at] += 1;
            next[at] = now
                + throttle
                    .take(&clients[at], 1, now)
                    .max(Duration::from_micros(100));
        }
        sent.into_iter().map(|sent| f64::from(sent) / 20.0).collect()
    }

    #[test]
    fn clients_share_the_rate_and_so_do_organisations() {
        for (clients, shares) in [
            (vec![client(1, 1)], vec![1.0]),
            (vec![client(1, 1), client(2, 2)], vec![0.5, 0.5]),
            (
                vec![client(1, 1), client(2, 1), client(3, 1), client(4, 1)],
                vec![0.25; 4],
            ),
            // The organisation of the first two has half of the rate, so they have no more than that; the third has
            // its share among three clients, as in the reference.
            (
                vec![client(1, 1), client(2, 1), client(3, 2)],
                vec![0.25, 0.25, 0.333],
            ),
        ] {
            for (at, found) in rates(600, &clients).into_iter().enumerate() {
                let expected = 600.0 * shares[at];
                assert!(
                    (found / expected - 1.0).abs() < 0.05,
                    "client {at} of {clients:?}: {found}, not {expected}"
                );
            }
        }
    }

    #[test]
    fn streams_of_one_certificate_share_what_it_has() {
        let (throttle, begin) = (throttle(500), Instant::now());
        let one = client(1, 1);
        let waits: Vec<Duration> = (0..550).map(|_| throttle.take(&one, 1, begin)).collect();
        assert!(waits.is_sorted());
        let last = waits[549].as_secs_f64();
        assert!((last - 1.0).abs() < 0.01, "{last}");
    }
}
