//! Checking what a node delivers: against the genesis file where there is one, on stated trust elsewhere.

use std::path::Path;

use configtx::block_verify::verify_signatures;
use protos::{BlockNumber, SealedBlock, block};

use super::{Failure, Node};
use crate::deliver::Position;
use crate::verify::{ChainVerifier, VerifyError};

/// A block in a file.
pub(in crate::cli) fn read_block(path: &Path) -> Result<SealedBlock, Failure> {
    let bytes = std::fs::read(path).map_err(|error| Failure::unreadable(path, &error))?;
    SealedBlock::from_bytes(bytes.into())
        .map_err(|error| Failure::new(format!("{} holds no block: {error}", path.display())))
}

fn last_config(sealed: &SealedBlock) -> Result<BlockNumber, Failure> {
    let decoded = sealed.decode().map_err(VerifyError::from)?;
    block::last_config(&decoded).map_err(|error| {
        Failure::new(format!(
            "block {} does not tell its config: {error}",
            sealed.number()
        ))
    })
}

/// Two blocks of one number must be one block.
fn agree(known: &SealedBlock, got: &SealedBlock) -> Result<(), Failure> {
    if known.hash() == got.hash() {
        return Ok(());
    }
    Err(Failure::new(format!(
        "block {} of this node is not the one in the genesis file",
        got.number()
    ))
    .hint("the node serves another channel of this name, or the connection file is of another network"))
}

/// Checks blocks as they come.
pub(super) struct Check {
    state: State,
    trust: String,
}

enum State {
    Off,
    /// Before block 0.
    Waiting(Option<SealedBlock>),
    Running(Box<ChainVerifier>),
}

impl Check {
    /// What block `first` is checked against.
    pub(super) async fn prepare(
        node: &Node,
        first: BlockNumber,
        genesis: Option<&Path>,
    ) -> Result<Self, Failure> {
        let known = genesis.map(read_block).transpose()?;
        if first == BlockNumber::GENESIS {
            return Ok(Self::from_genesis(known));
        }
        let previous = node.one(Position::Number(BlockNumber(first.0 - 1))).await?;
        let number = last_config(&previous)?;
        let config = if number == previous.number() {
            previous.clone()
        } else {
            node.one(Position::Number(number)).await?
        };
        let known = known.filter(|known| known.number() == config.number());
        if let Some(known) = &known {
            agree(known, &config)?;
        }
        let verifier = ChainVerifier::after(&previous, &config)?;
        if config.number() != previous.number() {
            let decoded = previous.decode().map_err(VerifyError::from)?;
            verify_signatures(&decoded, verifier.bundle()).map_err(VerifyError::from)?;
        }
        let trust = match known {
            Some(_) => format!("block {} fits the config in the genesis file", previous.number()),
            None => format!("the config in block {number} was taken from this node on trust"),
        };
        Ok(Self {
            state: State::Running(Box::new(verifier)),
            trust,
        })
    }

    pub(super) fn none() -> Self {
        Self {
            state: State::Off,
            trust: String::new(),
        }
    }

    fn from_genesis(known: Option<SealedBlock>) -> Self {
        let trust = match known {
            Some(_) => "block 0 is the one in the genesis file",
            None => "block 0 was taken from this node on trust",
        };
        Self {
            state: State::Waiting(known),
            trust: trust.to_owned(),
        }
    }

    pub(super) fn is_on(&self) -> bool {
        !matches!(self.state, State::Off)
    }

    pub(super) fn next(&mut self, block: &SealedBlock) -> Result<(), Failure> {
        match &mut self.state {
            State::Off => Ok(()),
            State::Running(verifier) => Ok(verifier.check(block)?),
            State::Waiting(known) => {
                if let Some(known) = known {
                    agree(known, block)?;
                }
                self.state = State::Running(Box::new(ChainVerifier::from_genesis(block)?));
                Ok(())
            }
        }
    }

    pub(super) fn summary(&self, first: BlockNumber, count: u64) -> String {
        let Some(more) = count.checked_sub(1) else {
            return "no blocks".to_owned();
        };
        let range = match more {
            0 => format!("block {first}"),
            _ => format!("blocks {first} to {}", first.0.saturating_add(more)),
        };
        if self.is_on() {
            format!(
                "{range}: links, data hashes and signatures verified; {}",
                self.trust
            )
        } else {
            format!("{range}: nothing verified")
        }
    }
}
