//! What goes wrong, when and to whom.

use consensus::raft::core::{Event, Origin};
use consensus::raft::log::Retired;
use consensus::raft::retire;
use protos::Height;

use super::log::SimLog;
use super::material::NODES;
use super::node::Member;
use super::seed::{Micros, Wipe};
use super::timeline::{Fault, Happening, Run};
use super::world::{Holds, Plant, World};

impl World {
    pub(super) fn fault(&mut self, fault: Fault) -> Holds {
        if !self.is_faulty {
            return Ok(());
        }
        let mean = self.fault_means().into_iter().find(|(other, _)| *other == fault);
        if let Some((_, mean)) = mean {
            let time = self.chance.around(mean);
            self.after(time, Happening::Fault(fault));
        }
        match fault {
            Fault::PowerLoss => (0..NODES).try_for_each(|node| self.crash(node)),
            Fault::Partition => {
                self.partition();
                Ok(())
            }
            Fault::Crash | Fault::Pause | Fault::Halt | Fault::Wipe | Fault::Remove | Fault::SlowDisk => {
                match self.some_run() {
                    Some(run) => self.fault_of(run, fault),
                    None => Ok(()),
                }
            }
        }
    }

    fn some_run(&mut self) -> Option<Run> {
        let running = self.running();
        (!running.is_empty()).then(|| running[self.chance.index(running.len())])
    }

    fn fault_of(&mut self, run: Run, fault: Fault) -> Holds {
        let node = run.node;
        match fault {
            Fault::Crash => self.crash_soon(run),
            Fault::Pause => {
                let time = self.chance.time(Micros::millis(50), Micros::secs(3));
                self.nodes[node].paused_until = self.now + time;
                self.say(node, || "stands still");
                Ok(())
            }
            Fault::Halt if self.member(run).is_some() => self.halt(run),
            Fault::Wipe => self.wipe(run),
            Fault::Remove => self.remove(run),
            Fault::SlowDisk => {
                let worst = self.chance.time(Micros::millis(100), Micros::secs(1));
                self.nodes[node].sync = (Micros::millis(20), worst);
                let time = self.chance.time(Micros::millis(500), Micros::secs(4));
                self.after(time, Happening::DiskRecovers(node));
                Ok(())
            }
            Fault::Halt | Fault::PowerLoss | Fault::Partition => Ok(()),
        }
    }

    /// Half of the crashes come in the middle of the next writes.
    fn crash_soon(&mut self, run: Run) -> Holds {
        if self.chance.happens(500) {
            return self.crash(run.node);
        }
        let writes = self.chance.between(0, 6);
        self.nodes[run.node].disk.stop_after(writes);
        Ok(())
    }

    /// The node loses its memory and what it has not synced, and starts again after a while.
    #[expect(
        clippy::unnecessary_wraps,
        reason = "an outcome of steps, which may fail otherwise"
    )]
    pub(super) fn crash(&mut self, node: usize) -> Holds {
        if let Some(process) = self.nodes[node].process.take() {
            let run = process.run;
            drop(process);
            self.say(node, || "crashes");
            self.goes_down(run);
        }
        Ok(())
    }

    /// A node without process is down for a while.
    fn goes_down(&mut self, run: Run) {
        let node = run.node;
        self.told.run_ended(run);
        self.break_streams(node);
        self.nodes[node].paused_until = Micros(0);
        self.nodes[node].disk.crash();
        let longest = self.chance.pick(&[60, 60, 900, 900, 6_000]);
        let time = self.chance.time(Micros::millis(5), Micros::millis(longest));
        self.after(time, Happening::Starts(node));
    }

    fn partition(&mut self) {
        let mut side = [false; NODES];
        for node in &mut side {
            *node = self.chance.happens(400);
        }
        let is_one_way = self.chance.happens(300);
        let cuts = |from: usize, to: usize| side[from] != side[to] && (!is_one_way || side[from]);
        let (partition, cut) = self.network.cut(cuts);
        for (from, to) in cut {
            self.network.break_stream(from, to);
            self.say(from, || format!("does not reach n{to}"));
        }
        let time = self.chance.time(Micros::millis(100), Micros::secs(6));
        self.after(time, Happening::Heals(partition));
    }

    pub(super) fn mend(&mut self, partition: u64) {
        for (from, to) in self.network.mend(partition) {
            self.say(from, || format!("reaches n{to} again"));
            self.break_stream(from, to);
        }
    }

    /// Once in a run a node loses its log, where the others can go on without it.
    fn wipe(&mut self, run: Run) -> Holds {
        let node = run.node;
        let (Some(wipe), None) = (self.options.wipe, self.wiped) else {
            return Ok(());
        };
        let members: Vec<_> = self.members();
        let all_went_on = members.iter().all(|member| self.height(*member).0 > 1);
        let Some(id) = self.member(run).map(|member| member.id) else {
            return Ok(());
        };
        if self.has_new_members
            || self.is_returning()
            || members.len() < 3
            || !members.contains(&node)
            || !all_went_on
        {
            return Ok(());
        }
        self.wiped = Some(node);
        self.say(node, || format!("loses {wipe:?}"));
        self.crash(node)?;
        self.durable.wiped(node);
        if wipe == Wipe::Log {
            self.lost.insert(node, id);
            self.votes.lost_log(node, id);
            return SimLog::lose(&self.nodes[node].disk.root()).map_err(|error| error.to_string());
        }
        self.votes.lost_all(node, id);
        self.nodes[node].joins_late = wipe == Wipe::AllAndLateJoin;
        self.nodes[node].is_not = None;
        self.nodes[node].synced = protos::Height(0);
        self.nodes[node].disk = ledger::disk::SimDisk::new(self.chance.draw());
        Ok(())
    }
}

