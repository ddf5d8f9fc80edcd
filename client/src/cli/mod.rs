//! The command line `ordain`: one file a command, each a thin layer over the library.
//!
//! Exit codes: 0 done; 1 refused, failed, or a promise found broken; 2 the command line makes no sense; 3 nodes were
//! looked at and are not well; 130 ended by Ctrl-C before everything was done. Results go to stdout, everything else to stderr. Progress and colours are drawn
//! on a terminal only, colours not if `NO_COLOR` is set.

mod backup;
mod bench;
mod block;
mod broadcast;
mod channel;
mod config;
mod confirm;
mod connect;
mod crypto;
mod decode;
mod deliver;
mod diff;
mod doctor;
mod encode;
mod failure;
mod files;
mod genesis;
mod nodes;
mod output;
mod show;
mod status;
mod table;

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

Each command explains itself with examples: ordain COMMAND --help
Exit codes: 0 done, 1 refused or failed, 2 the command line makes no sense, 3 (status, doctor) something is not well,
130 ended by Ctrl-C"
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
    Config(config::Args),
    Broadcast(broadcast::Args),
    Deliver(deliver::Args),
    Status(status::Args),
    Doctor(doctor::Args),
    Backup(backup::Args),
    Bench(bench::Args),
    Block(block::Args),
    Decode(decode::Args),
    Encode(encode::Args),
    Diff(diff::Args),
    /// Prints a completion script for a shell, such as bash, zsh or fish.
    #[command(after_long_help = "Examples:
  ordain completions bash > ~/.local/share/bash-completion/completions/ordain
  ordain completions zsh > ~/.zfunc/_ordain          with fpath+=~/.zfunc before compinit in ~/.zshrc
  ordain completions fish > ~/.config/fish/completions/ordain.fish")]
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
}

/// The whole command line, for whoever wants to walk it.
pub fn command() -> clap::Command {
    Cli::command()
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
        Command::Config(args) => runtime.block_on(args.run()),
        Command::Broadcast(args) => finish(runtime, args.run()),
        Command::Deliver(args) => runtime.block_on(args.run()),
        Command::Status(args) => runtime.block_on(args.run()),
        Command::Doctor(args) => runtime.block_on(args.run()),
        Command::Backup(args) => runtime.block_on(args.run()),
        Command::Bench(args) => finish(runtime, args.run()),
        Command::Block(args) => args.run(),
        Command::Decode(args) => args.run(),
        Command::Encode(args) => args.run(),
        Command::Diff(args) => args.run(),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "ordain", &mut script);
            output::line(String::from_utf8_lossy(&script).trim_end())
        }
    }
}

/// Standard input is read by a thread that cannot be interrupted, and envelopes are signed by others; they must not
/// hold up the exit.
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
    use std::collections::BTreeSet;

    use super::*;

    /// Every command with its full name, those that only hold others included.
    fn walk(command: &clap::Command, prefix: &str, found: &mut Vec<(String, clap::Command)>) {
        for inner in command.get_subcommands() {
            let name = format!("{prefix} {}", inner.get_name());
            walk(inner, &name, found);
            found.push((name, inner.clone()));
        }
    }

    fn all() -> Vec<(String, clap::Command)> {
        let mut found = Vec::new();
        walk(&command(), "ordain", &mut found);
        found
    }

    #[test]
    fn every_command_teaches_by_example() {
        for (name, mut command) in all() {
            let help = command.render_long_help().to_string();
            assert!(help.contains("Example"), "{name} has no example");
            assert!(help.contains(&name), "{name} is not shown in use:\n{help}");
            assert!(command.get_about().is_some(), "{name} does not say what it does");
        }
    }

    /// clap itself looks for this in debug builds only.
    #[test]
    fn no_two_arguments_of_a_command_share_a_name() {
        for (name, mut command) in all() {
            command.build();
            let mut names = BTreeSet::new();
            for argument in command.get_arguments() {
                let short = argument.get_short_and_visible_aliases().unwrap_or_default();
                let long = argument.get_long_and_visible_aliases().unwrap_or_default();
                let short = short.into_iter().map(|letter| letter.to_string());
                for written in short.chain(long.into_iter().map(str::to_owned)) {
                    assert!(!names.contains(&written), "{name}: {written} is two arguments");
                    names.insert(written);
                }
            }
        }
    }

    #[test]
    fn every_argument_is_explained() {
        for (name, command) in all() {
            for argument in command.get_arguments() {
                let id = argument.get_id();
                assert!(argument.get_help().is_some(), "{name}: {id} is not explained");
            }
        }
    }
}
