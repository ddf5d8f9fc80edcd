//! A chain of blocks, checked as it comes: links, data hashes, and signatures under the config in force.
//!
//! The config changes with each config block: the blocks after it are judged by what it says.

use configtx::Bundle;
use configtx::block_verify::{self, BlockVerifyError};
use configtx::bundle::BundleError;
use protos::block::{SealError, is_config_block};
use protos::wire::common::BlockHeader;
use protos::{BlockNumber, SealedBlock};

/// Why a block is not the next one of the chain.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// It is no block.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// Link, data or signatures are wrong.
    #[error(transparent)]
    Block(#[from] BlockVerifyError),
    /// A config block whose config is not valid.
    #[error("config in block {number}: {source}")]
    Config {
        /// Which block.
        number: BlockNumber,
        /// What is wrong with its config.
        source: Box<BundleError>,
    },
    /// A chain begins with block 0, and another was given.
    #[error("block {number} was given as the genesis block")]
    NotGenesis {
        /// Its number.
        number: BlockNumber,
    },
}

/// Follows a chain and checks each block of it.
#[derive(Debug)]
pub struct ChainVerifier {
    bundle: Bundle,
    previous: BlockHeader,
}

impl ChainVerifier {
    /// Begins with block 0, which is trusted: it names itself who may sign what follows.
    pub fn from_genesis(genesis: &SealedBlock) -> Result<Self, VerifyError> {
        if genesis.number() != BlockNumber::GENESIS {
            let number = genesis.number();
            return Err(VerifyError::NotGenesis { number });
        }
        Self::after(genesis, genesis)
    }

    /// Begins after `previous`, with the config that `config` holds. Both are trusted.
    pub fn after(previous: &SealedBlock, config: &SealedBlock) -> Result<Self, VerifyError> {
        let block = config.decode()?;
        block_verify::verify_content(&block)?;
        Ok(Self {
            bundle: bundle(config.number(), &block)?,
            previous: previous.header().clone(),
        })
    }

    /// Checks `block` as the one after the last; after an error the verifier stands where it stood.
    pub fn check(&mut self, block: &SealedBlock) -> Result<(), VerifyError> {
        let decoded = block.decode()?;
        block_verify::verify_block(&self.previous, &decoded, &self.bundle)?;
        if is_config_block(&decoded) {
            self.bundle = bundle(block.number(), &decoded)?;
        }
        self.previous = block.header().clone();
        Ok(())
    }

    /// The block that is due.
    pub fn next(&self) -> BlockNumber {
        BlockNumber(self.previous.number).next()
    }

    /// The config in force after the last block.
    pub fn bundle(&self) -> &Bundle {
        &self.bundle
    }
}

fn bundle(number: BlockNumber, block: &protos::wire::common::Block) -> Result<Bundle, VerifyError> {
    Bundle::from_block(block).map_err(|source| VerifyError::Config {
        number,
        source: Box::new(source),
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    /// Blocks that live reference orderers made, config blocks among them.
    fn chain(name: &str) -> Vec<SealedBlock> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors/ecdsa/chain");
        let read = |number| fs::read(folder.join(format!("{name}/o1-{number:03}.block")));
        let blocks = (0..).map_while(|number: u32| read(number).ok());
        blocks
            .map(|bytes| SealedBlock::from_bytes(bytes.into()).unwrap())
            .collect()
    }

    #[test]
    fn chains_of_reference_orderers_are_right() {
        for name in ["raft-one", "raft-three", "bft-four"] {
            let chain = chain(name);
            let mut verifier = ChainVerifier::from_genesis(&chain[0]).unwrap();
            for block in &chain[1..] {
                verifier.check(block).unwrap();
            }
            assert!(chain.len() > 1, "{name}");
        }
    }

    #[test]
    fn a_changed_block_a_gap_and_a_repeat_are_found() {
        let chain = chain("raft-three");
        let mut verifier = ChainVerifier::from_genesis(&chain[0]).unwrap();
        verifier.check(&chain[2]).unwrap_err();
        let mut changed = chain[1].decode().unwrap();
        changed.metadata.as_mut().unwrap().metadata[0] = bytes::Bytes::new();
        verifier.check(&SealedBlock::seal(&changed).unwrap()).unwrap_err();
        verifier.check(&chain[1]).unwrap();
        verifier.check(&chain[1]).unwrap_err();
    }

    #[test]
    fn a_chain_begins_with_block_zero() {
        let error = ChainVerifier::from_genesis(&chain("raft-three")[1]).unwrap_err();
        assert!(matches!(error, VerifyError::NotGenesis { .. }), "{error}");
    }
}
