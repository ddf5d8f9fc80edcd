//! What clients were told is so, nothing appears that nobody sent, and nothing more often than it was sent.
//!
//! - An outcome `Ok(n)` (level `committed`) means a place in block n, for good.
//! - A submission that was taken in (level `accepted`) gets such an outcome, unless the node lost its memory before,
//!   left the channel, or says that a config dropped it. If the node was told to end first, it is in a block all the
//!   same. Only configs can be dropped here: no config of a simulation
//!   makes an envelope of clients invalid.
//! - Submitting the same envelope again on purpose may put it into a block again; nothing else may.
//!
//! Source: `docs/spec/behaviour.md` §1.5; the two levels in `docs/architecture.md`.

use std::collections::BTreeMap;

use bytes::Bytes;
use consensus::ticket::{Outcome, TicketId};
use consensus::{SubmissionKind, TicketError};
use protos::wire::common::{Block, HeaderType};
use protos::{BlockNumber, Envelope};

use super::Violation;
use crate::sim::seed::Micros;
use crate::sim::timeline::Run;

/// How long a submission may be pending before its outcome may be called unknown.
const UNKNOWN_AFTER: Micros = Micros::secs(55);

/// All that was sent and told.
#[derive(Debug, Default)]
pub struct Acknowledged {
    /// How often each was sent, by what identifies it; see [`identity`].
    sent: BTreeMap<Bytes, u64>,
    promises: BTreeMap<(Run, TicketId), Promise>,
}

/// A submission that was taken in.
#[derive(Debug)]
struct Promise {
    identity: Bytes,
    kind: SubmissionKind,
    at: Micros,
    state: State,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Pending,
    InBlock(BlockNumber),
    /// The node ended in order, and keeps it for its next run.
    Left,
    /// It was left, and the run that took it up says that it has ordered it.
    InSomeBlock,
    /// It may be in a block or not.
    Open,
    /// It is in no block.
    Dropped,
}

/// How much was sent and told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Envelopes sent, with repetitions.
    pub sent: u64,
    /// Taken in.
    pub accepted: usize,
    /// Told their block.
    pub committed: usize,
    /// Neither in a block nor excused.
    pub pending: usize,
}

impl Acknowledged {
    /// A client sends an envelope; a config is named by its update.
    pub fn sent(&mut self, identity: Bytes) {
        *self.sent.entry(identity).or_default() += 1;
    }

    /// A node has taken it in.
    pub fn accepted(
        &mut self,
        run: Run,
        ticket: TicketId,
        kind: SubmissionKind,
        identity: Bytes,
        at: Micros,
    ) {
        let state = State::Pending;
        self.promises.entry((run, ticket)).or_insert(Promise {
            identity,
            kind,
            at,
            state,
        });
    }

    /// A node tells what became of a submission.
    pub fn resolved(
        &mut self,
        run: Run,
        ticket: TicketId,
        outcome: &Outcome,
        now: Micros,
    ) -> Result<(), Violation> {
        let node = run.node;
        let promise = self.promises.get_mut(&(run, ticket)).ok_or_else(|| {
            format!(
                "acknowledged: node {node} resolves ticket {} that it has not taken in",
                ticket.0
            )
        })?;
        let is_ending = promise.state == State::Open;
        if promise.state != State::Pending && !is_ending {
            return Err(format!(
                "acknowledged: node {node} resolves ticket {} twice",
                ticket.0
            ));
        }
        let wrong = |what: &dyn std::fmt::Display| {
            Err(format!("acknowledged: node {node}, ticket {}: {what}", ticket.0))
        };
        promise.state = match outcome {
            Ok(number) => State::InBlock(*number),
            Err(TicketError::Dropped { .. }) if promise.kind == SubmissionKind::Config => State::Dropped,
            Err(TicketError::Unknown { .. }) if is_ending || promise.at + UNKNOWN_AFTER < now => State::Open,
            Err(TicketError::Halted) if is_ending => State::Open,
            Err(error) => return wrong(error),
        };
        Ok(())
    }

    /// A run of a node has ended by a crash, or its part in the channel: what is pending there may be lost, and what it
    /// took up of earlier runs.
    pub fn run_ended(&mut self, run: Run) {
        self.left_is_lost(run.node);
        self.change_all(run, &State::Pending, &State::Open);
    }

    /// A run was told to end, and has with nothing pending but what [`left`](Self::left) was told of: what it took up
    /// of earlier runs is ordered.
    pub fn run_finished(&mut self, run: Run) {
        for number in 0..run.number {
            let earlier = Run { number, ..run };
            self.change_all(earlier, &State::Left, &State::InSomeBlock);
        }
        self.change_all(run, &State::Pending, &State::Open);
    }

