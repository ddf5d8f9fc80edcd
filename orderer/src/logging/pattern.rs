//! The reference's format strings: text with verbs `%{name}` or `%{name:option}` in it.
//!
//! | verb | shows | option |
//! |---|---|---|
//! | `color` | the level's colour from here on | `bold`; `reset`: no colour from here on |
//! | `id` | the line's number | a number's format of Go without its percent sign: `04x` |
//! | `level` | `INFO` | a text's format: `.4s`, `-5s` |
//! | `message` | what is said | a text's format |
//! | `module` | the logger | a text's format |
//! | `shortfunc` | the module of the code, without those around it | a text's format |
//! | `time` | when | a time layout of Go ([`layout`](mod@super::layout)) |
//!
//! The fields of an entry follow at the end of the line, ` key=value` for each.

use std::fmt::Write as _;

use tracing::Level;

use super::entry::{Entry, Value};
use super::format::FormatError;
use super::layout::{self, Layout};

/// A format string, read.
#[derive(Clone, Debug)]
pub struct Pattern {
    parts: Vec<Part>,
    has_color: bool,
}

#[derive(Clone, Debug)]
enum Part {
    Literal(String),
    Color,
    Bold,
    Reset,
    Id(Number),
    Level(Text),
    Message(Text),
    Module(Text),
    ShortFunc(Text),
    Time(Layout),
}

/// How wide something is.
#[derive(Clone, Copy, Debug, Default)]
struct Width {
    least: usize,
    is_left: bool,
    has_zeros: bool,
}

/// How a number is shown.
#[derive(Clone, Copy, Debug)]
struct Number {
    width: Width,
    verb: char,
}

/// How a text is shown.
#[derive(Clone, Copy, Debug, Default)]
struct Text {
    width: Width,
    characters_max: Option<usize>,
    is_quoted: bool,
}

/// Longest width or precision; a line must not be larger than the text for it.
const WIDTH_MAX: usize = 256;

const NUMBERS: &str = "a number's format of Go, such as 04x";
const TEXTS: &str = "a text's format of Go, such as .4s or -5s";

impl Pattern {
    /// Reads a format string. Without `has_color` its colours are left out.
    pub fn parse(text: &str, has_color: bool) -> Result<Self, FormatError> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find("%{") {
            if at > 0 {
                parts.push(Part::Literal(rest[..at].to_owned()));
            }
            let inside = &rest[at + 2..];
            let end = inside.find('}').ok_or_else(|| FormatError::Open {
                format: text.to_owned(),
                rest: rest[at..].to_owned(),
            })?;
            parts.push(Part::parse(text, &inside[..end])?);
            rest = &inside[end + 1..];
        }
        parts.push(Part::Literal(rest.to_owned()));
        Ok(Self { parts, has_color })
    }

    /// Appends an entry, without a line break at its end.
    pub fn write(&self, entry: &Entry, line: &mut String) {
        for part in &self.parts {
            self.write_part(part, entry, line);
        }
        for (name, value) in &entry.fields {
            // Writing to a String cannot fail.
            let _ = write!(line, " {name}={}", harmless(&field(value)));
        }
    }

    fn write_part(&self, part: &Part, entry: &Entry, line: &mut String) {
        match part {
            Part::Literal(text) => line.push_str(text),
            Part::Time(layout) => layout.write(entry.time, line),
            Part::Id(number) => number.write(entry.number, line),
            Part::Level(text) => text.write(level(entry.level()), line),
            Part::Message(text) => text.write(&harmless(&entry.message), line),
            Part::Module(text) => text.write(&entry.logger(), line),
            Part::ShortFunc(text) => text.write(entry.place(), line),
            Part::Color | Part::Bold | Part::Reset if !self.has_color => {}
            Part::Color => drop(write!(line, "\u{1b}[{}m", color(entry.level()))),
            Part::Bold => drop(write!(line, "\u{1b}[{};1m", color(entry.level()))),
            Part::Reset => line.push_str("\u{1b}[0m"),
        }
    }
}

impl Part {
    fn parse(format: &str, inside: &str) -> Result<Self, FormatError> {
        let (verb, option) = match inside.split_once(':') {
            Some((verb, option)) => (verb, option),
            None => (inside, ""),
        };
        let bad = |expected| FormatError::BadOption {
            format: format.to_owned(),
            verb: verb.to_owned(),
            option: option.to_owned(),
            expected,
        };
        let number = || Number::parse(option).ok_or_else(|| bad(NUMBERS));
        let text = || Text::parse(option).ok_or_else(|| bad(TEXTS));
        Ok(match (verb, option) {
            ("color", "") => Self::Color,
            ("color", "bold") => Self::Bold,
            ("color", "reset") => Self::Reset,
            ("color", _) => return Err(bad("bold or reset")),
            ("id", _) => Self::Id(number()?),
            ("level", _) => Self::Level(text()?),
            ("message", _) => Self::Message(text()?),
            ("module", _) => Self::Module(text()?),
            ("shortfunc", _) => Self::ShortFunc(text()?),
            ("time", "") => Self::Time(Layout::parse(layout::DEFAULT)),
            ("time", layout) => Self::Time(Layout::parse(layout)),
            _ => {
                return Err(FormatError::UnknownVerb {
                    format: format.to_owned(),
                    verb: verb.to_owned(),
                });
            }
        })
    }
}

