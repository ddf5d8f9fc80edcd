//! Real handshakes over loopback.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use super::testing::{Authority, Files, Pair, client, greet};
use super::*;
use crate::config::Listen;

const LIMIT: Duration = Duration::from_secs(5);

/// A server that answers one byte and reports who came.
struct Server {
    addr: SocketAddr,
    peers: mpsc::UnboundedReceiver<Peer>,
}

async fn serve(acceptor: Acceptor) -> Server {
    let loopback = Listen {
        host: "127.0.0.1".to_owned(),
        port: 0,
    };
    let listener = bind(&loopback).await.expect("a port");
    let mut incoming = Incoming::new(listener, acceptor).expect("a listener");
    let addr = incoming.local_addr();
    let (sender, peers) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Some(mut connection) = incoming.accept().await {
            let sender = sender.clone();
            tokio::spawn(async move {
                let _ = connection.read_u8().await;
                let _ = sender.send(connection.peer().clone());
                let _ = connection.write_all(b"!").await;
                let _ = connection.shutdown().await;
            });
        }
    });
    Server { addr, peers }
}

fn grpc(settings: &crate::config::ServerTls) -> Acceptor {
    Acceptor::for_grpc(Some(settings), LIMIT).expect("good files")
}

#[tokio::test]
async fn a_grpc_listener_takes_any_certificate_or_none_and_shows_it() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let files = Files::new(&ours.issue("server"));
    let mut server = serve(grpc(&files.settings(false, &[]))).await;

    greet(&client(&ours, None), server.addr)
        .await
        .expect("no certificate is fine");
    let peer = server.peers.recv().await.expect("a peer");
    assert_eq!(peer.certificate(), None);

    for pair in [
        theirs.issue("stranger"),
        ours.issue_between("expired", 2020, 2021),
    ] {
        greet(&client(&ours, Some(&pair)), server.addr)
            .await
            .expect("any certificate is fine");
        let peer = server.peers.recv().await.expect("a peer");
        assert_eq!(peer.certificate(), Some(pair.der().as_ref()));
    }
}

#[tokio::test]
async fn a_listener_that_requires_certificates_takes_those_of_its_authorities_only() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let files = Files::new(&ours.issue("server"));
    let server = serve(grpc(&files.settings(true, &[ours.pem()]))).await;

    greet(&client(&ours, Some(&ours.issue("client"))), server.addr)
        .await
        .expect("one of ours");
    for refused in [
        None,
        Some(theirs.issue("stranger")),
        Some(ours.issue_between("expired", 2020, 2021)),
    ] {
        let outcome = greet(&client(&ours, refused.as_ref()), server.addr).await;
        assert!(outcome.is_err());
    }
}

#[tokio::test]
async fn the_authorities_of_channels_count_beside_those_of_the_files() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let files = Files::new(&ours.issue("server"));
    let acceptor = grpc(&files.settings(true, &[]));
    let server = serve(acceptor.clone()).await;
    let member = client(&ours, Some(&theirs.issue("member")));

    assert!(
        greet(&member, server.addr).await.is_err(),
        "without any authority nobody comes in"
    );
    let root = Pair {
        certificate: theirs.pem(),
        key: String::new(),
    };
    acceptor.set_channel_roots(vec![root.der()]).expect("a good root");
    greet(&member, server.addr)
        .await
        .expect("its channel vouches for it");
    acceptor.reload().expect("good files");
    greet(&member, server.addr)
        .await
        .expect("a reload keeps the channels' roots");
}

#[tokio::test]
async fn an_http_listener_verifies_a_certificate_that_is_shown() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let files = Files::new(&ours.issue("server"));
    let settings = files.settings(false, &[ours.pem()]);
    let server = serve(Acceptor::for_http(Some(&settings), LIMIT).expect("good files")).await;

    greet(&client(&ours, None), server.addr)
        .await
        .expect("none is fine");
    greet(&client(&ours, Some(&ours.issue("client"))), server.addr)
        .await
        .expect("one of ours");
    let stranger = greet(&client(&ours, Some(&theirs.issue("stranger"))), server.addr).await;
    assert!(
        stranger.is_err(),
        "one that does not verify is refused in the handshake"
    );
}

#[test]
fn an_http_listener_cannot_require_certificates_nobody_can_have() {
    let ours = Authority::new("ours");
    let files = Files::new(&ours.issue("server"));
    let refused = Acceptor::for_http(Some(&files.settings(true, &[])), LIMIT);
    assert!(matches!(refused, Err(TlsError::NoClientRoots)));
}

#[tokio::test]
async fn a_certificate_that_is_itself_listed_as_root_verifies() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let files = Files::new(&ours.issue("server"));
    let listed = theirs.issue("listed");
    let expired = theirs.issue_between("expired", 2020, 2021);
    let roots = [listed.certificate.clone(), expired.certificate.clone()];
    let server = serve(grpc(&files.settings(true, &roots))).await;

    greet(&client(&ours, Some(&listed)), server.addr)
        .await
        .expect("it is listed");
    assert!(greet(&client(&ours, Some(&expired)), server.addr).await.is_err());
    assert!(
        greet(&client(&ours, Some(&theirs.issue("other"))), server.addr)
            .await
            .is_err()
    );
}

#[tokio::test]
async fn keys_may_be_ed25519_rsa_or_of_a_larger_curve() {
    for algorithm in [
        &rcgen::PKCS_ED25519,
        &rcgen::PKCS_RSA_SHA256,
        &rcgen::PKCS_ECDSA_P384_SHA384,
    ] {
        let ours = Authority::with("ours", algorithm);
        let files = Files::new(&ours.issue("server"));
        let mut server = serve(grpc(&files.settings(true, &[ours.pem()]))).await;
        let pair = ours.issue("client");
        greet(&client(&ours, Some(&pair)), server.addr)
            .await
            .expect("a handshake");
        let peer = server.peers.recv().await.expect("a peer");
        assert_eq!(peer.certificate(), Some(pair.der().as_ref()));
    }
}

