//! Clients that read slowly or never, and many of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;

use bytes::Bytes;
use client::broadcast::{BroadcastOptions, submit_all};
use client::envelope::EnvelopeSigner;
use prost::Message as _;
use protos::SealedBlock;
use protos::wire::common::{HeaderType, Status};
use protos::wire::orderer::{
    BroadcastResponse, DeliverResponse, SeekInfo, SeekPosition, SeekSpecified, deliver_response,
    seek_position,
};
use tests::fixture::bystander::{self, Bystander};
use tests::fixture::clients::until;
use tests::fixture::memory;
use tests::fixture::network::NetworkSpec;
use tests::fixture::raw::{RawAnswers, RawConnection, Rpc, framed};

use super::{PATIENCE, running, whole_chain};

/// Far below what unbounded buffers would come to in these tests.
const RESIDENT_BYTES_MAX: u64 = 300 << 20;

/// A request for all blocks from `start` on, for ever, with its prefix.
fn follow(signer: &EnvelopeSigner, start: u64) -> Bytes {
    let position = |number| SeekPosition {
        r#type: Some(seek_position::Type::Specified(SeekSpecified { number })),
    };
    let info = SeekInfo {
        start: Some(position(start)),
        stop: Some(position(u64::MAX)),
        ..SeekInfo::default()
    };
    let kind = HeaderType::DeliverSeekInfo;
    let envelope = signer.sign(kind, info.encode_to_vec().into(), [1; 24], SystemTime::now());
    framed(&envelope.bytes)
}

async fn next_block(answers: &mut RawAnswers) -> SealedBlock {
    let answer = answers.next().await.expect("an answer");
    match DeliverResponse::decode(answer).expect("a response").r#type {
        Some(deliver_response::Type::Block(block)) => SealedBlock::seal(&block).expect("a block"),
        other => panic!("no block: {other:?}"),
    }
}

async fn next_status(answers: &mut RawAnswers) -> Result<Status, i32> {
    let answer = answers.next().await.expect("an answer");
    let status = BroadcastResponse::decode(answer).expect("a response").status;
    Status::try_from(status).map_err(|_| status)
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_readers_hold_up_nobody_and_get_every_block() {
    const READERS: usize = 20;
    const ENVELOPES: usize = 60;
    let network = running(&NetworkSpec::default()).await;
    let bystander = Bystander::join(&network).await;
    let signer = network.signer();
    let connection = RawConnection::open(&network).await;
    let mut readers = Vec::new();
    for _ in 0..READERS {
        let mut call = connection.call(Rpc::Deliver).await;
        call.send(follow(&signer, 0)).await.expect("the request is sent");
        readers.push(call.answers().await);
    }
    let data = vec![0; 200_000];
    let envelopes = (0..ENVELOPES).map(|_| signer.transaction(data.clone().into()).bytes);
    let options = BroadcastOptions::default();
    let sent = submit_all(&network.connect().await, options, envelopes).await;
    assert_eq!(sent.expect("the channel orders"), ENVELOPES as u64);
    bystander::orders(&network.connect().await, &signer).await;
    bystander.orders().await;
    let chain = whole_chain(&network).await;
    for reader in &mut readers {
        for block in &chain {
            assert_eq!(next_block(reader).await, *block);
        }
    }
    let peak = memory::peak_bytes(network.node.id());
    assert!(peak < RESIDENT_BYTES_MAX, "{} MiB resident", peak >> 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_with_a_thousand_streams_is_served_on_each() {
    const STREAMS: usize = 1000;
    let network = running(&NetworkSpec::default()).await;
    let bystander = Bystander::join(&network).await;
    let signer = network.signer();
    let connection = RawConnection::open(&network).await;
    let (mut senders, mut followers) = (Vec::new(), Vec::new());
    for number in 0..STREAMS {
        let mut call = connection.call(Rpc::ALL[number % 2]).await;
        if number % 2 == 0 {
            senders.push(call);
        } else {
            call.send(follow(&signer, 0)).await.expect("the request is sent");
            followers.push(call.answers().await);
        }
    }
    for follower in &mut followers {
        assert_eq!(next_block(follower).await.number().0, 0);
    }
    bystander.orders().await;
    for mut sender in senders {
        let envelope = signer.transaction(Bytes::from_static(b"x")).bytes;
        sender.send(framed(&envelope)).await.expect("the stream is open");
        sender.finish();
        let mut answers = sender.answers().await;
        assert_eq!(next_status(&mut answers).await, Ok(Status::Success));
        assert_eq!(answers.next().await, None);
    }
    for follower in &mut followers {
        assert_eq!(next_block(follower).await.number().0, 1);
    }
    bystander.orders().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_reads_no_answers_is_stopped_and_gets_them_all_when_it_does() {
    const ENVELOPES: usize = 6000;
    /// What a stream may have unread, about: 16 answers to a batch of 1 MiB each, 16 MiB unanswered, and what HTTP/2
    /// takes ahead. All envelopes together are longer.
    const UNREAD_BYTES: std::ops::Range<usize> = (12 << 20)..(45 << 20);
    let network = running(&NetworkSpec::default()).await;
    let bystander = Bystander::join(&network).await;
    let signer = network.signer();
    let envelopes: Vec<_> = (0..ENVELOPES)
        .map(|_| framed(&signer.transaction(vec![0; 8000].into()).bytes))
        .collect();
    // Eight answers fill the window.
    let connection = RawConnection::open_with_window(&network, 64).await;
    let (mut sender, answer) = connection.call(Rpc::Broadcast).await.split();
    let sent = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&sent);
    let sending = tokio::spawn(async move {
        for envelope in envelopes {
            let one = sender.send_counted(&envelope, 1, &counted).await;
            one.expect("the node keeps the stream");
        }
        sender.finish();
        sender
    });
    until("much of it is taken", PATIENCE, || {
        sent.load(Ordering::Relaxed) >= UNREAD_BYTES.start
    })
    .await;
    bystander.orders().await;
    bystander::orders(&network.connect().await, &signer).await;
    let so_far = sent.load(Ordering::Relaxed);
    assert!(UNREAD_BYTES.contains(&so_far), "{so_far} bytes were taken");
    let mut answers = answer.wait().await;
    for number in 0..ENVELOPES {
        assert_eq!(next_status(&mut answers).await, Ok(Status::Success), "{number}");
    }
    sending.await.expect("everything was sent");
    let peak = memory::peak_bytes(network.node.id());
    assert!(peak < RESIDENT_BYTES_MAX, "{} MiB resident", peak >> 20);
}
