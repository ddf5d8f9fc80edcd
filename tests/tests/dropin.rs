//! What tools and scripts take for granted about one node (`docs/spec/dropin.md`) and no other suite shows.

use std::collections::BTreeSet;
use std::fs;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use client::Address;
use client::broadcast::{Acknowledge, BroadcastError, BroadcastOptions, submit_all};
use client::crypto::{self, KeyType, OrgKind, OrgPaths, OrgSpec};
use client::deliver::{DeliverStream, Position, Resume, Seek};
use client::envelope::EnvelopeSigner;
use protos::SealedBlock;
use tests::fixture::network::{Network, NetworkSpec};
use tests::fixture::process::Node;

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);
/// Certificates are made for ten years.
const LONG_AGO: Duration = Duration::from_hours(11 * 365 * 24);
/// How a socket that listens is marked in `/proc/net/tcp`.
const LISTENING: &str = "0A";
const LOCALHOST: Ipv4Addr = Ipv4Addr::LOCALHOST;

async fn submit(network: &Network, envelopes: Vec<Bytes>) -> Result<u64, BroadcastError> {
    let options = BroadcastOptions {
        acknowledge: Some(Acknowledge::Committed),
        ..BroadcastOptions::default()
    };
    submit_all(&network.connect().await, options, envelopes).await
}

async fn chain(network: &Network, signer: EnvelopeSigner) -> Vec<SealedBlock> {
    let seek = Seek::range(Position::Oldest, Position::Newest);
    let mut stream = DeliverStream::new(&network.connect().await, signer, seek, Resume::NEVER);
    let mut blocks = Vec::new();
    while let Some(block) = stream.next().await.expect("a block") {
        blocks.push(block);
    }
    blocks
}

/// Addresses that a process listens on, from what the kernel says of its sockets.
fn listeners(node: &Node) -> BTreeSet<String> {
    let process = Path::new("/proc").join(node.id().to_string());
    let links = fs::read_dir(process.join("fd")).expect("its open files");
    let links = links.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    let sockets: BTreeSet<String> = links.map(|link| link.to_string_lossy().into_owned()).collect();
    let mut found = BTreeSet::new();
    for table in ["net/tcp", "net/tcp6"] {
        let text = fs::read_to_string(process.join(table)).expect("its sockets");
        for line in text.lines().skip(1) {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let is_its = sockets.contains(&format!("socket:[{}]", fields[9]));
            if fields[3] == LISTENING && is_its {
                found.insert(fields[1].to_owned());
            }
        }
    }
    found
}

/// As `/proc/net/tcp` writes an address.
fn as_the_kernel_writes(address: SocketAddrV4) -> String {
    let ip = u32::from_ne_bytes(address.ip().octets());
    format!("{ip:08X}:{:04X}", address.port())
}

#[test]
fn a_node_listens_where_it_was_told_and_nowhere_else() {
    let mut network = Network::new(&NetworkSpec::default());
    network.node.start();
    let addresses = [
        network.address(),
        network.admin_address(),
        network.operations_address(),
    ];
    let ports = addresses.map(Address::port);
    let told = ports.map(|port| as_the_kernel_writes(SocketAddrV4::new(LOCALHOST, port)));
    assert_eq!(listeners(&network.node), BTreeSet::from(told));
}

/// The orderers' organisation once more, with the same names, made so long ago that everything has expired.
fn expired_twin(network: &Network) -> OrgPaths {
    let org = OrgSpec::new(OrgKind::Orderer, "orderers.example", KeyType::Ed25519);
    let org = org.with_node("o1", &["localhost", "127.0.0.1"]);
    let folder = network.node.folder().join("expired");
    let made = crypto::make(&folder, &[org], SystemTime::now() - LONG_AGO);
    made.expect("identities").remove(0)
}

#[test]
fn a_node_whose_tls_certificate_has_expired_starts() {
    let mut network = Network::new(&NetworkSpec::default());
    let [msp, tls] = network.node_folders();
    let twin = expired_twin(&network);
    for file in ["server.crt", "server.key"] {
        fs::copy(twin.node_tls("o1.orderers.example").join(file), tls.join(file)).expect("copied");
    }
    let admin = twin.user_msp(&twin.admin_name()).join("signcerts");
    copy_files(&admin, &msp.join("admincerts"));
    network.node.start();
    assert_warned(&network.node, "server.crt");
}

/// A line of level WARN has `text`.
fn assert_warned(node: &Node, text: &str) {
    let log = node.log();
    let mut warnings = log.lines().filter(|line| line.contains(" WARN "));
    assert!(
        warnings.any(|line| line.contains(text)),
        "no warning of {text}:\n{log}"
    );
}

