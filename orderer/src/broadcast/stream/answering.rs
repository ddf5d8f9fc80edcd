//! The third stage of a stream: a response for each envelope, until one is refused.

use consensus::{TicketError, Tickets};
use futures::{FutureExt as _, StreamExt as _};
use protos::ChannelId;
use tokio::sync::mpsc;
use tonic::Status;

use super::{Answer, Stream, to_count, unavailable};
use crate::broadcast::followed::Followed;
use crate::broadcast::{Refusal, reply};
use crate::codec::{ClientGone, ReplySink};
use crate::config::Acknowledge;
use crate::metrics::Counter;
use crate::telemetry::journey::Journey;

impl Stream {
    /// Answers until the stream ends; with which status.
    pub(super) async fn answer(
        &self,
        mut answers: mpsc::UnboundedReceiver<Answer>,
        sink: &ReplySink,
    ) -> Result<Status, ClientGone> {
        while let Some(answer) = answers.recv().await {
            let refusal = match answer {
                Answer::Taken {
                    channel,
                    kind,
                    count,
                    tickets,
                    processed,
                    room,
                    journey,
                } => {
                    let sink = Counting { sink, processed };
                    let lost = match self.followed(journey, &channel) {
                        None => self.acknowledge(count, tickets, &sink).await?,
                        Some(followed) => self.acknowledge_followed(followed, tickets, &sink).await?,
                    };
                    drop(room);
                    lost.map(|error| unavailable(&channel, kind, loss_reason(&error), &error))
                }
                Answer::Refused(refusal) => Some(refusal),
                Answer::End(status) => return Ok(status),
            };
            if let Some(refusal) = refusal {
                self.log(&refusal);
                sink.send_messages(reply::refused(&refusal), 1).await?;
                return Ok(Status::ok(""));
            }
        }
        Err(ClientGone)
    }

    async fn acknowledge(
        &self,
        count: usize,
        tickets: Tickets,
        sink: &Counting<'_>,
    ) -> Result<Option<TicketError>, ClientGone> {
        match self.level {
            Acknowledge::Accepted => sink.successes(count).await.map(|()| None),
            Acknowledge::Committed => acknowledge_committed(tickets, sink).await,
        }
    }

    fn followed(&self, journey: Option<Journey>, channel: &ChannelId) -> Option<Followed> {
        let (telemetry, journey) = self.telemetry.clone().zip(journey)?;
        let channel = channel.clone();
        Some(Followed {
            telemetry,
            journey,
            channel,
        })
    }

    /// The same for one envelope that is followed.
    async fn acknowledge_followed(
        &self,
        followed: Followed,
        tickets: Tickets,
        sink: &Counting<'_>,
    ) -> Result<Option<TicketError>, ClientGone> {
        if self.level == Acknowledge::Accepted {
            sink.successes(1).await?;
            followed.go_on(tickets);
            return Ok(None);
        }
        let lost = followed.end(tickets).await;
        if lost.is_none() {
            sink.successes(1).await?;
        }
        Ok(lost)
    }

    fn log(&self, refusal: &Refusal) {
        self.refusals.tell(refusal, self.client);
        let Refusal {
            channel,
            kind,
            status,
            ..
        } = refusal;
        self.metrics.answered(channel, *kind, *status).processed.inc();
        self.metrics.refused(channel, refusal.reason);
    }
}

/// Why envelopes that were taken are lost, in a word for metrics.
fn loss_reason(error: &TicketError) -> &'static str {
    match error {
        TicketError::Dropped { .. } => "dropped",
        TicketError::Halted => "halted",
        TicketError::Unknown { .. } => "outcome_unknown",
    }
}

/// Says SUCCESS for each ticket once it is durable, several at a time where they are; the first that failed ends
/// it.
async fn acknowledge_committed(
    mut tickets: Tickets,
    sink: &Counting<'_>,
) -> Result<Option<TicketError>, ClientGone> {
    while let Some(first) = tickets.next().await {
        let mut outcome = Some(first);
        let mut successes = 0;
        while let Some(Ok(_)) = outcome {
            successes += 1;
            outcome = tickets.next().now_or_never().flatten();
        }
        if successes > 0 {
            sink.successes(successes).await?;
        }
        if let Some(Err(error)) = outcome {
            return Ok(Some(error));
        }
    }
    Ok(None)
}

/// A sink that counts what is told SUCCESS.
struct Counting<'a> {
    sink: &'a ReplySink,
    processed: Counter,
}

impl Counting<'_> {
    async fn successes(&self, count: usize) -> Result<(), ClientGone> {
        self.processed.add(to_count(count));
        self.sink.send_messages(reply::successes(count), count).await
    }
}
