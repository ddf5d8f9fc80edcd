//! What can be wrong with a YAML file, and where.

use std::fmt;
use std::path::PathBuf;

/// Something wrong in a YAML file.
#[derive(Debug)]
pub struct YamlError {
    /// The file.
    pub file: PathBuf,
    /// Line, counted from 1; `None` if it is about the file as a whole.
    pub line: Option<usize>,
    /// Keys from the top, such as `PeerOrgs[0].Template.Count`; empty at the top.
    pub path: String,
    /// What is wrong.
    pub fault: YamlFault,
}

/// What is wrong at that place.
#[derive(Debug, thiserror::Error)]
pub enum YamlFault {
    /// The file cannot be read.
    #[error("cannot be read: {0}")]
    Unreadable(std::io::Error),
    /// The file is no UTF-8.
    #[error("is not UTF-8 text")]
    NotText,
    /// Not YAML.
    #[error("not valid YAML: {0}")]
    Syntax(String),
    /// A key twice in one map.
    #[error("this key stands here a second time, after line {first_line}")]
    Duplicate {
        /// Line of the first one.
        first_line: usize,
    },
    /// A key that is matched in any letter case, in two spellings.
    #[error("this key stands here a second time, after {other} on line {first_line}")]
    OtherSpelling {
        /// The first spelling.
        other: String,
        /// Its line.
        first_line: usize,
    },
    /// A list or map as key.
    #[error("a key should be a text")]
    Key,
    /// An alias without its anchor.
    #[error("alias *{name} stands for nothing: no &{name} comes before it")]
    UnknownAlias {
        /// The name behind the star.
        name: String,
    },
    /// An alias for something that it is a part of.
    #[error("an alias stands inside of what it stands for")]
    AliasOfItself,
    /// A merge key with something else than maps.
    #[error("<< takes a map, an alias of one, or a list of those")]
    Merge,
    /// More than [`BYTES_MAX`](super::BYTES_MAX).
    #[error(
        "with its aliases written out the file is larger than {} bytes",
        super::BYTES_MAX
    )]
    TooLarge,
    /// More than [`DEPTH_MAX`](super::DEPTH_MAX).
    #[error("nested more than {} deep", super::DEPTH_MAX)]
    TooDeep,
    /// The reader of the key refuses the value.
    #[error("{0}")]
    Value(String),
}

impl fmt::Display for YamlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if !self.path.is_empty() {
            write!(f, ": {}", self.path)?;
        }
        write!(f, ": {}", self.fault)
    }
}

impl std::error::Error for YamlError {}
