//! Nodes with a certificate each, and chains that keep what they are given.

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use consensus::transport::{ClusterMessage, Peer, Transport};
use consensus::{
    Chain, ChainFailure, ChainStatus, Ended, EnqueueError, Phase, ReceiveError, Submission, Tickets,
};
use futures::future::BoxFuture;
use parking_lot::Mutex;
use protos::wire::common::Status;
use protos::{ChannelId, ConsenterId};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::cluster::{Cluster, Receivers, Step};
use crate::codec::ReceiveBudget;
use crate::config::{Config, Environment, General, Keepalive, Listen};
use crate::deliver::Deliver;
use crate::deliver::source::{Channels, Source};
use crate::metrics::Counter;
use crate::report::tasks::Tasks;
use crate::server::connections::{self, Http2};
use crate::server::guarded::Manners;
use crate::server::routes::ClusterRoutes;
use crate::tls::testing::{Authority, Files, Pair};
use crate::tls::{Acceptor, Incoming, bind};

/// Longest message that nodes of the tests take.
pub(super) const RECV_BYTES_MAX: usize = 4 << 20;

/// Fails the test when `what` takes too long.
pub(super) async fn until<T>(what: impl Future<Output = T>) -> T {
    let outcome = tokio::time::timeout(Duration::from_secs(20), what).await;
    outcome.expect("within 20 s")
}

pub(super) fn channel(name: &str) -> ChannelId {
    ChannelId::parse(name).unwrap()
}

pub(super) fn consensus(payload: &[u8], metadata: &[u8]) -> ClusterMessage {
    ClusterMessage::Consensus {
        payload: Bytes::copy_from_slice(payload),
        metadata: Bytes::copy_from_slice(metadata),
    }
}

/// The payload of a consensus message.
pub(super) fn text_of(message: &ClusterMessage) -> Vec<u8> {
    match message {
        ClusterMessage::Consensus { payload, .. } => payload.to_vec(),
        ClusterMessage::Submit { .. } => panic!("no consensus message: {message:?}"),
    }
}

/// Section `General` of a file with this content.
pub(super) fn general(content: &str) -> General {
    let config = Config::parse(Path::new("/etc/orderer.yaml"), content, &Environment::new());
    config.unwrap().general
}

/// One authority for all nodes.
pub(super) struct World {
    pub(super) authority: Authority,
}

impl World {
    pub(super) fn new() -> Self {
        Self {
            authority: Authority::new("ca"),
        }
    }

    /// A node that serves others on its general listener.
    pub(super) async fn node(&self, id: u64) -> Node {
        self.start(id, false).await
    }

    /// A node with a listener for orderers alone.
    pub(super) async fn node_requiring_certificates(&self, id: u64) -> Node {
        self.start(id, true).await
    }

    async fn start(&self, id: u64, requires_certificates: bool) -> Node {
        let pair = self.authority.issue(&format!("node {id}"));
        let files = Files::new(&pair);
        let authority = files.write("ca.crt", &self.authority.pem());
        let folder = files.path().display();
        let settings = general(&format!(
            "
General:
  TLS: {{Enabled: true, PrivateKey: {folder}/server.key, Certificate: {folder}/server.crt}}
  Cluster: {{RootCAs: [{}], RPCTimeout: 500ms, DialTimeout: 2s}}
",
            authority.display()
        ));
        let cluster = Cluster::new(&settings, Arc::default()).unwrap();
        cluster.set_channel_roots(Vec::new()).unwrap();
        let mut node = Node {
            id: ConsenterId(id),
            pair,
            acceptor: {
                let tls = files.settings(requires_certificates, &[self.authority.pem()]);
                Acceptor::for_grpc(Some(&tls), Duration::from_secs(5)).unwrap()
            },
            files,
            cluster,
            chains: Arc::default(),
            received: HashMap::new(),
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            serving: None,
        };
        node.restart().await;
        node
    }
}

/// One node.
pub(super) struct Node {
    pub(super) id: ConsenterId,
    pub(super) pair: Pair,
    pub(super) files: Files,
    pub(super) cluster: Arc<Cluster>,
    acceptor: Acceptor,
    pub(super) chains: Arc<Chains>,
    received: HashMap<String, mpsc::UnboundedReceiver<(ConsenterId, ClusterMessage)>>,
    pub(super) address: SocketAddr,
    serving: Option<(JoinHandle<()>, watch::Sender<bool>, CancellationToken)>,
}

impl Node {
    /// Makes a chain for channel `name`, and its transport to `peers`.
    pub(super) fn join(&self, name: &str, peers: &[&Node]) -> Arc<dyn Transport> {
        self.chains.chain_of(&channel(name));
        let transport = self.cluster.transport(&channel(name));
        transport.set_peers(peers.iter().map(|peer| peer.as_peer()).collect());
        transport
    }

    pub(super) fn as_peer(&self) -> Peer {
        Self::peer_with(self, &self.pair.certificate)
    }

    /// As others see it, with this client certificate.
    pub(super) fn peer_with(&self, client: &str) -> Peer {
        Peer {
            id: self.id,
            host: "127.0.0.1".to_owned(),
            port: self.address.port(),
            client_tls_cert: Bytes::copy_from_slice(client.as_bytes()),
            server_tls_cert: Bytes::copy_from_slice(self.pair.certificate.as_bytes()),
        }
    }

