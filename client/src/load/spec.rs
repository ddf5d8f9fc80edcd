//! What to send, and how; and what a run needs before it can start.

use std::time::Duration;

use crate::broadcast::Acknowledge;
use crate::connection::Target;
use crate::envelope::EnvelopeSigner;

use super::LoadError;

/// Memory that a run may use where nobody says otherwise: about 2 million envelopes of 1 KiB.
pub const MEMORY_BYTES_MAX: u64 = 4 << 30;

/// What one envelope costs beside its own bytes: where it lies, three times, its place in a hash map that may be
/// half empty, and the allocator's share.
const BOOKKEEPING_BYTES: u64 = 160;

/// What to send, and how.
#[derive(Clone, Debug)]
pub struct LoadSpec {
    /// Orderers. Streams are dealt out to them in turn; the first one is followed, or with
    /// [`fail_over`](Self::fail_over) whichever answers.
    pub targets: Vec<Target>,
    /// Who signs, and for which channel. Envelopes are dealt out to them in turn, and each channel is followed.
    pub signers: Vec<EnvelopeSigner>,
    /// How many envelopes.
    pub envelopes: usize,
    /// Bytes of data in each, random.
    pub payload_bytes: usize,
    /// How many broadcast streams, each on a connection of its own.
    pub streams: usize,
    /// How many envelopes of one stream may be unanswered.
    pub in_flight_max: usize,
    /// What SUCCESS shall mean; none leaves it to the node.
    pub acknowledge: Option<Acknowledge>,
    /// Envelopes per second over all streams, each due at its own moment; none sends as fast as answers allow.
    pub rate: Option<u32>,
    /// How long to wait for another answer while envelopes are unanswered, and for another block while
    /// acknowledged ones are missing.
    pub patience: Duration,
    /// What a stream does that loses its orderer, or is turned away with `SERVICE_UNAVAILABLE`: false ends it, which
    /// is a failure; true goes on at the next orderer with what was not sent yet. What was sent and not answered is never
    /// sent again by itself, since it may be in a block: see [`Load::send_again`](super::Load::send_again).
    pub fail_over: bool,
    /// Memory that the signed envelopes may use.
    pub memory_bytes_max: u64,
}

impl LoadSpec {
    /// 50,000 envelopes of 1 KiB over 4 streams with 1000 in flight each, as fast as they are answered.
    pub fn new(targets: Vec<Target>, signers: Vec<EnvelopeSigner>) -> Self {
        Self {
            targets,
            signers,
            envelopes: 50_000,
            payload_bytes: 1024,
            streams: 4,
            in_flight_max: 1000,
            acknowledge: None,
            rate: None,
            patience: Duration::from_secs(30),
            fail_over: false,
            memory_bytes_max: MEMORY_BYTES_MAX,
        }
    }

    /// Memory that the signed envelopes will use, to within a few percent.
    pub fn memory_bytes(&self) -> u64 {
        let sample = vec![0; self.payload_bytes];
        let signed = |signer: &EnvelopeSigner| signer.transaction(sample.clone().into()).bytes.len() as u64;
        let largest = self.signers.iter().map(signed).max().unwrap_or_default();
        largest
            .saturating_add(BOOKKEEPING_BYTES)
            .saturating_mul(self.envelopes as u64)
    }

    /// The first signer for each channel, in order.
    pub(super) fn channels(&self) -> Vec<&EnvelopeSigner> {
        let mut channels: Vec<&EnvelopeSigner> = Vec::new();
        for signer in &self.signers {
            if !channels.iter().any(|known| known.channel() == signer.channel()) {
                channels.push(signer);
            }
        }
        channels
    }

    /// For each signer, which of [`channels`](Self::channels) it signs for.
    pub(super) fn channel_of_signers(&self) -> Vec<usize> {
        let channels = self.channels();
        let position = |signer: &EnvelopeSigner| {
            let same = |known: &&EnvelopeSigner| known.channel() == signer.channel();
            channels.iter().position(same).unwrap_or_default()
        };
        self.signers.iter().map(position).collect()
    }

    pub(super) fn check(&self) -> Result<(), LoadError> {
        let is_empty = self.envelopes == 0 || self.streams == 0;
        if is_empty || self.targets.is_empty() || self.signers.is_empty() {
            return Err(LoadError::Empty);
        }
        let (bytes, bytes_max) = (self.memory_bytes(), self.memory_bytes_max);
        if bytes > bytes_max || u32::try_from(self.envelopes).is_err() {
            let envelopes = self.envelopes;
            return Err(LoadError::TooLarge {
                envelopes,
                bytes,
                bytes_max,
            });
        }
        Ok(())
    }
}
