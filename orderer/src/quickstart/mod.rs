//! `orderer quickstart`: a network to try things with, on this machine, without a file to write.

use std::process::ExitCode;

/// What `orderer quickstart` can be told.
#[derive(Clone, Debug, clap::Args)]
pub struct Arguments {}

/// Runs the network until it is interrupted.
pub fn run(_arguments: &Arguments) -> ExitCode {
    eprintln!("orderer quickstart is not part of this build");
    ExitCode::FAILURE
}