    /// The next message that the chain of channel `name` gets.
    pub(super) async fn next(&mut self, name: &str) -> (ConsenterId, ClusterMessage) {
        if !self.received.contains_key(name) {
            let receiver = self.chains.receiver_of(&channel(name));
            self.received.insert(name.to_owned(), receiver);
        }
        let received = self.received.get_mut(name).unwrap();
        until(received.recv()).await.unwrap()
    }

    /// Shows another certificate to whoever calls from now on.
    pub(super) fn present(&self, pair: &Pair) {
        self.files.replace(pair);
        self.acceptor.reload().unwrap();
    }

    /// Cuts all connections and closes the port.
    pub(super) async fn kill(&mut self) {
        let Some((serving, stopping, stop)) = self.serving.take() else {
            return;
        };
        stopping.send_replace(true);
        stop.cancel();
        until(serving).await.unwrap();
    }

    /// Serves, on the same port as before.
    pub(super) async fn restart(&mut self) {
        let listen = Listen {
            host: "127.0.0.1".to_owned(),
            port: self.address.port(),
        };
        let incoming = Incoming::new(bind(&listen).await.unwrap(), self.acceptor.clone()).unwrap();
        self.address = incoming.local_addr();
        let (stopping, seen) = watch::channel(false);
        let stop = CancellationToken::new();
        let receivers = Arc::clone(&self.chains) as _;
        let ingress = Step::new(Arc::clone(&self.cluster), receivers, RECV_BYTES_MAX, seen.clone());
        let deliver = Deliver {
            channels: Arc::clone(&self.chains) as _,
            time_window: Duration::from_mins(15),
            no_expiration_checks: false,
            binds_to_tls: true,
            recv_bytes_max: RECV_BYTES_MAX,
            budget: ReceiveBudget::default(),
            stopping: seen,
            refusals: Arc::default(),
            tasks: Tasks::default(),
            trace: None,
            telemetry: None,
            metrics: Arc::default(),
        };
        let http2 = Http2 {
            streams_max: 1024,
            manners: Manners {
                ping_interval_min: Duration::from_mins(1),
                preface_time: Duration::from_secs(5),
                header_time: Duration::from_secs(10),
                pinged: Counter::default(),
                slow: Counter::default(),
            },
            keepalive: Keepalive {
                server_interval_min: Duration::from_mins(1),
                server_interval: Duration::from_hours(2),
                server_timeout: Duration::from_secs(20),
            },
        };
        let serving = connections::serve(
            incoming,
            http2,
            ClusterRoutes {
                step: ingress,
                deliver,
            },
            TaskTracker::new(),
            stop.clone(),
        );
        self.serving = Some((tokio::spawn(serving), stopping, stop));
    }
}

type Received = (ConsenterId, ClusterMessage);

/// The chains of one node.
#[derive(Default)]
pub(super) struct Chains(Mutex<BTreeMap<ChannelId, Arc<Keeper>>>);

/// No blocks.
impl Channels for Chains {
    fn find(&self, _channel: &str) -> Result<Arc<dyn Source>, Status> {
        Err(Status::NotFound)
    }
}

impl Chains {
    fn chain_of(&self, channel: &ChannelId) -> Arc<Keeper> {
        let mut chains = self.0.lock();
        Arc::clone(chains.entry(channel.clone()).or_default())
    }

    fn receiver_of(&self, channel: &ChannelId) -> mpsc::UnboundedReceiver<Received> {
        self.chain_of(channel).receiver.lock().take().unwrap()
    }

    /// What the chain of `name` answers from now on.
    pub(super) fn answer(&self, name: &str, answer: Result<(), ReceiveError>) {
        *self.chain_of(&channel(name)).answer.lock() = answer;
    }
}

impl Receivers for Chains {
    fn chain(&self, channel: &ChannelId) -> Option<Arc<dyn Chain>> {
        let chain = self.0.lock().get(channel).cloned();
        chain.map(|chain| chain as _)
    }
}

/// A chain that keeps the messages it gets.
struct Keeper {
    sender: mpsc::UnboundedSender<Received>,
    receiver: Mutex<Option<mpsc::UnboundedReceiver<Received>>>,
    answer: Mutex<Result<(), ReceiveError>>,
}

impl Default for Keeper {
    fn default() -> Self {
        let (sender, receiver) = mpsc::unbounded_channel();
        Self {
            sender,
            receiver: Mutex::new(Some(receiver)),
            answer: Mutex::new(Ok(())),
        }
    }
}

impl Chain for Keeper {
    fn enqueue_all(&self, _submissions: Vec<Submission>) -> BoxFuture<'_, Result<Tickets, EnqueueError>> {
        Box::pin(std::future::ready(Err(EnqueueError::NotStarted)))
    }

    fn errored(&self) -> watch::Receiver<bool> {
        watch::channel(false).1
    }

    fn receive(&self, from: ConsenterId, message: ClusterMessage) -> Result<(), ReceiveError> {
        self.answer.lock().clone()?;
        self.sender
            .send((from, message))
            .map_err(|_| ReceiveError::Stopped)
    }

    fn status(&self) -> ChainStatus {
        ChainStatus {
            phase: Phase::Running,
            dropped: 0,
            cluster: None,
        }
    }

    fn start(&self) {}

    fn halt(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }

    fn ended(&self) -> BoxFuture<'static, Result<Ended, ChainFailure>> {
        Box::pin(std::future::pending())
    }
}
