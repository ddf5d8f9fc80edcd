//! No two nodes differ in header, data or consenter metadata at a number.
//!
//! Source: state machine safety of raft; `docs/spec/wire.md` §8 for the metadata.

use protos::BlockNumber;
use protos::block::{Hash, header_hash, orderer_metadata};
use protos::wire::common::Block;

use super::Violation;

/// The chain as the first node wrote each block of it.
#[derive(Debug, Default)]
pub struct NoFork(Vec<Written>);

/// A block, and who wrote it first.
#[derive(Debug)]
pub struct Written {
    /// With data and metadata.
    pub block: Block,
    hash: Hash,
    node: usize,
}

impl NoFork {
    /// `node` has written `block`.
    pub fn written(&mut self, node: usize, block: &Block) -> Result<(), Violation> {
        let header = block.header.as_ref().ok_or("no_fork: a block without header")?;
        let number = usize::try_from(header.number).unwrap_or(usize::MAX);
        let hash = header_hash(header);
        if number == self.0.len() {
            let block = block.clone();
            self.0.push(Written { block, hash, node });
            return Ok(());
        }
        let known = self.0.get(number).ok_or_else(|| {
            format!("no_fork: node {node} wrote block {number}, and nobody the one before it")
        })?;
        let differs = |what| {
            let first = known.node;
            Err(format!(
                "no_fork: block {number} of node {node} differs in its {what} from that of node {first}"
            ))
        };
        if known.hash != hash {
            return differs("header");
        }
        if known.block.data != block.data {
            return differs("data");
        }
        if consenter_metadata(&known.block) != consenter_metadata(block) {
            return differs("consenter metadata");
        }
        Ok(())
    }

    /// The chain.
    pub fn chain(&self) -> impl ExactSizeIterator<Item = &Block> {
        self.0.iter().map(|written| &written.block)
    }

    /// A block of it.
    pub fn get(&self, number: BlockNumber) -> Option<&Block> {
        let written = self.0.get(usize::try_from(number.0).ok()?)?;
        Some(&written.block)
    }
}

fn consenter_metadata(block: &Block) -> Option<bytes::Bytes> {
    let found = orderer_metadata(block).ok()??;
    Some(found.consenter_metadata)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use protos::block::next;

    use super::*;

    #[test]
    fn another_block_at_a_number_is_a_fork() {
        let block = |text: &'static str| {
            next(
                BlockNumber(0),
                &[0; 32],
                vec![Bytes::from_static(text.as_bytes())],
            )
        };
        let mut no_fork = NoFork::default();
        no_fork.written(0, &block("a")).unwrap();
        no_fork.written(1, &block("a")).unwrap();
        let error = no_fork.written(2, &block("b")).unwrap_err();
        assert_eq!(
            error,
            "no_fork: block 0 of node 2 differs in its header from that of node 0"
        );
        let mut forged = block("a");
        forged.data = block("b").data;
        assert!(no_fork.written(2, &forged).unwrap_err().contains("its data"));
    }
}
