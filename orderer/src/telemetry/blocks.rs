//! When blocks were written and first delivered, for as long as an envelope in them may ask.

use std::collections::{HashMap, VecDeque};
use std::time::SystemTime;

use protos::{BlockNumber, ChannelId};

use super::journey::Journey;
use super::span::{Attribute, Ids, Span};

/// Blocks remembered; the oldest are forgotten first.
const BLOCKS_MAX: usize = 4096;
/// Envelopes of one block that wait for its delivery.
const WAITING_MAX: usize = 128;

/// From when to when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Period {
    /// From.
    pub(super) begin: SystemTime,
    /// To.
    pub(super) end: SystemTime,
}

impl Period {
    /// From then to now.
    pub(super) fn since(begin: SystemTime) -> Self {
        let end = SystemTime::now();
        Self { begin, end }
    }
}

/// The blocks of all channels.
#[derive(Debug, Default)]
pub(super) struct Blocks {
    known: HashMap<Key, Block>,
    /// In the order in which they were heard of.
    order: VecDeque<Key>,
}

type Key = (String, BlockNumber);

#[derive(Debug, Default)]
struct Block {
    written: Option<Period>,
    delivered: Option<Period>,
    /// Traces whose envelope is in it, before it was delivered.
    waiting: Vec<Ids>,
}

impl Blocks {
    pub(super) fn written(&mut self, channel: &ChannelId, number: BlockNumber, period: Period) {
        self.block(channel.as_str(), number).written = Some(period);
    }

    /// Spans of the envelopes that waited for this.
    pub(super) fn delivered(&mut self, channel: &str, number: BlockNumber, period: Period) -> Vec<Span> {
        let Some(block) = self.known.get_mut(&(channel.to_owned(), number)) else {
            return Vec::new(); // an old one, which nobody asks for
        };
        if block.delivered.is_some() {
            return Vec::new();
        }
        block.delivered = Some(period);
        let waiting = std::mem::take(&mut block.waiting);
        waiting
            .iter()
            .map(|ids| deliver(ids, channel, number, period))
            .collect()
    }

    pub(super) fn is_undelivered(&self, channel: &str, number: BlockNumber) -> bool {
        let block = self.known.get(&(channel.to_owned(), number));
        block.is_some_and(|block| block.delivered.is_none())
    }

    /// Spans of an envelope that is in this block.
    pub(super) fn arrived(
        &mut self,
        journey: &Journey,
        channel: &ChannelId,
        number: BlockNumber,
        now: SystemTime,
    ) -> Vec<Span> {
        let block = self.block(channel.as_str(), number);
        let mut spans = journey.spans(channel.as_str(), number, block.written, now);
        match block.delivered {
            Some(period) => spans.push(deliver(journey.ids(), channel.as_str(), number, period)),
            None if block.waiting.len() < WAITING_MAX => block.waiting.push(journey.ids().clone()),
            None => {}
        }
        spans
    }

    fn block(&mut self, channel: &str, number: BlockNumber) -> &mut Block {
        let key = (channel.to_owned(), number);
        if !self.known.contains_key(&key) {
            if self.order.len() >= BLOCKS_MAX
                && let Some(oldest) = self.order.pop_front()
            {
                self.known.remove(&oldest);
            }
            self.order.push_back(key.clone());
        }
        self.known.entry(key).or_default()
    }
}

fn deliver(ids: &Ids, channel: &str, number: BlockNumber, period: Period) -> Span {
    let mut span = ids.child("deliver", period, channel);
    span.attributes
        .push(("ordain.block", Attribute::Number(number.0)));
    span
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_blocks_are_forgotten() {
        let channel = ChannelId::parse("ch").unwrap();
        let mut blocks = Blocks::default();
        let period = Period::since(SystemTime::now());
        for number in 0..2 * BLOCKS_MAX as u64 {
            blocks.written(&channel, BlockNumber(number), period);
        }
        assert_eq!((blocks.known.len(), blocks.order.len()), (BLOCKS_MAX, BLOCKS_MAX));
        assert!(!blocks.is_undelivered("ch", BlockNumber(1)));
        assert!(blocks.is_undelivered("ch", BlockNumber(2 * BLOCKS_MAX as u64 - 1)));
    }
}
