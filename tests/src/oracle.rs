//! What clients were told, held against what the blocks contain.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use protos::block::{Hash, is_config_block};
use protos::{BlockNumber, SealedBlock};

/// Notes what happened to every envelope and block that clients saw. Shared by all tasks of a test.
#[derive(Default)]
pub struct Oracle {
    noted: Mutex<Noted>,
}

#[derive(Default)]
struct Noted {
    /// Each with its place in the order of sending.
    sent: HashMap<Bytes, usize>,
    acknowledged: HashSet<Bytes>,
    /// Each with the text of its refusal.
    refused: HashMap<Bytes, String>,
    delivered: BTreeMap<BlockNumber, Hash>,
    contradictions: Vec<String>,
}

/// How much was noted so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Envelopes handed to a stream.
    pub sent: usize,
    /// Envelopes answered with SUCCESS.
    pub acknowledged: usize,
    /// Envelopes that were refused with the promise that they are in no block.
    pub refused: usize,
    /// Blocks that came over a deliver stream.
    pub delivered: usize,
}

impl Oracle {
    /// An envelope is handed to a stream. Each one is sent once only.
    pub fn sent(&self, envelope: &Bytes) {
        let mut noted = self.noted();
        let place = noted.sent.len();
        assert!(
            noted.sent.insert(envelope.clone(), place).is_none(),
            "an envelope was sent twice"
        );
    }

    /// The node answered an envelope with SUCCESS, and so promised that it will be in a block.
    pub fn acknowledged(&self, envelope: &Bytes) {
        self.noted().acknowledged.insert(envelope.clone());
    }

    /// The node refused an envelope with a text that promises that it is in no block.
    pub fn refused(&self, envelope: &Bytes, info: &str) {
        self.noted().refused.insert(envelope.clone(), info.to_owned());
    }

    /// A block came over a deliver stream. Two different ones at a number are a contradiction.
    pub fn delivered(&self, block: &SealedBlock) {
        let mut noted = self.noted();
        let known = *noted.delivered.entry(block.number()).or_insert(*block.hash());
        if known != *block.hash() {
            noted
                .contradictions
                .push(format!("block {} came with two hashes", block.number()));
        }
    }

    /// How much was noted so far.
    pub fn counts(&self) -> Counts {
        let noted = self.noted();
        Counts {
            sent: noted.sent.len(),
            acknowledged: noted.acknowledged.len(),
            refused: noted.refused.len(),
            delivered: noted.delivered.len(),
        }
    }

    /// How many have no answer, of those sent while [`Counts::sent`] was within `places`.
    pub fn unanswered(&self, places: Range<usize>) -> usize {
        let noted = self.noted();
        let asked = noted.sent.iter().filter(|(_, place)| places.contains(place));
        asked
            .filter(|(envelope, _)| !noted.acknowledged.contains(*envelope))
            .count()
    }

    /// The newest block that a client saw.
    pub fn newest_delivered(&self) -> Option<BlockNumber> {
        self.noted().delivered.last_key_value().map(|(number, _)| *number)
    }

    /// Holds everything noted against a whole chain, from block 0 on. Returns what is wrong.
    ///
    /// - What was acknowledged is in a block, and nothing is there twice.
    /// - What was delivered is still there, unchanged.
    /// - Nothing is there that nobody sent, or that was refused.
    pub fn judge(&self, chain: &[SealedBlock]) -> Vec<String> {
        let noted = self.noted();
        let mut wrong = noted.contradictions.clone();
        let occurrences = occurrences(chain, &mut wrong);
        let lost = noted
            .acknowledged
            .iter()
            .filter(|envelope| !occurrences.contains_key(*envelope))
            .count();
        let twice = occurrences.values().filter(|count| **count > 1).count();
        let unsent = occurrences
            .keys()
            .filter(|envelope| !noted.sent.contains_key(*envelope))
            .count();
        let refused = noted
            .refused
            .iter()
            .filter(|(envelope, _)| occurrences.contains_key(*envelope));
        wrong
            .extend(refused.map(|(_, info)| format!("an envelope is in the chain that was refused: {info}")));
        let gone = noted
            .delivered
            .iter()
            .filter(|(number, hash)| !has(chain, **number, hash));
        wrong.extend(gone.map(|(number, _)| format!("block {number} was delivered and is gone or changed")));
        for (count, what) in [
            (lost, "acknowledged envelopes are in no block"),
            (twice, "envelopes are in the chain more than once"),
            (unsent, "envelopes are in the chain that nobody sent"),
        ] {
            if count > 0 {
                wrong.push(format!("{count} {what}"));
            }
        }
        wrong
    }

