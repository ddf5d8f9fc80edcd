//! Cores with logs and ledgers in memory and a wire between them. Nothing is random, nothing waits unless told to.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use blockcutter::BatchLimits;
use bytes::Bytes;
use configtx::consensus_metadata::RaftOptions;
use prost::Message;
use protos::block::{self, Hash, header_hash};
use protos::wire::common::{
    Block, ChannelHeader, Config, ConfigEnvelope, ConfigGroup, ConfigUpdate, ConfigUpdateEnvelope,
    ConfigValue, Envelope as WireEnvelope, Header, HeaderType, Payload,
};
use protos::wire::etcdraft::{BlockMetadata, ConfigMetadata, Consenter, Options};
use protos::wire::orderer::ConsensusType;
use protos::{BlockNumber, ChannelId, ConfigSeq, ConsenterId, Envelope};

pub(super) use super::super::*;
use crate::chain::{Submission, SubmissionKind};
pub(super) use crate::raft::log::LogWrite;
use crate::raft::log::{LogState, Retired};
use crate::raft::retire::retire;
use crate::support::BatchConfig;
use crate::testing::{self, normal};
use crate::ticket::TimerToken;
pub(super) use crate::ticket::{TicketError, TicketId};
pub(super) use crate::transport::{ClusterMessage, ForwardMark, MessageKind};

/// Ticks of an election timeout.
pub(super) const ELECTION: u64 = 10;

/// One node: a core while it runs, and what survives it.
pub(super) struct TestNode {
    pub(super) core: Option<RaftCore>,
    pub(super) log: LogState,
    pub(super) ledger: Vec<(Block, BlockMetadata)>,
    pub(super) config: ConfigInForce,
    pub(super) told: BTreeMap<u64, Outcome>,
    pub(super) notices: Vec<Notice>,
    pub(super) ended: Option<Action>,
    pub(super) timer: Option<TimerToken>,
    /// Writes to the log wait here while the disk is slow.
    pub(super) log_writes: VecDeque<(u64, LogWrite)>,
    pub(super) is_log_slow: bool,
    /// Writes to the ledger that are not durable yet.
    pub(super) writes: VecDeque<(Block, BlockMetadata, bool)>,
    pub(super) is_ledger_slow: bool,
    pub(super) catch_up: Option<BlockNumber>,
    pub(super) asks: bool,
    /// It asks what became of the channel, of which it knows this block 1.
    pub(super) asks_about: Option<Hash>,
    pub(super) peers: Vec<Peer>,
    runs: u64,
    tickets: u64,
}

/// All of them.
pub(super) struct World {
    pub(super) nodes: BTreeMap<u64, TestNode>,
    pub(super) wire: VecDeque<(u64, u64, MessageKind, ClusterMessage)>,
    /// Pairs that do not hear each other.
    pub(super) cut: BTreeSet<(u64, u64)>,
    pub(super) planted: Planted,
    pub(super) genesis: Block,
    pub(super) batch: u32,
    pub(super) channel: &'static str,
    pub(super) snapshot_interval: u32,
}

/// The checks in force: what begins with `bad` is refused.
struct Rules(ConfigSeq);

impl Revalidate for Rules {
    fn config_seq(&self) -> ConfigSeq {
        self.0
    }

    fn revalidate_normal(&self, envelope: &Envelope) -> Result<(), RevalidateError> {
        let name = testing::name(envelope.entry());
        if name.starts_with("bad") {
            let reason = format!("{name} is refused");
            return Err(RevalidateError { reason });
        }
        Ok(())
    }

    fn revalidate_config(&self, envelope: &Envelope, _: &Members) -> Result<Envelope, RevalidateError> {
        Ok(envelope.clone())
    }
}

pub(super) fn consenter(name: u64) -> Consenter {
    Consenter {
        host: format!("o{name}"),
        port: 7050,
        client_tls_cert: format!("client {name}").into(),
        server_tls_cert: format!("server {name}").into(),
    }
}

pub(super) fn consenters(names: &[u64]) -> Vec<Consenter> {
    names.iter().copied().map(consenter).collect()
}

