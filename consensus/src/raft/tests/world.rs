//! Orderers in one process: chains over real logs, ledgers in memory, and a network that can be cut.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use blockcutter::BatchLimits;
use bytes::Bytes;
use futures::future::{BoxFuture, FutureExt, ready};
use prost::Message;
use protos::block::{self, Hash, header_hash, orderer_metadata_value};
use protos::wire::common::{Block, Metadata};
use protos::wire::etcdraft::{ConfigMetadata, Consenter as Member, Options};
use protos::{BlockNumber, ChannelId, ConfigSeq, ConsenterId, Envelope, Height};
use tempfile::TempDir;
use tokio::sync::watch;

use crate::block_source::{BlockSource, Heights};
use crate::chain::{Chain, ClusterStatus};
use crate::consenter::{Consenter, ConsenterMetadata, HandleChainError, Members};
use crate::raft::{EngineLog, RaftConsenter, RaftNode};
use crate::support::{BatchConfig, ConsenterSupport, Revalidate, RevalidateError, WriteError};
use crate::testing::name;
use crate::transport::{ClusterMessage, MessageKind, Peer, SendError, Transport};

/// Length of a tick.
pub(super) const TICK: Duration = Duration::from_millis(20);
const ELECTION_TICKS: u32 = 10;
/// Between two looks at something that is waited for, and how many there are at most.
const WAIT: Duration = Duration::from_millis(5);
const WAITS_MAX: usize = 4000;
/// Envelopes in a block.
pub(super) const BATCH_LEN: u32 = 10;

/// All orderers of one channel.
pub(super) struct World {
    folder: TempDir,
    pub(super) net: Arc<Net>,
    nodes: Vec<Arc<Node>>,
}

/// One orderer: what survives its restart, and the chain that runs now.
pub(super) struct Node {
    pub(super) ledger: Mutex<Vec<Block>>,
    chain: Mutex<Option<Arc<dyn Chain>>>,
}

/// Who is connected with whom.
#[derive(Default)]
pub(super) struct Net {
    chains: Mutex<BTreeMap<ConsenterId, Arc<dyn Chain>>>,
    cut: Mutex<BTreeSet<ConsenterId>>,
    /// Who has taken back its heartbeats.
    forgot: Mutex<BTreeSet<ConsenterId>>,
}

impl World {
    /// `count` orderers that were never started.
    pub(super) fn new(count: usize) -> Self {
        let genesis = block::next(BlockNumber(0), &[0; 32], vec![Bytes::from_static(b"config")]);
        let node = || {
            Arc::new(Node {
                ledger: Mutex::new(vec![genesis.clone()]),
                chain: Mutex::default(),
            })
        };
        Self {
            folder: tempfile::tempdir().unwrap(),
            net: Arc::default(),
            nodes: (0..count).map(|_| node()).collect(),
        }
    }

    pub(super) fn started(count: usize) -> Self {
        let world = Self::new(count);
        (1..=count as u64).for_each(|id| world.start(id));
        world
    }

    pub(super) fn node(&self, id: u64) -> &Arc<Node> {
        &self.nodes[usize::try_from(id).unwrap() - 1]
    }

    pub(super) fn chain(&self, id: u64) -> Arc<dyn Chain> {
        self.node(id).chain.lock().unwrap().clone().unwrap()
    }

    pub(super) fn folder(&self, id: u64) -> PathBuf {
        self.folder.path().join(id.to_string())
    }

