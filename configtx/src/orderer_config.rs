//! The values of the orderer group: batch size and timeout, consensus type, BFT consenters; and its
//! organisations.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use protos::wire::common::{Capabilities, Consenter, Orderers};
use protos::wire::orderer::{self, BatchTimeout, ChannelRestrictions, KafkaBrokers};

use crate::capability::{ChannelCapabilities, OrdererCapabilities};
use crate::duration::GoDuration;
use crate::keys;
use crate::organization::{Msps, OrdererOrg};
use crate::structure::{GroupAt, StructureError};

/// Settings of the ordering service on a channel. Only a checked config yields one.
#[derive(Clone, Debug, PartialEq)]
pub struct OrdererConfig {
    /// Which consensus, with what settings.
    pub consensus_type: ConsensusType,
    /// Limits on the size of a block.
    pub batch_size: BatchSize,
    /// How long a block stays open after its first message; above 0.
    pub batch_timeout: Duration,
    /// A limit on channels that nothing applies.
    pub channels_max: u64,
    /// Required features.
    pub capabilities: OrdererCapabilities,
    /// BFT consenters, in configured order; empty elsewhere.
    pub consenters: Vec<Consenter>,
    /// By name of the group.
    pub organizations: BTreeMap<String, OrdererOrg>,
}

/// Which consensus a channel runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsensusType {
    /// `etcdraft`, `BFT`, `solo`, or whatever was written.
    pub kind: String,
    /// Settings of that consensus, serialized; what they mean depends on the kind.
    pub metadata: Bytes,
    /// Whether ordinary messages are let in.
    pub state: ConsensusState,
}

/// State of a channel's consensus type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConsensusState {
    /// Everything is let in.
    Normal,
    /// Only config updates, from the orderers' administrators.
    Maintenance,
    /// A number without a meaning: neither of the two.
    Other(i32),
}

/// Limits on the size of a block; all above 0, and preferred is at most absolute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchSize {
    /// A block with this many messages is cut.
    pub max_message_count: u32,
    /// Most bytes of one message, payload and signature.
    pub absolute_max_bytes: u32,
    /// A block is cut before it grows above this.
    pub preferred_max_bytes: u32,
}

impl fmt::Display for ConsensusState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Normal => f.write_str("STATE_NORMAL"),
            Self::Maintenance => f.write_str("STATE_MAINTENANCE"),
            Self::Other(number) => write!(f, "{number}"),
        }
    }
}

impl OrdererConfig {
    /// The BFT consenter with this identifier.
    pub fn consenter(&self, id: u32) -> Option<&Consenter> {
        self.consenters.iter().find(|consenter| consenter.id == id)
    }

    pub(crate) fn read(
        group: &GroupAt<'_>,
        channel: &ChannelCapabilities,
        msps: &mut Msps,
    ) -> Result<Self, StructureError> {
        group.check_values(&[
            keys::CONSENSUS_TYPE,
            keys::BATCH_SIZE,
            keys::BATCH_TIMEOUT,
            keys::CHANNEL_RESTRICTIONS,
            keys::CAPABILITIES,
            keys::ORDERERS,
            keys::KAFKA_BROKERS,
        ])?;
        // Left over from older channels and used nowhere, but it has to decode.
        group.value::<KafkaBrokers>(keys::KAFKA_BROKERS)?;
        Ok(Self {
            consensus_type: ConsensusType::from(group.value::<orderer::ConsensusType>(keys::CONSENSUS_TYPE)?),
            channels_max: group
                .value::<ChannelRestrictions>(keys::CHANNEL_RESTRICTIONS)?
                .max_count,
            capabilities: OrdererCapabilities::new(&group.value::<Capabilities>(keys::CAPABILITIES)?),
            consenters: group.value::<Orderers>(keys::ORDERERS)?.consenter_mapping,
            batch_size: BatchSize::check(&group.value(keys::BATCH_SIZE)?)?,
            batch_timeout: check_timeout(group.value(keys::BATCH_TIMEOUT)?)?,
            organizations: read_organizations(group, channel, msps)?,
        })
    }
}

fn read_organizations(
    group: &GroupAt<'_>,
    channel: &ChannelCapabilities,
    msps: &mut Msps,
) -> Result<BTreeMap<String, OrdererOrg>, StructureError> {
    let mut organizations = BTreeMap::new();
    for org in group.children() {
        let name = org.name().to_owned();
        if org.has_value(keys::ENDPOINTS) && !channel.org_endpoints() {
            return Err(StructureError::EndpointsTooEarly { org: name });
        }
        let read = OrdererOrg::read(&org, msps)?;
        if read.endpoints.is_empty() && channel.v3() {
            return Err(StructureError::EndpointsMissing { org: name });
        }
        organizations.insert(name, read);
    }
    Ok(organizations)
}

impl BatchSize {
    fn check(value: &orderer::BatchSize) -> Result<Self, StructureError> {
        let parts = [
            ("max_message_count", value.max_message_count),
            ("absolute_max_bytes", value.absolute_max_bytes),
            ("preferred_max_bytes", value.preferred_max_bytes),
        ];
        if let Some((field, _)) = parts.into_iter().find(|(_, part)| *part == 0) {
            return Err(StructureError::BatchSizeZero { field });
        }
        if value.preferred_max_bytes > value.absolute_max_bytes {
            return Err(StructureError::BatchSizeOrder {
                preferred: value.preferred_max_bytes,
                absolute: value.absolute_max_bytes,
            });
        }
        Ok(Self {
            max_message_count: value.max_message_count,
            absolute_max_bytes: value.absolute_max_bytes,
            preferred_max_bytes: value.preferred_max_bytes,
        })
    }
}

fn check_timeout(value: BatchTimeout) -> Result<Duration, StructureError> {
    let parsed: GoDuration = value.timeout.parse()?;
    parsed
        .to_std()
        .filter(|timeout| !timeout.is_zero())
        .ok_or(StructureError::BatchTimeoutNotPositive {
            timeout: value.timeout,
        })
}

impl From<orderer::ConsensusType> for ConsensusType {
    fn from(value: orderer::ConsensusType) -> Self {
        Self {
            state: match value.state {
                0 => ConsensusState::Normal,
                1 => ConsensusState::Maintenance,
                other => ConsensusState::Other(other),
            },
            kind: value.r#type,
            metadata: value.metadata,
        }
    }
}
