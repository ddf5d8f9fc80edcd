//! Blocks: header bytes and hashes, data hash, metadata slots, and [`SealedBlock`], the form that is stored
//! and sent.
//!
//! Source of every rule here: `docs/spec/rules.md` §1 and §2.

use bytes::{BufMut, Bytes, BytesMut};
use prost::Message;
use prost::encoding::{encode_varint, encoded_len_varint};
use sha2::{Digest, Sha256};

use crate::envelope;
use crate::id::{BlockNumber, Height};
use crate::wire::common::{
    Block, BlockData, BlockHeader, BlockMetadata, HeaderType, LastConfig, Metadata, OrdererBlockMetadata,
};

/// A SHA-256 hash.
pub type Hash = [u8; 32];

/// How many metadata entries a block made by an orderer has.
pub const METADATA_SLOTS: usize = 5;
/// Metadata slot with the signatures and the [`OrdererBlockMetadata`] they cover.
pub const SLOT_SIGNATURES: usize = 0;
/// Metadata slot that repeats the last config number, unsigned.
pub const SLOT_LAST_CONFIG: usize = 1;

/// The DER encoding of a block header: `SEQUENCE { INTEGER number, OCTET STRING, OCTET STRING }`.
pub fn header_bytes(header: &BlockHeader) -> Vec<u8> {
    let mut number = header.number.to_be_bytes().to_vec();
    let leading = number.iter().take_while(|b| **b == 0).count().min(7);
    number.drain(..leading);
    if number[0] & 0x80 != 0 {
        number.insert(0, 0);
    }
    let mut content = Vec::with_capacity(80);
    der_element(&mut content, 0x02, &number);
    der_element(&mut content, 0x04, &header.previous_hash);
    der_element(&mut content, 0x04, &header.data_hash);
    let mut out = Vec::with_capacity(content.len() + 4);
    der_element(&mut out, 0x30, &content);
    out
}

fn der_element(out: &mut Vec<u8>, tag: u8, content: &[u8]) {
    out.push(tag);
    let len = content.len();
    if len < 0x80 {
        out.push(u8::try_from(len).unwrap_or(0));
    } else {
        let bytes = len.to_be_bytes();
        let used = &bytes[bytes.iter().take_while(|b| **b == 0).count()..];
        out.push(0x80 | u8::try_from(used.len()).unwrap_or(0));
        out.extend_from_slice(used);
    }
    out.extend_from_slice(content);
}

/// SHA-256 of [`header_bytes`]: what the next block names as its previous hash.
pub fn header_hash(header: &BlockHeader) -> Hash {
    Sha256::digest(header_bytes(header)).into()
}

/// SHA-256 over all entries, joined with nothing between them.
pub fn data_hash<'a>(entries: impl IntoIterator<Item = &'a [u8]>) -> Hash {
    let mut hasher = Sha256::new();
    entries.into_iter().for_each(|entry| hasher.update(entry));
    hasher.finalize().into()
}

/// The data hash of a block's entries as they stand.
pub fn block_data_hash(data: &BlockData) -> Hash {
    data_hash(data.data.iter().map(AsRef::as_ref))
}

/// A new block of `entries` that follows a header with hash `previous_hash` at `number - 1`.
///
/// Its five metadata slots are present and empty.
pub fn next(number: BlockNumber, previous_hash: &Hash, entries: Vec<Bytes>) -> Block {
    let header = BlockHeader {
        number: number.0,
        previous_hash: Bytes::copy_from_slice(previous_hash),
        data_hash: Bytes::copy_from_slice(&data_hash(entries.iter().map(AsRef::as_ref))),
    };
    Block {
        header: Some(header),
        data: Some(BlockData { data: entries }),
        metadata: Some(BlockMetadata {
            metadata: vec![Bytes::new(); METADATA_SLOTS],
        }),
    }
}

/// Why the data of a block is not well formed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IllFormed {
    /// No entry.
    #[error("block has no data entry")]
    Empty,
    /// An entry is no canonical, signed envelope.
    #[error("entry {index}: {reason}")]
    Entry {
        /// Which entry, from 0.
        index: usize,
        /// What is wrong with it.
        reason: envelope::EntryError,
    },
}

