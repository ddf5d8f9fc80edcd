//! Messages between raft members: `raftpb` on the wire, raft-rs inside; and the checks between the two.
//!
//! raft-rs trusts what it is given: a message out of a broken or foreign program can make it panic. So each message
//! is read, compared with what this member knows ([`check`]) and only then made one of raft-rs. Formats:
//! `docs/spec/wire.md` §12. Block bytes are shared with what was received, never copied; sending copies them once for
//! each receiver, since receiver and commit stand in front of them.

use bytes::Bytes;
use prost::Message as _;
use protos::wire::raftpb;
use protos::{BlockNumber, ConsenterId};
use raft::eraftpb::{ConfState, Entry, EntryType, Message, MessageType, Snapshot};

use super::log::Checkpoint;
use super::node::window::block_number;
use crate::transport::MessageKind;

mod check;
#[cfg(test)]
mod tests;

pub(super) use check::{Refusal, read};

/// A message on its way to another member.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Outgoing {
    pub(super) to: ConsenterId,
    pub(super) kind: MessageKind,
    /// Serialized `raftpb.Message`.
    pub(super) payload: Bytes,
    pub(super) is_snapshot: bool,
}

/// A message of another member that was checked.
#[derive(Debug)]
pub(super) struct Incoming {
    message: Message,
    pub(super) what: What,
    pub(super) term: u64,
    /// What it says is committed; for an append or snapshot in the whole cluster.
    pub(super) commit: u64,
}

/// What a message is about, as far as the core cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    Append,
    Heartbeat,
    Snapshot,
    /// For a vote, or for the promise of one.
    VoteRequest,
    VoteResponse,
    /// To an append or heartbeat.
    Response,
    /// The leader hands over.
    TimeoutNow,
}

impl Incoming {
    pub(super) fn into_message(self) -> Message {
        self.message
    }

    /// Only a leader sends this.
    pub(super) fn is_of_leader(&self) -> bool {
        matches!(self.what, What::Append | What::Heartbeat | What::Snapshot)
    }
}

/// Lays out a message of raft-rs for the wire.
pub(super) fn encode(message: Message) -> Outgoing {
    let to = ConsenterId(message.to);
    let what = message.get_msg_type();
    let kind = match what {
        MessageType::MsgAppend | MessageType::MsgSnapshot => MessageKind::Append,
        _ => MessageKind::Heartbeat,
    };
    Outgoing {
        to,
        kind,
        payload: to_wire(message).encode_to_vec().into(),
        is_snapshot: what == MessageType::MsgSnapshot,
    }
}

fn to_wire(mut message: Message) -> raftpb::Message {
    let snapshot = message.snapshot.take().filter(|snapshot| !snapshot.is_empty());
    raftpb::Message {
        r#type: message.get_msg_type() as i32,
        to: message.to,
        from: message.from,
        term: message.term,
        log_term: message.log_term,
        index: message.index,
        entries: message.take_entries().into_iter().map(entry_to_wire).collect(),
        commit: message.commit,
        snapshot: snapshot.map(snapshot_to_wire),
        reject: message.reject,
        reject_hint: message.reject_hint,
        context: Some(message.take_context()).filter(|context| !context.is_empty()),
        vote: 0,
        responses: Vec::new(),
    }
}

fn entry_to_wire(entry: Entry) -> raftpb::Entry {
    raftpb::Entry {
        r#type: entry.get_entry_type() as i32,
        term: entry.term,
        index: entry.index,
        data: Some(entry.data).filter(|data| !data.is_empty()),
    }
}

fn snapshot_to_wire(mut snapshot: Snapshot) -> raftpb::Snapshot {
    let mut metadata = snapshot.take_metadata();
    raftpb::Snapshot {
        data: Some(snapshot.data),
        metadata: Some(raftpb::SnapshotMetadata {
            conf_state: Some(raftpb::ConfState {
                voters: metadata.take_conf_state().take_voters(),
                ..raftpb::ConfState::default()
            }),
            index: metadata.index,
            term: metadata.term,
        }),
    }
}

/// Makes a message that was checked one of raft-rs.
fn from_wire(what: MessageType, message: raftpb::Message) -> Message {
    let mut out = Message::default();
    out.set_msg_type(what);
    out.to = message.to;
    out.from = message.from;
    out.term = message.term;
    out.log_term = message.log_term;
    out.index = message.index;
    out.commit = message.commit;
    out.reject = message.reject;
    out.reject_hint = message.reject_hint;
    if matches!(what, MessageType::MsgRequestVote | MessageType::MsgRequestPreVote) {
        out.context = message.context.unwrap_or_default();
    }
    let entries: Vec<_> = message.entries.into_iter().map(entry_from_wire).collect();
    out.set_entries(entries.into());
    if let Some(snapshot) = message.snapshot.filter(|_| what == MessageType::MsgSnapshot) {
        out.set_snapshot(snapshot_from_wire(snapshot));
    }
    out
}

fn entry_from_wire(entry: raftpb::Entry) -> Entry {
    let mut out = Entry::default();
    out.set_entry_type(match entry.r#type() {
        raftpb::EntryType::Normal => EntryType::EntryNormal,
        raftpb::EntryType::ConfChange | raftpb::EntryType::ConfChangeV2 => EntryType::EntryConfChange,
    });
    out.term = entry.term;
    out.index = entry.index;
    out.data = entry.data.unwrap_or_default();
    out
}

fn snapshot_from_wire(snapshot: raftpb::Snapshot) -> Snapshot {
    let metadata = snapshot.metadata.unwrap_or_default();
    let mut out = Snapshot {
        data: snapshot.data.unwrap_or_default(),
        ..Snapshot::default()
    };
    let mut conf_state = ConfState::default();
    conf_state.set_voters(metadata.conf_state.unwrap_or_default().voters);
    let place = out.mut_metadata();
    place.set_conf_state(conf_state);
    place.index = metadata.index;
    place.term = metadata.term;
    out
}

/// A leader's state that was checked, as the log keeps it.
pub(super) fn checkpoint(snapshot: &Snapshot) -> Checkpoint {
    let metadata = snapshot.get_metadata();
    let voters = metadata.get_conf_state().get_voters();
    Checkpoint {
        index: metadata.index,
        term: metadata.term,
        voters: voters.iter().copied().map(ConsenterId).collect(),
        block_number: BlockNumber(block_number(&snapshot.data).unwrap_or(0)),
        block: snapshot.data.clone(),
    }
}
