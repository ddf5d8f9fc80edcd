//! Which organisations take part, and where they are reached.

use configtx::{keys, tree};
use protos::wire::common::{Config, ConfigGroup, OrdererAddresses, Orderers};
use protos::wire::protos::{AnchorPeer, AnchorPeers};

use super::EditError;
use super::msp::msp_id;
use super::place::Place;
use crate::connection::Address;

/// What an organisation does on a channel. One may do both, in two groups of one name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// It runs orderers.
    Orderer,
    /// It uses the channel.
    Application,
}

impl Part {
    fn group(self) -> &'static str {
        match self {
            Self::Orderer => keys::ORDERER,
            Self::Application => keys::APPLICATION,
        }
    }
}

/// Adds the organisation `name`. Its group holds what genesis blocks give one: MSP, policies, and endpoints or
/// anchor peers; see [`configtx::genesis::orderer_org_group`] and its sibling.
pub fn add_organisation(
    mut config: Config,
    part: Part,
    name: &str,
    group: ConfigGroup,
) -> Result<Config, EditError> {
    let place = Place::find(&mut config, &[part.group()])?;
    let path = place.path_of(name);
    tree::check_key(name).map_err(|reason| EditError::Name {
        path: place.path.clone(),
        name: name.to_owned(),
        reason,
    })?;
    if place.group.groups.contains_key(name) {
        return Err(EditError::Exists { path });
    }
    place.group.groups.insert(name.to_owned(), group);
    Ok(config)
}

/// Takes an organisation out of one part of the channel.
///
/// The last one stays: the group's administrators are its organisations' administrators. Nor does one go whose
/// BFT consenters remain. Raft consenters name no organisation; the channel's nodes refuse to lose the
/// authority of one that stays.
pub fn remove_organisation(mut config: Config, part: Part, name: &str) -> Result<Config, EditError> {
    let place = Place::find(&mut config, &[part.group()])?;
    let path = place.path_of(name);
    let Some(org) = place.group.groups.get(name) else {
        return Err(no_organisation(&config, name));
    };
    if place.group.groups.len() == 1 {
        return Err(EditError::LastOrganisation { path });
    }
    if part == Part::Orderer {
        let id = msp_id(&path, org)?;
        let consenters: Orderers = place.value_or_default(keys::ORDERERS)?;
        let own = consenters.consenter_mapping.iter().filter(|one| one.msp_id == id);
        let consenters: Vec<_> = own.map(|one| format!("{}:{}", one.host, one.port)).collect();
        if !consenters.is_empty() {
            return Err(EditError::HasConsenters { path, consenters });
        }
    }
    place.group.groups.remove(name);
    Ok(config)
}

/// Makes `peers` the anchor peers of an application organisation, in place of those it has.
pub fn set_anchor_peers(mut config: Config, name: &str, peers: &[Address]) -> Result<Config, EditError> {
    let known = organisations(&config);
    let mut org = org_of(&mut config, Part::Application, name, known)?;
    let anchor_peers = peers.iter().map(|peer| AnchorPeer {
        host: peer.host().to_owned(),
        port: peer.port().into(),
    });
    let peers = AnchorPeers {
        anchor_peers: anchor_peers.collect(),
    };
    org.set(keys::ANCHOR_PEERS, &peers);
    Ok(config)
}

/// Makes `addresses` the endpoints of an orderer organisation, in place of those it has.
pub fn set_endpoints(mut config: Config, name: &str, addresses: &[Address]) -> Result<Config, EditError> {
    let known = organisations(&config);
    let mut org = org_of(&mut config, Part::Orderer, name, known)?;
    let addresses = OrdererAddresses {
        addresses: addresses.iter().map(ToString::to_string).collect(),
    };
    org.set(keys::ENDPOINTS, &addresses);
    Ok(config)
}

fn org_of<'a>(
    config: &'a mut Config,
    part: Part,
    name: &str,
    known: Vec<String>,
) -> Result<Place<'a>, EditError> {
    let missing = |_| EditError::NoOrganisation {
        name: name.to_owned(),
        known,
    };
    Place::find(config, &[part.group()])?.child(name).map_err(missing)
}

/// Paths of all organisations.
pub(super) fn organisations(config: &Config) -> Vec<String> {
    let root = config.channel_group.as_ref();
    let groups = root.into_iter().flat_map(|root| &root.groups);
    let parts = groups.filter(|(name, _)| [keys::ORDERER, keys::APPLICATION].contains(&name.as_str()));
    let paths = parts.flat_map(|(part, group)| {
        let path = move |name| format!("/{}/{part}/{name}", tree::ROOT);
        group.groups.keys().map(path)
    });
    paths.collect()
}

pub(super) fn no_organisation(config: &Config, name: &str) -> EditError {
    EditError::NoOrganisation {
        name: name.to_owned(),
        known: organisations(config),
    }
}
