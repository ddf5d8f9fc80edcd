//! The `orderer` binary: command line, configuration, log, exit codes.
//!
//! | exit code | meaning |
//! |---|---|
//! | 0 | it ran and was asked to stop, or printed what it was asked for |
//! | 1 | the command line, the configuration, or a listener: something to correct in what it was told |
//! | 2 | the node's identity, its data folder, or the logging spec or format; SIGQUIT |
//! | 143, 130 | a second SIGTERM or SIGINT, before the end was reached |

use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Parser, Subcommand};
use std::sync::Arc;

use orderer::config::{Config, ConfigError, Environment};
use orderer::config_check;
use orderer::doctor;
use orderer::operations::version;
use orderer::server::{self, RunError};
use orderer::{ledger_tools, quickstart};

/// Exit code for what is wrong with the node rather than with what it was told.
const NODE_FAILURE: u8 = 2;

/// Logger of the start.
const LOGGER: &str = "orderer.common.server";

const TEACHING: &str = "\
Try it, without any file:
  orderer quickstart

Run a node:
  FABRIC_CFG_PATH=/etc/my-node orderer

The configuration is orderer.yaml, searched in $FABRIC_CFG_PATH, then in the working directory, then in
/etc/hyperledger/fabric. It has the keys of Hyperledger Fabric's orderer.yaml. Each key can be set from the
environment as well: General.ListenPort is ORDERER_GENERAL_LISTENPORT. What is in force is printed at start.

Channels are joined, listed and read through the admin listener (Admin.ListenAddress), with ordain or osnadmin:
  ordain channel join --admin 127.0.0.1:9443 --block genesis.block --ca ... --client-cert ... --client-key ...

Each command explains itself with examples: orderer COMMAND --help

The log goes to standard error. FABRIC_LOGGING_SPEC says what is in it, FABRIC_LOGGING_FORMAT how it looks:
  FABRIC_LOGGING_SPEC=info:orderer.common.broadcast=debug FABRIC_LOGGING_FORMAT=json orderer";

/// An ordering service node: takes envelopes, agrees on their order with its fellows, and hands out blocks.
#[derive(Debug, Parser)]
#[command(name = "orderer", version, after_help = TEACHING)]
struct CommandLine {
    #[command(subcommand)]
    command: Option<Command>,
}

const TEACHING_START: &str = "\
What it does: reads orderer.yaml, opens the channels in its data folder, and serves until it is told to stop.
SIGTERM stops it in order: it takes nothing more, orders what it has accepted, and hands leadership on. A second one
stops it at once. SIGUSR1 writes what it is doing to the log.

Examples:
  FABRIC_CFG_PATH=/etc/my-node orderer start
  ORDERER_GENERAL_LISTENPORT=7050 orderer start        each key of orderer.yaml can be set like this
  FABRIC_LOGGING_SPEC=debug orderer start              say more in the log

It is ready when the log says `Beginning to serve requests`. No orderer.yaml yet? orderer quickstart makes one.

Exit status: 0 after it was told to stop; 1 for the configuration or a listener; 2 for the node's identity, its
data folder, or the logging spec or format; 143 after a second SIGTERM.";

const TEACHING_CONFIG: &str = "\
Examples:
  orderer config check                            what a start would find
  FABRIC_CFG_PATH=/etc/my-node orderer config check --json";

const TEACHING_VERSION: &str = "\
Examples:
  orderer version
  orderer version | grep 'Commit SHA'";

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a node (also when no command is given)
    #[command(after_help = TEACHING_START)]
    Start(Start),
    /// Look at the configuration
    #[command(subcommand, after_help = TEACHING_CONFIG)]
    Config(config_check::Command),
    /// Say what is wrong with this node, and what to do next
    Doctor(doctor::Arguments),
    /// Print version, commit and platform
    #[command(after_help = TEACHING_VERSION)]
    Version,
    /// Start a whole network on this machine, to try things with
    Quickstart(quickstart::Arguments),
    Ledger(ledger_tools::Arguments),
}

#[derive(Debug, Default, clap::Args)]
struct Start {
    /// Stop when standard input ends: for a node that must not outlive the process that started it
    #[arg(long, hide = true)]
    until_stdin_ends: bool,
}

fn main() -> ExitCode {
    let line = match CommandLine::try_parse() {
        Ok(line) => line,
        Err(error) => return refuse_or_help(&error),
    };
    match line.command.unwrap_or(Command::Start(Start::default())) {
        Command::Start(how) => {
            if how.until_stdin_ends {
                quickstart::stop_with_parent();
            }
            start()
        }
        Command::Version => {
            print!("{}", version::text());
            ExitCode::SUCCESS
        }
        Command::Config(command) => config_check::run(&command, &environment()),
        Command::Doctor(arguments) => doctor::run(&arguments, &environment()),
        Command::Quickstart(arguments) => quickstart::run(&arguments),
        Command::Ledger(arguments) => ledger_tools::run(&arguments),
    }
}

/// Help goes to standard output with 0; a wrong word to standard error with 1.
fn refuse_or_help(error: &clap::Error) -> ExitCode {
    let _ = error.print(); // nowhere left to report to
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

/// Log first, so that everything after it is in the log; then configuration, then the node.
fn start() -> ExitCode {
    let environment = environment();
    let logging = match orderer::logging::init(&environment) {
        Ok(logging) => logging,
        Err(error) => {
            eprintln!("orderer: {error}");
            return ExitCode::from(NODE_FAILURE);
        }
    };
    let config = match load(&environment) {
        Ok(config) => config,
        Err(error) => {
            eprintln!("orderer: {error}");
            return ExitCode::FAILURE;
        }
    };
    announce(&config);
    match server::run(&config, Arc::new(logging)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(target: LOGGER, "{error}");
            exit_code(&error)
        }
    }
}

/// What of the environment is text.
fn environment() -> Environment {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

fn load(environment: &Environment) -> Result<Config, ConfigError> {
    let file = orderer::config::locate(environment)?;
    Config::read(&file, environment)
}

fn announce(config: &Config) {
    tracing::info!(target: LOGGER, "Starting {}", version::text());
    tracing::info!(
        target: LOGGER,
        "Orderer config values from {}:\n{}",
        config.file.display(),
        lines(&config.effective)
    );
    for warning in &config.warnings {
        tracing::warn!(target: LOGGER, "{warning}");
    }
}

fn lines(settings: &[orderer::config::Effective]) -> String {
    let lines: Vec<String> = settings.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

fn exit_code(error: &RunError) -> ExitCode {
    match error {
        RunError::Tls { .. } | RunError::ClusterTls(_) | RunError::Listen { .. } => ExitCode::FAILURE,
        _ => ExitCode::from(NODE_FAILURE),
    }
}
