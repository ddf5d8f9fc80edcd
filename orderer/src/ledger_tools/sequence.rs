//! A chain as it is read: what must be checked in order. What needs no order becomes a [`Job`].

use std::sync::Arc;

use configtx::block_verify::{verify_content, verify_signatures};
use configtx::consensus_metadata::{Consenters, consenters_of};
use configtx::{Bundle, validator};
use consensus::raft::read_block_metadata;
use ledger::Place;
use prost::Message as _;
use protos::block::{self, SLOT_LAST_CONFIG, is_config_block};
use protos::wire::common::{Block, LastConfig};
use protos::wire::etcdraft::BlockMetadata;
use protos::{BlockNumber, ChannelId, SealedBlock};

/// What is wrong with a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) kind: Kind,
    /// In words.
    pub(super) text: String,
}

/// In which respect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// It does not follow the block before it.
    Link,
    /// Its entries are not those its header names, or are none.
    Content,
    /// Its signatures are not those its config asks for.
    Signatures,
    /// Its config is none, or does not follow the one before it.
    Config,
    /// It names another config as the newest one.
    LastConfig,
    /// It is of another channel.
    Channel,
    /// What it says of raft does not fit its config.
    Raft,
}

impl Kind {
    /// For scripts.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Link => "link",
            Self::Content => "content",
            Self::Signatures => "signatures",
            Self::Config => "config",
            Self::LastConfig => "last-config",
            Self::Channel => "channel",
            Self::Raft => "raft-metadata",
        }
    }
}

/// A block, what is wrong with it, and the config that its signatures are to be checked under.
pub(super) struct Job {
    pub(super) block: SealedBlock,
    /// Where it was read, where that is known.
    pub(super) place: Option<Place>,
    pub(super) faults: Vec<Fault>,
    decoded: Option<Block>,
    bundle: Option<Arc<Bundle>>,
}

impl Job {
    /// The checks that need no other block.
    pub(super) fn run(&mut self) {
        let Some(decoded) = &self.decoded else { return };
        if let Err(error) = verify_content(decoded) {
            self.faults.push(Fault {
                kind: Kind::Content,
                text: error.to_string(),
            });
        }
        if let Some(bundle) = &self.bundle
            && let Err(error) = verify_signatures(decoded, bundle)
        {
            self.faults.push(Fault {
                kind: Kind::Signatures,
                text: error.to_string(),
            });
        }
        self.decoded = None;
    }
}

/// Follows a chain from its beginning.
#[derive(Debug, Default)]
pub(super) struct Sequence {
    /// The one it must be of; none takes the name that block 0 gives.
    channel: Option<ChannelId>,
    previous: Option<SealedBlock>,
    /// The newest config block read.
    config: Option<(BlockNumber, Arc<Bundle>)>,
    /// It is the one in force: no block is missing since, or a later one names it.
    is_certain: bool,
    /// What the newest block that says anything of raft says.
    raft: Option<BlockMetadata>,
    /// Blocks whose signatures could not be checked, since the config before them is missing.
    unchecked: Option<(BlockNumber, BlockNumber)>,
    configs: u64,
}

impl Sequence {
    pub(super) fn of(channel: Option<ChannelId>) -> Self {
        Self {
            channel,
            ..Self::default()
        }
    }

    /// The channel, once block 0 was read.
    pub(super) fn channel(&self) -> Option<&ChannelId> {
        self.channel.as_ref()
    }

    /// The newest block read.
    pub(super) fn newest(&self) -> Option<&SealedBlock> {
        self.previous.as_ref()
    }

    /// The config in force after it, where it is known.
    pub(super) fn bundle(&self) -> Option<&Arc<Bundle>> {
        self.config.as_ref().map(|(_, bundle)| bundle)
    }

    /// What the newest block that says anything of raft says.
    pub(super) fn raft_metadata(&self) -> Option<&BlockMetadata> {
        self.raft.as_ref()
    }

    /// How many config blocks were read.
    pub(super) fn configs(&self) -> u64 {
        self.configs
    }

    /// First and last of the blocks whose signatures could not be checked.
    pub(super) fn unchecked(&self) -> Option<(BlockNumber, BlockNumber)> {
        self.unchecked
    }

    /// Blocks are missing before the next one: it has nothing to link to, and there may have been a config.
    pub(super) fn skip(&mut self) {
        self.previous = None;
        self.is_certain = false;
    }

    /// Takes the next block.
    pub(super) fn take(&mut self, block: SealedBlock, place: Option<Place>) -> Job {
        let mut faults = Vec::new();
        self.check_link(&block, &mut faults);
        let decoded = match block.decode() {
            Ok(decoded) => Some(decoded),
            Err(error) => {
                faults.push(fault(Kind::Content, format!("block {}: {error}", block.number())));
                None
            }
        };
        let bundle = match &decoded {
            Some(decoded) => self.check_config(block.number(), decoded, &mut faults),
            None => None,
        };
        self.previous = Some(block.clone());
        Job {
            block,
            place,
            faults,
            decoded,
            bundle,
        }
    }

