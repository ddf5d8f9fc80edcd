//! Orderers that serve one signed chain over real Deliver services, some of them badly; and a ledger in memory.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use bytes::Bytes;
use configtx::Bundle;
use configtx::identity::SigningIdentity;
use consensus::{ConsenterMetadata, Members, WriteError};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use hyper_util::rt::{TokioExecutor, TokioIo};
use ledger::ReadError;
use parking_lot::Mutex;
use protos::wire::common::Status as WireStatus;
use protos::wire::orderer::BatchTimeout;
use protos::{BlockNumber, ChannelId, Height, SealedBlock};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::plan::Limits;
use super::{Appender, Puller, Tip};
use crate::codec::ReceiveBudget;
use crate::config::ServerTls;
use crate::deliver::source::{Channels, Source};
use crate::deliver::{Client, Deliver};
use crate::multichannel::block_writer::seal;
use crate::processor::{self, Proposer, Rules, Verdict};
use crate::report::tasks::Tasks;
use crate::testing::{self, Genesis};
use crate::tls::{Acceptor, Incoming};

/// A signed chain of channel `ch` that grows.
pub(crate) struct Chain {
    blocks: Mutex<Vec<SealedBlock>>,
    heights: watch::Sender<Height>,
    rules: ArcSwap<Rules>,
    identity: SigningIdentity,
    last_config: Mutex<BlockNumber>,
}

impl Chain {
    /// The genesis block alone, whose config lists `endpoints`.
    pub(crate) fn new(endpoints: Vec<String>) -> Arc<Self> {
        let genesis = Genesis {
            endpoints,
            ..Genesis::solo("ch")
        };
        let block = genesis.block();
        let bundle = Arc::new(Bundle::from_block(&block).unwrap());
        Arc::new(Self {
            blocks: Mutex::new(vec![SealedBlock::seal(&block).unwrap()]),
            heights: watch::Sender::new(Height(1)),
            rules: ArcSwap::from_pointee(Rules::new(bundle, false).unwrap()),
            identity: testing::orderer(),
            last_config: Mutex::default(),
        })
    }

    /// Appends blocks of one message each, about `bytes` long.
    pub(crate) fn grow(&self, count: usize, bytes: usize) {
        let client = testing::client();
        for number in 0..count {
            let text = format!("{number:>bytes$}");
            self.append(vec![testing::message(&client, "ch", &text)]);
        }
    }

    /// Appends a block of these entries, signed by the orderer.
    pub(crate) fn append(&self, entries: Vec<Bytes>) {
        let mut blocks = self.blocks.lock();
        let tip = blocks.last().unwrap();
        let number = tip.number().next();
        let block = protos::block::next(number, tip.hash(), entries);
        if protos::block::is_config_block(&block) {
            *self.last_config.lock() = number;
        }
        let metadata = ConsenterMetadata(Bytes::new());
        let last_config = *self.last_config.lock();
        blocks.push(seal(block, metadata, last_config, &self.identity, &rand::random()).unwrap());
        self.heights.send_replace(Height(blocks.len() as u64));
    }

    /// Appends a config block with this batch timeout; answers its number.
    pub(crate) fn reconfigure(&self, timeout: &str) -> BlockNumber {
        let rules = self.rules.load_full();
        let value = BatchTimeout {
            timeout: timeout.to_owned(),
        };
        let sender = testing::orderer_admin();
        let update = testing::orderer_value(rules.bundle(), "BatchTimeout", &value, &sender);
        let now = SystemTime::now();
        let verdict = processor::process(update, |_| Some(Arc::clone(&rules)), now).unwrap();
        let Verdict::Update(update) = verdict else {
            panic!("no update");
        };
        let proposer = Proposer {
            identity: &self.identity,
            nonce: rand::random(),
            members: &Members::default(),
            now,
        };
        let envelope = update.propose(&proposer).unwrap().envelope;
        self.append(vec![envelope.into_entry()]);
        let block = self.blocks.lock().last().unwrap().clone();
        let bundle = Bundle::from_block(&block.decode().unwrap()).unwrap();
        self.rules
            .store(Arc::new(Rules::new(Arc::new(bundle), false).unwrap()));
        block.number()
    }

    pub(crate) fn blocks(&self) -> Vec<SealedBlock> {
        self.blocks.lock().clone()
    }

    pub(crate) fn genesis(&self) -> SealedBlock {
        self.blocks.lock()[0].clone()
    }

