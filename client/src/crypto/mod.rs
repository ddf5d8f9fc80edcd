//! Making of identities: organisations with their authorities, nodes and users, laid out in the folders that
//! the reference key tool makes, so that everything that reads those reads these.
//!
//! ```text
//! config ──> OrgSpec ──> organisation ──> authority ──> certificate, key     (in memory)
//!                             └─────────> tree ──> write                     (files and modes)
//! ```
//!
//! [`make`] makes whole organisations, [`extend`] what existing ones lack; [`config`] reads what to make from a
//! `crypto-config.yaml`. The order and form of what is in a certificate: `docs/spec/tools.md` §1.
//! Differences from the reference tool, all on purpose: the subject key identifier never depends on a private
//! key, signatures always have low S, and nothing that exists is ever replaced or deleted.

mod authority;
mod certificate;
pub mod config;
mod der;
mod key;
mod manifest;
mod organisation;
mod paths;
mod tree;

use std::collections::BTreeSet;
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
    /// Two organisations would share a folder.
    #[error("two organisations of the domain {domain:?} are asked for")]
    Twice {
        /// The domain.
        domain: String,
    },
    /// A file of an existing organisation cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// Which one.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// An existing authority lacks its key or certificate.
    #[error("{} holds no file whose name ends in {ending}", folder.display())]
    NoFile {
        /// Folder of the authority.
        folder: PathBuf,
        /// `_sk` or `.pem`.
        ending: String,
    },
    /// An existing authority cannot be used.
    #[error("{}: {reason}", path.display())]
    Authority {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: &'static str,
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

    fn read(path: &Path, source: std::io::Error) -> Self {
        let path = path.to_owned();
        Self::Read { path, source }
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
/// Private keys get mode 0600. Nothing existing is changed, and after an error there is nothing new.
///
/// # Errors
/// [`CryptoError::Exists`] if one organisation's folder is there already; see the other variants for the rest.
pub fn make(root: &Path, orgs: &[OrgSpec], now: SystemTime) -> Result<Vec<OrgPaths>, CryptoError> {
    make_beside(root, orgs, Existing::Refuse, now)
}

/// Like [`make`], but an organisation's folder that is there is renamed to `DOMAIN.old` (`.old2` and so on) first.
///
/// After an error it has its name again.
pub fn make_anew(root: &Path, orgs: &[OrgSpec], now: SystemTime) -> Result<Vec<OrgPaths>, CryptoError> {
    make_beside(root, orgs, Existing::SetAside, now)
}

/// What to do with an organisation that is there already.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Existing {
    Refuse,
    SetAside,
}

fn make_beside(
    root: &Path,
    orgs: &[OrgSpec],
    existing: Existing,
    now: SystemTime,
) -> Result<Vec<OrgPaths>, CryptoError> {
    check_distinct(orgs)?;
    let paths = paths(root, orgs);
    let there: Vec<_> = paths
        .iter()
        .map(OrgPaths::root)
        .filter(|folder| folder.exists())
        .collect();
    if let (Existing::Refuse, Some(path)) = (existing, there.first()) {
        let path = PathBuf::from(path);
        return Err(CryptoError::Exists { path });
    }
    let mut tree = FileTree::default();
    for org in orgs {
        tree.extend(org.files(now)?);
    }
    let mut aside = Vec::new();
    let outcome = there
        .into_iter()
        .try_for_each(|folder| set_aside(folder, &mut aside))
        .and_then(|()| tree.write(root));
    if outcome.is_err() {
        for (folder, old) in aside {
            // The error at hand says more than that this one went wrong too.
            let _ = std::fs::rename(old, folder);
        }
    }
    outcome.map(|()| paths)
}

/// Renames `folder`, and notes both names in `aside`.
fn set_aside(folder: &Path, aside: &mut Vec<(PathBuf, PathBuf)>) -> Result<(), CryptoError> {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let names = std::iter::once(format!("{name}.old")).chain((2_u32..).map(|n| format!("{name}.old{n}")));
    let old = names
        .map(|name| folder.with_file_name(name))
        .find(|path| !path.exists());
    let old = old.unwrap_or_else(|| folder.to_owned());
    std::fs::rename(folder, &old).map_err(|source| CryptoError::write(old.clone(), source))?;
    aside.push((folder.to_owned(), old));
    Ok(())
}

/// What [`extend`] did to one organisation.
#[derive(Clone, Debug)]
pub struct Extended {
    /// Where it is.
    pub paths: OrgPaths,
    /// Whether it was made as a whole.
    pub is_new: bool,
    /// Common names of the nodes and users that were added to one that existed.
    pub added: Vec<String>,
}

/// Adds what the tree below `root` lacks: organisations, and nodes and users of organisations that it has.
///
/// Those are certified by the authorities that are there. Nothing that exists is changed (`docs/spec/tools.md`
/// §1.4), and after an error there is nothing new.
pub fn extend(root: &Path, orgs: &[OrgSpec], now: SystemTime) -> Result<Vec<Extended>, CryptoError> {
    check_distinct(orgs)?;
    let (mut tree, mut outcome) = (FileTree::default(), Vec::new());
    for (org, paths) in orgs.iter().zip(paths(root, orgs)) {
        let is_new = !paths.root().exists();
        tree.extend(if is_new {
            org.files(now)?
        } else {
            organisation::extend(org, root, now)?
        });
        let nodes = org
            .nodes
            .iter()
            .map(|node| (&node.common_name, paths.node(&node.common_name)));
        let users = org
            .users
            .iter()
            .map(|user| (&user.common_name, paths.user(&user.common_name)));
        let missing = nodes
            .chain(users)
            .filter(|(_, folder)| !is_new && !folder.exists());
        outcome.push(Extended {
            added: missing.map(|(name, _)| name.clone()).collect(),
            is_new,
            paths,
        });
    }
    tree.write(root)?;
    Ok(outcome)
}

fn paths(root: &Path, orgs: &[OrgSpec]) -> Vec<OrgPaths> {
    orgs.iter()
        .map(|org| OrgPaths::below(root, org.kind, &org.domain))
        .collect()
}

fn check_distinct(orgs: &[OrgSpec]) -> Result<(), CryptoError> {
    let mut seen = BTreeSet::new();
    match orgs.iter().find(|org| {
        !seen.insert(
            OrgPaths::below(Path::new(""), org.kind, &org.domain)
                .root()
                .to_owned(),
        )
    }) {
        Some(org) => Err(CryptoError::Twice {
            domain: org.domain.clone(),
        }),
        None => Ok(()),
    }
}

/// One PEM block with 64 columns and `\n` line ends.
fn pem_block(label: &str, der: &[u8]) -> String {
    let config = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
    pem::encode_config(&pem::Pem::new(label, der), config)
}

#[cfg(test)]
mod tests;
