//! Requests over loopback against a fake registrar.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use consensus::ClusterStatus;
use futures::FutureExt;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use prost::Message;
use protos::wire::common::{Block, BlockData, BlockHeader};
use protos::{BlockNumber, ChannelId, ConsenterId, Height, SealedBlock};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::config::Listen;
use crate::tls::testing::{Authority, Files, client};
use crate::tls::{Acceptor, Incoming, bind};

const LIMIT: Duration = Duration::from_secs(5);
const BODY_BYTES_MAX: usize = 4_096;
const UPDATE: &[u8] = b"an update";

/// Channels as the test says.
#[derive(Default)]
struct Fake {
    channels: Mutex<Vec<ChannelInfo>>,
    join_error: Option<JoinError>,
    fetch_error: Option<FetchError>,
    update_error: Option<UpdateError>,
    /// What was asked last.
    fetched: Mutex<Option<BlockChoice>>,
}

fn block() -> Block {
    Block {
        header: Some(BlockHeader {
            number: 3,
            ..BlockHeader::default()
        }),
        data: Some(BlockData::default()),
        metadata: None,
    }
}

fn channel(name: &str) -> ChannelInfo {
    ChannelInfo {
        name: ChannelId::parse(name).expect("a name"),
        relation: Relation::Consenter,
        status: Status::Active,
        height: Height(1),
        consensus: None,
        reason: None,
    }
}

impl Registrar for Fake {
    fn channels(&self) -> Vec<ChannelId> {
        self.channels
            .lock()
            .iter()
            .map(|channel| channel.name.clone())
            .collect()
    }

    fn channel(&self, name: &ChannelId) -> Option<ChannelInfo> {
        self.channels
            .lock()
            .iter()
            .find(|channel| channel.name == *name)
            .cloned()
    }

    fn join(&self, received: Block) -> BoxFuture<'_, Result<ChannelInfo, JoinError>> {
        assert_eq!(received, block());
        let outcome = self.join_error.clone().map_or_else(|| Ok(channel("ch1")), Err);
        async move { outcome }.boxed()
    }

    fn update(&self, envelope: Bytes) -> BoxFuture<'_, Result<ChannelInfo, UpdateError>> {
        assert_eq!(envelope, UPDATE);
        let outcome = self.update_error.clone().map_or_else(|| Ok(channel("ch1")), Err);
        async move { outcome }.boxed()
    }

    fn remove<'a>(&'a self, channel: &'a ChannelId) -> BoxFuture<'a, Result<(), RemoveError>> {
        let mut channels = self.channels.lock();
        let before = channels.len();
        channels.retain(|info| info.name != *channel);
        let removed = match (before > channels.len(), channel.as_str()) {
            (true, "stuck") => Err(RemoveError::Failed("disk".to_owned())),
            (true, "going") => Err(RemoveError::Pending),
            (true, _) => Ok(()),
            (false, _) => Err(RemoveError::NoChannel),
        };
        async move { removed }.boxed()
    }

    fn block<'a>(
        &'a self,
        _: &'a ChannelId,
        choice: BlockChoice,
    ) -> BoxFuture<'a, Result<SealedBlock, FetchError>> {
        *self.fetched.lock() = Some(choice);
        let sealed = SealedBlock::seal(&block()).expect("a block");
        let outcome = self.fetch_error.clone().map_or(Ok(sealed), Err);
        async move { outcome }.boxed()
    }
}

