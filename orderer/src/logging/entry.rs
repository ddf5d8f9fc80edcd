//! One log event, read: everything that a line can show.

use std::borrow::Cow;
use std::fmt;

use jiff::Timestamp;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata};

use super::names::logger;

/// One event.
#[derive(Debug)]
pub struct Entry {
    /// When it was written.
    pub time: Timestamp,
    /// Its number in this process, from 1.
    pub number: u64,
    metadata: &'static Metadata<'static>,
    /// What it says.
    pub message: String,
    /// What it says it about, in the order of the code.
    pub fields: Vec<(&'static str, Value)>,
}

/// A field's value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Text that may have blanks in it.
    Text(String),
    /// How something shows itself.
    Shown(String),
    /// A number or a truth value, in digits or letters.
    Literal(String),
}

impl Value {
    /// Its characters.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Text(text) | Self::Shown(text) | Self::Literal(text) => text,
        }
    }
}

impl Entry {
    /// Reads an event; time and number are those of the line.
    pub fn read(event: &Event<'_>) -> Self {
        let mut entry = Self {
            time: Timestamp::UNIX_EPOCH,
            number: 0,
            metadata: event.metadata(),
            message: String::new(),
            fields: Vec::new(),
        };
        event.record(&mut entry);
        entry
    }

    /// Its level.
    pub fn level(&self) -> Level {
        *self.metadata.level()
    }

    /// Name of its logger.
    pub fn logger(&self) -> Cow<'_, str> {
        logger(self.metadata.target())
    }

    /// The module that says it, without those around it: what the reference shows of a function.
    pub fn place(&self) -> &str {
        let path = self.metadata.module_path();
        path.and_then(|path| path.rsplit("::").next()).unwrap_or("-")
    }

    /// File and line in the code, with the folder that the file is in: `server/mod.rs:208`.
    pub fn caller(&self) -> String {
        let file = self.metadata.file().unwrap_or("-");
        let short = match file.rmatch_indices('/').nth(1) {
            Some((slash, _)) => &file[slash + 1..],
            None => file,
        };
        format!("{short}:{}", self.metadata.line().unwrap_or(0))
    }

    fn record(&mut self, field: &Field, value: Value) {
        if field.name() == "message" {
            let (Value::Text(text) | Value::Shown(text) | Value::Literal(text)) = value;
            self.message = text;
        } else {
            self.fields.push((field.name(), value));
        }
    }
}

impl Visit for Entry {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record(field, Value::Shown(format!("{value:?}")));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.record(field, Value::Text(value.to_owned()));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.record(field, Value::Literal(value.to_string()));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.record(field, Value::Literal(value.to_string()));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.record(field, Value::Literal(value.to_string()));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        let text = value.to_string();
        // JSON has no other numbers.
        let value = if value.is_finite() {
            Value::Literal(text)
        } else {
            Value::Shown(text)
        };
        self.record(field, value);
    }
}
