//! Why a configtx.yaml is of no use.

use std::fmt;
use std::path::{Path, PathBuf};

use configtx::genesis::GenesisError;

use super::setting::Fault;
use crate::yaml::YamlError;

/// Why nothing was made out of a configtx.yaml.
#[derive(Debug, thiserror::Error)]
pub enum ConfigtxError {
    /// There is no file.
    #[error("no configtx.yaml or configtx.yml in {}", list(searched.iter().map(|folder| shown(folder))))]
    NotFound {
        /// The folders that were looked into.
        searched: Vec<PathBuf>,
    },
    /// It cannot be read, or it is no YAML.
    #[error(transparent)]
    Yaml(#[from] YamlError),
    /// Nothing in it.
    #[error("{} is empty", file.display())]
    Empty {
        /// The file.
        file: PathBuf,
    },
    /// A key or a value that should not be there, or is missing, or names a file that is of no use.
    #[error("{}:{line}: {}{what}{}", file.display(), before(path), origin(variable.as_ref()))]
    Setting {
        /// The file.
        file: PathBuf,
        /// Line in it, from 1.
        line: usize,
        /// Keys from the top, such as `Profiles.Raft.Orderer.BatchTimeout`.
        path: String,
        /// The environment variable that the value came from.
        variable: Option<String>,
        /// What is wrong with it.
        what: String,
    },
    /// No profile of this name.
    #[error("{} has no profile {name}; it has {}", file.display(), list(known.iter()))]
    NoProfile {
        /// The file.
        file: PathBuf,
        /// As asked for.
        name: String,
        /// Those there are.
        known: Vec<String>,
    },
    /// No organisation of this name.
    #[error("{} has no organisation named {name}; it has {}", file.display(), list(known.iter()))]
    NoOrganization {
        /// The file.
        file: PathBuf,
        /// As asked for.
        name: String,
        /// Those there are.
        known: Vec<String>,
    },
    /// What was given contradicts itself, or something is missing.
    #[error("{}: {source}", file.display())]
    Genesis {
        /// The file.
        file: PathBuf,
        /// What.
        source: GenesisError,
    },
}

impl ConfigtxError {
    pub(super) fn setting(file: &Path, Fault { at, what }: Fault) -> Self {
        Self::Setting {
            file: file.to_owned(),
            line: at.line,
            path: at.path,
            variable: at.variable,
            what,
        }
    }
}

fn list(names: impl ExactSizeIterator<Item: fmt::Display>) -> String {
    if names.len() == 0 {
        return "none".to_owned();
    }
    let names: Vec<_> = names.map(|name| name.to_string()).collect();
    names.join(", ")
}

fn shown(folder: &Path) -> String {
    if folder.as_os_str().is_empty() {
        return "the current folder".to_owned();
    }
    folder.display().to_string()
}

fn before(path: &str) -> String {
    if path.is_empty() {
        String::new()
    } else {
        format!("{path}: ")
    }
}

fn origin(variable: Option<&String>) -> String {
    variable.map_or_else(String::new, |name| {
        format!(" (from the environment variable {name})")
    })
}
