//! How a driver ends: open writes are waited for, so that whoever takes the ledger over finds it quiet, and every
//! ticket gets its outcome.

use std::time::Duration;

use futures::stream::StreamExt;
use tokio::time::sleep;

use super::{Driver, Ending};
use crate::chain::{ChainFailure, Ended};
use crate::ticket::TicketError;

/// What was sent last gets this long to leave before the connections end.
const PARTING_TIME: Duration = Duration::from_millis(200);

impl Driver {
    pub(super) async fn end(mut self, ending: Ending) -> Ending {
        self.refuse_the_rest(&ending);
        while self.writing.next().await.is_some() {}
        self.write_farewell(&ending);
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

    /// Whoever is no member any more goes on as a follower, whose blocks the log does not have.
    fn write_farewell(&mut self, ending: &Ending) {
        if *ending == Ending::Ended(Ended::NotMember)
            && let Some(write) = self.core.farewell()
        {
            self.written += 1;
            self.log.write(self.written, write);
        }
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
