//! Organisations: the groups below Orderer, Application and the consortia, each with an MSP.

use prost::Message;
use protos::wire::common::OrdererAddresses;
use protos::wire::msp::{FabricMspConfig, MspConfig};
use protos::wire::protos::{AnchorPeer, AnchorPeers};

use crate::identity::{MspLevel, MspManager, MspManagerError};
use crate::keys;
use crate::structure::{GroupAt, StructureError};

/// An organisation that runs orderers.
#[derive(Clone, Debug, PartialEq)]
pub struct OrdererOrg {
    /// Name of its group.
    pub name: String,
    /// Name of its MSP.
    pub msp_id: String,
    /// `host:port` of its nodes.
    pub endpoints: Vec<String>,
}

/// An organisation whose clients and peers use the channel.
#[derive(Clone, Debug, PartialEq)]
pub struct ApplicationOrg {
    /// Name of its group.
    pub name: String,
    /// Name of its MSP.
    pub msp_id: String,
    /// Its first contacts.
    pub anchor_peers: Vec<AnchorPeer>,
}

impl OrdererOrg {
    pub(crate) fn read(org: &GroupAt<'_>, msps: &mut Msps) -> Result<Self, StructureError> {
        org.check_groups(&[])?;
        org.check_values(&[keys::MSP, keys::ENDPOINTS])?;
        Ok(Self {
            name: org.name().to_owned(),
            msp_id: msps.add(org)?,
            endpoints: org.value::<OrdererAddresses>(keys::ENDPOINTS)?.addresses,
        })
    }
}

impl ApplicationOrg {
    pub(crate) fn read(org: &GroupAt<'_>, msps: &mut Msps) -> Result<Self, StructureError> {
        org.check_groups(&[])?;
        org.check_values(&[keys::MSP, keys::ANCHOR_PEERS])?;
        Ok(Self {
            name: org.name().to_owned(),
            msp_id: msps.add(org)?,
            anchor_peers: org.value::<AnchorPeers>(keys::ANCHOR_PEERS)?.anchor_peers,
        })
    }
}

/// Reads an organisation of a consortium, of which nothing but its MSP is checked.
pub(crate) fn read_consortium_org(org: &GroupAt<'_>, msps: &mut Msps) -> Result<(), StructureError> {
    org.check_groups(&[])?;
    org.check_values(&[keys::MSP])?;
    msps.add(org).map(drop)
}

/// The MSP definitions met while reading a config: path of the organisation's group, and definition.
#[derive(Default)]
pub(crate) struct Msps(Vec<(String, MspConfig)>);

impl Msps {
    /// Takes over the definition in `org`; returns its MSP ID.
    fn add(&mut self, org: &GroupAt<'_>) -> Result<String, StructureError> {
        let config: MspConfig = org.value(keys::MSP)?;
        let path = org.path();
        let name = FabricMspConfig::decode(config.config.clone())
            .map_err(|source| StructureError::Decode {
                path: format!("{path}/{}", keys::MSP),
                source,
            })?
            .name;
        if name.is_empty() {
            return Err(StructureError::MspIdEmpty { org: path });
        }
        self.0.push((path, config));
        Ok(name)
    }

    /// Sets all of them up.
    pub(crate) fn into_manager(self, level: MspLevel) -> Result<MspManager, MspManagerError> {
        MspManager::new(self.0, level)
    }
}
