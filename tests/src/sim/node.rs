//! One simulated node: its disk, and what runs on it.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use consensus::raft::core::{Origin, RaftCore, Tip};
use consensus::raft::log::LogWrite;
use consensus::ticket::TimerToken;
use consensus::{ConsenterMetadata, Peer};
use ledger::index::MemoryIndex;
use ledger::{BlockStore, LedgerFactory, LedgerOptions};
use orderer::processor::Rules;
use prost::Message as _;
use protos::block::{Hash, last_config, orderer_metadata};
use protos::wire::common::{Block, BlockHeader};
use protos::wire::etcdraft::{BlockMetadata, Consenter};
use protos::{BlockNumber, ConsenterId, Height, SealedBlock};

use super::config::{Checks, Configs};
use super::log::SimLog;
use super::material::Material;
use super::seed::Micros;
use super::timeline::Run;

/// A node; its disk outlives its processes.
pub struct Node {
    /// Ledger and raft log.
    pub disk: ledger::disk::SimDisk,
    /// Counts the starts.
    pub runs: u64,
    /// Length of a tick on its clock.
    pub tick: Micros,
    /// Shortest and longest time its disk takes for a sync.
    pub sync: (Micros, Micros),
    /// Height of its ledger, as far as it is known to be synced.
    pub synced: Height,
    /// It stands still until then.
    pub paused_until: Micros,
    /// It follows until it has what others have, even if its genesis block lists it.
    pub joins_late: bool,
    /// It was told that the channel knows it by another id than this.
    pub is_not: Option<ConsenterId>,
    /// None while it is down.
    pub process: Option<Process>,
}

/// What a process has in memory.
pub struct Process {
    /// Which run of the node.
    pub run: Run,
    /// Its blocks.
    pub store: BlockStore,
    /// Holds the folder.
    factory: LedgerFactory,
    /// By the config in force.
    pub checks: Checks,
    /// The newest config block in force.
    pub last_config: BlockNumber,
    /// Header of the newest block that was taken for writing.
    pub tip: BlockHeader,
    /// What the newest block that carries any says.
    pub metadata: BlockMetadata,
    /// The last one given.
    pub ticket: u64,
    /// The chain, while it takes part.
    pub member: Option<Member>,
}

/// A chain that takes part: what the driver keeps.
pub struct Member {
    /// As whom.
    pub id: ConsenterId,
    /// The code under test.
    pub core: RaftCore,
    /// The others.
    pub peers: Vec<Peer>,
    /// Its raft log.
    pub log: SimLog,
    /// Voters, by the log.
    pub voters: usize,
    /// Not yet appended.
    pub to_persist: Vec<(u64, LogWrite)>,
    /// Appended, to be synced.
    pub persisting: Vec<(u64, LogWrite)>,
    /// Not yet appended.
    pub to_write: VecDeque<BlockWrite>,
    /// Appended, to be synced.
    pub writing: Vec<Taken>,
    /// The timer that runs.
    pub timer: Option<TimerToken>,
    /// The last block it lacks.
    pub catch_up: Option<BlockNumber>,
    /// It wants to know whether the channel is new.
    pub asks_whether_new: bool,
    /// It had the channel before, and wants to know what became of it.
    pub asks_what_became: bool,
    /// Since when it knows no leader.
    pub leaderless_since: Option<Micros>,
}

impl Member {
    /// True while nothing is on its way to a disk.
    pub fn is_quiet(&self) -> bool {
        self.to_persist.is_empty()
            && self.persisting.is_empty()
            && self.to_write.is_empty()
            && self.writing.is_empty()
    }
}

/// A block to be written.
pub struct BlockWrite {
    /// Header and data.
    pub block: Block,
    /// The consenter's.
    pub metadata: ConsenterMetadata,
    /// Whether it holds a config.
    pub is_config: bool,
}

/// A block that was appended.
pub struct Taken {
    /// As it is in the ledger.
    pub block: Block,
    /// The config that comes into force with it.
    pub rules: Option<Arc<Rules>>,
}

impl Process {
    /// Starts on what is on the disk; begins with `genesis` where there is nothing.
    pub fn start(node: &mut Node, index: usize, genesis: &Block, configs: &Configs) -> Result<Self, String> {
        let material = Material::get();
        node.runs += 1;
        let run = Run {
            node: index,
            number: node.runs,
        };
        let root = node.disk.root();
        let factory =
            LedgerFactory::open_on(&root, Arc::new(MemoryIndex::default()), LedgerOptions::at("/sim"));
        let factory = factory.map_err(|error| error.to_string())?;
        let mut store = factory
            .open_channel(&material.channel)
            .map_err(|error| error.to_string())?;
        if store.next_number() == BlockNumber::GENESIS {
            let sealed = SealedBlock::seal(genesis).map_err(|error| error.to_string())?;
            store.append(&sealed).map_err(|error| error.to_string())?;
            store.sync().map_err(|error| error.to_string())?;
        }
        let found = Found::read(&store)?;
        let rules = configs
            .of(&found.config)
            .ok_or("the newest config block is none that was written")?;
        Ok(Self {
            run,
            store,
            factory,
            checks: Checks::new(rules, Arc::clone(&material.nodes[index]), run.number),
            last_config: found.last_config,
            tip: found.tip,
            metadata: found.metadata,
            ticket: 0,
            member: None,
        })
    }