#[test]
fn a_node_whose_own_certificate_has_expired_starts() {
    let mut network = Network::new(&NetworkSpec::default());
    let [msp, _] = network.node_folders();
    let twin = expired_twin(&network).node_msp("o1.orderers.example");
    for part in ["signcerts", "keystore"] {
        fs::remove_dir_all(msp.join(part)).expect("removed");
        copy_files(&twin.join(part), &msp.join(part));
    }
    network.node.start();
}

/// Copies the files of a folder into another one, which is made.
fn copy_files(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("files") {
        let entry = entry.expect("an entry");
        fs::copy(entry.path(), to.join(entry.file_name())).expect("copied");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_checks_of_expiry_an_expired_signer_is_let_in() {
    let spec = NetworkSpec {
        has_expired_org: true,
        ..NetworkSpec::default()
    };
    let mut network = Network::new(&spec);
    let folder = network.node.folder().to_owned();
    let name = "ORDERER_GENERAL_AUTHENTICATION_NOEXPIRATIONCHECKS";
    network.node = Node::new(&folder).with_variable(name, "true");
    network.node.start();
    network.join().await;
    let expired = network.expired_signer();
    let envelope = expired.transaction(Bytes::from_static(b"late")).bytes;
    submit(&network, vec![envelope]).await.expect("it is let in");
    assert_eq!(chain(&network, expired).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_envelope_that_is_sent_again_is_ordered_again() {
    let mut network = Network::new(&NetworkSpec::default());
    network.node.start();
    network.join().await;
    let envelope = network.signer().transaction(Bytes::from_static(b"again")).bytes;
    for _ in 0..2 {
        submit(&network, vec![envelope.clone()])
            .await
            .expect("it is ordered");
    }
    let blocks = chain(&network, network.signer()).await;
    let entries: Vec<_> = blocks[1..]
        .iter()
        .map(|block| block.decode().expect("a block"))
        .collect();
    let data = entries
        .iter()
        .flat_map(|block| block.data.clone().unwrap_or_default().data);
    assert_eq!(data.filter(|entry| *entry == envelope).count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_join_is_told_in_the_log() {
    let mut network = Network::new(&NetworkSpec::default());
    network.node.start();
    network.join().await;
    let told = "Created and started new channel fixture";
    network.node.wait_for(told, PATIENCE);
    let log = network.node.log();
    let place = |text: &str| log.find(text).unwrap_or_else(|| panic!("no {text:?} in\n{log}"));
    assert!(place("Joining channel fixture") < place(told), "{log}");
}

/// Connections, and what each sends, one envelope after the other.
const CONNECTIONS: usize = 50;
const ENVELOPES_EACH: usize = 100;

/// `docs/spec/dropin.md` §7: each envelope is a block of its own.
#[tokio::test(flavor = "multi_thread")]
async fn fifty_connections_with_one_envelope_on_the_way_each_get_more_than_500_a_second() {
    let mut spec = NetworkSpec::default();
    spec.batch.max_message_count = 1;
    let mut network = Network::new(&spec);
    network.node.start();
    network.join().await;
    let mut clients = Vec::new();
    for _ in 0..CONNECTIONS {
        let signer = network.signer();
        let envelopes = (0..ENVELOPES_EACH).map(|_| signer.transaction(Bytes::from_static(b"small")).bytes);
        clients.push((network.connect().await, envelopes.collect::<Vec<_>>()));
    }
    let began = Instant::now();
    let streams: Vec<_> = clients
        .into_iter()
        .map(|(connection, envelopes)| {
            tokio::spawn(async move {
                let one_at_a_time = BroadcastOptions {
                    acknowledge: Some(Acknowledge::Accepted),
                    in_flight_max: 1,
                };
                submit_all(&connection, one_at_a_time, envelopes).await
            })
        })
        .collect();
    for stream in streams {
        let answered = stream.await.expect("no panic").expect("all are accepted");
        assert_eq!(answered, ENVELOPES_EACH as u64);
    }
    let took = began.elapsed();
    let sent = u32::try_from(CONNECTIONS * ENVELOPES_EACH).expect("a count");
    let rate = f64::from(sent) / took.as_secs_f64();
    assert!(rate > 500.0, "{rate:.0} a second");
    let height = u64::from(sent) + 1;
    let deadline = began + PATIENCE;
    while network
        .admin()
        .info(network.channel())
        .await
        .expect("an answer")
        .height
        < height
    {
        assert!(Instant::now() < deadline, "not all of them are blocks");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
