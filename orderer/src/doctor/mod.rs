//! `orderer doctor`: what is wrong with this node, seen from its own machine, and what to do next.
//!
//! ```text
//! config check ──> settings, files, keys, folders, dates ──┐
//! ports ─────────> who has them ──────────────────────────┼──> client::doctor::Diagnosis
//! channels ──────> configs in force, from the running node │
//!     ├─> own certificate against them ───────────────────┤
//!     └─> client::doctor::channel: the other consenters ──┘
//! ```
//!
//! | module | holds |
//! |---|---|
//! | `advice` | what to do about what the check of the settings found |
//! | `ports` | the process that listens on a port |
//! | `channels` | configs in force, and this node's place in them |
//!
//! Why there is one here and one in `ordain`: `docs/adr/020-two-doctors.md`. Nothing is made or changed.

mod advice;
mod channels;
mod ports;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use client::doctor::{Diagnosis, Finding};

use crate::config::{Config, Environment, locate};
use crate::config_check;

/// Exit code for problems and warnings.
const FOUND: u8 = 2;

const TEACHING: &str = "\
What it does: everything that orderer config check does, and then: who has the node's ports; the config in force of each
channel, asked of the running node; whether this node's TLS certificates are those that the configs have for it; and
every other consenter, dialled with this node's certificate. Each finding says what, where, and what to do next, the
worst first. Nothing is made or changed. Run it as the user the node runs as.

Examples:
  orderer doctor                                         the file that a start would find
  FABRIC_CFG_PATH=/etc/my-node orderer doctor
  orderer doctor --block mychannel.block                 the node does not start: the config from another node's
                                                         ordain channel fetch mychannel config -o mychannel.block
  orderer doctor --json | jq '.findings[] | select(.severity != \"ok\")'

Exit status: 0 nothing wrong; 1 the command line; 2 problems or warnings. From outside, for a whole cluster: ordain doctor.";

/// What to look at.
#[derive(Debug, clap::Args)]
#[command(after_help = TEACHING)]
pub struct Arguments {
    /// A config block of a channel, in place of asking the running node; may be repeated
    #[arg(long, value_name = "FILE")]
    block: Vec<PathBuf>,
    /// Print one JSON object, for programs
    #[arg(long)]
    json: bool,
}

/// Looks and prints; the exit status says whether anything was found.
pub fn run(arguments: &Arguments, environment: &Environment) -> ExitCode {
    let diagnosis = Diagnosis {
        findings: examine(arguments, environment),
    };
    let text = if arguments.json {
        serde_json::to_string(&diagnosis).unwrap_or_default() + "\n"
    } else {
        diagnosis.text()
    };
    // A reader that has gone needs nothing more.
    let _ = std::io::stdout().write_all(text.as_bytes());
    if diagnosis.is_well() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(FOUND)
    }
}

fn examine(arguments: &Arguments, environment: &Environment) -> Vec<Finding> {
    let checked = config_check::check(environment);
    let mut findings: Vec<Finding> = checked.findings().iter().filter_map(advice::of).collect();
    let config = locate(environment).and_then(|file| Config::read(&file, environment));
    // What is wrong with the settings has been said.
    let Ok(config) = config else {
        return findings;
    };
    findings.extend(ports::findings(&config));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime {
        Ok(runtime) => findings.extend(runtime.block_on(channels::findings(&config, &arguments.block))),
        Err(error) => findings.push(Finding::problem(
            "this machine",
            format!("nothing can be dialled: {error}"),
            "see the limits of this user: ulimit -a",
        )),
    }
    findings
}
