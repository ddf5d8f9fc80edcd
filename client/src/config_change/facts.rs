//! A value's content as labels and texts, so that two of them can be laid side by side.
//!
//! Which message a value holds depends on its key alone (`docs/spec/rules.md` §5). One that is not known, or does
//! not decode, is one fact: its length and fingerprint.

mod consensus;
mod msp;

use std::fmt::Display;

use bytes::Bytes;
use configtx::keys;
use prost::Message;
use protos::wire::common::{
    BlockDataHashingStructure, Capabilities, ConfigPolicy, Consortium, HashingAlgorithm, OrdererAddresses,
};
use protos::wire::orderer::{BatchSize, BatchTimeout, ChannelRestrictions};
use protos::wire::protos::{AcLs, AnchorPeers};
use sha2::{Digest as _, Sha256};

use super::policy_text;

/// Bytes of a fingerprint shown.
const FINGERPRINT_BYTES: usize = 6;

/// One part of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    /// What it is called; unique in its value.
    pub label: String,
    /// What it says; empty where it says all by being there.
    pub text: String,
}

impl Fact {
    fn new(label: impl AsRef<str>, text: impl Display) -> Self {
        Self {
            label: plain(label.as_ref()),
            text: plain(&text.to_string()),
        }
    }

    fn present(label: impl AsRef<str>) -> Self {
        Self::new(label, "")
    }
}

/// The parts of the value at `path`.
pub fn value(path: &str, bytes: &Bytes) -> Vec<Fact> {
    let key = path.rsplit('/').next().unwrap_or_default();
    decode(key, bytes).unwrap_or_else(|| vec![Fact::new("content", fingerprint(bytes))])
}

/// The rule of a policy.
pub fn policy(policy: &ConfigPolicy) -> Vec<Fact> {
    let rule = policy.policy.as_ref().map(policy_text::policy);
    vec![Fact::new("rule", rule.unwrap_or_else(|| "none".to_owned()))]
}

fn decode(key: &str, bytes: &Bytes) -> Option<Vec<Fact>> {
    match key {
        keys::BATCH_SIZE => read(bytes).map(batch_size),
        keys::BATCH_TIMEOUT => {
            read(bytes).map(|value: BatchTimeout| vec![Fact::new("timeout", value.timeout)])
        }
        keys::CAPABILITIES => read(bytes).map(|value: Capabilities| present(value.capabilities.into_keys())),
        keys::ORDERER_ADDRESSES | keys::ENDPOINTS => {
            read(bytes).map(|value: OrdererAddresses| present(value.addresses))
        }
        keys::ANCHOR_PEERS => read(bytes).map(|value: AnchorPeers| {
            present(
                value
                    .anchor_peers
                    .iter()
                    .map(|peer| format!("{}:{}", peer.host, peer.port)),
            )
        }),
        keys::ACLS => read(bytes).map(acls),
        keys::CONSENSUS_TYPE => read(bytes).map(|value| consensus::consensus_type(&value)),
        keys::ORDERERS => read(bytes).map(|value| consensus::orderers(&value)),
        keys::MSP => read(bytes).and_then(|value| msp::msp(&value)),
        keys::HASHING_ALGORITHM => {
            read(bytes).map(|value: HashingAlgorithm| vec![Fact::new("name", value.name)])
        }
        keys::BLOCK_DATA_HASHING_STRUCTURE => {
            read(bytes).map(|value: BlockDataHashingStructure| vec![Fact::new("width", value.width)])
        }
        keys::CONSORTIUM => read(bytes).map(|value: Consortium| vec![Fact::new("name", value.name)]),
        keys::CHANNEL_RESTRICTIONS => {
            read(bytes).map(|value: ChannelRestrictions| vec![Fact::new("max_count", value.max_count)])
        }
        _ => None,
    }
}

fn read<M: Message + Default>(bytes: &Bytes) -> Option<M> {
    M::decode(bytes.clone()).ok()
}

fn present(names: impl IntoIterator<Item = String>) -> Vec<Fact> {
    names.into_iter().map(Fact::present).collect()
}

fn batch_size(value: BatchSize) -> Vec<Fact> {
    vec![
        Fact::new("max_message_count", value.max_message_count),
        Fact::new("absolute_max_bytes", bytes_text(value.absolute_max_bytes)),
        Fact::new("preferred_max_bytes", bytes_text(value.preferred_max_bytes)),
    ]
}

fn acls(value: AcLs) -> Vec<Fact> {
    let entries = value.acls.into_iter();
    entries
        .map(|(resource, guard)| Fact::new(resource, guard.policy_ref))
        .collect()
}

/// A number of bytes, in larger units too where it is a whole number of them.
fn bytes_text(bytes: u32) -> String {
    for (unit, name) in [(1 << 20, "MiB"), (1 << 10, "KiB")] {
        if bytes >= unit && bytes.is_multiple_of(unit) {
            return format!("{bytes} ({} {name})", bytes / unit);
        }
    }
    bytes.to_string()
}

/// Length and the beginning of the SHA-256 of something that cannot be shown.
pub fn fingerprint(bytes: &[u8]) -> String {
    let hash = hex::encode(&Sha256::digest(bytes)[..FINGERPRINT_BYTES]);
    format!("{} bytes, SHA-256 {hash}...", bytes.len())
}

/// A text without control characters, which could rewrite a terminal.
pub fn plain(text: &str) -> String {
    text.replace(char::is_control, "\u{fffd}")
}