/// How long a node that was told to end may wait for others.
const HALT_TIME_MAX: Micros = Micros::secs(2);

impl World {
    fn halt(&mut self, run: Run) -> Holds {
        self.step(run, Event::Halt)?;
        let members = |member: &mut Member| member.core.status().members.len();
        if self.member(run).map_or(0, members) > 1 {
            let time = self.chance.time(Micros(0), HALT_TIME_MAX);
            self.after(time, Happening::HaltTakesLong(run));
        }
        Ok(())
    }

    /// Disks are waited for all the same. What is in no block then goes on record, and the process ends.
    pub(super) fn halt_takes_long(&mut self, run: Run) -> Holds {
        let plant = self.plant;
        let Some(member) = self.member(run) else {
            return Ok(());
        };
        if !member.is_quiet() {
            self.after(Micros::millis(20), Happening::HaltTakesLong(run));
            return Ok(());
        }
        let Some(mut write) = member.core.leave_behind(Vec::new()) else {
            return self.finishes(run);
        };
        if let (Plant::LeftIsHandedAnew, Some(left)) = (plant, &mut write.unordered) {
            left.incarnation ^= 1;
        }
        let is_kept =
            plant == Plant::NothingLeft || (member.log.append(&write).is_ok() && member.log.sync().is_ok());
        if !is_kept {
            return self.disk_failed(run);
        }
        self.say(run.node, || "ends, and leaves what is in no block");
        self.told.left(run);
        self.process_ends(run);
        Ok(())
    }

    /// True until the node that removed the channel last has again the blocks that it had.
    fn is_returning(&self) -> bool {
        let returns = |(node, height): &(usize, Height)| self.nodes[*node].synced < *height;
        self.removed.as_ref().is_some_and(returns)
    }

    /// An operator removes the channel from a node, where another has all its blocks, and joins it again there.
    fn remove(&mut self, run: Run) -> Holds {
        let (node, height) = (run.node, self.height(run.node));
        let has_all =
            |other: usize| other != node && Some(other) != self.wiped && self.nodes[other].synced >= height;
        if self.is_returning() || self.wiped == Some(node) || !(0..NODES).any(has_all) {
            return Ok(());
        }
        let joins_late = self.chance.happens(300);
        if !self.keeps_what_it_owes(run) {
            return self.disk_failed(run);
        }
        let Some(process) = self.nodes[node].process.take() else {
            return Ok(());
        };
        self.say(node, || format!("removes the channel, joins late: {joins_late}"));
        process.remove_ledger();
        self.removed = Some((node, height));
        self.nodes[node].synced = Height(0);
        self.nodes[node].joins_late = joins_late;
        self.nodes[node].is_not = None;
        self.goes_down(run);
        Ok(())
    }

    /// Ends the chain, and keeps of its log what is owed to the others; false if the disk failed.
    fn keeps_what_it_owes(&mut self, run: Run) -> bool {
        let root = self.nodes[run.node].disk.root();
        let Some(process) = self.process(run) else {
            return false;
        };
        process.member = None;
        let Ok(Origin { genesis, first }) = process.origin() else {
            return false; // its machine is going down
        };
        let retired = Retired {
            genesis,
            first,
            members: process.consensus_metadata(),
        };
        let kept = SimLog::open(&root).and_then(|(mut log, state)| {
            if let Some(write) = retire(&state, retired) {
                log.append(&write)?;
            }
            log.sync()
        });
        kept.is_ok()
    }
}
