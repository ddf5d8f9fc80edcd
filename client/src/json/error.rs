//! Why a message cannot be shown as JSON, or JSON not be read as a message.

use std::fmt;

use super::{DEPTH_MAX, TEXT_DEPTH_MAX};

/// Longest piece of the input that a message repeats, in characters.
const REPEATED_MAX: usize = 100;

/// A piece of the input, as a message repeats it.
pub(super) fn shortened(text: &str) -> String {
    let end = text.char_indices().nth(REPEATED_MAX);
    match end.and_then(|(end, _)| text.get(..end)) {
        Some(start) => format!("{start}..."),
        None => text.to_owned(),
    }
}

/// A refusal, with the place it is about.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// No message has this name.
    #[error("there is no message type {name}")]
    UnknownType {
        /// The name that was asked for.
        name: String,
    },
    /// The name is that of an enum.
    #[error("{name} is an enum, not a message type")]
    EnumType {
        /// The name that was asked for.
        name: String,
    },
    /// The text is no JSON.
    #[error("line {line}, column {column}: {reason}")]
    Syntax {
        /// From 1.
        line: usize,
        /// From 1, in characters.
        column: usize,
        /// What is wrong there.
        reason: SyntaxError,
    },
    /// A member of the document, or a field of the message.
    #[error("{path}: {reason}")]
    Member {
        /// Where.
        path: MemberPath,
        /// What is wrong with it.
        reason: Reason,
    },
}

impl JsonError {
    /// The same error, seen from one level further up.
    pub(super) fn below(mut self, name: &str) -> Self {
        if let Self::Member { path, .. } = &mut self {
            path.0.push(shortened(name));
        }
        self
    }
}

impl From<Reason> for JsonError {
    fn from(reason: Reason) -> Self {
        Self::Member {
            path: MemberPath::default(),
            reason,
        }
    }
}

/// Names of members from the root down, written like `/payload/header/channel_header`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemberPath(
    /// The innermost first: the path is put together on the way out.
    Vec<String>,
);

impl fmt::Display for MemberPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("the message");
        }
        self.0.iter().rev().try_for_each(|name| write!(f, "/{name}"))
    }
}

/// Why a text is no JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SyntaxError {
    /// It ends too early.
    #[error("the text ends inside of a value")]
    End,
    /// Something else is wanted here.
    #[error("expected {0}")]
    Expected(&'static str),
    /// No number.
    #[error("this is no number")]
    Number,
    /// A backslash and something that may not follow it.
    #[error("this is no escape sequence")]
    Escape,
    /// A character below U+0020 in a text.
    #[error("control characters must be escaped")]
    Control,
    /// Lists and objects in each other, deeper than anything a message has.
    #[error("nested deeper than {TEXT_DEPTH_MAX}")]
    TooDeep,
}

/// What is wrong with a member or field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// The bytes are not those of a message.
    #[error("not a {type_name}: {source}")]
    NotProtobuf {
        /// The message that should be there.
        type_name: String,
        /// What is wrong with the bytes.
        source: prost::DecodeError,
    },
    /// Messages within messages beyond what anybody reads.
    #[error("messages are nested deeper than {DEPTH_MAX}")]
    TooDeep,
    /// The header names a type whose data has no known message.
    #[error("data of header type {0} has no known message")]
    PayloadType(i32),
    /// The header is what says which message the data is.
    #[error("data without a header has no known message")]
    NoHeader,
    /// Only endorser transactions have a known extension.
    #[error("an extension is known for endorser transactions (type 3) only, this is type {0}")]
    Extension(i32),
    /// A policy of a type without known content.
    #[error("a policy of type {0} has no known content")]
    PolicyType(i32),
    /// An MSP of a type without known content.
    #[error("an MSP of type {0} has no known config")]
    MspType(i32),
    /// A principal of a class without known content.
    #[error("a principal of class {0} has no known content")]
    PrincipalClass(String),
    /// A read-write set of an unknown model.
    #[error("data model {0} is not known")]
    DataModel(i32),
    /// A config value that has no meaning at its place.
    #[error("no config value of this name is known here")]
    UnknownValue,
    /// A config group that has no meaning at its place.
    #[error("no config group of this name is known here")]
    UnknownGroup,
    /// A map whose entries have no known meaning.
    #[error("no entry is known here")]
    UnknownEntry,
    /// A time that cannot be written.
    #[error("{seconds} s and {nanos} ns is no time of the years 1 to 9999")]
    Time {
        /// Since 1970.
        seconds: i64,
        /// Of the second.
        nanos: i32,
    },
    /// The message has no such field.
    #[error("{type_name} has no such field")]
    UnknownField {
        /// The message.
        type_name: String,
    },
    /// Two members stand for one field.
    #[error("this field is given twice, under both of its names")]
    Twice,
    /// Two members of which only one may be there.
    #[error("{0} is given too, and only one of them can be")]
    OneOf(String),
    /// Another kind of JSON value is wanted.
    #[error("expected {expected}, got {got}")]
    Expected {
        /// What the field takes.
        expected: &'static str,
        /// What is there.
        got: String,
    },
    /// A number that is none, or does not fit.
    #[error("{got} is no {expected}")]
    Number {
        /// What the field takes.
        expected: &'static str,
        /// What is there.
        got: String,
    },
    /// An enum has no such name.
    #[error("{got:?} is none of {expected}")]
    EnumName {
        /// All its names.
        expected: String,
        /// What is there.
        got: String,
    },
    /// Bytes are written as base64.
    #[error("{0:?} is no base64")]
    Base64(String),
    /// Times are written in RFC 3339.
    #[error("{0:?} is no time like 2026-03-01T01:02:03.5Z")]
    Timestamp(String),
    /// Fields of a kind that no message of ours has.
    #[error("fields of this kind are not supported")]
    Unsupported,
}
