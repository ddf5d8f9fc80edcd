//! A config update that an operator hands in over REST: the same checks as on Broadcast, and the same chain.
//!
//! The channel is the one that the update itself names; the header's name must only be there
//! (`docs/spec/behaviour.md` §8). No lock is held on the way, whatever comes of it.

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use configtx::update::Update;
use consensus::{Chain, Submission};
use protos::ChannelId;
use protos::envelope::{OpenError, Opened};
use protos::wire::common::{HeaderType, Status};

use super::channel::Channel;
use super::health::Health;
use super::manager::Manager;
use crate::admin::UpdateError;
use crate::processor::{self, ProcessError};

/// An update that was opened, and the channel it names.
struct HandedIn {
    channel: String,
    opened: Opened,
}

impl HandedIn {
    fn open(envelope: Bytes) -> Result<Self, UpdateError> {
        let opened = processor::open(envelope).map_err(|error| match error {
            ProcessError::Unreadable(OpenError::Envelope(source)) => {
                UpdateError::Unreadable(source.to_string())
            }
            ProcessError::Unreadable(source) => invalid(format!("bad header: {source}")),
            other => invalid(other.to_string()),
        })?;
        let header = &opened.channel_header;
        if header.r#type != HeaderType::ConfigUpdate as i32 {
            return Err(invalid(format!("bad type: {}", header.r#type)));
        }
        if header.channel_id.is_empty() {
            return Err(invalid("bad header: empty channel id".to_owned()));
        }
        let update = Update::read(opened.data.clone()).map_err(|error| invalid(error.to_string()))?;
        Ok(Self {
            channel: update.channel().to_owned(),
            opened,
        })
    }
}

fn invalid(reason: String) -> UpdateError {
    UpdateError::InvalidEnvelope(reason)
}

impl Manager {
    /// Checks the config update in `envelope` and hands its config to the chain; ready when that has taken it in.
    pub async fn update(self: &Arc<Self>, envelope: Bytes) -> Result<Arc<Channel>, UpdateError> {
        let HandedIn { channel, opened } = HandedIn::open(envelope)?;
        let channel = self.get(&channel).ok_or(UpdateError::NoChannel)?;
        match channel.health() {
            Health::Following { reason: None } => return Err(UpdateError::Follower),
            Health::Removing => return Err(UpdateError::PendingRemoval),
            Health::HalfRemoved(_) => return Err(UpdateError::RemovalFailed),
            _ => {}
        }
        let manager = Arc::clone(self);
        let checked = Arc::clone(&channel);
        // Policies and signatures take their time, which the threads of the connections do not have.
        let checked = tokio::task::spawn_blocking(move || manager.check_update(&checked, opened));
        let (chain, submission) = checked
            .await
            .map_err(|error| UpdateError::Internal(error.to_string()))?
            .map_err(|error| refused(channel.id(), error.to_string()))?;
        let taken = chain.enqueue(submission).await;
        // What becomes of it shows in the blocks, as for a client that broadcasts at level `accepted`.
        drop(taken.map_err(|error| {
            let status = Status::ServiceUnavailable.as_str_name();
            refused(channel.id(), format!("{status}: rejected by Configure: {error}"))
        })?);
        Ok(channel)
    }

    fn check_update(
        &self,
        channel: &Channel,
        opened: Opened,
    ) -> Result<(Arc<dyn Chain>, Submission), ProcessError> {
        self.check_open()?;
        let now = SystemTime::now();
        let (chain, rules) = channel.ordering()?;
        let prepared = rules.prepare(opened, now)?;
        let verified = prepared.signature().verify();
        let submission = self.submission(&*chain, prepared.verdict(verified)?, now)?;
        Ok((chain, submission))
    }
}

fn refused(channel: &ChannelId, reason: String) -> UpdateError {
    UpdateError::Refused {
        channel: channel.clone(),
        reason,
    }
}
