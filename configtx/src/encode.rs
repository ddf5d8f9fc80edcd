//! Map entries as the reference writes them.
//!
//! It writes key and value of an entry even when they are empty, which prost leaves out. Both mean the same,
//! but the serialized values inside a config are compared as bytes (`docs/spec/tools.md` §3.3, §3.4), and a config
//! that this program makes should be the same bytes that the reference would have made.

use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint};
use protos::wire::common::{Config, ConfigGroup, ConfigUpdate};

/// Serializes a `common.ConfigEnvelope`. `last_update` is the serialized envelope, which stays as it was received.
pub fn encode_config_envelope(config: &Config, last_update: &[u8]) -> Vec<u8> {
    let config = encode_config(config);
    let mut out = Vec::with_capacity(config.len() + last_update.len() + 16);
    length_delimited(&mut out, 1, &config);
    length_delimited(&mut out, 2, last_update);
    out
}

/// Serializes a config: fields in order of their numbers, map entries in order of their keys and complete.
pub fn encode_config(config: &Config) -> Vec<u8> {
    let mut out = Vec::new();
    varint(&mut out, 1, config.sequence);
    if let Some(root) = &config.channel_group {
        length_delimited(&mut out, 2, &encode_group(root));
    }
    out
}

/// Serializes a config update in the same way. `isolated_data`, which nothing uses, is left out.
pub fn encode_config_update(update: &ConfigUpdate) -> Vec<u8> {
    let mut out = Vec::new();
    if !update.channel_id.is_empty() {
        length_delimited(&mut out, 1, update.channel_id.as_bytes());
    }
    for (field, set) in [(2, &update.read_set), (3, &update.write_set)] {
        if let Some(group) = set {
            length_delimited(&mut out, field, &encode_group(group));
        }
    }
    out
}

fn encode_group(group: &ConfigGroup) -> Vec<u8> {
    let mut out = Vec::new();
    varint(&mut out, 1, group.version);
    for (key, below) in &group.groups {
        map_entry(&mut out, 2, key, &encode_group(below));
    }
    for (key, value) in &group.values {
        map_entry(&mut out, 3, key, &value.encode_to_vec());
    }
    for (key, policy) in &group.policies {
        map_entry(&mut out, 4, key, &policy.encode_to_vec());
    }
    if !group.mod_policy.is_empty() {
        length_delimited(&mut out, 5, group.mod_policy.as_bytes());
    }
    out
}

fn varint(out: &mut Vec<u8>, field: u32, value: u64) {
    if value != 0 {
        encode_key(field, WireType::Varint, out);
        encode_varint(value, out);
    }
}

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
