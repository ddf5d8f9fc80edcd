//! A channel's first block, out of a [`Profile`].
//!
//! A profile is plain data, everything already read: whoever has files in YAML, folders of certificates and
//! expressions for policies turns them into one. The same profile, nonce and time always give the same bytes.
//!
//! ```text
//! Profile -> channel_group() -> block()
//!              groups.rs         this file
//! ```
//!
//! Source: `docs/spec/rules.md` §5 and §12, `docs/spec/tools.md` §2.3 to §2.6.

mod defaults;
mod groups;
mod policies;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use bytes::Bytes;
use prost::Message;
use protos::block::{self, SLOT_SIGNATURES};
use protos::id::TxId;
use protos::wire::common::{
    Block, ChannelHeader, Config, ConfigEnvelope, ConfigGroup, Consenter, Envelope, Header, HeaderType,
    Metadata, Payload, Policy, SignatureHeader,
};
use protos::wire::etcdraft;
use protos::wire::msp::MspConfig;
use protos::wire::orderer::{BatchSize, smartbft};
use protos::wire::protos::AnchorPeer;

use crate::duration::{DurationError, GoDuration};

pub use defaults::{BATCH_TIMEOUT, batch_size, bft_options, raft_options};
pub use groups::{application_org_group, channel_group, check_raft_options, orderer_org_group};
pub(crate) use policies::role_principal;
pub use policies::{any_of_roles, implicit, signature};

/// Bytes of the nonce in a genesis block's header.
pub const NONCE_BYTES: usize = 24;

/// Everything a genesis block is made of.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Profile {
    /// Value `Consortium`; none when empty.
    pub consortium: String,
    /// Channel capabilities.
    pub capabilities: CapabilityNames,
    /// By name; `Readers`, `Writers` and `Admins` are required.
    pub policies: Policies,
    /// Group `Orderer`.
    pub orderer: OrdererProfile,
    /// Group `Application`; required unless there are consortiums.
    pub application: Option<ApplicationProfile>,
    /// Group `Consortiums` by name, of a system channel: such a block can be made, and not be joined.
    pub consortiums: Option<BTreeMap<String, Vec<Organization>>>,
}

/// The names a value `Capabilities` lists: none leaves the value out, an empty set writes it empty.
pub type CapabilityNames = Option<BTreeSet<String>>;

/// Policies of one group, by name.
pub type Policies = BTreeMap<String, Policy>;

/// Group `Orderer`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OrdererProfile {
    /// Type and metadata of the consensus, and its members.
    pub consensus: Consensus,
    /// Channel-wide `host:port`; not allowed with capability `V3_0`.
    pub addresses: Vec<String>,
    /// 0 stands for [`BATCH_TIMEOUT`].
    pub batch_timeout: GoDuration,
    /// Each field that is 0 stands for its default, see [`batch_size`].
    pub batch_size: BatchSize,
    /// Value `ChannelRestrictions`.
    pub channels_max: u64,
    /// Organisations that run orderers.
    pub organizations: Vec<Organization>,
    /// By name; `Readers`, `Writers`, `Admins` and `BlockValidation` are required.
    pub policies: Policies,
    /// Orderer capabilities.
    pub capabilities: CapabilityNames,
}

/// Type, metadata and members of a consensus.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Consensus {
    /// A single node.
    #[default]
    Solo,
    /// Raft. Each option that is 0 or empty stands for its default, see [`raft_options`].
    Etcdraft(etcdraft::ConfigMetadata),
    /// BFT.
    Bft {
        /// Members, in the order of their identifiers in policies.
        consenters: Vec<Consenter>,
        /// All options; none stands for [`bft_options`], and options given in part are not completed.
        options: Option<Box<smartbft::Options>>,
    },
}

/// Group `Application`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ApplicationProfile {
    /// Organisations that use the channel.
    pub organizations: Vec<Organization>,
    /// By name; `Readers`, `Writers` and `Admins` are required.
    pub policies: Policies,
    /// Application capabilities.
    pub capabilities: CapabilityNames,
    /// Resource name to the policy that guards it; the value `ACLs` is left out when empty.
    pub acls: BTreeMap<String, String>,
}

/// One organisation, wherever it stands.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Organization {
    /// Name of its group. Of two with one name the later wins.
    pub name: String,
    /// Its MSP; the MSP ID is inside.
    pub msp: MspConfig,
    /// By name; `Readers`, `Writers` and `Admins` are required.
    pub policies: Policies,
    /// `host:port` of its orderers; required in orderer organisations with capability `V3_0`.
    pub endpoints: Vec<String>,
    /// First contacts of an application organisation.
    pub anchor_peers: Vec<AnchorPeer>,
}

