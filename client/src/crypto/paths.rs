//! Where things are in an organisation's folder.

use std::path::{Path, PathBuf};

use super::OrgKind;

/// The folder of one organisation; every path below it by meaning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrgPaths {
    kind: OrgKind,
    domain: String,
    root: PathBuf,
}

impl OrgPaths {
    /// The organisation `domain` of the tree below `root`.
    pub fn below(root: &Path, kind: OrgKind, domain: &str) -> Self {
        let family = match kind {
            OrgKind::Orderer => "ordererOrganizations",
            OrgKind::Peer => "peerOrganizations",
        };
        Self {
            kind,
            domain: domain.to_owned(),
            root: root.join(family).join(domain),
        }
    }

    /// The organisation's folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The MSP folder to verify its members with; what a channel's config holds.
    pub fn msp(&self) -> PathBuf {
        self.root.join("msp")
    }

    /// Certificate of the TLS authority, as named by default.
    pub fn tls_ca(&self) -> PathBuf {
        self.root
            .join("tlsca")
            .join(format!("tlsca.{}-cert.pem", self.domain))
    }

    /// Everything of a node.
    pub(super) fn node(&self, common_name: &str) -> PathBuf {
        let family = match self.kind {
            OrgKind::Orderer => "orderers",
            OrgKind::Peer => "peers",
        };
        self.root.join(family).join(common_name)
    }

    /// Everything of a user.
    pub(super) fn user(&self, common_name: &str) -> PathBuf {
        self.root.join("users").join(common_name)
    }

    /// MSP folder of a node: `signcerts`, `keystore/priv_sk` and whom it trusts.
    pub fn node_msp(&self, common_name: &str) -> PathBuf {
        self.node(common_name).join("msp")
    }

    /// TLS folder of a node: `ca.crt`, `server.crt`, `server.key`.
    pub fn node_tls(&self, common_name: &str) -> PathBuf {
        self.node(common_name).join("tls")
    }

    /// MSP folder of a user.
    pub fn user_msp(&self, common_name: &str) -> PathBuf {
        self.user(common_name).join("msp")
    }

    /// TLS folder of a user: `ca.crt`, `client.crt`, `client.key`.
    pub fn user_tls(&self, common_name: &str) -> PathBuf {
        self.user(common_name).join("tls")
    }

    /// Common name of the administrator.
    pub fn admin_name(&self) -> String {
        format!("Admin@{}", self.domain)
    }
}
