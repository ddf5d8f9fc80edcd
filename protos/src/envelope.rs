//! Envelopes: the canonical block entry, the size that limits count, and the headers inside.
//!
//! An envelope is read field by field here rather than through prost, because a block stores it as it was
//! received where that is canonical already, unknown fields included (`docs/spec/rules.md` §1, §4).

use bytes::{BufMut, Bytes, BytesMut};
use prost::Message;
use prost::encoding::{DecodeContext, WireType, decode_key, encode_varint, skip_field};

use crate::wire::common::{ChannelHeader, Payload, SignatureHeader};

const PAYLOAD_FIELD: u32 = 1;
const SIGNATURE_FIELD: u32 = 2;

/// One block entry: the canonical bytes of an envelope and its size.
///
/// Cheap to clone; the bytes usually are a slice of the message that brought them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    entry: Bytes,
    size: usize,
}

impl Envelope {
    /// Reads a received `common.Envelope` and lays it out canonically if it is not so already.
    pub fn from_received(received: Bytes) -> Result<Self, prost::DecodeError> {
        Ok(Fields::read(&received)?.into_envelope(received))
    }

    /// The bytes that stand in a block.
    pub fn entry(&self) -> &Bytes {
        &self.entry
    }

    /// Consumes it into the bytes that stand in a block.
    pub fn into_entry(self) -> Bytes {
        self.entry
    }

    /// What every limit counts: payload and signature bytes, without field tags.
    pub fn size(&self) -> usize {
        self.size
    }
}

/// An envelope opened as far as routing and the filters need.
///
/// The signature header stays encoded: an absent or broken one is judged by the filters, not here.
#[derive(Clone, Debug)]
pub struct Opened {
    /// The block entry.
    pub envelope: Envelope,
    /// The signed bytes, exactly as received.
    pub payload: Bytes,
    /// Signature over [`payload`](Self::payload); may be empty.
    pub signature: Bytes,
    /// Decoded channel header.
    pub channel_header: ChannelHeader,
    /// Serialized signature header; empty when absent.
    pub signature_header: Bytes,
    /// Payload content; its meaning depends on the header type.
    pub data: Bytes,
}

/// Why an envelope cannot be opened. Every case is a bad request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The message is no envelope.
    #[error("envelope does not decode: {0}")]
    Envelope(prost::DecodeError),
    /// No payload bytes.
    #[error("envelope has no payload")]
    NoPayload,
    /// The payload is no `common.Payload`.
    #[error("payload does not decode: {0}")]
    Payload(prost::DecodeError),
    /// The payload has no header.
    #[error("payload has no header")]
    NoHeader,
    /// The header has no channel header.
    #[error("payload header has no channel header")]
    NoChannelHeader,
    /// The channel header is no `common.ChannelHeader`.
    #[error("channel header does not decode: {0}")]
    ChannelHeader(prost::DecodeError),
}

impl Opened {
    /// Opens a received `common.Envelope`.
    pub fn open(received: Bytes) -> Result<Self, OpenError> {
        let fields = Fields::read(&received).map_err(OpenError::Envelope)?;
        let (payload, signature) = (fields.payload.clone(), fields.signature.clone());
        if payload.is_empty() {
            return Err(OpenError::NoPayload);
        }
        let decoded = Payload::decode(payload.clone()).map_err(OpenError::Payload)?;
        let header = decoded.header.ok_or(OpenError::NoHeader)?;
        if header.channel_header.is_empty() {
            return Err(OpenError::NoChannelHeader);
        }
        let channel_header =
            ChannelHeader::decode(header.channel_header).map_err(OpenError::ChannelHeader)?;
        Ok(Self {
            envelope: fields.into_envelope(received),
            payload,
            signature,
            channel_header,
            signature_header: header.signature_header,
            data: decoded.data,
        })
    }

    /// Decodes the signature header; an absent one is an empty message.
    pub fn signature_header(&self) -> Result<SignatureHeader, prost::DecodeError> {
        SignatureHeader::decode(self.signature_header.clone())
    }
}

