//! Standard output. A reader that has seen enough, such as `head`, ends a command in peace.

use std::fmt::Display;
use std::io::{self, Write as _};

use serde::Serialize;

use super::Failure;

/// Prints one line.
pub(super) fn line(text: impl Display) -> Result<(), Failure> {
    self::text(format_args!("{text}\n"))
}

/// Prints `text` as it is.
pub(super) fn text(text: impl Display) -> Result<(), Failure> {
    write!(io::stdout().lock(), "{text}").map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::nobody_reads(),
        _ => Failure::new(format!("cannot write to standard output: {error}")),
    })
}

/// Prints one JSON object on one line.
pub(super) fn json(value: &impl Serialize) -> Result<(), Failure> {
    line(serde_json::to_string(value).map_err(Failure::new)?)
}

/// Says on standard error what an operator should hear, and goes on.
pub(super) fn warn(warnings: &[String]) {
    for warning in warnings {
        eprintln!("warning: {warning}");
    }
}
