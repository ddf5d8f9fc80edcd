//! Map entries as the reference writes them.
//!
//! It writes key and value of an entry even when they are empty, which prost leaves out. Both mean the same,
//! but the serialized values inside a config are compared as bytes (`docs/spec/tools.md` §3.3, §3.4).

use prost::encoding::{WireType, encode_key, encode_varint};

/// Appends one entry of the map field `field`: its key, and its value already serialized.
pub(crate) fn map_entry(out: &mut Vec<u8>, field: u32, key: &str, value: &[u8]) {
    let mut entry = Vec::with_capacity(key.len() + value.len() + 8);
    length_delimited(&mut entry, 1, key.as_bytes());
    length_delimited(&mut entry, 2, value);
    length_delimited(out, field, &entry);
}

fn length_delimited(out: &mut Vec<u8>, field: u32, content: &[u8]) {
    encode_key(field, WireType::LengthDelimited, out);
    encode_varint(content.len() as u64, out);
    out.extend_from_slice(content);
}
