//! raft-rs behind our types: one `RawNode` over an in-memory [`Window`] of the log, driven asynchronously.
//!
//! ```text
//! tick, step, propose ──> RawNode ──> take_ready: Output { write, now, after, committed }
//!                            ^                       │ the core persists `write`, then releases `after`
//!        persisted(number) ──┘ <─────────────────────┘
//! ```
//!
//! raft-rs panics where it is used against its rules. What keeps them here: entries are in the window before
//! `advance_append_async`; readies are reported persisted in order; `applied` only moves over entries that a ready
//! gave out; nothing campaigns while entries are not persisted or a snapshot is not applied (the core says so through
//! `may_campaign`). What messages could break is checked in [`wire`](super::wire).

use bytes::Bytes;
use protos::ConsenterId;
use raft::eraftpb::{ConfChange, ConfChangeType, Entry, EntryType, Message, MessageType};
use raft::{Config, RawNode, SnapshotStatus, StateRole};
use slog::{Discard, Logger, o};

use super::core::write_change;
use super::log::{Checkpoint, EntryKind, HardState, LogEntry};
use super::wire::{Incoming, Outgoing, What, encode};

pub(super) mod window;

pub(super) use window::Window;

/// Most bytes of committed entries in one ready.
const COMMITTED_BYTES_MAX: u64 = 16 << 20;

/// How a node is set up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    pub(super) id: ConsenterId,
    /// Decides the election timeouts.
    pub(super) seed: u64,
    pub(super) election_ticks: usize,
    pub(super) heartbeat_ticks: usize,
    /// Bytes of entries in one append, one entry at least.
    pub(super) append_bytes_max: u64,
    /// Appends to one follower that it has not confirmed.
    pub(super) appends_max: usize,
}

/// A membership change of one entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Add(ConsenterId),
    Remove(ConsenterId),
}

/// What a tick led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ticked {
    Nothing,
    /// It led, and a majority was not heard for an election timeout.
    LostQuorum,
}

/// What raft wants done.
#[derive(Debug)]
pub(super) struct Output {
    /// To report to [`Node::persisted`].
    pub(super) number: u64,
    /// Entries over those at their places.
    pub(super) entries: Vec<LogEntry>,
    /// The latest, if it changed.
    pub(super) hard_state: Option<HardState>,
    /// Something a message may hang on is to be written: not only a commit index.
    pub(super) must_sync: bool,
    /// A leader's state that replaces the log.
    pub(super) snapshot: Option<Checkpoint>,
    /// May be sent at once.
    pub(super) now: Vec<Outgoing>,
    /// May be sent once this and everything before is durable.
    pub(super) after: Vec<Outgoing>,
    /// Committed, and durable here.
    pub(super) committed: Vec<LogEntry>,
}

/// One member's raft.
pub(super) struct Node {
    raw: RawNode<Window>,
    /// In rising order.
    voters: Vec<ConsenterId>,
    seed: u64,
    election_ticks: usize,
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Node")
            .field("term", &self.term())
            .field("leader", &self.leader())
            .field("commit", &self.commit())
            .field("last", &self.last_index())
            .finish_non_exhaustive()
    }
}

impl Node {
    /// A node over `window`, whose state is durable or about to be, with everything through `applied` applied.
    ///
    /// # Errors
    /// raft-rs finds the settings wrong, in words.
    pub(super) fn new(settings: &Settings, window: Window, applied: u64) -> Result<Self, String> {
        let config = Config {
            id: settings.id.0,
            election_tick: settings.election_ticks,
            heartbeat_tick: settings.heartbeat_ticks,
            applied,
            max_size_per_msg: settings.append_bytes_max,
            max_inflight_msgs: settings.appends_max,
            check_quorum: true,
            pre_vote: true,
            max_committed_size_per_ready: COMMITTED_BYTES_MAX,
            ..Config::default()
        };
        let raw = RawNode::new(&config, window, &Logger::root(Discard, o!()));
        let mut node = Self {
            raw: raw.map_err(|error| error.to_string())?,
            voters: Vec::new(),
            seed: settings.seed,
            election_ticks: settings.election_ticks,
        };
        node.voters = node.read_voters();
        node.set_timeout();
        Ok(node)
    }

    pub(super) fn id(&self) -> ConsenterId {
        ConsenterId(self.raw.raft.id)
    }

    pub(super) fn term(&self) -> u64 {
        self.raw.raft.term
    }

