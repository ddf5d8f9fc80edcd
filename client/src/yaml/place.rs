//! A walk down a document that knows the way it came.

use std::fmt::Display;
use std::path::Path;

use super::{Entry, Map, Node, Scalar, Value, YamlError, YamlFault};

static NO_ENTRIES: Map = Map { entries: Vec::new() };

/// A node of a document, with what an error about it needs: file, line and the keys that lead to it.
///
/// A null counts as a map without entries and as a list without elements.
#[derive(Clone, Debug)]
pub struct Place<'a> {
    file: &'a Path,
    path: String,
    node: &'a Node,
}

impl<'a> Place<'a> {
    pub(super) fn root(file: &'a Path, node: &'a Node) -> Self {
        Self {
            file,
            path: String::new(),
            node,
        }
    }

    /// What stands here.
    pub fn node(&self) -> &'a Node {
        self.node
    }

    /// Keys from the top, such as `PeerOrgs[0].Template.Count`; empty at the top.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Where it was written, counted from 1.
    pub fn line(&self) -> usize {
        self.node.line
    }

    /// Whether it is a null.
    pub fn is_null(&self) -> bool {
        self.node.is_null()
    }

    /// An error about this place: `what` is wrong with it.
    pub fn wrong(&self, what: impl Display) -> YamlError {
        self.fault(YamlFault::Value(what.to_string()))
    }

    fn fault(&self, fault: YamlFault) -> YamlError {
        YamlError {
            file: self.file.to_owned(),
            line: Some(self.node.line),
            path: self.path.clone(),
            fault,
        }
    }

    /// It as a map.
    pub fn map(&self) -> Result<&'a Map, YamlError> {
        match &self.node.value {
            Value::Map(map) => Ok(map),
            _ if self.is_null() => Ok(&NO_ENTRIES),
            other => Err(self.wrong(format!("should be a map of keys, not {}", form(other)))),
        }
    }

    /// The value of exactly this key. Missing, or null: `None`.
    pub fn get(&self, key: &str) -> Result<Option<Self>, YamlError> {
        let entry = self.map()?.get(key);
        Ok(entry
            .map(|entry| self.below(entry))
            .filter(|place| !place.is_null()))
    }

    /// The value of this key in any letter case. Missing, or null: `None`.
    ///
    /// # Errors
    /// Also if the map has the key in two spellings.
    pub fn get_any_case(&self, key: &str) -> Result<Option<Self>, YamlError> {
        let is_it = |entry: &&Entry| entry.key.eq_ignore_ascii_case(key);
        let mut found = self.map()?.entries.iter().filter(is_it);
        let first = found.next();
        if let (Some(first), Some(second)) = (first, found.next()) {
            let mut error = self.below(second).fault(YamlFault::OtherSpelling {
                other: first.key.clone(),
                first_line: first.line,
            });
            error.line = Some(second.line);
            return Err(error);
        }
        Ok(first
            .map(|entry| self.below(entry))
            .filter(|place| !place.is_null()))
    }

    /// Every key with its value, nulls too, in the order of the file.
    pub fn entries(&self) -> Result<Vec<(&'a str, Self)>, YamlError> {
        let entries = &self.map()?.entries;
        Ok(entries
            .iter()
            .map(|entry| (entry.key.as_str(), self.below(entry)))
            .collect())
    }

    /// Every element of a list, nulls too.
    pub fn elements(&self) -> Result<Vec<Self>, YamlError> {
        match &self.node.value {
            Value::List(elements) => Ok(elements
                .iter()
                .enumerate()
                .map(|(index, node)| self.step(format!("{}[{index}]", self.path), node))
                .collect()),
            _ if self.is_null() => Ok(Vec::new()),
            other => Err(self.wrong(format!("should be a list, not {}", form(other)))),
        }
    }

    /// It as a scalar, null too.
    pub fn scalar(&self) -> Result<&'a Scalar, YamlError> {
        match &self.node.value {
            Value::Scalar(scalar) => Ok(scalar),
            other => Err(self.wrong(format!("should be a single value, not {}", form(other)))),
        }
    }

    fn below(&self, entry: &'a Entry) -> Self {
        let dot = if self.path.is_empty() { "" } else { "." };
        self.step(format!("{}{dot}{}", self.path, entry.key), &entry.value)
    }

    fn step(&self, path: String, node: &'a Node) -> Self {
        Self {
            file: self.file,
            path,
            node,
        }
    }
}

fn form(value: &Value) -> String {
    match value {
        Value::Scalar(scalar) => format!("{:?}", scalar.text),
        Value::List(_) => "a list".to_owned(),
        Value::Map(_) => "a map of keys".to_owned(),
    }
}
