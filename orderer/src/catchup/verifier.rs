//! Received blocks against the chain so far and the config in force. Pure.

use std::sync::Arc;

use configtx::Bundle;
use configtx::block_verify::{self, BlockVerifyError};
use configtx::validator::{self, CommitError};
use protos::block::{Hash, SealError, is_config_block};
use protos::wire::common::Block;
use protos::{BlockNumber, SealedBlock};

use super::Tip;

/// Why a received block is not the next one.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// It is no block.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// Number, link, data or signatures.
    #[error(transparent)]
    Block(#[from] BlockVerifyError),
    /// A config block whose config does not follow the one in force.
    #[error("config block {number} does not follow the config in force: {source}")]
    Config {
        /// Its number.
        number: BlockNumber,
        /// What is wrong.
        source: Box<CommitError>,
    },
    /// Another block than the one that this node was given for this place.
    #[error("header of block {number} is not that of the join block")]
    Anchor {
        /// Its number.
        number: BlockNumber,
    },
}

/// A block whose header is known for certain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Anchor {
    /// Its number.
    pub number: BlockNumber,
    /// Hash of its header.
    pub hash: Hash,
}

/// Follows a chain; after an error it stands where it stood.
#[derive(Clone, Debug)]
pub struct Verifier {
    tip: Tip,
    bundle: Arc<Bundle>,
    anchor: Option<Anchor>,
}

/// What came of a run of blocks.
#[derive(Debug)]
pub struct Verdict {
    /// The good ones, each with the config it brings.
    pub good: Vec<(SealedBlock, Option<Arc<Bundle>>)>,
    /// What is wrong with the one after them.
    pub fault: Option<VerifyError>,
}

impl Verifier {
    /// Goes on after `tip`, under `bundle`.
    pub fn new(tip: Tip, bundle: Arc<Bundle>, anchor: Option<Anchor>) -> Self {
        Self { tip, bundle, anchor }
    }

    /// Verifies blocks up to the first config block, included, or the first bad one.
    pub fn run(&mut self, blocks: Vec<SealedBlock>) -> Verdict {
        let mut verdict = Verdict {
            good: Vec::with_capacity(blocks.len()),
            fault: None,
        };
        for block in blocks {
            match self.check(&block) {
                Ok(config) => {
                    let is_config = config.is_some();
                    verdict.good.push((block, config));
                    if is_config {
                        break;
                    }
                }
                Err(fault) => {
                    verdict.fault = Some(fault);
                    break;
                }
            }
        }
        verdict
    }

    /// Checks `block` as the next one; answers the config that it brings.
    pub fn check(&mut self, block: &SealedBlock) -> Result<Option<Arc<Bundle>>, VerifyError> {
        let number = block.number();
        self.check_link(block)?;
        let decoded = block.decode()?;
        block_verify::verify_content(&decoded)?;
        block_verify::verify_signatures(&decoded, &self.bundle)?;
        let config = self.config(number, &decoded)?;
        self.tip = Tip::of(block);
        if let Some(config) = &config {
            self.bundle = Arc::clone(config);
        }
        Ok(config)
    }

    fn check_link(&self, block: &SealedBlock) -> Result<(), VerifyError> {
        let (expected, number) = (self.tip.next(), block.number());
        if number != expected {
            return Err(BlockVerifyError::Number {
                expected,
                found: number,
            }
            .into());
        }
        if block.previous_hash() != self.tip.hash {
            return Err(BlockVerifyError::PreviousHash { number }.into());
        }
        match &self.anchor {
            Some(anchor) if anchor.number == number && anchor.hash != *block.hash() => {
                Err(VerifyError::Anchor { number })
            }
            _ => Ok(()),
        }
    }

    fn config(&self, number: BlockNumber, block: &Block) -> Result<Option<Arc<Bundle>>, VerifyError> {
        if !is_config_block(block) {
            return Ok(None);
        }
        let bundle = validator::validate(&self.bundle, block).map_err(|source| VerifyError::Config {
            number,
            source: Box::new(source),
        })?;
        Ok(Some(Arc::new(bundle)))
    }
}