    pub(super) fn leader(&self) -> Option<ConsenterId> {
        Some(ConsenterId(self.raw.raft.leader_id)).filter(|id| id.0 != 0)
    }

    pub(super) fn leads(&self) -> bool {
        self.raw.raft.state == StateRole::Leader
    }

    /// True while it asks for votes that count; not yet while it asks whether it would get them.
    pub(super) fn is_candidate(&self) -> bool {
        self.raw.raft.state == StateRole::Candidate
    }

    pub(super) fn commit(&self) -> u64 {
        self.raw.raft.raft_log.committed
    }

    pub(super) fn last_index(&self) -> u64 {
        self.raw.raft.raft_log.last_index()
    }

    /// Up to where raft knows its log to be durable.
    pub(super) fn persisted_index(&self) -> u64 {
        self.raw.raft.raft_log.persisted
    }

    /// True when raft knows that everything in its log is durable.
    pub(super) fn is_all_persisted(&self) -> bool {
        self.persisted_index() == self.last_index()
    }

    pub(super) fn window(&self) -> &Window {
        self.raw.store()
    }

    pub(super) fn window_mut(&mut self) -> &mut Window {
        self.raw.mut_store()
    }

    /// In rising order.
    pub(super) fn voters(&self) -> &[ConsenterId] {
        &self.voters
    }

    fn read_voters(&self) -> Vec<ConsenterId> {
        sorted(self.raw.raft.prs().conf().to_conf_state().get_voters())
    }

    pub(super) fn is_voter(&self, id: ConsenterId) -> bool {
        self.raw.raft.prs().conf().voters().contains(id.0)
    }

    /// Up to where `id`'s log is known to be the same as this leader's.
    pub(super) fn matched(&self, id: ConsenterId) -> u64 {
        let progress = self.raw.raft.prs().get(id.0);
        progress.map_or(0, |progress| progress.matched)
    }

    /// To whom leadership is being handed.
    pub(super) fn transferee(&self) -> Option<ConsenterId> {
        self.raw.raft.lead_transferee.map(ConsenterId)
    }

    /// One tick. Without `may_campaign` time passes, but no election begins here.
    pub(super) fn tick(&mut self, may_campaign: bool) -> Ticked {
        let led = self.leads();
        if led || may_campaign {
            self.raw.tick();
        } else {
            let raft = &mut self.raw.raft;
            raft.election_elapsed += 1;
            if raft.pass_election_timeout() && raft.leader_id != 0 {
                let term = raft.term;
                raft.become_follower(term, 0);
            }
        }
        self.set_timeout();
        if led && !self.leads() {
            return Ticked::LostQuorum;
        }
        Ticked::Nothing
    }

    /// Begins an election, unless membership changes wait to be applied.
    pub(super) fn campaign(&mut self) {
        // Never an error: the message it makes is taken in any state.
        let _ = self.raw.campaign();
        self.set_timeout();
    }

    /// Takes a checked message. Answers of those who are no members are passed over.
    pub(super) fn step(&mut self, message: Incoming) {
        let may_restore = message.what == What::Snapshot;
        let _ = self.raw.step(message.into_message());
        if may_restore {
            self.voters = self.read_voters();
        }
        self.set_timeout();
    }

    /// Proposes a block; its place in the log, or none when this node may not propose now.
    pub(super) fn propose(&mut self, data: Bytes) -> Option<u64> {
        self.propose_entry(EntryType::EntryNormal, data)
    }

    /// Proposes a membership change; its place in the log, where raft puts an empty entry instead if another change
    /// is not applied yet.
    pub(super) fn propose_change(&mut self, change: Change) -> Option<u64> {
        self.propose_entry(EntryType::EntryConfChange, write_change(change))
    }

    fn propose_entry(&mut self, kind: EntryType, data: Bytes) -> Option<u64> {
        let mut entry = Entry::default();
        entry.set_entry_type(kind);
        entry.data = data;
        let mut message = Message::default();
        message.set_msg_type(MessageType::MsgPropose);
        message.from = self.raw.raft.id;
        message.set_entries(vec![entry].into());
        if !self.leads() {
            return None; // raft would forward it
        }
        self.raw.step(message).ok()?;
        Some(self.last_index())
    }

