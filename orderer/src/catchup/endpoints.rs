//! Where a channel's orderers listen, and by which authorities their certificates are verified.
//!
//! Source: `docs/spec/behaviour.md` §6.4: the endpoints of each orderer organisation with that organisation's TLS
//! authorities; only when no organisation has any, the channel-wide addresses with the authorities of all. Beside these
//! the addresses at which consenters reach each other: in some networks orderers cannot reach what clients can.

use bytes::Bytes;
use client::Address;
use configtx::Bundle;
use configtx::consensus_metadata::{Consenters, consenters_of};
use configtx::identity::Msp;
use protos::wire::etcdraft::Consenter;

/// One orderer of a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Where it serves Deliver.
    pub address: Address,
    /// TLS authorities of its organisation, in DER.
    pub authorities: Vec<Bytes>,
}

/// The orderers that `config` lists, each address once. What does not look like an address is left out.
pub fn endpoints(config: &Bundle) -> Vec<Endpoint> {
    let mut found = Vec::new();
    for org in config.orderer().organizations.values() {
        let msp = config.msps().msps().find(|msp| msp.name() == org.msp_id);
        let authorities = msp.map(authorities).unwrap_or_default();
        add(&mut found, &org.endpoints, &authorities);
    }
    if found.is_empty() {
        let all: Vec<_> = config.msps().msps().flat_map(authorities).collect();
        add(&mut found, &config.channel().orderer_addresses, &all);
    }
    found
}

/// All places where blocks of the channel may be had, each address once: [`endpoints`], then the consenters.
pub fn sources(config: &Bundle) -> Vec<Endpoint> {
    let mut found = endpoints(config);
    if let Ok(Consenters::Raft(consenters)) = consenters_of(config.orderer()) {
        let others = consenters
            .iter()
            .filter_map(|consenter| endpoint_of(consenter, config));
        for endpoint in others {
            if found.iter().all(|known| known.address != endpoint.address) {
                found.push(endpoint);
            }
        }
    }
    found
}

/// Where other consenters reach `consenter`, with the authorities of all organisations of `config`; none if that is no
/// address.
pub fn endpoint_of(consenter: &Consenter, config: &Bundle) -> Option<Endpoint> {
    let address = format!("{}:{}", consenter.host, consenter.port);
    Some(Endpoint {
        address: address.parse().ok()?,
        authorities: config.msps().msps().flat_map(authorities).collect(),
    })
}

fn add(found: &mut Vec<Endpoint>, addresses: &[String], authorities: &[Bytes]) {
    for text in addresses {
        let Ok(address) = text.parse::<Address>() else {
            tracing::warn!("an orderer endpoint of the channel is no address: {text:?}");
            continue;
        };
        if found.iter().all(|known| known.address != address) {
            let authorities = authorities.to_vec();
            found.push(Endpoint { address, authorities });
        }
    }
}

fn authorities(msp: &Msp) -> Vec<Bytes> {
    let certificates = msp.tls_roots().iter().chain(msp.tls_intermediates());
    certificates
        .map(|certificate| certificate.der().clone())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Genesis;

    #[test]
    fn endpoints_of_organisations_come_with_their_authorities() {
        let config = Bundle::from_block(&Genesis::solo("ch").block()).unwrap();
        let found = endpoints(&config);
        assert!(!found.is_empty());
        assert!(found.iter().all(|endpoint| endpoint.authorities.len() == 1));
    }
}
