//! Broadcast responses. SUCCESS is a constant, so a whole batch of them is one slice.

use bytes::Bytes;
use prost::Message;
use protos::wire::common::Status;
use protos::wire::orderer::BroadcastResponse;

use super::Refusal;
use crate::codec;

/// One SUCCESS, framed: prefix, then field 1 = 200.
const SUCCESS: [u8; 8] = [0, 0, 0, 0, 3, 0x08, 0xc8, 0x01];

/// Most SUCCESS responses in one slice.
pub const SUCCESSES_MAX: usize = 128;

static SUCCESSES: [[u8; SUCCESS.len()]; SUCCESSES_MAX] = [SUCCESS; SUCCESSES_MAX];

/// `count` framed SUCCESS responses, at most [`SUCCESSES_MAX`].
pub fn successes(count: usize) -> Bytes {
    Bytes::from_static(SUCCESSES[..count.min(SUCCESSES_MAX)].as_flattened())
}

/// The framed response to a refused envelope.
pub fn refused(refusal: &Refusal) -> Bytes {
    response(refusal.status, refusal.info.clone())
}

fn response(status: Status, info: String) -> Bytes {
    let response = BroadcastResponse {
        status: status as i32,
        info,
    };
    codec::framed(&response.encode_to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_constant_is_a_success_without_text() {
        assert_eq!(successes(1), response(Status::Success, String::new()));
        assert_eq!(successes(3).len(), 3 * SUCCESS.len());
    }
}
