//! How a driver ends: open writes are waited for, so that whoever takes the ledger over finds it quiet; what is in no
//! block yet goes on record for the next run, if it was told to end; and every ticket gets its outcome.

use std::time::Duration;

use futures::stream::StreamExt;
use tokio::time::{Instant, sleep};

use super::{Driver, Ending};
use crate::chain::{ChainFailure, Ended};
use crate::raft::core::Event;
use crate::raft::log::LogWrite;
use crate::ticket::TicketError;

/// How long what was taken in may take when the chain is halted and others can go on.
const HALT_TIME_MAX: Duration = Duration::from_secs(2);
/// How long a leader waits for a moment at which all it has is ordered. Under load there may be none.
const IDLE_TIME_MAX: Duration = Duration::from_secs(1);
/// What was sent last gets this long to leave before the connections end.
const PARTING_TIME: Duration = Duration::from_millis(200);

impl Driver {
    pub(super) fn begin_halt(&mut self) {
        self.is_halting = true;
        self.mailbox.close();
        if self.core.status().members.len() > 1 {
            let time = if self.core.leads() {
                IDLE_TIME_MAX
            } else {
                HALT_TIME_MAX
            };
            self.halt_by = Some(Instant::now() + time);
        }
    }

    /// Whoever leads by now offers leadership all the same: what it has is handed to the next leader. Then, or if there is
    /// nobody to take it, the end has come.
    pub(super) fn halt_is_over(&mut self) {
        if self.core.leads() && !std::mem::replace(&mut self.is_parting, true) {
            self.halt_by = Some(Instant::now() + HALT_TIME_MAX);
            self.step(Event::StepAside);
        } else {
            self.ending = Some(Ending::Ended(Ended::Halted));
        }
    }

    pub(super) async fn end(mut self, ending: Ending) -> Ending {
        let last = self.last_write(&ending);
        self.refuse_the_rest(&ending);
        while self.writing.next().await.is_some() {}
        if let Some(write) = last {
            self.written += 1;
            self.log.write(self.written, write);
        }
        if !matches!(ending, Ending::Failed(ChainFailure::Log { .. })) {
            self.log.settled(self.written).await;
        }
        self.shared.inbox.close();
        if ending != Ending::Ended(Ended::Halted) || self.core.status().members.len() > 1 {
            sleep(PARTING_TIME).await;
        }
        self.transport.set_peers(Vec::new());
        self.notices.stopped();
        ending
    }

    /// What the next run, or a follower, must know.
    fn last_write(&mut self, ending: &Ending) -> Option<LogWrite> {
        match ending {
            Ending::Ended(Ended::Halted) => self.leave(),
            // Goes on as a follower, whose blocks the log does not have.
            Ending::Ended(Ended::NotMember) => self.core.farewell(),
            _ => None,
        }
    }

    /// Puts on record what was taken in and is in no block.
    fn leave(&mut self) -> Option<LogWrite> {
        let rest = self.backlog.take_rest(&mut self.mailbox, &mut self.open);
        let write = self.core.leave_behind(rest)?;
        let waiting = write.unordered.as_ref().map_or(0, |left| left.waiting());
        self.notices.left(waiting);
        let reason = "the node stopped first; it is kept, and ordered after the next start".to_owned();
        self.open.resolve_all(&Err(TicketError::Unknown { reason }));
        Some(write)
    }

    /// What the core has may be in a block, and the rest is in none.
    fn refuse_the_rest(&mut self, ending: &Ending) {
        let reason = match ending {
            Ending::Failed(failure) => failure.to_string(),
            Ending::Ended(Ended::Halted) => "the chain stopped before its block was seen".to_owned(),
            Ending::Ended(Ended::NotMember) => "this node is no consenter of the channel any more".to_owned(),
            Ending::Ended(Ended::OtherType) => "the channel has another consensus type now".to_owned(),
            Ending::Ended(Ended::LostLog { reason }) => reason.clone(),
        };
        self.open
            .resolve(self.submitted, &Err(TicketError::Unknown { reason }));
        self.open.resolve_all(&Err(TicketError::Halted));
        self.backlog.refuse(&mut self.mailbox);
    }
}
