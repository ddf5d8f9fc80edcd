//! Whether this node orders a channel or follows it (`docs/spec/rules.md` §12).

use std::sync::Arc;

use configtx::Bundle;
use configtx::consensus_metadata::{Consenters, consenters_of};
use ledger::BlockReader;
use prost::Message as _;
use protos::wire::common::Metadata;
use protos::wire::etcdraft::BlockMetadata;
use protos::{BlockNumber, ConsenterId, block};

use super::others::Others;
use crate::onboarding::{GoOn, Host};

/// This node's place in a channel, by a config of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The consensus type knows no members: whoever joined it orders.
    Alone,
    /// It is this one of the consenters.
    Consenter(usize),
    /// It is none of them.
    Nowhere,
}

impl Place {
    /// True for a node that is to order.
    pub fn orders(self) -> bool {
        self != Self::Nowhere
    }
}

/// This node's place under `bundle`.
///
/// # Errors
/// In words: the config does not say who its consenters are, or nobody could know this node.
pub fn place_in(bundle: &Bundle, others: &dyn Others) -> Result<Place, String> {
    match consenters_of(bundle.orderer()).map_err(|error| error.to_string())? {
        Consenters::Solo => Ok(Place::Alone),
        Consenters::Raft(consenters) => {
            let place = others.own_place(&consenters).map_err(|error| error.to_string())?;
            Ok(place.map_or(Place::Nowhere, Place::Consenter))
        }
        Consenters::Bft(_) => Err("consenter BFT is not available".to_owned()),
    }
}

/// Blocks looked through for raft ids. The reference may write one without any where it made a node catch up from a
/// snapshot (`docs/spec/wire.md` §12).
const LOOK_BACK_MAX: usize = 16;

/// The raft id that the blocks up to `number` give the consenter at `place` of the config in force after it.
pub fn raft_id(reader: &BlockReader, number: BlockNumber, place: usize) -> Option<ConsenterId> {
    let numbers = (1..=number.0).rev().map(BlockNumber).take(LOOK_BACK_MAX);
    for number in numbers {
        let block = reader.get(number).ok()??.decode().ok()?;
        let metadata = block::orderer_metadata(&block).ok()??.consenter_metadata;
        if !metadata.is_empty() {
            let metadata = BlockMetadata::decode(Metadata::decode(metadata).ok()?.value).ok()?;
            return metadata.consenter_ids.get(place).copied().map(ConsenterId);
        }
    }
    u64::try_from(place).ok().map(|place| ConsenterId(place + 1))
}

/// Ends a follower when this node becomes a consenter.
pub struct UntilConsenter {
    /// Knows this node's place.
    pub others: Arc<dyn Others>,
    /// Reads the blocks that are asked about.
    pub reader: BlockReader,
    /// The id under which this node must not, or cannot, take part: it waits for another.
    pub unfit: Option<ConsenterId>,
}

impl Host for UntilConsenter {
    fn config_in_force(&self, number: BlockNumber, config: &Arc<Bundle>) -> GoOn {
        match place_in(config, &*self.others) {
            Ok(Place::Consenter(place)) if self.unfit.is_none() => {
                tracing::debug!(target: super::LOGGER, "block {number} has this node as consenter {place}");
                GoOn::Stop
            }
            Ok(Place::Consenter(place)) if raft_id(&self.reader, number, place) != self.unfit => GoOn::Stop,
            Ok(Place::Alone) => GoOn::Stop,
            Ok(Place::Consenter(_) | Place::Nowhere) | Err(_) => GoOn::Follow,
        }
    }
}
