//! What comes over the wire: cut, random, too long, for nobody.

use bytes::Bytes;
use client::genesis::BatchSpec;
use prost::Message as _;
use protos::ChannelId;
use protos::wire::common::Status;
use protos::wire::orderer::{BroadcastResponse, DeliverResponse, deliver_response};
use tests::fixture::bystander::Bystander;
use tests::fixture::network::{Network, NetworkSpec};
use tests::fixture::raw::{Outcome, RawConnection, Rpc, framed, prefix};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tonic::Code;

use super::{PATIENCE, assert_refused, fetch, noise, running, submit};
use client::deliver::{Position, Seek};

/// `General.MaxRecvMsgSize` where the settings do not say anything else.
const MESSAGE_BYTES_MAX: usize = 100 << 20;
/// Longest Deliver request.
const REQUEST_BYTES_MAX: usize = 256 << 10;

/// The one answer of a call that is otherwise in order: its status, and the text that Broadcast has with it.
fn answer(rpc: Rpc, outcome: &Outcome) -> (Option<Status>, String) {
    outcome.assert(Code::Ok, "");
    let [message] = &outcome.messages[..] else {
        panic!("not one answer: {outcome:?}");
    };
    let (status, text) = match rpc {
        Rpc::Broadcast => {
            let response = BroadcastResponse::decode(message.clone()).expect("a response");
            (response.status, response.info)
        }
        Rpc::Deliver => match DeliverResponse::decode(message.clone())
            .expect("a response")
            .r#type
        {
            Some(deliver_response::Type::Status(status)) => (status, String::new()),
            other => panic!("no status: {other:?}"),
        },
    };
    (Status::try_from(status).ok(), text)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_cut_ends_its_call_as_an_internal_error() {
    let network = running(&NetworkSpec::default()).await;
    let bystander = Bystander::join(&network).await;
    let connection = RawConnection::open(&network).await;
    let message = framed(&network.signer().transaction(Bytes::from(noise(1, 300_000))).bytes);
    for rpc in Rpc::ALL {
        for cut in [1, 4, 5, 6, 400, 200_000] {
            let outcome = connection.send(rpc, message.slice(..cut)).await;
            match (rpc, cut) {
                // The prefix says already that it is too long for a request.
                (Rpc::Deliver, 5..) => outcome.assert(Code::ResourceExhausted, "larger than max"),
                _ => outcome.assert(Code::Internal, "request ended within a message"),
            }
        }
        bystander.orders().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn random_messages_are_bad_requests() {
    let network = running(&NetworkSpec::default()).await;
    let bystander = Bystander::join(&network).await;
    let connection = RawConnection::open(&network).await;
    for rpc in Rpc::ALL {
        for seed in 0..40 {
            let bytes = usize::try_from(seed * 97 % 2000).expect("a small number");
            let outcome = connection.send(rpc, framed(&noise(seed, bytes))).await;
            let (status, text) = answer(rpc, &outcome);
            assert_eq!(status, Some(Status::BadRequest), "{rpc:?} {seed}: {text}");
            let begins = rpc == Rpc::Deliver || text.starts_with("could not determine channel ID: ");
            assert!(begins, "{seed}: {text}");
        }
        bystander.orders().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_are_no_messages_end_their_call() {
    let network = running(&NetworkSpec::default()).await;
    let bystander = Bystander::join(&network).await;
    let connection = RawConnection::open(&network).await;
    for rpc in Rpc::ALL {
        for seed in 0..20 {
            // The first byte says that the message is compressed.
            let bytes = [vec![1], noise(seed, 5000)].concat();
            let outcome = connection.send(rpc, bytes.into()).await;
            outcome.assert(Code::Unimplemented, "message is compressed, which was not agreed");
        }
    }
    bystander.orders().await;
}

/// Writes `bytes` and waits until the other side has closed the connection.
async fn is_closed(mut stream: impl AsyncRead + AsyncWrite + Unpin, bytes: &[u8]) {
    // The node may close before it has read everything.
    let _ = stream.write_all(bytes).await;
    let closed = async {
        let mut answer = [0; 4096];
        while stream.read(&mut answer).await.is_ok_and(|count| count > 0) {}
    };
    let in_time = tokio::time::timeout(PATIENCE, closed).await;
    in_time.expect("the node closes the connection");
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_are_no_tls_and_no_http_close_their_connection() {
    let network = running(&NetworkSpec::default()).await;
    let bystander = Bystander::join(&network).await;
    for seed in 0..10 {
        let bytes = noise(seed, 20_000);
        for address in [network.address(), network.admin_address()] {
            let plain = TcpStream::connect((address.host(), address.port())).await;
            is_closed(plain.expect("a connection"), &bytes).await;
        }
        let within_tls = network.target().open().await.expect("a connection");
        is_closed(within_tls, &bytes).await;
        let after_preface = network.target().open().await.expect("a connection");
        let begun = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &bytes[..]].concat();
        is_closed(after_preface, &begun).await;
    }
    bystander.orders().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_announced_above_the_limit_is_resource_exhausted() {
    let network = running(&NetworkSpec::default()).await;
    let bystander = Bystander::join(&network).await;
    let connection = RawConnection::open(&network).await;
    for (rpc, limit) in [
        (Rpc::Broadcast, MESSAGE_BYTES_MAX),
        (Rpc::Deliver, REQUEST_BYTES_MAX),
    ] {
        for bytes in [limit + 1, 2 * limit, u32::MAX as usize] {
            let outcome = connection.send(rpc, prefix(bytes)).await;
            let text = format!("received message larger than max ({bytes} vs. {limit})");
            outcome.assert(Code::ResourceExhausted, &text);
        }
    }
    bystander.orders().await;
}

/// A signed envelope whose serialized form has `bytes` bytes. Times and signatures are not all of one length, so
/// it may take some tries.
fn envelope_of(network: &Network, bytes: usize) -> Bytes {
    const TRIES: usize = 40;
    let mut data = bytes;
    for _ in 0..TRIES {
        let envelope = network.signer().transaction(Bytes::from(vec![0; data])).bytes;
        if envelope.len() == bytes {
            return envelope;
        }
        data = data + bytes - envelope.len();
    }
    panic!("no envelope of {bytes} bytes in {TRIES} tries");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_of_the_limit_is_judged_and_one_byte_more_is_resource_exhausted() {
    let network = running(&NetworkSpec::default()).await;
    let bystander = Bystander::join(&network).await;
    let text = "bytes and exceeds maximum allowed 10485760 bytes";
    let largest = envelope_of(&network, MESSAGE_BYTES_MAX);
    let more = envelope_of(&network, MESSAGE_BYTES_MAX + 1);
    assert_refused(&network, largest, Status::BadRequest, text).await;
    let connection = RawConnection::open(&network).await;
    let outcome = connection.send(Rpc::Broadcast, framed(&more)).await;
    let text = "received message larger than max (104857601 vs. 104857600)";
    outcome.assert(Code::ResourceExhausted, text);
    bystander.orders().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_envelope_one_byte_above_the_channels_limit_is_a_bad_request() {
    const BYTES_MAX: u32 = 20_000;
    let mut spec = NetworkSpec::default();
    spec.batch = BatchSpec {
        absolute_max_bytes: BYTES_MAX,
        preferred_max_bytes: BYTES_MAX / 2,
        ..spec.batch
    };
    let network = running(&spec).await;
    let bystander = Bystander::join(&network).await;
    // Of the envelope's bytes, those of two tags and two lengths do not count.
    let size = |envelope: &Bytes| {
        let read = protos::Envelope::from_received(envelope.clone());
        read.expect("an envelope").size()
    };
    let uncounted = envelope_of(&network, 20_000).len() - size(&envelope_of(&network, 20_000));
    let largest = envelope_of(&network, BYTES_MAX as usize + uncounted);
    assert_eq!(
        submit(&network, largest).await.expect("an envelope of the limit"),
        1
    );
    let more = envelope_of(&network, BYTES_MAX as usize + uncounted + 1);
    let text = "message payload is 20001 bytes and exceeds maximum allowed 20000 bytes";
    assert_refused(&network, more, Status::BadRequest, text).await;
    bystander.orders().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_that_is_not_here_is_told_apart_by_each_call() {
    let network = running(&NetworkSpec::default()).await;
    let bystander = Bystander::join(&network).await;
    let signer = network.signer_of(&ChannelId::parse("nowhere").expect("a channel name"));
    let envelope = signer.transaction(Bytes::from_static(b"x")).bytes;
    assert_refused(&network, envelope, Status::BadRequest, "channel does not exist").await;
    let (blocks, status) = fetch(&network, &signer, Seek::one(Position::Oldest)).await;
    assert_eq!((blocks.len(), status), (0, Some(Status::NotFound)));
    let text = "channel does not exist";
    network.node.wait_for(text, PATIENCE);
    bystander.orders().await;
}
