//! `ordain decode`

use super::files::{Input, Output};
use super::{Failure, output};
use crate::json::{self, JsonError, Options};

/// Shows a protobuf message as JSON.
///
/// Messages inside of bytes are shown in place: the envelopes of a block, their payloads and headers, the values and
/// policies of a config. So jq can filter and edit them, and ordain encode makes protobuf of the result. The form is
/// that of configtxlator's decoding. Signatures, certificates and hashes stay base64.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  ordain decode common.Block --input mychannel.block
  ordain decode common.Config --input config.pb --output config.json
  ordain decode common.Envelope < update.pb | jq .payload.header
  ordain decode common.Block --lenient --input 7.block       where data is no known message
  ordain decode --list                                       all types")]
pub(super) struct Args {
    /// Full name of the message's type, such as common.Block, common.Config or common.Envelope.
    #[arg(value_name = "TYPE", required_unless_present = "list")]
    type_name: Option<String>,
    /// Prints the names of all types instead.
    #[arg(long)]
    list: bool,
    /// Shows content that is not what its place says as base64, where it is an error otherwise.
    #[arg(long)]
    lenient: bool,
    #[command(flatten)]
    input: Input,
    #[command(flatten)]
    output: Output,
}

impl Args {
    pub(super) fn run(self) -> Result<(), Failure> {
        let Some(type_name) = self.type_name.filter(|_| !self.list) else {
            return json::type_names().iter().try_for_each(output::line);
        };
        let text = decoded(&type_name, &self.input.read()?, self.lenient)?;
        self.output.write(text.as_bytes())
    }
}

/// Decodes; says so when the lenient form would do.
pub(super) fn decoded(type_name: &str, bytes: &[u8], lenient: bool) -> Result<String, Failure> {
    let options = |lenient| Options { lenient };
    json::decode(type_name, bytes, options(lenient)).map_err(|error| {
        let lenient_does = !lenient && json::decode(type_name, bytes, options(true)).is_ok();
        let failure = Failure::from(error);
        if lenient_does {
            return failure.hint("--lenient shows such content as base64");
        }
        failure
    })
}

impl From<JsonError> for Failure {
    fn from(error: JsonError) -> Self {
        let failure = Self::new(&error);
        match error {
            JsonError::UnknownType { .. } | JsonError::EnumType { .. } => {
                failure.hint("ordain decode --list names all types")
            }
            _ => failure,
        }
    }
}