/// What is missing in a profile, or contradicts itself.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GenesisError {
    /// A required policy is missing.
    #[error("{group}: no {policy} policy defined")]
    PolicyMissing {
        /// Path of the group, such as `/Channel/Orderer/Org1`; of an organisation by itself its name.
        group: String,
        /// Name of the policy.
        policy: &'static str,
    },
    /// Neither application nor consortiums.
    #[error("the profile has no Application section")]
    NoApplication,
    /// Channel-wide addresses with capability `V3_0`.
    #[error(
        "/Channel/OrdererAddresses: channel capability V3_0 allows no addresses for the whole channel \
         ({addresses}): give each orderer organisation endpoints"
    )]
    GlobalAddresses {
        /// Those given.
        addresses: String,
    },
    /// BFT without capability `V3_0`.
    #[error("/Channel/Orderer/ConsensusType: BFT needs channel capability V3_0")]
    BftWithoutV3,
    /// An orderer organisation without endpoint with capability `V3_0`.
    #[error(
        "/Channel/Orderer/{org}: organisation {org} has no orderer endpoints, channel capability V3_0 requires them"
    )]
    EndpointsMissing {
        /// Name of the organisation.
        org: String,
    },
    /// Raft or BFT without a member.
    #[error("{kind} configuration has no consenters")]
    NoConsenters {
        /// The consensus type.
        kind: &'static str,
    },
    /// A consenter without one of its fields.
    #[error("consenter {host}:{port} has no {field}")]
    ConsenterField {
        /// Its host.
        host: String,
        /// Its port.
        port: u32,
        /// What is missing.
        field: &'static str,
    },
    /// A raft tick interval that is no duration.
    #[error("etcdraft TickInterval: {0}")]
    TickInterval(DurationError),
    /// Elections would come before heartbeats.
    #[error("etcdraft ElectionTick ({election}) must be greater than HeartbeatTick ({heartbeat})")]
    ElectionTick {
        /// Election ticks after defaults.
        election: u32,
        /// Heartbeat ticks after defaults.
        heartbeat: u32,
    },
}

/// Makes the genesis block of `channel` out of `profile`.
///
/// The channel's name is not checked: tools make blocks of any name, and whoever joins one refuses it.
/// `nonce` should be random, `now` is written in whole seconds (times before 1970 as 1970).
pub fn genesis_block(
    profile: &Profile,
    channel: &str,
    nonce: [u8; NONCE_BYTES],
    now: SystemTime,
) -> Result<Block, GenesisError> {
    Ok(block(channel_group(profile)?, channel, nonce, now))
}

fn block(group: ConfigGroup, channel: &str, nonce: [u8; NONCE_BYTES], now: SystemTime) -> Block {
    let config = ConfigEnvelope {
        config: Some(Config {
            sequence: 0,
            channel_group: Some(group),
        }),
        last_update: None,
    };
    let payload = Payload {
        header: Some(header(channel, nonce, now)),
        data: config.encode_to_vec().into(),
    };
    let entry = Envelope {
        payload: payload.encode_to_vec().into(),
        signature: Bytes::new(),
    };
    let mut made = block::next(
        protos::BlockNumber::GENESIS,
        &[0; 32],
        vec![entry.encode_to_vec().into()],
    );
    if let Some(header) = &mut made.header {
        header.previous_hash = Bytes::new();
    }
    if let Some(metadata) = &mut made.metadata {
        let value = block::orderer_metadata_value(protos::BlockNumber::GENESIS, Bytes::new());
        let signatures = Metadata {
            value,
            signatures: Vec::new(),
        };
        metadata.metadata[SLOT_SIGNATURES] = signatures.encode_to_vec().into();
    }
    made
}

fn header(channel: &str, nonce: [u8; NONCE_BYTES], now: SystemTime) -> Header {
    let seconds = now
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    let channel_header = ChannelHeader {
        r#type: HeaderType::Config as i32,
        version: 1,
        timestamp: Some(prost_types::Timestamp {
            seconds: i64::try_from(seconds).unwrap_or(i64::MAX),
            nanos: 0,
        }),
        channel_id: channel.to_owned(),
        tx_id: TxId::compute(&nonce, &[]).to_string(),
        ..Default::default()
    };
    let signature_header = SignatureHeader {
        creator: Bytes::new(),
        nonce: Bytes::copy_from_slice(&nonce),
    };
    Header {
        channel_header: channel_header.encode_to_vec().into(),
        signature_header: signature_header.encode_to_vec().into(),
    }
}
