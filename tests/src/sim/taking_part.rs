//! Nodes that start, take part, leave, follow; and what passes between them.

use bytes::Bytes;
use configtx::block_verify::verify_block;
use consensus::Peer;
use consensus::raft::core::{Event, OpenError, RaftCore, Start};
use consensus::raft::log::{Identity, LogWrite};
use prost::Message as _;
use protos::block::{Hash, is_config_block};
use protos::wire::common::Block;
use protos::wire::etcdraft::Consenter;
use protos::{BlockNumber, ConsenterId, Height, SealedBlock};

use super::config::in_force;
use super::log::SimLog;
use super::material::Material;
use super::node::{Member, Process};
use super::seed::Micros;
use super::timeline::{Happening, Parcel, Run, Stream};
use super::world::{Holds, World};
use crate::invariants::Violation;

/// How often a node that lacks blocks asks for them.
const PULL_EVERY: Micros = Micros::millis(120);
/// How often a node asks whether the channel is new.
const ASK_EVERY: Micros = Micros::millis(400);
/// Without a leader for so long, a node suspects that it was taken out of the channel.
const SUSPICION: Micros = Micros::secs(4);
/// Blocks that one answer holds at most.
const PULLED_MAX: u64 = 12;

impl World {
    pub(super) fn starts(&mut self, node: usize) -> Holds {
        if self.nodes[node].process.is_some() {
            return Ok(());
        }
        let mut started = Process::start(&mut self.nodes[node], node, &self.genesis, &self.configs);
        if started.is_err() && self.nodes[node].disk.has_stopped() {
            self.nodes[node].disk.crash();
            started = Process::start(&mut self.nodes[node], node, &self.genesis, &self.configs);
        }
        let process = started.map_err(|error| format!("node {node} does not start: {error}"))?;
        let (run, height) = (process.run, process.store.height());
        self.nodes[node].process = Some(process);
        self.say(node, || format!("starts, run {}, height {height}", run.number));
        self.finds_blocks(run)?;
        self.after(self.nodes[node].tick, Happening::Tick(run));
        self.after(PULL_EVERY, Happening::Pull(run));
        if self.nodes[node].joins_late {
            return self.notes_pulls(run);
        }
        self.take_part(run)
    }

    /// Notes the blocks that were written before a crash and not synced, and are there nevertheless.
    fn finds_blocks(&mut self, run: Run) -> Holds {
        let node = &self.nodes[run.node];
        let Some(process) = &node.process else {
            return Ok(());
        };
        let reader = process.store.reader();
        for number in node.synced.0..process.store.height().0 {
            let sealed = reader
                .get(BlockNumber(number))
                .map_err(|error| error.to_string())?;
            let block = sealed.ok_or("a block is missing below the height")?.decode();
            self.block_is_durable(run, &block.map_err(|error| error.to_string())?)?;
        }
        Ok(())
    }

    /// Starts the chain, if the config in force lists this node and nothing speaks against it.
    fn take_part(&mut self, run: Run) -> Holds {
        let node = run.node;
        let is_not = self.nodes[node].is_not;
        let Some(process) = self.process(run) else {
            return Ok(());
        };
        let config = in_force(process.checks.rules())?;
        let Some(id) = process
            .own_id(&config.consenters)
            .filter(|id| Some(*id) != is_not)
        else {
            self.told.left_is_lost(node);
            return self.notes_pulls(run);
        };
        let (tip, process_origin) = (process.chain_tip()?, process.origin());
        let root = self.nodes[node].disk.root();
        let Ok((log, state)) = SimLog::open(&root) else {
            return self.disk_failed(run);
        };
        self.durable.reopened(node, &state, tip.height());
        let voters = if state.members.voters.is_empty() {
            config.consenters.len()
        } else {
            state.members.voters.len()
        };
        let origin = state.retired.as_ref().map(|_| process_origin).transpose()?;
        if origin.is_some() || state.identity.as_ref().is_none_or(|own| own.id != id) {
            self.told.left_is_lost(node);
        }
        let start = Start {
            channel: Material::get().channel.clone(),
            id,
            seed: self.chance.draw(),
            incarnation: self.chance.draw(),
            tip,
            config,
            origin,
            log: state,
            planted: self.planted(),
        };
        self.say(node, || format!("takes part as {id}"));
        let (core, actions) = match RaftCore::open(start) {
            Ok(opened) => opened,
            Err(OpenError::LostLog { .. }) => {
                self.told.left_is_lost(node);
                self.nodes[node].is_not = Some(id);
                return self.is_lost(node, id, "it is on record");
            }
            Err(OpenError::Unusable { reason }) => {
                return Err(format!("node {node} cannot take part: {reason}"));
            }
        };
        let member = Member::new(id, core, log, voters);
        if let Some(process) = self.process(run) {
            process.member = Some(member);
        }
        self.carry_out_all(run, actions)
    }

