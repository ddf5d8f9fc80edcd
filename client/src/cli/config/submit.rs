//! `ordain config submit`

use std::path::PathBuf;

use super::super::Failure;
use super::super::connect::ConnectionArgs;
use super::file;
use super::report::Report;
use super::send::{self, SendArgs};
use super::session::Session;
use super::show::ShowArgs;

/// Submits an update with all the signatures it needs, and waits until it is ordered.
///
/// It is shown first, and asked for. The identity of the connection submits; its signature is no signature of the
/// update. An update that lost a race with another one is told so, with the reason.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Example:
  ordain config submit update.pb -c connection.json --yes")]
pub(super) struct Args {
    /// The update.
    file: PathBuf,
    /// Submits without asking.
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    show: ShowArgs,
    #[command(flatten)]
    send: SendArgs,
    #[command(flatten)]
    connection: ConnectionArgs,
}

impl Args {
    pub(super) async fn run(self) -> Result<(), Failure> {
        send::refuse_unless_confirmable(self.yes)?;
        let update = file::update(&self.file)?;
        let session = Session::open(self.connection).await?;
        if session.signer.channel() != update.channel() {
            return Err(Failure::usage(format!(
                "the update is for channel {}, and the connection for {}",
                update.channel(),
                session.signer.channel()
            )));
        }
        let current = session.config().await?.bundle;
        let mut report = Report::new(&current, &update)?;
        self.show.print(&report)?;
        report.refuse_incomplete()?;
        if !self.yes {
            send::confirm(&format!("submit this to channel {}", update.channel()))?;
        }
        report.submitted = true;
        report.ordered = self.send.send(&session, current.sequence(), &update).await?;
        self.show.finish(&report)
    }
}
