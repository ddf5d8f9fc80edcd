//! Steps of the cores, and carrying out what they want: what the driver of a real node does.

use consensus::raft::core::{Action, Event};
use consensus::raft::log::LogWrite;
use consensus::{ClusterMessage, ConsenterMetadata, MessageKind, TicketError};
use orderer::multichannel::block_writer::seal;
use prost::Message as _;
use protos::block::header_hash;
use protos::wire::common::{Block, Metadata};
use protos::{BlockNumber, ConsenterId, Height};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use super::config::in_force;
use super::material::{Material, nonce_of};
use super::network::Fate;
use super::node::{BlockWrite, Taken};
use super::seed::Micros;
use super::timeline::{Happening, Parcel, Run};
use super::world::{Holds, Plant, World};

impl World {
    /// Lets a core step, and carries out what it wants.
    pub(super) fn step(&mut self, run: Run, event: Event) -> Holds {
        self.say(run.node, || format!("<- {}", show_event(&event)));
        let Some(process) = self.process(run) else {
            return Ok(());
        };
        let Some(member) = process.member.as_mut() else {
            return Ok(());
        };
        let mut actions = Vec::new();
        member.core.step(event, &process.checks, &mut actions);
        let status = member.core.status();
        self.trace.events += 1;
        self.trace.note((
            self.now.0,
            run,
            status.term,
            status.leader.map(|id| id.0),
            actions.len(),
        ));
        if let Some(leader) = status.leader {
            self.one_leader.seen(run.node, status.term, leader)?;
        }
        self.carry_out_all(run, actions)
    }

    /// Carries out actions in order, unless the node crashes in between.
    pub(super) fn carry_out_all(&mut self, run: Run, actions: Vec<Action>) -> Holds {
        // What is told of envelopes at the end of a chain comes before the end.
        let ends = |action: &Action| matches!(action, Action::NotMember | Action::LostLog { .. });
        let is_losing = |action: &Action| match action {
            Action::Persist { write, .. } => write.identity.as_ref().is_some_and(|own| own.lost.is_some()),
            _ => false,
        };
        if actions.iter().any(|action| ends(action) || is_losing(action)) {
            self.told.run_ended(run);
        }
        let crashes_at = self.crash_within(actions.len());
        for (place, action) in actions.into_iter().enumerate() {
            if crashes_at == Some(place) {
                self.say(run.node, || format!("crashes before action {place} of a step"));
                return self.crash(run.node);
            }
            self.say(run.node, || format!("-> {}", show_action(&action)));
            self.carry_out(run, action)?;
            if self.member(run).is_none() {
                break;
            }
        }
        Ok(())
    }

    fn crash_within(&mut self, actions: usize) -> Option<usize> {
        let crashes = self.is_faulty && self.chance.draw() % 100_000 < self.options.crash_in_step;
        (crashes && actions > 0).then(|| self.chance.index(actions))
    }

    fn carry_out(&mut self, run: Run, action: Action) -> Holds {
        match action {
            Action::Persist { number, write } => self.persist(run, number, write),
            Action::Send { to, kind, message } => self.send(run, to, kind, &message),
            Action::SetPeers(peers) => {
                self.set_peers(run, peers);
                Ok(())
            }
            Action::WriteBlock { block, metadata, .. } => self.write_block(
                run,
                BlockWrite {
                    block,
                    metadata,
                    is_config: false,
                },
            ),
            Action::WriteConfigBlock { block, metadata, .. } => self.write_block(
                run,
                BlockWrite {
                    block,
                    metadata,
                    is_config: true,
                },
            ),
            Action::CatchUp { through } => {
                self.with_member(run, |member| member.catch_up = Some(through));
                self.after(Micros::millis(1), Happening::Pull(run));
                Ok(())
            }
            Action::AskWhetherNew => {
                self.with_member(run, |member| member.asks_whether_new = true);
                self.after(Micros::millis(5), Happening::AsksWhetherNew(run));
                Ok(())
            }
            Action::AskWhatBecame { first, .. } => {
                self.with_member(run, |member| member.asks_what_became = true);
                self.after(Micros::millis(5), Happening::AsksWhatBecame(run, first));
                Ok(())
            }
            Action::ArmBatchTimer { token, after } => {
                self.with_member(run, |member| member.timer = Some(token));
                self.after(after.into(), Happening::BatchTimer(run, token));
                Ok(())
            }
            Action::DisarmBatchTimer => {
                self.with_member(run, |member| member.timer = None);
                Ok(())
            }
            Action::Resolve { tickets, outcome } => {
                let mut tickets = tickets.into_iter();
                tickets.try_for_each(|ticket| self.told.resolved(run, ticket, &outcome, self.now))
            }
            Action::Notice(_) => Ok(()),
            Action::Errored(error) => Err(format!("node {} is broken: {error}", run.node)),
            Action::NotMember => {
                self.leaves(run);
                Ok(())
            }
            Action::LostLog { reason } => self.loses_log(run, &reason),
            Action::Finish => self.finishes(run),
        }
    }