    /// Makes the chain of a node over what it has on its disk.
    pub(super) fn open(&self, id: u64) -> Result<Arc<dyn Chain>, HandleChainError> {
        let log = open_log(&self.folder(id));
        let consenter = RaftConsenter::new(RaftNode {
            log: Arc::new(log),
            tick_override: None,
            eviction_suspicion: Duration::from_mins(10),
            leader_wait: None,
        });
        let metadata = {
            let ledger = self.node(id).ledger.lock().unwrap();
            let said = block::orderer_metadata(ledger.last().unwrap()).unwrap();
            ConsenterMetadata(said.unwrap_or_default().consenter_metadata)
        };
        let support = Support {
            channel: ChannelId::parse("testchannel").unwrap(),
            id: ConsenterId(id),
            node: Arc::clone(self.node(id)),
            nodes: self.nodes.clone(),
            net: Arc::clone(&self.net),
        };
        consenter.handle_chain(Arc::new(support), metadata)
    }

    pub(super) fn start(&self, id: u64) {
        let chain = self.open(id).unwrap();
        self.net
            .chains
            .lock()
            .unwrap()
            .insert(ConsenterId(id), Arc::clone(&chain));
        *self.node(id).chain.lock().unwrap() = Some(Arc::clone(&chain));
        chain.start();
    }

    pub(super) async fn stop(&self, id: u64) {
        let chain = self.node(id).chain.lock().unwrap().take().unwrap();
        chain.halt().await;
        self.net.chains.lock().unwrap().remove(&ConsenterId(id));
        drop(chain);
        // The tasks of the chain let go of the log a moment after the chain's end is known, mostly within this.
        tokio::time::sleep(Duration::from_millis(50)).await;
    }

    /// The leader that all nodes that run and are connected agree on.
    pub(super) async fn leader(&self) -> u64 {
        for _ in 0..WAITS_MAX {
            let cut = self.net.cut.lock().unwrap().clone();
            let connected = self
                .statuses()
                .into_iter()
                .filter(|status| !cut.contains(&status.id));
            let leaders: BTreeSet<_> = connected.map(|status| status.leader).collect();
            match leaders.into_iter().collect::<Vec<_>>()[..] {
                [Some(leader)] if !cut.contains(&leader) => return leader.0,
                _ => tokio::time::sleep(WAIT).await,
            }
        }
        panic!("no leader: {:#?}", self.statuses());
    }

    fn statuses(&self) -> Vec<ClusterStatus> {
        let chains = self.net.chains.lock().unwrap();
        chains
            .values()
            .map(|chain| chain.status().cluster.unwrap())
            .collect()
    }

    /// Names of the envelopes in each block of a node but the first.
    pub(super) fn blocks(&self, id: u64) -> Vec<Vec<String>> {
        let ledger = self.node(id).ledger.lock().unwrap();
        let names = |block: &Block| block.data.as_ref().unwrap().data.iter().map(name).collect();
        ledger.iter().skip(1).map(names).collect()
    }

    /// Waits until each of `ids` has `height` blocks, and checks that their headers and data are equal.
    pub(super) async fn converge(&self, ids: &[u64], height: usize) {
        for id in ids {
            until("the height", || {
                (self.node(*id).ledger.lock().unwrap().len() >= height).then_some(())
            })
            .await;
        }
        let content = |id: &u64| {
            let ledger = self.node(*id).ledger.lock().unwrap();
            let content = ledger.iter().take(height);
            content
                .map(|block| (block.header.clone(), block.data.clone()))
                .collect::<Vec<_>>()
        };
        let first = content(&ids[0]);
        assert!(ids.iter().all(|id| content(id) == first), "a fork");
    }
}

impl Net {
    pub(super) fn cut(&self, id: u64) {
        self.cut.lock().unwrap().insert(ConsenterId(id));
    }

    pub(super) fn heal(&self, id: u64) {
        self.cut.lock().unwrap().remove(&ConsenterId(id));
    }

    pub(super) fn has_forgotten_heartbeats(&self, id: u64) -> bool {
        self.forgot.lock().unwrap().contains(&ConsenterId(id))
    }
}

/// Waits until whoever had the log open before has let go of it.
#[expect(
    clippy::disallowed_methods,
    reason = "the test's own thread, on which no chain runs"
)]
fn open_log(folder: &Path) -> EngineLog {
    for _ in 0..WAITS_MAX {
        match EngineLog::open(&folder.join("wal"), &folder.join("snap")) {
            Err(error) if error.is_in_use => std::thread::sleep(WAIT),
            opened => return opened.unwrap(),
        }
    }
    panic!("nobody lets go of the log in {}", folder.display());
}

