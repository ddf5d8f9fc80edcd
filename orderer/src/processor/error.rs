//! Why an envelope is turned away before ordering, and what the client is told.

use std::sync::Arc;

use configtx::maintenance::MaintenanceError;
use consensus::MetadataError;
use protos::ChannelId;
use protos::envelope::OpenError;
use protos::wire::common::Status;

use super::config_update::UpdateRefusal;

/// Why an envelope was turned away before ordering. The text is the `info` of the response.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ProcessError {
    /// Envelope, payload or channel header cannot be read.
    #[error("could not determine channel ID: {0}")]
    Unreadable(OpenError),
    /// This node does not order for the channel.
    #[error("channel does not exist")]
    UnknownChannel,
    /// The channel is known, but nothing can be ordered on it now.
    #[error("{reason}")]
    Unavailable {
        /// Why.
        reason: String,
    },
    /// A change of members that cannot be judged yet.
    #[error("it is not known yet which consenters are alive: the leader has not told this node")]
    MembersUnknown,
    /// A CONFIG envelope, which only orderers make.
    #[error("message is of type that cannot be processed directly")]
    NotDirect,
    /// A type of former versions.
    #[error("message is of type that is no longer supported")]
    NoLongerSupported,
    /// Only config updates are let in.
    #[error("normal transactions are rejected: maintenance mode")]
    Maintenance,
    /// No payload.
    #[error("message was empty")]
    Empty,
    /// Above the channel's limit.
    #[error("message payload is {bytes} bytes and exceeds maximum allowed {bytes_max} bytes")]
    TooLarge {
        /// Payload and signature.
        bytes: usize,
        /// `BatchSize.absolute_max_bytes`.
        bytes_max: usize,
    },
    /// The signer's certificate has ended.
    #[error("broadcast client identity expired")]
    Expired,
    /// The signature header is no `common.SignatureHeader`.
    #[error("could not convert message to signed data: {0}")]
    SignatureHeader(prost::DecodeError),
    /// The channel lacks the policy that would decide.
    #[error("policy {path} does not exist")]
    NoPolicy {
        /// Its path.
        path: &'static str,
    },
    /// The policy is not met: unknown or unfit signer, or a signature that does not verify.
    #[error("policy {path} is not satisfied: {reason}: permission denied")]
    Denied {
        /// The policy's path.
        path: &'static str,
        /// What is wrong with the signer.
        reason: String,
    },
    /// The envelope around a config update is not good.
    #[error("config update for existing channel did not pass initial checks: {0}")]
    InitialChecks(Box<Self>),
    /// A config update does not lead to a config.
    #[error("error applying config update to existing channel '{channel}': {reason}")]
    ConfigUpdate {
        /// The channel.
        channel: ChannelId,
        /// What is wrong.
        reason: Arc<UpdateRefusal>,
    },
    /// The new config, wrapped in an envelope of this node, is not good: it grew too large, or this node may not
    /// write.
    #[error("config update for existing channel did not pass final checks: {0}")]
    FinalChecks(Box<Self>),
    /// A step into, within or out of maintenance that may not be made.
    #[error(
        "config update for existing channel did not pass maintenance checks: config transaction inspection failed: {0}"
    )]
    MaintenanceStep(MaintenanceError),
    /// The consenter does not order such a config.
    #[error("consensus refuses the config: {0}")]
    Consensus(MetadataError),
    /// A config envelope from which no config can be computed anew.
    #[error("config envelope has no last update")]
    NoLastUpdate,
}

impl ProcessError {
    /// The status a broadcast client sees; chosen here and nowhere else.
    pub fn status(&self) -> Status {
        match self {
            Self::InitialChecks(error) | Self::FinalChecks(error) => error.status(),
            Self::Denied { .. } => Status::Forbidden,
            Self::Maintenance | Self::Unavailable { .. } | Self::MembersUnknown | Self::Consensus(_) => {
                Status::ServiceUnavailable
            }
            Self::Unreadable(_)
            | Self::UnknownChannel
            | Self::NotDirect
            | Self::NoLongerSupported
            | Self::Empty
            | Self::TooLarge { .. }
            | Self::Expired
            | Self::SignatureHeader(_)
            | Self::NoPolicy { .. }
            | Self::ConfigUpdate { .. }
            | Self::MaintenanceStep(_)
            | Self::NoLastUpdate => Status::BadRequest,
        }
    }

    /// Why, in a word for metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::InitialChecks(error) | Self::FinalChecks(error) => error.reason(),
            Self::Unreadable(_) => "unreadable",
            Self::UnknownChannel => "unknown_channel",
            Self::Unavailable { .. } | Self::MembersUnknown => "unavailable",
            Self::NotDirect => "not_direct",
            Self::NoLongerSupported => "no_longer_supported",
            Self::Maintenance => "maintenance",
            Self::Empty => "empty",
            Self::TooLarge { .. } => "too_large",
            Self::Expired => "expired",
            Self::SignatureHeader(_) => "signature_header",
            Self::NoPolicy { .. } => "no_policy",
            Self::Denied { .. } => "denied",
            Self::ConfigUpdate { .. } => "config_update",
            Self::MaintenanceStep(_) => "maintenance_step",
            Self::Consensus(_) => "consensus",
            Self::NoLastUpdate => "no_last_update",
        }
    }
}
