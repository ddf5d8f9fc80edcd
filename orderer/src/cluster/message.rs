//! [`ClusterMessage`] from and to `orderer.StepRequest` (`docs/spec/wire.md` §9), without copying what is large.

use bytes::{BufMut as _, Bytes, BytesMut};
use consensus::transport::{ClusterMessage, ForwardMark};
use prost::Message as _;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint, key_len};
use protos::wire::orderer::step_request::Payload;
use protos::wire::orderer::{self, ConsensusRequest, StepRequest, SubmitRequest};
use protos::{ConfigSeq, Envelope};

use crate::codec;

/// Field of `StepRequest`.
const CONSENSUS_REQUEST: u32 = 1;
/// Field of `StepRequest`.
const SUBMIT_REQUEST: u32 = 2;
/// Field of `ConsensusRequest`.
const CONSENSUS_PAYLOAD: u32 = 2;
/// Field of `SubmitRequest`.
const SUBMIT_PAYLOAD: u32 = 3;
/// Payloads from this length on are sent from where they are; shorter ones are copied behind one another.
const COPIED_BYTES_MAX: usize = 4 << 10;

/// Why bytes are no message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum MessageError {
    #[error("message does not decode: {0}")]
    Decode(#[from] prost::DecodeError),
    #[error("message is neither a Submit nor a Consensus request")]
    NeitherKind,
}

/// Reads one `StepRequest`: the channel it names, and what it says. What it says shares the memory of `bytes`.
pub(super) fn decode(bytes: Bytes) -> Result<(String, ClusterMessage), MessageError> {
    match StepRequest::decode(bytes)?.payload {
        Some(Payload::ConsensusRequest(request)) => {
            let message = ClusterMessage::Consensus {
                payload: request.payload,
                metadata: request.metadata,
            };
            Ok((request.channel, message))
        }
        Some(Payload::SubmitRequest(request)) => {
            let message = ClusterMessage::Submit {
                envelope: Envelope::from_received(request.payload)?,
                config_seq: ConfigSeq(request.last_validation_seq),
                mark: request.mark.map(mark_from_wire),
            };
            Ok((request.channel, message))
        }
        None => Err(MessageError::NeitherKind),
    }
}

/// Bytes on their way out: framed messages as pieces in their order.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    pieces: Vec<Bytes>,
    /// What was written since the last piece.
    open: BytesMut,
    bytes: usize,
    count: u64,
}

impl Outgoing {
    /// Adds one message with its gRPC prefix.
    pub(super) fn push(&mut self, channel: &str, message: ClusterMessage) {
        let channel = channel.to_owned();
        self.count += 1;
        match message {
            ClusterMessage::Consensus { payload, metadata } => {
                let rest = ConsensusRequest {
                    channel,
                    payload: Bytes::new(),
                    metadata,
                };
                self.push_request(CONSENSUS_REQUEST, &rest, CONSENSUS_PAYLOAD, payload);
            }
            ClusterMessage::Submit {
                envelope,
                config_seq,
                mark,
            } => {
                let rest = SubmitRequest {
                    channel,
                    last_validation_seq: config_seq.0,
                    payload: Bytes::new(),
                    mark: mark.map(mark_to_wire),
                };
                self.push_request(SUBMIT_REQUEST, &rest, SUBMIT_PAYLOAD, envelope.into_entry());
            }
        }
    }

    /// Bytes added so far.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Messages added so far.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// Takes all of it, in pieces.
    pub(super) fn take(&mut self) -> Vec<Bytes> {
        self.close_piece();
        (self.bytes, self.count) = (0, 0);
        std::mem::take(&mut self.pieces)
    }

