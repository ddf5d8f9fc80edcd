//! `organisations.json`: which organisations a tree of identities holds and their MSP ids, which the folders
//! themselves do not say. Written by `ordain crypto`, read by `ordain genesis`.

use std::path::{Path, PathBuf};

use super::{OrgKind, OrgPaths};

/// File name, at the root of the tree.
const FILE: &str = "organisations.json";

/// The organisations of one tree.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct Manifest {
    /// In the order they were asked for.
    pub organisations: Vec<ManifestOrg>,
}

/// One organisation.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct ManifestOrg {
    /// What it runs.
    pub kind: OrgKind,
    /// Its MSP id; also its name in a channel's config.
    pub msp_id: String,
    /// Its domain.
    pub domain: String,
    /// Common names of its nodes.
    pub nodes: Vec<String>,
}

/// Why the manifest cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// The file system refused.
    #[error("cannot access {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Not the JSON it should be.
    #[error("{} does not parse: {source}", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: serde_json::Error,
    },
}

impl Manifest {
    /// Whether the tree below `root` has one.
    pub fn exists(root: &Path) -> bool {
        root.join(FILE).exists()
    }

    /// Reads the manifest of the tree below `root`.
    pub fn read(root: &Path) -> Result<Self, ManifestError> {
        let path = root.join(FILE);
        let text = std::fs::read(&path).map_err(|source| ManifestError::Io {
            path: path.clone(),
            source,
        })?;
        serde_json::from_slice(&text).map_err(|source| ManifestError::Parse { path, source })
    }

    /// Writes it into the tree below `root`, replacing one that is there.
    pub fn write(&self, root: &Path) -> Result<(), ManifestError> {
        let path = root.join(FILE);
        let text = serde_json::to_string_pretty(self).map_err(|source| ManifestError::Parse {
            path: path.clone(),
            source,
        })?;
        std::fs::write(&path, text + "\n").map_err(|source| ManifestError::Io { path, source })
    }
}

impl ManifestOrg {
    /// Its folder in the tree below `root`.
    pub fn paths(&self, root: &Path) -> OrgPaths {
        OrgPaths::below(root, self.kind, &self.domain)
    }
}
