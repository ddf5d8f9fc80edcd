//! What is refused, by whom, and that others go on.

use std::net::SocketAddr;

use bytes::Bytes;
use consensus::ReceiveError;
use consensus::transport::MessageKind;
use http::Request;
use tokio_rustls::TlsConnector;
use tonic::{Code, Status};

use super::super::message::Outgoing;
use super::super::{Refused, STEP};
use super::support::{Node, RECV_BYTES_MAX, World, consensus, text_of, until};
use crate::codec::framed;
use crate::tls::testing::{Pair, client};

/// Sends `body` on a stream of its own, and answers how the stream ends.
async fn call(to: SocketAddr, connector: &TlsConnector, path: &str, body: Vec<Bytes>) -> Status {
    let tcp = tokio::net::TcpStream::connect(to).await.unwrap();
    let name = rustls::pki_types::ServerName::try_from("localhost").unwrap();
    let stream = connector.connect(name, tcp).await.unwrap();
    let (mut requests, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let request = Request::post(format!("https://localhost{path}"))
        .header("content-type", "application/grpc")
        .body(())
        .unwrap();
    let (response, mut sending) = requests.send_request(request, false).unwrap();
    for bytes in body {
        sending.send_data(bytes, false).unwrap();
    }
    until(async {
        let response = response.await.unwrap();
        if let Some(status) = Status::from_header_map(response.headers()) {
            return status;
        }
        let mut body = response.into_body();
        while let Some(Ok(_)) = body.data().await {}
        let trailers = body.trailers().await.unwrap().unwrap();
        Status::from_header_map(&trailers).unwrap()
    })
    .await
}

fn message(channel: &str) -> Bytes {
    let mut outgoing = Outgoing::default();
    outgoing.push(channel, consensus(b"x", b""));
    outgoing.take().concat().into()
}

/// A node with channel `ch`, whose consenter 1 is the holder of a certificate.
struct Server {
    world: World,
    node: Node,
    member: Pair,
    transport: std::sync::Arc<dyn consensus::Transport>,
}

impl Server {
    async fn start() -> Self {
        let world = World::new();
        let (node, other) = (world.node(2).await, world.node(1).await);
        let transport = node.join("ch", &[&other]);
        Self {
            member: other.pair.clone(),
            world,
            node,
            transport,
        }
    }

    async fn call(&self, pair: Option<&Pair>, body: Vec<Bytes>) -> Status {
        let connector = client(&self.world.authority, pair);
        call(self.node.address, &connector, STEP, body).await
    }

    async fn expect(&self, pair: Option<&Pair>, body: Vec<Bytes>, code: Code, text: &str, reason: Refused) {
        let counters = self.node.cluster.counters();
        let before = counters.refused(reason);
        let status = self.call(pair, body).await;
        assert_eq!(status.code(), code, "{status}");
        assert!(status.message().contains(text), "{status}");
        assert_eq!(counters.refused(reason), before + 1);
    }
}

#[tokio::test]
async fn whoever_is_no_consenter_of_the_channel_is_refused_and_counted() {
    let server = Server::start().await;
    let stranger = server.world.authority.issue("stranger");
    let member = Some(&server.member);
    server
        .expect(
            None,
            vec![message("ch")],
            Code::Unauthenticated,
            "no TLS certificate sent",
            Refused::NoCertificate,
        )
        .await;
    server
        .expect(
            Some(&stranger),
            vec![message("ch")],
            Code::PermissionDenied,
            "certificate extracted from TLS connection isn't authorized",
            Refused::NotAuthorized,
        )
        .await;
    server
        .expect(
            member,
            vec![message("nowhere")],
            Code::NotFound,
            "channel nowhere is not ordered by this node",
            Refused::UnknownChannel,
        )
        .await;
}

#[tokio::test]
async fn what_is_no_message_is_refused_and_counted() {
    let server = Server::start().await;
    let member = Some(&server.member);
    let garbage = framed(&[0xff, 0xff, 0xff]);
    let too_long = framed(&vec![0; RECV_BYTES_MAX + 1]).slice(..100);
    for (body, code, reason) in [
        (garbage, Code::InvalidArgument, Refused::Undecodable),
        (framed(&[]), Code::InvalidArgument, Refused::NeitherKind),
        (too_long, Code::ResourceExhausted, Refused::TooLarge),
    ] {
        server.expect(member, vec![body], code, "", reason).await;
    }
}

#[tokio::test]
async fn a_stranger_takes_no_room_for_a_large_message() {
    let server = Server::start().await;
    let stranger = server.world.authority.issue("stranger");
    let large = framed(&vec![0; 1 << 20]).slice(..100);
    server
        .expect(
            Some(&stranger),
            vec![large],
            Code::ResourceExhausted,
            "larger than max",
            Refused::TooLarge,
        )
        .await;
}

#[tokio::test]
async fn what_a_chain_finds_wrong_ends_the_stream_and_what_it_has_no_room_for_does_not() {
    let mut server = Server::start().await;
    let member = server.member.clone();
    for (error, code, reason) in [
        (
            ReceiveError::Bad {
                reason: "odd".to_owned(),
            },
            Code::InvalidArgument,
            Refused::Bad,
        ),
        (ReceiveError::Stopped, Code::Unavailable, Refused::NotRunning),
        (
            ReceiveError::NoCluster { consenter: "solo" },
            Code::FailedPrecondition,
            Refused::NotRunning,
        ),
    ] {
        let text = error.to_string();
        server.node.chains.answer("ch", Err(error));
        server
            .expect(Some(&member), vec![message("ch")], code, &text, reason)
            .await;
    }
    server.node.chains.answer("ch", Err(ReceiveError::Full));
    let world = &server.world;
    let connector = client(&world.authority, Some(&member));
    let going_on = call(server.node.address, &connector, STEP, vec![message("ch")]);
    let waiting = tokio::time::timeout(std::time::Duration::from_millis(200), going_on);
    assert!(waiting.await.is_err(), "the stream ended");
    assert_eq!(server.node.cluster.counters().inbox_full(), 1);
    server.node.chains.answer("ch", Ok(()));
    server.call_until_taken(&member).await;
}

impl Server {
    async fn call_until_taken(&mut self, member: &Pair) {
        let connector = client(&self.world.authority, Some(member));
        let sending = call(self.node.address, &connector, STEP, vec![message("ch")]);
        tokio::select! {
            status = sending => panic!("the stream ended: {status}"),
            (from, found) = self.node.next("ch") => {
                assert_eq!((from.0, &text_of(&found)[..]), (1, &b"x"[..]));
            }
        }
    }
}

#[tokio::test]
async fn a_peer_that_was_removed_is_refused_and_the_streams_of_others_go_on() {
    let world = World::new();
    let mut node = world.node(3).await;
    let (stays, goes) = (world.node(1).await, world.node(2).await);
    let receiver = node.join("ch", &[&stays, &goes]);
    let senders = [stays.join("ch", &[&node]), goes.join("ch", &[&node])];
    for sender in &senders {
        let hello = consensus(b"hello", b"");
        sender.send(node.id, MessageKind::Heartbeat, hello).unwrap();
        node.next("ch").await;
    }
    receiver.set_peers(vec![stays.as_peer()]);
    let refused = || node.cluster.counters().refused(Refused::NotAuthorized);
    assert_eq!(refused(), 0);
    let gone = consensus(b"gone", b"");
    senders[1].send(node.id, MessageKind::Heartbeat, gone).unwrap();
    until(async {
        while refused() == 0 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    })
    .await;
    let connections = stays.cluster.counters().connections();
    let still = consensus(b"still here", b"");
    senders[0].send(node.id, MessageKind::Heartbeat, still).unwrap();
    let (from, message) = node.next("ch").await;
    assert_eq!((from, &text_of(&message)[..]), (stays.id, &b"still here"[..]));
    assert_eq!(stays.cluster.counters().connections(), connections);
}

#[tokio::test]
async fn nobody_may_call_for_a_channel_whose_transport_is_gone() {
    let server = Server::start().await;
    let later = server.node.cluster.transport(&super::channel("ch"));
    later.set_peers(Vec::new());
    let Server {
        world,
        node,
        member,
        transport,
    } = server;
    drop(transport);
    let connector = client(&world.authority, Some(&member));
    let status = call(node.address, &connector, STEP, vec![message("ch")]).await;
    assert_eq!(
        status.code(),
        Code::PermissionDenied,
        "the later one's peers count"
    );
    drop(later);
    let status = call(node.address, &connector, STEP, vec![message("ch")]).await;
    assert_eq!(status.code(), Code::NotFound);
}

#[tokio::test]
async fn the_service_of_other_consenter_types_denies_access() {
    let server = Server::start().await;
    let connector = client(&server.world.authority, Some(&server.member));
    let path = "/orderer.ClusterNodeService/Step";
    let status = call(server.node.address, &connector, path, Vec::new()).await;
    assert_eq!(status.code(), Code::Unauthenticated);
    assert_eq!(status.message(), "access denied");
}
