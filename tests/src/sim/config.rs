//! The channel's config as simulated nodes have it in force.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use configtx::consensus_metadata::RaftMetadata;
use configtx::identity::SigningIdentity;
use configtx::{Bundle, Severity, validator};
use consensus::raft::core::ConfigInForce;
use consensus::{Members, Revalidate, RevalidateError};
use orderer::processor::{self, Checked, ProcessError, Proposer, Rules, Verdict, config_update};
use protos::block::{Hash, header_hash};
use protos::wire::common::Block;
use protos::{ConfigSeq, Envelope};

use super::material::{Material, nonce_of};

/// Configs by the hash of their block's header. Each is checked once in a run, by the first node that has it: what a
/// check says depends on nothing but the block and the one before it.
#[derive(Default)]
pub struct Configs(BTreeMap<Hash, Arc<Rules>>);

impl Configs {
    /// The rules of a channel's first block.
    pub fn first(&mut self, genesis: &Block) -> Result<Arc<Rules>, String> {
        self.know(genesis, || {
            Bundle::from_block(genesis).map_err(|error| error.to_string())
        })
    }

    /// The rules after a config block that follows `current`.
    pub fn after(&mut self, current: &Rules, block: &Block) -> Result<Arc<Rules>, String> {
        self.know(block, || {
            validator::validate(current.bundle(), block).map_err(|error| error.to_string())
        })
    }

    /// The rules of a config block that was checked before.
    pub fn of(&self, block: &Block) -> Option<Arc<Rules>> {
        self.0.get(&hash(block)).map(Arc::clone)
    }

    fn know(
        &mut self,
        block: &Block,
        read: impl FnOnce() -> Result<Bundle, String>,
    ) -> Result<Arc<Rules>, String> {
        if let Some(known) = self.of(block) {
            return Ok(known);
        }
        let rules = Rules::new(Arc::new(read()?), false).map_err(|error| error.to_string())?;
        let rules = Arc::new(rules);
        self.0.insert(hash(block), Arc::clone(&rules));
        Ok(rules)
    }
}

fn hash(block: &Block) -> Hash {
    block.header.as_ref().map(header_hash).unwrap_or_default()
}

/// What a chain needs of a config.
pub fn in_force(rules: &Rules) -> Result<ConfigInForce, String> {
    let metadata = &rules.bundle().orderer().consensus_type.metadata;
    let raft = RaftMetadata::read(metadata, Severity::Commit).map_err(|error| error.to_string())?;
    Ok(ConfigInForce {
        sequence: rules.bundle().sequence(),
        batch: rules.batch(),
        consenters: raft.consenters,
        options: raft.options,
    })
}

/// The checks of one node against the config in force there, as its processor does them.
pub struct Checks {
    rules: Arc<Rules>,
    identity: Arc<SigningIdentity>,
    nonce: AtomicU64,
}

impl Checks {
    /// Checks of a node that signs as `identity`; `run` makes what it signs unlike that of its other runs.
    pub fn new(rules: Arc<Rules>, identity: Arc<SigningIdentity>, run: u64) -> Self {
        let nonce = AtomicU64::new(run << 32);
        Self {
            rules,
            identity,
            nonce,
        }
    }

    /// By the config in force.
    pub fn rules(&self) -> &Arc<Rules> {
        &self.rules
    }

    /// Replaces the config.
    pub fn comes_into_force(&mut self, rules: Arc<Rules>) {
        self.rules = rules;
    }

    /// A nonce that this node has not used before.
    pub fn nonce(&self) -> [u8; 24] {
        nonce_of(self.nonce.fetch_add(1, Ordering::Relaxed))
    }

    /// Makes the CONFIG envelope of a config update.
    pub fn propose(&self, update: bytes::Bytes, members: &Members) -> Result<Checked, ProcessError> {
        match processor::process(update, |_| Some(Arc::clone(&self.rules)), Material::now())? {
            Verdict::Ready(_) => Err(ProcessError::NoLastUpdate),
            Verdict::Update(update) => update.propose(&Proposer {
                identity: &self.identity,
                nonce: self.nonce(),
                members,
                now: Material::now(),
            }),
        }
    }
}

fn refused(error: &ProcessError) -> RevalidateError {
    RevalidateError {
        reason: error.to_string(),
    }
}

impl Revalidate for Checks {
    fn config_seq(&self) -> ConfigSeq {
        self.rules.bundle().sequence()
    }

    /// As in the node: all but the signature, which no config changes.
    fn revalidate_normal(&self, envelope: &Envelope) -> Result<(), RevalidateError> {
        let opened = processor::open(envelope.entry().clone());
        let checked = opened.and_then(|opened| self.rules.prepare(opened, Material::now()));
        checked.map(drop).map_err(|error| refused(&error))
    }

    fn revalidate_config(&self, envelope: &Envelope, members: &Members) -> Result<Envelope, RevalidateError> {
        let update = config_update::last_update(envelope).map_err(|error| refused(&error))?;
        let checked = self.propose(update, members).map_err(|error| refused(&error))?;
        Ok(checked.envelope)
    }
}