/// Waits until `found` finds something.
pub(super) async fn until<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    for _ in 0..WAITS_MAX {
        if let Some(found) = found() {
            return found;
        }
        tokio::time::sleep(WAIT).await;
    }
    panic!("waited too long for {what}");
}

struct Support {
    channel: ChannelId,
    id: ConsenterId,
    node: Arc<Node>,
    nodes: Vec<Arc<Node>>,
    net: Arc<Net>,
}

impl Support {
    fn ledger(&self) -> MutexGuard<'_, Vec<Block>> {
        self.node.ledger.lock().unwrap()
    }

    fn members(&self) -> Vec<Member> {
        let member = |place: usize| Member {
            host: format!("o{place}"),
            port: 7050,
            client_tls_cert: format!("client {place}").into(),
            server_tls_cert: format!("server {place}").into(),
        };
        (0..self.nodes.len()).map(member).collect()
    }
}

impl Revalidate for Support {
    fn config_seq(&self) -> ConfigSeq {
        ConfigSeq(0)
    }

    fn revalidate_normal(&self, _: &Envelope) -> Result<(), RevalidateError> {
        Ok(())
    }

    fn revalidate_config(&self, envelope: &Envelope, _: &Members) -> Result<Envelope, RevalidateError> {
        Ok(envelope.clone())
    }
}

impl ConsenterSupport for Support {
    fn channel_id(&self) -> &ChannelId {
        &self.channel
    }

    fn height(&self) -> Height {
        Height(self.ledger().len() as u64)
    }

    fn batch_config(&self) -> BatchConfig {
        BatchConfig {
            limits: BatchLimits::new(BATCH_LEN, 10 << 20, 2 << 20).unwrap(),
            timeout: Duration::from_millis(50),
        }
    }

    fn consensus_type(&self) -> String {
        "etcdraft".to_owned()
    }

    fn consensus_metadata(&self) -> Bytes {
        let metadata = ConfigMetadata {
            consenters: self.members(),
            options: Some(Options {
                tick_interval: format!("{}ms", TICK.as_millis()),
                election_tick: ELECTION_TICKS,
                heartbeat_tick: 1,
                max_inflight_blocks: 5,
                snapshot_interval_size: 1 << 20,
            }),
        };
        metadata.encode_to_vec().into()
    }

    fn block(&self, BlockNumber(number): BlockNumber) -> Result<Option<Block>, String> {
        Ok(self.ledger().get(usize::try_from(number).unwrap()).cloned())
    }

    fn own_place(&self, consenters: &[Member]) -> Option<usize> {
        let own = format!("client {}", self.id.0 - 1);
        let is_own = |consenter: &Member| consenter.client_tls_cert == own.as_bytes();
        consenters.iter().position(is_own)
    }

    fn transport(&self) -> Arc<dyn Transport> {
        Arc::new(Wires {
            id: self.id,
            net: Arc::clone(&self.net),
            streams: watch::Sender::default(),
        })
    }

    fn block_source(&self) -> Arc<dyn BlockSource> {
        let others = self.nodes.iter().filter(|node| !Arc::ptr_eq(node, &self.node));
        Arc::new(Source {
            own: Arc::clone(&self.node),
            others: others.cloned().collect(),
        })
    }

    fn create_next_block(&self, batch: Vec<Envelope>) -> Block {
        let ledger = self.ledger();
        let tip = ledger.last().unwrap().header.as_ref().unwrap();
        let entries = batch.iter().map(|envelope| envelope.entry().clone()).collect();
        block::next(BlockNumber(tip.number + 1), &header_hash(tip), entries)
    }

