//! The command line `ordain`: one file a command, each a thin layer over the library.
//!
//! Exit codes: 0 done; 1 refused, failed, or a promise found broken; 2 the command line makes no sense.
//! Results go to stdout, everything else to stderr. Progress is drawn on a terminal only.

mod bench;
mod broadcast;
mod channel;
mod connect;
mod crypto;
mod deliver;
mod failure;
mod genesis;
mod output;
mod show;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

use failure::Failure;

/// Makes identities and channels, submits envelopes, reads and checks blocks, measures.
#[derive(Debug, Parser)]
#[command(
    name = "ordain",
    version,
    arg_required_else_help = true,
    after_help = "Start here:
  orderer quickstart                                a node with a channel, and ordain-quickstart/connection.json
  echo hello | ordain broadcast -c ordain-quickstart/connection.json
  ordain deliver -c ordain-quickstart/connection.json

Each command explains itself with examples: ordain COMMAND --help"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Crypto(crypto::Args),
    Genesis(genesis::Args),
    Channel(channel::Args),
    Broadcast(broadcast::Args),
    Deliver(deliver::Args),
    Bench(bench::Args),
    /// Prints a completion script for a shell, such as bash, zsh or fish.
    ///
    /// Example: ordain completions bash > ~/.local/share/bash-completion/completions/ordain
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
}

/// Runs the command that the process was started with.
pub fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

/// One thread drives everything: the machine's other cores belong to the node.
fn run(command: Command) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(format!("cannot start: {error}")))?;
    match command {
        Command::Crypto(args) => args.run(),
        Command::Genesis(args) => args.run(),
        Command::Channel(args) => runtime.block_on(args.run()),
        Command::Broadcast(args) => finish(runtime, args.run()),
        Command::Deliver(args) => runtime.block_on(args.run()),
        Command::Bench(args) => runtime.block_on(args.run()),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "ordain", &mut std::io::stdout());
            Ok(())
        }
    }
}

/// Standard input is read by a thread that cannot be interrupted; it must not hold up the exit.
fn finish(
    runtime: tokio::runtime::Runtime,
    work: impl Future<Output = Result<(), Failure>>,
) -> Result<(), Failure> {
    let outcome = runtime.block_on(work);
    runtime.shutdown_background();
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_teaches_by_example() {
        for mut command in Cli::command().get_subcommands().cloned() {
            let name = command.get_name().to_owned();
            let help = command.render_long_help().to_string();
            assert!(help.contains("Example"), "{name} has no example");
            assert!(
                help.contains(&format!("ordain {name}")),
                "{name} is not shown in use"
            );
        }
    }
}
