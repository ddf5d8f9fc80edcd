//! The pending batch and its bytes.

use protos::Envelope;

use crate::limits::BatchLimits;

/// What one envelope led to.
#[derive(Debug, Default)]
#[must_use = "the batches hold envelopes that are nowhere else"]
pub struct Ordered {
    /// Complete batches, in order. None is empty.
    pub batches: Batches,
    /// True when envelopes wait for more. The batch timer follows this and nothing else.
    pub pending: bool,
}

/// At most two batches, in order, without a heap allocation for the list.
#[derive(Debug, Default)]
pub struct Batches {
    first: Option<Vec<Envelope>>,
    second: Option<Vec<Envelope>>,
}

impl Batches {
    /// How many batches there are: 0, 1 or 2.
    pub fn len(&self) -> usize {
        usize::from(self.first.is_some()) + usize::from(self.second.is_some())
    }

    /// True without a batch: the usual case.
    pub fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    fn push(&mut self, batch: Vec<Envelope>) {
        if batch.is_empty() {
            return;
        }
        if self.first.is_none() {
            self.first = Some(batch);
        } else {
            assert!(self.second.is_none(), "one envelope led to three batches");
            self.second = Some(batch);
        }
    }
}

impl IntoIterator for Batches {
    type Item = Vec<Envelope>;
    type IntoIter =
        std::iter::Chain<std::option::IntoIter<Vec<Envelope>>, std::option::IntoIter<Vec<Envelope>>>;

    fn into_iter(self) -> Self::IntoIter {
        self.first.into_iter().chain(self.second)
    }
}

/// Takes envelopes one by one and says when a batch is complete.
#[derive(Debug)]
pub struct Receiver {
    limits: BatchLimits,
    pending: Vec<Envelope>,
    pending_bytes: usize,
    /// Length of the last batch: the next one is likely as long, so its list is made in one piece.
    length_expected: usize,
}

impl Receiver {
    /// A receiver with nothing pending.
    pub fn new(limits: BatchLimits) -> Self {
        Self {
            limits,
            pending: Vec::new(),
            pending_bytes: 0,
            length_expected: 0,
        }
    }

    /// Takes the next envelope; the table in the crate's documentation has every outcome.
    pub fn ordered(&mut self, envelope: Envelope) -> Ordered {
        let mut batches = Batches::default();
        let alone = envelope.size() > self.limits.preferred_max_bytes();
        if alone || self.pending_bytes + envelope.size() > self.limits.preferred_max_bytes() {
            batches.push(self.cut());
        }
        self.append(envelope);
        if alone || self.pending.len() >= self.limits.max_message_count() {
            batches.push(self.cut());
        }
        Ordered {
            batches,
            pending: self.is_pending(),
        }
    }

    /// Takes out what is pending, complete or not. Empty when nothing is.
    #[must_use = "the batch holds envelopes that are nowhere else"]
    pub fn cut(&mut self) -> Vec<Envelope> {
        self.pending_bytes = 0;
        if !self.pending.is_empty() {
            self.length_expected = self.pending.len();
        }
        std::mem::take(&mut self.pending)
    }

    /// True while envelopes wait for more.
    pub fn is_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Changes the limits. What is pending is judged by the new ones together with the next envelope.
    pub fn set_limits(&mut self, limits: BatchLimits) {
        self.limits = limits;
    }

    fn append(&mut self, envelope: Envelope) {
        if self.pending.capacity() == 0 {
            self.pending
                .reserve(self.length_expected.min(self.limits.max_message_count()));
        }
        self.pending_bytes += envelope.size();
        self.pending.push(envelope);
    }
}

#[cfg(test)]
mod tests;
