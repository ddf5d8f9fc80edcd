//! Deliver responses, framed. A block goes out as the bytes that are stored, with a few bytes before them.

use bytes::{BufMut, Bytes, BytesMut};
use prost::Message;
use protos::SealedBlock;
use protos::block;
use protos::wire::common::{Block, Status};
use protos::wire::orderer::{DeliverResponse, deliver_response};

use crate::codec;

/// The two parts of a framed block response: what comes before the block, and its stored bytes.
pub fn block(block: &SealedBlock) -> [Bytes; 2] {
    let head = block.deliver_frame_head();
    let mut out = BytesMut::with_capacity(codec::PREFIX_BYTES + head.len());
    codec::put_prefix(&mut out, head.len() + block.bytes().len());
    out.put_slice(&head);
    [out.freeze(), block.bytes().clone()]
}

/// The same for a client that wants headers and metadata only: a config block goes out whole all the same.
pub fn header_with_signatures(sealed: &SealedBlock) -> [Bytes; 2] {
    match sealed.decode() {
        Ok(decoded) if !block::is_config_block(&decoded) => {
            let stripped = Block {
                data: None,
                ..decoded
            };
            [respond(deliver_response::Type::Block(stripped)), Bytes::new()]
        }
        // What does not decode cannot have come out of the ledger's checks; the client may judge it.
        _ => self::block(sealed),
    }
}

/// The framed end of a request.
pub fn status(status: Status) -> Bytes {
    respond(deliver_response::Type::Status(status as i32))
}

fn respond(content: deliver_response::Type) -> Bytes {
    let response = DeliverResponse {
        r#type: Some(content),
    };
    codec::framed(&response.encode_to_vec())
}
