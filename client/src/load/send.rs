//! The broadcast streams of a pass over envelopes. Stream `s` of `n` sends the `s`-th, `s + n`-th, `s + 2n`-th, ...
//!
//! Without a rate a stream is a closed loop: it sends when an answer makes room, and latencies count from then.
//! With a rate every envelope of the run has a moment at which it is due, and latencies count from that moment,
//! whether or not it could be sent: else a node that stalls would stop the clock of what waits for it.
//!
//! A stream may lose its orderer. Then it ends, or goes on at another one with what it has not sent yet: one [`Leg`]
//! for each orderer it was with.

use std::sync::Arc;
use std::time::Duration;

use futures::future::{join_all, try_join_all};
use tokio::time::Instant;

use super::LoadSpec;
use super::leg::{Leg, LegError};
use super::tally::Tally;
use crate::broadcast::{self, BroadcastOptions};
use crate::connection::{ConnectError, Connection, Target};

/// Pause after an orderer that could not be reached or took nothing.
const PAUSE: Duration = Duration::from_millis(50);

/// A connection, and which of the targets it leads to.
pub(super) type Line = (usize, Connection);

/// One connection a stream. With several orderers to choose from, those that cannot be reached are passed over.
pub(super) async fn connect(spec: &LoadSpec) -> Result<Vec<Line>, ConnectError> {
    let line = |number: usize| async move {
        let mut at = number % spec.targets.len();
        let mut left = if spec.fail_over { spec.targets.len() } else { 1 };
        loop {
            left -= 1;
            match spec.targets[at].connect().await {
                Ok(connection) => return Ok((at, connection)),
                Err(error) if left == 0 => return Err(error),
                Err(_) => at = (at + 1) % spec.targets.len(),
            }
        }
    };
    try_join_all((0..spec.streams).map(line)).await
}

/// What a pass sends: everything, or only some of it.
pub(super) type Selection = Option<Arc<[usize]>>;

/// How the streams of a pass ended.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) failures: Vec<String>,
    pub(super) losses: Vec<Loss>,
}

/// A stream that lost its orderer and went on at another.
#[derive(Debug)]
pub(super) struct Loss {
    /// Which of the targets was lost.
    pub(super) target: usize,
    /// In words.
    pub(super) reason: String,
    /// What was sent there and not answered: it may be in a block or not.
    pub(super) unanswered: Vec<usize>,
    /// What was answered with a refusal: it is in no block.
    pub(super) refused: Option<usize>,
}

/// Runs all streams to their end.
pub(super) async fn all(
    spec: &LoadSpec,
    tally: &Arc<Tally>,
    selection: &Selection,
    lines: Vec<Line>,
) -> Outcome {
    let targets: Arc<[Target]> = spec.targets.clone().into();
    let streams = lines.into_iter().enumerate().map(|(number, line)| {
        let stream = Stream {
            work: Work {
                first: number,
                step: spec.streams,
                tally: tally.clone(),
                selection: selection.clone(),
            },
            targets: targets.clone(),
            options: BroadcastOptions {
                acknowledge: spec.acknowledge,
                in_flight_max: spec.in_flight_max,
            },
            rate: spec.rate,
            patience: spec.patience,
            fail_over: spec.fail_over,
        };
        tokio::spawn(stream.run(line))
    });
    let mut all = Outcome::default();
    for (number, ended) in join_all(streams).await.into_iter().enumerate() {
        let (failure, losses) = match ended {
            Ok((failure, losses)) => (failure, losses),
            Err(panic) => (Some(panic.to_string()), Vec::new()),
        };
        all.failures
            .extend(failure.map(|failure| format!("stream {number}: {failure}")));
        all.losses.extend(losses);
    }
    all
}

/// The envelopes of one stream, by their place in it.
pub(super) struct Work {
    first: usize,
    step: usize,
    pub(super) tally: Arc<Tally>,
    selection: Selection,
}

impl Work {
    /// The envelope at `position`; none after the last.
    pub(super) fn at(&self, position: usize) -> Option<usize> {
        let place = self.first + position * self.step;
        match &self.selection {
            None => (place < self.tally.len()).then_some(place),
            Some(some) => some.get(place).copied(),
        }
    }
}

struct Stream {
    work: Work,
    targets: Arc<[Target]>,
    options: BroadcastOptions,
    /// Envelopes per second of the whole run.
    rate: Option<u32>,
    patience: Duration,
    fail_over: bool,
}

impl Stream {
    /// What went wrong, if anything did, and which orderers were lost on the way.
    async fn run(self, line: Line) -> (Option<String>, Vec<Loss>) {
        let mut losses = Vec::new();
        let failure = self.legs(line, &mut losses).await.err();
        (failure, losses)
    }

    async fn legs(&self, (mut target, mut connection): Line, losses: &mut Vec<Loss>) -> Result<(), String> {
        let mut position = 0;
        let mut last_answer = Instant::now();
        loop {
            let leg = Leg::new(&self.work, position, self.rate, self.patience);
            let (sender, answers) = broadcast::open(&connection, self.options);
            let Err(error) = leg.run(sender, answers).await else {
                return Ok(());
            };
            if leg.answered() > 0 {
                last_answer = Instant::now();
            }
            let is_over = !self.fail_over || !error.is_passing() || last_answer.elapsed() > self.patience;
            if is_over {
                return Err(error.to_string());
            }
            position = leg.end();
            losses.push(loss(target, &leg, &error));
            if self.work.at(position).is_none() {
                return Ok(());
            }
            (target, connection) = self.next_line(target, last_answer).await?;
        }
    }

    /// A connection to the orderer after `lost`, or to the one after that, and so on.
    async fn next_line(&self, lost: usize, since: Instant) -> Result<Line, String> {
        let mut target = lost;
        loop {
            target = (target + 1) % self.targets.len();
            tokio::time::sleep(PAUSE).await;
            match self.targets[target].connect().await {
                Ok(connection) => return Ok((target, connection)),
                Err(error) if since.elapsed() > self.patience => return Err(error.to_string()),
                Err(_) => {}
            }
        }
    }
}

fn loss(target: usize, leg: &Leg<'_>, error: &LegError) -> Loss {
    let mut unanswered = leg.unanswered();
    let is_refused = !unanswered.is_empty() && !error.is_outcome_unknown();
    Loss {
        target,
        reason: error.to_string(),
        refused: is_refused.then(|| unanswered.remove(0)),
        unanswered,
    }
}
