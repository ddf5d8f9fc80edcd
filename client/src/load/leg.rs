//! One broadcast stream with one orderer, from a place in the work of a [stream](super::send) on.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::send::Work;
use crate::broadcast::{BroadcastAnswers, BroadcastError, BroadcastSender, StreamEnded};

/// How often it is looked whether answers still come.
const LOOK: Duration = Duration::from_millis(100);

/// Why a leg ended before all of its work was acknowledged.
#[derive(Debug, thiserror::Error)]
pub(super) enum LegError {
    #[error(transparent)]
    Broadcast(#[from] BroadcastError),
    #[error("no answer within {0:?}")]
    Silence(Duration),
}

impl LegError {
    /// Whether another orderer may do better.
    pub(super) fn is_passing(&self) -> bool {
        matches!(self, Self::Broadcast(error) if error.is_passing())
    }

    /// Whether the first unanswered envelope may be in a block.
    pub(super) fn is_outcome_unknown(&self) -> bool {
        !matches!(self, Self::Broadcast(error) if !error.is_outcome_unknown())
    }
}

/// Positions count from the beginning of the work; what is sent and answered, from `begin`.
pub(super) struct Leg<'a> {
    work: &'a Work,
    begin: usize,
    /// Envelopes per second of the whole run.
    rate: Option<u32>,
    patience: Duration,
    sent: AtomicUsize,
    answered: AtomicUsize,
    /// When the newest answer came, as the tally counts.
    last_answer: AtomicU64,
}

impl<'a> Leg<'a> {
    pub(super) fn new(work: &'a Work, begin: usize, rate: Option<u32>, patience: Duration) -> Self {
        Self {
            work,
            begin,
            rate,
            patience,
            sent: AtomicUsize::new(0),
            answered: AtomicUsize::new(0),
            last_answer: AtomicU64::new(work.tally.now()),
        }
    }

    /// How many were acknowledged.
    pub(super) fn answered(&self) -> usize {
        self.answered.load(Ordering::Acquire)
    }

    /// The position after the last one sent.
    pub(super) fn end(&self) -> usize {
        self.begin + self.sent.load(Ordering::Acquire)
    }

    /// The envelopes that were sent and not acknowledged.
    pub(super) fn unanswered(&self) -> Vec<usize> {
        let first = self.begin + self.answered();
        (first..self.end())
            .filter_map(|position| self.work.at(position))
            .collect()
    }

    /// Sends everything from `begin` on, and waits for the answers.
    pub(super) async fn run(
        &self,
        sender: BroadcastSender,
        answers: BroadcastAnswers,
    ) -> Result<(), LegError> {
        let receiving = async {
            // Whichever ends first drops the answers, and with that the sender has nothing to wait for.
            tokio::select! {
                outcome = self.receive(answers) => outcome,
                silence = self.watch() => Err(silence),
            }
        };
        tokio::join!(self.send(sender), receiving).1
    }

    /// Sends everything, unless the stream or the run ends before.
    async fn send(&self, sender: BroadcastSender) {
        let stopped = self.work.tally.progress().stopped();
        tokio::pin!(stopped);
        while let Some(index) = self.work.at(self.end()) {
            let sent = tokio::select! {
                biased;
                () = &mut stopped => return,
                sent = self.send_one(&sender, index) => sent,
            };
            if sent.is_err() {
                return;
            }
            self.sent.fetch_add(1, Ordering::AcqRel);
        }
    }

    async fn send_one(&self, sender: &BroadcastSender, index: usize) -> Result<(), StreamEnded> {
        let due = self.rate.map(|rate| due(index, rate));
        if let Some(due) = due {
            self.wait_until(due).await;
        }
        let slot = sender.ready().await?;
        // Noted first: the block may be there before this task runs again.
        let tally = &self.work.tally;
        tally.sent(index, due.unwrap_or_else(|| tally.now()));
        slot.send(tally.envelope(index))
    }

    /// Waits for a moment, in nanoseconds since the clock started. The timer's step is a millisecond.
    async fn wait_until(&self, nanos: u64) {
        let moment = Instant::from_std(self.work.tally.started() + Duration::from_nanos(nanos));
        if Instant::now() < moment {
            tokio::time::sleep_until(moment).await;
        }
    }

    async fn receive(&self, mut answers: BroadcastAnswers) -> Result<(), LegError> {
        while answers.next().await?.is_some() {
            let position = self.begin + self.answered.fetch_add(1, Ordering::AcqRel);
            if let Some(index) = self.work.at(position) {
                self.work.tally.acknowledged(index);
            }
            self.last_answer.store(self.work.tally.now(), Ordering::Release);
        }
        Ok(())
    }

    /// Ends when an envelope has waited too long and no answer has come meanwhile.
    async fn watch(&self) -> LegError {
        let tally = &self.work.tally;
        loop {
            tokio::time::sleep(LOOK.min(self.patience)).await;
            let oldest = self.work.at(self.begin + self.answered());
            let last_answer = self.last_answer.load(Ordering::Acquire);
            let quiet = Duration::from_nanos(tally.now().saturating_sub(last_answer));
            let waited = oldest
                .and_then(|index| tally.age(index))
                .map(|age| age.min(quiet));
            if waited.is_some_and(|waited| waited >= self.patience) {
                return LegError::Silence(self.patience);
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
