//! One organisation laid out in folders and files (`docs/spec/tools.md` §1.2).

use std::fs;
use std::path::Path;
use std::time::SystemTime;

use super::authority::{Authority, KeyAndCertificate};
use super::tree::FileTree;
use super::{CryptoError, KeyType, NodeSpec, OrgKind, OrgPaths, OrgSpec};

/// Makes every key and certificate of `org`; the paths are relative to the root of the whole tree.
pub(super) fn make(org: &OrgSpec, now: SystemTime) -> Result<FileTree, CryptoError> {
    let ca_name = &org.ca.common_name;
    let authority = |name: &str| Authority::create(name, &org.domain, &org.ca.subject, org.ca.key, now);
    let authorities = (authority(ca_name)?, authority(&tls_name(org))?);
    let admin = authorities
        .0
        .enrol(&org.admin_name(), org.role("admin"), org.admin_key)?;
    let mut maker = Maker::new(org, authorities, None, admin.certificate.clone());
    maker.authorities();
    maker.verifying_msp();
    maker.admin(&admin)?;
    maker.members()?;
    Ok(maker.tree)
}

/// Makes what the tree below `root` lacks of `org`, whose authorities it has; the paths are relative to `root`.
///
/// Nodes and users with a folder are left alone, except that without node OUs a node gets the certificate of the
/// administrator if it has none (`docs/spec/tools.md` §1.4).
pub(super) fn extend(org: &OrgSpec, root: &Path, now: SystemTime) -> Result<FileTree, CryptoError> {
    let paths = OrgPaths::below(root, org.kind, &org.domain);
    let authority = |folder: &str| Authority::open(&paths.root().join(folder), &org.ca.subject, now);
    let authorities = (authority("ca")?, authority("tlsca")?);
    let mut admin_certificate = String::new();
    if !org.node_ous && !org.nodes.is_empty() {
        let name = org.admin_name();
        let file = paths
            .user_msp(&name)
            .join("signcerts")
            .join(format!("{name}-cert.pem"));
        admin_certificate = fs::read_to_string(&file).map_err(|source| CryptoError::read(&file, source))?;
    }
    let mut maker = Maker::new(org, authorities, Some(root), admin_certificate);
    maker.members()?;
    maker.administrators();
    Ok(maker.tree)
}

fn tls_name(org: &OrgSpec) -> String {
    format!("tls{}", org.ca.common_name)
}

struct Maker<'a> {
    org: &'a OrgSpec,
    /// Relative to the root of the whole tree.
    paths: OrgPaths,
    ca: Authority,
    tls_ca: Authority,
    tls_name: String,
    admin_certificate: String,
    /// Root of a tree that has some of it already.
    existing: Option<&'a Path>,
    tree: FileTree,
}

impl<'a> Maker<'a> {
    fn new(
        org: &'a OrgSpec,
        (ca, tls_ca): (Authority, Authority),
        existing: Option<&'a Path>,
        admin_certificate: String,
    ) -> Self {
        Self {
            org,
            paths: OrgPaths::below(Path::new(""), org.kind, &org.domain),
            ca,
            tls_ca,
            tls_name: tls_name(org),
            admin_certificate,
            existing,
            tree: FileTree::default(),
        }
    }

    /// Whether somebody has been made, before or just now.
    fn is_made(&self, folder: &Path) -> bool {
        self.tree.has_folder(folder) || self.existing.is_some_and(|root| root.join(folder).exists())
    }

    fn members(&mut self) -> Result<(), CryptoError> {
        for node in &self.org.nodes {
            if !self.is_made(&self.paths.node(&node.common_name)) {
                self.node(node)?;
            }
        }
        for user in &self.org.users {
            if !self.is_made(&self.paths.user(&user.common_name)) {
                self.user(&user.common_name, user.key)?;
            }
        }
        Ok(())
    }

    /// Gives each node that exists without it the certificate of the administrator.
    fn administrators(&mut self) {
        let (false, Some(root)) = (self.org.node_ous, self.existing) else {
            return;
        };
        let name = format!("{}-cert.pem", self.org.admin_name());
        for node in &self.org.nodes {
            let file = self
                .paths
                .node_msp(&node.common_name)
                .join("admincerts")
                .join(&name);
            if !root.join(&file).exists() {
                self.tree.public(file, &self.admin_certificate);
            }
        }
    }