    /// Whoever follows brings the ledger ahead of the log, and puts that on record.
    fn notes_pulls(&mut self, run: Run) -> Holds {
        let root = self.nodes[run.node].disk.root();
        let noted = SimLog::open(&root).and_then(|(mut log, state)| {
            if let Some(identity) = state.identity.and_then(Identity::followed) {
                log.append(&LogWrite {
                    identity: Some(identity),
                    ..LogWrite::default()
                })?;
            }
            log.sync()
        });
        match noted {
            Ok(()) => Ok(()),
            Err(_) => self.disk_failed(run),
        }
    }

    pub(super) fn tick(&mut self, run: Run) -> Holds {
        let now = self.now;
        let Some(process) = self.process(run) else {
            return Ok(());
        };
        let mut suspects = false;
        if let Some(member) = &mut process.member {
            let is_led = member.core.status().leader.is_some();
            let since = *member.leaderless_since.get_or_insert(now);
            if is_led {
                member.leaderless_since = None;
            }
            suspects = !is_led && since + SUSPICION < now && member.catch_up.is_none();
        }
        self.after(self.nodes[run.node].tick, Happening::Tick(run));
        if suspects {
            self.looks_around(run)?;
        }
        self.step(run, Event::Tick)
    }

    /// Without a leader for long: a node that has more blocks may know that this one was taken out.
    fn looks_around(&mut self, run: Run) -> Holds {
        let height = self.height(run.node);
        let Some(source) = self.source_of(run.node, height) else {
            return Ok(());
        };
        if self.has_taken_out(source, run)? {
            self.say(run.node, || "finds that it was taken out of the channel");
            self.leaves(run);
            return Ok(());
        }
        match self.height(source).tip() {
            Some(through) => self.step(run, Event::Behind { through }),
            None => Ok(()),
        }
    }

    /// Whether another node has a config that does not list this one under its id.
    fn has_taken_out(&mut self, other: usize, run: Run) -> Result<bool, String> {
        let id = self.member(run).map(|member| member.id.0);
        let Some(other) = &self.nodes[other].process else {
            return Ok(false);
        };
        let consenters = in_force(other.checks.rules())?.consenters;
        let owner = |certificate: &Bytes| Material::get().owner(certificate);
        let place = consenters
            .iter()
            .position(|consenter| owner(&consenter.server_tls_cert) == Some(run.node));
        let listed = place.and_then(|place| other.metadata.consenter_ids.get(place));
        Ok(listed.copied() != id)
    }

    /// Ends the chain; the node follows from now on.
    pub(super) fn leaves(&mut self, run: Run) {
        let id = self.member(run).map(|member| member.id);
        self.nodes[run.node].is_not = id;
        self.ends_chain(run);
    }

    fn ends_chain(&mut self, run: Run) {
        if let Some(process) = self.process(run) {
            process.member = None;
        }
        self.told.run_ended(run);
        self.break_streams(run.node);
        self.after(PULL_EVERY, Happening::Pull(run));
    }

    pub(super) fn loses_log(&mut self, run: Run, reason: &str) -> Holds {
        let Some(id) = self.member(run).map(|member| member.id) else {
            return Ok(());
        };
        self.is_lost(run.node, id, reason)?;
        self.leaves(run);
        Ok(())
    }

    /// An operator hears that a node has lost its log.
    fn is_lost(&mut self, node: usize, id: ConsenterId, reason: &str) -> Holds {
        if self.wiped != Some(node) {
            return Err(format!(
                "node {node} took its log for lost, and it was not: {reason}"
            ));
        }
        self.lost.insert(node, id);
        self.votes.lost_log(node, id);
        Ok(())
    }

