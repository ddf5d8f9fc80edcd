//! The open tickets of a chain, in the order of their submissions.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::time::Instant;

use crate::meter::ChainMeter;
use crate::ticket::{Completion, Outcome, TicketId};

/// Numbers submissions and finds their outcomes' owner again. One entry a call, so its cost is per call and block,
/// not per envelope.
pub(crate) struct OpenTickets {
    calls: VecDeque<Call>,
    last: u64,
    meter: Arc<dyn ChainMeter>,
}

/// The tickets `first..first + count`.
#[derive(Debug)]
struct Call {
    first: u64,
    count: usize,
    /// How many [`OpenTickets::resolve_listed`] has not had yet.
    left: usize,
    /// How many [`OpenTickets::resolve`] has had.
    resolved: usize,
    completion: Completion,
    /// When it was put into the mailbox.
    at: Instant,
}

impl Call {
    /// The ticket behind its last.
    fn end(&self) -> u64 {
        self.first + self.count as u64
    }

    /// How many of its tickets are `through` or lower.
    fn count_through(&self, through: TicketId) -> usize {
        let below = (through.0 + 1).saturating_sub(self.first);
        usize::try_from(below).map_or(self.count, |below| below.min(self.count))
    }
}

impl OpenTickets {
    /// None; who is durable is told to `meter`.
    pub(crate) fn new(meter: Arc<dyn ChainMeter>) -> Self {
        Self {
            calls: VecDeque::new(),
            last: 0,
            meter,
        }
    }

    /// Numbers the `count` submissions of a call that was put into the mailbox `at` that time, after all before them;
    /// gives the first number.
    pub(crate) fn open(&mut self, completion: Completion, count: usize, at: Instant) -> TicketId {
        let first = self.last + 1;
        self.last += count as u64;
        self.calls.push_back(Call {
            first,
            count,
            left: count,
            resolved: 0,
            completion,
            at,
        });
        TicketId(first)
    }

    /// Every ticket up to `through` that has no outcome yet gets this one.
    pub(crate) fn resolve(&mut self, through: TicketId, outcome: &Outcome) {
        while let Some(call) = self.calls.front_mut() {
            let count = call.count_through(through);
            call.completion.resolve(0..count, outcome);
            let came = count.saturating_sub(std::mem::replace(&mut call.resolved, count));
            tell(&*self.meter, call.at, came, outcome);
            if count < call.count {
                break;
            }
            self.calls.pop_front();
        }
    }

    /// One ticket gets its outcome now. It is a recent one: the search starts at the newest.
    pub(crate) fn resolve_one(&mut self, ticket: TicketId, outcome: &Outcome) {
        if let Some(call) = self.calls.iter().rev().find(|call| call.first <= ticket.0) {
            let index = call.count_through(ticket) - 1;
            call.completion.resolve(index..index + 1, outcome);
        }
    }

    /// These tickets get this outcome, each for the only time; they rise. Costs are per call and row of tickets.
    pub(crate) fn resolve_listed(&mut self, tickets: &[TicketId], outcome: &Outcome) {
        let Some(lowest) = tickets.first() else { return };
        let mut place = self.calls.partition_point(|call| call.end() <= lowest.0);
        let mut rest = tickets;
        while let (Some(TicketId(first)), Some(call)) = (rest.first().copied(), self.calls.get_mut(place)) {
            if call.end() <= first {
                place += 1;
                continue;
            }
            let in_row = (first..call.end())
                .zip(rest)
                .take_while(|(next, ticket)| ticket.0 == *next);
            let count = in_row.count();
            if let Ok(start) = usize::try_from(first - call.first) {
                call.completion.resolve(start..start + count, outcome);
                tell(&*self.meter, call.at, count, outcome);
            }
            call.left -= count;
            rest = &rest[count..];
        }
        while self.calls.front().is_some_and(|call| call.left == 0) {
            self.calls.pop_front();
        }
    }

    /// Every open ticket gets this outcome.
    pub(crate) fn resolve_all(&mut self, outcome: &Outcome) {
        self.resolve(TicketId(self.last), outcome);
    }
}

/// Tells how long those took that are durable.
fn tell(meter: &dyn ChainMeter, since: Instant, count: usize, outcome: &Outcome) {
    if outcome.is_ok() && count > 0 {
        meter.finished(since.elapsed(), count as u64);
    }
}

#[cfg(test)]
mod tests {
    use futures::{FutureExt, StreamExt};
    use protos::BlockNumber;

    use super::*;
    use crate::meter::NoMeter;
    use crate::ticket::{TicketError, Tickets, tickets};

    fn tickets_open() -> OpenTickets {
        OpenTickets::new(Arc::new(NoMeter))
    }

    fn ready(tickets: &mut Tickets) -> Vec<Outcome> {
        std::iter::from_fn(|| tickets.next().now_or_never().flatten()).collect()
    }

    #[test]
    fn a_block_may_end_within_a_call() {
        let mut open = tickets_open();
        let (one, mut first) = tickets(2);
        let (two, mut second) = tickets(3);
        assert_eq!(open.open(one, 2, Instant::now()), TicketId(1));
        assert_eq!(open.open(two, 3, Instant::now()), TicketId(3));

        open.resolve_one(TicketId(4), &Err(TicketError::Halted));
        open.resolve(TicketId(3), &Ok(BlockNumber(8)));
        assert_eq!(ready(&mut first), [Ok(BlockNumber(8)), Ok(BlockNumber(8))]);
        assert_eq!(ready(&mut second), [Ok(BlockNumber(8)), Err(TicketError::Halted)]);

        open.resolve(TicketId(5), &Ok(BlockNumber(9)));
        assert_eq!(ready(&mut second), [Ok(BlockNumber(9))]);
        assert!(open.calls.is_empty());
    }

    #[test]
    fn listed_tickets_may_lie_anywhere() {
        let mut open = tickets_open();
        let mut calls = Vec::new();
        for count in [3, 0, 2, 4] {
            let (completion, waiting) = tickets(count);
            open.open(completion, count, Instant::now());
            calls.push(waiting);
        }
        let listed = |ids: &[u64]| ids.iter().copied().map(TicketId).collect::<Vec<_>>();
        let block = |number: u64| Ok(BlockNumber(number));

        open.resolve_listed(&listed(&[2, 4, 5, 6, 8]), &block(1));
        assert_eq!(open.calls.len(), 4);
        open.resolve_listed(&listed(&[]), &block(9));
        open.resolve_listed(&listed(&[1, 3, 7]), &block(2));
        assert_eq!(open.calls.len(), 1);
        open.resolve_listed(&listed(&[9]), &Err(TicketError::Halted));
        assert!(open.calls.is_empty());

        assert_eq!(ready(&mut calls[0]), [block(2), block(1), block(2)]);
        assert_eq!(ready(&mut calls[2]), [block(1), block(1)]);
        let last = [block(1), block(2), block(1), Err(TicketError::Halted)];
        assert_eq!(ready(&mut calls[3]), last);
    }

    #[test]
    fn an_empty_call_needs_no_outcome() {
        let mut open = tickets_open();
        let (empty, _) = tickets(0);
        let (one, mut after) = tickets(1);
        open.open(empty, 0, Instant::now());
        assert_eq!(open.open(one, 1, Instant::now()), TicketId(1));
        open.resolve_all(&Ok(BlockNumber(1)));
        assert_eq!(ready(&mut after), [Ok(BlockNumber(1))]);
    }
}
