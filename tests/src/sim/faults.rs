//! What goes wrong, when and to whom.

use consensus::raft::core::Event;

use super::log::SimLog;
use super::material::NODES;
use super::seed::{Micros, Wipe};
use super::timeline::{Fault, Happening, Run};
use super::world::{Holds, World};

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
            Fault::Crash | Fault::Pause | Fault::Halt | Fault::Wipe | Fault::SlowDisk => {
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
            Fault::Halt if self.member(run).is_some() => self.step(run, Event::Halt),
            Fault::Wipe => self.wipe(run),
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
        let Some(process) = self.nodes[node].process.take() else {
            return Ok(());
        };
        self.say(node, || "crashes");
        self.told.run_ended(process.run);
        self.break_streams(node);
        self.nodes[node].paused_until = Micros(0);
        drop(process);
        self.nodes[node].disk.crash();
        let longest = self.chance.pick(&[60, 60, 900, 900, 6_000]);
        let time = self.chance.time(Micros::millis(5), Micros::millis(longest));
        self.after(time, Happening::Starts(node));
        Ok(())
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
        if self.has_new_members || members.len() < 3 || !members.contains(&node) || !all_went_on {
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