    /// Nothing is left to be done by a run that was told to end.
    #[expect(
        clippy::unnecessary_wraps,
        reason = "an outcome of actions, which may fail otherwise"
    )]
    pub(super) fn finishes(&mut self, run: Run) -> Holds {
        self.told.run_finished(run);
        self.process_ends(run);
        Ok(())
    }

    /// The process ends after a halt; an operator starts it again.
    pub(super) fn process_ends(&mut self, run: Run) {
        self.break_streams(run.node);
        self.nodes[run.node].process = None;
        let time = self.chance.time(Micros::millis(50), Micros::secs(2));
        self.after(time, Happening::Starts(run.node));
    }

    // What passes between nodes.

    pub(super) fn set_peers(&mut self, run: Run, peers: Vec<Peer>) {
        let Some(member) = self.member(run) else {
            return;
        };
        let before = std::mem::replace(&mut member.peers, peers);
        let after = member.peers.clone();
        for peer in after.iter().filter(|peer| !before.contains(peer)) {
            if let Some(to) = Material::get().owner(&peer.server_tls_cert) {
                self.break_stream(run.node, to);
            }
        }
    }

    /// Ends the submit stream between two nodes; it is made again after a while.
    pub(super) fn break_stream(&mut self, from: usize, to: usize) {
        let stream = self.network.break_stream(from, to);
        let time = self.chance.time(Micros::millis(2), Micros::millis(400));
        self.after(time, Happening::StreamOpens(stream));
    }

    /// Ends all submit streams of a node.
    pub(super) fn break_streams(&mut self, node: usize) {
        for other in (0..self.nodes.len()).filter(|other| *other != node) {
            self.break_stream(node, other);
            self.break_stream(other, node);
        }
    }

    pub(super) fn stream_opens(&mut self, stream: Stream) -> Holds {
        let Some(run) = self.nodes[stream.from]
            .process
            .as_ref()
            .map(|process| process.run)
        else {
            return Ok(());
        };
        let is_up = self.nodes[stream.to]
            .process
            .as_ref()
            .is_some_and(|process| process.member.is_some());
        let owner = |peer: &Peer| Material::get().owner(&peer.server_tls_cert);
        let peers = self
            .member(run)
            .map(|member| member.peers.clone())
            .unwrap_or_default();
        let Some(peer) = peers.iter().find(|peer| owner(peer) == Some(stream.to)) else {
            return Ok(());
        };
        if is_up && self.network.open(stream) {
            return self.step(run, Event::SubmitStreamOpened { to: peer.id });
        }
        if self.network.stream(stream.from, stream.to) == stream {
            self.after(Micros::millis(150), Happening::StreamOpens(stream));
        }
        Ok(())
    }

    pub(super) fn unreachable(&mut self, run: Run, to: usize) -> Holds {
        let owner = |peer: &Peer| Material::get().owner(&peer.server_tls_cert);
        let peers = self
            .member(run)
            .map(|member| member.peers.clone())
            .unwrap_or_default();
        match peers.iter().find(|peer| owner(peer) == Some(to)) {
            Some(peer) => self.step(run, Event::Unreachable { to: peer.id }),
            None => Ok(()),
        }
    }

    /// A message arrives; the receiver knows its sender by the certificate.
    pub(super) fn arrives(&mut self, parcel: Parcel) -> Holds {
        let Parcel {
            stream,
            kind,
            message,
        } = parcel;
        let Some(run) = self.nodes[stream.to].process.as_ref().map(|process| process.run) else {
            return Ok(());
        };
        if !self.network.carries(stream, kind) {
            return Ok(());
        }
        let peers = self
            .member(run)
            .map(|member| &member.peers[..])
            .unwrap_or_default();
        let is_sender = |peer: &&Peer| Material::get().owner(&peer.client_tls_cert) == Some(stream.from);
        match peers.iter().find(is_sender).map(|peer| peer.id) {
            Some(from) => self.step(run, Event::Received { from, message }),
            None => Ok(()),
        }
    }

    // Blocks of other nodes.

    /// The consenters of the config in force, if the node runs and its member is so.
    fn consenters_if(
        &mut self,
        run: Run,
        is_so: impl Fn(&Member) -> bool,
    ) -> Result<Option<Vec<Consenter>>, Violation> {
        let Some(process) = self
            .process(run)
            .filter(|process| process.member.as_ref().is_some_and(is_so))
        else {
            return Ok(None);
        };
        Ok(Some(in_force(process.checks.rules())?.consenters))
    }

    pub(super) fn asks_whether_new(&mut self, run: Run) -> Holds {
        let Some(consenters) = self.consenters_if(run, |member| member.asks_whether_new)? else {
            return Ok(());
        };
        let members = consenters
            .iter()
            .filter_map(|consenter| Material::get().owner(&consenter.server_tls_cert));
        let is_new = |node: &usize| {
            let answers = *node == run.node || self.network.connects(run.node, *node);
            answers && self.nodes[*node].process.is_some() && self.height(*node) == Height(1)
        };
        let has_more = (0..self.nodes.len())
            .any(|node| self.network.connects(run.node, node) && self.height(node) > Height(1));
        let new = members.filter(is_new).count();
        if new > consenters.len() / 2 && !has_more {
            if let Some(member) = self.member(run) {
                member.asks_whether_new = false;
            }
            return self.step(run, Event::ChannelIsNew);
        }
        self.after(ASK_EVERY, Happening::AsksWhetherNew(run));
        Ok(())
    }

    /// Of two chains that could have been made of one genesis block there is but one here.
    pub(super) fn asks_what_became(&mut self, run: Run, first: Hash) -> Holds {
        let Some(consenters) = self.consenters_if(run, |member| member.asks_what_became)? else {
            return Ok(());
        };
        let owners = consenters
            .iter()
            .map(|one| Material::get().owner(&one.server_tls_cert));
        let members: Vec<_> = owners.flatten().filter(|owner| *owner != run.node).collect();
        let answers =
            |node: &usize| self.network.connects(run.node, *node) && self.nodes[*node].process.is_some();
        let told: Vec<_> = (0..self.nodes.len())
            .filter(|node| *node != run.node && answers(node))
            .collect();
        let shown = told.iter().find(|node| self.height(**node) > Height(1));
        let event = if let Some(source) = shown {
            let source = self.nodes[*source].process.as_ref().ok_or("no process")?;
            let Ok(origin) = source.origin() else {
                self.after(ASK_EVERY, Happening::AsksWhatBecame(run, first));
                return Ok(()); // its machine is going down
            };
            let is_known = origin.first == Some(first);
            Event::ChannelHasBlocks { is_known }
        } else if members.iter().all(|member| told.contains(member)) {
            return Err(format!(
                "node {} takes the channel for a new one, which it is not",
                run.node
            ));
        } else {
            self.after(ASK_EVERY, Happening::AsksWhatBecame(run, first));
            return Ok(());
        };
        if let Some(member) = self.member(run) {
            member.asks_what_became = false;
        }
        self.step(run, event)
    }

    /// A node that lacks blocks, or follows, takes some of another's.
    pub(super) fn pull(&mut self, run: Run) -> Holds {
        let Some(process) = self.process(run) else {
            return Ok(());
        };
        let through = match &process.member {
            None => None,
            Some(Member {
                catch_up: Some(through),
                ..
            }) => Some(*through),
            Some(_) => return Ok(()),
        };
        let height = self.height(run.node);
        if through.is_some_and(|through| height.0 > through.0) {
            return self.has_caught_up(run);
        }
        self.after(PULL_EVERY, Happening::Pull(run));
        let Some(source) = self.source_of(run.node, height) else {
            return if through.is_none() {
                self.follows(run)
            } else {
                Ok(())
            };
        };
        let last = through
            .map_or(u64::MAX, |through| through.0)
            .min(height.0 + PULLED_MAX - 1);
        for number in height.0..=last {
            let Some(block) = self.block_of(source, BlockNumber(number))? else {
                break;
            };
            if !self.append_pulled(run, &block)? {
                break;
            }
        }
        Ok(())
    }

    /// A node with more blocks that can be reached.
    fn source_of(&mut self, node: usize, height: Height) -> Option<usize> {
        let has_more = |other: &usize| {
            *other != node
                && self.network.connects(node, *other)
                && self.nodes[*other].paused_until <= self.now
                && self.height(*other) > height
        };
        let sources: Vec<_> = (0..self.nodes.len()).filter(has_more).collect();
        (!sources.is_empty()).then(|| sources[self.chance.index(sources.len())])
    }

    /// The durable height of a node; 0 while it is down.
    pub(super) fn height(&self, node: usize) -> Height {
        self.nodes[node]
            .process
            .as_ref()
            .map_or(Height(0), |process| process.store.height())
    }

    /// A block as another node hands it out: perhaps not at all, perhaps forged.
    fn block_of(&mut self, source: usize, number: BlockNumber) -> Result<Option<Block>, String> {
        let Some(process) = &self.nodes[source].process else {
            return Ok(None);
        };
        let Ok(sealed) = process.store.reader().get(number) else {
            return Ok(None); // its machine is going down
        };
        let Some(mut block) = sealed
            .map(|sealed| sealed.decode())
            .transpose()
            .map_err(|error| error.to_string())?
        else {
            return Ok(None);
        };
        if self.is_faulty && self.chance.happens(self.options.bad_sources) {
            if self.chance.happens(500) {
                return Ok(None);
            }
            self.forge(&mut block);
        }
        Ok(Some(block))
    }

    fn forge(&mut self, block: &mut Block) {
        let data = block.data.get_or_insert_default();
        match self.chance.index(3) {
            0 => data.data.push(Material::get().envelopes[0].clone()),
            1 => data.data.clear(),
            _ => block.header.get_or_insert_default().number += 1,
        }
    }

    /// Verifies and appends another node's block; false if it is not what it should be.
    fn append_pulled(&mut self, run: Run, block: &Block) -> Result<bool, String> {
        let Some(process) = self.nodes[run.node].process.as_mut() else {
            return Ok(false);
        };
        if let Err(error) = verify_block(&process.tip, block, process.checks.rules().bundle()) {
            self.trace
                .line(self.now, run.node, || format!("refuses a pulled block: {error}"));
            return Ok(false);
        }
        let sealed =
            SealedBlock::from_bytes(block.encode_to_vec().into()).map_err(|error| error.to_string())?;
        if process.store.append(&sealed).is_err() || process.store.sync().is_err() {
            self.disk_failed(run)?;
            return Ok(false);
        }
        process.advance(block);
        if is_config_block(block) {
            let rules = self.configs.after(process.checks.rules(), block)?;
            process.checks.comes_into_force(rules);
            process.last_config = sealed.number();
        }
        self.say(run.node, || format!("has pulled block {}", sealed.number()));
        self.block_is_durable(run, block)?;
        Ok(true)
    }

    fn has_caught_up(&mut self, run: Run) -> Holds {
        let Some(process) = self.process(run) else {
            return Ok(());
        };
        if let Some(member) = &mut process.member {
            member.catch_up = None;
        }
        let first = process
            .member
            .as_ref()
            .and_then(|member| member.core.unseen_from());
        let height = process.store.height().0;
        let unseen = first.map_or(height, |first| first.0)..height;
        for number in unseen.map(BlockNumber) {
            let Some(process) = self.process(run) else {
                return Ok(());
            };
            let Ok(block) = process.block(number) else {
                return self.disk_failed(run);
            };
            self.step(run, Event::Pulled { block })?;
        }
        let Some(process) = self.process(run) else {
            return Ok(());
        };
        let (tip, config) = (process.chain_tip()?, in_force(process.checks.rules())?);
        self.step(run, Event::CaughtUp { tip, config })
    }

    /// A follower has what can be had; it takes part if it is listed.
    fn follows(&mut self, run: Run) -> Holds {
        self.take_part(run)
    }
}

impl Member {
    fn new(id: ConsenterId, core: RaftCore, log: SimLog, voters: usize) -> Self {
        Self {
            id,
            core,
            peers: Vec::new(),
            log,
            voters,
            to_persist: Vec::new(),
            persisting: Vec::new(),
            to_write: std::collections::VecDeque::new(),
            writing: Vec::new(),
            timer: None,
            catch_up: None,
            asks_whether_new: false,
            asks_what_became: false,
            leaderless_since: None,
        }
    }
}
