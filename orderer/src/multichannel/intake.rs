//! The Manager as Broadcast sees it: batches of envelopes judged, with their signatures verified together.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use configtx::identity::verify_batch;
use consensus::{Chain, Members, Submission};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use protos::ChannelId;

use super::manager::{Channels, Manager};
use crate::broadcast::{Accepted, Intake, Refusal};
use crate::metrics::MessageType;
use crate::processor::config_update::Admitted;
use crate::processor::{self, Checked, Prepared, ProcessError, Proposer, Rules, Verdict};

/// How long a client waits for room on the disk before it is told to come again.
const PAUSE_TIME_MAX: Duration = Duration::from_secs(2);

/// An envelope that lacks only its signature's verification, and its way.
struct Candidate {
    channel: ChannelId,
    chain: Arc<dyn Chain>,
    kind: MessageType,
    prepared: Prepared,
}

impl Intake for Manager {
    fn check(&self, received: Vec<Bytes>, now: SystemTime) -> Vec<Result<Accepted, Refusal>> {
        let channels = self.channels();
        let mut candidates = Vec::with_capacity(received.len());
        let mut refusal = None;
        for message in received {
            match self.prepare(&channels, message, now) {
                Ok(candidate) => candidates.push(candidate),
                Err(refused) => {
                    // It ends the stream, so nothing after it matters.
                    refusal = Some(refused);
                    break;
                }
            }
        }
        let mut verdicts = self.verify(candidates, now);
        verdicts.extend(refusal.map(Err));
        verdicts
    }

    fn ready(&self) -> BoxFuture<'_, ()> {
        self.node().space.available().boxed()
    }

    fn paused(&self) -> BoxFuture<'_, ()> {
        self.node().space.full_for(PAUSE_TIME_MAX).boxed()
    }
}

impl Manager {
    /// Everything but the signature.
    fn prepare(&self, channels: &Channels, received: Bytes, now: SystemTime) -> Result<Candidate, Refusal> {
        let opened = processor::open(received).map_err(|error| refuse("", MessageType::default(), &error))?;
        let kind = MessageType::of(opened.channel_header.r#type);
        let found = match self.find(channels, &opened.channel_header.channel_id) {
            Ok(found) => found,
            Err(error) => return Err(refuse(&opened.channel_header.channel_id, kind, &error)),
        };
        let (channel, chain, rules) = found;
        match rules.prepare(opened, now) {
            Ok(prepared) => Ok(Candidate {
                channel,
                chain,
                kind,
                prepared,
            }),
            Err(error) => Err(refuse(channel.as_str(), kind, &error)),
        }
    }

    fn find(&self, channels: &Channels, name: &str) -> Result<Found, ProcessError> {
        self.check_open()?;
        let channel = channels.get(name).ok_or(ProcessError::UnknownChannel)?;
        let (chain, rules) = channel.ordering()?;
        Ok((channel.id().clone(), chain, rules))
    }

    fn verify(&self, candidates: Vec<Candidate>, now: SystemTime) -> Vec<Result<Accepted, Refusal>> {
        let verified = {
            let checks: Vec<_> = candidates
                .iter()
                .map(|candidate| candidate.prepared.signature())
                .collect();
            verify_batch(&checks)
        };
        let mut verdicts = Vec::with_capacity(candidates.len() + 1);
        for (candidate, verified) in candidates.into_iter().zip(verified) {
            verdicts.push(self.judge(candidate, verified, now));
        }
        verdicts
    }

    fn judge(&self, candidate: Candidate, verified: bool, now: SystemTime) -> Result<Accepted, Refusal> {
        let Candidate {
            channel,
            chain,
            kind,
            prepared,
        } = candidate;
        let submission = prepared
            .verdict(verified)
            .and_then(|verdict| self.submission(&*chain, verdict, now))
            .map_err(|error| refuse(channel.as_str(), kind, &error))?;
        Ok(Accepted {
            channel,
            chain,
            kind,
            submission,
        })
    }
}

impl Manager {
    /// Refuses everything once the node stops, and while its disks have little room.
    pub(super) fn check_open(&self) -> Result<(), ProcessError> {
        if self.is_closed() {
            let reason = "the node is stopping".to_owned();
            return Err(ProcessError::Unavailable { reason });
        }
        if let Some(low) = self.node().space.low() {
            let reason = format!("intake is paused: {low}");
            return Err(ProcessError::Unavailable { reason });
        }
        Ok(())
    }

    /// What is to be ordered for an envelope that passed the checks on itself.
    pub(super) fn submission(
        &self,
        chain: &dyn Chain,
        verdict: Verdict,
        now: SystemTime,
    ) -> Result<Submission, ProcessError> {
        let checked = match verdict {
            Verdict::Ready(checked) => checked,
            Verdict::Update(update) => self.propose(&update, &chain.members(), now)?,
        };
        Ok(Submission {
            envelope: checked.envelope,
            kind: checked.kind,
            config_seq: checked.config_seq,
        })
    }
}

impl Manager {
    /// Makes the config envelope. What only the number of those alive speaks against, while that is not known, is no
    /// mistake of whoever sent it.
    fn propose(
        &self,
        update: &Admitted,
        members: &Members,
        now: SystemTime,
    ) -> Result<Checked, ProcessError> {
        let propose = |members| {
            update.propose(&Proposer {
                identity: &self.node().identity,
                nonce: rand::random(),
                members,
                now,
            })
        };
        let proposed = propose(members);
        if proposed.is_ok() || !members.active.is_empty() || members.ids.len() < 2 {
            return proposed;
        }
        let all_alive = Members {
            active: members.ids.clone(),
            ..members.clone()
        };
        match propose(&all_alive) {
            Ok(_) => Err(ProcessError::MembersUnknown),
            Err(_) => proposed,
        }
    }
}

/// A channel's name, its ordering, and the rules in force.
type Found = (ChannelId, Arc<dyn Chain>, Arc<Rules>);

fn refuse(channel: &str, kind: MessageType, error: &ProcessError) -> Refusal {
    Refusal {
        status: error.status(),
        info: error.to_string(),
        channel: channel.to_owned(),
        kind,
        reason: error.reason(),
    }
}
