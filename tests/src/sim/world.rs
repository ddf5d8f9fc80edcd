//! A cluster of simulated nodes, and the order in which things happen to it.

use std::collections::BTreeMap;

use consensus::raft::core::{Event, Planted};
use ledger::disk::SimDisk;
use protos::wire::common::Block;

use super::config::Configs;
use super::material::{Material, NODES, TICK_MILLIS};
use super::network::Network;
use super::node::{Member, Node, Process};
use super::seed::{Chance, Micros, Options};
use super::timeline::{Fault, Happening, Run, Timeline};
use super::trace::Trace;
use crate::invariants::Violation;
use crate::invariants::acknowledged::Acknowledged;
use crate::invariants::durable_first::DurableFirst;
use crate::invariants::no_fork::NoFork;
use crate::invariants::one_leader::OneLeader;
use crate::invariants::votes::Votes;

/// Whether everything still holds.
pub type Holds = Result<(), Violation>;

/// A bug put back on purpose, to see that it is caught.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Plant {
    /// None.
    #[default]
    Nothing,
    /// Writes to the log are reported before they are synced.
    PersistedBeforeSync,
    /// Votes are not written to the log.
    VoteNotPersisted,
    /// Envelopes are handed to a new leader before its first entry is applied.
    EarlyResubmission,
    /// What a node has left in no block when it was told to end does not go on record.
    NothingLeft,
    /// It does, and the next run hands it to the same leader as if for the first time.
    LeftIsHandedAnew,
}

/// Everything there is in a run.
pub struct World {
    pub(super) options: Options,
    pub(super) plant: Plant,
    pub(super) chance: Chance,
    pub(super) now: Micros,
    pub(super) timeline: Timeline,
    pub(super) network: Network,
    pub(super) nodes: Vec<Node>,
    pub(super) configs: Configs,
    pub(super) genesis: Block,
    /// Faults come while this is true.
    pub(super) is_faulty: bool,
    /// Nodes that an operator must take out of the channel before they can take part again.
    pub(super) lost: BTreeMap<usize, protos::ConsenterId>,
    /// Envelopes taken from the material so far.
    pub(super) envelopes: usize,
    pub(super) updates: u64,
    /// Somebody was asked to add a member or take one out: until nobody knows when, a majority is not what it seems.
    pub(super) has_new_members: bool,
    /// The node that lost its log, or more.
    pub(super) wiped: Option<usize>,
    /// The node that the channel was removed from last, and which height it had.
    pub(super) removed: Option<(usize, protos::Height)>,
    pub(super) trace: Trace,
    pub(super) no_fork: NoFork,
    pub(super) one_leader: OneLeader,
    pub(super) votes: Votes,
    pub(super) durable: DurableFirst,
    pub(super) told: Acknowledged,
}

impl World {
    /// The world of a seed, before anything has happened.
    pub fn new(seed: u64, plant: Plant, prints: bool) -> Self {
        let mut chance = Chance::new(seed);
        let options = Options::draw(&mut chance);
        let mut order: Vec<usize> = (0..NODES).collect();
        for place in 0..NODES {
            let other = place + chance.index(NODES - place);
            order.swap(place, other);
        }
        let genesis = Material::get().genesis(&order[..options.members], &options);
        let nodes = (0..NODES).map(|_| Node {
            disk: SimDisk::new(chance.draw()),
            runs: 0,
            tick: Micros(
                (TICK_MILLIS * (1000 + chance.between(0, options.clock_drift)))
                    .saturating_sub(TICK_MILLIS * options.clock_drift / 2),
            ),
            sync: options.sync,
            synced: protos::Height(0),
            paused_until: Micros(0),
            joins_late: false,
            is_not: None,
            process: None,
        });
        let mut world = Self {
            nodes: nodes.collect(),
            network: Network::new(&options),
            genesis,
            plant,
            now: Micros(0),
            timeline: Timeline::default(),
            configs: Configs::default(),
            is_faulty: true,
            lost: BTreeMap::new(),
            envelopes: 0,
            updates: 0,
            has_new_members: false,
            wiped: None,
            removed: None,
            trace: Trace::new(prints),
            no_fork: NoFork::default(),
            one_leader: OneLeader::default(),
            votes: Votes::default(),
            durable: DurableFirst::new(NODES),
            told: Acknowledged::default(),
            options,
            chance,
        };
        let started = if world.options.membership {
            NODES
        } else {
            world.options.members
        };
        for node in &order[..started] {
            let time = world.chance.time(Micros(0), Micros::millis(500));
            world.timeline.at(time, Happening::Starts(*node));
        }
        world.plan_load();
        world
            .configs
            .first(&world.genesis)
            .expect("a genesis block of our own");
        world
    }

