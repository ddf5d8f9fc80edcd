//! Parser events into a tree.

use std::collections::BTreeMap;
use std::path::Path;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, StrInput, Tag};

use super::{BYTES_MAX, DEPTH_MAX, Entry, Map, NODE_BYTES, Node, Scalar, Value, YamlError, YamlFault};

/// The first document of `text`, or `None` if there is none.
pub(super) fn document(file: &Path, text: &str) -> Result<Option<Node>, YamlError> {
    let mut builder = Builder {
        file,
        text,
        parser: Parser::new_from_str(text),
        anchors: BTreeMap::new(),
        path: Vec::new(),
        bytes_left: BYTES_MAX,
    };
    loop {
        match builder.next()? {
            (Event::StreamEnd, _) => return Ok(None),
            (Event::DocumentStart(_), _) => break,
            _ => {}
        }
    }
    let (event, line) = builder.next()?;
    let root = builder.node(event, line)?;
    // The end of the document, and then a second one or the end: anything else is an error worth hearing.
    builder.next()?;
    builder.next()?;
    Ok(Some(root))
}

struct Builder<'a> {
    file: &'a Path,
    text: &'a str,
    parser: Parser<'a, StrInput<'a>>,
    /// What aliases stand for, by the parser's number.
    anchors: BTreeMap<usize, Node>,
    /// Keys and list indexes from the top to what is being read.
    path: Vec<String>,
    bytes_left: usize,
}

impl<'a> Builder<'a> {
    fn next(&mut self) -> Result<(Event<'a>, usize), YamlError> {
        match self.parser.next_event() {
            None => Ok((Event::StreamEnd, 0)),
            Some(Ok((event, span))) => Ok((event, span.start.line())),
            Some(Err(error)) => Err(self.wrong(error.marker().line(), self.syntax(&error))),
        }
    }

    /// The parser does not say which alias it does not know; the text does.
    fn syntax(&self, error: &ScanError) -> YamlFault {
        let mut there = self.text.chars().skip(error.marker().index());
        if error.info().contains("anchor") && there.next() == Some('*') {
            let name = there.take_while(|c| !c.is_whitespace() && !",[]{}".contains(*c));
            return YamlFault::UnknownAlias { name: name.collect() };
        }
        YamlFault::Syntax(error.info().to_owned())
    }

    fn wrong(&self, line: usize, fault: YamlFault) -> YamlError {
        YamlError {
            file: self.file.to_owned(),
            line: Some(line),
            path: self.path.concat(),
            fault,
        }
    }

