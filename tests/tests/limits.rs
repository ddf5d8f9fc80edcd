//! What a listener lets in, and what it does with clients who want more, over real sockets.

use std::future::poll_fn;
use std::time::{Duration, Instant};

use bytes::Bytes;
use client::Target;
use h2::client::{Connection, SendRequest};
use h2::{Ping, Reason};
use tests::fixture::clients::until;
use tests::fixture::http::Caller;
use tests::fixture::network::{Network, NetworkSpec};
use tests::fixture::raw::{RawConnection, Rpc, framed};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tonic::Code;

const PATIENCE: Duration = Duration::from_secs(20);

/// A running node with these variables, which orders its channel.
async fn running(variables: &'static [(&'static str, &'static str)]) -> Network {
    let mut network = Network::new(&NetworkSpec {
        variables,
        ..NetworkSpec::default()
    });
    network.node.start();
    network.join().await;
    network
}

/// The value of a series of the running node that has this beginning; 0 where there is none yet.
async fn metric(network: &Network, begin: &str) -> u64 {
    let text = metrics(network).await;
    let line = text.lines().find(|line| line.starts_with(begin));
    line.and_then(|line| line.rsplit(' ').next()?.parse().ok())
        .unwrap_or(0)
}

async fn metrics(network: &Network) -> String {
    let [_, tls] = network.node_folders();
    let pair = (tls.join("server.crt"), tls.join("server.key"));
    let caller = Caller::tls(
        network.operations_address(),
        &tls.join("ca.crt"),
        Some((&pair.0, &pair.1)),
    );
    let (status, text) = caller.get("/metrics").await.expect("an answer");
    assert_eq!(status, 200, "{text}");
    text
}

/// A connection that speaks HTTP/2 by itself.
struct Raw {
    requests: SendRequest<Bytes>,
    connection: JoinHandle<Result<(), h2::Error>>,
    pings: h2::PingPong,
}

async fn raw(target: &Target) -> Raw {
    let stream = target.open().await.expect("a connection");
    let (requests, mut connection) = h2::client::handshake(stream).await.expect("HTTP/2");
    let pings = connection.ping_pong().expect("pings");
    Raw {
        requests,
        connection: tokio::spawn(run(connection)),
        pings,
    }
}

async fn run<T>(connection: Connection<T, Bytes>) -> Result<(), h2::Error>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    connection.await
}

impl Raw {
    /// Pings and waits for the answer; false when the connection is over.
    async fn ping(&mut self) -> bool {
        self.pings.ping(Ping::opaque()).await.is_ok()
    }