    fn authorities(&mut self) {
        let (root, ca_name) = (self.paths.root().to_owned(), &self.org.ca.common_name);
        for (folder, name, authority) in [("ca", ca_name, &self.ca), ("tlsca", &self.tls_name, &self.tls_ca)]
        {
            let folder = root.join(folder);
            self.tree
                .public(folder.join(format!("{name}-cert.pem")), authority.certificate());
            self.tree.private(folder.join("priv_sk"), &authority.key_pem());
        }
    }

    fn verifying_msp(&mut self) {
        let msp = self.paths.msp();
        let admins = [(self.org.admin_name(), self.admin_certificate.clone())];
        self.trust(&msp, &admins);
    }

    /// What every MSP folder has: whom to trust, how roles are told, and who administers.
    fn trust(&mut self, msp: &Path, admins: &[(String, String)]) {
        let tree = &mut self.tree;
        let ca_file = format!("{}-cert.pem", self.org.ca.common_name);
        tree.public(msp.join("cacerts").join(&ca_file), self.ca.certificate());
        let tls_file = format!("{}-cert.pem", self.tls_name);
        tree.public(msp.join("tlscacerts").join(tls_file), self.tls_ca.certificate());
        tree.folder(msp.join("admincerts"));
        if self.org.node_ous {
            tree.public(msp.join("config.yaml"), &node_ous_yaml(&ca_file));
        } else {
            for (name, certificate) in admins {
                tree.public(
                    msp.join("admincerts").join(format!("{name}-cert.pem")),
                    certificate,
                );
            }
        }
    }

    fn admin(&mut self, admin: &KeyAndCertificate) -> Result<(), CryptoError> {
        let name = self.org.admin_name();
        self.signing_msp(&self.paths.user_msp(&name), &name, admin, true);
        let tls = self.tls_ca.issue_tls(&name, &[], self.org.admin_key)?;
        self.tls(&self.paths.user_tls(&name), "client", &tls);
        Ok(())
    }

    fn user(&mut self, name: &str, kind: KeyType) -> Result<(), CryptoError> {
        let enrolled = self.ca.enrol(name, self.org.role("client"), kind)?;
        self.signing_msp(&self.paths.user_msp(name), name, &enrolled, true);
        let tls = self.tls_ca.issue_tls(name, &[], kind)?;
        self.tls(&self.paths.user_tls(name), "client", &tls);
        Ok(())
    }

    fn node(&mut self, node: &NodeSpec) -> Result<(), CryptoError> {
        let role = match self.org.kind {
            OrgKind::Orderer => "orderer",
            OrgKind::Peer => "peer",
        };
        let name = &node.common_name;
        let enrolled = self.ca.enrol(name, self.org.role(role), node.key)?;
        self.signing_msp(&self.paths.node_msp(name), name, &enrolled, false);
        let tls = self.tls_ca.issue_tls(name, &node.alternative_names, node.key)?;
        self.tls(&self.paths.node_tls(name), "server", &tls);
        Ok(())
    }

    /// The MSP folder of somebody who signs. Without node OUs a user counts as its own administrator.
    fn signing_msp(&mut self, msp: &Path, name: &str, enrolled: &KeyAndCertificate, own_admin: bool) {
        let admin = if own_admin {
            (name.to_owned(), enrolled.certificate.clone())
        } else {
            (self.org.admin_name(), self.admin_certificate.clone())
        };
        self.trust(msp, &[admin]);
        self.tree.public(
            msp.join("signcerts").join(format!("{name}-cert.pem")),
            &enrolled.certificate,
        );
        self.tree
            .private(msp.join("keystore").join("priv_sk"), &enrolled.key);
    }

    fn tls(&mut self, folder: &Path, side: &str, pair: &KeyAndCertificate) {
        self.tree.public(folder.join("ca.crt"), self.tls_ca.certificate());
        self.tree
            .public(folder.join(format!("{side}.crt")), &pair.certificate);
        self.tree.private(folder.join(format!("{side}.key")), &pair.key);
    }
}

/// The `config.yaml` that tells roles by organisational unit.
fn node_ous_yaml(ca_file: &str) -> String {
    let unit = |(key, unit): (&str, &str)| {
        format!(
            "    {key}OUIdentifier:\n        Certificate: cacerts/{ca_file}\n        \
             OrganizationalUnitIdentifier: {unit}\n"
        )
    };
    let units = [
        ("Client", "client"),
        ("Peer", "peer"),
        ("Admin", "admin"),
        ("Orderer", "orderer"),
    ];
    format!("NodeOUs:\n    Enable: true\n{}", units.map(unit).concat())
}
