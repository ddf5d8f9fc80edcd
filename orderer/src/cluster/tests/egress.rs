//! Peers that do not read, do not answer, or are somebody else.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use consensus::Transport;
use consensus::transport::{MessageKind, Peer, SendError};
use h2::RecvStream;
use protos::ConsenterId;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::super::client_tls::ClientTls;
use super::super::dial::{Bounds, DialError, Target, dial};
use super::super::tls_key::TlsKey;
use super::support::{World, consensus, until};
use crate::config::CertificatePair;
use crate::tls::Acceptor;
use crate::tls::testing::{Files, Pair};

/// A peer that hands out the streams of others as they come, and reads none by itself.
struct Lazy {
    peer: Peer,
    streams: mpsc::UnboundedReceiver<RecvStream>,
}

impl Lazy {
    async fn start(world: &World) -> Self {
        let pair = world.authority.issue("lazy");
        let files = Files::new(&pair);
        let tls = files.settings(false, &[]);
        let acceptor = Acceptor::for_grpc(Some(&tls), Duration::from_secs(5)).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (sender, streams) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                let connection = acceptor.accept(tcp).await.unwrap();
                tokio::spawn(hand_out(connection, sender.clone()));
            }
        });
        Self {
            peer: Peer {
                id: ConsenterId(9),
                host: "127.0.0.1".to_owned(),
                port,
                client_tls_cert: pair.certificate.clone().into(),
                server_tls_cert: pair.certificate.into(),
            },
            streams,
        }
    }

    /// The next stream that was opened, once something came on it.
    async fn next_stream(&mut self) -> RecvStream {
        until(self.streams.recv()).await.unwrap()
    }
}

async fn hand_out(connection: crate::tls::Connection, streams: mpsc::UnboundedSender<RecvStream>) {
    let mut builder = h2::server::Builder::new();
    builder
        .initial_window_size(64 << 10)
        .initial_connection_window_size(256 << 10);
    let mut connection = builder.handshake::<_, Bytes>(connection).await.unwrap();
    // The answers are held, so that no stream ends.
    let mut answers = Vec::new();
    while let Some(Ok((request, answer))) = connection.accept().await {
        answers.push(answer);
        let _ = streams.send(request.into_body());
    }
}

/// Whether something comes on `stream` that names `channel`; nothing comes on those for heartbeats.
async fn begins_with_channel(stream: &mut RecvStream, channel: &[u8]) -> bool {
    let first = tokio::time::timeout(Duration::from_millis(200), stream.data()).await;
    let Ok(Some(Ok(chunk))) = first else {
        return false;
    };
    let named = chunk[..chunk.len().min(40)]
        .windows(channel.len())
        .any(|part| part == channel);
    if named {
        stream.flow_control().release_capacity(chunk.len()).unwrap();
    }
    named
}

/// Reads a stream until `bytes` bytes have come.
async fn read(stream: &mut RecvStream, bytes: usize) {
    let mut count = 0;
    until(async {
        while count < bytes {
            let chunk = stream.data().await.unwrap().unwrap();
            count += chunk.len();
            stream.flow_control().release_capacity(chunk.len()).unwrap();
        }
    })
    .await;
}

fn join(node: &super::Node, name: &str, peer: &Peer) -> Arc<dyn Transport> {
    let transport = node.cluster.transport(&super::channel(name));
    transport.set_peers(vec![peer.clone()]);
    transport
}