fn envelope_of(kind: HeaderType, data: Vec<u8>, signature: &str) -> WireEnvelope {
    let header = ChannelHeader {
        r#type: kind as i32,
        channel_id: "ch".to_owned(),
        ..ChannelHeader::default()
    };
    let payload = Payload {
        header: Some(Header {
            channel_header: header.encode_to_vec().into(),
            signature_header: Bytes::from_static(b"someone"),
        }),
        data: data.into(),
    };
    WireEnvelope {
        payload: payload.encode_to_vec().into(),
        signature: signature.to_owned().into(),
    }
}

fn orderer_group(consenters: Vec<Consenter>, version: u64, interval: u32) -> ConfigGroup {
    let metadata = ConfigMetadata {
        consenters,
        options: Some(Options {
            tick_interval: "100ms".to_owned(),
            election_tick: 10,
            heartbeat_tick: 1,
            max_inflight_blocks: 5,
            snapshot_interval_size: interval,
        }),
    };
    let value = ConsensusType {
        r#type: "etcdraft".to_owned(),
        metadata: metadata.encode_to_vec().into(),
        ..ConsensusType::default()
    };
    let value = ConfigValue {
        version,
        value: value.encode_to_vec().into(),
        ..ConfigValue::default()
    };
    ConfigGroup {
        groups: BTreeMap::from([(
            "Orderer".to_owned(),
            ConfigGroup {
                values: BTreeMap::from([("ConsensusType".to_owned(), value)]),
                ..ConfigGroup::default()
            },
        )]),
        ..ConfigGroup::default()
    }
}

/// A CONFIG envelope that leads to these consenters; `name` tells updates apart.
pub(super) fn config_envelope(consenters: Vec<Consenter>, writes_type: bool, name: &str) -> Envelope {
    let group = orderer_group(consenters, 1, 0);
    let update = ConfigUpdate {
        channel_id: name.to_owned(),
        write_set: writes_type.then(|| group.clone()),
        ..ConfigUpdate::default()
    };
    let update = ConfigUpdateEnvelope {
        config_update: update.encode_to_vec().into(),
        ..ConfigUpdateEnvelope::default()
    };
    let config = ConfigEnvelope {
        config: Some(Config {
            sequence: 1,
            channel_group: Some(group),
        }),
        last_update: Some(envelope_of(
            HeaderType::ConfigUpdate,
            update.encode_to_vec(),
            "client",
        )),
    };
    let envelope = envelope_of(HeaderType::Config, config.encode_to_vec(), "orderer");
    Envelope::from_received(envelope.encode_to_vec().into()).unwrap()
}

impl World {
    /// A new channel of these members, none of them running.
    pub(super) fn of(names: &[u64]) -> Self {
        let genesis = block::next(
            BlockNumber(0),
            &[0; 32],
            vec![config_envelope(consenters(names), false, "genesis").into_entry()],
        );
        let mut world = Self {
            nodes: BTreeMap::new(),
            wire: VecDeque::new(),
            cut: BTreeSet::new(),
            planted: Planted::default(),
            genesis,
            batch: 1,
            channel: "ch",
            snapshot_interval: 0,
        };
        for id in names {
            world.join(*id, names);
        }
        world
    }

    /// A channel that runs: a leader is elected.
    pub(super) fn running(names: &[u64]) -> Self {
        let mut world = Self::of(names);
        world.start_all();
        world.elect();
        world
    }

    /// A node with the genesis block alone.
    pub(super) fn join(&mut self, id: u64, names: &[u64]) {
        let metadata = BlockMetadata {
            consenter_ids: (1..=names.len() as u64).collect(),
            next_consenter_id: names.len() as u64 + 1,
            raft_index: 0,
        };
        let node = TestNode {
            core: None,
            log: LogState::default(),
            ledger: vec![(self.genesis.clone(), metadata)],
            config: self.config(consenters(names), 0),
            told: BTreeMap::new(),
            notices: Vec::new(),
            ended: None,
            timer: None,
            log_writes: VecDeque::new(),
            is_log_slow: false,
            writes: VecDeque::new(),
            is_ledger_slow: false,
            catch_up: None,
            asks: false,
            asks_about: None,
            peers: Vec::new(),
            runs: 0,
            tickets: 0,
        };
        self.nodes.insert(id, node);
    }

    /// A node that pulled the blocks of another and has no log.
    pub(super) fn join_behind(&mut self, id: u64, source: u64) {
        self.join(id, &[id]);
        let (ledger, config) = (
            self.nodes[&source].ledger.clone(),
            self.nodes[&source].config.clone(),
        );
        let node = self.nodes.get_mut(&id).unwrap();
        (node.ledger, node.config) = (ledger, config);
    }

