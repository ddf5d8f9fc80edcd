//! `ordain block`

use std::path::PathBuf;

use super::files::{self, Output};
use super::{Failure, decode};

/// Shows a block file as JSON.
///
/// The same as ordain decode common.Block: envelopes, headers, transactions and configs are laid open. Block files
/// come from ordain genesis, ordain deliver --save, or peer channel fetch.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  ordain block mychannel.block
  ordain block config.block | jq .data.data[0].payload.data.config > config.json
  ordain block 7.block --lenient | jq .data.data[].payload.header.channel_header.tx_id")]
pub(super) struct Args {
    /// The block file.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Shows content that is not what its place says as base64, where it is an error otherwise.
    #[arg(long)]
    lenient: bool,
    #[command(flatten)]
    output: Output,
}

impl Args {
    pub(super) fn run(self) -> Result<(), Failure> {
        let block = files::read(&self.file)?;
        let text = decode::decoded("common.Block", &block, self.lenient)?;
        self.output.write(text.as_bytes())
    }
}