#[tokio::test]
async fn a_stream_that_is_never_read_stalls_no_other_and_is_given_up() {
    const MESSAGE_BYTES: usize = 100_000;
    let world = World::new();
    let node = world.node(1).await;
    let mut lazy = Lazy::start(&world).await;
    let stuck = join(&node, "stuck", &lazy.peer);
    let send = |to: &Arc<dyn Transport>| {
        let entry = consensus(&vec![1; MESSAGE_BYTES], b"");
        to.send(lazy.peer.id, MessageKind::Append, entry)
    };
    // More than the windows of stream and connection together hold.
    (0..20).for_each(|_| send(&stuck).unwrap());
    let fine = join(&node, "fine", &lazy.peer);
    (0..20).for_each(|_| send(&fine).unwrap());
    let mut others = Vec::new();
    let mut stream = loop {
        let mut stream = lazy.next_stream().await;
        if begins_with_channel(&mut stream, b"fine").await {
            break stream;
        }
        others.push(stream);
    };
    read(&mut stream, 20 * MESSAGE_BYTES - (64 << 10)).await;
    until(async {
        while node.cluster.counters().streams_stalled() == 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_full_queue_drops_what_comes_and_counts_it() {
    let world = World::new();
    let node = world.node(1).await;
    let lazy = Lazy::start(&world).await;
    let stuck = join(&node, "stuck", &lazy.peer);
    let entry = || consensus(&vec![1; 200_000], b"");
    let mut outcomes = Vec::new();
    for _ in 0..200 {
        outcomes.push(stuck.send(lazy.peer.id, MessageKind::Append, entry()));
    }
    assert!(outcomes.contains(&Err(SendError::Full(lazy.peer.id))));
    let full = outcomes.iter().filter(|outcome| outcome.is_err()).count();
    let counted = node.cluster.counters().dropped(MessageKind::Append);
    assert_eq!(counted, u64::try_from(full).unwrap());
}

#[tokio::test]
async fn entries_are_refused_while_a_peer_is_away_and_the_newest_heartbeats_are_kept() {
    let world = World::new();
    let (one, mut two) = (world.node(1).await, world.node(2).await);
    let _receiver = two.join("ch", &[&one]);
    two.kill().await;
    let sender = one.join("ch", &[&two]);
    until(async {
        loop {
            let sent = sender.send(two.id, MessageKind::Append, consensus(b"x", b""));
            if sent == Err(SendError::NotConnected(two.id)) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    for number in 0..100_u8 {
        let beat = consensus(&[number], b"");
        sender.send(two.id, MessageKind::Heartbeat, beat).unwrap();
    }
    two.restart().await;
    let mut last = 0;
    while last != 99 {
        last = super::text_of(&two.next("ch").await.1)[0];
        assert!(last >= 84, "{last} is older than what is kept");
    }
}

fn client_tls(files: &Files, world: &World) -> ClientTls {
    use rustls::pki_types::pem::PemObject as _;
    let pair = CertificatePair {
        certificate: files.path().join("server.crt"),
        private_key: files.path().join("server.key"),
    };
    let root = rustls::pki_types::CertificateDer::from_pem_slice(world.authority.pem().as_bytes()).unwrap();
    ClientTls::read(&pair, vec![root], Duration::ZERO).unwrap()
}

const BOUNDS: Bounds = Bounds {
    dial: Duration::from_secs(5),
    unacknowledged: Duration::from_secs(5),
};

/// Dials `node` as somebody who expects the key of `expected` there.
async fn dial_expecting(
    world: &World,
    node: &super::Node,
    expected: &Pair,
    host: &str,
) -> Result<(), DialError> {
    let files = Files::new(&world.authority.issue("caller"));
    let target = Target {
        host: host.to_owned(),
        port: node.address.port(),
        key: TlsKey::of_pem(expected.certificate.as_bytes()).unwrap(),
    };
    dial(&target, &client_tls(&files, world), BOUNDS)
        .await
        .map(|_| ())
}

#[tokio::test]
async fn a_server_with_another_key_is_refused_with_both_keys_named() {
    let world = World::new();
    let (node, other) = (world.node(1).await, world.authority.issue("other"));
    let error = dial_expecting(&world, &node, &other, "127.0.0.1")
        .await
        .unwrap_err();
    assert!(matches!(error, DialError::OtherKey { .. }), "{error}");
    let text = error.to_string();
    for certificate in [&node.pair.certificate, &other.certificate] {
        let key = TlsKey::of_pem(certificate.as_bytes()).unwrap().to_string();
        assert!(text.contains(&key), "{key} in {text}");
    }
    assert!(text.contains("CN=node 1"), "{text}");
    dial_expecting(&world, &node, &node.pair, "localhost")
        .await
        .unwrap();
}

#[tokio::test]
async fn the_expected_key_does_not_make_up_for_an_unknown_authority() {
    let (world, elsewhere) = (World::new(), World::new());
    let node = elsewhere.node(1).await;
    let error = dial_expecting(&world, &node, &node.pair, "127.0.0.1")
        .await
        .unwrap_err();
    assert!(matches!(error, DialError::Tls { .. }), "{error}");
    assert!(error.to_string().contains("CN=node 1"), "{error}");
}

#[tokio::test]
async fn a_peer_whose_key_changes_in_the_config_is_dialled_anew() {
    let world = World::new();
    let (one, mut two) = (world.node(1).await, world.node(2).await);
    let receiver = two.join("ch", &[&one]);
    let sender = one.join("ch", &[&two]);
    let beat = || sender.send(super::TWO, MessageKind::Heartbeat, consensus(b"x", b""));
    beat().unwrap();
    two.next("ch").await;

    let next = world.authority.issue("two again");
    let changed = Peer {
        server_tls_cert: next.certificate.clone().into(),
        ..two.as_peer()
    };
    sender.set_peers(vec![changed]);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(
        one.cluster.counters().connections(),
        1,
        "it still shows its old key"
    );
    beat().unwrap();
    // As when it is restarted: it calls, and so is called back at once.
    two.present(&next);
    drop(receiver);
    let _receiver = two.join("ch", &[&one]);
    two.next("ch").await;
    assert_eq!(one.cluster.counters().connections(), 2);
}