    fn config(&self, consenters: Vec<Consenter>, sequence: u64) -> ConfigInForce {
        ConfigInForce {
            sequence: ConfigSeq(sequence),
            batch: BatchConfig {
                limits: BatchLimits::new(self.batch, 1 << 20, 1 << 16).unwrap(),
                timeout: Duration::from_secs(1),
            },
            consenters,
            options: RaftOptions {
                tick_interval: Duration::from_millis(100),
                election_ticks: 10,
                heartbeat_ticks: 1,
                inflight_blocks_max: 5,
                snapshot_interval_bytes: self.snapshot_interval,
            },
        }
    }

    pub(super) fn start_all(&mut self) {
        let ids: Vec<_> = self.nodes.keys().copied().collect();
        for id in ids {
            self.start(id).unwrap();
        }
        self.run();
    }

    /// Starts a core over what is durable.
    pub(super) fn start(&mut self, id: u64) -> Result<(), OpenError> {
        let mut config = self.nodes[&id].config.clone();
        let fresh = self.config(config.consenters.clone(), config.sequence.0);
        config.batch = fresh.batch;
        config.options = fresh.options;
        let planted = self.planted;
        let channel = ChannelId::parse(self.channel).unwrap();
        let node = self.nodes.get_mut(&id).unwrap();
        node.runs += 1;
        node.config = config;
        let (core, actions) = RaftCore::open(Start {
            channel,
            id: ConsenterId(id),
            seed: 7,
            incarnation: id * 1000 + node.runs,
            tip: tip(&node.ledger),
            config: node.config.clone(),
            origin: node.log.retired.as_ref().map(|_| origin(&node.ledger)),
            log: node.log.clone(),
            planted,
        })?;
        node.core = Some(core);
        node.ended = None;
        self.carry_out(id, actions);
        Ok(())
    }

    /// Stops a core where it stands: what is not durable is gone.
    pub(super) fn crash(&mut self, id: u64) {
        let node = self.nodes.get_mut(&id).unwrap();
        node.core = None;
        node.timer = None;
        node.log_writes.clear();
        node.writes.clear();
        node.catch_up = None;
        self.wire.retain(|(from, to, ..)| *from != id && *to != id);
    }

    /// A core is told to end, and not waited for: disks are, and what is in no block is left. Tells how many envelopes
    /// that are.
    pub(super) fn leave(&mut self, id: u64) -> usize {
        self.step(id, Event::Halt);
        let node = self.nodes.get_mut(&id).unwrap();
        assert_eq!(node.ended, None);
        let write = node.core.as_ref().unwrap().leave_behind(Vec::new()).unwrap();
        for (_, write) in node.log_writes.drain(..) {
            node.log.apply(&write);
        }
        for (block, metadata, is_config) in node.writes.drain(..) {
            assert!(!is_config);
            node.ledger.push((block, metadata));
        }
        node.log.apply(&write);
        self.crash(id);
        self.nodes[&id].log.unordered.waiting()
    }

    /// Nothing passes between a node and the others any more, in either direction.
    pub(super) fn cut_off(&mut self, id: u64) {
        let others: Vec<_> = self.nodes.keys().copied().filter(|other| *other != id).collect();
        for other in others {
            self.cut.extend([(id, other), (other, id)]);
        }
    }

    pub(super) fn core(&self, id: u64) -> &RaftCore {
        self.nodes[&id].core.as_ref().unwrap()
    }

    pub(super) fn step(&mut self, id: u64, event: Event) {
        let node = self.nodes.get_mut(&id).unwrap();
        let rules = Rules(node.config.sequence);
        let Some(core) = &mut node.core else { return };
        let mut actions = Vec::new();
        core.step(event, &rules, &mut actions);
        self.carry_out(id, actions);
    }

