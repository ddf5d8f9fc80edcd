//! A message as bytes.
//!
//! Fields stand in number order and defaults are left out. The entries of a map stand in byte order of their keys,
//! each with key *and* value, also when these are empty. Config updates are computed by comparing values as bytes, so
//! an encoder that chose otherwise would see changes where there are none (`docs/spec/tools.md` §3.3, §3.4).

use std::collections::BTreeMap;

use prost::encoding::{WireType, encode_key, encode_varint};
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MapKey, Value};

use super::error::Reason;

/// Serializes `message`.
///
/// # Errors
/// [`Reason::Unsupported`] for a field of a kind that no message of ours has.
pub(super) fn encode(message: &DynamicMessage) -> Result<Vec<u8>, Reason> {
    let mut out = Vec::new();
    // In number order, and only those that are set.
    for (field, value) in message.fields() {
        write_field(&mut out, &field, value)?;
    }
    Ok(out)
}

fn write_field(out: &mut Vec<u8>, field: &FieldDescriptor, value: &Value) -> Result<(), Reason> {
    match value {
        Value::List(items) if field.is_packed() => {
            let mut packed = Vec::new();
            for item in items {
                write_bare(&mut packed, &field.kind(), item)?;
            }
            write_bytes(out, field.number(), &packed);
        }
        Value::List(items) => {
            for item in items {
                write_one(out, field.number(), &field.kind(), item)?;
            }
        }
        Value::Map(entries) => {
            let sorted: BTreeMap<&MapKey, &Value> = entries.iter().collect();
            for (key, value) in sorted {
                let entry = encode_entry(field, key, value)?;
                write_bytes(out, field.number(), &entry);
            }
        }
        one => write_one(out, field.number(), &field.kind(), one)?,
    }
    Ok(())
}

fn encode_entry(field: &FieldDescriptor, key: &MapKey, value: &Value) -> Result<Vec<u8>, Reason> {
    let (Kind::Message(entry), MapKey::String(key)) = (field.kind(), key) else {
        return Err(Reason::Unsupported);
    };
    let mut out = Vec::new();
    write_bytes(&mut out, 1, key.as_bytes());
    write_one(&mut out, 2, &entry.map_entry_value_field().kind(), value)?;
    Ok(out)
}

/// One value with its field number.
fn write_one(out: &mut Vec<u8>, number: u32, kind: &Kind, value: &Value) -> Result<(), Reason> {
    match value {
        Value::String(text) => write_bytes(out, number, text.as_bytes()),
        Value::Bytes(bytes) => write_bytes(out, number, bytes),
        Value::Message(message) => write_bytes(out, number, &encode(message)?),
        _ => {
            encode_key(number, kind.wire_type(), out);
            write_bare(out, kind, value)?;
        }
    }
    Ok(())
}

/// A number without its field number.
fn write_bare(out: &mut Vec<u8>, kind: &Kind, value: &Value) -> Result<(), Reason> {
    let varint = match (kind, value) {
        (Kind::Bool, Value::Bool(value)) => u64::from(*value),
        (Kind::Uint32, Value::U32(value)) => u64::from(*value),
        (Kind::Uint64, Value::U64(value)) => *value,
        // Negative numbers take ten bytes, as if they had 64 bits.
        (Kind::Int32, Value::I32(value)) | (Kind::Enum(_), Value::EnumNumber(value)) => {
            i64::from(*value).cast_unsigned()
        }
        (Kind::Int64, Value::I64(value)) => value.cast_unsigned(),
        _ => return Err(Reason::Unsupported),
    };
    encode_varint(varint, out);
    Ok(())
}

fn write_bytes(out: &mut Vec<u8>, number: u32, bytes: &[u8]) {
    encode_key(number, WireType::LengthDelimited, out);
    encode_varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}
