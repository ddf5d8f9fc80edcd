//! A value of the file, or of the environment in its place, that knows where it stands.

use super::scalar::Scalar;
use crate::yaml::{Entry, Node, Value};

/// What the environment says about a name; nothing and an empty text are the same.
pub type Variables<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Where a value stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct At {
    /// Keys from the top, such as `Profiles.Raft.Orderer.BatchTimeout`.
    pub(super) path: String,
    /// Line in the file, from 1.
    pub(super) line: usize,
    /// The environment variable that gave the value.
    pub(super) variable: Option<String>,
}

/// Something wrong at a place of the file.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) at: At,
    pub(super) what: String,
}

impl At {
    pub(super) fn wrong(&self, what: impl Into<String>) -> Fault {
        Fault {
            at: self.clone(),
            what: what.into(),
        }
    }

    /// The place of a key below, which may not be there.
    pub(super) fn key(&self, key: &str) -> Self {
        let dot = if self.path.is_empty() { "" } else { "." };
        Self {
            path: format!("{}{dot}{key}", self.path),
            ..self.clone()
        }
    }
}

impl Fault {
    /// Says first what it is about, such as an organisation.
    pub(super) fn about(self, what: &str) -> Self {
        Self {
            what: format!("{what}: {}", self.what),
            ..self
        }
    }
}

/// One value and its place.
#[derive(Clone)]
pub(super) struct Setting<'a> {
    pub(super) at: At,
    given: Given<'a>,
    /// The variable that could stand in for it; none inside lists.
    variable_name: Option<String>,
    variables: Variables<'a>,
}

#[derive(Clone)]
enum Given<'a> {
    File(&'a Node),
    Environment(String),
}

impl<'a> Setting<'a> {
    pub(super) fn root(node: &'a Node, variables: Variables<'a>) -> Self {
        Self {
            at: At {
                line: node.line,
                ..At::default()
            },
            given: Given::File(node),
            variable_name: Some("CONFIGTX".to_owned()),
            variables,
        }
    }

    pub(super) fn is_null(&self) -> bool {
        matches!(self.given, Given::File(node) if node.is_null())
    }

    /// It as a scalar.
    pub(super) fn scalar(&self) -> Option<Scalar<'_>> {
        match &self.given {
            Given::Environment(text) => Some(Scalar { text, quoted: true }),
            Given::File(node) => match &node.value {
                Value::Scalar(scalar) => Some(Scalar {
                    text: &scalar.text,
                    quoted: scalar.quoted,
                }),
                Value::List(_) | Value::Map(_) => None,
            },
        }
    }

    /// It as a map: every key with its value, nulls too.
    pub(super) fn entries(&self) -> Option<Vec<(&'a str, Self)>> {
        match self.given {
            Given::File(Node {
                value: Value::Map(map),
                ..
            }) => {
                let each = map.entries.iter();
                Some(
                    each.map(|entry| (entry.key.as_str(), self.below(entry)))
                        .collect(),
                )
            }
            _ => None,
        }
    }

    /// It as a list.
    pub(super) fn elements(&self) -> Option<Vec<Self>> {
        let Given::File(Node {
            value: Value::List(nodes),
            ..
        }) = self.given
        else {
            return None;
        };
        let element = |(index, node): (usize, &'a Node)| Self {
            at: At {
                path: format!("{}[{index}]", self.at.path),
                line: node.line,
                variable: None,
            },
            given: Given::File(node),
            variable_name: None,
            variables: self.variables,
        };
        Some(nodes.iter().enumerate().map(element).collect())
    }

    fn below(&self, entry: &'a Entry) -> Self {
        let name = |parent: &String| format!("{parent}_{}", entry.key.to_uppercase().replace('.', "_"));
        let variable_name = self.variable_name.as_ref().map(name);
        let variable = variable_name
            .as_ref()
            .and_then(|name| (self.variables)(name))
            .filter(|value| !value.is_empty());
        let mut at = self.at.key(&entry.key);
        at.line = entry.value.line;
        at.variable = variable_name.clone().filter(|_| variable.is_some());
        Self {
            at,
            given: variable.map_or(Given::File(&entry.value), Given::Environment),
            variable_name,
            variables: self.variables,
        }
    }

    /// An error that says what should stand here.
    pub(super) fn expected(&self, expected: &str) -> Fault {
        let found = match &self.given {
            Given::Environment(text) => format!("{text:?}"),
            Given::File(node) if node.is_null() => "nothing".to_owned(),
            Given::File(node) => match &node.value {
                Value::Scalar(scalar) => format!("{:?}", scalar.text),
                Value::List(_) => "a list".to_owned(),
                Value::Map(_) => "a map of keys".to_owned(),
            },
        };
        self.at.wrong(format!("should be {expected}, not {found}"))
    }
}
