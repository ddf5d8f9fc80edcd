//! What the cluster's communication has refused and dropped since the start.

use std::sync::atomic::{AtomicU64, Ordering};

use consensus::transport::MessageKind;

/// Why a message of another orderer was refused; each ends its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refused {
    /// The caller showed no TLS certificate.
    NoCertificate,
    /// The channel is not ordered here.
    UnknownChannel,
    /// The caller's public key is that of no consenter of the channel.
    NotAuthorized,
    /// The bytes are no message.
    Undecodable,
    /// Neither a consensus message nor an envelope.
    NeitherKind,
    /// Longer than `General.MaxRecvMsgSize`.
    TooLarge,
    /// The consenter found it wrong.
    Bad,
    /// The chain is stopped, or is not one that takes messages.
    NotRunning,
}

impl Refused {
    /// All of them.
    pub const ALL: [Self; REASONS] = [
        Self::NoCertificate,
        Self::UnknownChannel,
        Self::NotAuthorized,
        Self::Undecodable,
        Self::NeitherKind,
        Self::TooLarge,
        Self::Bad,
        Self::NotRunning,
    ];

    /// In a word, for metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::NoCertificate => "no_certificate",
            Self::UnknownChannel => "unknown_channel",
            Self::NotAuthorized => "not_authorized",
            Self::Undecodable => "undecodable",
            Self::NeitherKind => "neither_kind",
            Self::TooLarge => "too_large",
            Self::Bad => "bad",
            Self::NotRunning => "not_running",
        }
    }
}

const REASONS: usize = 8;
const KINDS: usize = 3;

/// Since the start of the process; never reset.
#[derive(Debug, Default)]
pub struct Counters {
    refused: [AtomicU64; REASONS],
    inbox_full: AtomicU64,
    dropped: [AtomicU64; KINDS],
    connections: AtomicU64,
    streams_stalled: AtomicU64,
}

impl Counters {
    /// Calls and messages of others that were refused for `reason`.
    pub fn refused(&self, reason: Refused) -> u64 {
        read(&self.refused[reason as usize])
    }

    /// Messages of others that were dropped since the chain's inbox was full.
    pub fn inbox_full(&self) -> u64 {
        read(&self.inbox_full)
    }

    /// Messages to others that found their queue full.
    pub fn dropped(&self, kind: MessageKind) -> u64 {
        read(&self.dropped[kind as usize])
    }

    /// Connections made to others.
    pub fn connections(&self) -> u64 {
        read(&self.connections)
    }

    /// Streams to others that were given up since nothing was taken from them.
    pub fn streams_stalled(&self) -> u64 {
        read(&self.streams_stalled)
    }

    pub(super) fn count_refused(&self, reason: Refused) {
        count(&self.refused[reason as usize]);
    }

    pub(super) fn count_inbox_full(&self) {
        count(&self.inbox_full);
    }

    pub(super) fn count_dropped(&self, kind: MessageKind) {
        count(&self.dropped[kind as usize]);
    }

    pub(super) fn count_connection(&self) {
        count(&self.connections);
    }

    pub(super) fn count_stalled(&self) {
        count(&self.streams_stalled);
    }
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

fn read(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}