    /// `rest` is the request without its payload, which comes behind it: fields may stand in any order.
    fn push_request(&mut self, request: u32, rest: &impl prost::Message, field: u32, payload: Bytes) {
        let payload_len = match payload.len() {
            0 => 0,
            bytes => key_len(field) + encoded_len_varint(bytes as u64) + bytes,
        };
        let request_len = rest.encoded_len() + payload_len;
        let message_len = key_len(request) + encoded_len_varint(request_len as u64) + request_len;
        self.bytes += codec::PREFIX_BYTES + message_len;
        let out = &mut self.open;
        codec::put_prefix(out, message_len);
        encode_key(request, WireType::LengthDelimited, out);
        encode_varint(request_len as u64, out);
        rest.encode_raw(out);
        if payload.is_empty() {
            return;
        }
        encode_key(field, WireType::LengthDelimited, out);
        encode_varint(payload.len() as u64, out);
        if payload.len() < COPIED_BYTES_MAX {
            out.put_slice(&payload);
        } else {
            self.close_piece();
            self.pieces.push(payload);
        }
    }

    fn close_piece(&mut self) {
        if !self.open.is_empty() {
            self.pieces.push(self.open.split().freeze());
        }
    }
}

/// What a message counts in a bounded queue, in bytes.
pub(super) fn size(message: &ClusterMessage) -> usize {
    match message {
        ClusterMessage::Consensus { payload, metadata } => payload.len() + metadata.len(),
        ClusterMessage::Submit { envelope, .. } => envelope.entry().len(),
    }
}

fn mark_from_wire(mark: orderer::ForwardMark) -> ForwardMark {
    ForwardMark {
        term: mark.term,
        incarnation: mark.incarnation,
        number: mark.number,
    }
}

fn mark_to_wire(mark: ForwardMark) -> orderer::ForwardMark {
    orderer::ForwardMark {
        term: mark.term,
        incarnation: mark.incarnation,
        number: mark.number,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn consensus(payload: usize, metadata: usize) -> ClusterMessage {
        ClusterMessage::Consensus {
            payload: vec![7; payload].into(),
            metadata: vec![8; metadata].into(),
        }
    }

    fn submit(payload: usize, mark: Option<ForwardMark>) -> ClusterMessage {
        let wire = protos::wire::common::Envelope {
            payload: vec![9; payload].into(),
            signature: Bytes::from_static(b"s"),
        };
        ClusterMessage::Submit {
            envelope: Envelope::from_received(wire.encode_to_vec().into()).unwrap(),
            config_seq: ConfigSeq(3),
            mark,
        }
    }

    #[test]
    fn messages_of_any_length_come_back_as_they_were() {
        let mark = ForwardMark {
            term: 4,
            incarnation: u64::MAX,
            number: 1,
        };
        let mut messages = vec![
            submit(0, None),
            submit(10, Some(mark)),
            submit(100_000, Some(mark)),
        ];
        for payload in [0, 1, COPIED_BYTES_MAX - 1, COPIED_BYTES_MAX, 300_000] {
            messages.extend([consensus(payload, 0), consensus(payload, 5)]);
        }
        let mut outgoing = Outgoing::default();
        for message in &messages {
            outgoing.push("ch1", message.clone());
        }
        let counted = outgoing.bytes();
        let bytes = Bytes::from(outgoing.take().concat());
        assert_eq!(bytes.len(), counted);
        let mut rest = bytes;
        for message in messages {
            let prefix = rest.split_to(codec::PREFIX_BYTES);
            let len = u32::from_be_bytes(prefix[1..].try_into().unwrap()) as usize;
            let (channel, found) = decode(rest.split_to(len)).unwrap();
            assert_eq!((channel.as_str(), found), ("ch1", message));
        }
        assert!(rest.is_empty());
        assert!(outgoing.take().is_empty());
    }

    #[test]
    fn a_large_payload_is_sent_from_where_it_is() {
        let payload = Bytes::from(vec![7; COPIED_BYTES_MAX]);
        let mut outgoing = Outgoing::default();
        let message = ClusterMessage::Consensus {
            payload: payload.clone(),
            metadata: Bytes::new(),
        };
        outgoing.push("ch1", message);
        assert_eq!(outgoing.take()[1].as_ptr(), payload.as_ptr());
    }

    #[test]
    fn what_is_no_message_is_told() {
        assert_eq!(decode(Bytes::new()), Err(MessageError::NeitherKind));
        assert!(matches!(
            decode(Bytes::from_static(&[0xff])),
            Err(MessageError::Decode(_))
        ));
    }
}