#[tokio::test]
async fn a_key_may_be_in_sec1_form() {
    let ours = Authority::new("ours");
    let pair = ours.issue("server");
    let pkcs8 = pem_body(&pair.key);
    // A P-256 key in PKCS#8 ends with its SEC1 form: SEQUENCE of 107 bytes, 109 with its head.
    let sec1 = pem::encode(&pem::Pem::new("EC PRIVATE KEY", &pkcs8[pkcs8.len() - 109..]));
    let files = Files::new(&Pair { key: sec1, ..pair });
    let server = serve(grpc(&files.settings(false, &[]))).await;
    greet(&client(&ours, None), server.addr)
        .await
        .expect("a handshake");
}

fn pem_body(text: &str) -> Vec<u8> {
    pem::parse(text).expect("PEM").into_contents()
}

#[tokio::test]
async fn a_time_shift_revives_expired_client_certificates() {
    let ours = Authority::new("ours");
    let files = Files::new(&ours.issue("server"));
    let expired = client(&ours, Some(&ours.issue_between("expired", 2020, 2022)));
    let in_2021 = SystemTime::UNIX_EPOCH + Duration::from_hours(24 * 365 * 51 + 24 * 13);
    let shift = SystemTime::now()
        .duration_since(in_2021)
        .expect("later than 2021");
    let settings = crate::config::ServerTls {
        handshake_time_shift: shift,
        ..files.settings(true, &[ours.pem()])
    };
    // The authority of this test is valid at both times.
    let server = serve(grpc(&settings)).await;
    greet(&expired, server.addr)
        .await
        .expect("valid at the shifted time");
}

#[tokio::test]
async fn reload_serves_new_files_and_keeps_the_old_ones_on_an_error() {
    let ours = Authority::new("ours");
    let (first, second) = (ours.issue("first"), ours.issue("second"));
    let files = Files::new(&first);
    let acceptor = grpc(&files.settings(false, &[]));
    let server = serve(acceptor.clone()).await;
    let connector = client(&ours, None);
    let shown = async || {
        let stream = greet(&connector, server.addr).await.expect("a handshake");
        stream.get_ref().1.peer_certificates().expect("a certificate")[0]
            .clone()
            .into_owned()
    };

    assert_eq!(shown().await, first.der());
    files.write("server.crt", &second.certificate);
    assert!(
        matches!(acceptor.reload(), Err(TlsError::Pair { .. })),
        "the key is still the first one's"
    );
    assert_eq!(shown().await, first.der());
    files.replace(&second);
    acceptor.reload().expect("good files");
    assert_eq!(shown().await, second.der());
}

#[test]
fn bad_files_are_named() {
    let ours = Authority::new("ours");
    let files = Files::new(&ours.issue("server"));
    let settings = files.settings(false, &[]);
    let told = || {
        Acceptor::for_grpc(Some(&settings), LIMIT)
            .expect_err("bad files")
            .to_string()
    };

    files.write("server.key", "nothing of the kind");
    assert!(
        told().ends_with("server.key holds no private key in PEM form"),
        "{}",
        told()
    );
    std::fs::remove_file(files.path().join("server.crt")).expect("removed");
    assert!(told().starts_with("cannot read "), "{}", told());
}

#[tokio::test]
async fn a_client_that_refuses_our_certificate_is_told_apart() {
    let ours = Authority::new("ours");
    let files = Files::new(&ours.issue_between("expired", 2020, 2021));
    let acceptor = grpc(&files.settings(false, &[]));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let addr = listener.local_addr().expect("an address");
    let connector = client(&ours, None);
    let (greeted, accepted) = tokio::join!(greet(&connector, addr), async {
        acceptor
            .accept(listener.accept().await.expect("a client").0)
            .await
    });
    assert!(greeted.is_err());
    let told = accepted.expect_err("refused").to_string();
    assert!(told.contains("tls: bad certificate"), "{told}");
}

#[tokio::test]
async fn a_silent_client_delays_nobody_and_is_cut_off() {
    let ours = Authority::new("ours");
    let files = Files::new(&ours.issue("server"));
    let limit = Duration::from_millis(300);
    let acceptor = Acceptor::for_grpc(Some(&files.settings(false, &[])), limit).expect("good files");
    let server = serve(acceptor).await;

    let mut silent = TcpStream::connect(server.addr).await.expect("a connection");
    greet(&client(&ours, None), server.addr)
        .await
        .expect("the next client is served");
    let closed = tokio::time::timeout(LIMIT, silent.read(&mut [0; 16])).await;
    assert_eq!(closed.expect("within the limit").expect("a close"), 0);
}

#[tokio::test]
async fn a_plain_listener_passes_bytes_through() {
    let mut server = serve(Acceptor::for_grpc(None, LIMIT).expect("plain")).await;
    let mut stream = TcpStream::connect(server.addr).await.expect("a connection");
    stream.write_all(b"?").await.expect("written");
    assert_eq!(stream.read_u8().await.expect("an answer"), b'!');
    let peer = server.peers.recv().await.expect("a peer");
    assert_eq!(peer.remote_addr, stream.local_addr().expect("an address"));
}

#[tokio::test]
async fn dropping_the_stream_frees_the_port() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let addr = listener.local_addr().expect("an address");
    let incoming =
        Incoming::new(listener, Acceptor::for_grpc(None, LIMIT).expect("plain")).expect("a listener");
    drop(incoming);
    for _ in 0..100 {
        if TcpStream::connect(addr).await.is_err() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the port still answers");
}
