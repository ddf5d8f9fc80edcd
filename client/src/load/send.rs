//! The broadcast streams of a run. Stream `s` of `n` sends the envelopes `s`, `s + n`, `s + 2n`, ...

use std::sync::Arc;
use std::time::Duration;

use futures::future::{join_all, try_join_all};
use tokio::time::Instant;

use super::LoadSpec;
use super::tally::Tally;
use crate::broadcast::{self, BroadcastAnswers, BroadcastOptions, BroadcastSender};
use crate::connection::{ConnectError, Connection, Target};

/// How often a paced stream wakes to send what is due.
const PACE: Duration = Duration::from_millis(2);

/// One connection a stream.
pub(super) async fn connect(spec: &LoadSpec) -> Result<Vec<Connection>, ConnectError> {
    let targets = spec.targets.iter().cycle().take(spec.streams);
    try_join_all(targets.map(Target::connect)).await
}

/// Runs all streams to their end; returns what went wrong on them.
pub(super) async fn all(spec: &LoadSpec, tally: &Arc<Tally>, connections: Vec<Connection>) -> Vec<String> {
    let streams = connections.into_iter().enumerate().map(|(number, connection)| {
        let stream = Stream {
            first: number,
            step: spec.streams,
            tally: tally.clone(),
            rate: spec
                .rate
                .map(|rate| f64::from(rate) / streams_as_float(spec.streams)),
        };
        let options = BroadcastOptions {
            acknowledge: spec.acknowledge,
            in_flight_max: spec.in_flight_max,
        };
        let (sender, answers) = broadcast::open(&connection, options);
        async move {
            let (sending, receiving) = (stream.send(sender), stream.receive(answers));
            tokio::join!(sending, receiving).1
        }
    });
    let outcomes = join_all(streams.map(tokio::spawn)).await;
    outcomes
        .into_iter()
        .filter_map(|joined| joined.unwrap_or_else(|panic| Some(panic.to_string())))
        .collect()
}

fn streams_as_float(streams: usize) -> f64 {
    u32::try_from(streams).map_or(f64::MAX, f64::from)
}

struct Stream {
    first: usize,
    step: usize,
    tally: Arc<Tally>,
    /// Envelopes per second of this stream.
    rate: Option<f64>,
}

impl Stream {
    async fn send(&self, sender: BroadcastSender) {
        let began = Instant::now();
        let indexes = (self.first..self.tally.len()).step_by(self.step);
        for (count, index) in (0_u32..).zip(indexes) {
            self.wait_until_due(began, count).await;
            // Noted first: the block may be there before this task runs again.
            self.tally.sent(index);
            if sender.send(self.tally.envelope(index)).await.is_err() {
                return;
            }
        }
    }

    async fn wait_until_due(&self, began: Instant, count: u32) {
        let Some(rate) = self.rate else { return };
        while began.elapsed().as_secs_f64() * rate < f64::from(count) {
            tokio::time::sleep(PACE).await;
        }
    }

    async fn receive(&self, mut answers: BroadcastAnswers) -> Option<String> {
        loop {
            match answers.next().await {
                Ok(Some(answer)) => {
                    let answer = usize::try_from(answer).unwrap_or(usize::MAX);
                    self.tally.acknowledged(self.first + answer * self.step);
                }
                Ok(None) => return None,
                Err(error) => return Some(format!("stream {}: {error}", self.first)),
            }
        }
    }
}
