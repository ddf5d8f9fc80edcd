//! The values of the channel group.

use protos::wire::common::{
    BlockDataHashingStructure, Capabilities, Consortium, HashingAlgorithm, OrdererAddresses, Orderers,
};

use crate::capability::ChannelCapabilities;
use crate::keys;
use crate::structure::{GroupAt, StructureError};

/// Channel-wide settings.
#[derive(Clone, Debug, PartialEq)]
pub struct ChannelConfig {
    /// `SHA256` or `SHA3_256`. Blocks are hashed with SHA-256 whatever it says.
    pub hashing_algorithm: String,
    /// Channel-wide `host:port` of orderers; empty on today's channels.
    pub orderer_addresses: Vec<String>,
    /// A name from the days of the system channel; empty when absent.
    pub consortium: String,
    /// Required features.
    pub capabilities: ChannelCapabilities,
}

impl ChannelConfig {
    pub(crate) fn read(channel: &GroupAt<'_>) -> Result<Self, StructureError> {
        channel.check_values(&[
            keys::HASHING_ALGORITHM,
            keys::BLOCK_DATA_HASHING_STRUCTURE,
            keys::CAPABILITIES,
            keys::ORDERER_ADDRESSES,
            keys::CONSORTIUM,
            keys::ORDERERS,
        ])?;
        // Accepted here and used nowhere, but it has to decode.
        channel.value::<Orderers>(keys::ORDERERS)?;
        let capabilities = channel.value::<Capabilities>(keys::CAPABILITIES)?;
        let config = Self {
            hashing_algorithm: channel.value::<HashingAlgorithm>(keys::HASHING_ALGORITHM)?.name,
            orderer_addresses: channel
                .value::<OrdererAddresses>(keys::ORDERER_ADDRESSES)?
                .addresses,
            consortium: channel.value::<Consortium>(keys::CONSORTIUM)?.name,
            capabilities: ChannelCapabilities::new(&capabilities),
        };
        config.check_hashing(channel.value(keys::BLOCK_DATA_HASHING_STRUCTURE)?)?;
        config.check_addresses()?;
        Ok(config)
    }

    fn check_hashing(&self, structure: BlockDataHashingStructure) -> Result<(), StructureError> {
        if !matches!(self.hashing_algorithm.as_str(), "SHA256" | "SHA3_256") {
            return Err(StructureError::HashingAlgorithm {
                name: self.hashing_algorithm.clone(),
            });
        }
        if structure.width != u32::MAX {
            return Err(StructureError::HashingWidth {
                width: structure.width,
            });
        }
        Ok(())
    }

    fn check_addresses(&self) -> Result<(), StructureError> {
        let present = !self.orderer_addresses.is_empty();
        if self.capabilities.v3() && present {
            return Err(StructureError::GlobalAddresses);
        }
        if !self.capabilities.org_endpoints() && !present {
            return Err(StructureError::NoOrdererAddresses);
        }
        Ok(())
    }
}
