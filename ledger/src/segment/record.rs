//! The record: one block in a segment file. The only user of bincode in this crate.
//!
//! ```text
//! version: u8 = 1 | number: u64 | durable: u64 | len: u32 | body crc32c: u32 | head crc32c: u32 | block bytes
//! ```
//!
//! All integers little endian, lengths in bytes. The head crc covers the bytes of the head before it, the
//! body crc the block bytes. `durable` is the height that was synced when the record was written: a record
//! that cannot be read, followed by one that knew it to be durable, was damaged later and is no torn write.

use bincode::config::{Configuration, Fixint, LittleEndian};
use protos::{BlockNumber, Height};

/// Version of the record format, its first byte. Segment files of another version have another name.
const VERSION: u8 = 1;

/// Length of a record's head in bytes.
pub(crate) const HEAD_BYTES: usize = 29;

/// How many of them the head crc covers.
const HEAD_BYTES_CHECKED: usize = HEAD_BYTES - 4;

/// Longest block that is stored. Ten times what the default message limit of gRPC lets in.
pub(crate) const BLOCK_BYTES_MAX: usize = 1 << 30;

/// Longest record: head and block.
pub(crate) const RECORD_BYTES_MAX: u64 = (HEAD_BYTES + BLOCK_BYTES_MAX) as u64;

const FORMAT: Configuration<LittleEndian, Fixint> = bincode::config::legacy();

/// The head in the order of its fields on disk.
#[derive(bincode::Encode, bincode::Decode)]
struct HeadOnDisk {
    version: u8,
    number: u64,
    durable: u64,
    len: u32,
    body_crc: u32,
    head_crc: u32,
}

/// What the head of a record says about the block that follows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// The block's number.
    pub(crate) number: BlockNumber,
    /// Height that was durable when the record was written.
    pub(crate) durable: Height,
    /// Length of the block in bytes.
    pub(crate) len: u32,
    /// crc32c of the block bytes.
    pub(crate) body_crc: u32,
}

/// Why bytes are no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordFault {
    /// The file ends inside the record.
    #[error("the file ends inside the record")]
    Short,
    /// Version byte or checksum of the head are wrong.
    #[error("the record's head is not intact")]
    Head,
    /// The checksum of the block bytes is wrong.
    #[error("the checksum over the block does not match")]
    Body,
    /// An intact record of another block.
    #[error("holds block {found} in its place")]
    WrongNumber {
        /// The block found.
        found: BlockNumber,
    },
    /// The checksum matches, but the bytes are no block.
    #[error("the bytes are not a block of that number")]
    NotABlock,
    /// The block does not name the one before it.
    #[error("its previous hash is not the hash of the block before it")]
    BrokenLink,
}

impl Head {
    /// The head for a block. None when the block is longer than [`BLOCK_BYTES_MAX`].
    pub(crate) fn of(number: BlockNumber, durable: Height, block: &[u8]) -> Option<Self> {
        if block.len() > BLOCK_BYTES_MAX {
            return None;
        }
        Some(Self {
            number,
            durable,
            len: u32::try_from(block.len()).ok()?,
            body_crc: crc32c::crc32c(block),
        })
    }

    /// Length of the whole record in bytes.
    pub(crate) fn record_bytes(&self) -> u64 {
        HEAD_BYTES as u64 + u64::from(self.len)
    }

    /// The head as it stands on disk.
    pub(crate) fn encode(&self) -> [u8; HEAD_BYTES] {
        let mut out = [0; HEAD_BYTES];
        let mut head = HeadOnDisk {
            version: VERSION,
            number: self.number.0,
            durable: self.durable.0,
            len: self.len,
            body_crc: self.body_crc,
            head_crc: 0,
        };
        fill(&head, &mut out);
        head.head_crc = crc32c::crc32c(&out[..HEAD_BYTES_CHECKED]);
        fill(&head, &mut out);
        out
    }

    /// Reads a head; its version and checksum are checked.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, RecordFault> {
        let bytes = bytes.get(..HEAD_BYTES).ok_or(RecordFault::Short)?;
        // The first byte rules out most places when a damaged file is searched.
        if bytes[0] != VERSION {
            return Err(RecordFault::Head);
        }
        let (head, _): (HeadOnDisk, usize) =
            bincode::decode_from_slice(bytes, FORMAT).map_err(|_| RecordFault::Head)?;
        let too_long = head.len as usize > BLOCK_BYTES_MAX;
        if too_long || head.head_crc != crc32c::crc32c(&bytes[..HEAD_BYTES_CHECKED]) {
            return Err(RecordFault::Head);
        }
        Ok(Self {
            number: BlockNumber(head.number),
            durable: Height(head.durable),
            len: head.len,
            body_crc: head.body_crc,
        })
    }

    /// Checks the block bytes that followed the head.
    pub(crate) fn check_body(&self, block: &[u8]) -> Result<(), RecordFault> {
        if block.len() != self.len as usize {
            return Err(RecordFault::Short);
        }
        if crc32c::crc32c(block) != self.body_crc {
            return Err(RecordFault::Body);
        }
        Ok(())
    }
}

/// Fixed-size integers into a buffer of their exact size: cannot fail, and a test pins the size.
fn fill(head: &HeadOnDisk, out: &mut [u8; HEAD_BYTES]) {
    let written = bincode::encode_into_slice(head, out, FORMAT);
    debug_assert_eq!(written.ok(), Some(HEAD_BYTES));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Head {
        Head::of(BlockNumber(0x0102), Height(0x0100), b"block").unwrap()
    }

    #[test]
    fn a_head_has_these_bytes() {
        let golden = [
            1, // version
            0x02, 0x01, 0, 0, 0, 0, 0, 0, // number
            0x00, 0x01, 0, 0, 0, 0, 0, 0, // durable
            5, 0, 0, 0, // len
            0x4a, 0xfb, 0xf8, 0xce, // body crc
            0x94, 0x91, 0xaf, 0x63, // head crc
        ];
        assert_eq!(sample().encode(), golden);
        assert_eq!(Head::decode(&golden), Ok(sample()));
    }

    #[test]
    fn the_checksum_is_crc32c() {
        // The check value of the CRC catalogue for CRC-32/ISCSI.
        assert_eq!(crc32c::crc32c(b"123456789"), 0xe306_9283);
    }

    #[test]
    fn no_flipped_bit_in_a_head_goes_unnoticed() {
        let intact = sample().encode();
        for bit in 0..HEAD_BYTES * 8 {
            let mut bytes = intact;
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Head::decode(&bytes), Err(RecordFault::Head), "bit {bit}");
        }
    }

    #[test]
    fn a_flipped_bit_in_the_body_or_a_short_one_is_noticed() {
        assert_eq!(sample().check_body(b"block"), Ok(()));
        assert_eq!(sample().check_body(b"blocj"), Err(RecordFault::Body));
        assert_eq!(sample().check_body(b"bloc"), Err(RecordFault::Short));
        assert_eq!(Head::decode(&[1; HEAD_BYTES - 1]), Err(RecordFault::Short));
    }
}
