//! Who the members are: their ids beside their certificates, what blocks say of them, and the changes of raft's
//! voters that follow from it.
//!
//! ```text
//! config block committed ─> metadata with the new ids ─> ConfigApplied ─> ids are not the voters
//!      voters follow <── committed, applied <── leader proposes one change <──┘
//! ```

use bytes::Bytes;
use prost::Message as _;
use protos::ConsenterId;
use protos::wire::etcdraft::{BlockMetadata, Consenter};
use protos::wire::raftpb;

use super::config_facts::ConfigFacts;
use super::{Action, Notice, RaftCore, Turn};
use crate::consenter::ConsenterMetadata;
use crate::raft::log::{LogEntry, LogWrite, MembersAt};
use crate::raft::membership::MemberChange;
use crate::raft::node::Change;
use crate::transport::Peer;

/// The consenters of one config and what blocks say of them.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Membership {
    pub(super) consenters: Vec<Consenter>,
    /// In the same order.
    pub(super) ids: Vec<ConsenterId>,
    next_id: u64,
    /// As the newest block says it.
    raft_index: u64,
    /// False once the channel has moved to another consensus type.
    is_raft: bool,
}

impl Membership {
    /// What the newest block and the config in force say; an error if they do not fit each other.
    pub(super) fn new(consenters: Vec<Consenter>, metadata: &BlockMetadata) -> Result<Self, String> {
        let ids: Vec<_> = metadata.consenter_ids.iter().copied().map(ConsenterId).collect();
        if ids.len() != consenters.len() {
            return Err(format!(
                "the config has {} consenters, the newest block's metadata {}",
                consenters.len(),
                ids.len()
            ));
        }
        Ok(Self {
            consenters,
            ids,
            next_id: metadata.next_consenter_id,
            raft_index: metadata.raft_index,
            is_raft: true,
        })
    }

    /// What a block of normal envelopes from the entry at `index` carries.
    pub(super) fn of_block(&mut self, index: u64) -> ConsenterMetadata {
        self.raft_index = index;
        self.metadata()
    }

    /// The members after a config block from the entry at `index`. A block that writes `ConsensusType` carries the
    /// raft index of the block before it (`docs/spec/wire.md` §8).
    pub(super) fn after_config(&self, facts: Option<&ConfigFacts>, index: u64) -> Self {
        let mut after = self.clone();
        if !facts.is_some_and(|facts| facts.writes_consensus_type) {
            after.raft_index = index;
        }
        let Some(facts) = facts else {
            return after;
        };
        after.is_raft = facts.is_raft;
        if let Some(consenters) = &facts.consenters {
            after.renumber(consenters);
        }
        after
    }

    /// Those who stay keep their ids, a replaced certificate takes over the id, and who is new gets the next one.
    fn renumber(&mut self, new: &[Consenter]) {
        let rotated = match MemberChange::between(&self.consenters, &self.ids, new) {
            Ok(MemberChange::Rotate { id, index }) => Some((index, id)),
            _ => None,
        };
        let mut next = self.next_id;
        let id_of = |(place, consenter): (usize, &Consenter)| {
            let old = self
                .consenters
                .iter()
                .position(|old| old.client_tls_cert == consenter.client_tls_cert);
            let kept = old.and_then(|old| self.ids.get(old).copied());
            let rotated = rotated.filter(|(index, _)| *index == place).map(|(_, id)| id);
            kept.or(rotated).unwrap_or_else(|| {
                next += 1;
                ConsenterId(next - 1)
            })
        };
        let ids = new.iter().enumerate().map(id_of).collect();
        self.ids = ids;
        self.next_id = next;
        self.consenters = new.to_vec();
    }

    /// False once the channel has another consensus type.
    pub(super) fn is_raft(&self) -> bool {
        self.is_raft
    }

    /// What a block carries. Empty after a change of consensus type.
    pub(super) fn metadata(&self) -> ConsenterMetadata {
        if !self.is_raft {
            return ConsenterMetadata::default();
        }
        let metadata = BlockMetadata {
            consenter_ids: self.ids.iter().map(|id| id.0).collect(),
            next_consenter_id: self.next_id,
            raft_index: self.raft_index,
        };
        ConsenterMetadata(Bytes::from(metadata.encode_to_vec()))
    }

    /// What a config with these consenters would change for `id`, as far as `id` has to give way for it.
    pub(super) fn displaces(&self, id: ConsenterId, facts: &ConfigFacts) -> bool {
        let Some(new) = &facts.consenters else {
            return false;
        };
        matches!(
            MemberChange::between(&self.consenters, &self.ids, new),
            Ok(MemberChange::Remove { id: gone } | MemberChange::Rotate { id: gone, .. }) if gone == id
        )
    }

