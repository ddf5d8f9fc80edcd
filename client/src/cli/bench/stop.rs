//! Ctrl-C ends a run early, with a report; a second one ends it at once.

use std::pin::pin;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::Failure;
use crate::load::Progress;

/// The end of a run that was ended early.
pub(super) fn interrupted() -> Failure {
    Failure::interrupted("interrupted before everything was done")
}

/// `work`, told to stop by the first signal and dropped at the second.
pub(super) async fn on_signal<T>(
    work: impl Future<Output = Result<T, Failure>>,
    progress: &Progress,
) -> Result<T, Failure> {
    let mut signals = Signals::install()?;
    let mut work = pin!(work);
    tokio::select! {
        outcome = &mut work => return outcome,
        () = signals.next() => {}
    }
    progress.stop();
    eprintln!("stopping; what is in flight is waited for (Ctrl-C again: not even that)");
    tokio::select! {
        outcome = work => outcome,
        () = signals.next() => Err(interrupted()),
    }
}

struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn install() -> Result<Self, Failure> {
        let install = |kind| signal(kind).map_err(|error| Failure::new(format!("cannot start: {error}")));
        Ok(Self {
            interrupt: install(SignalKind::interrupt())?,
            terminate: install(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
