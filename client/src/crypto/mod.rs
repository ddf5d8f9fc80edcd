//! Making of identities: organisations with their authorities, nodes and users, laid out in the folders that
//! the reference key tool makes, so that everything that reads those reads these.
//!
//! ```text
//! OrgSpec ──> organisation ──> authority ──> certificate, key     (in memory)
//!                  └──────────> tree ──> write                    (files and modes)
//! ```
//!
//! [`make`] does all of it. The order and form of what is in a certificate: `docs/spec/tools.md` §1.
//! Differences from the reference tool, all on purpose: the subject key identifier never depends on a private
//! key, signatures always have low S, and nothing that exists is ever replaced.

mod authority;
mod certificate;
mod der;
mod key;
mod manifest;
mod organisation;
mod paths;
mod tree;

use std::path::{Path, PathBuf};
use std::time::SystemTime;

pub use key::KeyType;
pub use manifest::{Manifest, ManifestError, ManifestOrg};
pub use paths::OrgPaths;
pub use tree::{Access, FileTree};

/// Why identities could not be made.
#[derive(Debug, thiserror::Error)]
pub enum CryptoError {
    /// The crypto library refused to make a key or a signature.
    #[error("cannot make a key or a signature with it")]
    Key,
    /// The clock is outside the years that certificates can state.
    #[error("the clock is too far from the present to date a certificate")]
    Clock,
    /// A host name with characters that a certificate cannot carry.
    #[error("host name {name:?} is not plain ASCII; give its punycode form")]
    HostName {
        /// The name as given.
        name: String,
    },
    /// Something is there already. It is left as it was.
    #[error("{} exists already and is not replaced; choose another folder or move it away", path.display())]
    Exists {
        /// What is in the way.
        path: PathBuf,
    },
    /// A folder or file cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// Which one.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

impl CryptoError {
    fn key<E>(_: E) -> Self {
        Self::Key
    }

    fn write(path: PathBuf, source: std::io::Error) -> Self {
        Self::Write { path, source }
    }
}

/// What an organisation runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OrgKind {
    /// Orderers.
    Orderer,
    /// Applications: clients, and peers if it has any.
    Peer,
}

/// One organisation to make.
#[derive(Clone, Debug)]
pub struct OrgSpec {
    /// What it runs; decides the folder and its nodes' role.
    pub kind: OrgKind,
    /// Its domain: name of its folder and end of all its names.
    pub domain: String,
    /// Whether certificates state a role as organisational unit. Without it, administrators are listed.
    pub node_ous: bool,
    /// Its two authorities, for signing and for TLS.
    pub ca: CaSpec,
    /// Its orderers or peers.
    pub nodes: Vec<NodeSpec>,
    /// Its users, beside the administrator it always has.
    pub users: Vec<UserSpec>,
    /// Key type of the administrator.
    pub admin_key: KeyType,
}

/// The authorities of an organisation.
#[derive(Clone, Debug)]
pub struct CaSpec {
    /// Common name of the signing authority; that of TLS has `tls` in front.
    pub common_name: String,
    /// Where the organisation is.
    pub subject: SubjectSpec,
    /// Key type of both.
    pub key: KeyType,
}

/// The parts of a subject's name that all certificates of an organisation share. Empty ones are left out.
#[derive(Clone, Debug)]
pub struct SubjectSpec {
    /// C.
    pub country: String,
    /// ST.
    pub province: String,
    /// L.
    pub locality: String,
    /// An OU beside the node role.
    pub organizational_unit: String,
    /// STREET.
    pub street_address: String,
    /// Postal code.
    pub postal_code: String,
}

impl Default for SubjectSpec {
    /// The reference tool's place.
    fn default() -> Self {
        Self {
            country: "US".into(),
            province: "California".into(),
            locality: "San Francisco".into(),
            organizational_unit: String::new(),
            street_address: String::new(),
            postal_code: String::new(),
        }
    }
}

/// An orderer or a peer.
#[derive(Clone, Debug)]
pub struct NodeSpec {
    /// Common name, usually host name and domain; also the name of its folder.
    pub common_name: String,
    /// DNS names and IP addresses its TLS certificate holds for.
    pub alternative_names: Vec<String>,
    /// Type of its two keys.
    pub key: KeyType,
}

/// A user.
#[derive(Clone, Debug)]
pub struct UserSpec {
    /// Common name, such as `User1@org1.example.com`; also the name of its folder.
    pub common_name: String,
    /// Type of its two keys.
    pub key: KeyType,
}

impl OrgSpec {
    /// An organisation with node OUs, the usual names, and nobody but its administrator.
    pub fn new(kind: OrgKind, domain: &str, key: KeyType) -> Self {
        Self {
            kind,
            domain: domain.to_owned(),
            node_ous: true,
            ca: CaSpec {
                common_name: format!("ca.{domain}"),
                subject: SubjectSpec::default(),
                key,
            },
            nodes: Vec::new(),
            users: Vec::new(),
            admin_key: key,
        }
    }

    /// Adds a node `HOST.DOMAIN`, reachable under that name, `host` and the names of `more`.
    #[must_use]
    pub fn with_node(mut self, host: &str, more: &[&str]) -> Self {
        let common_name = format!("{host}.{}", self.domain);
        let names = [common_name.as_str(), host]
            .into_iter()
            .chain(more.iter().copied());
        self.nodes.push(NodeSpec {
            alternative_names: names.map(str::to_owned).collect(),
            key: self.ca.key,
            common_name,
        });
        self
    }

    /// Adds users `User1@DOMAIN` to `User<count>@DOMAIN`.
    #[must_use]
    pub fn with_users(mut self, count: u32) -> Self {
        let users = (1..=count).map(|number| UserSpec {
            common_name: format!("User{number}@{}", self.domain),
            key: self.ca.key,
        });
        self.users.extend(users);
        self
    }

    /// Common name of the administrator.
    pub fn admin_name(&self) -> String {
        format!("Admin@{}", self.domain)
    }

    /// Keys and certificates of this organisation as files, relative to the root of the whole tree.
    pub fn files(&self, now: SystemTime) -> Result<FileTree, CryptoError> {
        organisation::make(self, now)
    }

    fn role(&self, role: &'static str) -> Option<&'static str> {
        self.node_ous.then_some(role)
    }
}

/// Makes all organisations below `root`, `ordererOrganizations/DOMAIN` and `peerOrganizations/DOMAIN`.
///
/// Private keys get mode 0600. Nothing existing is changed: if one organisation's folder is there already,
/// nothing at all is written.
pub fn make(root: &Path, orgs: &[OrgSpec], now: SystemTime) -> Result<Vec<OrgPaths>, CryptoError> {
    let paths: Vec<_> = orgs
        .iter()
        .map(|org| OrgPaths::below(root, org.kind, &org.domain))
        .collect();
    if let Some(existing) = paths.iter().find(|org| org.root().exists()) {
        let path = existing.root().to_owned();
        return Err(CryptoError::Exists { path });
    }
    let mut tree = FileTree::default();
    for org in orgs {
        tree.extend(org.files(now)?);
    }
    tree.write(root)?;
    Ok(paths)
}

/// One PEM block with 64 columns and `\n` line ends.
fn pem_block(label: &str, der: &[u8]) -> String {
    let config = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
    pem::encode_config(&pem::Pem::new(label, der), config)
}

#[cfg(test)]
mod tests;
