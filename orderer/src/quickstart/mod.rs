//! `orderer quickstart`: a network to try things with, on this machine, without a file to write.
//!
//! ```text
//! layout (made once) ──> nodes (processes) ──> channel: join ──> order: load, drill, ledgers ──> report ──> serve
//!                          └──────────── members: how each stands, for the table and the drill
//! ```
//!
//! | module | holds |
//! |---|---|
//! | `layout` | what lies in the folder: identities, genesis block, settings, connection file |
//! | `settings` | a node's `orderer.yaml`: written, and its ports read and changed |
//! | `ports` | free loopback ports |
//! | `node`, `nodes` | a node as a process that never outlives this one; all of them, watched |
//! | `channel` | joining the channel, verifying what it holds |
//! | `members` | how each node stands, asked again and again |
//! | `order` | the load |
//! | `drill` | the leader is killed in the middle of it, and comes back |
//! | `ledgers` | the ledgers of all nodes side by side |
//! | `run` | the flow of it all |
//! | `report`, `table`, `summary` | the texts: on the way, how the nodes stand, and what came of it all |
//! | `commands` | how other programs of ours are called from where the user is |
//! | `screen` | how texts come to the terminal |
//! | `error` | what can go wrong, and what to do then |
//!
//! Not here: how identities, genesis blocks and a load are made. That is the client's library, used as anybody
//! could use it: the node gets no special treatment.

mod channel;
mod commands;
mod drill;
mod error;
mod layout;
mod ledgers;
mod members;
mod node;
mod nodes;
mod order;
mod ports;
mod report;
mod run;
mod screen;
mod settings;
mod summary;
mod table;

use std::path::PathBuf;
use std::process::ExitCode;

pub use node::stop_with_parent;

use error::QuickstartError;
use layout::Size;

/// Most envelopes of one run: they are signed beforehand and kept in memory, about 1.4 KiB each.
const COUNT_MAX: i64 = 500_000;
/// Envelopes of one run where nobody says how many.
const COUNT: u32 = 5000;
/// The same where the leader is to fall in the middle: long enough that there is one.
const COUNT_WITH_FALL: u32 = 20_000;

/// Nodes of a new network where nobody says how many. One has its first envelope in a block half a second after the
/// command; three, with their processes and their election on the same two cores, after 0.9 s, and when they come back
/// and must elect anew after 0.9 to 2.3 s (2026-11-21, load average near 5).
const NODES: usize = 1;
/// The same where the leader is to fall: the fewest of which one can be missing.
const NODES_WITH_FALL: usize = 3;
const NO_SUCCESSOR: &str =
    "--kill-leader needs a network of 3 or 5 nodes: of one node nobody is left to lead";

/// The folder where none is named; a number of nodes that is not the usual one stands behind it.
const FOLDER: &str = "ordain-quickstart";

const TEACHING: &str = "\
What it does: makes identities, a genesis block and settings in a folder, starts the nodes as processes of
their own, joins the channel `quickstart`, orders signed envelopes, verifies every block that comes back, says
how fast it was, and goes on serving until Ctrl-C. The same command again goes on with the same chain.

One node orders by itself. Three or five order together with Raft: while most of them run, the channel goes on.
A table shows who leads, in which term, and how many blocks each node has.

Examples:
  orderer quickstart                       try it
  orderer quickstart --nodes 3             three nodes with Raft
  orderer quickstart --kill-leader --exit  three nodes; the leader is killed in the middle of the load
  orderer quickstart --exit                check that everything works, then stop: exit status 0 or 1
  orderer quickstart --count 100000        a longer load
  orderer quickstart --count 0             no load, just the nodes
  orderer quickstart --dir my-network      keep everything somewhere else

Exit status: 0 after Ctrl-C while serving, or with --exit if every acknowledged envelope came back exactly once
in a verified block, and with several nodes stands exactly once in the ledger of each, headers and data of all
blocks being equal; with --kill-leader another node must have led meanwhile, and the killed one caught up. 1 if
anything failed; 130 when interrupted before the load was over.

To begin anew, remove the folder. Its keys are for trying things out only.";

/// What `orderer quickstart` can be told.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = TEACHING)]
pub struct Arguments {
    /// How many nodes, each a process of its own [default: 1, or those that the folder has; with --kill-leader 3]
    #[arg(long, value_name = "1|3|5", value_parser = clap::builder::PossibleValuesParser::new(["1", "3", "5"]), hide_possible_values = true)]
    nodes: Option<String>,
    /// Kill the leader in the middle of the load, and start it again
    #[arg(long)]
    kill_leader: bool,
    /// Folder for everything: made on the first run, resumed on later ones [default: ordain-quickstart, with
    /// --nodes 3 ordain-quickstart-3]
    #[arg(long, value_name = "FOLDER")]
    dir: Option<PathBuf>,
    /// How many envelopes of 1 KiB to order; 0 for none [default: 5000, with --kill-leader 20000]
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(0..=COUNT_MAX))]
    count: Option<u32>,
    /// Stop after the load in place of serving
    #[arg(long)]
    exit: bool,
}

impl Arguments {
    /// What the command line cannot say by itself.
    fn check(&self) -> Result<(), QuickstartError> {
        match (self.kill_leader, self.size(), self.count()) {
            (true, Size::Exactly(1), _) => Err(QuickstartError::Usage(NO_SUCCESSOR)),
            (true, _, 0) => Err(QuickstartError::Usage(
                "--kill-leader needs a load: leave out --count 0",
            )),
            _ => Ok(()),
        }
    }

    fn size(&self) -> Size {
        let nodes = self.nodes.as_deref().and_then(|nodes| nodes.parse().ok());
        let if_new = if self.kill_leader { NODES_WITH_FALL } else { NODES };
        nodes.map_or(Size::IfNew(if_new), Size::Exactly)
    }

    fn count(&self) -> u32 {
        let usual = if self.kill_leader { COUNT_WITH_FALL } else { COUNT };
        self.count.unwrap_or(usual)
    }

    fn folder(&self) -> PathBuf {
        self.dir.clone().unwrap_or_else(|| match self.size() {
            Size::Exactly(NODES) | Size::IfNew(NODES) => FOLDER.into(),
            Size::Exactly(other) | Size::IfNew(other) => format!("{FOLDER}-{other}").into(),
        })
    }
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