    /// Any call, to its end.
    async fn call(&self) {
        let mut requests = self.requests.clone().ready().await.expect("the connection lives");
        let request = http::Request::post("https://node/no.such/Method")
            .header("content-type", "application/grpc")
            .body(())
            .expect("a request");
        let (answer, _) = requests.send_request(request, true).expect("a stream");
        assert_eq!(answer.await.expect("an answer").headers()["grpc-status"], "12");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_above_the_bound_are_told_so_and_room_that_is_given_back_is_used() {
    let network = running(&[
        ("ORDERER_GENERAL_LIMITS_CONNECTIONS", "2"),
        ("ORDERER_METRICS_PROVIDER", "prometheus"),
    ])
    .await;
    let call = framed(&network.signer().transaction(Bytes::from_static(b"x")).bytes);
    let first = RawConnection::open(&network).await;
    let second = RawConnection::open(&network).await;
    for connection in [&first, &second] {
        let outcome = connection.send(Rpc::Broadcast, call.clone()).await;
        outcome.assert(Code::Ok, "");
    }
    let third = RawConnection::open(&network).await;
    let outcome = third.send(Rpc::Broadcast, call.clone()).await;
    outcome.assert(
        Code::Unavailable,
        "this listener has as many connections as it may have (General.Limits.Connections)",
    );
    let outcome = first.send(Rpc::Broadcast, call.clone()).await;
    outcome.assert(Code::Ok, "");
    let refused = "ordain_connections_refused_count{listener=\"general\",reason=\"too_many\"}";
    assert_eq!(metric(&network, refused).await, 1);

    drop(second);
    let deadline = Instant::now() + PATIENCE;
    loop {
        let again = RawConnection::open(&network).await;
        let outcome = again.send(Rpc::Broadcast, call.clone()).await;
        if outcome.status.code() == Code::Ok {
            break;
        }
        assert!(Instant::now() < deadline, "{outcome:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Whether the admin listener has no place, so many times in a row. It must say so.
async fn is_refused(caller: &Caller, times: u32) -> bool {
    for _ in 0..times {
        let (status, text) = caller.get("/participation/v1/channels").await.expect("an answer");
        if status == 200 {
            return false;
        }
        assert_eq!(status, 503, "{text}");
        assert!(text.contains("General.Limits.Connections"), "{text}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    true
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_admin_listener_has_the_same_bound_and_says_so_in_its_own_way() {
    let network = running(&[("ORDERER_GENERAL_LIMITS_CONNECTIONS", "1")]).await;
    let address = network.admin_address().to_string();
    let [_, tls] = network.node_folders();
    let pair = (tls.join("server.crt"), tls.join("server.key"));
    let caller = Caller::tls(
        network.admin_address(),
        &tls.join("ca.crt"),
        Some((&pair.0, &pair.1)),
    );
    // The place of the connection that joined the channel is given back a moment later: until then nobody else has it.
    let deadline = Instant::now() + PATIENCE;
    let held = loop {
        // Not even a handshake: whoever holds a place has it.
        let held = TcpStream::connect(&address).await.expect("a connection");
        if is_refused(&caller, 5).await {
            break held;
        }
        assert!(Instant::now() < deadline, "the bound is not kept");
    };
    drop(held);
    let deadline = Instant::now() + PATIENCE;
    while caller
        .get("/participation/v1/channels")
        .await
        .expect("an answer")
        .0
        != 200
    {
        assert!(Instant::now() < deadline, "its place is not given back");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_has_so_many_calls_at_a_time_and_no_more() {
    let network = running(&[("ORDERER_GENERAL_LIMITS_STREAMSPERCONNECTION", "3")]).await;
    let stream = network.target().open().await.expect("a connection");
    let (_requests, mut connection) = h2::client::handshake(stream).await.expect("HTTP/2");
    let mut pings = connection.ping_pong().expect("pings");
    // Once an answer is here, the settings before it are, too.
    let mut ping = std::pin::pin!(pings.ping(Ping::opaque()));
    poll_fn(|context| {
        let _ = std::pin::Pin::new(&mut connection).poll(context);
        ping.as_mut().poll(context)
    })
    .await
    .expect("an answer");
    assert_eq!(connection.max_concurrent_send_streams(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_pings_too_often_is_asked_to_calm_down() {
    let network = running(&[("ORDERER_METRICS_PROVIDER", "prometheus")]).await;
    let mut client = raw(&network.target()).await;
    for number in 0..3 {
        assert!(client.ping().await, "ping {number} is answered");
    }
    assert!(
        !client.ping().await,
        "the fourth, which is the third too soon, is not"
    );
    let error = client
        .connection
        .await
        .expect("no panic")
        .expect_err("it is over");
    assert!(error.is_go_away() && error.is_remote(), "{error}");
    assert_eq!(error.reason(), Some(Reason::ENHANCE_YOUR_CALM), "{error}");
    let refused = "ordain_connections_refused_count{listener=\"general\",reason=\"pings\"}";
    assert_eq!(metric(&network, refused).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pings_around_answers_and_pings_that_keep_their_distance_are_fine() {
    let network = running(&[("ORDERER_GENERAL_KEEPALIVE_SERVERMININTERVAL", "50ms")]).await;
    let mut client = raw(&network.target()).await;
    for number in 0..10 {
        assert!(client.ping().await, "ping {number} before a call");
        assert!(client.ping().await, "a second ping {number}");
        client.call().await;
    }
    for number in 0..10 {
        assert!(client.ping().await, "slow ping {number}");
        tokio::time::sleep(Duration::from_millis(60)).await;
    }
}

/// Reads until the other side closes; what came, and how long that took.
async fn read_to_the_end(mut stream: impl AsyncRead + Unpin) -> (Vec<u8>, Duration) {
    let (began, mut read) = (Instant::now(), Vec::new());
    let end = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut read)).await;
    // Without a farewell of TLS it is an error, which is an end as well.
    let _ = end.expect("the node ends the connection");
    (read, began.elapsed())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_connects_and_never_speaks_is_put_out() {
    let network = running(&[("ORDERER_GENERAL_CONNECTIONTIMEOUT", "700ms")]).await;
    let bounds = Duration::from_millis(500)..Duration::from_secs(10);
    // Without a handshake, on each kind of listener.
    for address in [
        network.address(),
        network.admin_address(),
        network.operations_address(),
    ] {
        let silent = TcpStream::connect(address.to_string())
            .await
            .expect("a connection");
        let (read, took) = read_to_the_end(silent).await;
        assert!(read.is_empty() && bounds.contains(&took), "{address}: {took:?}");
    }
    // With a handshake, and nothing behind it.
    let silent = network.target().open().await.expect("a handshake");
    let (_, took) = read_to_the_end(silent).await;
    assert!(bounds.contains(&took), "{took:?}");
}

/// Preface and empty SETTINGS of a client.
const BEGIN: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
/// The head of HEADERS of 100 bytes that do not end the head of the request.
const HALF_A_HEAD: &[u8] = b"\0\0\x64\x01\0\0\0\0\x01\x82";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_head_of_a_request_must_end_in_time_and_a_message_need_not() {
    let network = running(&[
        ("ORDERER_GENERAL_LIMITS_HEADERTIME", "400ms"),
        ("ORDERER_METRICS_PROVIDER", "prometheus"),
    ])
    .await;
    let mut stream = network.target().open().await.expect("a handshake");
    stream.write_all(BEGIN).await.expect("written");
    stream.write_all(HALF_A_HEAD).await.expect("written");
    stream.flush().await.expect("flushed");
    let (read, took) = read_to_the_end(stream).await;
    assert!(took >= Duration::from_millis(300), "{took:?}");
    let text = String::from_utf8_lossy(&read);
    assert!(
        text.contains("the head of a request took longer than 400ms"),
        "{text}"
    );
    let refused = "ordain_connections_refused_count{listener=\"general\",reason=\"slow_head\"}";
    assert_eq!(metric(&network, refused).await, 1);

    let message = framed(&network.signer().transaction(Bytes::from_static(b"slow")).bytes);
    let connection = RawConnection::open(&network).await;
    let mut call = connection.call(Rpc::Broadcast).await;
    let (first, second) = (message.slice(..20), message.slice(20..));
    call.send(first).await.expect("sent");
    tokio::time::sleep(Duration::from_millis(1200)).await;
    call.send(second).await.expect("sent");
    call.finish();
    let outcome = call.outcome().await;
    outcome.assert(Code::Ok, "");
    assert_eq!(outcome.messages.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handshakes_that_are_never_finished_delay_others_by_their_time_at_most() {
    let network = running(&[
        ("ORDERER_GENERAL_LIMITS_HANDSHAKES", "2"),
        ("ORDERER_GENERAL_CONNECTIONTIMEOUT", "1s"),
    ])
    .await;
    let address = network.address().to_string();
    let mut silent = Vec::new();
    for _ in 0..4 {
        silent.push(TcpStream::connect(&address).await.expect("a connection"));
    }
    let began = Instant::now();
    drop(network.connect().await);
    // Two rounds of two, each of a second.
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    until("the silent ones are put out", PATIENCE, || {
        silent
            .iter()
            .all(|stream| stream.try_read(&mut [0]).is_ok_and(|read| read == 0))
    })
    .await;
}
