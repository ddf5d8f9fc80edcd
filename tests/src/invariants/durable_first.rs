//! Persisted >= committed >= written: a block is written to a ledger only when it lies synced on a majority's disks.
//!
//! Source: the crash order of `docs/architecture.md`; leader completeness of raft, as far as disks have to do with it.

use std::collections::BTreeMap;

use consensus::raft::log::{LogState, LogWrite};
use protos::block::Hash;
use protos::{BlockNumber, Height, SealedBlock};

use super::Violation;

/// What lies synced on each disk.
#[derive(Debug)]
pub struct DurableFirst {
    disks: Vec<Disk>,
    /// Blocks below it were found on a majority's disks once.
    committed: Height,
}

#[derive(Clone, Debug, Default)]
struct Disk {
    /// Blocks in the raft log, by their entries' places.
    entries: BTreeMap<u64, (BlockNumber, Hash)>,
    /// Blocks in the ledger, or behind a checkpoint.
    height: Height,
    /// It may have held anything before.
    was_wiped: bool,
}

impl DurableFirst {
    /// Of this many nodes, whose ledgers hold the genesis block.
    pub fn new(nodes: usize) -> Self {
        let disks = vec![Disk::default(); nodes];
        Self {
            disks,
            committed: Height(1),
        }
    }

    /// `node` has synced these writes to its log.
    pub fn synced(&mut self, node: usize, writes: &[LogWrite]) {
        let disk = &mut self.disks[node];
        for write in writes {
            if write.resets {
                disk.entries.clear();
            }
            if let Some(checkpoint) = &write.checkpoint {
                disk.height = disk.height.max(Height::of_tip(checkpoint.block_number));
            }
            if let Some(first) = write.entries.first() {
                disk.entries.split_off(&first.index);
            }
            disk.add(&write.entries);
        }
    }

    /// `node` has found this on its disk when it started.
    pub fn reopened(&mut self, node: usize, state: &LogState, ledger: Height) {
        let was_wiped = self.disks[node].was_wiped;
        let checkpoint = state
            .checkpoint
            .as_ref()
            .map(|checkpoint| Height::of_tip(checkpoint.block_number));
        let mut disk = Disk {
            height: checkpoint.unwrap_or_default().max(ledger),
            was_wiped,
            ..Disk::default()
        };
        disk.add(&state.entries);
        self.disks[node] = disk;
    }

    /// The ledger of `node` is synced up to `height`.
    pub fn ledger_synced(&mut self, node: usize, height: Height) {
        let disk = &mut self.disks[node];
        disk.height = disk.height.max(height);
    }

    /// `node` has lost what was on its disk.
    pub fn wiped(&mut self, node: usize) {
        self.disks[node].was_wiped = true;
    }

    /// `node` is about to write a block to its ledger, in a cluster of so many voters.
    pub fn writes(
        &mut self,
        node: usize,
        number: BlockNumber,
        hash: &Hash,
        voters: usize,
    ) -> Result<(), Violation> {
        if Height(number.0) < self.committed {
            return Ok(());
        }
        let holders = self.disks.iter().filter(|disk| disk.holds(number, hash)).count();
        let quorum = voters / 2 + 1;
        if holders < quorum {
            return Err(format!(
                "durable_first: node {node} writes block {number}, which lies on {holders} disks and should on {quorum}"
            ));
        }
        self.committed = Height::of_tip(number);
        Ok(())
    }
}

impl Disk {
    fn add(&mut self, entries: &[consensus::raft::log::LogEntry]) {
        for entry in entries {
            if let Ok(block) = SealedBlock::from_bytes(entry.data.clone()) {
                self.entries.insert(entry.index, (block.number(), *block.hash()));
            }
        }
    }

    fn holds(&self, number: BlockNumber, hash: &Hash) -> bool {
        self.was_wiped
            || Height(number.0) < self.height
            || self.entries.values().any(|held| *held == (number, *hash))
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use consensus::raft::log::{EntryKind, LogEntry};
    use prost::Message as _;
    use protos::block::next;

    use super::*;

    #[test]
    fn a_block_on_too_few_disks_is_told() {
        let block =
            SealedBlock::seal(&next(BlockNumber(1), &[0; 32], vec![Bytes::from_static(b"x")])).unwrap();
        let entry = LogEntry {
            index: 5,
            term: 2,
            kind: EntryKind::Normal,
            data: block.decode().unwrap().encode_to_vec().into(),
        };
        let write = LogWrite {
            entries: vec![entry],
            ..LogWrite::default()
        };
        let mut durable = DurableFirst::new(3);
        durable.synced(0, std::slice::from_ref(&write));
        let writes = |durable: &mut DurableFirst| durable.writes(0, BlockNumber(1), block.hash(), 3);
        assert!(
            writes(&mut durable)
                .unwrap_err()
                .contains("on 1 disks and should on 2")
        );
        durable.synced(1, &[write]);
        durable.reopened(1, &LogState::default(), Height(1));
        assert!(writes(&mut durable).is_err());
        durable.ledger_synced(1, Height(2));
        writes(&mut durable).unwrap();
    }
}