    fn carry_out(&mut self, id: u64, actions: Vec<Action>) {
        for action in actions {
            let node = self.nodes.get_mut(&id).unwrap();
            match action {
                Action::Persist { number, write } => node.log_writes.push_back((number, write)),
                Action::Send { to, kind, message } => self.wire.push_back((id, to.0, kind, message)),
                Action::SetPeers(peers) => node.peers = peers,
                Action::WriteBlock { block, metadata, .. } => {
                    node.writes
                        .push_back((block, BlockMetadata::decode(metadata.0).unwrap(), false));
                }
                Action::WriteConfigBlock { block, metadata, .. } => {
                    node.writes
                        .push_back((block, BlockMetadata::decode(metadata.0).unwrap(), true));
                }
                Action::CatchUp { through } => node.catch_up = Some(through),
                Action::AskWhetherNew => node.asks = true,
                Action::AskWhatBecame { first, .. } => node.asks_about = Some(first),
                Action::ArmBatchTimer { token, .. } => node.timer = Some(token),
                Action::DisarmBatchTimer => node.timer = None,
                Action::Resolve { tickets, outcome } => {
                    for ticket in tickets {
                        assert_eq!(node.told.insert(ticket.0, outcome.clone()), None, "told twice");
                    }
                }
                Action::Notice(notice) => node.notices.push(notice),
                ended
                @ (Action::Errored(_) | Action::NotMember | Action::LostLog { .. } | Action::Finish) => {
                    node.ended = Some(ended);
                }
            }
        }
    }

    /// Lets everything happen that needs no tick.
    pub(super) fn run(&mut self) {
        for _ in 0..100_000 {
            let ids: Vec<_> = self.nodes.keys().copied().collect();
            let worked = ids.into_iter().any(|id| self.work(id)) || self.deliver();
            if !worked {
                return;
            }
        }
        panic!("it never ends");
    }

    fn work(&mut self, id: u64) -> bool {
        if self.nodes[&id].core.is_none() {
            return false;
        }
        self.ask(id) || self.ask_what_became(id) || self.sync(id) || self.write(id) || self.pull(id)
    }

    /// The channel is new while everybody whom this node hears has one block.
    fn ask(&mut self, id: u64) -> bool {
        if !self.nodes[&id].asks {
            return false;
        }
        let hears = |other: u64| other == id || !self.cut.contains(&(other, id));
        let names = self.nodes[&id].config.consenters.len();
        let new = self
            .nodes
            .iter()
            .filter(|(other, node)| hears(**other) && node.core.is_some() && node.ledger.len() == 1);
        if new.count() * 2 <= names {
            return false;
        }
        self.nodes.get_mut(&id).unwrap().asks = false;
        self.step(id, Event::ChannelIsNew);
        true
    }

    /// Somebody has a block 1, or everybody is there and has none.
    fn ask_what_became(&mut self, id: u64) -> bool {
        let Some(known) = self.nodes[&id].asks_about else {
            return false;
        };
        let hears = |other: &u64| !self.cut.contains(&(*other, id)) && self.nodes[other].core.is_some();
        let others: Vec<_> = self.nodes.keys().filter(|other| **other != id).collect();
        let first = |other: &&u64| origin(&self.nodes[*other].ledger).first.filter(|_| hears(other));
        let shown: Vec<_> = others.iter().filter_map(first).collect();
        let event = if !shown.is_empty() {
            let is_known = shown.contains(&known);
            Event::ChannelHasBlocks { is_known }
        } else if others.iter().all(|other| hears(other)) {
            Event::ChannelIsNew
        } else {
            return false;
        };
        self.nodes.get_mut(&id).unwrap().asks_about = None;
        self.step(id, event);
        true
    }

    /// The channel is removed from a node, and joined again there with its genesis block.
    pub(super) fn rejoin(&mut self, id: u64) {
        self.remove(id);
        self.start(id).unwrap();
        self.run();
    }

    /// The channel is removed from a node.
    pub(super) fn remove(&mut self, id: u64) {
        self.crash(id);
        let node = self.nodes.get_mut(&id).unwrap();
        node.asks_about = None;
        let Origin { genesis, first } = origin(&node.ledger);
        let retired = Retired {
            genesis,
            first,
            members: Bytes::new(),
        };
        if let Some(write) = retire(&node.log, retired) {
            node.log.apply(&write);
        }
        node.ledger.truncate(1);
        let members = node.ledger[0].1.consenter_ids.clone();
        let config = self.config(consenters(&members), 0);
        self.nodes.get_mut(&id).unwrap().config = config;
    }

