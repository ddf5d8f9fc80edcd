//! Where what lies in a quickstart's folder.

use std::path::{Path, PathBuf};

use client::crypto::{OrgKind, OrgPaths};

use super::super::ports::Ports;
use super::super::settings::NodeIdentity;

pub(super) const ORDERER_DOMAIN: &str = "example.com";
pub(super) const ORDERER_MSP: &str = "OrdererMSP";
pub(super) const CLIENT_DOMAIN: &str = "org1.example.com";
pub(super) const CLIENT_MSP: &str = "Org1MSP";
pub(super) const CRYPTO: &str = "crypto";

/// Where one node's files are.
#[derive(Clone, Debug)]
pub(in super::super) struct NodeFiles {
    /// What it is called in messages.
    pub name: String,
    /// The folder with its `orderer.yaml`; also its working directory.
    pub folder: PathBuf,
    /// The log of all its runs.
    pub log: PathBuf,
    /// Where it listens.
    pub ports: Ports,
}

impl NodeFiles {
    /// Node `number` of `count`, from 1; `folder` is that of the network.
    pub(super) fn at(folder: &Path, number: usize, count: usize, ports: Ports) -> Self {
        let folder = node_folder(folder, number, count);
        Self {
            name: host(number),
            log: folder.join("orderer.log"),
            folder,
            ports,
        }
    }

    pub(super) fn settings(&self) -> PathBuf {
        settings_file(&self.folder)
    }

    /// Its identity, relative to its own folder.
    pub(super) fn identity(&self, network: &Path) -> NodeIdentity {
        let to_network = if self.folder == network { "" } else { ".." };
        let org = orderer_org(Path::new(to_network));
        let name = common_name(&self.name);
        NodeIdentity {
            msp_id: ORDERER_MSP.to_owned(),
            msp: org.node_msp(&name),
            tls: org.node_tls(&name),
        }
    }
}

/// A node alone has the network's folder for itself.
pub(super) fn node_folder(network: &Path, number: usize, count: usize) -> PathBuf {
    if count == 1 {
        network.to_owned()
    } else {
        network.join(host(number))
    }
}

pub(super) fn host(number: usize) -> String {
    format!("orderer{number}")
}

/// Name of a node in its certificates.
pub(super) fn common_name(host: &str) -> String {
    format!("{host}.{ORDERER_DOMAIN}")
}

pub(super) fn settings_file(node_folder: &Path) -> PathBuf {
    node_folder.join("orderer.yaml")
}

pub(super) fn connection_file(network: &Path) -> PathBuf {
    network.join("connection.json")
}

pub(super) fn genesis_file(network: &Path) -> PathBuf {
    network.join("genesis.block")
}

/// Paths of the orderers' organisation.
pub(super) fn orderer_org(network: &Path) -> OrgPaths {
    OrgPaths::below(&network.join(CRYPTO), OrgKind::Orderer, ORDERER_DOMAIN)
}

/// Paths of the clients' organisation.
pub(super) fn client_org(network: &Path) -> OrgPaths {
    OrgPaths::below(&network.join(CRYPTO), OrgKind::Peer, CLIENT_DOMAIN)
}
