//! What must hold of a message before raft-rs sees it.

use bytes::Bytes;
use prost::Message as _;
use protos::ConsenterId;
use protos::wire::common::Block;
use protos::wire::raftpb::{self, ConfChange, ConfChangeType, EntryType};
use raft::eraftpb::MessageType;

use super::{Incoming, What, from_wire};
use crate::raft::node::Node;

/// No message is larger. Above what the cluster service takes, so that only a wrong setting there meets it.
const MESSAGE_BYTES_MAX: usize = 128 << 20;

/// Terms and indexes of a running cluster stay far below; above, additions could overflow.
const NUMBER_MAX: u64 = 1 << 62;

/// How far ahead of ours a term may be. Terms count elections.
const TERM_JUMP_MAX: u64 = 1 << 32;

/// Why a message is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::raft) enum Refusal {
    #[error("message is {bytes} bytes, at most {MESSAGE_BYTES_MAX} are taken")]
    TooLarge { bytes: usize },
    #[error("message does not decode: {0}")]
    Decode(#[from] prost::DecodeError),
    #[error("message says it is from {claimed}, its sender is {from}")]
    WrongSender { claimed: u64, from: ConsenterId },
    #[error("message is to {to}, this is {own}")]
    WrongAddressee { to: ConsenterId, own: ConsenterId },
    #[error("message type {0} is not one that members send each other")]
    Type(i32),
    #[error("{what} {value} is out of range")]
    Range { what: &'static str, value: u64 },
    #[error("{leader} leads term {term}, not {from}")]
    SecondLeader {
        leader: ConsenterId,
        term: u64,
        from: ConsenterId,
    },
    #[error("entry {found} stands where entry {expected} must")]
    Gap { expected: u64, found: u64 },
    #[error("entry {index} has term {term}, after one of {before}, in a message of {of}")]
    EntryTerm {
        index: u64,
        term: u64,
        before: u64,
        of: u64,
    },
    #[error("entry {index} has type {kind}, which is not used")]
    EntryType { index: u64, kind: i32 },
    #[error("entry {index} is no membership change of one member")]
    ConfChange { index: u64 },
    #[error("entry {index} is no block")]
    NoBlock { index: u64 },
    #[error("entry {index} holds block {found}, block {expected} must follow")]
    BlockNumber { index: u64, found: u64, expected: u64 },
    #[error("entries or a snapshot where none belong")]
    Surplus,
    #[error("snapshot {0}")]
    Snapshot(&'static str),
    #[error("it confirms entry {index}, this leader's last is {last}")]
    Unsent { index: u64, last: u64 },
    /// Not a fault of the sender.
    #[error("the leader presumes entry {commit}, the last one here is {last}")]
    Lost { commit: u64, last: u64 },
}

type Checked = Result<(), Refusal>;

/// Reads a message of `from`, as its certificate says, and checks it against what `node` knows.
pub(in crate::raft) fn read(from: ConsenterId, payload: &Bytes, node: &Node) -> Result<Incoming, Refusal> {
    if payload.len() > MESSAGE_BYTES_MAX {
        let bytes = payload.len();
        return Err(Refusal::TooLarge { bytes });
    }
    let message = raftpb::Message::decode(payload.clone())?;
    check_addresses(from, &message, node)?;
    let (kind, what) = classify(message.r#type)?;
    check_ranges(&message, node)?;
    match what {
        What::Append => check_append(&message, node)?,
        What::Snapshot => check_snapshot(&message)?,
        _ if !message.entries.is_empty() || has_state(&message) => return Err(Refusal::Surplus),
        What::Heartbeat => check_heartbeat(&message, node)?,
        What::Response => check_response(&message, node)?,
        What::VoteRequest | What::VoteResponse | What::TimeoutNow => {}
    }
    let incoming = Incoming {
        what,
        term: message.term,
        commit: match &message.snapshot {
            Some(snapshot) => snapshot.metadata.as_ref().map_or(0, |metadata| metadata.index),
            None => message.commit,
        },
        message: from_wire(kind, message),
    };
    check_leader(from, &incoming, node)?;
    Ok(incoming)
}

fn check_addresses(from: ConsenterId, message: &raftpb::Message, node: &Node) -> Checked {
    if message.from != from.0 || from.0 == 0 {
        let claimed = message.from;
        return Err(Refusal::WrongSender { claimed, from });
    }
    let (to, own) = (ConsenterId(message.to), node.id());
    if to != own || from == own {
        return Err(Refusal::WrongAddressee { to, own });
    }
    Ok(())
}

/// Types of local use, of reads, of other versions and of forwarded proposals are not for the wire.
fn classify(kind: i32) -> Result<(MessageType, What), Refusal> {
    let known = raftpb::MessageType::try_from(kind).map_err(|_| Refusal::Type(kind))?;
    Ok(match known {
        raftpb::MessageType::App => (MessageType::MsgAppend, What::Append),
        raftpb::MessageType::AppResp => (MessageType::MsgAppendResponse, What::Response),
        raftpb::MessageType::Vote => (MessageType::MsgRequestVote, What::VoteRequest),
        raftpb::MessageType::VoteResp => (MessageType::MsgRequestVoteResponse, What::VoteResponse),
        raftpb::MessageType::PreVote => (MessageType::MsgRequestPreVote, What::VoteRequest),
        raftpb::MessageType::PreVoteResp => (MessageType::MsgRequestPreVoteResponse, What::VoteResponse),
        raftpb::MessageType::Snap => (MessageType::MsgSnapshot, What::Snapshot),
        raftpb::MessageType::Heartbeat => (MessageType::MsgHeartbeat, What::Heartbeat),
        raftpb::MessageType::HeartbeatResp => (MessageType::MsgHeartbeatResponse, What::Response),
        raftpb::MessageType::TimeoutNow => (MessageType::MsgTimeoutNow, What::TimeoutNow),
        _ => return Err(Refusal::Type(kind)),
    })
}

fn check_ranges(message: &raftpb::Message, node: &Node) -> Checked {
    let bounded = [
        ("index", message.index),
        ("log term", message.log_term),
        ("commit", message.commit),
        ("reject hint", message.reject_hint),
    ];
    let out = bounded.into_iter().find(|(_, value)| *value > NUMBER_MAX);
    let term_max = node.term().saturating_add(TERM_JUMP_MAX).min(NUMBER_MAX);
    let term = ("term", message.term);
    let bad_term = message.term == 0 || message.term > term_max;
    match out.or(bad_term.then_some(term)) {
        Some((what, value)) => Err(Refusal::Range { what, value }),
        None => Ok(()),
    }
}

fn has_state(message: &raftpb::Message) -> bool {
    let snapshot = message.snapshot.as_ref();
    let metadata = snapshot.and_then(|snapshot| snapshot.metadata.as_ref());
    // Older members write an empty one into every message.
    metadata.is_some_and(|metadata| metadata.index != 0)
}

/// A term has one leader, and only it sends what leaders send.
fn check_leader(from: ConsenterId, incoming: &Incoming, node: &Node) -> Checked {
    let speaks_as_leader = incoming.is_of_leader() || incoming.what == What::TimeoutNow;
    if !speaks_as_leader || incoming.term != node.term() {
        return Ok(());
    }
    match node.leader() {
        Some(leader) if leader != from => Err(Refusal::SecondLeader {
            leader,
            term: incoming.term,
            from,
        }),
        _ => Ok(()),
    }
}

fn check_append(message: &raftpb::Message, node: &Node) -> Checked {
    if has_state(message) {
        return Err(Refusal::Surplus);
    }
    let (index, log_term) = (message.index, message.log_term);
    if (index == 0) != (log_term == 0) || log_term > message.term {
        return Err(Refusal::Range {
            what: "log term",
            value: log_term,
        });
    }
    let mut before = log_term;
    // Only an entry of the leader's own log says which block comes next; ours may have to give way.
    let place = node.window().place(index).filter(|place| place.term == log_term);
    let mut number = place.map(|place| place.number);
    for (expected, entry) in (index + 1..).zip(&message.entries) {
        if entry.index != expected {
            let found = entry.index;
            return Err(Refusal::Gap { expected, found });
        }
        if entry.term < before.max(1) || entry.term > message.term {
            return Err(Refusal::EntryTerm {
                index: entry.index,
                term: entry.term,
                before,
                of: message.term,
            });
        }
        before = entry.term;
        check_entry(entry, &mut number)?;
    }
    Ok(())
}

/// `number` is that of the newest block before the entry, where it is known.
fn check_entry(entry: &raftpb::Entry, number: &mut Option<u64>) -> Checked {
    let index = entry.index;
    let data = entry.data.clone().unwrap_or_default();
    match EntryType::try_from(entry.r#type) {
        Ok(EntryType::Normal) if data.is_empty() => Ok(()),
        Ok(EntryType::Normal) => {
            let found = block_of(data).ok_or(Refusal::NoBlock { index })?;
            let expected = number.map_or(found, |number| number + 1);
            *number = Some(found);
            if found == expected {
                return Ok(());
            }
            Err(Refusal::BlockNumber {
                index,
                found,
                expected,
            })
        }
        Ok(EntryType::ConfChange) => check_conf_change(index, data),
        _ => Err(Refusal::EntryType {
            index,
            kind: entry.r#type,
        }),
    }
}

fn block_of(data: Bytes) -> Option<u64> {
    let block = Block::decode(data).ok()?;
    let is_filled = block.data.is_some_and(|data| !data.data.is_empty());
    let header = block.header.filter(|_| is_filled)?;
    (header.number <= NUMBER_MAX).then_some(header.number)
}

fn check_conf_change(index: u64, data: Bytes) -> Checked {
    let change = ConfChange::decode(data).ok();
    let is_used = change.is_some_and(|change| {
        let kind = ConfChangeType::try_from(change.r#type);
        change.node_id != 0 && matches!(kind, Ok(ConfChangeType::AddNode | ConfChangeType::RemoveNode))
    });
    if is_used {
        return Ok(());
    }
    Err(Refusal::ConfChange { index })
}

fn check_snapshot(message: &raftpb::Message) -> Checked {
    if !message.entries.is_empty() {
        return Err(Refusal::Surplus);
    }
    let snapshot = message.snapshot.as_ref();
    let snapshot = snapshot.ok_or(Refusal::Snapshot("is missing"))?;
    let metadata = snapshot.metadata.as_ref();
    let metadata = metadata.ok_or(Refusal::Snapshot("has no metadata"))?;
    if metadata.index == 0 || metadata.index > NUMBER_MAX {
        return Err(Refusal::Snapshot("has an index out of range"));
    }
    if metadata.term == 0 || metadata.term > message.term {
        return Err(Refusal::Snapshot("has a term out of range"));
    }
    check_voters(metadata.conf_state.as_ref())?;
    let block = block_of(snapshot.data.clone().unwrap_or_default());
    block.map(drop).ok_or(Refusal::Snapshot("holds no block"))
}

fn check_voters(state: Option<&raftpb::ConfState>) -> Checked {
    let state = state.ok_or(Refusal::Snapshot("names no voters"))?;
    let mut voters = state.voters.clone();
    voters.sort_unstable();
    voters.dedup();
    if voters.is_empty() || voters[0] == 0 || voters.len() != state.voters.len() {
        return Err(Refusal::Snapshot("has voters missing, doubled or without id"));
    }
    let is_plain = state.learners.is_empty()
        && state.voters_outgoing.is_empty()
        && state.learners_next.is_empty()
        && !state.auto_leave;
    if is_plain {
        return Ok(());
    }
    Err(Refusal::Snapshot("is in the middle of a change of members"))
}

/// A leader says as committed what this member confirmed to it, so it must be there.
fn check_heartbeat(message: &raftpb::Message, node: &Node) -> Checked {
    let (commit, last) = (message.commit, node.last_index());
    if message.term >= node.term() && commit > last {
        return Err(Refusal::Lost { commit, last });
    }
    Ok(())
}

/// A member confirms or refuses what this leader sent.
fn check_response(message: &raftpb::Message, node: &Node) -> Checked {
    let last = node.last_index();
    if !node.leads() || message.term != node.term() {
        return Ok(());
    }
    match message.index.max(message.reject_hint) {
        index if index > last => Err(Refusal::Unsent { index, last }),
        _ => Ok(()),
    }
}
