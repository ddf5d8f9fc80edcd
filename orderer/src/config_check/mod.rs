//! `orderer config check`: what is in force, where it came from, and whether the node would start with it.
//!
//! ```text
//! places searched ─> Config (all problems at once) ─> settings with their origins ─┐
//!                                  └─> trials: files, keys, folders, addresses ────┴─> Report ─> text, JSON
//! ```
//!
//! | module | holds |
//! |---|---|
//! | [`report`] | what came of it, as text and as JSON |
//! | [`trials`] | what the node would do at its start, without doing it |
//! | [`places`] | folders and addresses |
//! | [`authorities`] | authorities of servers that cannot be read |
//! | [`private`] | who else can read private keys |
//!
//! Nothing is made or changed: no folder, no listener, no connection.

pub mod authorities;
pub mod places;
pub mod private;
pub mod report;
pub mod trials;

use std::io::Write as _;
use std::process::ExitCode;

use crate::config::{Config, ConfigError, Environment, locate};
use report::{Finding, Report};

const TEACHING: &str = "\
What it does: reads orderer.yaml and the ORDERER_* variables as a start would, prints every setting in force and
where it came from (file and line, variable, default, or what it follows from), and tries what a start needs:
files can be read, keys belong to their certificates, dates, folders can be made, addresses are this machine's.
Secrets are never printed. Nothing is made or changed, so it may run beside the node.

Examples:
  orderer config check                                       the file that a start would find
  FABRIC_CFG_PATH=/etc/my-node orderer config check
  ORDERER_GENERAL_LISTENPORT=7055 orderer config check       with a variable that you mean to set
  orderer config check --json | jq '.findings[] | select(.level != \"ok\")'

Exit status: 0 if the node would start, also with warnings; 1 if it would not, with all the reasons.";

/// What can be done with the configuration.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Check orderer.yaml and the environment, and print what is in force
    #[command(after_help = TEACHING)]
    Check(Arguments),
}

/// How to check.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Print one JSON object, for programs
    #[arg(long)]
    json: bool,
}

/// Checks and prints; the exit status says whether the node would start.
pub fn run(Command::Check(arguments): &Command, environment: &Environment) -> ExitCode {
    let report = check(environment);
    let text = if arguments.json {
        report.json()
    } else {
        report.text()
    };
    // A reader that has gone needs nothing more.
    let _ = std::io::stdout().write_all(text.as_bytes());
    if report.would_start() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Everything there is to say about the configuration that a start in this environment would find.
pub fn check(environment: &Environment) -> Report {
    let file = match locate(environment) {
        Ok(file) => file,
        Err(error) => return Report::without_file(&error),
    };
    let config = match Config::read(&file, environment) {
        Ok(config) => config,
        Err(ConfigError::Invalid { problems, .. }) => {
            let problems = problems
                .iter()
                .map(|problem| Finding::problem(problem.located(&file)));
            return Report::of_file(file.clone(), problems.collect());
        }
        Err(error) => return Report::of_file(file, vec![Finding::problem(error.to_string())]),
    };
    let warnings = config.warnings.iter().cloned().map(Finding::warning);
    let mut findings: Vec<Finding> = warnings.collect();
    findings.extend(trials::all(&config, environment));
    Report::of_config(&config, findings)
}

#[cfg(test)]
mod tests;
