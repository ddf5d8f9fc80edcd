//! Blocks keep to the limits in force when they were cut, and a config is alone in its block.
//!
//! Nothing is cut between a config and its coming into force, so the limits at the cut are those of the newest config
//! block before. Source: `docs/spec/behaviour.md` §3.

use blockcutter::BatchLimits;
use prost::Message as _;
use protos::Envelope;
use protos::envelope::header_type;
use protos::wire::common::{Block, HeaderType};

use super::Violation;

/// Checks one block of normal envelopes against the limits that were in force.
pub fn check(block: &Block, limits: &BatchLimits) -> Result<(), Violation> {
    let number = block.header.as_ref().map_or(0, |header| header.number);
    let entries = block.data.as_ref().map(|data| &data.data[..]).unwrap_or_default();
    if entries.len() > limits.max_message_count() {
        let (found, most) = (entries.len(), limits.max_message_count());
        return Err(format!(
            "batch_limits: block {number} has {found} envelopes, {most} are allowed"
        ));
    }
    let mut bytes = 0;
    for entry in entries {
        if header_type(entry) == Some(HeaderType::Config as i32) {
            return Err(format!("batch_limits: a config is not alone in block {number}"));
        }
        let envelope = Envelope::from_received(entry.clone());
        bytes += envelope
            .map_err(|error| format!("batch_limits: block {number}: {error}"))?
            .size();
    }
    if entries.len() > 1 && bytes > limits.preferred_max_bytes() {
        let most = limits.preferred_max_bytes();
        return Err(format!(
            "batch_limits: block {number} has {bytes} bytes, {most} are preferred"
        ));
    }
    if block.encoded_len() == 0 || entries.is_empty() {
        return Err(format!("batch_limits: block {number} is empty"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use protos::BlockNumber;
    use protos::block::next;
    use protos::wire::common;

    use super::*;

    #[test]
    fn too_many_envelopes_and_too_many_bytes_are_told() {
        let entry = || {
            let envelope = common::Envelope {
                payload: vec![1; 40].into(),
                signature: Bytes::new(),
            };
            Bytes::from(envelope.encode_to_vec())
        };
        let block = |count| next(BlockNumber(3), &[0; 32], (0..count).map(|_| entry()).collect());
        let limits = BatchLimits::new(3, 1000, 100).unwrap();
        assert_eq!(check(&block(2), &limits), Ok(()));
        assert!(check(&block(3), &limits).unwrap_err().contains("120 bytes"));
        assert!(check(&block(4), &limits).unwrap_err().contains("4 envelopes"));
        assert!(check(&block(0), &limits).unwrap_err().contains("empty"));
    }
}
