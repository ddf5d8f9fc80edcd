//! What every task does around its edit: fetch, compute, show, sign, confirm, submit.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use clap::Args;
use configtx::Bundle;
use configtx::compute_update::{ComputeUpdateError, compute_update};
use configtx::identity::SigningIdentity;
use protos::wire::common::Config;

use super::super::Failure;
use super::super::connect::ConnectionArgs;
use super::edits::Edit;
use super::file;
use super::report::Report;
use super::send::{self, SendArgs};
use super::session::Session;
use super::show::ShowArgs;
use super::signers::{self, SignAs};
use crate::config_update::UpdateEnvelope;

/// A task: what it changes, and how.
#[derive(Debug, Args)]
pub(super) struct Task<E: Edit> {
    #[command(flatten)]
    edit: E,
    #[command(flatten)]
    how: TaskArgs,
}

/// How a change comes about.
#[derive(Debug, Args)]
struct TaskArgs {
    /// Who signs the update: MSPID=DIR, a connection file, or an MSP folder. May be repeated. If not given, the
    /// identity of the connection file.
    #[arg(long, value_name = "IDENTITY", help_heading = "Signing")]
    sign_as: Vec<SignAs>,
    /// Writes the update to this file, for others to sign (ordain config sign), and submits nothing.
    #[arg(long, value_name = "FILE", help_heading = "Signing")]
    output: Option<PathBuf>,
    /// Shows what would change and ends.
    #[arg(long, conflicts_with_all = ["output", "yes"])]
    dry_run: bool,
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

impl<E: Edit> Task<E> {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let submits = !self.how.dry_run && self.how.output.is_none();
        if submits {
            send::refuse_unless_confirmable(self.how.yes)?;
        }
        let session = Session::open(self.how.connection).await?;
        let current = session.config().await?.bundle;
        let edited = self.edit.apply(current.config().clone())?;
        let Some(mut update) = compute(&current, &edited)? else {
            eprintln!("nothing to change: the config says so already");
            return self.how.show.nothing(&current);
        };
        signers::sign(&mut update, &identities(&self.how.sign_as, &session, &current)?);
        let mut report = Report::new(&current, &update)?;
        self.how.show.print(&report)?;
        if let Some(path) = &self.how.output {
            write(path, &update, &session)?;
            report.written = Some(path.clone());
        } else if submits {
            report.refuse_incomplete()?;
            if !self.how.yes {
                send::confirm(&format!("submit this to channel {}", current.channel_id()))?;
            }
            report.submitted = true;
            report.ordered = self.how.send.send(&session, current.sequence(), &update).await?;
        }
        self.how.show.finish(&report)
    }
}

/// The update that leads from the config in force to `edited`; none if they are the same. What it leads to must
/// be a config that nodes of this kind can run.
pub(super) fn compute(current: &Bundle, edited: &Config) -> Result<Option<UpdateEnvelope>, Failure> {
    let channel = current.channel_id();
    let update = match compute_update(channel.as_str(), current.config(), edited) {
        Err(ComputeUpdateError::NoDifference) => return Ok(None),
        computed => computed.map_err(Failure::new)?,
    };
    let invalid =
        |error: &dyn std::fmt::Display| Failure::new(format!("the new config is not valid: {error}"));
    let new = Bundle::new(channel.clone(), edited.clone()).map_err(|error| invalid(&error))?;
    new.check_supported().map_err(|error| invalid(&error))?;
    Ok(Some(UpdateEnvelope::new(channel.clone(), &update)))
}

fn identities(
    named: &[SignAs],
    session: &Session,
    channel: &Bundle,
) -> Result<Vec<Arc<SigningIdentity>>, Failure> {
    if named.is_empty() {
        return Ok(vec![session.identity.clone()]);
    }
    named
        .iter()
        .map(|one| one.load(Some(channel)).map(Arc::new))
        .collect()
}

fn write(path: &Path, update: &UpdateEnvelope, session: &Session) -> Result<(), Failure> {
    let sealed = update.seal(&session.identity, rand::random(), SystemTime::now());
    file::write(path, &sealed)
}
