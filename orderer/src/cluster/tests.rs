//! Messages between nodes, over real TLS on loopback.

mod egress;
mod ingress;
mod support;

use std::time::Duration;

use consensus::transport::{ClusterMessage, ForwardMark, MessageKind, SendError};
use protos::{ConfigSeq, ConsenterId, Envelope};
use support::{Node, World, channel, consensus, text_of, until};

use super::*;

const TWO: ConsenterId = ConsenterId(2);

#[tokio::test]
async fn messages_of_each_kind_arrive_as_they_were_sent_and_in_their_order() {
    let world = World::new();
    let (one, mut two) = (world.node(1).await, world.node(2).await);
    let sender = one.join("ch", &[&two]);
    let _receiver = two.join("ch", &[&one]);
    let submit = |number: u64| ClusterMessage::Submit {
        envelope: Envelope::from_received(vec![0x0a, 1, b'p', 0x12, 1, b's'].into()).unwrap(),
        config_seq: ConfigSeq(7),
        mark: Some(ForwardMark {
            term: 2,
            incarnation: 3,
            number,
        }),
    };
    for (kind, message) in [
        (MessageKind::Heartbeat, consensus(b"heartbeat", b"")),
        (MessageKind::Append, consensus(&vec![5; 3 << 20], b"metadata")),
    ] {
        sender.send(two.id, kind, message.clone()).unwrap();
        assert_eq!(two.next("ch").await, (one.id, message));
    }
    let mut streams = sender.submit_streams();
    assert_eq!(
        sender.send(two.id, MessageKind::Submit, submit(1)),
        Err(SendError::NotConnected(two.id))
    );
    streams
        .wait_for(|streams| streams.get(&two.id) == Some(&1))
        .await
        .unwrap();
    for number in 1..=1000 {
        sender.send(two.id, MessageKind::Submit, submit(number)).unwrap();
    }
    for number in 1..=1000 {
        assert_eq!(two.next("ch").await, (one.id, submit(number)));
    }
    assert_eq!(one.cluster.counters().connections(), 3);
}

#[tokio::test]
async fn entries_sent_before_there_is_a_connection_arrive_in_their_order() {
    let world = World::new();
    let (one, mut two) = (world.node(1).await, world.node(2).await);
    let _receiver = two.join("ch", &[&one]);
    let sender = one.join("ch", &[&two]);
    for number in 0..50_u8 {
        let message = consensus(&[number], b"");
        sender.send(two.id, MessageKind::Append, message).unwrap();
    }
    for number in 0..50_u8 {
        assert_eq!(text_of(&two.next("ch").await.1), [number]);
    }
}

#[tokio::test]
async fn heartbeats_of_a_node_that_leads_no_more_are_not_sent() {
    let world = World::new();
    let (one, mut two) = (world.node(1).await, world.node(2).await);
    let _receiver = two.join("ch", &[&one]);
    let sender = one.join("ch", &[&two]);
    // No other task runs before the first await, so all of these still wait.
    let message = |text: &[u8]| consensus(text, b"");
    for kind in [MessageKind::Heartbeat, MessageKind::Append] {
        sender.send(two.id, kind, message(b"leads")).unwrap();
    }
    sender.forget_heartbeats();
    sender
        .send(two.id, MessageKind::Heartbeat, message(b"asks for a vote"))
        .unwrap();
    let mut texts = Vec::new();
    for _ in 0..2 {
        texts.push(text_of(&two.next("ch").await.1));
    }
    texts.sort_unstable();
    assert_eq!(texts, [&b"asks for a vote"[..], b"leads"]);
}

#[tokio::test]
async fn a_node_with_a_listener_for_orderers_alone_is_reached_there() {
    let world = World::new();
    let one = world.node(1).await;
    let mut two = world.node_requiring_certificates(2).await;
    let sender = one.join("ch", &[&two]);
    let _receiver = two.join("ch", &[&one]);
    let message = consensus(b"hello", b"");
    sender
        .send(two.id, MessageKind::Heartbeat, message.clone())
        .unwrap();
    assert_eq!(two.next("ch").await, (one.id, message));
}

#[tokio::test]
async fn five_hundred_channels_share_three_connections() {
    const CHANNELS: usize = 500;
    let world = World::new();
    let (one, mut two) = (world.node(1).await, world.node(2).await);
    let names: Vec<String> = (0..CHANNELS).map(|number| format!("ch{number}")).collect();
    let joined: Vec<_> = names
        .iter()
        .map(|name| (two.join(name, &[&one]), one.join(name, &[&two])))
        .collect();
    for (_, sender) in &joined {
        for kind in [MessageKind::Heartbeat, MessageKind::Append] {
            sender.send(two.id, kind, consensus(b"x", b"")).unwrap();
        }
        let _ = sender.send(two.id, MessageKind::Submit, consensus(b"x", b""));
    }
    for name in &names {
        two.next(name).await;
        two.next(name).await;
    }
    for (_, sender) in &joined {
        let mut streams = sender.submit_streams();
        let opened = streams.wait_for(|streams| !streams.is_empty());
        until(opened).await.unwrap();
    }
    assert_eq!(one.cluster.counters().connections(), 3);
}

