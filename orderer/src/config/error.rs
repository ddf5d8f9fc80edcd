//! What can be wrong with a configuration, all of it at once.

use std::fmt;
use std::path::{Path, PathBuf};

/// Why there is no [`Config`](super::Config). Every variant ends the process with exit code 1.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// No file in any of the places.
    #[error(
        "no orderer.yaml found; searched in {}. Set FABRIC_CFG_PATH to the folder that holds it, \
         or try `orderer quickstart` for a network that needs no file",
        joined(.searched)
    )]
    NotFound {
        /// The folders, in the order they were searched.
        searched: Vec<PathBuf>,
    },
    /// The file is there but cannot be read.
    #[error("cannot read {}: {source}", .file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is not YAML.
    #[error("{}:{line}: not valid YAML: {what}", .file.display())]
    Yaml {
        /// The file.
        file: PathBuf,
        /// Line, counted from 1.
        line: usize,
        /// What the parser said.
        what: String,
    },
    /// Keys or values are wrong.
    #[error("{}", listed(.file, .problems))]
    Invalid {
        /// The file.
        file: PathBuf,
        /// Everything that is wrong.
        problems: Vec<Problem>,
    },
}

/// One thing that is wrong with one setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where the setting came from.
    pub origin: Origin,
    /// What is wrong, naming the key.
    pub what: String,
}

/// Where a setting came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A line of the file, counted from 1.
    Line(usize),
    /// An environment variable.
    Variable(String),
    /// Neither: the default, or a key that is missing.
    Default,
    /// Not set; what is in force follows from this, another key or a place.
    Derived(&'static str),
}

impl Origin {
    /// In words; `file` is the configuration's.
    pub fn describe(&self, file: &Path) -> String {
        match self {
            Self::Line(line) => format!("{}:{line}", file.display()),
            Self::Variable(name) => name.clone(),
            Self::Default => "default".to_owned(),
            Self::Derived(from) => format!("from {from}"),
        }
    }
}

fn joined(paths: &[PathBuf]) -> String {
    let shown: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
    shown.join(", ")
}

fn listed(file: &Path, problems: &[Problem]) -> String {
    let lines: Vec<String> = problems.iter().map(|problem| problem.located(file)).collect();
    lines.join("\n")
}

impl Problem {
    /// What is wrong, with its place before it; `file` is the configuration's.
    pub fn located(&self, file: &Path) -> String {
        match &self.origin {
            Origin::Line(line) => format!("{}:{line}: {}", file.display(), self.what),
            Origin::Variable(name) => format!("environment variable {name}: {}", self.what),
            Origin::Default | Origin::Derived(_) => format!("{}: {}", file.display(), self.what),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}
