//! The open tickets of a chain, in the order of their submissions.

use std::collections::VecDeque;

use crate::ticket::{Completion, Outcome, TicketId};

/// Numbers submissions and finds their outcomes' owner again. One entry a call, so its cost is per call and block,
/// not per envelope.
#[derive(Debug, Default)]
pub(crate) struct OpenTickets {
    calls: VecDeque<Call>,
    last: u64,
}

/// The tickets `first..first + count`.
#[derive(Debug)]
struct Call {
    first: u64,
    count: usize,
    completion: Completion,
}

impl Call {
    /// How many of its tickets are `through` or lower.
    fn count_through(&self, through: TicketId) -> usize {
        let below = (through.0 + 1).saturating_sub(self.first);
        usize::try_from(below).map_or(self.count, |below| below.min(self.count))
    }
}

impl OpenTickets {
    /// Numbers the `count` submissions of a call, after all before them; gives the first number.
    pub(crate) fn open(&mut self, completion: Completion, count: usize) -> TicketId {
        let first = self.last + 1;
        self.last += count as u64;
        self.calls.push_back(Call {
            first,
            count,
            completion,
        });
        TicketId(first)
    }

    /// Every ticket up to `through` that has no outcome yet gets this one.
    pub(crate) fn resolve(&mut self, through: TicketId, outcome: &Outcome) {
        while let Some(call) = self.calls.front() {
            let count = call.count_through(through);
            call.completion.resolve(0..count, outcome);
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

    /// Every open ticket gets this outcome.
    pub(crate) fn resolve_all(&mut self, outcome: &Outcome) {
        self.resolve(TicketId(self.last), outcome);
    }
}

#[cfg(test)]
mod tests {
    use futures::{FutureExt, StreamExt};
    use protos::BlockNumber;

    use super::*;
    use crate::ticket::{TicketError, Tickets, tickets};

    fn ready(tickets: &mut Tickets) -> Vec<Outcome> {
        std::iter::from_fn(|| tickets.next().now_or_never().flatten()).collect()
    }

    #[test]
    fn a_block_may_end_within_a_call() {
        let mut open = OpenTickets::default();
        let (one, mut first) = tickets(2);
        let (two, mut second) = tickets(3);
        assert_eq!(open.open(one, 2), TicketId(1));
        assert_eq!(open.open(two, 3), TicketId(3));

        open.resolve_one(TicketId(4), &Err(TicketError::Halted));
        open.resolve(TicketId(3), &Ok(BlockNumber(8)));
        assert_eq!(ready(&mut first), [Ok(BlockNumber(8)), Ok(BlockNumber(8))]);
        assert_eq!(ready(&mut second), [Ok(BlockNumber(8)), Err(TicketError::Halted)]);

        open.resolve(TicketId(5), &Ok(BlockNumber(9)));
        assert_eq!(ready(&mut second), [Ok(BlockNumber(9))]);
        assert!(open.calls.is_empty());
    }

    #[test]
    fn an_empty_call_needs_no_outcome() {
        let mut open = OpenTickets::default();
        let (empty, _) = tickets(0);
        let (one, mut after) = tickets(1);
        open.open(empty, 0);
        assert_eq!(open.open(one, 1), TicketId(1));
        open.resolve_all(&Ok(BlockNumber(1)));
        assert_eq!(ready(&mut after), [Ok(BlockNumber(1))]);
    }
}
