//! YAML into flat settings with line numbers. Knows nothing about keys.

use std::path::Path;

use saphyr::{MarkedYaml, ScalarStyle, YamlData, YamlLoader};

use super::ConfigError;

/// Deepest nesting taken; `orderer.yaml` needs five.
const DEPTH_MAX: usize = 16;

/// One node of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Setting {
    /// Dotted path as written.
    pub(super) path: String,
    /// Line of its key, counted from 1.
    pub(super) line: usize,
    pub(super) raw: Raw,
}

/// What is written there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Raw {
    /// Nothing, `null`, `~`, `""` or `{}`: as if the key were not there.
    Empty,
    Text(String),
    List(Vec<String>),
    /// A mapping; its children follow as settings of their own.
    Section,
    /// Something no key has, such as a list of mappings.
    Odd(&'static str),
}

/// Every node below the root of `text`, parents before children.
pub(super) fn settings(file: &Path, text: &str) -> Result<Vec<Setting>, ConfigError> {
    let broken = |line: usize, what: String| ConfigError::Yaml {
        file: file.to_owned(),
        line,
        what,
    };
    let documents = load(text).map_err(|(line, what)| broken(line, what))?;
    let mut found = Vec::new();
    match documents.as_slice() {
        [] => {}
        [root] => match &root.data {
            YamlData::Mapping(_) => walk("", root, 0, &mut found),
            data if is_empty(data) => {}
            _ => {
                return Err(broken(
                    root.span.start.line(),
                    "the file is no mapping of sections".to_owned(),
                ));
            }
        },
        [_, second, ..] => {
            return Err(broken(
                second.span.start.line(),
                "a second document begins here".to_owned(),
            ));
        }
    }
    Ok(found)
}

/// Parses without guessing types: `7050` stays text, so that the table of keys decides.
fn load(text: &str) -> Result<Vec<MarkedYaml<'_>>, (usize, String)> {
    let mut parser = saphyr_parser::Parser::new_from_str(text);
    let mut loader = YamlLoader::<MarkedYaml<'_>>::default();
    loader.early_parse(false);
    parser
        .load(&mut loader, true)
        .map_err(|error| (error.marker().line(), error.info().to_owned()))?;
    match loader.error() {
        Some(error) => Err((error.marker().line(), error.info().to_owned())),
        None => Ok(loader.into_documents()),
    }
}

fn walk(prefix: &str, node: &MarkedYaml<'_>, depth: usize, found: &mut Vec<Setting>) {
    let YamlData::Mapping(children) = &node.data else {
        return;
    };
    for (key, child) in children {
        let name = scalar(&key.data).unwrap_or("(a key that is no text)");
        let path = if prefix.is_empty() {
            name.to_owned()
        } else {
            format!("{prefix}.{name}")
        };
        let raw = if depth == DEPTH_MAX {
            Raw::Odd("nested too deeply")
        } else {
            raw(&child.data)
        };
        let nested = raw == Raw::Section;
        found.push(Setting {
            path: path.clone(),
            line: key.span.start.line(),
            raw,
        });
        if nested {
            walk(&path, child, depth + 1, found);
        }
    }
}

fn raw<'a>(data: &YamlData<'a, MarkedYaml<'a>>) -> Raw {
    match data {
        data if is_empty(data) => Raw::Empty,
        YamlData::Mapping(_) => Raw::Section,
        YamlData::Sequence(elements) => {
            let texts: Option<Vec<String>> = elements
                .iter()
                .map(|element| scalar(&element.data).map(str::to_owned))
                .collect();
            texts.map_or(Raw::Odd("a list of something else than texts"), Raw::List)
        }
        YamlData::Tagged(_, inner) => raw(&inner.data),
        data => scalar(data).map_or(Raw::Odd("neither text, list nor section"), |text| {
            Raw::Text(text.trim().to_owned())
        }),
    }
}

/// Nothing written, or one of the spellings of nothing.
fn is_empty<'a>(data: &YamlData<'a, MarkedYaml<'a>>) -> bool {
    match data {
        YamlData::Representation(text, style, _) => {
            let plain = *style == ScalarStyle::Plain;
            text.trim().is_empty() || (plain && matches!(&**text, "~" | "null" | "Null" | "NULL"))
        }
        YamlData::Mapping(children) => children.is_empty(),
        YamlData::Sequence(elements) => elements.is_empty(),
        _ => false,
    }
}

fn scalar<'a, 'b>(data: &'b YamlData<'a, MarkedYaml<'a>>) -> Option<&'b str> {
    match data {
        YamlData::Representation(text, _, _) => Some(text),
        YamlData::Tagged(_, inner) => scalar(&inner.data),
        _ => None,
    }
}
