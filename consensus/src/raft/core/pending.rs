//! `Pending`: the envelopes this node took in and has not seen in a block, in the order they came.
//!
//! They are found again by their bytes: a seeded hash first, then the bytes themselves, the oldest of equal ones. A
//! config envelope is known by the update in it, since each leader wraps it anew.

use std::collections::{BTreeSet, VecDeque};
use std::hash::{BuildHasher, Hasher};

use bytes::Bytes;
use foldhash::fast::FixedState;
use protos::{BlockNumber, ConfigSeq, Envelope};

use super::config_facts::ConfigFacts;
use crate::chain::SubmissionKind;
use crate::ticket::TicketId;

/// A place in the order of arrival. Never used again.
pub(super) type Place = u64;

/// One envelope.
#[derive(Clone, Debug)]
pub(super) struct Waiting {
    /// Who asks for its outcome; nobody if an earlier run took it in.
    pub(super) ticket: Option<TicketId>,
    pub(super) envelope: Envelope,
    pub(super) kind: SubmissionKind,
    /// The config sequence of its last check.
    pub(super) config_seq: ConfigSeq,
    /// The tick at which it came; none for one of an earlier run while nobody leads, however long that takes.
    pub(super) since: Option<u64>,
    /// The newest block when it was first handed to a leader, this node perhaps: it can only be in a later one.
    pub(super) handed_at: Option<BlockNumber>,
    key: Key,
}

/// What it is known by in a block.
#[derive(Clone, Debug)]
struct Key {
    hash: u64,
    /// The update in it, for a config envelope; its own entry otherwise.
    update: Option<Bytes>,
}

/// All of them.
#[derive(Debug)]
pub(super) struct Pending {
    slots: VecDeque<Option<Waiting>>,
    first: Place,
    by_hash: BTreeSet<(u64, Place)>,
    bytes: usize,
    hasher: FixedState,
}

impl Pending {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            slots: VecDeque::new(),
            first: 0,
            by_hash: BTreeSet::new(),
            bytes: 0,
            hasher: FixedState::with_seed(seed),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// True if any of them was handed to a leader.
    pub(super) fn has_handed(&self) -> bool {
        let mut waiting = self.slots.iter().flatten();
        waiting.any(|waiting| waiting.handed_at.is_some())
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.by_hash.len()
    }

    /// Bytes of the envelopes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The place of the oldest.
    pub(super) fn first(&self) -> Place {
        self.first
    }

    /// The place that the next one gets.
    pub(super) fn end(&self) -> Place {
        self.first + self.slots.len() as u64
    }

    /// All that wait, with their places.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Place, &Waiting)> {
        let slots = (self.first..).zip(&self.slots);
        slots.filter_map(|(place, slot)| Some((place, slot.as_ref()?)))
    }

    pub(super) fn add(
        &mut self,
        ticket: TicketId,
        envelope: Envelope,
        kind: SubmissionKind,
        (config_seq, since): (ConfigSeq, u64),
    ) {
        let checked = (envelope, kind, config_seq);
        self.push(Some(ticket), checked, Some(since), None);
    }

    /// One that an earlier run took in, and had looked for in the blocks up to `handed_at` if it had handed it.
    pub(super) fn add_left(
        &mut self,
        checked: (Envelope, SubmissionKind, ConfigSeq),
        handed_at: Option<BlockNumber>,
    ) {
        self.push(None, checked, None, handed_at);
    }

    fn push(
        &mut self,
        ticket: Option<TicketId>,
        (envelope, kind, config_seq): (Envelope, SubmissionKind, ConfigSeq),
        since: Option<u64>,
        handed_at: Option<BlockNumber>,
    ) {
        let update = match kind {
            SubmissionKind::Normal => None,
            SubmissionKind::Config => {
                let facts = ConfigFacts::read(envelope.entry());
                Some(facts.map_or_else(|| envelope.entry().clone(), |facts| facts.update))
            }
        };
        let hash = self.hash(update.as_ref().unwrap_or(envelope.entry()));
        self.by_hash.insert((hash, self.end()));
        self.bytes += envelope.entry().len();
        self.slots.push_back(Some(Waiting {
            ticket,
            envelope,
            kind,
            config_seq,
            since,
            handed_at,
            key: Key { hash, update },
        }));
    }

    /// Those of an earlier run wait from this tick on.
    pub(super) fn count_from(&mut self, tick: u64) {
        for waiting in self.slots.iter_mut().flatten() {
            waiting.since.get_or_insert(tick);
        }
    }

    /// Leaves the next place empty.
    pub(super) fn skip(&mut self) {
        if self.slots.is_empty() {
            self.first += 1;
        } else {
            self.slots.push_back(None);
        }
    }

    pub(super) fn get(&self, place: Place) -> Option<&Waiting> {
        self.slots.get(self.at(place)?)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, place: Place) -> Option<&mut Waiting> {
        let at = self.at(place)?;
        self.slots.get_mut(at)?.as_mut()
    }

    fn at(&self, place: Place) -> Option<usize> {
        usize::try_from(place.checked_sub(self.first)?).ok()
    }

    pub(super) fn remove(&mut self, place: Place) -> Option<Waiting> {
        let at = self.at(place)?;
        let waiting = self.slots.get_mut(at)?.take()?;
        self.by_hash.remove(&(waiting.key.hash, place));
        self.bytes -= waiting.envelope.entry().len();
        while self.slots.front().is_some_and(Option::is_none) {
            self.slots.pop_front();
            self.first += 1;
        }
        Some(waiting)
    }

    /// Takes out the oldest normal envelope with the bytes of this entry of the block of that number.
    pub(super) fn take_normal(&mut self, entry: &Bytes, number: BlockNumber) -> Option<(Place, Waiting)> {
        self.take(entry, number, |waiting| {
            waiting.key.update.is_none() && waiting.envelope.entry() == entry
        })
    }

    /// Takes out the oldest config envelope made from this update, which is in the block of that number.
    pub(super) fn take_config(&mut self, update: &Bytes, number: BlockNumber) -> Option<(Place, Waiting)> {
        self.take(update, number, |waiting| {
            waiting.key.update.as_ref() == Some(update)
        })
    }

    fn take(
        &mut self,
        key: &Bytes,
        number: BlockNumber,
        is_it: impl Fn(&Waiting) -> bool,
    ) -> Option<(Place, Waiting)> {
        if self.slots.is_empty() {
            return None;
        }
        let hash = self.hash(key);
        let mut places = self.by_hash.range((hash, 0)..=(hash, Place::MAX));
        let may_be = |waiting: &Waiting| waiting.handed_at.is_some_and(|at| at < number) && is_it(waiting);
        let found = places.find(|(_, place)| self.get(*place).is_some_and(may_be));
        let (_, place) = *found?;
        self.remove(place).map(|waiting| (place, waiting))
    }

    fn hash(&self, bytes: &[u8]) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        hasher.write(bytes);
        hasher.finish()
    }

    /// Takes out all of them.
    pub(super) fn take_all(&mut self) -> Vec<Waiting> {
        self.first = self.end();
        self.by_hash.clear();
        self.bytes = 0;
        self.slots.drain(..).flatten().collect()
    }

    /// Replaces an envelope by what its check made of it.
    pub(super) fn renew(&mut self, place: Place, envelope: Envelope, config_seq: ConfigSeq) {
        let Some(waiting) = self.get_mut(place) else {
            return;
        };
        let before = std::mem::replace(&mut waiting.envelope, envelope);
        waiting.config_seq = config_seq;
        let after = waiting.envelope.entry().len();
        self.bytes = self.bytes - before.entry().len() + after;
    }
}