    fn write_block(
        &self,
        mut block: Block,
        ConsenterMetadata(metadata): ConsenterMetadata,
    ) -> BoxFuture<'static, Result<(), WriteError>> {
        let mut ledger = self.ledger();
        let (header, tip) = (block.header.as_ref().unwrap(), ledger.last().unwrap());
        assert_eq!(header.number, ledger.len() as u64);
        assert_eq!(
            header.previous_hash,
            header_hash(tip.header.as_ref().unwrap())[..]
        );
        let value = Metadata {
            value: orderer_metadata_value(BlockNumber(0), metadata),
            ..Metadata::default()
        };
        let slots = &mut block.metadata.get_or_insert_default().metadata;
        slots.resize(5, Bytes::new());
        slots[0] = value.encode_to_vec().into();
        ledger.push(block);
        ready(Ok(())).boxed()
    }

    fn write_config_block(
        &self,
        block: Block,
        metadata: ConsenterMetadata,
    ) -> BoxFuture<'static, Result<(), WriteError>> {
        self.write_block(block, metadata)
    }
}

/// One node's way to the others.
struct Wires {
    id: ConsenterId,
    net: Arc<Net>,
    streams: watch::Sender<BTreeMap<ConsenterId, u64>>,
}

impl Transport for Wires {
    fn set_peers(&self, peers: Vec<Peer>) {
        let streams = peers.iter().map(|peer| (peer.id, 1)).collect();
        self.streams.send_replace(streams);
    }

    fn send(&self, to: ConsenterId, _: MessageKind, message: ClusterMessage) -> Result<(), SendError> {
        let is_cut = {
            let cut = self.net.cut.lock().unwrap();
            cut.contains(&self.id) || cut.contains(&to)
        };
        let chain = self.net.chains.lock().unwrap().get(&to).cloned();
        let chain = chain.filter(|_| !is_cut).ok_or(SendError::NotConnected(to))?;
        chain.receive(self.id, message).map_err(|_| SendError::Full(to))
    }

    fn forget_heartbeats(&self) {
        self.net.forgot.lock().unwrap().insert(self.id);
    }

    fn submit_streams(&self) -> watch::Receiver<BTreeMap<ConsenterId, u64>> {
        self.streams.subscribe()
    }
}

struct Source {
    own: Arc<Node>,
    others: Vec<Arc<Node>>,
}

impl BlockSource for Source {
    fn heights(&self, consenters: Vec<Member>) -> BoxFuture<'static, Heights> {
        let height = |node: &Arc<Node>| Height(node.ledger.lock().unwrap().len() as u64);
        let told = |node: &Arc<Node>| node.chain.lock().unwrap().is_some().then(|| height(node));
        let heights = Heights {
            endpoints: Vec::new(),
            consenters: self.others.iter().map(told).take(consenters.len()).collect(),
        };
        ready(heights).boxed()
    }

    fn first_blocks(&self) -> BoxFuture<'static, Vec<Hash>> {
        let first =
            |node: &Arc<Node>| Some(header_hash(node.ledger.lock().unwrap().get(1)?.header.as_ref()?));
        ready(self.others.iter().filter_map(first).collect()).boxed()
    }

    fn catch_up(&self, BlockNumber(through): BlockNumber) -> BoxFuture<'static, Result<(), WriteError>> {
        let (own, others) = (Arc::clone(&self.own), self.others.clone());
        async move {
            let wanted = usize::try_from(through).unwrap() + 1;
            loop {
                for other in &others {
                    let have = own.ledger.lock().unwrap().len();
                    let blocks: Vec<_> = other.ledger.lock().unwrap().iter().skip(have).cloned().collect();
                    own.ledger.lock().unwrap().extend(blocks);
                    if own.ledger.lock().unwrap().len() >= wanted {
                        return Ok(());
                    }
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        .boxed()
    }

    fn newest_config(&self) -> BoxFuture<'static, Option<Block>> {
        ready(None).boxed()
    }
}
