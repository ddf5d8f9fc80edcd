//! Sources, a verifier and a disk in simulated time, all out of one seed.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use protos::{BlockNumber, Height, SealedBlock};

use super::super::*;
use super::limits;

/// What a source is like. Numbers are percent of blocks, unless said otherwise.
#[derive(Clone, Copy, Debug)]
pub(super) enum Habit {
    Honest,
    /// Sends altered blocks.
    Lies(u64),
    /// Never answers what it is asked.
    Stalls(u64),
    /// Its stream breaks.
    Dies(u64),
    /// Has fewer blocks than there are.
    Lags(u64),
    /// Says that it has so many more.
    Boasts(u64),
    /// Sends another number than the one due.
    Jumps(u64),
    /// Sends nothing from this block on, although it says that it has them.
    SilentFrom(u64),
    /// Refuses everything.
    Refuses,
}

enum Event {
    Height(SourceId, Height),
    Block(SourceId, SealedBlock),
    Failed(SourceId, Trouble),
    Verified(Vec<SealedBlock>),
    Durable(usize),
}

pub(super) struct World {
    random: u64,
    pub(super) chain: Vec<SealedBlock>,
    pub(super) habits: Vec<Habit>,
    /// Blocks there are at the start, and the time between two new ones.
    growth: (usize, Duration),
    now: Duration,
    events: BTreeMap<(Duration, u64), (u64, Event)>,
    /// Counts up at each close; events of before are dropped.
    generations: Vec<u64>,
    opened: Vec<(BlockNumber, Option<BlockNumber>)>,
    /// Blocks asked for after there were all that exist: source and number.
    waiting: Vec<(SourceId, u64, BlockNumber)>,
    ledger: Vec<(SealedBlock, Duration)>,
    held_max: usize,
    pub(super) served: Vec<u64>,
    pub(super) probes: u64,
    pub(super) faults: u64,
    serial: u64,
}

/// Blocks of random sizes, linked.
pub(super) fn chain(seed: u64, count: usize) -> Vec<SealedBlock> {
    let mut random = seed;
    let mut blocks: Vec<SealedBlock> = Vec::new();
    for number in 0..count as u64 {
        let size = match next(&mut random) % 20 {
            0 => 60_000,
            1..4 => 20_000,
            _ => next(&mut random) % 2000,
        };
        let data = Bytes::from(vec![7; usize::try_from(size).unwrap()]);
        let previous = blocks.last().map(|block| *block.hash()).unwrap_or_default();
        let block = protos::block::next(BlockNumber(number), &previous, vec![data]);
        blocks.push(SealedBlock::seal(&block).unwrap());
    }
    blocks
}

fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl World {
    pub(super) fn new(seed: u64, blocks: usize, habits: &[Habit]) -> Self {
        let chain = chain(seed, blocks);
        let first = (chain[0].clone(), Duration::ZERO);
        Self {
            random: seed,
            growth: (blocks, Duration::ZERO),
            chain,
            habits: habits.to_vec(),
            now: Duration::ZERO,
            events: BTreeMap::new(),
            generations: vec![0; habits.len()],
            opened: vec![(BlockNumber(0), None); habits.len()],
            waiting: Vec::new(),
            ledger: vec![first],
            held_max: 0,
            served: vec![0; habits.len()],
            probes: 0,
            faults: 0,
            serial: 0,
        }
    }

    /// Up to six sources, one of them honest.
    pub(super) fn random(seed: u64) -> Self {
        let mut random = seed ^ 0x5eed;
        let mut habits = vec![Habit::Honest];
        for _ in 0..next(&mut random) % 6 {
            let percent = 1 + next(&mut random) % 60;
            habits.push(match next(&mut random) % 9 {
                0 => Habit::Lies(percent),
                1 => Habit::Stalls(percent),
                2 => Habit::Dies(percent),
                3 => Habit::Lags(percent),
                4 => Habit::Boasts(percent * 1000),
                5 => Habit::Jumps(percent),
                6 => Habit::SilentFrom(percent),
                7 => Habit::Refuses,
                _ => Habit::Honest,
            });
        }
        let turn = usize::try_from(next(&mut random)).unwrap() % habits.len();
        habits.rotate_left(turn);
        let blocks = 20 + usize::try_from(next(&mut random) % 400).unwrap();
        Self::new(seed, blocks, &habits)
    }

    /// Only `first` blocks are there at the start; another comes every `pause`.
    pub(super) fn grow_from(&mut self, first: usize, pause: Duration) {
        self.growth = (first, pause);
    }

    fn percent(&mut self, percent: u64) -> bool {
        next(&mut self.random) % 100 < percent
    }

    /// Blocks that exist at `time`.
    fn existing(&self, time: Duration) -> u64 {
        let (first, pause) = self.growth;
        let grown = if pause.is_zero() {
            0
        } else {
            time.as_millis() / pause.as_millis()
        };
        (first as u64 + u64::try_from(grown).unwrap()).min(self.chain.len() as u64)
    }

    /// When block `number` came to be.
    fn born(&self, number: u64) -> Duration {
        let (first, pause) = self.growth;
        let after = u32::try_from((number + 1).saturating_sub(first as u64)).unwrap();
        pause * after
    }

    fn later(&mut self, source: Option<SourceId>, delay: Duration, event: Event) {
        let jitter = Duration::from_micros(next(&mut self.random) % 20_000);
        self.serial += 1;
        let generation = source.map_or(0, |source| self.generations[source.0]);
        self.events
            .insert((self.now + delay + jitter, self.serial), (generation, event));
    }

    /// Runs until the goal is reached or the time is over.
    pub(super) fn run(&mut self, goal: Goal, time: Duration) {
        let mut plan = Plan::new(limits(), goal, Height(1), self.habits.len());
        while self.now < time && !plan.is_done() {
            for action in plan.poll(self.now) {
                self.carry_out(action);
            }
            let wake = plan.wake(self.now);
            assert!(wake > self.now, "time goes on");
            let next_event = self.events.keys().next().map(|(at, _)| *at);
            if next_event.is_some_and(|at| at <= wake) {
                let ((at, _), (generation, event)) = self.events.pop_first().unwrap();
                self.now = self.now.max(at);
                self.happen(&mut plan, generation, event);
            } else {
                self.now = wake;
            }
            self.serve_waiting();
            self.held_max = self.held_max.max(plan.held_bytes());
        }
    }

    fn carry_out(&mut self, action: Action) {
        match action {
            Action::Probe(id) => self.probe(id),
            Action::Open { source, first, last } => self.opened[source.0] = (first, last),
            Action::Read(id) => self.read(id),
            Action::Close(id) => {
                self.generations[id.0] += 1;
                self.waiting.retain(|(waiting, ..)| *waiting != id);
            }
            Action::Verify(run) => self.later(None, Duration::from_millis(2), Event::Verified(run)),
            Action::Redial(_) | Action::Report(..) => {}
        }
    }

    fn height_of(&self, id: SourceId) -> u64 {
        let existing = self.existing(self.now);
        match self.habits[id.0] {
            Habit::Lags(percent) => (existing * (100 - percent) / 100).max(1),
            _ => existing,
        }
    }

    fn probe(&mut self, id: SourceId) {
        self.probes += 1;
        let height = self.height_of(id);
        let habit = self.habits[id.0];
        let event = match habit {
            Habit::Stalls(percent) if self.percent(percent) => return,
            Habit::Refuses => Event::Failed(id, Trouble::Forbidden),
            Habit::Boasts(more) => Event::Height(id, Height(height + more)),
            _ => Event::Height(id, Height(height)),
        };
        self.later(Some(id), Duration::from_millis(20), event);
    }

    fn read(&mut self, id: SourceId) {
        let (number, last) = self.opened[id.0];
        if number.0 >= self.height_of(id) {
            if last.is_some() {
                self.later(Some(id), Duration::ZERO, Event::Failed(id, Trouble::NotFound));
            } else {
                self.waiting.push((id, self.generations[id.0], number));
            }
            return;
        }
        self.send(id, number);
    }

    fn serve_waiting(&mut self) {
        for (id, generation, number) in std::mem::take(&mut self.waiting) {
            if self.generations[id.0] != generation {
                continue;
            }
            if number.0 < self.height_of(id) {
                self.send(id, number);
            } else {
                self.waiting.push((id, generation, number));
            }
        }
        // New blocks are events of their own.
        let existing = self.existing(self.now);
        if !self.waiting.is_empty() && existing < self.chain.len() as u64 {
            self.serial += 1;
            let at = self.born(existing);
            let tick = (at.max(self.now + Duration::from_millis(1)), self.serial);
            self.events.entry(tick).or_insert((0, Event::Durable(0)));
        }
    }

    fn send(&mut self, id: SourceId, number: BlockNumber) {
        let good = self.chain[usize::try_from(number.0).unwrap()].clone();
        let habit = self.habits[id.0];
        let event = match habit {
            Habit::Lies(percent) if self.percent(percent) => Event::Block(id, altered(&good)),
            Habit::Stalls(percent) if self.percent(percent) => return,
            Habit::Dies(percent) if self.percent(percent) => {
                Event::Failed(id, Trouble::Broken("the connection was cut".to_owned()))
            }
            Habit::Jumps(percent) if self.percent(percent) => {
                let other = (number.0 + 1) % self.chain.len() as u64;
                Event::Block(id, self.chain[usize::try_from(other).unwrap()].clone())
            }
            Habit::SilentFrom(from) if number.0 >= from => return,
            _ => Event::Block(id, good),
        };
        self.opened[id.0].0 = number.next();
        self.later(Some(id), Duration::from_millis(1), event);
    }

    fn happen(&mut self, plan: &mut Plan, generation: u64, event: Event) {
        let now = self.now;
        let is_current = |world: &Self, id: SourceId| world.generations[id.0] == generation;
        match event {
            Event::Height(id, height) if is_current(self, id) => plan.says_height(id, height, now),
            Event::Block(id, block) if is_current(self, id) => {
                self.served[id.0] += 1;
                plan.block(id, block, now);
            }
            Event::Failed(id, trouble) if is_current(self, id) => plan.failed(id, trouble, now),
            Event::Height(..) | Event::Block(..) | Event::Failed(..) => {}
            Event::Durable(bytes) => plan.durable(bytes),
            Event::Verified(run) => self.verified(plan, run),
        }
    }

    fn verified(&mut self, plan: &mut Plan, run: Vec<SealedBlock>) {
        let (mut good, mut fault) = (0, None);
        for block in run {
            let expected = &self.chain[self.ledger.len()];
            if block != *expected {
                fault = Some("not the next block".to_owned());
                self.faults += 1;
                break;
            }
            good += 1;
            let bytes = block.bytes().len();
            self.ledger.push((block, self.now));
            self.later(None, Duration::from_millis(5), Event::Durable(bytes));
        }
        plan.verified(good, fault, self.now);
    }

    pub(super) fn appended(&self) -> usize {
        for ((block, _), expected) in self.ledger.iter().zip(&self.chain) {
            assert_eq!(block, expected);
        }
        self.ledger.len()
    }

    /// From each new block's birth to its append.
    pub(super) fn delays(&self) -> impl Iterator<Item = Duration> {
        let new = self.ledger.iter().enumerate().skip(self.growth.0);
        new.map(|(number, (_, at))| at.saturating_sub(self.born(number as u64)))
    }

    /// What is held exceeds its bound by what was underestimated, no more than a block for each source.
    pub(super) fn check_bound(&self, seed: u64) {
        let largest = self.chain.iter().map(|block| block.bytes().len()).max().unwrap();
        let bound = limits().buffer_bytes + (self.habits.len() + 1) * largest;
        assert!(
            self.held_max <= bound,
            "seed {seed}: {} above {bound}",
            self.held_max
        );
    }
}

/// Another block of the same number and size.
fn altered(block: &SealedBlock) -> SealedBlock {
    let mut decoded = block.decode().unwrap();
    decoded.header.as_mut().unwrap().data_hash = Bytes::from_static(&[9; 32]);
    SealedBlock::seal(&decoded).unwrap()
}
