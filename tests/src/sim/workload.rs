//! What clients and operators do.

use bytes::Bytes;
use client::config_edit::batch::{BatchChange, set_batch};
use client::config_edit::consenter::{
    TlsCertificates, TlsChange, add_consenter, remove_consenter, rotate_certificates,
};
use consensus::raft::core::{Event, Intake};
use consensus::ticket::TicketId;
use consensus::{Submission, SubmissionKind};
use protos::Envelope;
use protos::wire::common::Config;

use super::config::in_force;
use super::material::{ENVELOPES, Material, NODES, address};
use super::node::Member;
use super::seed::Micros;
use super::timeline::{Happening, Run};
use super::world::{Holds, World};
use crate::invariants::acknowledged::identity;

/// Envelopes kept for the end of a run.
const KEPT: usize = 20;

/// What an operator asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Other limits of batches.
    Batch,
    /// One member more.
    Add(usize),
    /// One member less.
    Remove(usize),
    /// Another certificate of a member.
    Rotate(usize),
}

impl World {
    /// A client hands some envelopes to a node.
    pub(super) fn burst(&mut self) -> Holds {
        if !self.is_faulty {
            return Ok(());
        }
        let time = self.chance.around(self.options.load);
        self.after(time, Happening::Burst);
        let node = self.chance.index(NODES);
        for _ in 0..self.chance.between(1, self.options.burst) {
            let Some(run) = self.nodes[node].process.as_ref().map(|process| process.run) else {
                return Ok(());
            };
            let place = self.next_envelope();
            self.submit_envelope(run, place)?;
        }
        Ok(())
    }

    /// Mostly one that was not sent yet.
    fn next_envelope(&mut self) -> usize {
        if self.envelopes == ENVELOPES - KEPT
            || (self.envelopes > 0 && self.chance.happens(self.options.repeats))
        {
            return self.chance.index(self.envelopes);
        }
        self.envelopes += 1;
        self.envelopes - 1
    }

    /// Hands an envelope to a node, as its front end would; true if it was taken in.
    pub(super) fn submit_envelope(&mut self, run: Run, place: usize) -> Result<bool, String> {
        let bytes = Material::get().envelopes[place].clone();
        let Some(process) = self.process(run) else {
            return Ok(false);
        };
        let checked = orderer::processor::open(bytes.clone())
            .and_then(|opened| process.checks.rules().prepare(opened, Material::now()));
        if checked.is_err() {
            return Ok(false);
        }
        let config_seq = process.checks.rules().bundle().sequence();
        let envelope = Envelope::from_received(bytes).map_err(|error| error.to_string())?;
        self.submit(
            run,
            Submission {
                envelope,
                kind: SubmissionKind::Normal,
                config_seq,
            },
        )
    }

    fn submit(&mut self, run: Run, submission: Submission) -> Result<bool, String> {
        let Some(process) = self.process(run) else {
            return Ok(false);
        };
        let takes = |member: &Member| member.core.accepts() && member.core.intake() == Intake::Open;
        if !process.member.as_ref().is_some_and(takes) {
            return Ok(false);
        }
        process.ticket += 1;
        let (ticket, kind) = (TicketId(process.ticket), submission.kind);
        let identity = identity(submission.envelope.entry());
        self.told.sent(identity.clone());
        self.told.accepted(run, ticket, kind, identity, self.now);
        self.step(run, Event::Submitted { ticket, submission })?;
        Ok(self.member(run).is_some())
    }

    /// An operator changes the config.
    pub(super) fn update(&mut self) -> Holds {
        if !self.is_faulty {
            return Ok(());
        }
        if let Some(mean) = self.options.updates {
            let time = self.chance.around(mean);
            self.after(time, Happening::Update);
        }
        let members = self.members();
        let node = self.chance.index(NODES);
        let change = match self.chance.index(4) {
            1 if self.options.membership && !members.contains(&node) && self.can_come(&members) => {
                Change::Add(node)
            }
            2 if self.options.membership && members.contains(&node) && self.can_go(node, &members) => {
                Change::Remove(node)
            }
            3 if self.options.membership && members.contains(&node) => Change::Rotate(node),
            _ => Change::Batch,
        };
        self.has_new_members |= matches!(change, Change::Add(_) | Change::Remove(_));
        let through = self.chance.index(NODES);
        self.ask_for(change, through)?;
        // Now and then two operators do not know of each other.
        if self.chance.happens(100) {
            self.ask_for(Change::Batch, (through + 1) % NODES)?;
        }
        Ok(())
    }

