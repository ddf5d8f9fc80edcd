//! A received block against the block before it and the config in force.
//!
//! ```text
//! verify_block = verify_link        number and previous hash
//!              + verify_content     five slots, well-formed data, data hash
//!              + verify_signatures  policy BlockValidation of the config in force before the block
//! ```
//!
//! Whoever takes blocks from others (catch-up, onboarding, clients) runs all three, and after a config block
//! goes on with the [`Bundle`] made from it. Source: `docs/spec/rules.md` §2.

#[cfg(test)]
mod tests;

use prost::Message;
use protos::BlockNumber;
use protos::block::{self, IllFormed, METADATA_SLOTS, MetadataError, SLOT_SIGNATURES};
use protos::wire::common::{Block, BlockHeader, IdentifierHeader, MetadataSignature, SignatureHeader};

use crate::identity::SigningIdentity;
use crate::keys::BLOCK_VALIDATION_PATH;
use crate::policy::{PolicyError, SignedData};
use crate::{Bundle, bft};

/// Why a block is not the next block of its channel.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BlockVerifyError {
    /// It has no header.
    #[error("block has no header")]
    NoHeader,
    /// Its number is not the next one.
    #[error("block has number {found}, expected {expected}")]
    Number {
        /// The number that comes next.
        expected: BlockNumber,
        /// The number it has.
        found: BlockNumber,
    },
    /// It does not link to the block before it.
    #[error("previous hash of block {number} is not the hash of the block before it")]
    PreviousHash {
        /// Its number.
        number: BlockNumber,
    },
    /// It has too few metadata slots.
    #[error("block {number} has {found} metadata slots, expected {METADATA_SLOTS}")]
    MetadataSlots {
        /// Its number.
        number: BlockNumber,
        /// How many it has.
        found: usize,
    },
    /// Its data is not well formed.
    #[error("block {number}: {source}")]
    Data {
        /// Its number.
        number: BlockNumber,
        /// What is wrong with the data.
        source: IllFormed,
    },
    /// Its data is not what its header names.
    #[error("data hash of block {number} is not the hash of its data")]
    DataHash {
        /// Its number.
        number: BlockNumber,
    },
    /// Its signature slot cannot be read.
    #[error("block {number}: {source}")]
    Metadata {
        /// Its number.
        number: BlockNumber,
        /// What is wrong with the slot.
        source: MetadataError,
    },
    /// A signature's header cannot be read, which spoils the block whatever the others say.
    #[error("block {number}: header of signature {index} does not decode: {source}")]
    SignatureHeader {
        /// Its number.
        number: BlockNumber,
        /// Which signature, from 0.
        index: usize,
        /// Where decoding failed.
        source: prost::DecodeError,
    },
    /// Its signatures do not satisfy the policy.
    #[error("signatures of block {number}: {source}")]
    Signatures {
        /// Its number.
        number: BlockNumber,
        /// What the policy says.
        source: PolicyError,
    },
}

/// Checks everything that makes `block` the one after `previous`, where `bundle` is the config in force
/// between them.
pub fn verify_block(previous: &BlockHeader, block: &Block, bundle: &Bundle) -> Result<(), BlockVerifyError> {
    verify_link(previous, block)?;
    verify_content(block)?;
    verify_signatures(block, bundle)
}

/// Checks number and previous hash.
pub fn verify_link(previous: &BlockHeader, block: &Block) -> Result<(), BlockVerifyError> {
    let header = header(block)?;
    let expected = BlockNumber(previous.number).next();
    let found = BlockNumber(header.number);
    if found != expected {
        return Err(BlockVerifyError::Number { expected, found });
    }
    if header.previous_hash[..] != block::header_hash(previous) {
        return Err(BlockVerifyError::PreviousHash { number: found });
    }
    Ok(())
}

/// Checks metadata slots, data and data hash; says nothing about who made the block.
pub fn verify_content(block: &Block) -> Result<(), BlockVerifyError> {
    let header = header(block)?;
    let number = BlockNumber(header.number);
    let found = block.metadata.as_ref().map_or(0, |slots| slots.metadata.len());
    if found < METADATA_SLOTS {
        return Err(BlockVerifyError::MetadataSlots { number, found });
    }
    let data = block.data.as_ref().ok_or(BlockVerifyError::Data {
        number,
        source: IllFormed::Empty,
    })?;
    block::check_well_formed(data).map_err(|source| BlockVerifyError::Data { number, source })?;
    if header.data_hash[..] != block::block_data_hash(data) {
        return Err(BlockVerifyError::DataHash { number });
    }
    Ok(())
}

/// Checks that the block's signatures satisfy `BlockValidation` of `bundle`.
pub fn verify_signatures(block: &Block, bundle: &Bundle) -> Result<(), BlockVerifyError> {
    let header = header(block)?;
    let number = BlockNumber(header.number);
    let slot = block::metadata(block, SLOT_SIGNATURES)
        .map_err(|source| BlockVerifyError::Metadata { number, source })?;
    let mut collected = Vec::with_capacity(slot.signatures.len());
    for (index, one) in slot.signatures.iter().enumerate() {
        let signer = signer(one, bundle).map_err(|source| BlockVerifyError::SignatureHeader {
            number,
            index,
            source,
        })?;
        if let Some(Signer {
            identity,
            header_bytes,
        }) = signer
        {
            let data = block::signed_bytes(&slot.value, header_bytes, header);
            collected.push((identity, data, &one.signature));
        }
    }
    let signatures: Vec<_> = collected
        .iter()
        .map(|(identity, data, signature)| SignedData {
            identity,
            data,
            signature,
        })
        .collect();
    let verdict = bundle.policies().evaluate(BLOCK_VALIDATION_PATH, &signatures);
    verdict.map_err(|source| BlockVerifyError::Signatures { number, source })
}

/// Checks that the signature of `identity` alone satisfies `BlockValidation` of `bundle`, so that others take the blocks
/// that it signs. Not for BFT, where one signature is never enough.
pub fn accepts_signer(bundle: &Bundle, identity: &SigningIdentity) -> Result<(), PolicyError> {
    let data = b"would it be taken?";
    let signature = identity.sign(data);
    let signed = SignedData {
        identity: identity.serialized(),
        data,
        signature: &signature,
    };
    bundle.policies().evaluate(BLOCK_VALIDATION_PATH, &[signed])
}

/// Who made a block signature, and the header bytes that it covers.
struct Signer<'a> {
    identity: Vec<u8>,
    header_bytes: &'a [u8],
}

/// Finds the signer; none for an identifier that no consenter has.
///
/// Consenters may name themselves by number only where the channel's capabilities say so, and one block may
/// mix both kinds of header.
fn signer<'a>(
    signature: &'a MetadataSignature,
    bundle: &Bundle,
) -> Result<Option<Signer<'a>>, prost::DecodeError> {
    let by_number = bundle.capabilities().v3()
        && signature.signature_header.is_empty()
        && !signature.identifier_header.is_empty();
    if !by_number {
        let header = SignatureHeader::decode(signature.signature_header.clone())?;
        return Ok(Some(Signer {
            identity: header.creator.to_vec(),
            header_bytes: &signature.signature_header,
        }));
    }
    let header = IdentifierHeader::decode(signature.identifier_header.clone())?;
    let consenter = bundle.orderer().consenter(header.identifier);
    Ok(consenter.map(|consenter| Signer {
        identity: bft::serialized_identity(consenter),
        header_bytes: &signature.identifier_header,
    }))
}

fn header(block: &Block) -> Result<&BlockHeader, BlockVerifyError> {
    block.header.as_ref().ok_or(BlockVerifyError::NoHeader)
}