    /// The newest block, as a chain needs it.
    pub fn chain_tip(&self) -> Result<Tip, String> {
        let sealed = self
            .store
            .reader()
            .tip()
            .map_err(|error| error.to_string())?
            .ok_or("an empty ledger")?;
        let mut block = sealed.decode().map_err(|error| error.to_string())?;
        for slot in &mut block.metadata.get_or_insert_default().metadata {
            slot.clear();
        }
        Ok(Tip {
            number: sealed.number(),
            hash: *sealed.hash(),
            metadata: self.metadata.clone(),
            entry: block.encode_to_vec().into(),
        })
    }

    /// A block of the ledger.
    pub fn block(&self, number: BlockNumber) -> Result<Block, String> {
        let sealed = self
            .store
            .reader()
            .get(number)
            .map_err(|error| error.to_string())?;
        let sealed = sealed.ok_or("a block is missing below the height")?;
        sealed.decode().map_err(|error| error.to_string())
    }

    /// How the ledger begins.
    pub fn origin(&self) -> Result<Origin, String> {
        let hash = |number| -> Result<Option<Hash>, String> {
            let block = self.store.reader().get(BlockNumber(number));
            let block = block.map_err(|error| error.to_string())?;
            Ok(block.map(|block| *block.hash()))
        };
        Ok(Origin {
            genesis: hash(0)?.ok_or("an empty ledger")?,
            first: hash(1)?,
        })
    }

    /// The metadata of the consensus type in force.
    pub fn consensus_metadata(&self) -> Bytes {
        self.checks
            .rules()
            .bundle()
            .orderer()
            .consensus_type
            .metadata
            .clone()
    }

    /// Ends the process, and takes its ledger away, as far as the disk does as it is told.
    pub fn remove_ledger(self) {
        let Self { store, factory, .. } = self;
        drop(store);
        // What is left by a disk that stops is finished at the next start, or is a ledger as it was.
        let _ = factory.remove(&Material::get().channel);
    }

    /// Notes that `block` was taken.
    pub fn advance(&mut self, block: &Block) {
        if let Some(header) = &block.header {
            self.tip = header.clone();
        }
        if let Some(metadata) = block_metadata(block) {
            self.metadata = metadata;
        }
    }

    /// As whom this node takes part by the config in force.
    pub fn own_id(&self, consenters: &[Consenter]) -> Option<ConsenterId> {
        let owner = |consenter: &Consenter| Material::get().owner(&consenter.server_tls_cert);
        let place = consenters
            .iter()
            .position(|consenter| owner(consenter) == Some(self.run.node))?;
        self.metadata.consenter_ids.get(place).copied().map(ConsenterId)
    }
}

/// What a ledger says when it is opened.
struct Found {
    tip: BlockHeader,
    last_config: BlockNumber,
    config: Block,
    metadata: BlockMetadata,
}

impl Found {
    fn read(store: &BlockStore) -> Result<Self, String> {
        let reader = store.reader();
        let block = |number| -> Result<Block, String> {
            let sealed = reader.get(number).map_err(|error| error.to_string())?;
            sealed
                .ok_or("no such block")?
                .decode()
                .map_err(|error| error.to_string())
        };
        let tip = block(store.height().tip().ok_or("an empty ledger")?)?;
        let last_config = last_config(&tip).map_err(|error| error.to_string())?;
        let config = block(last_config)?;
        let metadata = block_metadata(&tip).map_or_else(|| first_metadata(&config), Ok)?;
        let tip = tip.header.ok_or("a block without header")?;
        Ok(Self {
            tip,
            last_config,
            config,
            metadata,
        })
    }
}

/// What a block carries for raft; nothing in a genesis block.
pub fn block_metadata(block: &Block) -> Option<BlockMetadata> {
    let value = orderer_metadata(block).ok()??.consenter_metadata;
    if value.is_empty() {
        return None;
    }
    let value = protos::wire::common::Metadata::decode(value).ok()?.value;
    BlockMetadata::decode(value).ok()
}

/// Of a channel that has its genesis block alone.
fn first_metadata(genesis: &Block) -> Result<BlockMetadata, String> {
    let bundle = configtx::Bundle::from_block(genesis).map_err(|error| error.to_string())?;
    let metadata = &bundle.orderer().consensus_type.metadata;
    let metadata = protos::wire::etcdraft::ConfigMetadata::decode(metadata.clone())
        .map_err(|error| error.to_string())?;
    let count = metadata.consenters.len() as u64;
    Ok(BlockMetadata {
        consenter_ids: (1..=count).collect(),
        next_consenter_id: count + 1,
        raft_index: 0,
    })
}