    /// A newcomer does not vote before it has heard a leader, so those who are there must be a quorum of the new set.
    fn can_come(&self, members: &[usize]) -> bool {
        let able = members.iter().filter(|member| self.has_log(**member)).count();
        able > members.len().div_ceil(2)
    }

    /// The others must be able to go on by themselves.
    fn can_go(&self, node: usize, members: &[usize]) -> bool {
        let left = members.iter().filter(|member| **member != node);
        let able = left.clone().filter(|member| self.has_log(**member)).count();
        able > left.count() / 2
    }

    fn has_log(&self, node: usize) -> bool {
        self.wiped != Some(node)
    }

    /// Hands an update to a node.
    pub(super) fn ask_for(&mut self, change: Change, through: usize) -> Holds {
        let Some(config) = self.newest_config() else {
            return Ok(());
        };
        let Some(updated) = self.change(&config, change) else {
            return Ok(());
        };
        self.updates += 1;
        let Some(update) = Material::get().update(&config, &updated, self.updates) else {
            return Ok(());
        };
        self.say(through, || format!("is asked for {change:?}"));
        self.submit_update(through, update)
    }

    fn submit_update(&mut self, node: usize, update: Bytes) -> Holds {
        let Some(process) = self.nodes[node].process.as_ref() else {
            return Ok(());
        };
        let Some(member) = &process.member else {
            return Ok(());
        };
        let run = process.run;
        match process.checks.propose(update, &member.core.members()) {
            Ok(checked) => {
                let submission = Submission {
                    envelope: checked.envelope,
                    kind: checked.kind,
                    config_seq: checked.config_seq,
                };
                self.submit(run, submission).map(drop)
            }
            Err(error) => {
                self.say(node, || format!("refuses it: {error}"));
                Ok(())
            }
        }
    }

    fn change(&mut self, config: &Config, change: Change) -> Option<Config> {
        let config = config.clone();
        let material = Material::get();
        let changed = match change {
            Change::Batch => {
                let number = |chance: &mut super::seed::Chance, low, high| {
                    u32::try_from(chance.between(low, high)).ok()
                };
                let change = BatchChange {
                    max_message_count: number(&mut self.chance, 1, 12),
                    preferred_max_bytes: number(&mut self.chance, 500, 6_000),
                    ..BatchChange::default()
                };
                set_batch(config, &change)
            }
            Change::Add(node) => {
                let certificate = material.tls[node][0].clone();
                let certificates = TlsCertificates {
                    client: certificate.clone(),
                    server: certificate,
                };
                add_consenter(config, &address(node), &certificates)
            }
            Change::Remove(node) => remove_consenter(config, &address(node)),
            Change::Rotate(node) => {
                let owned = &material.tls[node];
                let client = Some(owned[self.chance.index(owned.len())].clone());
                rotate_certificates(config, &address(node), &TlsChange { client, server: None })
            }
        };
        changed.ok()
    }

    /// The config of the node that is furthest.
    fn newest_config(&self) -> Option<Config> {
        let furthest = (0..NODES).max_by_key(|node| self.height(*node))?;
        let process = self.nodes[furthest].process.as_ref()?;
        Some(process.checks.rules().bundle().config().clone())
    }

    /// The nodes that the newest config lists.
    pub(super) fn members(&self) -> Vec<usize> {
        let furthest = (0..NODES).max_by_key(|node| self.height(*node));
        let process = furthest.and_then(|node| self.nodes[node].process.as_ref());
        let config = process.and_then(|process| in_force(process.checks.rules()).ok());
        let consenters = config.map(|config| config.consenters).unwrap_or_default();
        let owner =
            |consenter: &protos::wire::etcdraft::Consenter| Material::get().owner(&consenter.server_tls_cert);
        consenters.iter().filter_map(owner).collect()
    }

    /// Envelopes that were kept, for the end.
    pub(super) fn kept() -> std::ops::Range<usize> {
        ENVELOPES - KEPT..ENVELOPES
    }

    /// How long a run may take to come to rest when faults have ended.
    pub(super) const PATIENCE: Micros = Micros::secs(90);
}