    fn node(&mut self, event: Event<'a>, line: usize) -> Result<Node, YamlError> {
        self.take(line, NODE_BYTES)?;
        let (anchor, value) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.take(line, text.len())?;
                let quoted = is_quoted(style, tag.as_deref());
                let text = text.into_owned();
                (anchor, Value::Scalar(Scalar { text, quoted }))
            }
            Event::SequenceStart(anchor, _) => (anchor, Value::List(self.list()?)),
            Event::MappingStart(anchor, _) => (anchor, Value::Map(self.map()?)),
            Event::Alias(anchor) => return self.alias(anchor, line),
            _ => return Err(self.wrong(line, YamlFault::Syntax("a value should stand here".to_owned()))),
        };
        let node = Node { line, value };
        if anchor > 0 {
            let copy = self.copy(&node, line)?;
            self.anchors.insert(anchor, copy);
        }
        Ok(node)
    }

    fn list(&mut self) -> Result<Vec<Node>, YamlError> {
        let mut elements = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(elements),
                (event, line) => {
                    self.enter(format!("[{}]", elements.len()), line)?;
                    elements.push(self.node(event, line)?);
                    self.path.pop();
                }
            }
        }
    }

    fn map(&mut self) -> Result<Map, YamlError> {
        let (mut map, mut merged) = (MapBuilder::default(), None);
        loop {
            let (event, line) = self.next()?;
            if event == Event::MappingEnd {
                break;
            }
            let is_merge = is_merge_key(&event);
            let key = self.key(event, line)?;
            let dot = if self.path.is_empty() { "" } else { "." };
            self.enter(format!("{dot}{key}"), line)?;
            if let Some(first_line) = map.lines.insert(key.clone(), line) {
                return Err(self.wrong(line, YamlFault::Duplicate { first_line }));
            }
            let value = self.entry_value(line)?;
            if is_merge {
                merged = Some(self.mergeable(value)?);
            } else {
                map.entries.push(Entry { key, line, value });
            }
            self.path.pop();
        }
        if let Some(merged) = merged {
            map.merge(merged);
        }
        Ok(Map { entries: map.entries })
    }

    fn key(&mut self, event: Event<'a>, line: usize) -> Result<String, YamlError> {
        if matches!(event, Event::Scalar(..) | Event::Alias(_))
            && let Value::Scalar(scalar) = self.node(event, line)?.value
        {
            return Ok(scalar.text);
        }
        Err(self.wrong(line, YamlFault::Key))
    }

    /// The parser places a value that is not there at whatever follows it.
    fn entry_value(&mut self, key_line: usize) -> Result<Node, YamlError> {
        let (event, line) = self.next()?;
        let missing = matches!(&event, Event::Scalar(text, ScalarStyle::Plain, ..) if text.is_empty());
        self.node(event, if missing { key_line } else { line })
    }

    /// `node`, if a merge key may have it.
    fn mergeable(&self, node: Node) -> Result<Node, YamlError> {
        let is_map = |node: &Node| matches!(node.value, Value::Map(_));
        let good = match &node.value {
            Value::List(elements) => elements.iter().all(is_map),
            _ => is_map(&node),
        };
        if good {
            Ok(node)
        } else {
            Err(self.wrong(node.line, YamlFault::Merge))
        }
    }

    fn enter(&mut self, step: String, line: usize) -> Result<(), YamlError> {
        self.path.push(step);
        if self.path.len() > DEPTH_MAX {
            return Err(self.wrong(line, YamlFault::TooDeep));
        }
        Ok(())
    }

    fn alias(&mut self, anchor: usize, line: usize) -> Result<Node, YamlError> {
        // Registered when complete, so what is not there yet is being read around this alias.
        let Some(node) = self.anchors.remove(&anchor) else {
            return Err(self.wrong(line, YamlFault::AliasOfItself));
        };
        let copy = self.copy(&node, line);
        self.anchors.insert(anchor, node);
        copy
    }

    fn copy(&mut self, node: &Node, line: usize) -> Result<Node, YamlError> {
        let size = Size::of(node);
        self.take(line, size.bytes)?;
        if self.path.len() + size.depth > DEPTH_MAX {
            return Err(self.wrong(line, YamlFault::TooDeep));
        }
        Ok(node.clone())
    }

    fn take(&mut self, line: usize, bytes: usize) -> Result<(), YamlError> {
        match self.bytes_left.checked_sub(bytes) {
            Some(left) => self.bytes_left = left,
            None => return Err(self.wrong(line, YamlFault::TooLarge)),
        }
        Ok(())
    }
}

/// Whether a scalar is a text whatever it looks like.
fn is_quoted(style: ScalarStyle, tag: Option<&Tag>) -> bool {
    match tag {
        Some(tag) if tag.is_yaml_core_schema() => tag.suffix == "str",
        _ => style != ScalarStyle::Plain,
    }
}

fn is_merge_key(event: &Event<'_>) -> bool {
    matches!(event, Event::Scalar(text, ScalarStyle::Plain, ..) if text == "<<")
}

#[derive(Default)]
struct MapBuilder {
    entries: Vec<Entry>,
    /// Every key with its line.
    lines: BTreeMap<String, usize>,
}

impl MapBuilder {
    /// Adds what `source`, a map or a list of maps, has and this map has not.
    fn merge(&mut self, source: Node) {
        match source.value {
            Value::Map(map) => map.entries.into_iter().for_each(|entry| self.add_missing(entry)),
            Value::List(elements) => elements.into_iter().for_each(|element| self.merge(element)),
            Value::Scalar(_) => {}
        }
    }

    fn add_missing(&mut self, entry: Entry) {
        if !self.lines.contains_key(&entry.key) {
            self.lines.insert(entry.key.clone(), entry.line);
            self.entries.push(entry);
        }
    }
}

/// What a copy of a node costs.
#[derive(Clone, Copy)]
struct Size {
    bytes: usize,
    /// Levels below the node.
    depth: usize,
}

impl Size {
    fn of(node: &Node) -> Self {
        match &node.value {
            Value::Scalar(scalar) => Self {
                bytes: NODE_BYTES + scalar.text.len(),
                depth: 0,
            },
            Value::List(elements) => Self::around(elements.iter().map(Self::of)),
            Value::Map(map) => Self::around(map.entries.iter().map(|entry| {
                let value = Self::of(&entry.value);
                Self {
                    bytes: value.bytes + NODE_BYTES + entry.key.len(),
                    ..value
                }
            })),
        }
    }

    fn around(children: impl Iterator<Item = Self>) -> Self {
        children.fold(
            Self {
                bytes: NODE_BYTES,
                depth: 0,
            },
            |sum, child| Self {
                bytes: sum.bytes + child.bytes,
                depth: sum.depth.max(child.depth + 1),
            },
        )
    }
}