    /// A run ends in order with envelopes pending, its own and earlier ones, which are on record.
    pub fn left(&mut self, run: Run) {
        self.change_all(run, &State::Pending, &State::Left);
    }

    /// What earlier runs of a node have left is not taken up.
    pub fn left_is_lost(&mut self, node: usize) {
        for ((run, _), promise) in &mut self.promises {
            if run.node == node && promise.state == State::Left {
                promise.state = State::Open;
            }
        }
    }

    /// A config that was left may be dropped, and nobody is told.
    fn change_all(&mut self, run: Run, from: &State, to: &State) {
        let of_run = (run, TicketId(0))..=(run, TicketId(u64::MAX));
        for (_, promise) in self.promises.range_mut(of_run) {
            if promise.state == *from {
                let may_be_dropped = *to == State::Left && promise.kind == SubmissionKind::Config;
                promise.state = if may_be_dropped { State::Open } else { to.clone() };
            }
        }
    }

    /// How much was sent and told.
    pub fn counts(&self) -> Counts {
        let count = |is: fn(&State) -> bool| {
            self.promises
                .values()
                .filter(|promise| is(&promise.state))
                .count()
        };
        Counts {
            sent: self.sent.values().sum(),
            accepted: self.promises.len(),
            committed: count(|state| matches!(state, State::InBlock(_))),
            pending: count(|state| *state == State::Pending),
        }
    }

    /// Holds it all against a whole chain.
    pub fn check<'a>(&self, chain: impl Iterator<Item = &'a Block>) -> Result<(), Violation> {
        let mut places: BTreeMap<Bytes, BTreeMap<BlockNumber, u64>> = BTreeMap::new();
        for block in chain.skip(1) {
            let number = BlockNumber(block.header.as_ref().map_or(0, |header| header.number));
            for entry in block.data.iter().flat_map(|data| &data.data) {
                *places
                    .entry(identity(entry))
                    .or_default()
                    .entry(number)
                    .or_default() += 1;
            }
        }
        self.check_places(&places)?;
        self.check_promises(&places)
    }

    fn check_places(&self, places: &BTreeMap<Bytes, BTreeMap<BlockNumber, u64>>) -> Result<(), Violation> {
        for (entry, blocks) in places {
            let (found, sent) = (
                blocks.values().sum::<u64>(),
                self.sent.get(entry).copied().unwrap_or(0),
            );
            if found > sent {
                let name = name(entry);
                return Err(format!(
                    "acknowledged: {name} was sent {sent} times and is there {found} times: {blocks:?}"
                ));
            }
        }
        Ok(())
    }

    /// Each promise of a run takes a place of its own. Those of different nodes may share one: nothing tells whose
    /// envelope it is.
    fn check_promises(&self, places: &BTreeMap<Bytes, BTreeMap<BlockNumber, u64>>) -> Result<(), Violation> {
        let mut taken: BTreeMap<_, u64> = BTreeMap::new();
        for ((run, ticket), promise) in &self.promises {
            let who = || {
                format!(
                    "acknowledged: node {}, ticket {}, {}",
                    run.node,
                    ticket.0,
                    name(&promise.identity)
                )
            };
            match &promise.state {
                State::InBlock(number) => {
                    let there = places
                        .get(&promise.identity)
                        .and_then(|blocks| blocks.get(number));
                    let taken = taken.entry((*run, &promise.identity, *number)).or_default();
                    *taken += 1;
                    if *taken > there.copied().unwrap_or(0) {
                        return Err(format!("{}: told block {number}, and is not there", who()));
                    }
                }
                State::Pending => return Err(format!("{}: taken in, and in no block", who())),
                State::Left | State::InSomeBlock | State::Open | State::Dropped => {}
            }
        }
        self.check_left(places)
    }

    /// What was left has places beside those that the same node was told of.
    fn check_left(&self, places: &BTreeMap<Bytes, BTreeMap<BlockNumber, u64>>) -> Result<(), Violation> {
        let mut needed: BTreeMap<_, (u64, bool)> = BTreeMap::new();
        for ((run, _), promise) in &self.promises {
            let is_left = matches!(promise.state, State::Left | State::InSomeBlock);
            if is_left || matches!(promise.state, State::InBlock(_)) {
                let (count, any_left) = needed.entry((run.node, &promise.identity)).or_default();
                *count += 1;
                *any_left |= is_left;
            }
        }
        for ((node, identity), (count, _)) in needed.into_iter().filter(|(_, (_, any_left))| *any_left) {
            let found = places.get(identity).map_or(0, |blocks| blocks.values().sum());
            if found < count {
                let name = name(identity);
                return Err(format!(
                    "acknowledged: node {node}, {name}: left by a run that ended in order, and there {found} times of {count}"
                ));
            }
        }
        Ok(())
    }
}

