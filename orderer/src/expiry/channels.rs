//! The certificates by which the channels' configs know their consenters.

use prost::Message as _;
use protos::wire::etcdraft::ConfigMetadata;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use super::dated::{Dated, Role};
use crate::multichannel::Manager;

/// Those of all channels whose config can be read; one that serves both ends once.
pub fn consenters(manager: &Manager) -> Vec<Dated> {
    let channels = manager.channels();
    let mut all: Vec<Dated> = channels
        .values()
        .filter_map(|channel| {
            let rules = channel.view()?.rules();
            let metadata = rules.bundle().orderer().consensus_type.metadata.clone();
            Some(of_metadata(channel.id().as_str(), &metadata))
        })
        .flatten()
        .collect();
    all.sort();
    all.dedup();
    all
}

/// Other consenters than raft's have other metadata, in which nothing is found.
fn of_metadata(channel: &str, metadata: &[u8]) -> Vec<Dated> {
    let Ok(metadata) = ConfigMetadata::decode(metadata) else {
        return Vec::new();
    };
    let of_consenter = |consenter: protos::wire::etcdraft::Consenter| {
        let place = format!("of {}:{} on channel {channel}", consenter.host, consenter.port);
        [consenter.server_tls_cert, consenter.client_tls_cert]
            .into_iter()
            .filter_map(move |pem| {
                let der = CertificateDer::from_pem_slice(&pem).ok()?;
                Dated::of(Role::Consenter, place.clone(), &der)
            })
    };
    metadata.consenters.into_iter().flat_map(of_consenter).collect()
}
