//! Log lines on standard error, in the shape operators know (`docs/spec/behaviour.md` §10.4).
//!
//! ```text
//! 2026-11-21 01:37:22.702 UTC 0001 INFO [orderer.common.server] server -> Beginning to serve requests
//! ```
//!
//! | module | holds |
//! |---|---|
//! | [`spec`] | `FABRIC_LOGGING_SPEC`: which logger prints from which level on |
//! | [`names`] | from our modules to the logger names of the reference, which specs and readers use |
//! | [`format`](mod@format) | `FABRIC_LOGGING_FORMAT`: what a line looks like |
//! | [`pattern`], [`layout`] | the format strings of the reference, and the time layouts in them |
//! | [`structured`] | JSON and logfmt |
//! | [`entry`] | one event, read |
//! | [`entries`] | how many entries were checked and written, by level |
//! | [`console`] | filter, number and output |
//! | [`seldom`] | the same trouble again and again: said a few times, then counted |
//!
//! One write for each line, so that lines of threads do not mix and a reader sees each as soon as it is written.
//! Colour only on a terminal, and not where `NO_COLOR` is set. Text that comes from the network cannot forge a
//! line or send control codes.

pub mod console;
pub mod entries;
pub mod entry;
pub mod format;
pub mod layout;
pub mod names;
pub mod pattern;
pub mod seldom;
pub mod spec;
pub mod structured;

use std::io::IsTerminal;
use std::sync::Arc;

use tracing_subscriber::layer::SubscriberExt;

use crate::config::Environment;
use console::Console;
use entries::Entries;
use format::{Format, FormatError};
use spec::{Spec, SpecError};

/// Why logging did not start.
#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    /// `FABRIC_LOGGING_SPEC` cannot be read.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// `FABRIC_LOGGING_FORMAT` cannot be read.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// The process has a logger already.
    #[error("logging was started before")]
    Twice,
}

/// The running logger, to change what it prints.
#[derive(Clone, Debug)]
pub struct Logging {
    console: Arc<Console>,
}

/// Sends the log of this process to standard error, filtered by `FABRIC_LOGGING_SPEC`, in the shape that
/// `FABRIC_LOGGING_FORMAT` says.
pub fn init(environment: &Environment) -> Result<Logging, LoggingError> {
    let setting = |name: &str| environment.get(name).map_or("", String::as_str);
    let spec = Spec::parse(setting("FABRIC_LOGGING_SPEC"))?;
    let has_color = std::io::stderr().is_terminal() && setting("NO_COLOR").is_empty();
    let format = Format::parse(setting("FABRIC_LOGGING_FORMAT"), has_color)?;
    let console = Arc::new(Console::new(spec, format, Box::new(std::io::stderr())));
    let subscriber = tracing_subscriber::registry().with(console::Printing(Arc::clone(&console)));
    tracing::subscriber::set_global_default(subscriber).map_err(|_| LoggingError::Twice)?;
    Ok(Logging { console })
}

impl Logging {
    /// The spec in force, in its normal form.
    pub fn spec(&self) -> String {
        self.console.spec().to_string()
    }

    /// Puts another spec in force at once; on an error the old one stays.
    pub fn set_spec(&self, text: &str) -> Result<(), SpecError> {
        self.console.set_spec(Spec::parse(text)?);
        Ok(())
    }

    /// How many entries were checked and written so far.
    pub fn entries(&self) -> &Arc<Entries> {
        self.console.entries()
    }
}