/// A reply in pieces.
struct Reply {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Reply {
    fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        lines
            .into_iter()
            .find(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("text")
    }
}

async fn loopback() -> tokio::net::TcpListener {
    let any = Listen {
        host: "127.0.0.1".to_owned(),
        port: 0,
    };
    bind(&any).await.expect("a port")
}

async fn start(fake: Fake) -> (SocketAddr, Arc<Fake>) {
    let registrar = Arc::new(fake);
    let plain = Acceptor::for_http(None, LIMIT).expect("plain");
    let incoming = Incoming::new(loopback().await, plain).expect("a listener");
    let addr = incoming.local_addr();
    let router = router(Arc::clone(&registrar), BODY_BYTES_MAX);
    tokio::spawn(serve(incoming, router, CancellationToken::new()));
    (addr, registrar)
}

/// Sends `head` (request line and headers, lines ended by `\n`) and `body` on a connection of its own.
async fn send(to: SocketAddr, head: &str, body: &[u8]) -> Reply {
    let mut stream = TcpStream::connect(to).await.expect("a connection");
    let head = format!(
        "{head}\nHost: x\nConnection: close\nContent-Length: {}\n\n",
        body.len()
    );
    stream
        .write_all(head.replace('\n', "\r\n").as_bytes())
        .await
        .expect("sent");
    stream.write_all(body).await.expect("sent");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.expect("an answer");
    parse(&answer)
}

fn parse(answer: &[u8]) -> Reply {
    let end = answer
        .windows(4)
        .position(|part| part == b"\r\n\r\n")
        .expect("a head");
    let head = String::from_utf8(answer[..end].to_vec()).expect("text");
    Reply {
        status: head
            .split(' ')
            .nth(1)
            .expect("a status")
            .parse()
            .expect("a number"),
        head,
        body: answer[end + 4..].to_vec(),
    }
}

async fn get(to: SocketAddr, path: &str) -> Reply {
    send(to, &format!("GET {path} HTTP/1.1"), b"").await
}

const POST: &str = "POST /participation/v1/channels HTTP/1.1\nContent-Type: multipart/form-data; boundary=xx";

/// A form of (key, is a file, content) parts with boundary `xx`.
fn form(parts: &[(&str, bool, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (key, is_file, content) in parts {
        let file = if *is_file { "; filename=\"a.block\"" } else { "" };
        let head = format!("--xx\r\nContent-Disposition: form-data; name=\"{key}\"{file}\r\n\r\n");
        body.extend(head.bytes());
        body.extend(*content);
        body.extend(b"\r\n");
    }
    body.extend(b"--xx--\r\n");
    body
}

fn join_form() -> Vec<u8> {
    form(&[("config-block", true, &block().encode_to_vec())])
}

#[tokio::test]
async fn the_list_leaves_channels_out_while_there_are_none() {
    let (addr, registrar) = start(Fake::default()).await;
    let reply = get(addr, "/participation/v1/channels").await;
    assert_eq!((reply.status, reply.text()), (200, "{\"systemChannel\":null}\n"));
    assert_eq!(reply.header("Content-Type"), Some("application/json"));
    assert_eq!(reply.header("Cache-Control"), Some("no-store"));
    assert_eq!(reply.header("X-Request-Id").map(str::len), Some(36));

    registrar.channels.lock().push(channel("ch1"));
    let reply = get(addr, "/participation/v1/channels").await;
    let one = r#"{"systemChannel":null,"channels":[{"name":"ch1","url":"/participation/v1/channels/ch1"}]}"#;
    assert_eq!(reply.text().trim_end(), one);
}

#[tokio::test]
async fn one_channel_is_told_with_five_fields_in_order() {
    let (addr, registrar) = start(Fake::default()).await;
    registrar.channels.lock().extend([
        channel("ch1"),
        ChannelInfo {
            relation: Relation::Follower,
            status: Status::Onboarding,
            height: Height(0),
            ..channel("ch2")
        },
    ]);
    let reply = get(addr, "/participation/v1/channels/ch1").await;
    let expected = r#"{"name":"ch1","url":"/participation/v1/channels/ch1","consensusRelation":"consenter","status":"active","height":1}"#;
    assert_eq!((reply.status, reply.text().trim_end()), (200, expected));
    assert_eq!(reply.header("Cache-Control"), Some("no-store"));
    let reply = get(addr, "/participation/v1/channels/ch2").await;
    assert!(
        reply
            .text()
            .contains(r#""consensusRelation":"follower","status":"onboarding","height":0}"#)
    );
}

/// What the reference does not tell stands behind what it does.
#[tokio::test]
async fn behind_the_five_fields_stand_the_cluster_and_what_is_wrong() {
    let (addr, registrar) = start(Fake::default()).await;
    let cluster = ClusterStatus {
        id: ConsenterId(2),
        members: vec![ConsenterId(1), ConsenterId(2)],
        term: 7,
        leader: None,
        active: Vec::new(),
        answering: Some(1),
        trouble: Some("1 of 2 consenters answer".to_owned()),
    };
    registrar.channels.lock().push(ChannelInfo {
        consensus: Some(ConsensusInfo {
            kind: "etcdraft".to_owned(),
            cluster,
        }),
        reason: Some("as it is".to_owned()),
        ..channel("ch1")
    });
    let reply = get(addr, "/participation/v1/channels/ch1").await;
    let (_, behind) = reply.text().split_once(r#""height":1,"#).unwrap();
    let expected = r#""consensus":{"type":"etcdraft","id":2,"leader":0,"term":7,"members":[1,2],"active":[],"trouble":"1 of 2 consenters answer"},"reason":"as it is"}"#;
    assert_eq!(behind.trim_end(), expected);
}

#[tokio::test]
async fn unknown_and_impossible_channels_are_told_apart() {
    let (addr, _) = start(Fake::default()).await;
    let reply = get(addr, "/participation/v1/channels/none").await;
    assert_eq!(
        (reply.status, reply.text()),
        (404, "{\"error\":\"channel does not exist\"}\n")
    );
    let reply = get(addr, "/participation/v1/channels/X").await;
    let told = "{\"error\":\"invalid channel ID: 'X' contains illegal characters\"}\n";
    assert_eq!((reply.status, reply.text()), (400, told));
    let reply = get(addr, "/participation/v1/channels/a%3Cb%3E%26").await;
    assert!(
        reply.text().contains("'a\\u003cb\\u003e\\u0026' contains"),
        "{}",
        reply.text()
    );
}

#[tokio::test]
async fn a_join_answers_created_with_the_channel_and_its_place() {
    let (addr, _) = start(Fake::default()).await;
    let reply = send(addr, POST, &join_form()).await;
    assert_eq!(reply.status, 201, "{}", reply.text());
    assert_eq!(reply.header("Location"), Some("/participation/v1/channels/ch1"));
    assert!(
        reply.text().starts_with(r#"{"name":"ch1","url":"#),
        "{}",
        reply.text()
    );
}

#[tokio::test]
async fn each_failed_join_has_its_status_and_text() {
    for (error, status, text) in [
        (
            JoinError::InvalidBlock("block is not a config block".to_owned()),
            400,
            "invalid join block: block is not a config block",
        ),
        (
            JoinError::Refused("no such consenter".to_owned()),
            400,
            "cannot join: no such consenter",
        ),
        (
            JoinError::AlreadyExists,
            405,
            "cannot join: channel already exists",
        ),
        (
            JoinError::PendingRemoval,
            409,
            "cannot join: channel pending removal",
        ),
        (
            JoinError::RemovalFailed,
            500,
            "cannot join: channel removal failure",
        ),
        (JoinError::Internal("disk".to_owned()), 500, "cannot join: disk"),
    ] {
        let allow = (error == JoinError::AlreadyExists).then_some("GET, DELETE");
        let fake = Fake {
            join_error: Some(error),
            ..Fake::default()
        };
        let (addr, _) = start(fake).await;
        let reply = send(addr, POST, &join_form()).await;
        assert_eq!(
            (reply.status, reply.text()),
            (status, format!("{{\"error\":\"{text}\"}}\n").as_str())
        );
        assert_eq!(reply.header("Allow"), allow);
    }
}

#[tokio::test]
async fn a_body_that_is_not_the_form_is_refused_with_the_reason() {
    let (addr, _) = start(Fake::default()).await;
    let block = block().encode_to_vec();
    let no_type = "POST /participation/v1/channels HTTP/1.1";
    let json = "POST /participation/v1/channels HTTP/1.1\nContent-Type: application/json";
    let missing = "form does not contains part key: config-block";
    for (head, body, text) in [
        (no_type, join_form(), "unsupported Content-Type: []"),
        (json, join_form(), "unsupported Content-Type: [application/json]"),
        (POST, form(&[("other", true, &block)]), missing),
        (POST, form(&[("config-block", false, &block)]), missing),
        (POST, form(&[]), missing),
        (
            POST,
            form(&[("config-block", true, &block), ("more", false, b"1")]),
            "form contains too many parts",
        ),
        (
            POST,
            form(&[("config-block", true, &[0; BODY_BYTES_MAX])]),
            "cannot read form from request body: http: request body too large",
        ),
        (POST, b"no form".to_vec(), "cannot read form from request body: "),
        (
            POST,
            form(&[("config-block", true, b"\x0f")]),
            "cannot unmarshal file part config-block into a block: ",
        ),
    ] {
        let reply = send(addr, head, &body).await;
        assert_eq!(reply.status, 400);
        assert!(
            reply.text().contains(&format!("{{\"error\":\"{text}")),
            "{text}\nin\n{}",
            reply.text()
        );
    }
}

#[tokio::test]
async fn a_client_that_sends_far_too_much_hears_the_refusal() {
    let (addr, _) = start(Fake::default()).await;
    // More than the sockets hold: the client would be cut off while it sends.
    let large = vec![0; 16 << 20];
    let no_type = "POST /participation/v1/channels HTTP/1.1";
    for (head, body) in [(POST, form(&[("config-block", true, &large)])), (no_type, large)] {
        assert_eq!(send(addr, head, &body).await.status, 400);
    }
}

#[tokio::test]
async fn blocks_are_fetched_by_name_or_number() {
    let (addr, registrar) = start(Fake::default()).await;
    for (id, choice) in [
        ("newest", BlockChoice::Newest),
        ("oldest", BlockChoice::Oldest),
        ("config", BlockChoice::Config),
        ("7", BlockChoice::Number(BlockNumber(7))),
    ] {
        let reply = get(addr, &format!("/participation/v1/channels/ch1/blocks/{id}")).await;
        assert_eq!(
            (reply.status, reply.body.as_slice()),
            (200, block().encode_to_vec().as_slice())
        );
        assert_eq!(reply.header("Content-Type"), Some("application/octet-stream"));
        assert_eq!(reply.header("Cache-Control"), Some("no-store"));
        assert_eq!(*registrar.fetched.lock(), Some(choice));
    }
    for id in ["foo", "-1", "1.5", "18446744073709551616"] {
        let reply = get(addr, &format!("/participation/v1/channels/ch1/blocks/{id}")).await;
        // `<` and `>` are escaped inside of JSON.
        let told = format!(
            "{{\"error\":\"invalid block ID: '{id}' not equal \\u003cnewest/oldest/config/(number)\\u003e\"}}\n"
        );
        assert_eq!((reply.status, reply.text()), (400, told.as_str()));
    }
}

#[tokio::test]
async fn every_failed_fetch_is_not_found() {
    for (error, text) in [
        (FetchError::NoChannel, "channel does not exist"),
        (FetchError::Follower, "channel is not ready, he is a follower"),
        (
            FetchError::NoBlock(BlockNumber(7)),
            "no such block number [7] in index",
        ),
        (FetchError::Failed("disk".to_owned()), "disk"),
    ] {
        let fake = Fake {
            fetch_error: Some(error),
            ..Fake::default()
        };
        let (addr, _) = start(fake).await;
        let reply = get(addr, "/participation/v1/channels/ch1/blocks/newest").await;
        assert_eq!(
            (reply.status, reply.text()),
            (404, format!("{{\"error\":\"{text}\"}}\n").as_str())
        );
    }
}

#[tokio::test]
async fn methods_a_path_does_not_have_are_named_with_those_it_has() {
    let (addr, _) = start(Fake::default()).await;
    for (method, path, allow) in [
        ("PATCH", "/participation/v1/channels", "GET, POST, PUT"),
        ("HEAD", "/participation/v1/channels", "GET, POST, PUT"),
        ("POST", "/participation/v1/channels/ch1", "GET, DELETE"),
        ("PUT", "/participation/v1/channels/ch1/blocks/1", "GET"),
    ] {
        let reply = send(addr, &format!("{method} {path} HTTP/1.1"), b"").await;
        assert_eq!(
            (reply.status, reply.header("Allow")),
            (405, Some(allow)),
            "{method} {path}"
        );
        if method != "HEAD" {
            let told = format!("{{\"error\":\"invalid request method: {method}\"}}\n");
            assert_eq!(reply.text(), told);
        }
    }
}

#[tokio::test]
async fn a_client_must_take_json() {
    let (addr, _) = start(Fake::default()).await;
    let asks = async |accept: &str, path: &str| {
        send(addr, &format!("GET {path} HTTP/1.1\nAccept: {accept}"), b"").await
    };
    for accept in ["application/json", "text/html, application/*;q=0.8", "*/*"] {
        assert_eq!(
            asks(accept, "/participation/v1/channels").await.status,
            200,
            "{accept}"
        );
    }
    for path in ["", "/ch1", "/ch1/blocks/newest"] {
        let reply = asks("text/html", &format!("/participation/v1/channels{path}")).await;
        let told = "{\"error\":\"response Content-Type is application/json only\"}\n";
        assert_eq!((reply.status, reply.text()), (406, told));
    }
}

#[tokio::test]
async fn the_root_leads_to_the_list_and_other_paths_nowhere() {
    let (addr, _) = start(Fake::default()).await;
    let reply = get(addr, "/participation/v1").await;
    assert_eq!(
        (reply.status, reply.header("Location")),
        (307, Some("/participation/v1/"))
    );
    let reply = get(addr, "/participation/v1/").await;
    assert_eq!(
        (reply.status, reply.header("Location")),
        (302, Some("/participation/v1/channels"))
    );
    let reply = get(addr, "/metrics").await;
    assert_eq!((reply.status, reply.text()), (404, "404 page not found\n"));
    assert_eq!(reply.header("Content-Type"), Some("text/plain; charset=utf-8"));
}

#[tokio::test]
async fn a_request_id_of_the_client_comes_back() {
    let (addr, _) = start(Fake::default()).await;
    let head = "GET /participation/v1/channels HTTP/1.1\nX-Request-Id: mine";
    assert_eq!(send(addr, head, b"").await.header("X-Request-Id"), Some("mine"));
}

#[tokio::test]
async fn over_tls_only_clients_of_the_authority_get_an_answer() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let files = Files::new(&ours.issue("server"));
    let acceptor = Acceptor::for_http(Some(&files.settings(true, &[ours.pem()])), LIMIT).expect("good files");
    let incoming = Incoming::new(loopback().await, acceptor).expect("a listener");
    let addr = incoming.local_addr();
    let router = router(Arc::new(Fake::default()), BODY_BYTES_MAX);
    tokio::spawn(serve(incoming, router, CancellationToken::new()));

    let ask = async |pair: Option<crate::tls::testing::Pair>| {
        let tcp = TcpStream::connect(addr).await?;
        let name = rustls::pki_types::ServerName::try_from("localhost").expect("a name");
        let mut stream = client(&ours, pair.as_ref()).connect(name, tcp).await?;
        let request = b"GET /participation/v1/channels HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        stream.write_all(request).await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        std::io::Result::Ok(answer)
    };
    let answer = ask(Some(ours.issue("admin"))).await.expect("an answer");
    assert_eq!(parse(&answer).status, 200);
    assert!(ask(None).await.is_err());
    assert!(ask(Some(theirs.issue("stranger"))).await.is_err());
}

#[tokio::test]
async fn stopping_ends_idle_connections_and_closes_the_port() {
    let plain = Acceptor::for_http(None, LIMIT).expect("plain");
    let incoming = Incoming::new(loopback().await, plain).expect("a listener");
    let addr = incoming.local_addr();
    let stop = CancellationToken::new();
    let router = router(Arc::new(Fake::default()), BODY_BYTES_MAX);
    let server = tokio::spawn(serve(incoming, router, stop.clone()));

    let mut idle = TcpStream::connect(addr).await.expect("a connection");
    idle.write_all(b"GET /participation/v1/channels HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .expect("sent");
    assert!(idle.read(&mut [0; 4_096]).await.expect("an answer") > 0);
    stop.cancel();
    let ended = tokio::time::timeout(Duration::from_secs(2), server).await;
    ended.expect("in time").expect("no panic");
    assert_eq!(idle.read(&mut [0; 16]).await.expect("a close"), 0);
    assert!(TcpStream::connect(addr).await.is_err());
}

const PUT: &str = "PUT /participation/v1/channels HTTP/1.1\nContent-Type: multipart/form-data; boundary=xx";

#[tokio::test]
async fn an_update_that_was_taken_in_is_answered_like_a_join() {
    let (addr, _) = start(Fake::default()).await;
    let reply = send(addr, PUT, &form(&[("config-update-envelope", true, UPDATE)])).await;
    assert_eq!(reply.status, 201);
    assert_eq!(reply.header("Location"), Some("/participation/v1/channels/ch1"));
    let wrong = send(addr, PUT, &join_form()).await;
    let text = "{\"error\":\"form does not contains part key: config-update-envelope\"}\n";
    assert_eq!((wrong.status, wrong.text()), (400, text));
}

#[tokio::test]
async fn each_failed_update_has_its_status_and_text() {
    let refused = UpdateError::Refused {
        channel: ChannelId::parse("ch1").expect("a name"),
        reason: "stale".to_owned(),
    };
    for (error, status, text) in [
        (
            UpdateError::InvalidEnvelope("bad type: 3".to_owned()),
            400,
            "invalid config update envelope: bad type: 3",
        ),
        (
            UpdateError::NoChannel,
            405,
            "cannot update: channel does not exist",
        ),
        (
            refused,
            400,
            "cannot update: failed update config of channel ch1: stale",
        ),
        (
            UpdateError::Follower,
            403,
            "cannot update: channel is not ready, he is a follower",
        ),
        (
            UpdateError::PendingRemoval,
            409,
            "cannot update: channel pending removal",
        ),
        (
            UpdateError::RemovalFailed,
            500,
            "cannot update: channel removal failure",
        ),
        (UpdateError::Internal("bug".to_owned()), 500, "cannot update: bug"),
    ] {
        let fake = Fake {
            update_error: Some(error),
            ..Fake::default()
        };
        let (addr, _) = start(fake).await;
        let reply = send(addr, PUT, &form(&[("config-update-envelope", true, UPDATE)])).await;
        let expected = format!("{{\"error\":\"{text}\"}}\n");
        assert_eq!((reply.status, reply.text()), (status, expected.as_str()));
        assert_eq!(reply.header("Allow"), None);
    }
}

#[tokio::test]
async fn a_removed_channel_is_204_and_then_404() {
    let (addr, registrar) = start(Fake::default()).await;
    registrar
        .channels
        .lock()
        .extend([channel("ch1"), channel("stuck"), channel("going")]);
    let remove = async |name| {
        send(
            addr,
            &format!("DELETE /participation/v1/channels/{name} HTTP/1.1"),
            b"",
        )
        .await
    };
    let reply = remove("ch1").await;
    assert_eq!((reply.status, reply.text()), (204, ""));
    for (name, status, text) in [
        ("ch1", 404, "cannot remove: channel does not exist"),
        ("stuck", 500, "cannot remove: disk"),
        ("going", 409, "cannot remove: channel pending removal"),
        ("Bad", 400, "invalid channel ID: "),
    ] {
        let reply = remove(name).await;
        assert_eq!(reply.status, status);
        assert!(reply.text().contains(text), "{}", reply.text());
    }
}
