//! The members of a raft channel.
//!
//! A channel takes one step of membership at a time: one member more, one less, or one exchanged, which keeps
//! its raft id (`docs/spec/rules.md` §8.3). What tells members apart is the client TLS certificate; here they
//! are named by their address.

use bytes::Bytes;
use configtx::consensus_metadata::ETCDRAFT;
use configtx::identity::Certificate;
use configtx::keys;
use prost::Message as _;
use protos::wire::common::Config;
use protos::wire::etcdraft::{ConfigMetadata, Consenter};
use protos::wire::orderer::ConsensusType;

use super::EditError;
use super::place::{Place, decode};
use crate::connection::Address;

/// The TLS certificates of a member, whole PEM files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsCertificates {
    /// Shown as a client.
    pub client: Bytes,
    /// Shown as a server.
    pub server: Bytes,
}

/// What becomes of a member's certificates; what is none stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsChange {
    /// Shown as a client.
    pub client: Option<Bytes>,
    /// Shown as a server.
    pub server: Option<Bytes>,
}

/// Adds a member behind the others.
pub fn add_consenter(
    config: Config,
    address: &Address,
    certificates: &TlsCertificates,
) -> Result<Config, EditError> {
    change(config, |members| {
        members.refuse_taken(address)?;
        members.list.push(Consenter {
            host: address.host().to_owned(),
            port: address.port().into(),
            client_tls_cert: certificates.client.clone(),
            server_tls_cert: certificates.server.clone(),
        });
        members.check(members.list.len() - 1)
    })
}

/// Takes a member out.
pub fn remove_consenter(config: Config, address: &Address) -> Result<Config, EditError> {
    change(config, |members| {
        let index = members.find(address)?;
        if members.list.len() == 1 {
            return Err(EditError::LastConsenter {
                path: members.path.clone(),
                address: address.to_string(),
            });
        }
        members.list.remove(index);
        Ok(())
    })
}

/// Puts another node in a member's place: another address, other certificates, or both. The place in the row
/// and the raft id stay.
pub fn replace_consenter(
    config: Config,
    old: &Address,
    new: &Address,
    certificates: &TlsChange,
) -> Result<Config, EditError> {
    change(config, |members| {
        let index = members.find(old)?;
        if new != old {
            members.refuse_taken(new)?;
        }
        let member = &mut members.list[index];
        new.host().clone_into(&mut member.host);
        member.port = new.port().into();
        if let Some(client) = &certificates.client {
            member.client_tls_cert = client.clone();
        }
        if let Some(server) = &certificates.server {
            member.server_tls_cert = server.clone();
        }
        members.check(index)
    })
}

/// Gives a member other TLS certificates.
pub fn rotate_certificates(
    config: Config,
    address: &Address,
    certificates: &TlsChange,
) -> Result<Config, EditError> {
    replace_consenter(config, address, address, certificates)
}

struct Members {
    /// Of the value that holds them.
    path: String,
    list: Vec<Consenter>,
}

impl Members {
    fn find(&self, address: &Address) -> Result<usize, EditError> {
        let found = self.list.iter().position(|member| is_at(member, address));
        found.ok_or_else(|| EditError::NoConsenter {
            path: self.path.clone(),
            address: address.to_string(),
            known: self.list.iter().map(address_of).collect(),
        })
    }

    fn refuse_taken(&self, address: &Address) -> Result<(), EditError> {
        if !self.list.iter().any(|member| is_at(member, address)) {
            return Ok(());
        }
        Err(EditError::IsConsenter {
            path: self.path.clone(),
            address: address.to_string(),
        })
    }

    /// The certificates of the member at `index` must be certificates, and nobody else's.
    fn check(&self, index: usize) -> Result<(), EditError> {
        let member = &self.list[index];
        for pem in [&member.client_tls_cert, &member.server_tls_cert] {
            Certificate::from_pem(pem).map_err(|source| EditError::Certificate {
                path: self.path.clone(),
                address: address_of(member),
                source,
            })?;
            let mut others = self.list.iter().enumerate().filter(|(other, _)| *other != index);
            let holds = |other: &Consenter| [&other.client_tls_cert, &other.server_tls_cert].contains(&pem);
            if let Some((_, other)) = others.find(|(_, other)| holds(other)) {
                return Err(EditError::CertificateTaken {
                    path: self.path.clone(),
                    address: address_of(other),
                });
            }
        }
        Ok(())
    }
}

fn is_at(member: &Consenter, address: &Address) -> bool {
    member.host == address.host() && member.port == u32::from(address.port())
}

fn address_of(member: &Consenter) -> String {
    format!("{}:{}", member.host, member.port)
}

fn change(
    mut config: Config,
    change: impl FnOnce(&mut Members) -> Result<(), EditError>,
) -> Result<Config, EditError> {
    let mut orderer = Place::orderer(&mut config)?;
    let path = orderer.path_of(keys::CONSENSUS_TYPE);
    let consensus: ConsensusType = orderer.value(keys::CONSENSUS_TYPE)?;
    if consensus.r#type != ETCDRAFT {
        let kind = consensus.r#type;
        return Err(EditError::NotRaft { path, kind });
    }
    let metadata: ConfigMetadata = decode(&path, &consensus.metadata)?;
    let (list, options) = (metadata.consenters, metadata.options);
    let mut members = Members { path, list };
    change(&mut members)?;
    let metadata = ConfigMetadata {
        consenters: members.list,
        options,
    };
    let metadata = metadata.encode_to_vec().into();
    orderer.set(
        keys::CONSENSUS_TYPE,
        &ConsensusType {
            metadata,
            ..consensus
        },
    );
    Ok(config)
}
