//! Capabilities and maintenance mode.

use std::collections::BTreeSet;

use configtx::capability::{ChannelCapabilities, OrdererCapabilities, encode_capabilities};
use configtx::keys;
use protos::wire::common::{Capabilities, Capability, Config};
use protos::wire::orderer::ConsensusType;
use protos::wire::orderer::consensus_type::State;

use super::EditError;
use super::place::Place;

/// Which group's capabilities.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CapabilityGroup {
    /// What everybody on the channel must know.
    Channel,
    /// What its orderers must know.
    Orderer,
    /// What its peers must know.
    Application,
}

/// Makes `names` the capabilities of a group, in place of those it has.
///
/// Those of the channel and of the orderers must be known here; those of the applications are their peers' matter.
pub fn set_capabilities(
    mut config: Config,
    group: CapabilityGroup,
    names: &BTreeSet<String>,
) -> Result<Config, EditError> {
    let mut place = match group {
        CapabilityGroup::Channel => Place::root(&mut config)?,
        CapabilityGroup::Orderer => Place::orderer(&mut config)?,
        CapabilityGroup::Application => Place::application(&mut config)?,
    };
    if let Some(name) = unknown(group, names) {
        let path = place.path_of(keys::CAPABILITIES);
        return Err(EditError::Capability { path, name });
    }
    let old: Capabilities = place.value_or_default(keys::CAPABILITIES)?;
    if !old.capabilities.keys().eq(names) {
        let bytes = encode_capabilities(names.iter().map(String::as_str));
        place.set_bytes(keys::CAPABILITIES, bytes);
    }
    Ok(config)
}

fn unknown(group: CapabilityGroup, names: &BTreeSet<String>) -> Option<String> {
    let capabilities = names.iter().map(|name| (name.clone(), Capability::default()));
    let value = Capabilities {
        capabilities: capabilities.collect(),
    };
    match group {
        CapabilityGroup::Channel => ChannelCapabilities::new(&value).unsupported().first().cloned(),
        CapabilityGroup::Orderer => OrdererCapabilities::new(&value).unsupported().first().cloned(),
        CapabilityGroup::Application => None,
    }
}

/// Switches maintenance mode: while it is on, only config updates are let in, and only from the orderers'
/// organisations (`docs/spec/rules.md` §8.4).
pub fn set_maintenance(mut config: Config, on: bool) -> Result<Config, EditError> {
    let mut orderer = Place::orderer(&mut config)?;
    let mut consensus: ConsensusType = orderer.value(keys::CONSENSUS_TYPE)?;
    consensus.state = if on { State::Maintenance } else { State::Normal } as i32;
    orderer.set(keys::CONSENSUS_TYPE, &consensus);
    Ok(config)
}
