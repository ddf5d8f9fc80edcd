//! `ordain encode`

use super::Failure;
use super::files::{Input, Output};
use crate::json::{self, Options};

/// Makes a protobuf message of JSON, as ordain decode writes it.
///
/// Members that are missing or null are left unset, members that the message does not have are refused. Maps are
/// written in the order of their keys, so the same content always gives the same bytes, and the same that configtxlator
/// gives. A block that was decoded and encoded again is not the same block: its signatures and its data hash no longer
/// fit. A config is.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  ordain encode common.Config --input config.json --output config.pb
  jq '.channel_group.values.Capabilities.value.capabilities.V3_0 = {}' config.json |
    ordain encode common.Config --output edited.pb

  The envelope around a config update that ordain diff made:
    ordain decode common.ConfigUpdate --input update.pb |
      jq '{payload: {header: {channel_header: {channel_id: .channel_id, type: 2}}, data: {config_update: .}}}' |
      ordain encode common.Envelope --output update-envelope.pb")]
pub(super) struct Args {
    /// Full name of the message's type, such as common.Config or common.Envelope.
    #[arg(value_name = "TYPE")]
    type_name: String,
    /// Takes base64 where ordain decode --lenient writes it.
    #[arg(long)]
    lenient: bool,
    #[command(flatten)]
    input: Input,
    #[command(flatten)]
    output: Output,
}

impl Args {
    pub(super) fn run(self) -> Result<(), Failure> {
        let text = String::from_utf8(self.input.read()?)
            .map_err(|error| Failure::new(format!("the input is not text in UTF-8: {error}")))?;
        let lenient = self.lenient;
        let bytes = json::encode(&self.type_name, &text, Options { lenient })?;
        self.output.write(&bytes)
    }
}