    fn noted(&self) -> MutexGuard<'_, Noted> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn has(chain: &[SealedBlock], number: BlockNumber, hash: &Hash) -> bool {
    let place = usize::try_from(number.0).unwrap_or(usize::MAX);
    chain
        .get(place)
        .is_some_and(|block| block.number() == number && block.hash() == hash)
}

/// How often each envelope stands in the data blocks of `chain`.
fn occurrences(chain: &[SealedBlock], wrong: &mut Vec<String>) -> HashMap<Bytes, usize> {
    let mut found = HashMap::new();
    for sealed in chain {
        match sealed.decode() {
            Ok(block) if is_config_block(&block) => {}
            Ok(block) => {
                for entry in block.data.unwrap_or_default().data {
                    *found.entry(entry).or_default() += 1;
                }
            }
            Err(error) => wrong.push(format!("block {} does not decode: {error}", sealed.number())),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use protos::block::next;

    use super::*;

    fn envelope(name: &'static str) -> Bytes {
        Bytes::from_static(name.as_bytes())
    }

    fn chain(batches: &[&[&'static str]]) -> Vec<SealedBlock> {
        let mut blocks: Vec<SealedBlock> = Vec::new();
        for (number, batch) in batches.iter().enumerate() {
            let previous = blocks.last().map_or([0; 32], |block| *block.hash());
            let entries = batch.iter().map(|name| envelope(name)).collect();
            let block = next(BlockNumber(number as u64), &previous, entries);
            blocks.push(SealedBlock::seal(&block).unwrap());
        }
        blocks
    }

    fn oracle(sent: &[&'static str], acknowledged: &[&'static str], delivered: &[SealedBlock]) -> Oracle {
        let oracle = Oracle::default();
        for name in sent {
            oracle.sent(&envelope(name));
        }
        for name in acknowledged {
            oracle.acknowledged(&envelope(name));
        }
        for block in delivered {
            oracle.delivered(block);
        }
        oracle
    }

    #[test]
    fn a_chain_that_keeps_every_promise_passes() {
        let chain = chain(&[&["a"], &["b", "c"]]);
        let oracle = oracle(&["a", "b", "c", "d"], &["a", "b"], &chain);
        assert_eq!(oracle.judge(&chain), Vec::<String>::new());
        assert_eq!(oracle.unanswered(0..4), 2);
        assert_eq!(oracle.unanswered(1..3), 1);
    }

    #[test]
    fn each_broken_promise_is_told() {
        let told = chain(&[&["a"], &["b"]]);
        let oracle = oracle(&["a", "b", "c"], &["a", "b", "c"], &told);
        for (found, expected) in [
            (
                chain(&[&["a"], &["b"]]),
                "1 acknowledged envelopes are in no block",
            ),
            (
                chain(&[&["a"], &["b"], &["c"], &["c"]]),
                "1 envelopes are in the chain more than once",
            ),
            (
                chain(&[&["a"], &["b"], &["c", "x"]]),
                "1 envelopes are in the chain that nobody sent",
            ),
            (
                chain(&[&["a"], &["c", "b"]]),
                "block 1 was delivered and is gone or changed",
            ),
            (chain(&[&["a"]]), "block 1 was delivered and is gone or changed"),
        ] {
            let wrong = oracle.judge(&found);
            assert!(
                wrong.iter().any(|line| line == expected),
                "{expected:?} is not among {wrong:?}"
            );
        }
    }

    #[test]
    fn two_blocks_at_one_number_contradict_each_other() {
        let oracle = oracle(&["a", "b"], &[], &chain(&[&["a"]]));
        oracle.delivered(&chain(&[&["b"]])[0]);
        assert_eq!(oracle.judge(&chain(&[&["a"]])), ["block 0 came with two hashes"]);
    }
}
