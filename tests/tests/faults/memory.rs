//! Many large messages at a time: the node's memory stays within its bound (`docs/adr/015`).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use client::broadcast::{Acknowledge, BroadcastOptions, submit_all};
use client::genesis::BatchSpec;
use tests::fixture::bystander::{self, Bystander};
use tests::fixture::clients::until;
use tests::fixture::memory;
use tests::fixture::network::{Network, NetworkSpec};
use tests::fixture::raw::{RawAnswer, RawConnection, RawSender, Rpc, prefix};
use tokio::task::JoinHandle;
use tonic::Code;

use super::{PATIENCE, noise, running};

/// The bound: all that the process ever had resident.
const RESIDENT_BYTES_MAX: u64 = 1 << 30;
/// Near the limit of 100 MiB.
const LARGE_BYTES: usize = 97 << 20;
/// Streams that announce a large message, send its beginning and then nothing.
const STALLED: usize = 60;
/// Streams that send a large message to its end.
const SENDING: usize = 4;
/// Streams that say nothing at all.
const IDLE: usize = 1000;
/// What each of the first kind sends, at once: more than HTTP/2 takes ahead, so that it shows which ones have room.
const BEGINNING_PIECES: usize = 48;
const PIECE_BYTES: usize = 64 << 10;

/// A stream of the first kind.
struct Stalled {
    sent: Arc<AtomicUsize>,
    answer: Option<RawAnswer>,
    sending: JoinHandle<RawSender>,
    _connection: RawConnection,
}

impl Stalled {
    async fn begin(network: &Network) -> Self {
        let connection = RawConnection::open(network).await;
        let (mut sender, answer) = connection.call(Rpc::Broadcast).await.split();
        let sent = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&sent);
        let sending = tokio::spawn(async move {
            let piece = Bytes::from(noise(9, PIECE_BYTES));
            // The node may give the message up.
            let _ = sender.send(prefix(LARGE_BYTES)).await;
            let _ = sender.send_counted(&piece, BEGINNING_PIECES, &counted).await;
            sender
        });
        Self {
            sent,
            answer: Some(answer),
            sending,
            _connection: connection,
        }
    }

    fn sent(&self) -> usize {
        self.sent.load(Ordering::Relaxed)
    }
}

impl Drop for Stalled {
    fn drop(&mut self) {
        self.sending.abort();
    }
}

fn spec() -> NetworkSpec {
    let mut spec = NetworkSpec::default();
    spec.batch = BatchSpec {
        absolute_max_bytes: 98 << 20,
        ..spec.batch
    };
    spec
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_of_large_messages_and_a_thousand_idle_ones_stay_below_a_gibibyte() {
    let network = running(&spec()).await;
    let bystander = Bystander::join(&network).await;
    let idle = RawConnection::open(&network).await;
    let mut idle_calls = Vec::new();
    for number in 0..IDLE {
        idle_calls.push(idle.call(Rpc::ALL[number % 2]).await);
    }
    let mut first = vec![Stalled::begin(&network).await, Stalled::begin(&network).await];
    let all = PIECE_BYTES * BEGINNING_PIECES;
    until("two messages have room", PATIENCE, || {
        first.iter().all(|stalled| stalled.sent() == all)
    })
    .await;
    let mut others = Vec::new();
    for _ in first.len()..STALLED {
        others.push(Stalled::begin(&network).await);
    }
    until("the others send as much as they may", PATIENCE, || {
        others.iter().all(|stalled| stalled.sent() >= 12 * PIECE_BYTES)
    })
    .await;
    let sending = send_large(&network);
    bystander.orders().await;
    bystander::orders(&network.connect().await, &network.signer()).await;
    for stalled in &mut first {
        let answer = stalled.answer.take().expect("it was not asked for before");
        let mut answers = answer.wait().await;
        assert_eq!(answers.next().await, None);
        let status = answers.status().await;
        assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
        let text =
            format!("message of {LARGE_BYTES} bytes comes too slowly while others wait for its room: ");
        assert!(status.message().starts_with(&text), "{status}");
    }
    drop(others);
    let entries = sending.await.expect("the large ones are ordered");
    bystander.orders().await;
    let peak = memory::peak_bytes(network.node.id());
    println!("{} MiB resident at most", peak >> 20);
    assert!(peak < RESIDENT_BYTES_MAX, "{} MiB resident", peak >> 20);
    let found = bystander::entries(&network.connect().await, &network.signer()).await;
    assert!(
        entries.iter().all(|entry| found.contains(entry)),
        "a large one is in no block"
    );
    drop(idle_calls);
}

/// Sends large messages, each on a connection of its own; answers them when all are in blocks.
fn send_large(network: &Network) -> JoinHandle<Vec<Bytes>> {
    let (target, signer) = (network.target(), network.signer());
    tokio::spawn(async move {
        // Signing takes long enough for a connection that waits for it to be put out.
        let envelopes: Vec<_> = (0..SENDING)
            .map(|_| signer.transaction(vec![0; LARGE_BYTES].into()).bytes)
            .collect();
        let connecting = envelopes.iter().map(|_| target.connect());
        let connections = futures::future::try_join_all(connecting).await;
        let sending = connections
            .expect("connections")
            .into_iter()
            .zip(envelopes.clone())
            .map(async |(connection, envelope)| {
                let options = BroadcastOptions {
                    acknowledge: Some(Acknowledge::Committed),
                    ..BroadcastOptions::default()
                };
                let answered = submit_all(&connection, options, [envelope]).await;
                assert_eq!(answered.expect("it is ordered"), 1);
            });
        futures::future::join_all(sending).await;
        envelopes
    })
}
