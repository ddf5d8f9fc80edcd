//! A config update that an operator hands in over REST: the same checks as on Broadcast, and the same chain.
//!
//! The channel is the one that the update itself names; the header's name must only be there
//! (`docs/spec/behaviour.md` §8). No lock is held on the way, whatever comes of it.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

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

/// How long an update waits until it is known who is alive: a leader tells it again after an election timeout.
const MEMBERS_TIME_MAX: Duration = Duration::from_secs(6);
/// Between two looks.
const MEMBERS_PAUSE: Duration = Duration::from_millis(100);

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
        let (chain, submission) = self.checked_update(&channel, opened).await?;
        let taken = chain.enqueue(submission).await;
        // What becomes of it shows in the blocks, as for a client that broadcasts at level `accepted`.
        drop(taken.map_err(|error| {
            let status = Status::ServiceUnavailable.as_str_name();
            refused(channel.id(), format!("{status}: rejected by Configure: {error}"))
        })?);
        Ok(channel)
    }

    /// Checks an update; waits a while where it is not known yet who is alive, as on a follower just started.
    async fn checked_update(
        self: &Arc<Self>,
        channel: &Arc<Channel>,
        opened: Opened,
    ) -> Result<(Arc<dyn Chain>, Submission), UpdateError> {
        let until = Instant::now() + MEMBERS_TIME_MAX;
        loop {
            let (manager, checked, opened) = (Arc::clone(self), Arc::clone(channel), opened.clone());
            // Policies and signatures take their time, which the threads of the connections do not have.
            let checked = tokio::task::spawn_blocking(move || manager.check_update(&checked, opened));
            let checked = checked
                .await
                .map_err(|error| UpdateError::Internal(error.to_string()))?;
            match checked {
                Err(ProcessError::MembersUnknown) if Instant::now() < until => {
                    tokio::time::sleep(MEMBERS_PAUSE).await;
                }
                checked => return checked.map_err(|error| refused(channel.id(), error.to_string())),
            }
        }
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
