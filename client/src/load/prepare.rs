//! Signing all envelopes before the clock starts, on every core.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::task::JoinError;

use super::{LoadSpec, Progress};

/// The signed envelopes, and how long it took to make them. None if the run was stopped meanwhile.
pub(super) async fn envelopes(
    spec: &LoadSpec,
    progress: &Arc<Progress>,
) -> Result<(Vec<Bytes>, Duration), JoinError> {
    let began = Instant::now();
    let (spec, progress) = (spec.clone(), progress.clone());
    // Away from the runtime, which has signals to notice meanwhile.
    let signed = tokio::task::spawn_blocking(move || sign(&spec, &progress)).await?;
    Ok((signed, began.elapsed()))
}

fn sign(spec: &LoadSpec, progress: &Progress) -> Vec<Bytes> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut envelopes = vec![Bytes::new(); spec.envelopes];
    let share = spec.envelopes.div_ceil(threads);
    std::thread::scope(|scope| {
        for (part, slots) in envelopes.chunks_mut(share).enumerate() {
            scope.spawn(move || {
                for (index, slot) in (part * share..).zip(slots) {
                    if progress.is_stopped() {
                        return;
                    }
                    *slot = envelope(spec, index);
                    progress.signed.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    if progress.is_stopped() {
        envelopes.clear();
    }
    envelopes
}

fn envelope(spec: &LoadSpec, index: usize) -> Bytes {
    let mut data = vec![0; spec.payload_bytes];
    rand::fill(&mut data[..]);
    spec.signers[index % spec.signers.len()]
        .transaction(data.into())
        .bytes
}
