use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::{TcpListener, UdpSocket};

use super::*;
use crate::config::StatsdNetwork;

const PATIENCE: Duration = Duration::from_secs(20);

fn settings(network: StatsdNetwork, address: std::net::SocketAddr) -> Statsd {
    Statsd {
        network,
        address: address.to_string(),
        write_interval: Duration::from_millis(20),
        prefix: "org_orderer".to_owned(),
    }
}

/// Reads lines until one begins with `beginning`.
async fn line(stream: tokio::net::TcpStream, beginning: &str) -> String {
    let mut lines = BufReader::new(stream).lines();
    let found = async {
        while let Some(line) = lines.next_line().await.unwrap() {
            if line.starts_with(beginning) {
                return line;
            }
        }
        panic!("the connection ended");
    };
    tokio::time::timeout(PATIENCE, found).await.unwrap()
}

#[tokio::test]
async fn a_lost_tcp_connection_is_dialled_again_and_loses_nothing_counted() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (metrics, stop) = (Arc::new(Metrics::default()), CancellationToken::new());
    let opened = &metrics.families().deliver.streams_opened;
    let settings = settings(StatsdNetwork::Tcp, listener.local_addr().unwrap());
    opened.add(2);
    let writing = tokio::spawn(run(Arc::clone(&metrics), settings, stop.clone()));
    let (first, _) = listener.accept().await.unwrap();
    let name = "org_orderer.deliver.streams_opened:";
    assert_eq!(line(first, name).await, format!("{name}2.000000|c"));
    // The connection is closed now. What comes after that may go into it and be lost, so it is awaited first.
    let (second, _) = tokio::time::timeout(PATIENCE, listener.accept())
        .await
        .unwrap()
        .unwrap();
    opened.add(3);
    assert_eq!(line(second, name).await, format!("{name}3.000000|c"));
    stop.cancel();
    tokio::time::timeout(PATIENCE, writing).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_server_that_comes_later_gets_what_was_counted_before() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let (metrics, stop) = (Arc::new(Metrics::default()), CancellationToken::new());
    metrics.families().deliver.streams_opened.add(4);
    let writing = tokio::spawn(run(
        Arc::clone(&metrics),
        settings(StatsdNetwork::Tcp, address),
        stop.clone(),
    ));
    tokio::time::sleep(Duration::from_millis(100)).await;
    let listener = TcpListener::bind(address).await.unwrap();
    let (stream, _) = tokio::time::timeout(PATIENCE, listener.accept())
        .await
        .unwrap()
        .unwrap();
    let name = "org_orderer.deliver.streams_opened:";
    assert_eq!(line(stream, name).await, format!("{name}4.000000|c"));
    stop.cancel();
    tokio::time::timeout(PATIENCE, writing).await.unwrap().unwrap();
}

#[tokio::test]
async fn udp_packets_carry_whole_lines_and_the_last_ones_come_at_the_stop() {
    let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let (metrics, stop) = (Arc::new(Metrics::default()), CancellationToken::new());
    let mut settings = settings(StatsdNetwork::Udp, server.local_addr().unwrap());
    settings.write_interval = Duration::from_hours(1);
    let writing = tokio::spawn(run(Arc::clone(&metrics), settings, stop.clone()));
    let mut packet = vec![0; 2000];
    let bytes = tokio::time::timeout(PATIENCE, server.recv(&mut packet))
        .await
        .unwrap()
        .unwrap();
    let text = std::str::from_utf8(&packet[..bytes]).unwrap();
    assert!(
        text.lines().all(|line| line.starts_with("org_orderer.")),
        "{text}"
    );
    metrics.families().deliver.streams_closed.add(5);
    stop.cancel();
    tokio::time::timeout(PATIENCE, writing).await.unwrap().unwrap();
    let found = async {
        loop {
            let bytes = server.recv(&mut packet).await.unwrap();
            let text = std::str::from_utf8(&packet[..bytes]).unwrap();
            if text.contains("org_orderer.deliver.streams_closed:5.000000|c\n") {
                return;
            }
        }
    };
    tokio::time::timeout(PATIENCE, found).await.unwrap();
}

#[test]
fn a_prefix_gets_a_dot() {
    assert_eq!([prefix(""), prefix("a"), prefix("a.")], ["", "a.", "a."]);
}
