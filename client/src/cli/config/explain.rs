//! `ordain config explain`

use std::path::PathBuf;

use configtx::Bundle;

use super::super::Failure;
use super::super::connect::ConnectionArgs;
use super::file;
use super::report::Report;
use super::session::Session;
use super::show::ShowArgs;

/// Shows what an update in a file changes, whose signatures it needs, and whose it has.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Example:
  ordain config explain update.pb -c connection.json")]
pub(super) struct Args {
    /// The update.
    file: PathBuf,
    /// Config to compare it with (JSON or protobuf, or its block), in place of the one in force.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    show: ShowArgs,
    #[command(flatten)]
    connection: ConnectionArgs,
}

impl Args {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let update = file::update(&self.file)?;
        let current = match &self.config {
            Some(path) => {
                let config = file::config(path)?.config;
                Bundle::new(update.channel().clone(), config).map_err(|error| {
                    Failure::new(format!("{} holds no valid config: {error}", path.display()))
                })?
            }
            None => Session::open(self.connection).await?.config().await?.bundle,
        };
        let report = Report::new(&current, &update)?;
        self.show.print(&report)?;
        self.show.finish(&report)
    }
}
