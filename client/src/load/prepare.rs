//! Signing all envelopes before the clock starts, on every core.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::{LoadSpec, Progress};

/// The signed envelopes, and how long it took to make them.
pub(super) fn envelopes(spec: &LoadSpec, progress: &Progress) -> (Vec<Bytes>, Duration) {
    let began = Instant::now();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut envelopes = vec![Bytes::new(); spec.envelopes];
    let share = spec.envelopes.div_ceil(threads);
    std::thread::scope(|scope| {
        for part in envelopes.chunks_mut(share) {
            scope.spawn(|| part.iter_mut().for_each(|slot| *slot = envelope(spec, progress)));
        }
    });
    (envelopes, began.elapsed())
}

fn envelope(spec: &LoadSpec, progress: &Progress) -> Bytes {
    let mut data = vec![0; spec.payload_bytes];
    rand::fill(&mut data[..]);
    let signed = spec.signer.transaction(data.into());
    progress.signed.fetch_add(1, Ordering::Relaxed);
    signed.bytes
}
