use bytes::Bytes;
use proptest::prelude::*;
use prost::Message as _;
use protos::block;
use protos::wire::raftpb::{
    self, ConfChange, ConfState, Entry, MessageType as Type, Snapshot, SnapshotMetadata,
};
use protos::{BlockNumber, ConsenterId};

use super::*;
use crate::raft::log::{EntryKind, HardState, LogEntry};
use crate::raft::node::window::{Place, Window};
use crate::raft::node::{Node, Settings};

const OWN: ConsenterId = ConsenterId(1);
const PEER: ConsenterId = ConsenterId(2);
const OTHER: ConsenterId = ConsenterId(3);

fn block_bytes(number: u64) -> Bytes {
    let entries = vec![Bytes::from_static(b"envelope")];
    block::next(BlockNumber(number), &[7; 32], entries)
        .encode_to_vec()
        .into()
}

/// A follower in term 2 of members 1 to 3, whose entries 4 to 6 are blocks 1 to 3, 5 of them committed.
fn follower() -> Node {
    let settings = Settings {
        id: OWN,
        seed: 1,
        election_ticks: 10,
        heartbeat_ticks: 1,
        append_bytes_max: 1 << 20,
        appends_max: 5,
    };
    let base = Place {
        index: 3,
        term: 1,
        number: 0,
    };
    let entries = (4..=6).map(|index| LogEntry {
        index,
        term: 2,
        kind: EntryKind::Normal,
        data: block_bytes(index - 3),
    });
    let state = HardState {
        term: 2,
        vote: 0,
        commit: 5,
    };
    let voters = [OWN, PEER, OTHER];
    Node::new(&settings, Window::new(base, entries.collect(), state, &voters), 3).unwrap()
}

/// The same, elected in term 3.
fn leader() -> Node {
    let mut node = follower();
    settle(&mut node);
    node.campaign();
    for kind in [Type::PreVoteResp, Type::VoteResp] {
        settle(&mut node);
        let answer = message(kind, |vote| vote.term = 3);
        step(&mut node, PEER, &answer).unwrap();
    }
    settle(&mut node);
    assert!(node.leads());
    node
}

/// Everything raft wants is durable at once.
fn settle(node: &mut Node) {
    while node.has_ready() {
        let output = node.take_ready();
        node.persisted(output.number);
        if let Some(last) = output.committed.last() {
            node.applied_to(last.index);
        }
    }
}

fn message(kind: Type, change: impl FnOnce(&mut raftpb::Message)) -> raftpb::Message {
    let mut message = raftpb::Message {
        r#type: kind as i32,
        to: OWN.0,
        from: PEER.0,
        term: 2,
        ..raftpb::Message::default()
    };
    change(&mut message);
    message
}

fn step(node: &mut Node, from: ConsenterId, message: &raftpb::Message) -> Result<(), Refusal> {
    let incoming = read(from, &message.encode_to_vec().into(), node)?;
    node.step(incoming);
    settle(node);
    Ok(())
}

fn refusal(message: &raftpb::Message) -> String {
    step(&mut follower(), PEER, message).unwrap_err().to_string()
}

fn entry(index: u64, term: u64, number: u64) -> Entry {
    Entry {
        r#type: 0,
        term,
        index,
        data: Some(block_bytes(number)),
    }
}

fn append(entries: Vec<Entry>) -> raftpb::Message {
    message(Type::App, |append| {
        append.index = 6;
        append.log_term = 2;
        append.entries = entries;
        append.commit = 6;
    })
}

fn change_entry(kind: i32, id: u64) -> Entry {
    let change = ConfChange {
        id: 0,
        r#type: kind,
        node_id: id,
        context: None,
    };
    Entry {
        r#type: 1,
        term: 2,
        index: 7,
        data: Some(change.encode_to_vec().into()),
    }
}

fn snapshot(voters: &[u64]) -> Snapshot {
    Snapshot {
        data: Some(block_bytes(9)),
        metadata: Some(SnapshotMetadata {
            conf_state: Some(ConfState {
                voters: voters.to_vec(),
                ..ConfState::default()
            }),
            index: 20,
            term: 2,
        }),
    }
}

fn snap(state: Option<Snapshot>) -> raftpb::Message {
    message(Type::Snap, |snap| snap.snapshot = state)
}

#[test]
fn a_good_append_is_taken() {
    let mut node = follower();
    step(&mut node, PEER, &append(vec![entry(7, 2, 4), entry(8, 2, 5)])).unwrap();
    assert_eq!((node.last_index(), node.commit()), (8, 6));
}

