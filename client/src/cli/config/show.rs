//! How an update is shown: as text for people, as JSON for scripts.

use std::io::IsTerminal as _;

use configtx::Bundle;
use serde_json::json;

use super::super::{Failure, output};
use super::report::Report;

/// How an update is shown.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Showing")]
pub(super) struct ShowArgs {
    /// Prints one JSON object on one line, at the end, in place of text.
    #[arg(long)]
    json: bool,
    /// Shows the versions of what changes.
    #[arg(long)]
    versions: bool,
}

impl ShowArgs {
    /// Shows the update, unless it comes as JSON at the end.
    pub(super) fn print(&self, report: &Report) -> Result<(), Failure> {
        if self.json {
            return Ok(());
        }
        output::line(report.text(self.versions, has_colours()))
    }

    /// Says what became of it.
    pub(super) fn finish(&self, report: &Report) -> Result<(), Failure> {
        if self.json {
            return output::json(&report.json());
        }
        match report.outcome() {
            Some(outcome) => output::line(format!("\n{outcome}")),
            None => Ok(()),
        }
    }

    /// Says that there is no update.
    pub(super) fn nothing(&self, current: &Bundle) -> Result<(), Failure> {
        if !self.json {
            return Ok(());
        }
        output::json(&json!({
            "channel": current.channel_id().as_str(),
            "sequence": current.sequence().0,
            "changes": [],
        }))
    }
}

fn has_colours() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