    fn with_member(&mut self, run: Run, change: impl FnOnce(&mut super::node::Member)) {
        if let Some(member) = self.member(run) {
            change(member);
        }
    }

    fn persist(&mut self, run: Run, number: u64, mut write: LogWrite) -> Holds {
        let plant = self.plant;
        if let (Plant::VoteNotPersisted, Some(hard_state)) = (plant, &mut write.hard_state) {
            hard_state.vote = 0;
        }
        if !write.entries.is_empty() || write.checkpoint.is_some() {
            self.votes.has_log(run.node);
        }
        self.with_member(run, |member| {
            if let Some(members) = &write.members {
                member.voters = members.voters.len();
            }
            member.to_persist.push((number, write));
        });
        if plant == Plant::PersistedBeforeSync {
            self.after(Micros(0), Happening::PersistedIsReported(run, number));
        }
        self.write_log(run)
    }

    /// Appends everything that waits for the log, if its thread is free.
    fn write_log(&mut self, run: Run) -> Holds {
        let Some(member) = self.member(run) else {
            return Ok(());
        };
        if !member.persisting.is_empty() || member.to_persist.is_empty() {
            return Ok(());
        }
        member.persisting = std::mem::take(&mut member.to_persist);
        let mut appended = Ok(());
        for (_, write) in &member.persisting {
            appended = appended.and_then(|()| member.log.append(write));
        }
        if appended.is_err() {
            return self.disk_failed(run);
        }
        let (low, high) = self.nodes[run.node].sync;
        let time = self.chance.time(low, high);
        self.after(time, Happening::LogSynced(run));
        Ok(())
    }

    pub(super) fn log_synced(&mut self, run: Run) -> Holds {
        let Some(member) = self.member(run) else {
            return Ok(());
        };
        let written = std::mem::take(&mut member.persisting);
        if member.log.sync().is_err() {
            return self.disk_failed(run);
        }
        let last = written.last().map(|(number, _)| *number);
        let writes: Vec<_> = written.into_iter().map(|(_, write)| write).collect();
        self.durable.synced(run.node, &writes);
        if let (Some(number), true) = (last, self.plant != Plant::PersistedBeforeSync) {
            self.step(run, Event::Persisted { number })?;
        }
        self.write_log(run)
    }

    /// Disks fail only where the machine is about to go down.
    pub(super) fn disk_failed(&mut self, run: Run) -> Holds {
        if !self.nodes[run.node].disk.has_stopped() {
            return Err(format!("the disk of node {} failed by itself", run.node));
        }
        self.say(run.node, || "crashes in the middle of a write");
        self.crash(run.node)
    }

    fn send(&mut self, run: Run, to: ConsenterId, kind: MessageKind, message: &ClusterMessage) -> Holds {
        let Some(member) = self.member(run) else {
            return Ok(());
        };
        let (id, members) = (member.id, member.core.status().members.len());
        let peer = member.peers.iter().find(|peer| peer.id == to);
        let receiver = peer.and_then(|peer| Material::get().owner(&peer.server_tls_cert));
        let mut is_vote = false;
        if let ClusterMessage::Consensus { payload, .. } = message {
            let mut hasher = DefaultHasher::new();
            payload.hash(&mut hasher);
            self.trace.note(hasher.finish());
            is_vote = self.votes.sent(run.node, id, members, payload)?;
        }
        let Some(receiver) = receiver else {
            return Ok(());
        };
        self.send_to(run, receiver, kind, message);
        if is_vote && self.is_faulty && self.chance.happens(self.options.crash_after_vote) {
            return self.crash(run.node);
        }
        Ok(())
    }

