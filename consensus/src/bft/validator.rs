//! `BftValidator`: the consenter's part of a BFT channel's config (`docs/spec/rules.md` §8.4, §8.5).

use std::collections::BTreeSet;

use configtx::Bundle;
use configtx::bft::{self, BftOptionsError};
use configtx::consensus_metadata::BFT;
use configtx::keys::{BLOCK_VALIDATION, BLOCK_VALIDATION_PATH, ORDERER};
use protos::wire::common::Policy;
use protos::wire::orderer::smartbft::options::Rotation;

use crate::consenter::{ConfigChange, MetadataError, MetadataValidator};

/// Checks configs of BFT channels.
#[derive(Clone, Copy, Debug, Default)]
pub struct BftValidator;

/// What is wrong with the consenter's part of a BFT channel's config.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BftMetadataError {
    /// The options are not good.
    #[error(transparent)]
    Options(#[from] BftOptionsError),
    /// Nobody takes part.
    #[error("value Orderers names no consenter")]
    NoConsenters,
    /// Two consenters have one number, so that signatures cannot be told apart.
    #[error("two consenters in value Orderers have id {id}")]
    SharedId {
        /// The number.
        id: u32,
    },
    /// Blocks would need other signatures than a quorum of the consenters.
    #[error("policy {BLOCK_VALIDATION_PATH} is not the one that follows from the {consenters} consenters")]
    BlockValidation {
        /// How many there are.
        consenters: usize,
    },
    /// Leaders would take turns, which the reference does not support.
    #[error("BFT option LeaderRotation must not be on")]
    Rotation,
}

impl MetadataValidator for BftValidator {
    /// A BFT channel stays one, and its options stay good.
    fn validate(&self, change: &ConfigChange<'_>) -> Result<(), MetadataError> {
        let new = &change.new.orderer().consensus_type;
        if new.kind != BFT {
            return Err(MetadataError::TypeChange {
                old: BFT.to_owned(),
                new: new.kind.clone(),
            });
        }
        match bft::check_options(&new.metadata) {
            // Any rotation is refused below, as the reference does, at the end.
            Ok(_) | Err(BftOptionsError::Rotation) => {}
            Err(error) => return Err(BftMetadataError::Options(error).into()),
        }
        check_ids(change.new)?;
        if change.old.is_none() {
            check_agreement(change.new)?;
        }
        Ok(())
    }

    fn validate_for_ordering(&self, change: &ConfigChange<'_>) -> Result<(), MetadataError> {
        Ok(check_agreement(change.new)?)
    }
}

fn check_ids(bundle: &Bundle) -> Result<(), BftMetadataError> {
    let mut seen = BTreeSet::new();
    let ids = bundle.orderer().consenters.iter().map(|consenter| consenter.id);
    for id in ids {
        if !seen.insert(id) {
            return Err(BftMetadataError::SharedId { id });
        }
    }
    Ok(())
}

/// What every config of a BFT channel must have for its consenters to agree on blocks.
pub(crate) fn check_agreement(bundle: &Bundle) -> Result<(), BftMetadataError> {
    let consenters = &bundle.orderer().consenters;
    if consenters.is_empty() {
        return Err(BftMetadataError::NoConsenters);
    }
    if block_validation(bundle) != Some(&bft::block_validation_policy(consenters)) {
        let consenters = consenters.len();
        return Err(BftMetadataError::BlockValidation { consenters });
    }
    let options = bft::check_options(&bundle.orderer().consensus_type.metadata)?;
    if options.leader_rotation() == Rotation::On {
        return Err(BftMetadataError::Rotation);
    }
    Ok(())
}

/// The policy as the config has it, byte for byte.
fn block_validation(bundle: &Bundle) -> Option<&Policy> {
    let root = bundle.config().channel_group.as_ref()?;
    let orderer = root.groups.get(ORDERER)?;
    orderer.policies.get(BLOCK_VALIDATION)?.policy.as_ref()
}

#[cfg(test)]
mod tests;
