//! The batch timer of a chain, and its halt switch: what both kinds of drivers wait on.

use std::pin::Pin;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Sleep, sleep};

use crate::ticket::TimerToken;

/// The batch timer, if it runs.
pub(crate) struct BatchTimer(Option<(TimerToken, Pin<Box<Sleep>>)>);

impl BatchTimer {
    pub(crate) fn stopped() -> Self {
        Self(None)
    }

    pub(crate) fn armed(token: TimerToken, after: Duration) -> Self {
        Self(Some((token, Box::pin(sleep(after)))))
    }

    /// Ready when it runs out; never while it does not run.
    pub(crate) async fn fired(&mut self) -> TimerToken {
        match &mut self.0 {
            Some((token, sleep)) => {
                sleep.await;
                let token = *token;
                self.0 = None; // else it would be ready for ever
                token
            }
            None => std::future::pending().await,
        }
    }
}

/// Ready when the chain was asked to halt, or is gone.
pub(crate) async fn asked_to_halt(halt: &mut watch::Receiver<bool>) {
    let _ = halt.wait_for(|halt| *halt).await;
}