    fn send_to(&mut self, run: Run, to: usize, kind: MessageKind, message: &ClusterMessage) {
        let stream = self.network.stream(run.node, to);
        match self
            .network
            .send((run.node, to), kind, self.now, &mut self.chance)
        {
            Fate::Arrives(times) => {
                for time in times {
                    let message = message.clone();
                    self.timeline.at(
                        time,
                        Happening::Arrives(Box::new(Parcel {
                            stream,
                            kind,
                            message,
                        })),
                    );
                }
            }
            Fate::Lost => {}
            Fate::Broken => self.break_stream(run.node, to),
            Fate::NotConnected => {
                if self.chance.happens(300) {
                    self.after(Micros(100), Happening::Unreachable { run, to });
                }
            }
        }
    }

    fn write_block(&mut self, run: Run, write: BlockWrite) -> Holds {
        let header = write.block.header.clone().unwrap_or_default();
        let voters = self.member(run).map_or(1, |member| member.voters);
        self.durable.writes(
            run.node,
            BlockNumber(header.number),
            &header_hash(&header),
            voters,
        )?;
        self.with_member(run, |member| member.to_write.push_back(write));
        self.write_blocks(run)
    }

    /// Appends the blocks that wait, if the writer is free.
    fn write_blocks(&mut self, run: Run) -> Holds {
        let Some(member) = self.member(run) else {
            return Ok(());
        };
        if !member.writing.is_empty() || member.to_write.is_empty() {
            return Ok(());
        }
        let waiting = std::mem::take(&mut member.to_write);
        for write in waiting {
            if self.take_block(run, write)?.is_none() {
                return self.disk_failed(run);
            }
        }
        let (low, high) = self.nodes[run.node].sync;
        let time = self.chance.time(low, high);
        self.after(time, Happening::BlocksSynced(run));
        Ok(())
    }

    /// Adds metadata and signature to a block and appends it; none if the disk does not take it.
    fn take_block(&mut self, run: Run, write: BlockWrite) -> Result<Option<()>, String> {
        let material = Material::get();
        let process = self.nodes[run.node].process.as_mut().ok_or("no process")?;
        let number = BlockNumber(write.block.header.as_ref().map_or(0, |header| header.number));
        let mut rules = None;
        if write.is_config {
            let next = self.configs.after(process.checks.rules(), &write.block);
            rules = Some(next.map_err(|error| format!("config block {number} is not valid: {error}"))?);
            process.last_config = number;
        }
        let nonce = nonce_of(run.number << 32 | number.0);
        let identity = &material.nodes[run.node];
        let sealed = seal(
            write.block,
            wrap(write.metadata),
            process.last_config,
            identity,
            &nonce,
        );
        let sealed = sealed.map_err(|error| format!("block {number} of node {}: {error}", run.node))?;
        if let Err(error) = process.store.append(&sealed) {
            let stopped = self.nodes[run.node].disk.has_stopped();
            return if stopped {
                Ok(None)
            } else {
                Err(format!("block {number} of node {}: {error}", run.node))
            };
        }
        let block = sealed.decode().map_err(|error| error.to_string())?;
        process.advance(&block);
        if let Some(member) = &mut process.member {
            member.writing.push(Taken { block, rules });
        }
        Ok(Some(()))
    }

    pub(super) fn blocks_synced(&mut self, run: Run) -> Holds {
        let Some(process) = self.process(run) else {
            return Ok(());
        };
        let Some(member) = process.member.as_mut() else {
            return Ok(());
        };
        let taken = std::mem::take(&mut member.writing);
        if process.store.sync().is_err() {
            return self.disk_failed(run);
        }
        for Taken { block, rules } in taken {
            self.block_is_durable(run, &block)?;
            let number = BlockNumber(block.header.as_ref().map_or(0, |header| header.number));
            let event = match rules {
                None => Event::Written { number },
                Some(rules) => {
                    let config = in_force(&rules)?;
                    if let Some(process) = self.process(run) {
                        process.checks.comes_into_force(rules);
                    }
                    Event::ConfigApplied { number, config }
                }
            };
            self.step(run, event)?;
        }
        self.write_blocks(run)
    }

