//! YAML as a tree that knows where everything stands, for the files of the operator tools.
//!
//! ```text
//! read, parse ──> build (aliases, merge keys) ──> Document ──> Place: a walk with key path and line
//! ```
//!
//! Types are not guessed: a scalar keeps its text and whether it was quoted, since the files that are read here
//! have different rules for the same text (`docs/spec/tools.md` §1.1, §2.2). What both share is done here:
//!
//! * only the first document of a file counts;
//! * a key twice in one map is an error;
//! * aliases stand for a copy of what they name, within [`BYTES_MAX`] and [`DEPTH_MAX`] for the whole tree;
//! * merge keys (`<<`): a key given explicitly wins wherever it stands, also with null; of several merged maps the
//!   first wins; maps inside are taken whole and not merged again.
//!
//! Not here: what keys there are.

mod build;
mod error;
mod place;

use std::path::{Path, PathBuf};

pub use error::{YamlError, YamlFault};
pub use place::Place;

/// Largest tree, aliases written out: texts plus `NODE_BYTES` a node. Real files stay far below a mebibyte.
pub const BYTES_MAX: usize = 16 << 20;
/// What a node counts beside its text.
const NODE_BYTES: usize = 64;
/// Deepest nesting of maps and lists. Real files need about eight.
pub const DEPTH_MAX: usize = 64;

/// The first document of a file.
#[derive(Clone, Debug)]
pub struct Document {
    file: PathBuf,
    root: Option<Node>,
}

/// One value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Where it was written, counted from 1; behind an alias that is the place of the anchor.
    pub line: usize,
    /// What it is.
    pub value: Value,
}

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A text, number, bool or null: which of them, the reader of the key decides.
    Scalar(Scalar),
    /// A list.
    List(Vec<Node>),
    /// A map.
    Map(Map),
}

/// A scalar as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scalar {
    /// Its text, escapes and folding resolved.
    pub text: String,
    /// Whether it is a text for certain: in quotes, a block text, or tagged `!!str`.
    pub quoted: bool,
}

impl Scalar {
    /// Nothing written, or one of the spellings of nothing.
    pub fn is_null(&self) -> bool {
        !self.quoted && matches!(self.text.as_str(), "" | "~" | "null" | "Null" | "NULL")
    }
}

/// A map in the order of the file; what came by merge keys follows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Map {
    /// Its entries; no key stands twice.
    pub entries: Vec<Entry>,
}

/// A key and its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The key as written, without quotes.
    pub key: String,
    /// Line of the key, counted from 1.
    pub line: usize,
    /// The value, possibly null.
    pub value: Node,
}

impl Map {
    /// The entry of exactly this key.
    pub fn get(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }
}

impl Node {
    /// Whether it is a null.
    pub fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar(scalar) if scalar.is_null())
    }
}

impl Document {
    /// Whether the file holds no document at all: nothing, or only comments. `{}`, `null` and `---` are documents.
    pub fn is_empty(&self) -> bool {
        self.root.is_none()
    }

    /// The top of the tree; `None` if the file [is empty](Self::is_empty).
    pub fn root(&self) -> Option<Place<'_>> {
        self.root.as_ref().map(|root| Place::root(&self.file, root))
    }

    /// The file it was read from.
    pub fn file(&self) -> &Path {
        &self.file
    }
}

/// Reads and parses `file`.
pub fn read(file: &Path) -> Result<Document, YamlError> {
    let whole = |fault| YamlError {
        file: file.to_owned(),
        line: None,
        path: String::new(),
        fault,
    };
    let bytes = std::fs::read(file).map_err(|error| whole(YamlFault::Unreadable(error)))?;
    let text = String::from_utf8(bytes).map_err(|_| whole(YamlFault::NotText))?;
    parse(file, &text)
}

/// Parses `text`; `file` is what errors name.
pub fn parse(file: &Path, text: &str) -> Result<Document, YamlError> {
    Ok(Document {
        file: file.to_owned(),
        root: build::document(file, text)?,
    })
}

#[cfg(test)]
mod tests;
