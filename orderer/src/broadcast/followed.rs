//! Envelopes whose way is told to a collector: each is a run of its own, so that its ticket is known.

use consensus::{TicketError, Tickets};
use futures::StreamExt as _;
use protos::{BlockNumber, ChannelId};

use crate::telemetry::Telemetry;
use crate::telemetry::journey::Journey;

/// A followed envelope that is in its chain's intake.
pub(super) struct Followed {
    pub(super) telemetry: Telemetry,
    pub(super) journey: Journey,
    pub(super) channel: ChannelId,
}

impl Followed {
    /// The client has its SUCCESS; how it ends is found out without it.
    pub(super) fn go_on(self, mut tickets: Tickets) {
        let outcome = async move { told(tickets.next().await.as_ref()) };
        self.telemetry.follow(self.journey, self.channel, outcome);
    }

    /// Waits for its end; the error if it was lost.
    pub(super) async fn end(self, mut tickets: Tickets) -> Option<TicketError> {
        let outcome = tickets.next().await;
        self.telemetry
            .arrived(&self.journey, &self.channel, told(outcome.as_ref()));
        outcome.and_then(Result::err)
    }
}

fn told(outcome: Option<&Result<BlockNumber, TicketError>>) -> Result<BlockNumber, String> {
    match outcome {
        Some(Ok(number)) => Ok(*number),
        Some(Err(error)) => Err(error.to_string()),
        None => Err("the chain is gone".to_owned()),
    }
}
