//! `ordain config diff`

use std::path::{Path, PathBuf};

use configtx::Bundle;
use protos::ChannelId;

use super::super::Failure;
use super::super::connect::ConnectionArgs;
use super::report::Report;
use super::session::Session;
use super::show::ShowArgs;
use super::{file, task};

/// Computes the update that leads from one config to another, and shows it.
///
/// Configs are JSON (as fetch writes it) or protobuf, by themselves or in their blocks. With one file, the other
/// config is the one in force.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  ordain config diff edited.json -c connection.json --output update.pb
  ordain config diff old.json new.json --channel mychannel")]
pub(super) struct Args {
    /// The new config; with a second file, the old one.
    file: PathBuf,
    /// The new config, if the old one is in a file as well.
    new: Option<PathBuf>,
    /// Writes the update to this file, unsigned: for ordain config sign.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    show: ShowArgs,
    #[command(flatten)]
    connection: ConnectionArgs,
}

impl Args {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let (current, edited) = if let Some(new) = &self.new {
            let old = old_config(&self.file, &self.connection)?;
            (old, file::config(new)?.config)
        } else {
            let edited = file::config(&self.file)?.config;
            let session = Session::open(self.connection).await?;
            (session.config().await?.bundle, edited)
        };
        let Some(update) = task::compute(&current, &edited)? else {
            eprintln!("the two configs are the same but for their versions");
            return self.show.nothing(&current);
        };
        let mut report = Report::new(&current, &update)?;
        self.show.print(&report)?;
        if let Some(path) = self.output {
            file::write(&path, &update.unsigned())?;
            report.written = Some(path);
        }
        self.show.finish(&report)
    }
}

/// The config of a file, as if it were in force.
fn old_config(path: &Path, connection: &ConnectionArgs) -> Result<Bundle, Failure> {
    let read = file::config(path)?;
    let channel = match (connection.channel_name()?, read.channel) {
        (Some(name), _) => ChannelId::parse(&name).map_err(Failure::usage)?,
        (None, Some(channel)) => channel,
        (None, None) => return Err(Failure::usage("--channel is missing: whose configs are these")),
    };
    Bundle::new(channel, read.config)
        .map_err(|error| Failure::new(format!("{} holds no valid config: {error}", path.display())))
}
