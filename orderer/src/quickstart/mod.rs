//! `orderer quickstart`: a network to try things with, on this machine, without a file to write.
//!
//! ```text
//! layout (made once) ──> node (a process) ──> channel: join, verify ──> load ──> report ──> serve until Ctrl-C
//! ```
//!
//! | module | holds |
//! |---|---|
//! | `layout` | what lies in the folder: identities, genesis block, settings, connection file |
//! | `settings` | a node's `orderer.yaml`: written, and its ports read and changed |
//! | `ports` | free loopback ports |
//! | `node` | the node as a process that never outlives this one |
//! | `channel` | joining the channel, verifying what it holds, the load |
//! | `run` | the flow of it all |
//! | `report`, `screen` | the texts, and how they come to the terminal |
//! | `error` | what can go wrong, and what to do then |
//!
//! Not here: how identities, genesis blocks and a load are made. That is the client's library, used as anybody
//! could use it: the node gets no special treatment.

mod channel;
mod error;
mod layout;
mod node;
mod ports;
mod report;
mod run;
mod screen;
mod settings;

use std::path::PathBuf;
use std::process::ExitCode;

pub use node::stop_with_parent;

/// Most envelopes of one run: they are signed beforehand and kept in memory, about 1.4 KiB each.
const COUNT_MAX: i64 = 500_000;

/// The folder where none is named.
const FOLDER: &str = "ordain-quickstart";

const TEACHING: &str = "\
What it does: makes identities, a genesis block and settings in a folder, starts a node as a process of its
own, joins the channel `quickstart`, orders signed envelopes, verifies every block that comes back, says how
fast it was, and goes on serving until Ctrl-C. The same command again goes on with the same chain.

Examples:
  orderer quickstart                       try it
  orderer quickstart --exit                check that everything works, then stop: exit status 0 or 1
  orderer quickstart --count 100000        a longer load
  orderer quickstart --count 0             no load, just the node
  orderer quickstart --dir my-network      keep everything somewhere else

Exit status: 0 after Ctrl-C while serving, or with --exit if every acknowledged envelope came back exactly once
in a verified block; 1 if anything failed; 130 when interrupted before the load was over.

To begin anew, remove the folder. Its keys are for trying things out only.";

/// What `orderer quickstart` can be told.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = TEACHING)]
pub struct Arguments {
    /// Folder for everything: made on the first run, resumed on later ones
    #[arg(long, value_name = "FOLDER", default_value = FOLDER)]
    dir: PathBuf,
    /// How many envelopes of 1 KiB to order; 0 for none
    #[arg(
        long,
        value_name = "NUMBER",
        default_value_t = 5000,
        value_parser = clap::value_parser!(u32).range(0..=COUNT_MAX)
    )]
    count: u32,
    /// Stop after the load in place of serving
    #[arg(long)]
    exit: bool,
}

/// Runs the network until it is interrupted, or until the load is over with `--exit`.
pub fn run(arguments: &Arguments) -> ExitCode {
    match run::start(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            screen::print_error(&error);
            ExitCode::from(error.exit_code())
        }
    }
}
