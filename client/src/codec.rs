//! A gRPC codec that takes and gives whole messages as the bytes they are.
//!
//! Envelopes are serialized once, when they are signed; blocks must keep the bytes they came with, since
//! their hashes and signatures cover those and not an encoding made anew.

use bytes::{Buf as _, BufMut as _, Bytes};
use tonic::Status;
use tonic::codec::{BufferSettings, Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};

/// So many bytes of ready messages are handed to HTTP/2 at once: large enough that a pipelined stream of
/// 1 KiB envelopes costs few writes, small enough to start flowing at once.
const WRITE_BYTES: usize = 64 * 1024;

/// Messages as bytes, in both directions.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RawCodec;

impl Codec for RawCodec {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for RawCodec {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        out.put(item);
        Ok(())
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::new(WRITE_BYTES, WRITE_BYTES)
    }
}

impl Decoder for RawCodec {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, message: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(message.copy_to_bytes(message.remaining())))
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::new(WRITE_BYTES, WRITE_BYTES)
    }
}
