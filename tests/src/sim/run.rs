//! One run: faults for a while, then none, and what must be so in the end.

use std::panic::{AssertUnwindSafe, catch_unwind};

use protos::block::is_config_block;
use protos::{BlockNumber, Height};

use super::config::Configs;
use super::material::NODES;
use super::seed::{Micros, Options};
use super::timeline::Happening;
use super::workload::Change;
use super::world::{Holds, Plant, World};
use crate::invariants::acknowledged::Counts;
use crate::invariants::{Violation, batch_limits, chain};

/// How often it is looked whether the cluster has come to rest.
const PROBE_EVERY: Micros = Micros::millis(250);
/// How often an operator mends what can be mended.
const MEND_EVERY: u64 = 12;

/// What came of a run.
#[derive(Debug)]
pub struct Report {
    /// What was wrong first, if anything.
    pub violation: Option<Violation>,
    /// Events that cores have stepped.
    pub events: u64,
    /// Of everything that happened.
    pub hash: u64,
    /// Blocks of the chain.
    pub blocks: usize,
    /// What was sent and told.
    pub counts: Counts,
    /// Simulated time.
    pub time: Micros,
    /// The mix of faults.
    pub options: Options,
}

/// Runs the world of a seed; `prints` a line for everything that happens, on request.
pub fn run(seed: u64, plant: Plant, prints: bool) -> Report {
    let mut world = World::new(seed, plant, prints);
    if prints {
        println!("{:#?}", world.options);
    }
    let outcome = catch_unwind(AssertUnwindSafe(|| world.live()));
    let violation = match outcome {
        Ok(holds) => holds.err(),
        Err(panic) => Some(format!("panic: {}", text_of(&*panic))),
    };
    Report {
        violation,
        events: world.trace.events,
        hash: world.trace.hash(),
        blocks: world.no_fork.chain().len(),
        counts: world.told.counts(),
        time: world.now,
        options: world.options.clone(),
    }
}

fn text_of(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
        .unwrap_or_default()
}

impl World {
    fn live(&mut self) -> Holds {
        self.run_until(self.options.safety)?;
        self.heal();
        self.comes_to_rest("after the faults")?;
        self.orders_afresh()?;
        self.comes_to_rest("after fresh envelopes")?;
        self.check_ledgers()?;
        chain::check(self.no_fork.chain())?;
        self.check_limits()?;
        self.told.check(self.no_fork.chain())
    }

    /// Ends all faults, and starts what is down.
    fn heal(&mut self) {
        self.say(0, || "all faults end");
        self.is_faulty = false;
        self.network.heal();
        for node in 0..NODES {
            self.nodes[node].disk.heal();
            self.nodes[node].sync = (Micros(100), Micros::millis(5));
            self.nodes[node].paused_until = Micros(0);
            self.nodes[node].joins_late = false;
            self.after(Micros::millis(1), Happening::Starts(node));
            self.break_streams(node);
        }
    }

    /// Goes on until all nodes are equal and nothing is pending.
    fn comes_to_rest(&mut self, when: &str) -> Holds {
        let end = self.now + Self::PATIENCE;
        let mut probes = 0;
        while self.now < end {
            self.run_until(self.now + PROBE_EVERY)?;
            if self.unrest().is_none() {
                return Ok(());
            }
            probes += 1;
            if probes % MEND_EVERY == 0 {
                self.mend_members()?;
            }
        }
        let unrest = self.unrest().unwrap_or_default();
        Err(format!(
            "liveness: {when}, {} s without faults, {unrest}",
            Self::PATIENCE.0 / 1_000_000
        ))
    }

