//! The broadcast streams of a run. Stream `s` of `n` sends the envelopes `s`, `s + n`, `s + 2n`, ...
//!
//! Without a rate a stream is a closed loop: it sends when an answer makes room, and latencies count from then.
//! With a rate every envelope of the run has a moment at which it is due, and latencies count from that moment,
//! whether or not it could be sent: else a node that stalls would stop the clock of what waits for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use futures::future::{join_all, try_join_all};
use tokio::time::Instant;

use super::LoadSpec;
use super::tally::Tally;
use crate::broadcast::{self, BroadcastAnswers, BroadcastOptions, BroadcastSender, StreamEnded};
use crate::connection::{ConnectError, Connection, Target};

/// How often it is looked whether answers still come.
const LOOK: Duration = Duration::from_millis(100);

/// One connection a stream.
pub(super) async fn connect(spec: &LoadSpec) -> Result<Vec<Connection>, ConnectError> {
    let targets = spec.targets.iter().cycle().take(spec.streams);
    try_join_all(targets.map(Target::connect)).await
}

/// Runs all streams to their end; returns what went wrong on them.
pub(super) async fn all(spec: &LoadSpec, tally: &Arc<Tally>, connections: Vec<Connection>) -> Vec<String> {
    let options = BroadcastOptions {
        acknowledge: spec.acknowledge,
        in_flight_max: spec.in_flight_max,
    };
    let streams = connections.into_iter().enumerate().map(|(number, connection)| {
        let stream = Stream {
            first: number,
            step: spec.streams,
            tally: tally.clone(),
            rate: spec.rate,
            patience: spec.patience,
            answered: AtomicUsize::new(0),
            last_answer: AtomicU64::new(0),
        };
        let (sender, answers) = broadcast::open(&connection, options);
        stream.run(sender, answers)
    });
    let outcomes = join_all(streams.map(tokio::spawn)).await;
    outcomes
        .into_iter()
        .filter_map(|joined| joined.unwrap_or_else(|panic| Some(panic.to_string())))
        .collect()
}

struct Stream {
    first: usize,
    step: usize,
    tally: Arc<Tally>,
    /// Envelopes per second of the whole run.
    rate: Option<u32>,
    patience: Duration,
    answered: AtomicUsize,
    /// When the newest answer came, as the tally counts.
    last_answer: AtomicU64,
}

impl Stream {
    /// What went wrong, if anything did.
    async fn run(self, sender: BroadcastSender, answers: BroadcastAnswers) -> Option<String> {
        let receiving = async {
            // Whichever ends first drops the answers, and with that the sender has nothing to wait for.
            tokio::select! {
                outcome = self.receive(answers) => outcome,
                silence = self.watch() => Some(silence),
            }
        };
        let failure = tokio::join!(self.send(sender), receiving).1;
        failure.map(|failure| format!("stream {}: {failure}", self.first))
    }

    /// Sends everything, unless the stream or the run ends before.
    async fn send(&self, sender: BroadcastSender) {
        let stopped = self.tally.progress().stopped();
        tokio::pin!(stopped);
        for index in (self.first..self.tally.len()).step_by(self.step) {
            let sent = tokio::select! {
                biased;
                () = &mut stopped => return,
                sent = self.send_one(&sender, index) => sent,
            };
            if sent.is_err() {
                return;
            }
        }
    }

    async fn send_one(&self, sender: &BroadcastSender, index: usize) -> Result<(), StreamEnded> {
        let due = self.rate.map(|rate| due(index, rate));
        if let Some(due) = due {
            self.wait_until(due).await;
        }
        let slot = sender.ready().await?;
        // Noted first: the block may be there before this task runs again.
        self.tally.sent(index, due.unwrap_or_else(|| self.tally.now()));
        slot.send(self.tally.envelope(index))
    }

    /// Waits for a moment, in nanoseconds since the clock started. The timer's step is a millisecond.
    async fn wait_until(&self, nanos: u64) {
        let moment = Instant::from_std(self.tally.started() + Duration::from_nanos(nanos));
        if Instant::now() < moment {
            tokio::time::sleep_until(moment).await;
        }
    }

    async fn receive(&self, mut answers: BroadcastAnswers) -> Option<String> {
        loop {
            match answers.next().await {
                Ok(Some(_)) => {
                    let answered = self.answered.fetch_add(1, Ordering::AcqRel);
                    self.tally.acknowledged(self.first + answered * self.step);
                    self.last_answer.store(self.tally.now(), Ordering::Release);
                }
                Ok(None) => return None,
                Err(error) => return Some(error.to_string()),
            }
        }
    }

    /// Ends when an envelope has waited too long and no answer has come meanwhile.
    async fn watch(&self) -> String {
        loop {
            tokio::time::sleep(LOOK.min(self.patience)).await;
            let oldest = self.first + self.answered.load(Ordering::Acquire) * self.step;
            let last_answer = self.last_answer.load(Ordering::Acquire);
            let quiet = Duration::from_nanos(self.tally.now().saturating_sub(last_answer));
            let waited = self.tally.age(oldest).map(|age| age.min(quiet));
            if waited.is_some_and(|waited| waited >= self.patience) {
                return format!("no answer within {:?}", self.patience);
            }
        }
    }
}

/// When an envelope is due, in nanoseconds since the clock started.
fn due(index: usize, rate: u32) -> u64 {
    let nanos = index as u128 * 1_000_000_000 / u128::from(rate.max(1));
    u64::try_from(nanos).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn envelopes_are_due_evenly() {
        assert_eq!(
            (due(0, 5000), due(1, 5000), due(5000, 5000)),
            (0, 200_000, 1_000_000_000)
        );
    }
}
