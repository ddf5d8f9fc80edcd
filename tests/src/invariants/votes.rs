//! A member votes once in a term, and a node that lost its log does not vote.
//!
//! The first is what election safety of raft stands on. As to the second:
//! With the record of who it is still there, it says nothing that binds it, until it has another raft id. Without, it
//! grants no vote before it has anything of the leader's log again, unless the members are even in number, where its
//! vote alone cannot undo anything. Source: ADR 017.

use std::collections::BTreeMap;

use prost::Message as _;
use protos::ConsenterId;
use protos::wire::raftpb::{self, MessageType};

use super::Violation;

/// Votes that were given, and the nodes that lost their logs.
#[derive(Debug, Default)]
pub struct Votes {
    /// To whom each member gave its vote in each term.
    given: BTreeMap<(ConsenterId, u64), ConsenterId>,
    losses: BTreeMap<usize, Loss>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Loss {
    /// It knows as whom it has taken part, and must not any more.
    Known(ConsenterId),
    /// It knows nothing, and has no entry of a leader yet.
    Unknown,
}

impl Votes {
    /// `node` has lost its log, and still knows that it was `id`.
    pub fn lost_log(&mut self, node: usize, id: ConsenterId) {
        self.losses.insert(node, Loss::Known(id));
    }

    /// `node`, which was `id`, has lost everything: what it promised is forgotten (ADR 017 says what remains of that).
    pub fn lost_all(&mut self, node: usize, id: ConsenterId) {
        self.given.retain(|(voter, _), _| *voter != id);
        self.losses.insert(node, Loss::Unknown);
    }

    /// `node` has written an entry or a checkpoint to its log.
    pub fn has_log(&mut self, node: usize) {
        if self.losses.get(&node) == Some(&Loss::Unknown) {
            self.losses.remove(&node);
        }
    }

    /// `node`, as `id` of so many members, sends a raft message; answers whether it gives a vote.
    pub fn sent(
        &mut self,
        node: usize,
        id: ConsenterId,
        members: usize,
        payload: &[u8],
    ) -> Result<bool, Violation> {
        let message = raftpb::Message::decode(payload).map_err(|error| format!("votes: {error}"))?;
        self.votes_once(id, &message)?;
        let is_vote = vote_of(id, &message).is_some();
        let Some(loss) = self.losses.get(&node) else {
            return Ok(is_vote);
        };
        let kind = message.r#type();
        let binds = match loss {
            Loss::Known(former) => *former == id && kind != MessageType::PreVoteResp,
            Loss::Unknown => is_vote && members % 2 == 1,
        };
        if binds {
            return Err(format!(
                "votes: node {node} lost its log and sends {kind:?} as {id}"
            ));
        }
        Ok(is_vote)
    }

    fn votes_once(&mut self, id: ConsenterId, message: &raftpb::Message) -> Result<(), Violation> {
        let Some(vote) = vote_of(id, message) else {
            return Ok(());
        };
        let term = message.term;
        let first = *self.given.entry((id, term)).or_insert(vote);
        if first == vote {
            return Ok(());
        }
        Err(format!(
            "votes: {id} votes for {first} and for {vote} in term {term}"
        ))
    }
}

/// For whom `id` votes with this message.
fn vote_of(id: ConsenterId, message: &raftpb::Message) -> Option<ConsenterId> {
    match message.r#type() {
        MessageType::Vote => Some(id),
        MessageType::VoteResp if !message.reject => Some(ConsenterId(message.to)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: MessageType) -> Vec<u8> {
        raftpb::Message {
            r#type: kind as i32,
            ..raftpb::Message::default()
        }
        .encode_to_vec()
    }

    #[test]
    fn a_second_vote_in_a_term_is_told() {
        let vote = |to, term| {
            let mut message = raftpb::Message::default();
            message.set_type(MessageType::VoteResp);
            (message.to, message.term) = (to, term);
            message.encode_to_vec()
        };
        let mut votes = Votes::default();
        let mut send = |to, term| votes.sent(0, ConsenterId(1), 3, &vote(to, term));
        assert_eq!(
            [send(2, 5), send(2, 5), send(3, 6)],
            [Ok(true), Ok(true), Ok(true)]
        );
        assert!(
            send(3, 5)
                .unwrap_err()
                .contains("votes for 2 and for 3 in term 5")
        );
    }

    #[test]
    fn a_lost_log_binds_until_there_is_another() {
        let (vote, one) = (message(MessageType::VoteResp), ConsenterId(1));
        let mut votes = Votes::default();
        votes.sent(0, one, 3, &vote).unwrap();
        votes.lost_log(0, one);
        votes.lost_all(1, one);
        votes.has_log(0);
        assert!(votes.sent(0, one, 3, &vote).unwrap_err().contains("VoteResp"));
        votes.sent(0, ConsenterId(4), 3, &vote).unwrap();
        assert!(votes.sent(1, one, 3, &vote).is_err());
        votes.sent(1, one, 3, &message(MessageType::AppResp)).unwrap();
        votes.has_log(1);
        votes.sent(1, one, 3, &vote).unwrap();
    }
}