    /// What is not as it should be in the end.
    fn unrest(&self) -> Option<String> {
        let started = self.nodes.iter().filter(|node| node.runs > 0);
        if started.clone().any(|node| node.process.is_none()) {
            return Some("a node is down".to_owned());
        }
        let heights: Vec<_> = started
            .filter_map(|node| Some(node.process.as_ref()?.store.height().0))
            .collect();
        if heights.iter().any(|height| *height != heights[0]) {
            return Some(format!("heights are {heights:?}"));
        }
        let members = self.members();
        let takes_part = |node: &usize| {
            self.nodes[*node]
                .process
                .as_ref()
                .is_some_and(|process| process.member.is_some())
        };
        if let Some(idle) = members.iter().find(|node| !takes_part(node)) {
            return Some(format!("node {idle} does not take part"));
        }
        let pending = self.told.counts().pending;
        if pending > 0 {
            return Some(format!("{pending} submissions are pending"));
        }
        let mut processes = self.nodes.iter().filter_map(|node| node.process.as_ref());
        if processes.any(|process| {
            process
                .member
                .as_ref()
                .is_some_and(|member| member.core.load().pending > 0)
        }) {
            return Some("envelopes that an earlier run took in are pending".to_owned());
        }
        let lost = self.lost.keys().next();
        lost.map(|node| format!("node {node} is not mended"))
    }

    /// An operator takes nodes that lost their logs out, and adds them again.
    fn mend_members(&mut self) -> Holds {
        let members = self.members();
        let Some((node, id)) = self.lost.first_key_value().map(|(node, id)| (*node, *id)) else {
            return Ok(());
        };
        let is_listed = members.contains(&node);
        let has_other_id = self.nodes[node]
            .process
            .as_ref()
            .is_some_and(|process| process.member.as_ref().is_some_and(|member| member.id != id));
        if is_listed && has_other_id {
            self.lost.remove(&node);
            return Ok(());
        }
        let change = if is_listed {
            Change::Remove(node)
        } else {
            Change::Add(node)
        };
        let able: Vec<_> = members.into_iter().filter(|member| *member != node).collect();
        if able.is_empty() {
            return Ok(());
        }
        let through = able[self.chance.index(able.len())];
        self.ask_for(change, through)
    }

    /// Every member takes a fresh envelope. One may find only now that its log is lost, and be mended first.
    fn orders_afresh(&mut self) -> Holds {
        for (node, place) in self.members().into_iter().zip(Self::kept()) {
            let end = self.now + Self::PATIENCE;
            loop {
                let run = self.nodes[node].process.as_ref().map(|process| process.run);
                if let Some(run) = run
                    && self.submit_envelope(run, place)?
                {
                    break;
                }
                if self.now > end {
                    return Err(format!("liveness: node {node} takes no fresh envelope"));
                }
                self.comes_to_rest("before a fresh envelope")?;
            }
        }
        Ok(())
    }

    /// What lies in the ledgers is what was written.
    fn check_ledgers(&mut self) -> Holds {
        let running = self.running();
        for run in running {
            let height = self.height(run.node);
            for number in 0..height.0 {
                let Some(process) = self.process(run) else {
                    continue;
                };
                let sealed = process
                    .store
                    .reader()
                    .get(BlockNumber(number))
                    .map_err(|error| error.to_string())?;
                let block = sealed.ok_or("a block is missing below the height")?.decode();
                self.no_fork
                    .written(run.node, &block.map_err(|error| error.to_string())?)?;
            }
            if height != Height(self.no_fork.chain().len() as u64) {
                return Err(format!("liveness: node {} has height {height}", run.node));
            }
        }
        Ok(())
    }

    fn check_limits(&mut self) -> Holds {
        let mut configs = Configs::default();
        let mut rules = None;
        for block in self.no_fork.chain() {
            rules = match rules {
                None => Some(configs.first(block)?),
                Some(rules) if is_config_block(block) => Some(self.configs.of(block).unwrap_or(rules)),
                Some(rules) => {
                    batch_limits::check(block, &rules.batch().limits)?;
                    Some(rules)
                }
            };
        }
        Ok(())
    }
}
