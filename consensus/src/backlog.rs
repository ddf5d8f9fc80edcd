//! What a driver took from the mailbox and its core has not seen yet.

use tokio::time::Instant;

use crate::chain::Submission;
use crate::mailbox::{MailboxReceiver, Offer};
use crate::open_tickets::OpenTickets;
use crate::ticket::{TicketError, TicketId};

/// Most offers taken from the mailbox at once.
const OFFERS_TAKEN_MAX: usize = 64;

/// Submissions on their way from the mailbox to the core, in order.
#[derive(Debug, Default)]
pub(crate) struct Backlog {
    /// The newest first.
    offers: Vec<Offer>,
    /// What is left of the offer being worked off.
    submissions: std::vec::IntoIter<Submission>,
    /// When that was put into the mailbox.
    offered_at: Option<Instant>,
    /// The ticket of the next of them.
    next: u64,
}

impl Backlog {
    pub(crate) fn is_empty(&self) -> bool {
        self.offers.is_empty() && self.submissions.len() == 0
    }

    /// Takes what the mailbox has, at least one offer; none only when it is closed and empty. Only while it is empty
    /// itself. Nothing is lost when the future is dropped.
    pub(crate) async fn fill(&mut self, mailbox: &mut MailboxReceiver) {
        mailbox.recv_many(&mut self.offers, OFFERS_TAKEN_MAX).await;
        self.offers.reverse();
    }

    /// The next submission; opens the tickets of an offer when it comes to it.
    pub(crate) fn next(
        &mut self,
        mailbox: &MailboxReceiver,
        open: &mut OpenTickets,
    ) -> Option<(TicketId, Submission)> {
        loop {
            if let Some(submission) = self.submissions.next() {
                let ticket = TicketId(self.next);
                self.next += 1;
                return Some((ticket, submission));
            }
            let offer = self.offers.pop()?;
            mailbox.release(&offer);
            self.offered_at = Some(offer.at);
            let TicketId(first) = open.open(offer.completion, offer.submissions.len(), offer.at);
            self.next = first;
            self.submissions = offer.submissions.into_iter();
        }
    }

    /// All that is left here and in the mailbox, which takes nothing more in; their tickets are open then.
    pub(crate) fn take_rest(
        &mut self,
        mailbox: &mut MailboxReceiver,
        open: &mut OpenTickets,
    ) -> Vec<Submission> {
        mailbox.close();
        let waiting: Vec<_> = std::iter::from_fn(|| mailbox.try_recv()).collect();
        self.offers.splice(0..0, waiting.into_iter().rev());
        std::iter::from_fn(|| self.next(mailbox, open))
            .map(|(_, submission)| submission)
            .collect()
    }

    /// When the last one that [`next`](Self::next) gave was offered.
    pub(crate) fn offered_at(&self) -> Option<Instant> {
        self.offered_at
    }

    /// Refuses everything whose tickets are not open yet, here and in the mailbox, which takes nothing more in.
    pub(crate) fn refuse(&mut self, mailbox: &mut MailboxReceiver) {
        mailbox.close();
        let halted = Err(TicketError::Halted);
        let waiting = std::iter::from_fn(|| mailbox.try_recv());
        for offer in self.offers.drain(..).chain(waiting) {
            offer.completion.resolve(0..offer.submissions.len(), &halted);
        }
    }
}