impl Width {
    /// Takes flags and width off the front of a format.
    fn parse(format: &str) -> Option<(Self, &str)> {
        let after_flags = format.trim_start_matches(['-', '0']);
        let flags = &format[..format.len() - after_flags.len()];
        let (least, rest) = digits(after_flags)?;
        let width = Self {
            least: least.unwrap_or(0),
            is_left: flags.contains('-'),
            has_zeros: flags.contains('0'),
        };
        Some((width, rest))
    }

    fn write(self, text: &str, line: &mut String) {
        let missing = self.least.saturating_sub(text.chars().count());
        let padding = |with: &str| with.repeat(missing);
        match (self.is_left, self.has_zeros) {
            (true, _) => *line += &(text.to_owned() + &padding(" ")),
            (false, true) => *line += &(padding("0") + text),
            (false, false) => *line += &(padding(" ") + text),
        }
    }
}

/// Takes a number off the front of a text; none where it is too large.
fn digits(text: &str) -> Option<(Option<usize>, &str)> {
    let rest = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let digits = &text[..text.len() - rest.len()];
    if digits.is_empty() {
        return Some((None, rest));
    }
    let number = digits.parse().ok().filter(|number| *number <= WIDTH_MAX)?;
    Some((Some(number), rest))
}

impl Number {
    fn parse(format: &str) -> Option<Self> {
        if format.is_empty() {
            return Self::parse("d");
        }
        let (width, verb) = Width::parse(format)?;
        let verb = Some(verb).filter(|verb| matches!(*verb, "d" | "v" | "x" | "X" | "o" | "b"))?;
        Some(Self {
            width,
            verb: verb.chars().next()?,
        })
    }

    fn write(self, number: u64, line: &mut String) {
        let text = match self.verb {
            'x' => format!("{number:x}"),
            'X' => format!("{number:X}"),
            'o' => format!("{number:o}"),
            'b' => format!("{number:b}"),
            _ => number.to_string(),
        };
        self.width.write(&text, line);
    }
}

impl Text {
    fn parse(format: &str) -> Option<Self> {
        if format.is_empty() {
            return Some(Self::default());
        }
        let (width, rest) = Width::parse(format)?;
        let (characters_max, verb) = match rest.strip_prefix('.') {
            Some(rest) => {
                let (precision, verb) = digits(rest)?;
                (Some(precision.unwrap_or(0)), verb)
            }
            None => (None, rest),
        };
        matches!(verb, "s" | "v" | "q").then_some(Self {
            width,
            characters_max,
            is_quoted: verb == "q",
        })
    }

    fn write(self, text: &str, line: &mut String) {
        let end = self
            .characters_max
            .and_then(|count| text.char_indices().nth(count));
        let text = end.map_or(text, |(end, _)| &text[..end]);
        if self.is_quoted {
            self.width.write(&format!("{text:?}"), line);
        } else if self.width.least == 0 {
            line.push_str(text);
        } else {
            self.width.write(text, line);
        }
    }
}

/// In capitals; what Fabric calls payload is below debug.
fn level(level: Level) -> &'static str {
    match level {
        Level::ERROR => "ERROR",
        Level::WARN => "WARN",
        Level::INFO => "INFO",
        Level::DEBUG => "DEBUG",
        Level::TRACE => "PAYLOAD",
    }
}

/// The colour's number.
fn color(level: Level) -> u8 {
    match level {
        Level::ERROR => 31,
        Level::WARN => 33,
        Level::INFO => 34,
        Level::DEBUG => 36,
        Level::TRACE => 35,
    }
}

/// Text stands without quotes, unless it has blanks in it.
fn field(value: &Value) -> std::borrow::Cow<'_, str> {
    match value {
        Value::Text(text) if text.is_empty() || text.contains([' ', '"', '=']) => format!("{text:?}").into(),
        other => other.as_str().into(),
    }
}

/// No control codes; a line break goes on with a tab, so that no part of a message can pass for a line of its
/// own.
fn harmless(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.trim_end_matches('\n').chars() {
        match character {
            '\n' => safe.push_str("\n\t"),
            '\t' => safe.push('\t'),
            control if control.is_control() => safe.extend(control.escape_default()),
            other => safe.push(other),
        }
    }
    safe
}
