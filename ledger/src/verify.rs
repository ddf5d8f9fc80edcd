//! Reads a whole chain and checks what its own bytes can prove: numbers, links and data hashes. Signatures
//! and policies are checked elsewhere.

use protos::block::{Hash, SealError, block_data_hash};
use protos::{BlockNumber, Height, SealedBlock};

use crate::reader::{BlockReader, ReadError};

/// The first thing wrong with a chain.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// A block cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A block does not name the header hash of the one before it.
    #[error("previous hash of block {number} is not the header hash of the block before it")]
    BrokenLink {
        /// The block.
        number: BlockNumber,
    },
    /// A block's entries are not those its header names.
    #[error("data hash of block {number} does not match its entries")]
    DataHash {
        /// The block.
        number: BlockNumber,
    },
    /// A block's entries do not decode.
    #[error("block {number}: {source}")]
    Decode {
        /// The block.
        number: BlockNumber,
        /// Why.
        source: SealError,
    },
}

/// Checks every block below the height; answers the height checked. Reads through to the disk.
///
/// `progress` is called with each block that is in order.
pub fn verify_chain(
    reader: &BlockReader,
    mut progress: impl FnMut(&SealedBlock),
) -> Result<Height, VerifyError> {
    let height = reader.height();
    let mut previous: Option<Hash> = None;
    for number in (0..height.0).map(BlockNumber) {
        let block = reader.get_from_disk(number)?;
        check(&block, previous.as_ref())?;
        progress(&block);
        previous = Some(*block.hash());
    }
    Ok(height)
}

fn check(block: &SealedBlock, previous: Option<&Hash>) -> Result<(), VerifyError> {
    let number = block.number();
    if previous.is_some_and(|hash| block.previous_hash() != hash) {
        return Err(VerifyError::BrokenLink { number });
    }
    let decoded = block.decode();
    let decoded = decoded.map_err(|source| VerifyError::Decode { number, source })?;
    if block_data_hash(&decoded.data.unwrap_or_default())[..] != block.header().data_hash[..] {
        return Err(VerifyError::DataHash { number });
    }
    Ok(())
}
