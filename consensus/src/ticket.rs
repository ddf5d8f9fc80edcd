//! What became of submissions: a list of outcomes shared by one caller and one chain.
//!
//! One list serves all submissions of a call, so a ticket costs no allocation of its own, and a caller that
//! drops it leaves nothing behind.

use std::ops::Range;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use futures::Stream;
use futures::task::AtomicWaker;
use protos::BlockNumber;

/// The block that holds a submission, durable by now, or why there is none.
pub type Outcome = Result<BlockNumber, TicketError>;

/// Why a submission that was taken in has no block.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TicketError {
    /// The config moved on before its turn, and it is not valid any more. It is in no block.
    #[error("{reason}")]
    Dropped {
        /// What the checks said.
        reason: String,
    },
    /// The chain ended before its turn. It is in no block.
    #[error("chain is stopped")]
    Halted,
    /// The chain broke while its block was being written. It may turn up in a block.
    #[error("outcome unknown: {reason}")]
    Unknown {
        /// What broke.
        reason: String,
    },
}

/// A submission's place in the order of arrival at a core. The driver counts it up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TicketId(pub u64);

/// Tells one arming of the batch timer from the next, so that a late fire of a stopped timer is ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimerToken(pub u64);

/// Makes both ends of the outcomes of `count` submissions.
pub fn tickets(count: usize) -> (Completion, Tickets) {
    let shared = Arc::new(Shared {
        outcomes: Mutex::new(vec![None; count]),
        waker: AtomicWaker::new(),
    });
    let completion = Completion {
        shared: Arc::clone(&shared),
    };
    (completion, Tickets { shared, next: 0 })
}

#[derive(Debug)]
struct Shared {
    outcomes: Mutex<Vec<Option<Outcome>>>,
    waker: AtomicWaker,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Vec<Option<Outcome>>> {
        // The list is whole between any two of its changes, so a panic elsewhere leaves it usable.
        self.outcomes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The outcome at `index`, which must exist; registers for a wake-up first, so none is missed.
    fn poll(&self, index: usize, context: &mut Context<'_>) -> Poll<Outcome> {
        self.waker.register(context.waker());
        self.lock()[index].clone().map_or(Poll::Pending, Poll::Ready)
    }
}

/// The outcomes of the submissions of one call, in their order. A stream: each item is ready when its submission
/// is durable or has failed.
#[derive(Debug)]
pub struct Tickets {
    shared: Arc<Shared>,
    next: usize,
}

impl Tickets {
    /// How many outcomes were not read yet.
    pub fn len(&self) -> usize {
        self.shared.lock().len() - self.next
    }

    /// True when all were read.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The ticket of the first submission alone; there must be one.
    pub(crate) fn into_first(self) -> Ticket {
        Ticket { shared: self.shared }
    }
}

impl Stream for Tickets {
    type Item = Outcome;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Outcome>> {
        if self.is_empty() {
            return Poll::Ready(None);
        }
        let outcome = self.shared.poll(self.next, context);
        if outcome.is_ready() {
            self.next += 1;
        }
        outcome.map(Some)
    }
}

/// The outcome of one submission, as a future.
#[derive(Debug)]
#[must_use = "a ticket may be dropped, but then say so"]
pub struct Ticket {
    shared: Arc<Shared>,
}

impl Future for Ticket {
    type Output = Outcome;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Outcome> {
        self.shared.poll(0, context)
    }
}

/// The chain's end of [`Tickets`]. What is still open when it is dropped fails as unknown.
#[derive(Debug)]
pub struct Completion {
    shared: Arc<Shared>,
}

impl Completion {
    /// Sets the outcome of those submissions in `range` that have none yet.
    pub fn resolve(&self, range: Range<usize>, outcome: &Outcome) {
        if Arc::strong_count(&self.shared) == 1 {
            return; // nobody waits
        }
        for slot in &mut self.shared.lock()[range] {
            slot.get_or_insert_with(|| outcome.clone());
        }
        self.shared.waker.wake();
    }
}

impl Drop for Completion {
    fn drop(&mut self) {
        let count = self.shared.lock().len();
        let reason = "the chain ended without saying".to_owned();
        self.resolve(0..count, &Err(TicketError::Unknown { reason }));
    }
}

#[cfg(test)]
mod tests {
    use futures::{FutureExt, StreamExt};

    use super::*;

    #[test]
    fn outcomes_come_in_the_order_of_the_submissions() {
        let (completion, mut tickets) = tickets(3);
        completion.resolve(1..2, &Err(TicketError::Halted));
        assert_eq!(tickets.next().now_or_never(), None);
        completion.resolve(0..3, &Ok(BlockNumber(7)));
        let all = tickets.collect::<Vec<_>>().now_or_never().unwrap();
        assert_eq!(
            all,
            [Ok(BlockNumber(7)), Err(TicketError::Halted), Ok(BlockNumber(7))]
        );
    }

    #[test]
    fn a_lost_completion_leaves_the_outcome_unknown() {
        let (completion, tickets) = tickets(2);
        completion.resolve(1..2, &Ok(BlockNumber(1)));
        drop(completion);
        let all = tickets.collect::<Vec<_>>().now_or_never().unwrap();
        assert!(matches!(all[0], Err(TicketError::Unknown { .. })));
        assert_eq!(all[1], Ok(BlockNumber(1)));
    }

    #[test]
    fn a_waiting_ticket_is_woken() {
        let (completion, tickets) = tickets(1);
        let waiting = std::thread::spawn(|| futures::executor::block_on(tickets.into_first()));
        completion.resolve(0..1, &Ok(BlockNumber(3)));
        assert_eq!(waiting.join().unwrap(), Ok(BlockNumber(3)));
    }
}
