//! `ordain genesis`

mod flags;
mod from_file;

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use configtx::duration::GoDuration;
use configtx::genesis::genesis_block;
use protos::ChannelId;

use super::{Failure, output};
use crate::genesis::{ReadProfile, review, write_block};
use flags::FlagArgs;
use from_file::FileArgs;

/// Makes the genesis block of a channel.
///
/// Either from flags: organisations come from a folder that ordain crypto made, or from MSP folders named one by
/// one, and everything else is as usual: any member organisation's clients may write, most administrators change
/// the config, every orderer's signature makes a block valid.
///
/// Or from a profile of a configtx.yaml, which says everything (see below).
///
/// Whatever looks wrong with the block is said on standard error. Nodes join the channel with the block: ordain
/// channel join.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "configtx.yaml:
  Without --config and --config-path it is looked for in the folder that FABRIC_CFG_PATH names, in the current
  folder, and in /etc/hyperledger/fabric. Paths in it are relative to its folder. A variable of the environment
  takes the place of a key that stands in it: CONFIGTX_PROFILES_TWOORGS_ORDERER_BATCHTIMEOUT=500ms.

Examples:
  A channel for one node on this machine:
    ordain genesis --channel mychannel --crypto crypto --node orderer0.example.com=localhost:7050

  Raft over three nodes, blocks of at most 200 envelopes or 500 ms:
    ordain genesis --channel mychannel --crypto crypto --consensus etcdraft \\
        --node orderer0.example.com=h0:7050 --node orderer1.example.com=h1:7050 \\
        --node orderer2.example.com=h2:7050 --batch-max-count 200 --batch-timeout 500ms

  Without ordain crypto:
    ordain genesis --channel mychannel --orderer-org OrdererMSP=ord/msp --endpoint localhost:7050 \\
        --org Org1MSP=org1/msp

  From the profile TwoOrgs of config/configtx.yaml:
    ordain genesis --channel mychannel --profile TwoOrgs --config-path config --output mychannel.block

  An organisation of that file as JSON, to be added to a channel; a block as JSON:
    ordain genesis --print-org Org3 --config-path config > org3.json
    ordain genesis --inspect mychannel.block")]
pub(super) struct Args {
    /// Name of the channel: a lower-case letter, then lower-case letters, digits, dots and dashes.
    #[arg(long, value_name = "NAME", required_unless_present_any = ["print_org", "inspect"])]
    channel: Option<String>,
    /// Block file; CHANNEL.block if not given. Missing folders are made, an existing file is replaced in one step.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Prints a block file as JSON, and makes none.
    #[arg(long, value_name = "FILE", exclusive = true)]
    inspect: Option<PathBuf>,
    #[command(flatten)]
    file: FileArgs,
    #[command(flatten)]
    flags: FlagArgs,
}

impl Args {
    pub(super) fn run(self) -> Result<(), Failure> {
        if let Some(block) = &self.inspect {
            return from_file::inspect(block);
        }
        if let Some(organization) = &self.file.print_org {
            return self.file.print(organization);
        }
        let channel = self.channel.unwrap_or_default();
        let named =
            || ChannelId::parse(&channel).map_err(|error| Failure::usage(format!("--channel: {error}")));
        let (read, about) = match self.file.profile()? {
            Some(from_file) => from_file,
            None => (self.flags.spec(named()?)?.profile()?, String::new()),
        };
        let path = match self.output {
            Some(path) => path,
            // A file takes any name for the channel, but not every name is one for a file.
            None => format!(
                "{}.block",
                named().map_err(|failure| failure.hint("or give --output FILE"))?
            )
            .into(),
        };
        make(&read, &about, &channel, &path)
    }
}

/// Makes the block, says what is odd about it, and writes it.
fn make(read: &ReadProfile, about: &str, channel: &str, path: &Path) -> Result<(), Failure> {
    output::warn(&read.warnings);
    let made = genesis_block(&read.profile, channel, rand::random(), SystemTime::now());
    let block = made.map_err(|error| Failure::new(format!("{about}{error}")))?;
    output::warn(&review(&read.profile, channel, &block));
    write_block(path, &block)?;
    output::line(path.display())
}

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let parsed: GoDuration = text.parse().map_err(|error| format!("{error}"))?;
    parsed
        .to_std()
        .ok_or_else(|| "a duration cannot be negative".to_owned())
}