    /// The next step from `voters` to these members.
    pub(super) fn next_change(&self, voters: &[ConsenterId]) -> Option<Change> {
        let new = self.ids.iter().find(|id| !voters.contains(id));
        let gone = voters.iter().find(|id| !self.ids.contains(id));
        let add = new.copied().map(Change::Add);
        add.or(gone.copied().map(Change::Remove))
    }
}

/// What a membership entry says; none for one that says nothing we know.
pub(in crate::raft) fn read_change(data: &Bytes) -> Option<Change> {
    let change = raftpb::ConfChange::decode(data.clone()).ok()?;
    let id = ConsenterId(change.node_id);
    match raftpb::ConfChangeType::try_from(change.r#type) {
        Ok(raftpb::ConfChangeType::AddNode) => Some(Change::Add(id)),
        Ok(raftpb::ConfChangeType::RemoveNode) => Some(Change::Remove(id)),
        _ => None,
    }
}

/// The data of a membership entry, as the reference lays it out.
pub(in crate::raft) fn write_change(change: Change) -> Bytes {
    let (kind, id) = match change {
        Change::Add(id) => (raftpb::ConfChangeType::AddNode, id),
        Change::Remove(id) => (raftpb::ConfChangeType::RemoveNode, id),
    };
    let change = raftpb::ConfChange {
        id: 0,
        r#type: kind as i32,
        node_id: id.0,
        context: None,
    };
    change.encode_to_vec().into()
}

impl RaftCore {
    /// Applies a committed membership change.
    pub(super) fn apply_change(&mut self, entry: &LogEntry, turn: &mut Turn<'_>) {
        let Some(change) = read_change(&entry.data) else {
            return;
        };
        self.change_voters(change, entry.index, turn);
        if change == Change::Remove(self.node.id()) {
            self.leave(turn);
        }
    }

    /// Changes the voters as of the entry at `index`.
    pub(super) fn change_voters(&mut self, change: Change, index: u64, turn: &mut Turn<'_>) {
        let before = self.node.voters().to_vec();
        let voters = self.node.apply_change(change).to_vec();
        let members = MembersAt {
            index,
            voters: voters.clone(),
        };
        self.node.window_mut().set_voters(&voters);
        let write = LogWrite {
            members: Some(members),
            ..LogWrite::default()
        };
        self.persist(write, turn);
        if voters != before {
            turn.notice(Notice::MembersChanged { voters });
        }
        self.set_peers(turn);
    }

    /// This node is no member any more.
    pub(super) fn leave(&mut self, turn: &mut Turn<'_>) {
        self.fail_pending("this node is no consenter of the channel any more", turn);
        self.life = super::Life::Over;
        turn.push(Action::NotMember);
    }

    /// Tells who the others are, if that changed. Who is still a voter stays connected until raft has let it go, and
    /// whose certificate was replaced for a while under the old one: it has yet to learn of the config.
    pub(super) fn set_peers(&mut self, turn: &mut Turn<'_>) {
        let own = self.node.id();
        let members = self.members.ids.iter().zip(&self.members.consenters);
        let others = members.filter(|(id, _)| **id != own);
        let mut peers: Vec<_> = others.map(|(id, consenter)| peer(*id, consenter)).collect();
        let keeps_old = self.ticks < self.old_peers_until;
        for old in self.peers.iter().flatten() {
            match peers.iter_mut().find(|peer| peer.id == old.id) {
                Some(listed) if keeps_old => listed.clone_from(old),
                None if self.node.is_voter(old.id) => peers.push(old.clone()),
                Some(_) | None => {}
            }
        }
        if self.peers.as_ref() != Some(&peers) {
            self.peers = Some(peers.clone());
            self.contact.say_again();
            turn.push(Action::SetPeers(peers));
        }
    }

    /// True if `id` may speak to this member at all.
    pub(super) fn is_known(&self, id: ConsenterId) -> bool {
        self.peers.iter().flatten().any(|peer| peer.id == id)
    }
}

fn peer(id: ConsenterId, consenter: &Consenter) -> Peer {
    Peer {
        id,
        host: consenter.host.clone(),
        port: u16::try_from(consenter.port).unwrap_or(0),
        client_tls_cert: consenter.client_tls_cert.clone(),
        server_tls_cert: consenter.server_tls_cert.clone(),
    }
}
