//! Blocks as a row of records: the block files of the reference implementation, and our portable copies.
//!
//! ```text
//! record = length, header, data, metadata      length: bytes of what follows it
//! header = number, data hash, previous hash    numbers: base 128, least significant group first
//! data, metadata = count, then each entry      hashes, entries: a length and so many bytes
//! ```
//!
//! There is no file header and no checksum; an absent previous hash has the length 0. Source: `docs/spec/dropin.md` §6.1.

use bytes::{Buf, BufMut, Bytes};
use prost::encoding::{encode_varint, encoded_len_varint};

use crate::wire::common::{Block, BlockData, BlockHeader, BlockMetadata};

/// Longest number in bytes.
pub const NUMBER_BYTES_MAX: usize = 10;

/// Longest header in bytes, as far as hashes are those of SHA-256: number, and two hashes with their lengths.
pub const HEADER_BYTES_MAX: usize = NUMBER_BYTES_MAX + 2 * (1 + 32);

/// The record of `block`. What is missing in it counts as empty.
pub fn record(block: &Block) -> Vec<u8> {
    let header = block.header.clone().unwrap_or_default();
    let data = block.data.as_ref().map_or(&[][..], |data| &data.data);
    let metadata = block.metadata.as_ref().map_or(&[][..], |slots| &slots.metadata);
    let len = encoded_len_varint(header.number)
        + field_len(&header.data_hash)
        + field_len(&header.previous_hash)
        + fields_len(data)
        + fields_len(metadata);
    let mut out = Vec::with_capacity(len + NUMBER_BYTES_MAX);
    encode_varint(len as u64, &mut out);
    encode_varint(header.number, &mut out);
    put_field(&header.data_hash, &mut out);
    put_field(&header.previous_hash, &mut out);
    for entries in [data, metadata] {
        encode_varint(entries.len() as u64, &mut out);
        for entry in entries {
            put_field(entry, &mut out);
        }
    }
    out
}

/// The block in a record, given without its length; none if its parts do not fill it. They share the record's memory.
pub fn read(mut record: Bytes) -> Option<Block> {
    let header = header(&mut record)?;
    let data = fields(&mut record)?;
    let metadata = fields(&mut record)?;
    record.is_empty().then_some(Block {
        header: Some(header),
        data: Some(BlockData { data }),
        metadata: Some(BlockMetadata { metadata }),
    })
}

/// The header at the beginning of a record, given without its length; what follows it stays in `record`.
pub fn header(record: &mut Bytes) -> Option<BlockHeader> {
    Some(BlockHeader {
        number: number(record)?,
        data_hash: field(record)?,
        previous_hash: field(record)?,
    })
}

/// A number in base 128; none if the bytes end before it, or it does not fit.
pub fn number(bytes: &mut impl Buf) -> Option<u64> {
    let mut value = 0_u64;
    for position in 0..NUMBER_BYTES_MAX {
        if !bytes.has_remaining() {
            return None;
        }
        let byte = bytes.get_u8();
        if position == NUMBER_BYTES_MAX - 1 && byte > 1 {
            return None;
        }
        value |= u64::from(byte & 0x7f) << (7 * position);
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn field(record: &mut Bytes) -> Option<Bytes> {
    let len = usize::try_from(number(record)?).ok()?;
    (len <= record.len()).then(|| record.split_to(len))
}

fn fields(record: &mut Bytes) -> Option<Vec<Bytes>> {
    let count = number(record)?;
    // Each takes a byte at least, so a false count ends with the record.
    (0..count).map(|_| field(record)).collect()
}

fn field_len(bytes: &[u8]) -> usize {
    encoded_len_varint(bytes.len() as u64) + bytes.len()
}

fn fields_len(entries: &[Bytes]) -> usize {
    let count = encoded_len_varint(entries.len() as u64);
    count + entries.iter().map(|entry| field_len(entry)).sum::<usize>()
}

fn put_field(bytes: &[u8], out: &mut Vec<u8>) {
    encode_varint(bytes.len() as u64, out);
    out.put_slice(bytes);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_record_has_these_bytes() {
        let bytes = [
            0x12, // length of the record
            0x81, 0x01, // number 129
            0x02, 0xaa, 0xbb, // data hash
            0x00, // no previous hash
            0x02, 0x01, 0x41, 0x02, 0x42, 0x43, // entries A, BC
            0x02, 0x00, 0x03, 0x44, 0x45, 0x46, // metadata: empty, DEF
        ];
        let block = read(Bytes::copy_from_slice(&bytes[1..])).unwrap();
        assert_eq!(usize::from(bytes[0]), bytes.len() - 1);
        let header = block.header.clone().unwrap();
        assert_eq!((header.number, &header.data_hash[..]), (129, &[0xaa, 0xbb][..]));
        assert_eq!(block.data.as_ref().unwrap().data, ["A", "BC"]);
        assert_eq!(block.metadata.as_ref().unwrap().metadata, ["", "DEF"]);
        assert_eq!(record(&block), bytes);
    }

    #[test]
    fn what_does_not_fill_the_record_is_no_block() {
        let block = Block::default();
        let whole = record(&block);
        assert!(read(Bytes::copy_from_slice(&whole[1..])).is_some());
        assert!(read(Bytes::copy_from_slice(&whole[1..whole.len() - 1])).is_none());
        assert!(read(Bytes::from([&whole[1..], &[0]].concat())).is_none());
        let false_count = [0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x0f];
        assert!(read(Bytes::copy_from_slice(&false_count)).is_none());
        assert_eq!(number(&mut &[0xff; NUMBER_BYTES_MAX][..]), None);
    }

    fn entries() -> impl Strategy<Value = Vec<Bytes>> {
        let entry = prop::collection::vec(any::<u8>(), 0..300).prop_map(Bytes::from);
        prop::collection::vec(entry, 0..6)
    }

    proptest! {
        #[test]
        fn a_block_comes_back_as_it_was(number: u64, hash: [u8; 32], data in entries(), metadata in entries()) {
            let block = Block {
                header: Some(BlockHeader {
                    number,
                    previous_hash: Bytes::copy_from_slice(&hash),
                    data_hash: Bytes::copy_from_slice(&hash),
                }),
                data: Some(BlockData { data }),
                metadata: Some(BlockMetadata { metadata }),
            };
            let mut bytes = Bytes::from(record(&block));
            let len = super::number(&mut bytes).unwrap();
            prop_assert_eq!(len, bytes.len() as u64);
            prop_assert_eq!(header(&mut bytes.clone()), block.header.clone());
            prop_assert_eq!(read(bytes), Some(block));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let _ = read(bytes.into());
        }
    }
}
