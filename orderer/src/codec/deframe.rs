//! A row of byte chunks cut into gRPC messages. No IO.

use std::collections::VecDeque;

use bytes::{BufMut, Bytes, BytesMut};
use tonic::Status;

use super::budget::LARGE_BYTES_MIN;

/// Bytes of the prefix of each message: one flag, and the length as u32, big-endian.
pub const PREFIX_BYTES: usize = 5;

/// Why the bytes of a request body are not the messages we serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Longer than the listener allows (`General.MaxRecvMsgSize`).
    #[error("received message larger than max ({bytes} vs. {bytes_max})")]
    TooLarge {
        /// Announced length.
        bytes: usize,
        /// The limit.
        bytes_max: usize,
    },
    /// The compression flag is set although no compression was agreed.
    #[error("message is compressed, which was not agreed")]
    Compressed,
    /// The body ended within a message.
    #[error("request ended within a message")]
    Truncated,
}

impl From<FrameError> for Status {
    fn from(error: FrameError) -> Self {
        let text = error.to_string();
        match error {
            FrameError::TooLarge { .. } => Self::resource_exhausted(text),
            FrameError::Compressed => Self::unimplemented(text),
            FrameError::Truncated => Self::internal(text),
        }
    }
}

/// What there is of the next message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pulled {
    /// All of it.
    Message(Bytes),
    /// The prefix of one above [`LARGE_BYTES_MIN`], this long: go on with [`Deframer::pull_large`].
    Large(usize),
    /// Not enough yet.
    Incomplete,
}

/// Cuts a row of byte chunks into messages. No IO.
///
/// Holds at most [`LARGE_BYTES_MIN`] bytes and what was pushed last.
#[derive(Debug)]
pub struct Deframer {
    bytes_max: usize,
    chunks: VecDeque<Bytes>,
    buffered: usize,
    /// Length of the message whose prefix has been read already.
    announced: Option<usize>,
}

impl Deframer {
    /// One that refuses messages longer than `bytes_max`.
    pub fn new(bytes_max: usize) -> Self {
        Self {
            bytes_max,
            chunks: VecDeque::new(),
            buffered: 0,
            announced: None,
        }
    }

    /// Takes the next chunk of the body.
    pub fn push(&mut self, chunk: Bytes) {
        if !chunk.is_empty() {
            self.buffered += chunk.len();
            self.chunks.push_back(chunk);
        }
    }

    /// The next message.
    pub fn pull(&mut self) -> Result<Pulled, FrameError> {
        let bytes = match self.announced {
            Some(bytes) => bytes,
            None if self.buffered < PREFIX_BYTES => return Ok(Pulled::Incomplete),
            None => self.read_prefix()?,
        };
        self.announced = Some(bytes);
        if bytes > LARGE_BYTES_MIN {
            return Ok(Pulled::Large(bytes));
        }
        if self.buffered < bytes {
            return Ok(Pulled::Incomplete);
        }
        self.announced = None;
        Ok(Pulled::Message(self.take(bytes)))
    }

    /// Moves what there is of a large message to the end of `message`, which had the rest; true when it is whole.
    pub fn pull_large(&mut self, message: &mut Vec<u8>) -> bool {
        let bytes = self.announced.unwrap_or_default();
        let there = self.buffered.min(bytes.saturating_sub(message.len()));
        self.buffered -= there;
        self.copy(there, |chunk| message.extend_from_slice(chunk));
        let whole = message.len() >= bytes;
        if whole {
            self.announced = None;
        }
        whole
    }

    /// Checks that the body did not end within a message.
    pub fn finish(&self) -> Result<(), FrameError> {
        if self.buffered == 0 && self.announced.is_none() {
            Ok(())
        } else {
            Err(FrameError::Truncated)
        }
    }

    fn read_prefix(&mut self) -> Result<usize, FrameError> {
        let prefix = self.take(PREFIX_BYTES);
        if prefix[0] != 0 {
            return Err(FrameError::Compressed);
        }
        let bytes = u32::from_be_bytes([prefix[1], prefix[2], prefix[3], prefix[4]]) as usize;
        if bytes > self.bytes_max {
            return Err(FrameError::TooLarge {
                bytes,
                bytes_max: self.bytes_max,
            });
        }
        Ok(bytes)
    }

    /// Takes `bytes` buffered bytes: a slice where one chunk holds them all, else one copy.
    fn take(&mut self, bytes: usize) -> Bytes {
        self.buffered -= bytes;
        match self.chunks.front_mut() {
            Some(front) if front.len() > bytes => front.split_to(bytes),
            Some(front) if front.len() == bytes => self.chunks.pop_front().unwrap_or_default(),
            _ => self.join(bytes),
        }
    }

    fn join(&mut self, bytes: usize) -> Bytes {
        let mut joined = BytesMut::with_capacity(bytes);
        self.copy(bytes, |chunk| joined.put_slice(chunk));
        joined.freeze()
    }

    /// Copies the first `bytes` bytes of the chunks out, chunk by chunk.
    fn copy(&mut self, bytes: usize, mut out: impl FnMut(&[u8])) {
        let mut missing = bytes;
        while missing > 0 {
            let Some(mut chunk) = self.chunks.pop_front() else {
                break;
            };
            if chunk.len() > missing {
                let rest = chunk.split_off(missing);
                self.chunks.push_front(rest);
            }
            missing -= chunk.len();
            out(&chunk);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::framed;

    #[test]
    fn a_message_within_one_chunk_is_a_slice_of_it() {
        let chunk = framed(b"hello");
        let mut deframer = Deframer::new(10);
        deframer.push(chunk.clone());
        let Ok(Pulled::Message(message)) = deframer.pull() else {
            panic!("the message is whole");
        };
        assert_eq!(message.as_ptr(), chunk[PREFIX_BYTES..].as_ptr());
        assert_eq!(deframer.finish(), Ok(()));
    }

    #[test]
    fn messages_are_found_however_the_bytes_are_chunked() {
        let all = [framed(b"one"), framed(b""), framed(&[7; 300])].concat();
        for step in 1..all.len() {
            let mut deframer = Deframer::new(300);
            let mut found = Vec::new();
            for chunk in all.chunks(step) {
                deframer.push(Bytes::copy_from_slice(chunk));
                while let Pulled::Message(message) = deframer.pull().unwrap() {
                    found.push(message);
                }
            }
            assert_eq!(found, [&b"one"[..], b"", &[7; 300]], "chunks of {step}");
            assert_eq!(deframer.finish(), Ok(()));
        }
    }

    #[test]
    fn the_size_limit_is_checked_before_the_message_is_buffered() {
        let mut deframer = Deframer::new(4);
        deframer.push(framed(b"12345").slice(..PREFIX_BYTES));
        let error = deframer.pull().unwrap_err();
        assert_eq!(
            error,
            FrameError::TooLarge {
                bytes: 5,
                bytes_max: 4
            }
        );
        assert_eq!(Status::from(error).code(), tonic::Code::ResourceExhausted);
    }

    #[test]
    fn compressed_and_truncated_messages_are_errors() {
        let mut deframer = Deframer::new(9);
        deframer.push(Bytes::from_static(&[1, 0, 0, 0, 0]));
        assert_eq!(deframer.pull(), Err(FrameError::Compressed));
        for cut in 1..8 {
            let mut deframer = Deframer::new(9);
            deframer.push(framed(b"abc").slice(..cut));
            assert_eq!(deframer.pull(), Ok(Pulled::Incomplete));
            assert_eq!(deframer.finish(), Err(FrameError::Truncated), "cut at {cut}");
        }
    }
}
