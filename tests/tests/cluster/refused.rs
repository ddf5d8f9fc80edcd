//! Messages that no peer would send: refused and told, while this channel and others go on.

use std::time::Duration;

use bytes::Bytes;
use client::Target;
use prost::Message as _;
use protos::ChannelId;
use protos::wire::orderer::ForwardMark;
use protos::wire::raftpb;
use raftpb::{Entry, EntryType, MessageType};
use tests::fixture::cluster::check::oracle;
use tests::fixture::cluster::member::TlsFiles;
use tests::fixture::cluster::peer::{self, PeerConnection};
use tests::fixture::cluster::{Cluster, ClusterSpec};
use tests::fixture::raw::{RawConnection, WINDOW_BYTES, framed, prefix};
use tests::oracle::Oracle;
use tonic::{Code, Status};

const CHANNEL: &str = "fixture";
/// A channel of nodes 0 and 2.
const OTHER: &str = "other";

/// `General.MaxRecvMsgSize` where the settings do not say anything else.
const MESSAGE_BYTES_MAX: usize = 100 << 20;

/// Between two of the same message.
const SEND_PAUSE: Duration = Duration::from_millis(300);

/// What is said to a caller whose certificate is that of no member.
const NOT_AUTHORIZED: &str = "certificate extracted from TLS connection isn't authorized";

/// Three nodes with a channel of all and one of two, both of which order.
struct Field {
    cluster: Cluster,
    oracle: std::sync::Arc<Oracle>,
    other: std::sync::Arc<Oracle>,
}

impl Field {
    async fn start(spec: &ClusterSpec) -> Self {
        let cluster = Cluster::start(spec).await;
        let block = cluster.first_block_of(OTHER, &[0, 2]);
        for node in [0, 2] {
            cluster.join_with(node, &block).await;
        }
        let field = Self {
            cluster,
            oracle: oracle(),
            other: oracle(),
        };
        field.goes_on().await;
        field
    }

    /// Both channels order at the node that was offended, and no process has panicked.
    async fn goes_on(&self) {
        let other = ChannelId::parse(OTHER).expect("a channel name");
        self.cluster.orders(&[0, 1, 2], &self.oracle).await;
        let signer = self.cluster.signer_of(&other);
        self.cluster.orders_through(0, &signer, &self.other).await;
        self.cluster.assert_no_panic();
    }

    /// At the end all have one chain.
    async fn agree(&self) {
        self.goes_on().await;
        self.cluster.agree(&[0, 1, 2], &self.oracle).await;
    }

    /// The certificate that node 1 shows to its peers.
    fn member(&self) -> TlsFiles {
        self.cluster.members[1].tls_files()
    }

    /// Node 0 must end a stream of node 1 with these messages, and count it.
    async fn refuses(&self, what: &str, messages: &[Bytes]) -> Status {
        let before = self.refusals();
        let peer = PeerConnection::open(&self.cluster, 0, &self.member()).await;
        let status = peer.send(messages).await;
        assert_refused(what, &status);
        self.until_counted(what, before).await;
        self.goes_on().await;
        status
    }

