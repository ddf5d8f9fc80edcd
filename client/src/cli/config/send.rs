//! Confirming, submitting, waiting.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use protos::{BlockNumber, ConfigSeq};

use super::super::{Failure, confirm};
use super::session::Session;
use crate::broadcast::{self, BroadcastError, BroadcastOptions};
use crate::config_update::{Ordered, UpdateEnvelope, wait_until_ordered};
use crate::connection_file::OrdererAddresses;
use crate::participation::AdminClient;

/// How an update is submitted.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Submitting")]
pub(super) struct SendArgs {
    /// Submits through an admin listener (REST) in place of Broadcast: this one, or without an address that of the
    /// connection file's first node that has one.
    #[arg(long, value_name = "HOST:PORT", require_equals = true, num_args = 0..=1, default_missing_value = "")]
    admin: Option<String>,
    /// Ends when the node has taken the update, without waiting for its block.
    #[arg(long)]
    no_wait: bool,
    /// How long to wait for the block.
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = super::super::genesis::duration)]
    wait_max: Duration,
}

/// Asks on the terminal whether to go on. `wants` says what would happen.
pub(super) fn confirm(wants: &str) -> Result<(), Failure> {
    confirm::ask(wants, "not submitted")
}

/// Refuses to begin what could not be confirmed.
pub(super) fn refuse_unless_confirmable(yes: bool) -> Result<(), Failure> {
    let instead = "give --yes to submit without being asked, --output FILE to let others sign first, or --dry-run to look";
    confirm::refuse_unless_possible(yes, "submit", instead)
}

impl SendArgs {
    /// Submits `update`, which fits config `sequence`, and waits for its block unless told not to.
    pub(super) async fn send(
        self,
        session: &Session,
        sequence: ConfigSeq,
        update: &UpdateEnvelope,
    ) -> Result<Option<Ordered>, Failure> {
        let first = session.config().await?.newest.next();
        let sealed = update.seal(&session.identity, rand::random(), SystemTime::now());
        let taken = match &self.admin {
            None => by_broadcast(session, sealed).await,
            Some(address) => by_rest(session, address, sealed).await,
        };
        if let Err(refusal) = taken {
            return Err(or_overtaken(refusal, session, sequence).await);
        }
        if self.no_wait {
            return Ok(None);
        }
        self.wait(session, first, update).await.map(Some)
    }

    async fn wait(
        &self,
        session: &Session,
        first: BlockNumber,
        update: &UpdateEnvelope,
    ) -> Result<Ordered, Failure> {
        let (connection, signer) = (&session.connection, &session.signer);
        let ordered = wait_until_ordered(connection, signer, first, update, self.wait_max).await;
        Ok(ordered?)
    }
}

/// A refusal, with what explains it where the config is not what it was any more.
async fn or_overtaken(refusal: Failure, session: &Session, sequence: ConfigSeq) -> Failure {
    match session.config().await {
        Ok(now) if now.bundle.sequence() != sequence => refusal.hint(format!(
            "another update was ordered first, in block {}: the config went from {sequence} to {}; make the update \
             again, from the config that won",
            now.block.number(),
            now.bundle.sequence()
        )),
        // Whatever else is wrong: the refusal is what counts.
        _ => refusal,
    }
}

async fn by_broadcast(session: &Session, sealed: Bytes) -> Result<(), Failure> {
    let sent = broadcast::submit_all(&session.connection, BroadcastOptions::default(), [sealed]).await;
    match sent {
        Ok(_) => Ok(()),
        Err(BroadcastError::Refused { status, info, .. }) => {
            let name = broadcast::status_name(status);
            let refusal = Failure::new(format!("the node refused the update: {name} {info}"));
            Err(refusal.hint(advice(status)))
        }
        Err(other) => Err(other.into()),
    }
}

/// What to do about a refusal with this `common.Status`.
fn advice(status: i32) -> &'static str {
    match status {
        403 => {
            "the identity of the connection must meet the channel's writers policy, and in maintenance mode the \
             orderers' one: use a connection file of somebody who does"
        }
        503 => {
            "it was not ordered: submit it again in a moment; ordain status shows whether the channel orders"
        }
        _ => "ordain config explain shows which policies ask for whose signatures, and who has signed",
    }
}

async fn by_rest(session: &Session, address: &str, sealed: Bytes) -> Result<(), Failure> {
    let mut file = session.file.clone();
    if !address.is_empty() {
        file.orderers = vec![OrdererAddresses {
            address: address.to_owned(),
            admin: Some(address.to_owned()),
            operations: None,
        }];
    }
    let clients: Vec<AdminClient> = file.admins()?;
    let first = clients.into_iter().next();
    let client = first.ok_or_else(|| Failure::usage("no node with an admin listener is given"))?;
    client.update(sealed).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::advice;

    #[test]
    fn a_refusal_that_passes_is_told_from_those_that_stay() {
        assert!(advice(503).contains("submit it again in a moment"));
        assert!(advice(403).contains("writers policy"));
        assert!(advice(400).contains("whose signatures"));
    }
}