/// Header type of a block entry; none when it cannot be read.
pub fn header_type(entry: &Bytes) -> Option<i32> {
    let payload = Payload::decode(Fields::read(entry).ok()?.payload).ok()?;
    ChannelHeader::decode(payload.header?.channel_header)
        .ok()
        .map(|header| header.r#type)
}

/// Why bytes are no proper entry of a data block.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// Not an envelope.
    #[error("not an envelope: {0}")]
    Decode(#[from] prost::DecodeError),
    /// No payload.
    #[error("payload is empty")]
    NoPayload,
    /// No signature.
    #[error("signature is empty")]
    NoSignature,
    /// Decoding and encoding would give other bytes.
    #[error("encoding is not canonical")]
    NotCanonical,
}

/// Checks that `entry` is a canonical envelope with payload and signature.
pub fn check_entry(entry: &Bytes) -> Result<(), EntryError> {
    let fields = Fields::read(entry)?;
    if fields.payload.is_empty() {
        return Err(EntryError::NoPayload);
    }
    if fields.signature.is_empty() {
        return Err(EntryError::NoSignature);
    }
    if fields.canonical {
        Ok(())
    } else {
        Err(EntryError::NotCanonical)
    }
}

/// The fields of one envelope message.
struct Fields {
    payload: Bytes,
    signature: Bytes,
    /// Fields of other numbers or wire types, raw, in the order they came.
    unknown: Vec<Bytes>,
    /// Whether the message already is: payload, signature, unknown fields, each known one once and minimal.
    canonical: bool,
}

impl Fields {
    fn read(message: &Bytes) -> Result<Self, prost::DecodeError> {
        let mut fields = Self {
            payload: Bytes::new(),
            signature: Bytes::new(),
            unknown: Vec::new(),
            canonical: true,
        };
        let mut highest = 0;
        let mut rest = message.clone();
        while !rest.is_empty() {
            let before = rest.clone();
            let (number, wire_type) = decode_key(&mut rest)?;
            if wire_type != WireType::LengthDelimited || number > SIGNATURE_FIELD {
                skip_field(wire_type, number, &mut rest, DecodeContext::default())?;
                fields.unknown.push(before.slice(..before.len() - rest.len()));
                highest = u32::MAX;
                continue;
            }
            let content = length_delimited(&mut rest)?;
            let minimal = 1 + prost::encoding::encoded_len_varint(content.len() as u64) + content.len();
            let used = before.len() - rest.len();
            fields.canonical &= number > highest && used == minimal && !content.is_empty();
            highest = highest.max(number);
            if number == PAYLOAD_FIELD {
                fields.payload = content;
            } else {
                fields.signature = content;
            }
        }
        Ok(fields)
    }

    fn into_envelope(self, received: Bytes) -> Envelope {
        let size = self.payload.len() + self.signature.len();
        let entry = if self.canonical {
            received
        } else {
            self.encode(received.len())
        };
        Envelope { entry, size }
    }

    fn encode(&self, capacity: usize) -> Bytes {
        let mut out = BytesMut::with_capacity(capacity);
        for (number, content) in [(PAYLOAD_FIELD, &self.payload), (SIGNATURE_FIELD, &self.signature)] {
            if !content.is_empty() {
                prost::encoding::encode_key(number, WireType::LengthDelimited, &mut out);
                encode_varint(content.len() as u64, &mut out);
                out.put_slice(content);
            }
        }
        self.unknown.iter().for_each(|field| out.put_slice(field));
        out.freeze()
    }
}

/// Takes one length-delimited value off the front of `rest`, sharing its memory.
fn length_delimited(rest: &mut Bytes) -> Result<Bytes, prost::DecodeError> {
    let mut content = Bytes::new();
    prost::encoding::bytes::merge(
        WireType::LengthDelimited,
        &mut content,
        rest,
        DecodeContext::default(),
    )?;
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::common;

    fn bytes(data: &[u8]) -> Bytes {
        Bytes::copy_from_slice(data)
    }

    #[test]
    fn a_canonical_envelope_is_kept_without_copying() {
        let received = bytes(&[0x0a, 2, b'p', b'q', 0x12, 1, b's', 0x1a, 1, b'u']);
        let envelope = Envelope::from_received(received.clone()).unwrap();
        assert_eq!(envelope.entry().as_ptr(), received.as_ptr());
        assert_eq!(envelope.size(), 3);
        assert_eq!(check_entry(&received), Ok(()));
    }

    #[test]
    fn other_layouts_are_laid_out_anew() {
        let canonical = [0x0a, 1, b'p', 0x12, 1, b's', 0x1a, 1, b'u'];
        let cases: [&[u8]; 4] = [
            &[0x12, 1, b's', 0x0a, 1, b'p', 0x1a, 1, b'u'],
            &[0x1a, 1, b'u', 0x0a, 1, b'p', 0x12, 1, b's'],
            &[0x0a, 1, b'x', 0x0a, 1, b'p', 0x12, 1, b's', 0x1a, 1, b'u'],
            &[0x0a, 0x81, 0x00, b'p', 0x12, 1, b's', 0x1a, 1, b'u'],
        ];
        for received in cases {
            assert_eq!(
                check_entry(&bytes(received)),
                Err(EntryError::NotCanonical),
                "{received:x?}"
            );
            let envelope = Envelope::from_received(bytes(received)).unwrap();
            assert_eq!(envelope.entry()[..], canonical, "{received:x?}");
        }
    }

    #[test]
    fn truncated_envelopes_are_errors() {
        for received in [
            &[0x0a_u8, 5, 1][..],
            &[0x0a],
            &[0x08],
            &[0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
        ] {
            assert!(Envelope::from_received(bytes(received)).is_err(), "{received:x?}");
        }
    }

    #[test]
    fn opening_names_what_is_missing() {
        let channel_header = ChannelHeader {
            channel_id: "ch".into(),
            ..Default::default()
        }
        .encode_to_vec();
        let with = |header: Option<common::Header>| {
            let payload = Payload {
                header,
                data: Bytes::from_static(b"d"),
            }
            .encode_to_vec();
            let envelope = common::Envelope {
                payload: payload.into(),
                signature: Bytes::new(),
            };
            Opened::open(Bytes::from(envelope.encode_to_vec()))
        };
        assert_eq!(Opened::open(Bytes::new()).unwrap_err(), OpenError::NoPayload);
        assert_eq!(with(None).unwrap_err(), OpenError::NoHeader);
        assert_eq!(
            with(Some(common::Header::default())).unwrap_err(),
            OpenError::NoChannelHeader
        );
        let opened = with(Some(common::Header {
            channel_header: channel_header.into(),
            signature_header: Bytes::new(),
        }))
        .unwrap();
        assert_eq!(opened.channel_header.channel_id, "ch");
        assert_eq!(opened.data, Bytes::from_static(b"d"));
    }
}
