//! Who was heard of lately: the active members that a leader tells, and what a member without leader knows.

use std::collections::BTreeMap;

use bytes::Bytes;
use prost::Message as _;
use protos::ConsenterId;
use protos::wire::etcdraft::ClusterMetadata;

use super::{Notice, RaftCore, Turn};

/// Ticks for which a leader's list must not change before it is told.
const STABLE_TICKS: u32 = 4;

/// A tracker of messages.
#[derive(Debug, Default)]
pub(super) struct Contact {
    /// The tick of the last message of each.
    heard: BTreeMap<ConsenterId, u64>,
    /// Since when nobody leads.
    leaderless_since: u64,
    /// A leader's list of this tick, and for how many it has been the same.
    list: Vec<ConsenterId>,
    stable: u32,
    /// A leader's list as it was told last, with the tick.
    told: Vec<ConsenterId>,
    told_at: u64,
    /// Serialized `etcdraft.ClusterMetadata`, and who has it.
    metadata: Bytes,
    told_to: Vec<ConsenterId>,
    /// What the leader told this follower, and whether that is to be said in the log although nothing changed.
    received: Vec<ConsenterId>,
    is_said_again: bool,
}

impl Contact {
    pub(super) fn hear(&mut self, from: ConsenterId, tick: u64) {
        self.heard.insert(from, tick);
    }

    pub(super) fn is_heard(&self, id: ConsenterId, since: u64) -> bool {
        self.heard.get(&id).is_some_and(|tick| *tick >= since)
    }

    /// Forgets what the last leader told, and counts from `tick` if there is none now.
    pub(super) fn leader_changed(&mut self, tick: u64) {
        self.leaderless_since = tick;
        self.received.clear();
        self.list.clear();
        self.told.clear();
        self.metadata = Bytes::new();
        self.stable = 0;
    }

    /// The members change: whoever waits for the list after that should find it, whatever it is.
    pub(super) fn say_again(&mut self) {
        self.is_said_again = true;
    }

    /// `ClusterMetadata` for the next message to `to`: once after each change.
    pub(super) fn metadata_for(&mut self, to: ConsenterId) -> Bytes {
        if self.metadata.is_empty() || self.told_to.contains(&to) {
            return Bytes::new();
        }
        self.told_to.push(to);
        self.metadata.clone()
    }
}

impl RaftCore {
    /// Who was heard of within an election timeout, this member first.
    pub(super) fn heard_lately(&self) -> Vec<ConsenterId> {
        let since = self.ticks.saturating_sub(self.election_ticks());
        let others = self.peers.iter().flatten().map(|peer| peer.id);
        let heard = others.filter(|id| self.contact.is_heard(*id, since));
        std::iter::once(self.node.id()).chain(heard).collect()
    }

    /// A leader's tick: its list of active members is told when it has been stable, after a change and from time to
    /// time, since a follower that was restarted has forgotten it.
    pub(super) fn refresh_active(&mut self, turn: &mut Turn<'_>) {
        if !self.node.leads() {
            return;
        }
        let list = self.heard_lately();
        let (ticks, again) = (self.ticks, self.election_ticks());
        let contact = &mut self.contact;
        if list != contact.list {
            contact.list = list;
            contact.stable = 0;
            return;
        }
        contact.stable += 1;
        let is_due = contact.list != contact.told || ticks - contact.told_at >= again;
        if contact.stable < STABLE_TICKS || !is_due {
            return;
        }
        contact.told = contact.list.clone();
        contact.told_at = ticks;
        contact.told_to.clear();
        let metadata = ClusterMetadata {
            active_nodes: contact.list.iter().map(|id| id.0).collect(),
        };
        contact.metadata = metadata.encode_to_vec().into();
        let active = contact.list.clone();
        turn.notice(Notice::ActiveNodes(active));
    }

    /// What the leader says of who is active: again and again the same, mostly, which is not worth a word.
    pub(super) fn take_active(&mut self, from: ConsenterId, metadata: &Bytes, turn: &mut Turn<'_>) {
        if metadata.is_empty() || self.node.leader() != Some(from) {
            return;
        }
        let Ok(metadata) = ClusterMetadata::decode(metadata.clone()) else {
            return self.refuse(from, "cluster metadata does not decode", turn);
        };
        let active: Vec<_> = metadata.active_nodes.into_iter().map(ConsenterId).collect();
        let is_said_again = std::mem::take(&mut self.contact.is_said_again);
        if active != self.contact.received || is_said_again {
            self.contact.received.clone_from(&active);
            turn.notice(Notice::ActiveNodesReceived(active));
        }
    }

    /// The active members, as far as this one knows.
    pub(super) fn active(&self) -> Vec<ConsenterId> {
        if self.node.leads() {
            return self.heard_lately();
        }
        self.contact.received.clone()
    }

    /// How many members this one has heard of lately, itself included.
    pub(super) fn answering(&self) -> usize {
        let heard = self.heard_lately();
        self.members.ids.iter().filter(|id| heard.contains(id)).count()
    }

    /// Why nobody leads, in words, and whether that is known to be for lack of a majority.
    pub(super) fn no_leader_reason(&self) -> (String, bool) {
        let members = self.members.ids.len();
        let answering = self.answering();
        let quorum = members / 2 + 1;
        if answering < quorum {
            let waited = self.ticks - self.contact.leaderless_since;
            let is_known = self.has_lost_quorum || waited >= 2 * self.election_ticks();
            let reason = format!("{answering} of {members} consenters answer, {quorum} are needed");
            return (reason, is_known);
        }
        ("an election is under way".to_owned(), false)
    }
}
