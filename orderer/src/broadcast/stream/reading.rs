//! The first stage of a stream: batches of what the client sends, put onto the pool to be checked.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use hyper::body::Body;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tonic::Status;

use super::{Paced, Read, Stream};
use crate::broadcast::{Accepted, Intake, Refusal, reply};
use crate::codec::MessageStream;
use crate::codec::budget::LARGE_BYTES_MIN;
use crate::shutdown;
use crate::telemetry::journey::Journey;
use crate::throttle;

/// Messages checked together: enough for batch verification, few enough to spread over the pool.
const BATCH_COUNT_MAX: usize = reply::SUCCESSES_MAX;
/// A batch is closed by this many bytes.
const BATCH_BYTES_MAX: usize = 1 << 20;
/// Room a stream has for messages that are not answered yet, in units of [`ROOM_UNIT_BYTES`]. It also bounds the
/// answers that wait for a client which does not read them.
const ROOM: usize = 16 * 1024;
/// A message takes one unit, and one more for each full unit of its length.
const ROOM_UNIT_BYTES: usize = 1024;
/// The most that one batch takes. A large message takes no more: the budget of the process bounds those.
const BATCH_ROOM: u32 = 128 + (1 << 10) + (256 << 10 >> 10);
const _: () =
    assert!(BATCH_ROOM as usize == BATCH_COUNT_MAX + (BATCH_BYTES_MAX + LARGE_BYTES_MIN) / ROOM_UNIT_BYTES);

/// What came of the checks of a batch.
pub(super) struct Judged {
    pub(super) verdicts: Vec<Result<Accepted, Refusal>>,
    /// How long they took.
    pub(super) took: Duration,
    /// When they were done.
    pub(super) at: Instant,
    /// Those that are followed, with their places in the batch.
    pub(super) journeys: Vec<(usize, Journey)>,
}

impl Stream {
    /// Reads until the client, or the node, has had enough.
    pub(super) async fn read<B>(&self, mut messages: MessageStream<B>, next: mpsc::Sender<Read>)
    where
        B: Body<Data = Bytes> + Unpin,
        B::Error: std::fmt::Display,
    {
        let room = Arc::new(Semaphore::new(ROOM));
        let mut stopping = self.stopping.clone();
        loop {
            // Taken before anything is read: who waits for it must not hold messages meanwhile.
            let Ok(room) = Arc::clone(&room).acquire_many_owned(BATCH_ROOM).await else {
                return; // it is never closed
            };
            let count_max = self.batch_count_max();
            let mut batch = Vec::with_capacity(count_max);
            let read = tokio::select! {
                biased;
                read = messages.next_batch(&mut batch, count_max, BATCH_BYTES_MAX) => read,
                () = shutdown::begun(&mut stopping) => Err(Status::unavailable("the node is stopping")),
            };
            let half_closed = batch.is_empty() && read.is_ok();
            self.pace(batch.len(), &mut stopping).await;
            if !batch.is_empty() && !self.check(batch, room, &next).await {
                return;
            }
            let end = match read {
                Ok(()) if half_closed => Status::ok(""),
                Ok(()) => continue,
                Err(status) => status,
            };
            // Fails when the stream is over already.
            let _ = next.send(Read::End(end)).await;
            return;
        }
    }

    fn batch_count_max(&self) -> usize {
        match self.paced {
            Some(_) => throttle::BATCH_COUNT_MAX,
            None => BATCH_COUNT_MAX,
        }
    }

    /// Waits until the client may have so many envelopes judged; no longer once the node stops.
    async fn pace(&self, count: usize, stopping: &mut watch::Receiver<bool>) {
        if let Some(Paced { throttle, client }) = &self.paced
            && count > 0
        {
            tokio::select! {
                () = throttle.pace(client, count) => {}
                () = shutdown::begun(stopping) => {}
            }
        }
    }

    /// Puts a batch onto the pool; false when the stream is over.
    async fn check(
        &self,
        batch: Vec<Bytes>,
        mut room: OwnedSemaphorePermit,
        next: &mpsc::Sender<Read>,
    ) -> bool {
        if let Some(trace) = &self.trace {
            for envelope in &batch {
                trace.keep(envelope);
            }
        }
        drop(room.split(room.num_permits().saturating_sub(room_for(&batch))));
        let intake = Arc::clone(&self.intake);
        let journeys = self.sample(batch.len());
        let judged = self.pool.submit(move || judge(&*intake, batch, journeys)).await;
        let room = Arc::new(room);
        next.send(Read::Batch { judged, room }).await.is_ok()
    }

    /// Those of a batch that are followed.
    fn sample(&self, count: usize) -> Vec<(usize, Journey)> {
        let Some(telemetry) = &self.telemetry else {
            return Vec::new();
        };
        let journeys = (0..count).filter_map(|place| Some((place, telemetry.sample()?)));
        journeys.collect()
    }
}

/// Judges a batch, on the pool.
fn judge(intake: &dyn Intake, batch: Vec<Bytes>, mut journeys: Vec<(usize, Journey)>) -> Judged {
    let began = Instant::now();
    let verdicts = intake.check(batch, SystemTime::now());
    let at = Instant::now();
    for (_, journey) in &mut journeys {
        journey.validated();
    }
    Judged {
        verdicts,
        took: at - began,
        at,
        journeys,
    }
}

fn room_for(batch: &[Bytes]) -> usize {
    batch
        .iter()
        .map(|message| 1 + message.len() / ROOM_UNIT_BYTES)
        .sum()
}