    fn plan_load(&mut self) {
        self.timeline.at(Micros::millis(300), Happening::Burst);
        if self.options.updates.is_some() {
            self.timeline.at(Micros::secs(2), Happening::Update);
        }
        for (fault, mean) in self.fault_means() {
            let time = Micros::millis(500) + self.chance.around(mean);
            self.timeline.at(time, Happening::Fault(fault));
        }
    }

    /// The faults of this run, and how often they come.
    pub(super) fn fault_means(&self) -> Vec<(Fault, Micros)> {
        let options = &self.options;
        let wipes = options.wipe.map(|_| Micros(options.safety.0 / 3));
        let slow_disks = options.slow_disks.then_some(Micros::secs(3));
        let means = [
            (Fault::Crash, options.crashes),
            (Fault::PowerLoss, options.power_losses),
            (Fault::Partition, options.partitions),
            (Fault::Pause, options.pauses),
            (Fault::Halt, options.halts),
            (Fault::Wipe, wipes),
            (Fault::Remove, options.removals),
            (Fault::SlowDisk, slow_disks),
        ];
        means
            .into_iter()
            .filter_map(|(fault, mean)| Some((fault, mean?)))
            .collect()
    }

    /// What the cores are to be told of planted bugs.
    pub(super) fn planted(&self) -> Planted {
        Planted {
            early_resubmission: self.plant == Plant::EarlyResubmission,
        }
    }

    /// Goes on until `end`.
    pub(super) fn run_until(&mut self, end: Micros) -> Holds {
        while self.now < end {
            let Some((time, happening)) = self.timeline.take_next() else {
                break;
            };
            self.now = time;
            if let Some(node) = Self::concerned(&happening)
                && self.nodes[node].paused_until > self.now
            {
                self.timeline.at(self.nodes[node].paused_until, happening);
                continue;
            }
            self.happens(happening)?;
        }
        Ok(())
    }

    /// The node that must be running for it.
    fn concerned(happening: &Happening) -> Option<usize> {
        match happening {
            Happening::Tick(run)
            | Happening::LogSynced(run)
            | Happening::PersistedIsReported(run, _)
            | Happening::BlocksSynced(run)
            | Happening::HaltTakesLong(run)
            | Happening::BatchTimer(run, _)
            | Happening::Pull(run)
            | Happening::AsksWhetherNew(run)
            | Happening::AsksWhatBecame(run, _)
            | Happening::Unreachable { run, .. } => Some(run.node),
            Happening::Arrives(parcel) => Some(parcel.stream.to),
            Happening::StreamOpens(stream) => Some(stream.from),
            _ => None,
        }
    }

    fn happens(&mut self, happening: Happening) -> Holds {
        match happening {
            Happening::Tick(run) => self.tick(run),
            Happening::Arrives(parcel) => self.arrives(*parcel),
            Happening::StreamOpens(stream) => self.stream_opens(stream),
            Happening::Unreachable { run, to } => self.unreachable(run, to),
            Happening::LogSynced(run) => self.log_synced(run),
            Happening::PersistedIsReported(run, number) => self.step(run, Event::Persisted { number }),
            Happening::BlocksSynced(run) => self.blocks_synced(run),
            Happening::HaltTakesLong(run) => self.halt_takes_long(run),
            Happening::BatchTimer(run, token) => {
                if self.member(run).is_some_and(|member| member.timer == Some(token)) {
                    return self.step(run, Event::BatchTimerFired { token });
                }
                Ok(())
            }
            Happening::Pull(run) => self.pull(run),
            Happening::AsksWhetherNew(run) => self.asks_whether_new(run),
            Happening::AsksWhatBecame(run, first) => self.asks_what_became(run, first),
            Happening::Starts(node) => self.starts(node),
            Happening::Burst => self.burst(),
            Happening::Update => self.update(),
            Happening::Fault(fault) => self.fault(fault),
            Happening::Heals(partition) => {
                self.mend(partition);
                Ok(())
            }
            Happening::DiskRecovers(node) => {
                self.nodes[node].sync = self.options.sync;
                Ok(())
            }
        }
    }

    /// Plans something for later.
    pub(super) fn after(&mut self, delay: Micros, happening: Happening) {
        self.timeline.at(self.now + delay, happening);
    }

    /// The process of a run, unless it has ended.
    pub(super) fn process(&mut self, run: Run) -> Option<&mut Process> {
        let process = self.nodes[run.node].process.as_mut()?;
        (process.run == run).then_some(process)
    }

    /// The chain of a run, while it takes part.
    pub(super) fn member(&mut self, run: Run) -> Option<&mut Member> {
        self.process(run)?.member.as_mut()
    }

    /// The runs of the nodes that are up.
    pub(super) fn running(&self) -> Vec<Run> {
        self.nodes
            .iter()
            .filter_map(|node| Some(node.process.as_ref()?.run))
            .collect()
    }

    /// A line of the trace.
    pub(super) fn say<T: std::fmt::Display>(&self, node: usize, text: impl FnOnce() -> T) {
        self.trace.line(self.now, node, text);
    }
}
