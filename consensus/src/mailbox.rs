//! The chain's mailbox: lists of submissions, bounded by their bytes.

use std::sync::Arc;

use tokio::sync::{Semaphore, mpsc};
use tokio::time::Instant;

use crate::chain::Submission;
use crate::ticket::{self, Completion, Tickets};

/// Most bytes waiting in a mailbox. At 1 KiB an envelope that is 130 ms of 50,000 a second; a caller above it waits.
pub(crate) const MAILBOX_BYTES_MAX: u32 = 8 << 20;

/// What a submission counts on top of its envelope's size, so that small ones are bounded too.
const SUBMISSION_OVERHEAD_BYTES: usize = 256;

/// Makes both ends of a mailbox.
pub(crate) fn mailbox() -> (Mailbox, MailboxReceiver) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let room = Arc::new(Semaphore::new(MAILBOX_BYTES_MAX as usize));
    let ours = Arc::clone(&room);
    (Mailbox { sender, room }, MailboxReceiver { receiver, room: ours })
}

/// The callers' end. The queue itself has no bound; `room` is what bounds it.
#[derive(Debug)]
pub(crate) struct Mailbox {
    sender: mpsc::UnboundedSender<Offer>,
    room: Arc<Semaphore>,
}

/// The submissions of one call.
#[derive(Debug)]
pub(crate) struct Offer {
    pub(crate) submissions: Vec<Submission>,
    pub(crate) completion: Completion,
    /// When it was put in.
    pub(crate) at: Instant,
    charge: u32,
}

/// Nothing is taken any more.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Closed;

impl Mailbox {
    /// Puts all of them in as one, or none; waits for room.
    pub(crate) async fn offer(&self, submissions: Vec<Submission>) -> Result<Tickets, Closed> {
        let charge = charge(&submissions);
        let room = self.room.acquire_many(charge).await.map_err(|_| Closed)?;
        let (completion, tickets) = ticket::tickets(submissions.len());
        let offer = Offer {
            submissions,
            completion,
            at: Instant::now(),
            charge,
        };
        self.sender.send(offer).map_err(|_| Closed)?;
        room.forget(); // the receiver gives it back
        Ok(tickets)
    }
}

impl Mailbox {
    /// Bytes that wait, with what each submission counts on top.
    pub(crate) fn waiting_bytes(&self) -> u64 {
        let room = u64::try_from(self.room.available_permits()).unwrap_or(u64::MAX);
        u64::from(MAILBOX_BYTES_MAX).saturating_sub(room)
    }
}

/// The room a call takes. One that is larger than the mailbox goes in alone.
fn charge(submissions: &[Submission]) -> u32 {
    let bytes: usize = submissions
        .iter()
        .map(|submission| submission.envelope.size() + SUBMISSION_OVERHEAD_BYTES)
        .sum();
    u32::try_from(bytes).unwrap_or(u32::MAX).min(MAILBOX_BYTES_MAX)
}

/// The driver's end. Callers that wait are refused when it is closed or dropped.
#[derive(Debug)]
pub(crate) struct MailboxReceiver {
    receiver: mpsc::UnboundedReceiver<Offer>,
    room: Arc<Semaphore>,
}

impl MailboxReceiver {
    /// Appends at least one and at most `count_max` offers to `offers`; none only when the mailbox is closed and
    /// empty. Nothing is lost when the future is dropped.
    pub(crate) async fn recv_many(&mut self, offers: &mut Vec<Offer>, count_max: usize) {
        self.receiver.recv_many(offers, count_max).await;
    }

    /// An offer that is there already.
    pub(crate) fn try_recv(&mut self) -> Option<Offer> {
        self.receiver.try_recv().ok()
    }

    /// Gives back the room of an offer that is being worked off.
    pub(crate) fn release(&self, offer: &Offer) {
        self.room.add_permits(offer.charge as usize);
    }

    /// Takes nothing more in; what is in can still be received.
    pub(crate) fn close(&mut self) {
        self.room.close();
        self.receiver.close();
    }
}

impl Drop for MailboxReceiver {
    fn drop(&mut self) {
        self.room.close();
    }
}
