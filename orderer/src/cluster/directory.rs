//! Who may call, for which channel, and as which consenter.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use parking_lot::RwLock;
use protos::{ChannelId, ConsenterId};

use super::counters::Refused;
use super::link::Link;
use super::tls_key::TlsKey;

/// The peers of every channel, by the public keys of their client certificates.
#[derive(Debug, Default)]
pub(super) struct Directory(RwLock<HashMap<ChannelId, Members>>);

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
        self.0.write().insert(channel.clone(), members);
    }

    /// Takes the peers away that the transport `token` has set; those of a later one stay.
    pub(super) fn remove(&self, channel: &ChannelId, token: u64) {
        let mut channels = self.0.write();
        if channels
            .get(channel)
            .is_some_and(|members| members.token == token)
        {
            channels.remove(channel);
        }
    }

    /// The consenter of `channel` that has `key`.
    pub(super) fn caller(&self, channel: &str, key: &TlsKey) -> Result<(ChannelId, ConsenterId), Refused> {
        let channels = self.0.read();
        let (channel, members) = channels.get_key_value(channel).ok_or(Refused::UnknownChannel)?;
        let caller = members.callers.get(key).ok_or(Refused::NotAuthorized)?;
        Ok((channel.clone(), caller.id))
    }

    /// The consenters of `channel` with their keys, in words.
    pub(super) fn describe(&self, channel: &str) -> String {
        let channels = self.0.read();
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
        let channels = self.0.read();
        channels.values().any(|members| members.callers.contains_key(key))
    }

    /// Whoever has `key` was heard of: connections to it that wait for their next attempt wait no longer.
    pub(super) fn heard_of(&self, key: &TlsKey) {
        let channels = self.0.read();
        let callers = channels.values().filter_map(|members| members.callers.get(key));
        for link in callers.flat_map(|caller| &caller.links) {
            if let Some(link) = Weak::upgrade(link) {
                link.wake();
            }
        }
    }
}

/// Those of `links` without keeping them.
pub(super) fn weak(links: &[Arc<Link>]) -> Vec<Weak<Link>> {
    links.iter().map(Arc::downgrade).collect()
}
