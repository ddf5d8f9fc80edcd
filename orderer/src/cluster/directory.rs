//! Who may call, for which channel, and as which consenter.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, RwLock};
use protos::{ChannelId, ConsenterId};

use super::counters::Refused;
use super::link::Link;
use super::tls_key::TlsKey;

/// A peer that opens streams for hundreds of channels is taken for alive once within this.
const HEARD_PAUSE: Duration = Duration::from_millis(50);

/// The peers of every channel, by the public keys of their client certificates.
#[derive(Debug, Default)]
pub(super) struct Directory {
    channels: RwLock<HashMap<ChannelId, Members>>,
    /// When each peer was heard of last.
    heard: Mutex<HashMap<TlsKey, Instant>>,
}

#[derive(Debug)]
struct Members {
    /// Which transport of the channel set them.
    token: u64,
    callers: HashMap<TlsKey, Caller>,
}

/// One peer that may call.
#[derive(Debug)]
pub(super) struct Caller {
    pub(super) id: ConsenterId,
    /// How it is called in turn.
    pub(super) links: Vec<Weak<Link>>,
}

impl Directory {
    /// Replaces the peers of `channel`.
    pub(super) fn set(&self, channel: &ChannelId, token: u64, callers: HashMap<TlsKey, Caller>) {
        let members = Members { token, callers };
        self.channels.write().insert(channel.clone(), members);
    }

    /// Takes the peers away that the transport `token` has set; those of a later one stay.
    pub(super) fn remove(&self, channel: &ChannelId, token: u64) {
        let mut channels = self.channels.write();
        if channels
            .get(channel)
            .is_some_and(|members| members.token == token)
        {
            channels.remove(channel);
        }
    }

    /// The consenter of `channel` that has `key`.
    pub(super) fn caller(&self, channel: &str, key: &TlsKey) -> Result<(ChannelId, ConsenterId), Refused> {
        let channels = self.channels.read();
        let (channel, members) = channels.get_key_value(channel).ok_or(Refused::UnknownChannel)?;
        let caller = members.callers.get(key).ok_or(Refused::NotAuthorized)?;
        Ok((channel.clone(), caller.id))
    }

    /// The consenters of `channel` with their keys, in words.
    pub(super) fn describe(&self, channel: &str) -> String {
        let channels = self.channels.read();
        let callers = channels.get(channel).map(|members| &members.callers);
        let mut known: Vec<String> = callers
            .into_iter()
            .flatten()
            .map(|(key, caller)| format!("{}: key {key}", caller.id))
            .collect();
        known.sort_unstable();
        known.join(", ")
    }

    /// Whether `key` is that of a peer of any channel.
    pub(super) fn knows(&self, key: &TlsKey) -> bool {
        let channels = self.channels.read();
        channels.values().any(|members| members.callers.contains_key(key))
    }

    /// Whoever has `key` was heard of: connections to it, and streams, that wait for their next attempt wait no
    /// longer. Does nothing for strangers.
    pub(super) fn heard_of(&self, key: &TlsKey, now: Instant) {
        if !self.knows(key) || !self.is_due(key, now) {
            return;
        }
        let channels = self.channels.read();
        let callers = channels.values().filter_map(|members| members.callers.get(key));
        for link in callers.flat_map(|caller| &caller.links) {
            if let Some(link) = Weak::upgrade(link) {
                link.wake();
            }
        }
    }

    fn is_due(&self, key: &TlsKey, now: Instant) -> bool {
        let mut heard = self.heard.lock();
        let last = heard.get(key).copied();
        let due = last.is_none_or(|last| now.saturating_duration_since(last) >= HEARD_PAUSE);
        if due {
            heard.retain(|_, last| now.saturating_duration_since(*last) < HEARD_PAUSE);
            heard.insert(key.clone(), now);
        }
        due
    }
}

/// Those of `links` without keeping them.
pub(super) fn weak(links: &[Arc<Link>]) -> Vec<Weak<Link>> {
    links.iter().map(Arc::downgrade).collect()
}