#[test]
fn what_is_sent_reads_as_it_was() {
    let mut node = leader();
    let confirmation = message(Type::AppResp, |answer| (answer.term, answer.index) = (3, 7));
    step(&mut node, PEER, &confirmation).unwrap();
    node.propose(block_bytes(4)).unwrap();
    let output = node.take_ready();
    let sent = output.now.iter().find(|sent| sent.to == PEER).unwrap();
    assert_eq!(sent.kind, MessageKind::Append);
    let wire = raftpb::Message::decode(sent.payload.clone()).unwrap();
    assert_eq!(wire.encode_to_vec(), sent.payload);
    assert_eq!(wire.entries.last().unwrap().data, Some(block_bytes(4)));
}

#[test]
fn fields_of_value_zero_are_written() {
    let message = to_wire(Message::default()).encode_to_vec();
    let mut expected = Vec::new();
    for tag in [1, 2, 3, 4, 5, 6, 8, 10, 11, 13] {
        expected.extend([tag << 3, 0]);
    }
    assert_eq!(message, expected);
}

#[test]
fn a_message_that_does_not_decode_is_refused() {
    let error = read(PEER, &Bytes::from_static(b"\xff\xff"), &follower()).unwrap_err();
    assert!(
        error.to_string().starts_with("message does not decode"),
        "{error}"
    );
}

#[test]
fn an_oversized_message_is_refused() {
    let payload = Bytes::from(vec![0; (128 << 20) + 1]);
    let error = read(PEER, &payload, &follower()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "message is 134217729 bytes, at most 134217728 are taken"
    );
}

#[test]
fn a_sender_speaks_for_itself() {
    let heartbeat = message(Type::Heartbeat, |heartbeat| heartbeat.from = 3);
    assert_eq!(refusal(&heartbeat), "message says it is from 3, its sender is 2");
}

#[test]
fn a_message_to_another_id_is_refused() {
    let heartbeat = message(Type::Heartbeat, |heartbeat| heartbeat.to = 5);
    assert_eq!(refusal(&heartbeat), "message is to 5, this is 1");
}

