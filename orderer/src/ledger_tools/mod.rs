//! `orderer ledger`: checks a data folder, copies channels out of it, and brings channels into one.
//!
//! ```text
//! folder ──> Inspection (ledger) ──> Sequence: links, configs ──> pipeline: data hashes, signatures ──> verify: problems
//!    └─────> index, raft log, markers ────────────────────────────────────────────────────────────────────┘
//! folder ──> Inspection ──> export: a row of records ──> import ──> Sequence, pipeline ──> a new channel of a folder
//! block files of the reference orderer ──> import --fabric ────────┘        └── all members stopped: a new raft log
//! ```
//!
//! | module | holds |
//! |---|---|
//! | `folder` | which data folder, and whether a node uses it |
//! | `reading` | what a channel's folder holds; while a node writes to it, only what is durable |
//! | `sequence` | a chain as it is read: what is checked in order, and against which config |
//! | `pipeline` | the checks that need no order, on all processors |
//! | `verify`, `witnesses` | `orderer ledger verify`; what the index and the raft log say of a chain |
//! | `problem` | what was found, in words and as JSON |
//! | `records` | a portable copy as it is read |
//! | `export`, `import` | the commands of these names |
//! | `members` | this node among a channel's members, and the raft log it begins with |
//! | `reference` | `import --fabric`: channels of a reference orderer |
//! | `bar` | how far it is, on a terminal |
//!
//! Kept here: verify and export never write into the data folder. A channel that is imported is there as a whole, every
//! block verified, or not at all.

mod bar;
mod export;
mod folder;
mod import;
mod members;
mod pipeline;
mod problem;
mod reading;
mod records;
mod reference;
mod sequence;
mod verify;
mod witnesses;

use std::fmt::Display;
use std::io::Write as _;
use std::process::ExitCode;

use clap::Subcommand;

/// The command line makes no sense, or something cannot be read or written.
const FAILED: u8 = 1;
/// Damage was found.
const DAMAGED: u8 = 2;

const TEACHING: &str = "\
Examples:
  orderer ledger verify                                 the folder that orderer.yaml names, all channels
  orderer ledger verify --location /var/ordain mychannel --json
  orderer ledger export mychannel -o mychannel.blocks
  orderer ledger import mychannel.blocks
  orderer ledger import --fabric /var/hyperledger/production/orderer --dry-run

Exit status: 0 done, and what was checked is sound; 1 for the command line, or what cannot be read or written;
2 damage was found.";

/// Checks, copies and restores the blocks on this machine's disk
///
/// verify and export read only, also while a node runs on the folder. import needs the node to be stopped.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = TEACHING)]
pub struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Clone, Debug, Subcommand)]
enum Action {
    /// Check a data folder: every block, every signature, the index, the raft log
    #[command(after_help = verify::TEACHING)]
    Verify(verify::Arguments),
    /// Copy the blocks of a channel into one file
    #[command(after_help = export::TEACHING)]
    Export(export::Arguments),
    /// Bring a channel in, from a copy or from the data folder of a reference orderer
    #[command(after_help = import::TEACHING)]
    Import(import::Arguments),
}

/// Why a command gave up.
#[derive(Debug)]
struct Failure {
    what: String,
    next: Option<String>,
    code: u8,
}

impl Failure {
    /// Something that cannot be done.
    fn new(what: impl Display) -> Self {
        Self {
            what: what.to_string(),
            next: None,
            code: FAILED,
        }
    }

    /// Blocks that are not what they should be.
    fn damaged(what: impl Display) -> Self {
        Self {
            code: DAMAGED,
            ..Self::new(what)
        }
    }

    /// What to do about it.
    fn next(self, next: impl Display) -> Self {
        Self {
            next: Some(next.to_string()),
            ..self
        }
    }
}

/// Carries out a command of `orderer ledger`.
pub fn run(arguments: &Arguments) -> ExitCode {
    let done = match &arguments.action {
        Action::Verify(arguments) => verify::run(arguments),
        Action::Export(arguments) => export::run(arguments).map(|()| ExitCode::SUCCESS),
        Action::Import(arguments) => import::run(arguments).map(|()| ExitCode::SUCCESS),
    };
    done.unwrap_or_else(|failure| {
        eprintln!("orderer: {}", failure.what);
        if let Some(next) = &failure.next {
            eprintln!("  next: {next}");
        }
        ExitCode::from(failure.code)
    })
}

/// Prints a line of results. A reader that has seen enough is no failure.
fn say(line: impl Display) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

#[cfg(test)]
mod tests;