    /// One write of the log becomes durable.
    pub(super) fn sync(&mut self, id: u64) -> bool {
        let node = self.nodes.get_mut(&id).unwrap();
        if node.is_log_slow {
            return false;
        }
        let Some((number, write)) = node.log_writes.pop_front() else {
            return false;
        };
        node.log.apply(&write);
        self.step(id, Event::Persisted { number });
        true
    }

    /// One write of the ledger becomes durable.
    pub(super) fn write(&mut self, id: u64) -> bool {
        let node = self.nodes.get_mut(&id).unwrap();
        if node.is_ledger_slow {
            return false;
        }
        let Some((block, metadata, is_config)) = node.writes.pop_front() else {
            return false;
        };
        let number = BlockNumber(block.header.as_ref().unwrap().number);
        assert_eq!(number.0, node.ledger.len() as u64);
        node.ledger.push((block.clone(), metadata));
        if !is_config {
            self.step(id, Event::Written { number });
            return true;
        }
        let config = self.config_after(id, &block);
        self.step(id, Event::ConfigApplied { number, config });
        true
    }

    fn config_after(&mut self, id: u64, block: &Block) -> ConfigInForce {
        let facts = config_facts::ConfigFacts::read(&block.data.as_ref().unwrap().data[0]).unwrap();
        let sequence = self.nodes[&id].config.sequence.0 + 1;
        let config = self.config(facts.consenters.unwrap(), sequence);
        self.nodes.get_mut(&id).unwrap().config = config.clone();
        config
    }

    /// Blocks come from whoever has them.
    fn pull(&mut self, id: u64) -> bool {
        let Some(through) = self.nodes[&id].catch_up else {
            return false;
        };
        let source = self.nodes.iter().find(|(other, node)| {
            **other != id && node.ledger.len() as u64 > through.0 && !self.cut.contains(&(**other, id))
        });
        let Some(source) = source.map(|(_, node)| node.ledger.clone()) else {
            return false;
        };
        let have = self.nodes[&id].ledger.len();
        for (block, metadata) in source.into_iter().skip(have) {
            if self.nodes[&id].ledger.len() as u64 > through.0 {
                break;
            }
            if block::is_config_block(&block) {
                self.config_after(id, &block);
            }
            self.nodes.get_mut(&id).unwrap().ledger.push((block, metadata));
        }
        let first = self
            .core(id)
            .unseen_from()
            .map_or(usize::MAX, |first| usize::try_from(first.0).unwrap());
        let unseen: Vec<_> = self.nodes[&id].ledger.iter().skip(first).cloned().collect();
        for (block, _) in unseen {
            self.step(id, Event::Pulled { block });
        }
        let node = self.nodes.get_mut(&id).unwrap();
        node.catch_up = None;
        let (tip, config) = (tip(&node.ledger), node.config.clone());
        self.step(id, Event::CaughtUp { tip, config });
        true
    }

    /// One message arrives, or is lost.
    pub(super) fn deliver(&mut self) -> bool {
        let Some((from, to, _, message)) = self.wire.pop_front() else {
            return false;
        };
        let runs = self.nodes.get(&to).is_some_and(|node| node.core.is_some());
        if runs && !self.cut.contains(&(from, to)) {
            let from = ConsenterId(from);
            self.step(to, Event::Received { from, message });
        }
        true
    }

    /// Time passes for all.
    pub(super) fn tick(&mut self, count: u64) {
        for _ in 0..count {
            let ids: Vec<_> = self.nodes.keys().copied().collect();
            for id in ids {
                self.step(id, Event::Tick);
            }
            self.run();
        }
    }

    /// One tick for all, in which nothing is pulled by `id`.
    pub(super) fn tick_without_pulling(&mut self, id: u64) {
        let others: Vec<_> = self.nodes.keys().copied().collect();
        for other in &others {
            self.step(*other, Event::Tick);
        }
        while self.nodes[&id].catch_up.is_none() {
            let worked = others.iter().any(|other| self.sync(*other) || self.write(*other));
            if !worked && !self.deliver() {
                return;
            }
        }
    }

    /// Time passes until all that run agree on a leader that is ready.
    pub(super) fn elect(&mut self) -> u64 {
        for _ in 0..20 * ELECTION {
            if let Some(leader) = self.leader() {
                return leader;
            }
            self.tick(1);
        }
        panic!("nobody leads");
    }

