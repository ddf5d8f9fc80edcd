//! What the core must know of a config envelope, by decoding alone.

use std::collections::BTreeMap;

use bytes::Bytes;
use configtx::Severity;
use configtx::consensus_metadata::{ETCDRAFT, RaftMetadata};
use prost::Message;
use protos::envelope::Opened;
use protos::wire::common::{
    Config, ConfigEnvelope, ConfigGroup, ConfigUpdate, ConfigUpdateEnvelope, ConfigValue, Envelope,
    HeaderType, Payload,
};
use protos::wire::etcdraft::Consenter;
use protos::wire::orderer::ConsensusType;

const ORDERER: &str = "Orderer";
const CONSENSUS_TYPE: &str = "ConsensusType";

/// Of one CONFIG envelope.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ConfigFacts {
    /// The consensus type of the new config is etcdraft still.
    pub(super) is_raft: bool,
    /// Whether the update in it changes the value `ConsensusType`.
    pub(super) writes_consensus_type: bool,
    /// Those of the new config; none where its metadata is not usable.
    pub(super) consenters: Option<Vec<Consenter>>,
    /// The update that it was made from, serialized: the same however often it is wrapped anew. Empty if there is none.
    pub(super) update: Bytes,
}

impl ConfigFacts {
    /// Reads a block entry; none if it is no CONFIG envelope.
    pub(super) fn read(entry: &Bytes) -> Option<Self> {
        let opened = Opened::open(entry.clone()).ok()?;
        if opened.channel_header.r#type != HeaderType::Config as i32 {
            return None;
        }
        let envelope = ConfigEnvelope::decode(opened.data).ok()?;
        let consensus = envelope.config.as_ref().and_then(consensus_type);
        let is_raft = consensus
            .as_ref()
            .is_none_or(|consensus| consensus.r#type == ETCDRAFT);
        let metadata = consensus.filter(|_| is_raft).map(|consensus| consensus.metadata);
        let read = metadata.and_then(|metadata| RaftMetadata::read(&metadata, Severity::Commit).ok());
        let update = envelope.last_update;
        Some(Self {
            is_raft,
            writes_consensus_type: update
                .as_ref()
                .is_some_and(|update| writes_it(update).unwrap_or(false)),
            consenters: read.map(|metadata| metadata.consenters),
            update: update
                .map(|update| update.encode_to_vec().into())
                .unwrap_or_default(),
        })
    }
}

fn consensus_type(config: &Config) -> Option<ConsensusType> {
    let value = value(&config.channel_group.as_ref()?.groups)?;
    ConsensusType::decode(value.value.clone()).ok()
}

fn value(groups: &BTreeMap<String, ConfigGroup>) -> Option<&ConfigValue> {
    groups.get(ORDERER)?.values.get(CONSENSUS_TYPE)
}

/// A value in the write set at the version of the read set is only mentioned.
fn writes_it(update: &Envelope) -> Option<bool> {
    let payload = Payload::decode(update.payload.clone()).ok()?;
    let update = ConfigUpdateEnvelope::decode(payload.data).ok()?.config_update;
    let update = ConfigUpdate::decode(update).ok()?;
    let written = update.write_set.as_ref().and_then(|set| value(&set.groups))?;
    let read = update.read_set.as_ref().and_then(|set| value(&set.groups));
    Some(written.version != read.map_or(0, |value| value.version))
}