    /// Node 0 must count a refusal of this message of node 1. The stream may go on: the member's other messages are none
    /// the worse. Of many refusals a chain tells the first ones only, and after a while again, so it is sent until it is
    /// told.
    async fn takes_no_notice_of(&self, what: &str, message: Bytes) {
        let before = self.refusals();
        let peer = PeerConnection::open(&self.cluster, 0, &self.member()).await;
        let mut call = peer.call().await;
        let counted = async || (self.refusals() > before).then_some(());
        let what = format!("{what} is counted");
        let waiting = self.cluster.wait_for_some(&what, counted);
        let sending = async {
            // It fails once the node has ended the call.
            while call.send(message.clone()).await.is_ok() {
                tokio::time::sleep(SEND_PAUSE).await;
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = waiting => {}
            () = sending => {}
        }
    }

    /// Waits until node 0 has counted one refusal more than `before`.
    async fn until_counted(&self, what: &str, before: u64) {
        let counted = async || (self.refusals() > before).then_some(());
        self.cluster
            .wait_for_some(&format!("{what} is counted"), counted)
            .await;
    }

    /// Refusals that node 0 has told of.
    fn refusals(&self) -> u64 {
        refusals(&self.cluster.members[0].node.log())
    }
}

/// Refused streams and refused messages. Both are told each time with the loggers of [`telling`].
fn refusals(log: &str) -> u64 {
    let is_refusal = |line: &&str| {
        (line.contains("Stream of ") && line.contains(" ended: "))
            || line.contains("Refused a message of consenter ")
    };
    log.lines().filter(is_refusal).count() as u64
}

/// Nodes that tell of every refusal, also of one like the last. A leader that does not get a core at once stays one.
fn telling(members: usize) -> ClusterSpec {
    let logging = "orderer.common.cluster=debug:orderer.consensus.etcdraft=debug:info";
    let variable = ("FABRIC_LOGGING_SPEC".to_owned(), logging.to_owned());
    let mut spec = ClusterSpec {
        variables: vec![variable],
        ..ClusterSpec::of(members)
    };
    spec.options.election_tick = 50;
    spec
}

fn assert_refused(what: &str, status: &Status) {
    assert!(
        ![Code::Ok, Code::DeadlineExceeded].contains(&status.code()),
        "{what} was not refused: {status:?}"
    );
}

fn assert_not_authorized(status: &Status) {
    assert_eq!(status.code(), Code::PermissionDenied, "{status:?}");
    assert!(status.message().contains(NOT_AUTHORIZED), "{status:?}");
}

/// A message of node 1 to node 0 that is in order, and changes nothing: its term is over.
fn old_heartbeat() -> raftpb::Message {
    raftpb::Message {
        r#type: MessageType::Heartbeat as i32,
        to: 1,
        from: 2,
        term: 1,
        ..raftpb::Message::default()
    }
}

pub(crate) async fn callers_without_a_members_certificate_are_refused() {
    let field = Field::start(&telling(3).with_spares(1)).await;
    let message = peer::consensus(CHANNEL, &old_heartbeat());
    for files in [
        field.cluster.admin_tls_files(),
        field.cluster.members[3].tls_files(),
    ] {
        let before = field.refusals();
        let peer = PeerConnection::open(&field.cluster, 0, &files).await;
        let status = peer.send(std::slice::from_ref(&message)).await;
        assert_not_authorized(&status);
        field.until_counted("a caller that is no member", before).await;
        field.goes_on().await;
    }
    let before = field.refusals();
    let authority = std::fs::read(field.member().authority).expect("a certificate");
    let target = Target {
        address: field.cluster.members[0].place().client.clone(),
        tls: Some(client::tls::ClientTls::new(&authority, None).expect("TLS settings")),
    };
    let nobody = RawConnection::open_to(&target, WINDOW_BYTES).await;
    let mut call = nobody.call_path("/orderer.Cluster/Step").await;
    let _ = call.send(message).await;
    assert_refused("a caller without certificate", &call.outcome().await.status);
    field.until_counted("a caller without certificate", before).await;
    field.agree().await;
}

pub(crate) async fn messages_that_do_not_decode_are_refused() {
    let field = Field::start(&telling(3)).await;
    let garbage = Bytes::from_static(&[0xff; 40]);
    let cases = [
        ("bytes that are no request", framed(&garbage)),
        ("a request of neither kind", framed(&[])),
        (
            "an envelope that is none",
            peer::submit(CHANNEL, garbage.clone(), None),
        ),
    ];
    for (what, message) in cases {
        field.refuses(what, &[message]).await;
    }
    let nonsense = [
        ("bytes that are no raft message", garbage),
        ("no raft message at all", Bytes::new()),
    ];
    for (what, payload) in nonsense {
        field
            .takes_no_notice_of(what, peer::consensus_bytes(CHANNEL, payload))
            .await;
        field.goes_on().await;
    }
    field.agree().await;
}

pub(crate) async fn messages_for_another_channel_are_refused() {
    let field = Field::start(&telling(3)).await;
    for (what, channel) in [
        ("a channel that is not here", "nowhere"),
        ("a name that no channel has", "No such\nname"),
        ("no channel", ""),
        ("a channel of which the caller is no member", OTHER),
    ] {
        let status = field
            .refuses(what, &[peer::consensus(channel, &old_heartbeat())])
            .await;
        if channel == OTHER {
            assert_not_authorized(&status);
        }
    }
    // A stream that began well is judged by each message.
    let messages = [CHANNEL, OTHER].map(|channel| peer::consensus(channel, &old_heartbeat()));
    field
        .refuses("a second channel on the stream of the first", &messages)
        .await;
    field.agree().await;
}

pub(crate) async fn messages_of_a_removed_member_are_refused() {
    let field = Field::start(&telling(4)).await;
    let files = field.cluster.members[3].tls_files();
    let from_fourth = raftpb::Message {
        from: 4,
        ..old_heartbeat()
    };
    let message = peer::consensus(CHANNEL, &from_fourth);
    let peer = PeerConnection::open(&field.cluster, 0, &files).await;
    let mut begun = peer.call().await;
    begun.send(message.clone()).await.expect("a member may speak");
    let before = field.refusals();
    field.cluster.remove(0, 3).await;
    field.goes_on().await;
    // On the stream that it had, and on a new one.
    let _ = begun.send(message.clone()).await;
    let ended = tokio::time::timeout(Duration::from_secs(10), begun.outcome()).await;
    assert_refused(
        "a stream of a removed member",
        &ended.expect("the stream ends").status,
    );
    let status = peer.send(&[message]).await;
    assert_not_authorized(&status);
    field.until_counted("a removed member", before).await;
    field.agree().await;
}

pub(crate) async fn messages_in_the_name_of_another_member_are_refused() {
    let field = Field::start(&telling(3)).await;
    for from in [0, 1, 3, 4, u64::MAX] {
        let message = raftpb::Message {
            from,
            ..old_heartbeat()
        };
        let what = format!("a message from {from}");
        field
            .takes_no_notice_of(&what, peer::consensus(CHANNEL, &message))
            .await;
        field.goes_on().await;
    }
    field.agree().await;
}

fn entry(kind: EntryType, index: u64, term: u64, data: Bytes) -> Entry {
    Entry {
        r#type: kind as i32,
        index,
        term,
        data: Some(data),
    }
}

fn append(entries: Vec<Entry>) -> raftpb::Message {
    raftpb::Message {
        r#type: MessageType::App as i32,
        term: HIGH_TERM,
        entries,
        ..old_heartbeat()
    }
}

/// A term that no election has reached: raft would have to look at the message.
const HIGH_TERM: u64 = 1_000;

/// Messages by which a member that has lost its mind could harm others.
fn broken_messages() -> Vec<(&'static str, raftpb::Message)> {
    let of_type = |kind: MessageType| raftpb::Message {
        r#type: kind as i32,
        ..old_heartbeat()
    };
    let noise = Bytes::from_static(&[0xff; 30]);
    let change = |kind: i32, node_id: u64| {
        let change = raftpb::ConfChange {
            id: 0,
            r#type: kind,
            node_id,
            context: None,
        };
        Bytes::from(change.encode_to_vec())
    };
    vec![
        ("a proposal", of_type(MessageType::Prop)),
        ("a call to campaign", of_type(MessageType::Hup)),
        ("a tick", of_type(MessageType::Beat)),
        ("a report about a peer", of_type(MessageType::Unreachable)),
        ("a report about a snapshot", of_type(MessageType::SnapStatus)),
        ("a request to read", of_type(MessageType::ReadIndex)),
        ("a message of the disk", of_type(MessageType::StorageAppend)),
        (
            "a type that does not exist",
            raftpb::Message {
                r#type: 99,
                ..old_heartbeat()
            },
        ),
        (
            "entries with a gap",
            append(vec![
                entry(EntryType::Normal, 1, 1, Bytes::new()),
                entry(EntryType::Normal, 3, 1, Bytes::new()),
            ]),
        ),
        (
            "entries of falling terms",
            append(vec![
                entry(EntryType::Normal, 1, 2, Bytes::new()),
                entry(EntryType::Normal, 2, 1, Bytes::new()),
            ]),
        ),
        (
            "an entry of a later term",
            append(vec![entry(EntryType::Normal, 1, HIGH_TERM + 1, Bytes::new())]),
        ),
        (
            "an entry that is no block",
            append(vec![entry(EntryType::Normal, 1, 1, noise.clone())]),
        ),
        (
            "a membership change that does not decode",
            append(vec![entry(EntryType::ConfChange, 1, 1, noise)]),
        ),
        (
            "a membership change of another kind",
            append(vec![entry(EntryType::ConfChange, 1, 1, change(3, 9))]),
        ),
        (
            "a membership change of another version",
            append(vec![entry(EntryType::ConfChangeV2, 1, 1, Bytes::new())]),
        ),
        (
            "a commit that no log reaches",
            raftpb::Message {
                term: HIGH_TERM,
                commit: u64::MAX,
                ..old_heartbeat()
            },
        ),
        (
            "a snapshot of nothing",
            raftpb::Message {
                r#type: MessageType::Snap as i32,
                term: HIGH_TERM,
                snapshot: Some(raftpb::Snapshot::default()),
                ..old_heartbeat()
            },
        ),
        (
            "a snapshot without a snapshot",
            raftpb::Message {
                r#type: MessageType::Snap as i32,
                term: HIGH_TERM,
                ..old_heartbeat()
            },
        ),
    ]
}

pub(crate) async fn messages_that_no_member_sends_are_refused() {
    let field = Field::start(&telling(3)).await;
    let messages = broken_messages();
    let leader = field.cluster.leader().await;
    for (what, message) in messages {
        field
            .takes_no_notice_of(what, peer::consensus(CHANNEL, &message))
            .await;
    }
    assert_eq!(field.cluster.leader().await, leader, "nobody was moved by it");
    field.agree().await;
}

pub(crate) async fn oversized_messages_are_refused() {
    let field = Field::start(&telling(3)).await;
    for bytes in [MESSAGE_BYTES_MAX + 1, u32::MAX as usize] {
        let status = field
            .refuses("a message that is too long", &[prefix(bytes)])
            .await;
        assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
    }
    field.agree().await;
}

/// What a member said once is sent again by one who has seen it: envelopes are ordered once, and nobody is moved.
pub(crate) async fn replayed_messages_change_nothing() {
    const TERMS: std::ops::RangeInclusive<u64> = 1..=8;
    let field = Field::start(&telling(3)).await;
    let leader = field.cluster.leader().await;
    let sender = (leader + 1) % 3;
    let files = field.cluster.members[sender].tls_files();
    let envelope = field
        .cluster
        .signer()
        .transaction(Bytes::from_static(b"once"))
        .bytes;
    field.oracle.sent(&envelope);
    field.oracle.acknowledged(&envelope);
    // Only that of the leader's own term counts, and that once.
    let submissions: Vec<Bytes> = TERMS
        .chain(TERMS)
        .chain(TERMS)
        .map(|term| {
            let mark = ForwardMark {
                term,
                incarnation: 7,
                number: 1,
            };
            peer::submit(CHANNEL, envelope.clone(), Some(mark))
        })
        .collect();
    let peer = PeerConnection::open(&field.cluster, leader, &files).await;
    let mut call = peer.call().await;
    for message in submissions {
        call.send(message).await.expect("the stream goes on");
    }
    let (from, to) = (sender as u64 + 1, leader as u64 + 1);
    let mut consensus = peer.call().await;
    for kind in [
        MessageType::Heartbeat,
        MessageType::App,
        MessageType::Vote,
        MessageType::AppResp,
    ] {
        let message = raftpb::Message {
            r#type: kind as i32,
            from,
            to,
            ..old_heartbeat()
        };
        for _ in 0..3 {
            // It may be refused; it must not be believed.
            let _ = consensus.send(peer::consensus(CHANNEL, &message)).await;
        }
    }
    field.goes_on().await;
    assert_eq!(field.cluster.leader().await, leader, "nobody was moved by it");
    field.agree().await;
}

pub(crate) async fn services_of_other_consensus_types_are_refused() {
    let field = Field::start(&telling(3)).await;
    let target = Target {
        address: field.cluster.members[0].place().client.clone(),
        tls: Some(field.member().client()),
    };
    let connection = RawConnection::open_to(&target, WINDOW_BYTES).await;
    let mut call = connection.call_path("/orderer.ClusterNodeService/Step").await;
    let _ = call.send(framed(&[])).await;
    let status = call.outcome().await.status;
    assert_eq!(status.code(), Code::Unauthenticated, "{status:?}");
    field.agree().await;
}