    /// Whom all that run follow.
    pub(super) fn leader(&self) -> Option<u64> {
        let running = self.nodes.values().filter_map(|node| node.core.as_ref());
        let said: BTreeSet<_> = running.map(|core| core.status().leader).collect();
        match said.into_iter().collect::<Vec<_>>()[..] {
            [Some(leader)] if self.nodes[&leader.0].core.is_some() => Some(leader.0),
            _ => None,
        }
    }

    /// The batch timer of a node runs out.
    pub(super) fn fire(&mut self, id: u64) {
        let token = self.nodes.get_mut(&id).unwrap().timer.take().unwrap();
        self.step(id, Event::BatchTimerFired { token });
        self.run();
    }

    /// Somebody who follows.
    pub(super) fn follower(&self) -> u64 {
        let leader = self.leader().unwrap();
        *self.nodes.keys().find(|id| **id != leader).unwrap()
    }

    /// Submits an envelope of that name; its ticket.
    pub(super) fn submit(&mut self, id: u64, name: &str) -> u64 {
        let sequence = self.nodes[&id].config.sequence.0;
        self.submit_as(id, normal(name, 100, sequence))
    }

    pub(super) fn submit_as(&mut self, id: u64, submission: Submission) -> u64 {
        let node = self.nodes.get_mut(&id).unwrap();
        node.tickets += 1;
        let ticket = node.tickets;
        self.step(
            id,
            Event::Submitted {
                ticket: TicketId(ticket),
                submission,
            },
        );
        ticket
    }

    /// Submits an envelope of that many bytes and lets it be ordered.
    pub(super) fn order_large(&mut self, id: u64, name: &str, bytes: usize) {
        let sequence = self.nodes[&id].config.sequence.0;
        self.submit_as(id, normal(name, bytes, sequence));
        self.tick(1);
    }

    /// Submits a config with these consenters.
    pub(super) fn reconfigure(&mut self, id: u64, consenters: Vec<Consenter>, name: &str) -> u64 {
        let config_seq = self.nodes[&id].config.sequence;
        let submission = Submission {
            envelope: config_envelope(consenters, true, name),
            kind: SubmissionKind::Config,
            config_seq,
        };
        self.submit_as(id, submission)
    }

    pub(super) fn told(&self, id: u64, ticket: u64) -> Option<Outcome> {
        self.nodes[&id].told.get(&ticket).cloned()
    }

    /// Names of the envelopes in a ledger, block by block; config blocks as `config`.
    pub(super) fn names(&self, id: u64) -> Vec<Vec<String>> {
        let blocks = self.nodes[&id].ledger.iter().skip(1);
        let names = blocks.map(|(block, _)| {
            if block::is_config_block(block) {
                return vec!["config".to_owned()];
            }
            block
                .data
                .as_ref()
                .unwrap()
                .data
                .iter()
                .map(testing::name)
                .collect()
        });
        names.collect()
    }

    /// Metadata of the newest block.
    pub(super) fn metadata(&self, id: u64) -> BlockMetadata {
        self.nodes[&id].ledger.last().unwrap().1.clone()
    }

    /// All ledgers are prefixes of the longest, and each links.
    pub(super) fn assert_no_fork(&self) {
        let longest = self.nodes.values().max_by_key(|node| node.ledger.len()).unwrap();
        for node in self.nodes.values() {
            assert_eq!(node.ledger, longest.ledger[..node.ledger.len()]);
        }
        for pair in longest.ledger.windows(2) {
            let [before, after] = pair else { continue };
            let hash = header_hash(before.0.header.as_ref().unwrap());
            assert_eq!(after.0.header.as_ref().unwrap().previous_hash[..], hash);
        }
    }
}

/// How a ledger begins.
fn origin(ledger: &[(Block, BlockMetadata)]) -> Origin {
    let hash = |(block, _): &(Block, BlockMetadata)| header_hash(block.header.as_ref().unwrap());
    Origin {
        genesis: hash(&ledger[0]),
        first: ledger.get(1).map(hash),
    }
}

pub(super) fn tip(ledger: &[(Block, BlockMetadata)]) -> Tip {
    let (block, metadata) = ledger.last().unwrap();
    let header = block.header.as_ref().unwrap();
    Tip {
        number: BlockNumber(header.number),
        hash: header_hash(header),
        metadata: metadata.clone(),
        entry: block.encode_to_vec().into(),
    }
}
