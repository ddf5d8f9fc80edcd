//! `FABRIC_LOGGING_FORMAT`: what a line looks like.
//!
//! | value | line |
//! |---|---|
//! | empty | [`CONSOLE`] |
//! | `json` | an object ([`structured::json`]) |
//! | `logfmt` | `key=value` throughout ([`structured::logfmt`]) |
//! | anything else | a format string ([`pattern`](super::pattern)) |

use super::entry::Entry;
use super::pattern::Pattern;
use super::structured;

/// The format string of the default.
pub const CONSOLE: &str = "%{color}%{time:2006-01-02 15:04:05.000 MST} %{id:04x} %{level:.4s}%{color:reset} \
                           [%{module}] %{color:bold}%{shortfunc}%{color:reset} -> %{message}";

/// What a line looks like.
#[derive(Clone, Debug)]
pub enum Format {
    /// By a format string; `message` is followed by the fields at the end of the line.
    Pattern(Pattern),
    /// An object for each line.
    Json,
    /// `key=value` throughout.
    Logfmt,
}

/// Why a text is no format.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// `%{` without its end.
    #[error("invalid logging format '{format}': '{rest}' has no closing brace")]
    Open {
        /// The whole text.
        format: String,
        /// From the opening on.
        rest: String,
    },
    /// No such verb.
    #[error(
        "invalid logging format '{format}': unknown verb '{verb}'; there are color, id, level, message, module, \
         shortfunc and time"
    )]
    UnknownVerb {
        /// The whole text.
        format: String,
        /// What stands before the colon.
        verb: String,
    },
    /// A verb with something behind its colon that it does not know.
    #[error("invalid logging format '{format}': '{option}' is nothing that {verb} takes: {expected}")]
    BadOption {
        /// The whole text.
        format: String,
        /// The verb.
        verb: String,
        /// What stands behind the colon.
        option: String,
        /// What could stand there.
        expected: &'static str,
    },
}

impl Format {
    /// Reads `text`; empty means [`CONSOLE`]. Without `has_color` a format string's colours are left out.
    pub fn parse(text: &str, has_color: bool) -> Result<Self, FormatError> {
        Ok(match text {
            "json" => Self::Json,
            "logfmt" => Self::Logfmt,
            "" => Self::Pattern(Pattern::parse(CONSOLE, has_color)?),
            pattern => Self::Pattern(Pattern::parse(pattern, has_color)?),
        })
    }

    /// Appends the entry's line, with its line break.
    pub fn write(&self, entry: &Entry, line: &mut String) {
        match self {
            Self::Pattern(pattern) => pattern.write(entry, line),
            Self::Json => structured::json(entry, line),
            Self::Logfmt => structured::logfmt(entry, line),
        }
        line.push('\n');
    }
}
