//! Why a config is refused as a whole.

use crate::config_block::ConfigBlockError;
use crate::policy::PolicyTreeError;
use crate::structure::StructureError;
use crate::tree::IllegalKey;

/// Why there is no [`Bundle`](super::Bundle) for a config.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// The block holds no config.
    #[error(transparent)]
    Block(#[from] ConfigBlockError),
    /// The config has no root group.
    #[error("config has no channel group")]
    NoChannelGroup,
    /// Capabilities without the value `Capabilities` in the orderer group.
    #[error("capabilities of group {group} need capabilities of the Orderer group first")]
    CapabilitiesWithoutOrderer {
        /// The group that has them.
        group: &'static str,
    },
    /// A group, a value or an MSP is wrong. Tools compare the beginning of this text.
    #[error("initializing channelconfig failed: {0}")]
    Structure(#[source] StructureError),
    /// A policy does not compile.
    #[error("initializing policymanager failed: {0}")]
    Policies(#[from] PolicyTreeError),
    /// A key is illegal.
    #[error(transparent)]
    Key(#[from] IllegalKey),
}

/// A config that asks for features this program does not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{group} capabilities {} are required but not supported", names.join(", "))]
pub struct UnsupportedCapabilities {
    /// The group that asks.
    pub group: &'static str,
    /// What it asks for.
    pub names: Vec<String>,
}