/// Checks the well-formedness rule of `docs/spec/rules.md` §1. Not checked when a block is made.
pub fn check_well_formed(data: &BlockData) -> Result<(), IllFormed> {
    if data.data.is_empty() {
        return Err(IllFormed::Empty);
    }
    if let [only] = data.data.as_slice()
        && envelope::header_type(only) == Some(HeaderType::Config as i32)
    {
        return Ok(());
    }
    for (index, entry) in data.data.iter().enumerate() {
        envelope::check_entry(entry).map_err(|reason| IllFormed::Entry { index, reason })?;
    }
    Ok(())
}

/// True for a block of exactly one entry with header type CONFIG.
pub fn is_config_block(block: &Block) -> bool {
    let entries = block.data.as_ref().map(|d| d.data.as_slice()).unwrap_or_default();
    matches!(entries, [only] if envelope::header_type(only) == Some(HeaderType::Config as i32))
}

/// Why a block's metadata cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MetadataError {
    /// The block has no such slot.
    #[error("block has no metadata slot {slot}")]
    Missing {
        /// The slot asked for.
        slot: usize,
    },
    /// The slot's content does not decode.
    #[error("metadata slot {slot} does not decode: {source}")]
    Decode {
        /// The slot asked for.
        slot: usize,
        /// Where decoding failed.
        source: prost::DecodeError,
    },
}

/// Decodes one metadata slot.
pub fn metadata(block: &Block, slot: usize) -> Result<Metadata, MetadataError> {
    let bytes = block
        .metadata
        .as_ref()
        .and_then(|m| m.metadata.get(slot))
        .ok_or(MetadataError::Missing { slot })?;
    Metadata::decode(bytes.clone()).map_err(|source| MetadataError::Decode { slot, source })
}

/// What slot 0 says: last config and consenter metadata. Empty when slot 0 has an empty value.
pub fn orderer_metadata(block: &Block) -> Result<Option<OrdererBlockMetadata>, MetadataError> {
    let value = metadata(block, SLOT_SIGNATURES)?.value;
    if value.is_empty() {
        return Ok(None);
    }
    OrdererBlockMetadata::decode(value)
        .map(Some)
        .map_err(|source| MetadataError::Decode {
            slot: SLOT_SIGNATURES,
            source,
        })
}

/// The newest config block at or before `block`: slot 0, or slot 1 when slot 0 has an empty value.
pub fn last_config(block: &Block) -> Result<BlockNumber, MetadataError> {
    if let Some(found) = orderer_metadata(block)? {
        return Ok(BlockNumber(found.last_config.unwrap_or_default().index));
    }
    let value = metadata(block, SLOT_LAST_CONFIG)?.value;
    LastConfig::decode(value)
        .map(|last| BlockNumber(last.index))
        .map_err(|source| MetadataError::Decode {
            slot: SLOT_LAST_CONFIG,
            source,
        })
}

/// The serialized content that slot 0's signatures cover. `last_config` is written even when it is 0:
/// readers of the reference crash without it.
pub fn orderer_metadata_value(last_config: BlockNumber, consenter_metadata: Bytes) -> Bytes {
    let value = OrdererBlockMetadata {
        last_config: Some(LastConfig { index: last_config.0 }),
        consenter_metadata,
    };
    Bytes::from(value.encode_to_vec())
}

/// The bytes one block signature covers: value, the signature's own header bytes, the header's DER.
pub fn signed_bytes(value: &[u8], signature_header: &[u8], header: &BlockHeader) -> Vec<u8> {
    [value, signature_header, &header_bytes(header)].concat()
}

/// Why bytes are no usable block.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// Not a `common.Block`.
    #[error("not a serialized block: {0}")]
    Decode(#[from] prost::DecodeError),
    /// A block without its header.
    #[error("block has no header")]
    NoHeader,
}

/// A block together with its serialized form: what the ledger stores and deliver streams send, so that
/// nothing is encoded twice. Cheap to clone.
#[derive(Clone, Debug)]
pub struct SealedBlock {
    bytes: Bytes,
    header: BlockHeader,
    hash: Hash,
}

impl PartialEq for SealedBlock {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}
impl Eq for SealedBlock {}

impl SealedBlock {
    /// Serializes `block` once.
    pub fn seal(block: &Block) -> Result<Self, SealError> {
        let header = block.header.clone().ok_or(SealError::NoHeader)?;
        let hash = header_hash(&header);
        Ok(Self {
            bytes: Bytes::from(block.encode_to_vec()),
            header,
            hash,
        })
    }