    /// Applies a committed membership change; the voters then. One that raft refuses, such as the removal of the
    /// last voter, changes nothing, here as everywhere.
    pub(super) fn apply_change(&mut self, change: Change) -> &[ConsenterId] {
        let _ = self.raw.apply_conf_change(&conf_change(change));
        self.voters = self.read_voters();
        if self.leads() && !self.is_voter(self.id()) {
            // raft-rs would go on leading, and panic for lack of its own progress.
            self.step_down();
        }
        self.set_timeout();
        self.voters()
    }

    /// Leads no more, in the same term.
    pub(super) fn step_down(&mut self) {
        let term = self.term();
        self.raw.raft.become_follower(term, 0);
        self.set_timeout();
    }

    /// Hands leadership to `to`, which raft gives up after an election timeout.
    pub(super) fn transfer(&mut self, to: ConsenterId) {
        self.raw.transfer_leader(to.0);
    }

    /// Messages to `id` were lost.
    pub(super) fn unreachable(&mut self, id: ConsenterId) {
        self.raw.report_unreachable(id.0);
    }

    /// Every write through the output of this number is durable. In order.
    pub(super) fn persisted(&mut self, number: u64) {
        self.raw.on_persist_ready(number);
    }

    /// Everything through `index` is applied; only over what an output gave out, and after it was persisted.
    pub(super) fn applied_to(&mut self, index: u64) {
        if index > self.raw.raft.raft_log.applied {
            self.raw.advance_apply_to(index);
        }
    }

    pub(super) fn has_ready(&self) -> bool {
        self.raw.has_ready()
    }

    /// What raft wants done now.
    pub(super) fn take_ready(&mut self) -> Output {
        let mut ready = self.raw.ready();
        let snapshot = (!ready.snapshot().is_empty()).then(|| super::wire::checkpoint(ready.snapshot()));
        let entries = ready.take_entries();
        let window = self.raw.mut_store();
        if let Some(snapshot) = &snapshot {
            window.restart_at(snapshot);
        }
        let output = Output {
            number: ready.number(),
            hard_state: ready.hs().map(|state| HardState {
                term: state.term,
                vote: state.vote,
                commit: state.commit,
            }),
            must_sync: ready.must_sync(),
            snapshot,
            now: encode_all(ready.take_messages()),
            after: encode_all(ready.take_persisted_messages()),
            committed: ready
                .take_committed_entries()
                .into_iter()
                .map(log_entry)
                .collect(),
            entries: entries.iter().cloned().map(log_entry).collect(),
        };
        window.append(entries);
        self.raw.advance_append_async(ready);
        for sent in output.now.iter().chain(&output.after) {
            if sent.is_snapshot {
                // If it is lost, the next probe finds out and it is sent again.
                self.raw.report_snapshot(sent.to.0, SnapshotStatus::Finish);
            }
        }
        output
    }

    /// Election timeouts come from (seed, id, term), never from raft-rs's thread RNG.
    fn set_timeout(&mut self) {
        let range = self.election_ticks as u64;
        let mixed = mix(self.seed ^ mix(self.raw.raft.id) ^ mix(self.term()).rotate_left(17));
        let timeout = range + mixed % range;
        let timeout = usize::try_from(timeout).unwrap_or(self.election_ticks);
        self.raw.raft.set_randomized_election_timeout(timeout);
    }
}

/// Spreads the bits of a number.
pub(super) fn mix(value: u64) -> u64 {
    let mut mixed = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

fn sorted(ids: &[u64]) -> Vec<ConsenterId> {
    let mut ids: Vec<_> = ids.iter().copied().map(ConsenterId).collect();
    ids.sort_unstable();
    ids
}

fn conf_change(change: Change) -> ConfChange {
    let mut conf_change = ConfChange::default();
    let (kind, id) = match change {
        Change::Add(id) => (ConfChangeType::AddNode, id),
        Change::Remove(id) => (ConfChangeType::RemoveNode, id),
    };
    conf_change.set_change_type(kind);
    conf_change.node_id = id.0;
    conf_change
}

fn encode_all(messages: Vec<Message>) -> Vec<Outgoing> {
    messages.into_iter().map(encode).collect()
}

fn log_entry(entry: Entry) -> LogEntry {
    LogEntry {
        index: entry.index,
        term: entry.term,
        kind: match entry.get_entry_type() {
            EntryType::EntryNormal => EntryKind::Normal,
            EntryType::EntryConfChange | EntryType::EntryConfChangeV2 => EntryKind::ConfChange,
        },
        data: entry.data,
    }
}