#[tokio::test]
async fn a_peer_that_is_restarted_is_reached_again_soon_and_its_streams_are_counted() {
    let world = World::new();
    let (one, mut two) = (world.node(1).await, world.node(2).await);
    let _receiver = two.join("ch", &[&one]);
    let sender = one.join("ch", &[&two]);
    let mut streams = sender.submit_streams();
    let _ = sender.send(two.id, MessageKind::Submit, consensus(b"x", b""));
    let first = streams.wait_for(|streams| streams.get(&two.id) == Some(&1));
    until(first).await.unwrap();
    let heartbeat = || sender.send(TWO, MessageKind::Heartbeat, consensus(b"beat", b""));
    heartbeat().unwrap();
    two.next("ch").await;

    two.kill().await;
    tokio::time::sleep(Duration::from_millis(700)).await;
    two.restart().await;
    let restarted = tokio::time::Instant::now();
    let second = streams.wait_for(|streams| streams.get(&two.id) == Some(&2));
    until(second).await.unwrap();
    heartbeat().unwrap();
    two.next("ch").await;
    let took = restarted.elapsed();
    assert!(took < Duration::from_secs(2), "it took {took:?}");
}

#[tokio::test]
async fn a_peer_that_joins_a_channel_late_is_sent_to_as_soon_as_it_calls() {
    let world = World::new();
    let (one, mut two) = (world.node(1).await, world.node(2).await);
    let sender = one.join("ch", &[&two]);
    let beat = || sender.send(TWO, MessageKind::Heartbeat, consensus(b"beat", b""));
    // Long enough for the pauses between refused streams to grow beyond what is waited for below.
    let began = tokio::time::Instant::now();
    while began.elapsed() < Duration::from_secs(4) {
        beat().unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(two.cluster.counters().refused(Refused::UnknownChannel) >= 3);
    beat().unwrap();
    let joined = tokio::time::Instant::now();
    let _receiver = two.join("ch", &[&one]);
    two.next("ch").await;
    let took = joined.elapsed();
    assert!(took < Duration::from_secs(1), "it took {took:?}");
}

#[tokio::test]
async fn a_node_knows_itself_by_its_servers_key() {
    let world = World::new();
    let (one, two) = (world.node(1).await, world.node(2).await);
    assert!(one.cluster.is_self(one.pair.certificate.as_bytes()));
    assert!(!one.cluster.is_self(two.pair.certificate.as_bytes()));
    assert!(!one.cluster.is_self(b"no certificate"));
    assert_eq!(one.cluster.lacks(), None);
}

#[test]
fn a_node_without_tls_reaches_nobody_and_says_why() {
    let cluster = Cluster::new(&support::general(""), Arc::default()).unwrap();
    assert!(cluster.lacks().is_some());
    assert!(!cluster.is_self(b""));
    cluster.set_channel_roots(Vec::new()).unwrap();
    cluster.reload().unwrap();
}

#[tokio::test]
async fn a_certificate_renewed_for_the_same_key_needs_no_other_config() {
    let world = World::new();
    let (one, mut two) = (world.node(1).await, world.node(2).await);
    let _receiver = two.join("ch", &[&one]);
    let sender = one.join("ch", &[&two]);
    for node in [&one, &two] {
        let renewed = world.authority.renew("renewed", &node.pair);
        assert_ne!(renewed.certificate, node.pair.certificate);
        node.files.replace(&renewed);
        node.cluster.reload().unwrap();
        // Its channels still list the certificate that it had.
        assert!(node.cluster.is_self(node.pair.certificate.as_bytes()));
    }
    let beat = || sender.send(TWO, MessageKind::Heartbeat, consensus(b"renewed", b""));
    until(async {
        loop {
            let _ = beat();
            let arrived = tokio::time::timeout(Duration::from_millis(50), two.next("ch"));
            if arrived
                .await
                .is_ok_and(|(_, message)| text_of(&message) == b"renewed")
            {
                return;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_new_certificate_of_this_node_is_shown_after_a_reload() {
    let world = World::new();
    let (one, mut two) = (world.node(1).await, world.node(2).await);
    let receiver = two.join("ch", &[&one]);
    let sender = one.join("ch", &[&two]);
    let beat = |text: &[u8]| sender.send(TWO, MessageKind::Heartbeat, consensus(text, b""));
    beat(b"before").unwrap();
    assert_eq!(text_of(&two.next("ch").await.1), b"before");

    let next = world.authority.issue("one again");
    receiver.set_peers(vec![Node::peer_with(&one, &next.certificate)]);
    one.files.replace(&next);
    one.cluster.reload().unwrap();
    assert!(one.cluster.is_self(next.certificate.as_bytes()));
    until(async {
        loop {
            let _ = beat(b"after");
            let arrived = tokio::time::timeout(Duration::from_millis(50), two.next("ch"));
            if arrived
                .await
                .is_ok_and(|(_, message)| text_of(&message) == b"after")
            {
                return;
            }
        }
    })
    .await;
    assert!(one.cluster.counters().connections() >= 2);
}

#[tokio::test]
async fn a_peer_that_was_taken_away_is_no_peer() {
    let world = World::new();
    let (one, two) = (world.node(1).await, world.node(2).await);
    let sender = one.join("ch", &[&two]);
    sender.set_peers(Vec::new());
    let sent = sender.send(two.id, MessageKind::Heartbeat, consensus(b"x", b""));
    assert_eq!(sent, Err(SendError::UnknownPeer(TWO)));
}