    /// Notes a block that lies synced in a node's ledger.
    pub(super) fn block_is_durable(&mut self, run: Run, block: &Block) -> Holds {
        let header = block.header.as_ref().ok_or("a block without header")?;
        self.trace.note((run, header.number, header_hash(header)));
        let height = Height::of_tip(BlockNumber(header.number));
        self.nodes[run.node].synced = height;
        self.durable.ledger_synced(run.node, height);
        self.no_fork.written(run.node, block)
    }
}

/// The form in blocks of a serialized `etcdraft.BlockMetadata`.
fn wrap(ConsenterMetadata(value): ConsenterMetadata) -> ConsenterMetadata {
    let signatures = Vec::new();
    ConsenterMetadata(Metadata { value, signatures }.encode_to_vec().into())
}

fn show_event(event: &Event) -> String {
    match event {
        Event::Received { from, message } => format!("from {from}: {}", show_message(message)),
        Event::Submitted { ticket, .. } => format!("Submitted {}", ticket.0),
        Event::ConfigApplied { number, config } => {
            format!("ConfigApplied {number}, sequence {}", config.sequence)
        }
        Event::Pulled { block } => format!(
            "Pulled {}",
            block.header.as_ref().map_or(0, |header| header.number)
        ),
        Event::CaughtUp { tip, .. } => format!("CaughtUp {}", tip.number),
        other => format!("{other:?}"),
    }
}

fn show_action(action: &Action) -> String {
    match action {
        Action::Persist { number, write } => format!("Persist {number}: {}", show_write(write)),
        Action::Send { to, kind, message } => format!("to {to} ({kind:?}): {}", show_message(message)),
        Action::SetPeers(peers) => format!(
            "SetPeers {:?}",
            peers.iter().map(|peer| peer.id.0).collect::<Vec<_>>()
        ),
        Action::WriteBlock { number, .. } => format!("WriteBlock {number}"),
        Action::WriteConfigBlock { number, .. } => format!("WriteConfigBlock {number}"),
        Action::Resolve { tickets, outcome } => {
            let outcome = outcome.as_ref().map_err(TicketError::to_string);
            format!(
                "Resolve {:?}: {outcome:?}",
                tickets.iter().map(|ticket| ticket.0).collect::<Vec<_>>()
            )
        }
        other => format!("{other:?}"),
    }
}

fn show_write(write: &LogWrite) -> String {
    let mut parts = Vec::new();
    if let Some(state) = write.hard_state {
        parts.push(format!(
            "term {} vote {} commit {}",
            state.term, state.vote, state.commit
        ));
    }
    if let [first, .., last] | [first @ last] = &write.entries[..] {
        parts.push(format!(
            "entries {}..={} of term {}",
            first.index, last.index, last.term
        ));
    }
    if let Some(members) = &write.members {
        parts.push(format!("members {:?}", members.voters));
    }
    if let Some(checkpoint) = &write.checkpoint {
        parts.push(format!(
            "checkpoint {} (resets: {})",
            checkpoint.index, write.resets
        ));
    }
    if let Some(identity) = &write.identity {
        parts.push(format!("{identity:?}"));
    }
    parts.join(", ")
}

fn show_message(message: &ClusterMessage) -> String {
    match message {
        ClusterMessage::Consensus { payload, .. } => {
            match protos::wire::raftpb::Message::decode(payload.clone()) {
                Ok(raft) => {
                    let kind = raft.r#type();
                    let (to, from, entries) = (raft.to, raft.from, raft.entries.len());
                    format!(
                        "{kind:?} {from}->{to} term {} after {}/{} entries {entries} commit {} reject {}",
                        raft.term, raft.log_term, raft.index, raft.commit, raft.reject
                    )
                }
                Err(error) => format!("no raft message: {error}"),
            }
        }
        ClusterMessage::Submit { mark, .. } => format!("Submit {mark:?}"),
    }
}