    pub(crate) fn bundle(&self) -> Arc<Bundle> {
        Arc::clone(self.rules.load().bundle())
    }
}

/// What an orderer does to blocks on their way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// Its blocks have another payload than their makers signed, with hashes that fit.
    Lies,
    /// It never sends a block from this number on.
    SilentFrom(u64),
}

/// Serves Deliver.
pub(crate) struct TestOrderer {
    pub(crate) address: SocketAddr,
    serving: JoinHandle<()>,
    connections: Arc<Mutex<Vec<JoinHandle<()>>>>,
    /// Numbers of the blocks it read to send them.
    sent: Arc<Mutex<BTreeSet<u64>>>,
}

/// The source of a [`TestOrderer`].
struct Served {
    chain: Arc<Chain>,
    fault: Fault,
    sent: Arc<Mutex<BTreeSet<u64>>>,
    errored: watch::Sender<bool>,
}

struct Only(Arc<Served>);

impl Channels for Only {
    fn find(&self, channel: &str) -> Result<Arc<dyn Source>, WireStatus> {
        match channel {
            "ch" => Ok(Arc::clone(&self.0) as _),
            _ => Err(WireStatus::NotFound),
        }
    }
}

impl Source for Served {
    fn rules(&self) -> Arc<Rules> {
        self.chain.rules.load_full()
    }

    fn heights(&self) -> watch::Receiver<Height> {
        self.chain.heights.subscribe()
    }

    fn errored(&self) -> watch::Receiver<bool> {
        self.errored.subscribe()
    }

    fn read(
        &self,
        first: BlockNumber,
        end: BlockNumber,
    ) -> BoxFuture<'static, Result<Vec<SealedBlock>, ReadError>> {
        let place = |number: BlockNumber| usize::try_from(number.0).unwrap();
        let range = place(first)..place(end).min(place(first) + 16);
        let blocks = self.chain.blocks.lock()[range].to_vec();
        for block in &blocks {
            self.sent.lock().insert(block.number().0);
        }
        match self.fault {
            Fault::SilentFrom(from) if end.0 > from => futures::future::pending().boxed(),
            Fault::Lies => async move { Ok(blocks.iter().map(forged).collect()) }.boxed(),
            _ => async move { Ok(blocks) }.boxed(),
        }
    }
}

/// The block with another payload, hashes that fit it, and the signature as it was.
fn forged(block: &SealedBlock) -> SealedBlock {
    let mut forged = block.decode().unwrap();
    let data = forged.data.as_mut().unwrap();
    if block.number() == BlockNumber::GENESIS {
        let other = Genesis {
            timeout: "7s",
            ..Genesis::solo("ch")
        };
        return SealedBlock::seal(&other.block()).unwrap();
    }
    data.data = vec![testing::message(&testing::client(), "ch", "forged")];
    let hash = Bytes::copy_from_slice(&protos::block::block_data_hash(data));
    forged.header.as_mut().unwrap().data_hash = hash;
    SealedBlock::seal(&forged).unwrap()
}

/// Orderers with these faults that serve a chain of `blocks` blocks, which lists them.
pub(crate) async fn orderers(blocks: usize, faults: &[Fault]) -> (Arc<Chain>, Vec<TestOrderer>) {
    let mut listeners = Vec::new();
    for _ in faults {
        listeners.push(TcpListener::bind("127.0.0.1:0").await.unwrap());
    }
    let addresses = listeners.iter().map(|one| one.local_addr().unwrap().to_string());
    let chain = Chain::new(addresses.collect());
    chain.grow(blocks - 1, 5000);
    let serve = |(listener, fault)| TestOrderer::serve(listener, &chain, fault);
    let orderers = listeners.into_iter().zip(faults.iter().copied()).map(serve);
    let orderers = orderers.collect();
    (chain, orderers)
}

/// Fails a test whose work does not end.
pub(crate) async fn in_time<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_mins(1), work)
        .await
        .expect("it ends in time")
}

impl TestOrderer {
    fn serve(listener: TcpListener, chain: &Arc<Chain>, fault: Fault) -> Self {
        Self::serve_over(listener, chain, fault, None)
    }

