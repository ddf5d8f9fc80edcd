//! Fields of a config or a config update that this program does not know.
//!
//! Decoding drops them, but the reference keeps those of groups, values and policies, and compares them. A config
//! computed here without them would stop every reference node that commits it, so nobody may propose one
//! (`docs/spec/rules.md` §7). The messages inside values and policies are kept as bytes and do not matter.

use std::fmt;

use bytes::{Buf, Bytes};
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};

/// A field without a meaning, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownField {
    /// Messages from the outside in, like `write_set/Orderer/BatchSize`.
    pub place: String,
    /// Number of the field.
    pub number: u32,
}

impl fmt::Display for UnknownField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "field {} in {}", self.number, self.place)
    }
}

/// The messages on the way.
#[derive(Clone, Copy)]
enum Shape {
    Envelope,
    Config,
    Update,
    Group,
    Value,
    Policy,
    Rule,
}

/// What a field holds.
enum Field {
    /// Nothing that could hold unknown fields.
    Leaf,
    /// A message, with a name where the field itself has one.
    Message(&'static str, Shape),
    /// Entries of a map from names to messages.
    Map(Shape),
}

impl Shape {
    fn field(self, number: u32) -> Option<Field> {
        Some(match (self, number) {
            (Self::Envelope, 1) => Field::Message("config", Self::Config),
            (Self::Config, 2) => Field::Message("Channel", Self::Group),
            (Self::Update, 3) => Field::Message("write_set", Self::Group),
            (Self::Group, 2) => Field::Map(Self::Group),
            (Self::Group, 3) => Field::Map(Self::Value),
            (Self::Group, 4) => Field::Map(Self::Policy),
            (Self::Policy, 2) => Field::Message("policy", Self::Rule),
            // Every node makes these messages anew, or only reads them.
            (Self::Envelope | Self::Config | Self::Update, _)
            | (Self::Group, 1 | 5)
            | (Self::Value, 1..=3)
            | (Self::Policy, 1 | 3)
            | (Self::Rule, 1 | 2) => Field::Leaf,
            _ => return None,
        })
    }
}

/// Finds one in a serialized `common.ConfigUpdate`.
pub(crate) fn in_update(update: &Bytes) -> Option<UnknownField> {
    find(update.clone(), Shape::Update, "config update")
}

/// Finds one in the config of a serialized `common.ConfigEnvelope`.
pub(crate) fn in_config(envelope: &Bytes) -> Option<UnknownField> {
    find(envelope.clone(), Shape::Envelope, "config envelope")
}

/// Bytes that do not decode hold none: whoever decodes them says what is wrong.
fn find(mut message: Bytes, shape: Shape, place: &str) -> Option<UnknownField> {
    while message.has_remaining() {
        let (number, wire_type) = decode_key(&mut message).ok()?;
        let field = shape.field(number);
        let found = match field {
            None => {
                let place = place.to_owned();
                return Some(UnknownField { place, number });
            }
            Some(Field::Leaf) => {
                skip_field(wire_type, number, &mut message, DecodeContext::default()).ok()?;
                None
            }
            Some(Field::Message(name, below)) => find(
                content(wire_type, &mut message)?,
                below,
                &format!("{place}/{name}"),
            ),
            Some(Field::Map(below)) => in_entry(content(wire_type, &mut message)?, below, place),
        };
        if found.is_some() {
            return found;
        }
    }
    None
}

/// One entry of a map: name, message.
fn in_entry(entry: Bytes, below: Shape, place: &str) -> Option<UnknownField> {
    let (mut name, mut message, mut rest) = (Bytes::new(), Bytes::new(), entry);
    while rest.has_remaining() {
        match decode_key(&mut rest).ok()? {
            (1, wire_type) => name = content(wire_type, &mut rest)?,
            (2, wire_type) => message = content(wire_type, &mut rest)?,
            // Lost by every decoder, since an entry is no message of its own.
            (number, wire_type) => skip_field(wire_type, number, &mut rest, DecodeContext::default()).ok()?,
        }
    }
    find(
        message,
        below,
        &format!("{place}/{}", String::from_utf8_lossy(&name)),
    )
}

fn content(wire_type: WireType, rest: &mut Bytes) -> Option<Bytes> {
    if wire_type != WireType::LengthDelimited {
        return None;
    }
    let length = usize::try_from(decode_varint(rest).ok()?).ok()?;
    (length <= rest.remaining()).then(|| rest.split_to(length))
}

#[cfg(test)]
mod tests {
    use prost::Message;
    use protos::wire::common::ConfigUpdate;

    use super::*;
    use crate::testing::{channel, root, untouched};

    #[test]
    fn configs_and_updates_of_the_vectors_have_none() {
        let current = channel("raft-three");
        let config = crate::encode::encode_config_envelope(current.config(), b"x");
        assert_eq!(in_config(&config.into()), None);
        let update = ConfigUpdate {
            write_set: Some(root(&current)),
            ..untouched(&current)
        };
        assert_eq!(in_update(&update.encode_to_vec().into()), None);
    }

    #[test]
    fn one_is_named_with_its_place() {
        // write_set { groups { "Orderer" { field 9 } } }
        let group = [0x48, 1];
        let entry = [&[0x0a, 7][..], b"Orderer", &[0x12, 2], &group].concat();
        let set = [&[0x12, 13][..], &entry].concat();
        let update = Bytes::from([&[0x1a, 15][..], &set].concat());
        ConfigUpdate::decode(update.clone()).unwrap();
        assert_eq!(
            in_update(&update).unwrap().to_string(),
            "field 9 in config update/write_set/Orderer"
        );
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_have_an_answer(bytes: Vec<u8>) {
            let bytes = Bytes::from(bytes);
            let _ = (in_update(&bytes), in_config(&bytes));
        }
    }
}
