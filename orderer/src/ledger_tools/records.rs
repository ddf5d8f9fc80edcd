//! A portable copy as it is read: a row of records (`protos::block_file`), from a file or standard input.

use std::io::{self, BufReader, Read};

use bytes::{Buf as _, Bytes};
use protos::SealedBlock;
use protos::block_file::{self, NUMBER_BYTES_MAX};

/// Longest record in bytes: a length that lies must not fill the memory.
const RECORD_BYTES_MAX: u64 = 1 << 30;
/// How much is read at a time.
const READ_BYTES: usize = 1 << 20;

/// The blocks of a copy, in order.
pub(super) struct Records<R> {
    input: BufReader<R>,
    name: String,
    offset: u64,
}

/// Bytes that are no record.
#[derive(Debug, thiserror::Error)]
pub(super) enum RecordsError {
    #[error("cannot read {name}: {source}")]
    Read { name: String, source: io::Error },
    #[error("{name} ends inside the record at byte {offset}: the copy is not whole")]
    Torn { name: String, offset: u64 },
    #[error("{name} has no block at byte {offset}: {what}")]
    NoBlock {
        name: String,
        offset: u64,
        what: &'static str,
    },
}

impl<R: Read> Records<R> {
    /// The records of `input`, which errors call `name`.
    pub(super) fn new(input: R, name: String) -> Self {
        Self {
            input: BufReader::with_capacity(READ_BYTES, input),
            name,
            offset: 0,
        }
    }

    /// Bytes read so far.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// The next block; none at the end.
    pub(super) fn next(&mut self) -> Result<Option<SealedBlock>, RecordsError> {
        let Some((len, prefix)) = self.len()? else {
            return Ok(None);
        };
        let mut bytes = Vec::new();
        // Grows with what is there, whatever the length says.
        let read = self.input.by_ref().take(len).read_to_end(&mut bytes);
        read.map_err(|source| self.unreadable(source))?;
        if (bytes.len() as u64) < len {
            return Err(self.torn());
        }
        let block =
            block_file::read(Bytes::from(bytes)).ok_or_else(|| self.no_block("its parts do not fill it"))?;
        let block = SealedBlock::seal(&block).map_err(|_| self.no_block("it has no header"))?;
        self.offset += prefix + len;
        Ok(Some(block))
    }

    /// The length of the next record, and how many bytes say it.
    fn len(&mut self) -> Result<Option<(u64, u64)>, RecordsError> {
        let mut bytes = Vec::with_capacity(NUMBER_BYTES_MAX);
        while bytes.len() < NUMBER_BYTES_MAX {
            let mut byte = [0];
            match self.input.read(&mut byte) {
                Ok(0) if bytes.is_empty() => return Ok(None),
                Ok(0) => return Err(self.torn()),
                Ok(_) => bytes.push(byte[0]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => return Err(self.unreadable(source)),
            }
            if byte[0] & 0x80 == 0 {
                break;
            }
        }
        let mut rest = &bytes[..];
        let len = block_file::number(&mut rest).filter(|len| *len <= RECORD_BYTES_MAX);
        let len = len.ok_or_else(|| self.no_block("the length is none"))?;
        Ok(Some((len, (bytes.len() - rest.remaining()) as u64)))
    }

    fn unreadable(&self, source: io::Error) -> RecordsError {
        let name = self.name.clone();
        RecordsError::Read { name, source }
    }

    fn torn(&self) -> RecordsError {
        let (name, offset) = (self.name.clone(), self.offset);
        RecordsError::Torn { name, offset }
    }

    fn no_block(&self, what: &'static str) -> RecordsError {
        let (name, offset) = (self.name.clone(), self.offset);
        RecordsError::NoBlock { name, offset, what }
    }
}

#[cfg(test)]
mod tests {
    use protos::BlockNumber;
    use protos::block::next;

    use super::*;

    fn copy(count: u64) -> Vec<u8> {
        let records = (0..count).map(|number| {
            let entry = Bytes::from(vec![1; 300]);
            block_file::record(&next(BlockNumber(number), &[2; 32], vec![entry]))
        });
        records.flatten().collect()
    }

    fn read(bytes: &[u8]) -> Result<u64, String> {
        let mut records = Records::new(bytes, "copy".to_owned());
        let mut count = 0;
        while records.next().map_err(|error| error.to_string())?.is_some() {
            count += 1;
        }
        assert_eq!(records.offset(), bytes.len() as u64);
        Ok(count)
    }

    #[test]
    fn a_copy_is_read_to_its_end() {
        assert_eq!(read(&copy(5)), Ok(5));
        assert_eq!(read(b""), Ok(0));
    }

    #[test]
    fn a_copy_that_was_cut_anywhere_but_between_records_is_torn() {
        let whole = copy(2);
        for len in 1..whole.len() {
            let outcome = read(&whole[..len]);
            if len == whole.len() / 2 {
                assert_eq!(outcome, Ok(1));
            } else {
                assert!(outcome.unwrap_err().contains("ends inside"), "{len} bytes");
            }
        }
    }

    #[test]
    fn a_length_that_lies_is_an_error_and_no_memory() {
        let huge = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1];
        assert!(read(&huge).unwrap_err().contains("the length is none"));
        assert!(read(&[0xff; 11]).unwrap_err().contains("the length is none"));
        // 1 GiB less a byte, and nothing there.
        assert!(
            read(&[0xff, 0xff, 0xff, 0xff, 3])
                .unwrap_err()
                .contains("ends inside")
        );
        assert!(read(&[3, 0, 0, 9]).unwrap_err().contains("do not fill"));
    }
}