    /// Over mutual TLS, where there are settings for it.
    pub(crate) fn serve_over(
        listener: TcpListener,
        chain: &Arc<Chain>,
        fault: Fault,
        tls: Option<&ServerTls>,
    ) -> Self {
        let sent = Arc::<Mutex<BTreeSet<u64>>>::default();
        let source = Served {
            chain: Arc::clone(chain),
            fault,
            sent: Arc::clone(&sent),
            errored: watch::Sender::new(false),
        };
        let deliver = Deliver {
            channels: Arc::new(Only(Arc::new(source))),
            time_window: Duration::from_mins(15),
            no_expiration_checks: false,
            binds_to_tls: tls.is_some(),
            recv_bytes_max: 100_000,
            budget: ReceiveBudget::default(),
            stopping: watch::channel(false).1,
            refusals: Arc::default(),
            tasks: Tasks::default(),
            trace: None,
            telemetry: None,
            metrics: Arc::default(),
        };
        let address = listener.local_addr().unwrap();
        let connections = Arc::<Mutex<Vec<JoinHandle<()>>>>::default();
        let acceptor = Acceptor::for_grpc(tls, Duration::from_secs(5)).unwrap();
        let incoming = Incoming::new(listener, acceptor).unwrap();
        let accepting = accept(incoming, deliver, Arc::clone(&connections));
        Self {
            address,
            serving: tokio::spawn(accepting),
            connections,
            sent,
        }
    }

    /// Cuts all connections and listens no more.
    pub(crate) fn kill(&self) {
        self.serving.abort();
        for connection in self.connections.lock().drain(..) {
            connection.abort();
        }
    }

    /// How many blocks it has sent.
    pub(crate) fn sent(&self) -> usize {
        self.sent.lock().len()
    }
}

async fn accept(mut incoming: Incoming, deliver: Deliver, connections: Arc<Mutex<Vec<JoinHandle<()>>>>) {
    while let Some(socket) = incoming.accept().await {
        let (deliver, peer) = (deliver.clone(), socket.peer().clone());
        let service = hyper::service::service_fn(move |request| {
            let client = Client::new(peer.remote_addr, peer.certificate());
            let response = deliver.call(request, client);
            std::future::ready(Ok::<_, std::convert::Infallible>(response))
        });
        let serving = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
            .serve_connection(TokioIo::new(socket), service);
        connections.lock().push(tokio::spawn(async move {
            let _ = serving.await;
        }));
    }
}

/// Keeps blocks in memory, durable at once.
pub(crate) struct MemoryLedger {
    channel: ChannelId,
    kept: Mutex<(Vec<SealedBlock>, Option<Arc<Bundle>>)>,
}

impl MemoryLedger {
    pub(crate) fn empty() -> Arc<Self> {
        Arc::new(Self {
            channel: ChannelId::parse("ch").unwrap(),
            kept: Mutex::default(),
        })
    }

    /// Has the genesis block of `chain`.
    pub(crate) fn beginning(chain: &Chain) -> Arc<Self> {
        let ledger = Self::empty();
        *ledger.kept.lock() = (vec![chain.genesis()], Some(chain.bundle()));
        ledger
    }

    pub(crate) fn blocks(&self) -> Vec<SealedBlock> {
        self.kept.lock().0.clone()
    }
}

impl Appender for MemoryLedger {
    fn channel(&self) -> &ChannelId {
        &self.channel
    }

    fn tip(&self) -> Tip {
        self.kept.lock().0.last().map_or(Tip::EMPTY, Tip::of)
    }

    fn bundle(&self) -> Option<Arc<Bundle>> {
        self.kept.lock().1.clone()
    }

    fn append(
        &self,
        block: SealedBlock,
        config: Option<Arc<Bundle>>,
    ) -> BoxFuture<'static, Result<(), WriteError>> {
        let mut kept = self.kept.lock();
        assert_eq!(block.number().0, kept.0.len() as u64, "in order, and once");
        kept.0.push(block);
        if let Some(config) = config {
            kept.1 = Some(config);
        }
        async { Ok(()) }.boxed()
    }
}

/// Bounds with short pauses.
pub(crate) fn limits() -> Limits {
    Limits {
        buffer_bytes: 1 << 20,
        block_bytes_max: 100 << 20,
        pull_timeout: Duration::from_millis(600),
        retry_pause: Duration::from_millis(300),
        compare_pause: Duration::from_secs(1),
    }
}

/// A node that signs with `identity`.
pub(crate) fn puller(identity: SigningIdentity) -> Arc<Puller> {
    Arc::new(Puller::plain(Arc::new(identity), limits()))
}