    fn check_link(&self, block: &SealedBlock, faults: &mut Vec<Fault>) {
        let Some(previous) = &self.previous else { return };
        let (number, due) = (block.number(), previous.number().next());
        if number != due {
            faults.push(fault(
                Kind::Link,
                format!("block {number} stands where block {due} is due"),
            ));
        } else if block.previous_hash() != previous.hash() {
            let text =
                format!("previous hash of block {number} is not the header hash of the block before it");
            faults.push(fault(Kind::Link, text));
        }
    }

    /// Answers the config that the block's signatures are to be checked under: that before it; none for block 0, and
    /// where it is not known.
    fn check_config(
        &mut self,
        number: BlockNumber,
        block: &Block,
        faults: &mut Vec<Fault>,
    ) -> Option<Arc<Bundle>> {
        let is_config = is_config_block(block);
        self.check_last_config(number, block, is_config, faults);
        let before = self.in_force_before(number);
        if is_config || number == BlockNumber::GENESIS {
            self.enter_config(number, block, faults);
        } else if let Some(bundle) = &before {
            self.check_raft(number, block, bundle, faults);
        }
        before
    }

    fn in_force_before(&mut self, number: BlockNumber) -> Option<Arc<Bundle>> {
        if number == BlockNumber::GENESIS {
            return None;
        }
        let known = self.config.as_ref().filter(|_| self.is_certain);
        if known.is_none() {
            let (first, _) = self.unchecked.unwrap_or((number, number));
            self.unchecked = Some((first, number));
        }
        known.map(|(_, bundle)| Arc::clone(bundle))
    }

    fn enter_config(&mut self, number: BlockNumber, block: &Block, faults: &mut Vec<Fault>) {
        self.configs += 1;
        let follows = match &self.config {
            Some((_, before)) if self.is_certain => {
                validator::validate(before, block).map_err(|error| error.to_string())
            }
            _ => Bundle::from_block(block).map_err(|error| error.to_string()),
        };
        let bundle = follows.or_else(|error| {
            faults.push(fault(Kind::Config, format!("config of block {number}: {error}")));
            Bundle::from_block(block)
        });
        // Without a config that can be read, the one before stays in force.
        let Ok(bundle) = bundle else { return };
        let channel = self.channel.get_or_insert_with(|| bundle.channel_id().clone());
        if channel != bundle.channel_id() {
            let text = format!(
                "block {number} is of channel {}, not of {channel}",
                bundle.channel_id()
            );
            faults.push(fault(Kind::Channel, text));
        }
        let bundle = Arc::new(bundle);
        self.check_raft(number, block, &bundle, faults);
        self.config = Some((number, bundle));
        self.is_certain = true;
    }

    /// Both slots must name the newest config block. Behind a gap, naming the one read last makes that certain again.
    fn check_last_config(
        &mut self,
        number: BlockNumber,
        block: &Block,
        is_config: bool,
        faults: &mut Vec<Fault>,
    ) {
        let named = match block::last_config(block) {
            Ok(named) => named,
            Err(error) => {
                return faults.push(fault(Kind::LastConfig, format!("block {number}: {error}")));
            }
        };
        let read = self.config.as_ref().map(|(at, _)| *at);
        let due = match read {
            _ if is_config || number == BlockNumber::GENESIS => Some(number),
            Some(at) if self.is_certain => Some(at),
            _ => None,
        };
        if let Some(due) = due.filter(|due| *due != named) {
            let text = format!("block {number} names block {named} as the newest config, it is block {due}");
            faults.push(fault(Kind::LastConfig, text));
        }
        self.is_certain |= !is_config && read == Some(named);
        let repeated = block::metadata(block, SLOT_LAST_CONFIG).ok();
        let repeated = repeated.and_then(|slot| LastConfig::decode(slot.value).ok());
        if repeated.is_some_and(|repeated| repeated.index != named.0) {
            let text = format!("block {number} names another config in metadata slot 1 than in slot 0");
            faults.push(fault(Kind::LastConfig, text));
        }
    }

    /// What a raft block says of the members must fit the config, and its index must not fall.
    fn check_raft(&mut self, number: BlockNumber, block: &Block, bundle: &Bundle, faults: &mut Vec<Fault>) {
        let Ok(Consenters::Raft(consenters)) = consenters_of(bundle.orderer()) else {
            return;
        };
        match read_block_metadata(block) {
            Ok(None) => {}
            Err(error) => faults.push(fault(Kind::Raft, format!("block {number}: {error}"))),
            Ok(Some(metadata)) => {
                let (ids, members) = (metadata.consenter_ids.len(), consenters.len());
                if ids != members {
                    let text =
                        format!("block {number} has raft ids of {ids} members, the config has {members}");
                    faults.push(fault(Kind::Raft, text));
                }
                let before = self.raft.as_ref().map_or(0, |raft| raft.raft_index);
                if metadata.raft_index < before {
                    let index = metadata.raft_index;
                    let text = format!("block {number} has raft index {index}, after {before}");
                    faults.push(fault(Kind::Raft, text));
                }
                self.raft = Some(metadata);
            }
        }
    }
}

fn fault(kind: Kind, text: String) -> Fault {
    Fault { kind, text }
}