#[test]
fn types_that_members_do_not_send_are_refused() {
    for kind in [0, 1, 2, 10, 11, 12, 13, 15, 16, 19, 20, 21, 22, 23, 24, -1] {
        let message = message(Type::Hup, |message| message.r#type = kind);
        let expected = format!("message type {kind} is not one that members send each other");
        assert_eq!(refusal(&message), expected);
    }
}

#[test]
fn numbers_out_of_range_are_refused() {
    type Change = fn(&mut raftpb::Message);
    let cases: [(Change, &str); 7] = [
        (|m| m.term = 0, "term 0 is out of range"),
        (|m| m.term = u64::MAX, "term 18446744073709551615 is out of range"),
        (
            |m| m.index = u64::MAX,
            "index 18446744073709551615 is out of range",
        ),
        (
            |m| m.commit = u64::MAX,
            "commit 18446744073709551615 is out of range",
        ),
        (|m| m.index = 9, "log term 0 is out of range"),
        (|m| m.log_term = 1, "log term 1 is out of range"),
        (|m| (m.index, m.log_term) = (9, 3), "log term 3 is out of range"),
    ];
    for (change, expected) in cases {
        assert_eq!(refusal(&message(Type::App, change)), expected);
    }
}

#[test]
fn a_gap_in_the_entries_is_refused() {
    let gap = append(vec![entry(7, 2, 4), entry(9, 2, 5)]);
    assert_eq!(refusal(&gap), "entry 9 stands where entry 8 must");
    let ahead = append(vec![entry(8, 2, 4)]);
    assert_eq!(refusal(&ahead), "entry 8 stands where entry 7 must");
}

#[test]
fn falling_and_future_terms_of_entries_are_refused() {
    let falling = append(vec![entry(7, 1, 4)]);
    assert_eq!(
        refusal(&falling),
        "entry 7 has term 1, after one of 2, in a message of 2"
    );
    let future = append(vec![entry(7, 3, 4)]);
    assert_eq!(
        refusal(&future),
        "entry 7 has term 3, after one of 2, in a message of 2"
    );
}

#[test]
fn blocks_that_do_not_follow_are_refused() {
    let skipped = append(vec![entry(7, 2, 5)]);
    assert_eq!(refusal(&skipped), "entry 7 holds block 5, block 4 must follow");
    let replayed = append(vec![entry(7, 2, 4), entry(8, 2, 4)]);
    assert_eq!(refusal(&replayed), "entry 8 holds block 4, block 5 must follow");
}

#[test]
fn an_own_entry_that_gives_way_says_nothing_about_the_blocks_that_follow() {
    let mut node = follower();
    let append = message(Type::App, |append| {
        (append.term, append.index, append.log_term) = (4, 6, 3);
        append.entries = vec![entry(7, 3, 9)];
    });
    step(&mut node, PEER, &append).unwrap();
    assert_eq!(node.last_index(), 6, "raft asks for what is before");
}

#[test]
fn entries_that_are_no_blocks_are_refused() {
    let mut rubbish = entry(7, 2, 4);
    rubbish.data = Some(Bytes::from_static(b"\x0a\xff"));
    assert_eq!(refusal(&append(vec![rubbish])), "entry 7 is no block");
    let mut headless = entry(7, 2, 4);
    headless.data = Some(Bytes::from_static(b"\x12\x00"));
    assert_eq!(refusal(&append(vec![headless])), "entry 7 is no block");
}

#[test]
fn only_changes_of_one_voter_are_taken() {
    for (kind, id) in [(2, 4), (3, 4), (0, 0), (9, 4)] {
        let append = append(vec![change_entry(kind, id)]);
        assert_eq!(refusal(&append), "entry 7 is no membership change of one member");
    }
    for kind in [2, 7] {
        let mut entry = change_entry(0, 4);
        entry.r#type = kind;
        let expected = format!("entry 7 has type {kind}, which is not used");
        assert_eq!(refusal(&append(vec![entry])), expected);
    }
    step(&mut follower(), PEER, &append(vec![change_entry(0, 4)])).unwrap();
}

#[test]
fn a_term_has_one_leader() {
    let mut node = follower();
    step(&mut node, PEER, &message(Type::Heartbeat, |_| {})).unwrap();
    for kind in [Type::Heartbeat, Type::App, Type::TimeoutNow] {
        let second = message(kind, |second| second.from = OTHER.0);
        let error = step(&mut node, OTHER, &second).unwrap_err();
        assert_eq!(error.to_string(), "2 leads term 2, not 3");
    }
}

#[test]
fn a_heartbeat_that_presumes_what_is_not_there_means_a_lost_log() {
    let heartbeat = message(Type::Heartbeat, |heartbeat| heartbeat.commit = 7);
    let error = step(&mut follower(), PEER, &heartbeat).unwrap_err();
    assert_eq!(error, Refusal::Lost { commit: 7, last: 6 });
    let old = message(Type::Heartbeat, |heartbeat| {
        (heartbeat.term, heartbeat.commit) = (1, 7);
    });
    step(&mut follower(), PEER, &old).unwrap();
}

#[test]
fn a_leader_believes_no_confirmation_of_what_it_did_not_send() {
    for change in [
        |m: &mut raftpb::Message| m.index = 99,
        |m: &mut raftpb::Message| {
            (m.reject, m.reject_hint) = (true, 99);
        },
    ] {
        let answer = message(Type::AppResp, |answer| {
            answer.term = 3;
            change(answer);
        });
        let error = step(&mut leader(), PEER, &answer).unwrap_err();
        assert_eq!(error, Refusal::Unsent { index: 99, last: 7 });
    }
}

#[test]
fn broken_snapshots_are_refused() {
    let mut learners = snapshot(&[1, 2]);
    learners
        .metadata
        .as_mut()
        .unwrap()
        .conf_state
        .as_mut()
        .unwrap()
        .learners = vec![3];
    let mut no_block = snapshot(&[1, 2]);
    no_block.data = Some(Bytes::from_static(b"state"));
    let mut no_index = snapshot(&[1, 2]);
    no_index.metadata.as_mut().unwrap().index = 0;
    let mut future = snapshot(&[1, 2]);
    future.metadata.as_mut().unwrap().term = 9;
    for (state, expected) in [
        (None, "snapshot is missing"),
        (Some(Snapshot::default()), "snapshot has no metadata"),
        (Some(no_index), "snapshot has an index out of range"),
        (Some(future), "snapshot has a term out of range"),
        (Some(no_block), "snapshot holds no block"),
        (Some(learners), "snapshot is in the middle of a change of members"),
        (
            Some(snapshot(&[])),
            "snapshot has voters missing, doubled or without id",
        ),
        (
            Some(snapshot(&[1, 1])),
            "snapshot has voters missing, doubled or without id",
        ),
        (
            Some(snapshot(&[0, 1])),
            "snapshot has voters missing, doubled or without id",
        ),
    ] {
        assert_eq!(refusal(&snap(state)), expected);
    }
}

#[test]
fn a_good_snapshot_replaces_the_log() {
    let mut node = follower();
    step(&mut node, PEER, &snap(Some(snapshot(&[1, 2])))).unwrap();
    assert_eq!((node.last_index(), node.commit()), (20, 20));
    assert_eq!(node.voters(), [OWN, PEER]);
}

#[test]
fn entries_and_states_stand_only_where_they_belong() {
    let mut heartbeat = message(Type::Heartbeat, |_| {});
    heartbeat.entries = vec![entry(7, 2, 4)];
    assert_eq!(refusal(&heartbeat), "entries or a snapshot where none belong");
    let mut append = append(vec![entry(7, 2, 4)]);
    append.snapshot = Some(snapshot(&[1, 2]));
    assert_eq!(refusal(&append), "entries or a snapshot where none belong");
    let mut snap = snap(Some(snapshot(&[1, 2])));
    snap.entries = vec![entry(7, 2, 4)];
    assert_eq!(refusal(&snap), "entries or a snapshot where none belong");
}

#[test]
fn a_replayed_append_changes_nothing() {
    let mut node = follower();
    let append = append(vec![entry(7, 2, 4)]);
    for _ in 0..3 {
        step(&mut node, PEER, &append).unwrap();
    }
    assert_eq!(node.last_index(), 7);
}

fn any_entry() -> impl Strategy<Value = Entry> {
    (0..3i32, 0..5u64, 0..12u64, 0..8u64, any::<bool>()).prop_map(|(kind, term, index, number, is_empty)| {
        Entry {
            r#type: kind,
            term,
            index,
            data: match kind {
                _ if is_empty => None,
                0 => Some(block_bytes(number)),
                _ => change_entry(kind - 1, number).data,
            },
        }
    })
}

fn any_number() -> impl Strategy<Value = u64> {
    prop_oneof![8 => 0..12u64, 1 => any::<u64>()]
}

prop_compose! {
    fn any_message()(
        kind in 0..24i32,
        from in 2..4u64,
        term in prop_oneof![8 => 1..6u64, 1 => any::<u64>()],
        (log_term, index, commit, reject_hint) in (0..6u64, any_number(), any_number(), any_number()),
        mut entries in prop::collection::vec(any_entry(), 0..4),
        is_in_line in prop::bool::weighted(0.7),
        reject in any::<bool>(),
        voters in prop::collection::vec(1..5u64, 0..4),
        has_snapshot in prop::bool::weighted(0.2),
        is_transfer in any::<bool>(),
    ) -> raftpb::Message {
        if is_in_line {
            for (place, entry) in (index.wrapping_add(1)..u64::MAX).zip(&mut entries) {
                entry.index = place;
                entry.term = term;
            }
        }
        let mut state = snapshot(&voters);
        let metadata = state.metadata.as_mut().unwrap();
        (metadata.index, metadata.term) = (index, log_term);
        raftpb::Message {
            r#type: kind,
            to: OWN.0,
            from,
            term,
            log_term,
            index,
            entries,
            commit,
            snapshot: has_snapshot.then_some(state),
            reject,
            reject_hint,
            context: is_transfer.then(|| Bytes::from_static(b"CampaignTransfer")),
            vote: 0,
            responses: Vec::new(),
        }
    }
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let node = follower();
        let _ = read(PEER, &Bytes::from(bytes), &node);
    }

    #[test]
    fn no_run_of_well_formed_messages_makes_raft_panic(
        messages in prop::collection::vec((any_message(), any::<bool>()), 1..24),
        leads in any::<bool>(),
    ) {
        let mut node = if leads { leader() } else { follower() };
        for (message, ticks) in messages {
            let from = ConsenterId(message.from);
            let incoming = read(from, &message.encode_to_vec().into(), &node);
            // The core holds these back while they could not be answers to anything.
            let is_early = |incoming: &Incoming| incoming.what == What::VoteResponse && !node.is_all_persisted();
            if let Ok(incoming) = incoming
                && !is_early(&incoming)
            {
                node.step(incoming);
            }
            settle(&mut node);
            if ticks {
                node.tick(true);
                settle(&mut node);
            }
        }
    }
}