/// What identifies an entry: itself, or the update that a config came from, since a leader may wrap that anew.
pub fn identity(entry: &Bytes) -> Bytes {
    let is_config = protos::envelope::header_type(entry) == Some(HeaderType::Config as i32);
    let update = is_config.then(|| {
        let envelope = Envelope::from_received(entry.clone()).ok()?;
        orderer::processor::config_update::last_update(&envelope).ok()
    });
    update.flatten().unwrap_or_else(|| entry.clone())
}

/// For messages: the text in an envelope of a simulation.
fn name(entry: &Bytes) -> String {
    let at = entry.windows(9).position(|window| window == b"envelope ");
    let text = at.map(|at| {
        entry[at..]
            .iter()
            .take_while(|byte| **byte != b'.')
            .map(|byte| char::from(*byte))
            .collect()
    });
    text.unwrap_or_else(|| "a config update".to_owned())
}

#[cfg(test)]
mod tests {
    use protos::block::next;

    use super::*;

    const RUN: Run = Run { node: 1, number: 1 };

    fn chain(batches: &[&[&'static str]]) -> Vec<Block> {
        let entries = |batch: &[&'static str]| {
            batch
                .iter()
                .map(|name| Bytes::from_static(name.as_bytes()))
                .collect()
        };
        let block = |(number, batch): (usize, &&[&'static str])| {
            next(BlockNumber(number as u64), &[0; 32], entries(batch))
        };
        batches.iter().enumerate().map(block).collect()
    }

    fn told(sent: &[&'static str], outcomes: &[Outcome]) -> Acknowledged {
        let mut told = Acknowledged::default();
        for (place, name) in sent.iter().enumerate() {
            let (ticket, entry) = (TicketId(place as u64 + 1), Bytes::from_static(name.as_bytes()));
            told.sent(entry.clone());
            told.accepted(RUN, ticket, SubmissionKind::Normal, entry, Micros(0));
            if let Some(outcome) = outcomes.get(place) {
                told.resolved(RUN, ticket, outcome, Micros(0)).unwrap();
            }
        }
        told
    }

    #[test]
    fn each_broken_promise_is_told() {
        let good = chain(&[&["genesis"], &["a"], &["a", "b"]]);
        let in_block = |number| Ok(BlockNumber(number));
        let all = told(&["a", "a", "b"], &[in_block(1), in_block(2), in_block(2)]);
        assert_eq!(all.check(good.iter()), Ok(()));
        for (told, text) in [
            (
                told(&["a", "a", "b"], &[in_block(1), in_block(1), in_block(2)]),
                "told block 1, and is not there",
            ),
            (
                told(&["a", "a", "b"], &[in_block(1), in_block(2)]),
                "taken in, and in no block",
            ),
            (
                told(&["a", "b"], &[in_block(1), in_block(2)]),
                "sent 1 times and is there 2 times",
            ),
            (
                told(&["a", "a"], &[in_block(1), in_block(2)]),
                "sent 0 times and is there 1 times",
            ),
        ] {
            let error = told.check(good.iter()).unwrap_err();
            assert!(error.contains(text), "{error}");
        }
    }

    #[test]
    fn memory_that_was_lost_excuses_what_was_pending() {
        let mut told = told(&["a"], &[]);
        assert_eq!(told.counts().pending, 1);
        told.run_ended(RUN);
        assert_eq!(told.counts().pending, 0);
        assert_eq!(told.check(chain(&[&["genesis"]]).iter()), Ok(()));
    }

    #[test]
    fn what_was_left_must_be_in_a_block_unless_the_run_that_took_it_up_crashed() {
        let next = Run { number: 2, ..RUN };
        let with = chain(&[&["genesis"], &["a"]]);
        let without = chain(&[&["genesis"], &["b"]]);
        let left = || {
            let mut told = told(&["a", "b"], &[]);
            told.left(RUN);
            told
        };
        assert!(left().check(with.iter()).unwrap_err().contains("left by a run"));
        let mut finished = left();
        finished.run_finished(next);
        finished.left_is_lost(RUN.node);
        assert!(finished.check(without.iter()).is_err());
        let mut crashed = left();
        crashed.run_ended(next);
        assert_eq!(crashed.check(with.iter()), Ok(()));
    }

    #[test]
    fn an_envelope_of_clients_may_not_be_dropped() {
        let mut told = told(&["a"], &[]);
        let dropped = Err(TicketError::Dropped { reason: "no".into() });
        assert!(told.resolved(RUN, TicketId(1), &dropped, Micros(0)).is_err());
    }
}
