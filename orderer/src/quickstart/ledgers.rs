//! The ledgers of all nodes, read side by side: they must be equal, and hold each acknowledged envelope once.

use client::Target;
use client::connection::ConnectError;
use client::deliver::{DeliverError, DeliverStream, Position, Resume, Seek};
use client::envelope::EnvelopeSigner;
use client::load::{Account, Count, Counted};
use client::verify::{ChainVerifier, VerifyError};
use futures::future::try_join_all;
use protos::wire::common::Block;
use protos::{BlockNumber, SealedBlock};

/// What is wrong with the ledgers.
#[derive(Debug, thiserror::Error)]
pub(super) enum LedgersError {
    /// No connection to a node.
    #[error("{name}: {source}")]
    Connect {
        /// Which node.
        name: String,
        /// Why.
        source: ConnectError,
    },
    /// A node does not deliver.
    #[error("cannot fetch blocks of {name}: {source}")]
    Deliver {
        /// Which node.
        name: String,
        /// Why.
        source: DeliverError,
    },
    /// A node's ledger ends early.
    #[error("the ledger of {name} ends before block {number}")]
    Short {
        /// Which node.
        name: String,
        /// The block that is not there.
        number: BlockNumber,
    },
    /// A node's chain is wrong.
    #[error("block {number} of {name} does not verify: {source}")]
    Verify {
        /// Which node.
        name: String,
        /// Which block.
        number: BlockNumber,
        /// Why.
        source: VerifyError,
    },
    /// Two nodes have different blocks of one number.
    #[error("block {number} of {name} differs from that of {first}: the channel has forked")]
    Fork {
        /// Which block.
        number: BlockNumber,
        /// Whose.
        name: String,
        /// From whose.
        first: String,
    },
    /// A node's ledger does not hold what it should.
    #[error(
        "the ledger of {name} lacks {} acknowledged envelopes and has {} more than once",
        counted.missing,
        counted.repeated
    )]
    Broken {
        /// Which node.
        name: String,
        /// What was found.
        counted: Counted,
    },
}

/// One node's ledger while it is read.
struct Ledger<'a> {
    name: String,
    blocks: DeliverStream,
    verifier: Option<ChainVerifier>,
    count: Count<'a>,
}

/// Reads every block up to `tip` on all nodes, verifies it on each, and compares headers and data. Returns what was
/// counted, which is the same on all.
pub(super) async fn compare(
    nodes: Vec<(String, Target)>,
    signer: &EnvelopeSigner,
    genesis: &SealedBlock,
    tip: BlockNumber,
    account: &Account,
) -> Result<Counted, LedgersError> {
    let opened = nodes
        .into_iter()
        .map(|(name, target)| Ledger::open(name, target, signer, tip, account));
    let mut ledgers = try_join_all(opened).await?;
    for number in (0..=tip.0).map(BlockNumber) {
        let blocks = try_join_all(ledgers.iter_mut().map(|ledger| ledger.next(number, genesis))).await?;
        let names = ledgers.iter().map(|ledger| &*ledger.name);
        same(number, &names.zip(&blocks).collect::<Vec<_>>())?;
    }
    let mut counted = Counted::default();
    for ledger in &ledgers {
        counted = ledger.count.outcome();
        if counted.missing > 0 || counted.repeated > 0 {
            let name = ledger.name.clone();
            return Err(LedgersError::Broken { name, counted });
        }
    }
    Ok(counted)
}

/// Data hashes do not tell where one entry ends and the next begins, so the data itself is compared.
fn same(number: BlockNumber, blocks: &[(&str, &Block)]) -> Result<(), LedgersError> {
    let Some(((first, expected), others)) = blocks.split_first() else {
        return Ok(());
    };
    let differs =
        |(_, block): &&(&str, &Block)| block.header != expected.header || block.data != expected.data;
    match others.iter().find(differs) {
        None => Ok(()),
        Some((other, _)) => Err(LedgersError::Fork {
            number,
            name: (*other).to_owned(),
            first: (*first).to_owned(),
        }),
    }
}

impl<'a> Ledger<'a> {
    async fn open(
        name: String,
        target: Target,
        signer: &EnvelopeSigner,
        tip: BlockNumber,
        account: &'a Account,
    ) -> Result<Self, LedgersError> {
        let connection = target.connect().await.map_err(|source| LedgersError::Connect {
            name: name.clone(),
            source,
        })?;
        let seek = Seek::range(Position::Oldest, Position::Number(tip));
        Ok(Self {
            name,
            blocks: DeliverStream::new(&connection, signer.clone(), seek, Resume::default()),
            verifier: None,
            count: account.count(),
        })
    }

    async fn next(&mut self, number: BlockNumber, genesis: &SealedBlock) -> Result<Block, LedgersError> {
        let name = || self.name.clone();
        let next = self.blocks.next().await;
        let block = next
            .map_err(|source| LedgersError::Deliver { name: name(), source })?
            .ok_or_else(|| LedgersError::Short { name: name(), number })?;
        self.verify(&block, genesis)
            .map_err(|source| LedgersError::Verify {
                name: self.name.clone(),
                number,
                source,
            })
            .inspect(|_| self.count.take(&block))
    }

    /// What follows is verified by the block that everybody joined with; a block 0 of another hash would break the
    /// first link.
    fn verify(&mut self, block: &SealedBlock, genesis: &SealedBlock) -> Result<Block, VerifyError> {
        match &mut self.verifier {
            Some(verifier) => verifier.check(block)?,
            None => self.verifier = Some(ChainVerifier::from_genesis(genesis)?),
        }
        Ok(block.decode()?)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use protos::wire::common::BlockData;

    use super::*;

    fn block(entries: &[&'static str]) -> Block {
        let data = entries.iter().map(|entry| Bytes::from(*entry)).collect();
        Block {
            data: Some(BlockData { data }),
            ..Block::default()
        }
    }

    #[test]
    fn equal_bytes_in_other_entries_are_a_fork() {
        let (whole, same_again, cut) = (block(&["ab", "c"]), block(&["ab", "c"]), block(&["a", "bc"]));
        same(BlockNumber(3), &[("one", &whole), ("two", &same_again)]).unwrap();
        let error = same(
            BlockNumber(3),
            &[("one", &whole), ("two", &same_again), ("three", &cut)],
        );
        assert_eq!(
            error.unwrap_err().to_string(),
            "block 3 of three differs from that of one: the channel has forked"
        );
    }
}