    /// Reads the header out of `bytes`, which are kept as they are.
    pub fn from_bytes(bytes: Bytes) -> Result<Self, SealError> {
        let header = Block::decode(bytes.clone())?.header.ok_or(SealError::NoHeader)?;
        let hash = header_hash(&header);
        Ok(Self { bytes, header, hash })
    }

    /// The serialized `common.Block`.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Its number.
    pub fn number(&self) -> BlockNumber {
        BlockNumber(self.header.number)
    }

    /// The height of a chain that ends with it.
    pub fn height(&self) -> Height {
        Height::of_tip(self.number())
    }

    /// Hash of the header before it; empty in block 0.
    pub fn previous_hash(&self) -> &[u8] {
        &self.header.previous_hash
    }

    /// Hash of its own header.
    pub fn hash(&self) -> &Hash {
        &self.hash
    }

    /// Its header.
    pub fn header(&self) -> &BlockHeader {
        &self.header
    }

    /// The decoded block; its byte fields share the memory of [`bytes`](Self::bytes).
    pub fn decode(&self) -> Result<Block, SealError> {
        Ok(Block::decode(self.bytes.clone())?)
    }

    /// The message of a deliver stream that carries this block: one field header in front of the stored
    /// bytes (`orderer.DeliverResponse.block`, field 2).
    pub fn deliver_frame_head(&self) -> Bytes {
        let len = self.bytes.len() as u64;
        let mut head = BytesMut::with_capacity(1 + encoded_len_varint(len));
        head.put_u8(0x12);
        encode_varint(len, &mut head);
        head.freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(number: u64) -> BlockHeader {
        BlockHeader {
            number,
            previous_hash: Bytes::new(),
            data_hash: Bytes::from_static(&[7; 32]),
        }
    }

    #[test]
    fn header_number_is_a_minimal_der_integer() {
        let cases: [(u64, &[u8]); 5] = [
            (0, &[2, 1, 0]),
            (127, &[2, 1, 127]),
            (128, &[2, 2, 0, 128]),
            (256, &[2, 2, 1, 0]),
            (u64::MAX, &[2, 9, 0, 255, 255, 255, 255, 255, 255, 255, 255]),
        ];
        for (number, expected) in cases {
            let bytes = header_bytes(&header(number));
            assert_eq!(&bytes[2..2 + expected.len()], expected, "number {number}");
            assert_eq!(usize::from(bytes[1]), bytes.len() - 2);
        }
    }

    #[test]
    fn last_config_zero_is_written_out() {
        assert_eq!(
            &orderer_metadata_value(BlockNumber(0), Bytes::new())[..],
            [0x0a, 0x00]
        );
    }

    #[test]
    fn next_links_and_has_five_empty_slots() {
        let first = next(
            BlockNumber(4),
            &[9; 32],
            vec![Bytes::from_static(b"ab"), Bytes::from_static(b"c")],
        );
        let head = first.header.as_ref().unwrap();
        assert_eq!(head.previous_hash, Bytes::from_static(&[9; 32]));
        assert_eq!(head.data_hash[..], Sha256::digest(b"abc")[..]);
        assert_eq!(first.metadata.unwrap().metadata, vec![Bytes::new(); 5]);
    }

    #[test]
    fn a_sealed_block_keeps_its_bytes_and_frames_them() {
        let sealed =
            SealedBlock::seal(&next(BlockNumber(1), &[1; 32], vec![Bytes::from_static(b"x")])).unwrap();
        assert_eq!(SealedBlock::from_bytes(sealed.bytes().clone()).unwrap(), sealed);
        let mut frame = sealed.deliver_frame_head().to_vec();
        frame.extend_from_slice(sealed.bytes());
        let decoded = crate::wire::orderer::DeliverResponse::decode(&frame[..]).unwrap();
        let Some(crate::wire::orderer::deliver_response::Type::Block(block)) = decoded.r#type else {
            panic!("not a block: {decoded:?}");
        };
        assert_eq!(block, sealed.decode().unwrap());
    }

    #[test]
    fn block_without_header_is_refused() {
        assert_eq!(
            SealedBlock::from_bytes(Bytes::new()).unwrap_err(),
            SealError::NoHeader
        );
    }
}
