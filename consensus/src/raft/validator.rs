//! `RaftValidator`: the consenter's part of a raft channel's config (`docs/spec/rules.md` §8.3). The first words of its
//! refusals are those that tools compare (`docs/spec/dropin.md` §3).

use std::collections::BTreeSet;
use std::time::SystemTime;

use configtx::consensus_metadata::{BFT, ConsensusMetadataError, ETCDRAFT, RaftMetadata};
use configtx::identity::{Certificate, ChainError, TlsAuthorities, TlsCertificateError};
use configtx::{Bundle, Severity};
use protos::wire::etcdraft::Consenter;

use super::membership::{MemberChange, MembershipError, address};
use crate::bft::validator::check_agreement;
use crate::consenter::{ConfigChange, MetadataError, MetadataValidator};

/// Groups of the orderer organisations begin with this.
const ORDERER_ORGS: &str = "/Channel/Orderer/";

/// Checks configs of raft channels.
#[derive(Clone, Copy, Debug, Default)]
pub struct RaftValidator;

/// What is wrong with the consenter's part of a raft channel's config.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RaftMetadataError {
    /// No metadata. The reference lets an update that empties it pass, and then every node of it stops.
    #[error("etcdraft metadata is empty: without consenters the channel would stop")]
    Empty,
    /// Options or consenters are not usable.
    #[error(transparent)]
    Settings(#[from] ConsensusMetadataError),
    /// An update leads to metadata that is not good.
    #[error("invalid new config metadata: {0}")]
    New(Box<Self>),
    /// A certificate of a consenter is not good.
    #[error(
        "consenter {consenter} has invalid certificate: verifying tls {side} cert{}: {}{source}",
        numbered(serial.as_deref()),
        usual_words(source)
    )]
    Certificate {
        /// `host:port` of the consenter.
        consenter: String,
        /// `client` or `server`.
        side: &'static str,
        /// In decimal; none if the certificate does not read.
        serial: Option<String>,
        /// What is wrong.
        source: TlsCertificateError,
    },
    /// Two consenters share a certificate.
    #[error("consenters {first} and {second} have the same TLS certificate")]
    SharedCertificate {
        /// `host:port` of one.
        first: String,
        /// `host:port` of the other.
        second: String,
    },
    /// Members change in a way that they may not.
    #[error(transparent)]
    Membership(#[from] MembershipError),
    /// A channel on its way to BFT, where every orderer organisation must say where its nodes are.
    #[error(
        "illegal orderer config detected during consensus metadata validation: endpoints of org {org} are missing, \
         consensus type {BFT} needs them"
    )]
    NoEndpoints {
        /// Name of its group.
        org: String,
    },
}

impl MetadataValidator for RaftValidator {
    fn validate(&self, change: &ConfigChange<'_>) -> Result<(), MetadataError> {
        let new = &change.new.orderer().consensus_type;
        match new.kind.as_str() {
            ETCDRAFT => Ok(validate(change)?),
            BFT => {
                check_endpoints(change.new)?;
                // The reference finds out only when the channel runs on BFT.
                Ok(check_agreement(change.new)?)
            }
            _ => Err(MetadataError::TypeChange {
                old: ETCDRAFT.to_owned(),
                new: new.kind.clone(),
            }),
        }
    }
}

fn validate(change: &ConfigChange<'_>) -> Result<(), RaftMetadataError> {
    let in_words = |error| match change.old {
        Some(_) => RaftMetadataError::New(Box::new(error)),
        None => error,
    };
    let new = read(change.new).map_err(in_words)?;
    let members = change.old.map_or(Ok(MemberChange::None), |old| {
        MemberChange::between(&consenters_in_force(old), &change.members.ids, &new)
    });
    // Who is new cannot be said while too much changes at once; then all certificates are judged as old ones.
    let newcomer = members.as_ref().ok().and_then(|change| change.newcomer());
    check_certificates(change.new, &new, newcomer, change.now).map_err(in_words)?;
    check_distinct(&new).map_err(in_words)?;
    members?.check_quorum(new.len(), &change.members.active)?;
    Ok(())
}

/// The consenters of a config that is to be judged.
fn read(bundle: &Bundle) -> Result<Vec<Consenter>, RaftMetadataError> {
    let metadata = &bundle.orderer().consensus_type.metadata;
    if metadata.is_empty() {
        return Err(RaftMetadataError::Empty);
    }
    Ok(RaftMetadata::read(metadata, Severity::Intake)?.consenters)
}

/// The consenters that the config in force names. One that was committed without any has none.
fn consenters_in_force(bundle: &Bundle) -> Vec<Consenter> {
    let metadata = &bundle.orderer().consensus_type.metadata;
    let read = RaftMetadata::read(metadata, Severity::Commit);
    read.map(|metadata| metadata.consenters).unwrap_or_default()
}

fn check_certificates(
    bundle: &Bundle,
    consenters: &[Consenter],
    newcomer: Option<usize>,
    now: SystemTime,
) -> Result<(), RaftMetadataError> {
    let msps = bundle.msps().orgs();
    let orderer_orgs = msps.filter(|(path, _)| path.starts_with(ORDERER_ORGS));
    let authorities = TlsAuthorities::new(orderer_orgs.map(|(_, msp)| msp));
    for (index, consenter) in consenters.iter().enumerate() {
        let is_new = newcomer == Some(index);
        for (side, pem) in [
            ("client", &consenter.client_tls_cert),
            ("server", &consenter.server_tls_cert),
        ] {
            match authorities.check(pem, now) {
                Err(error) if is_new || !error.is_validity() => {
                    return Err(RaftMetadataError::Certificate {
                        consenter: address(consenter),
                        side,
                        serial: Certificate::from_pem(pem).ok().map(|read| read.serial_decimal()),
                        source: error,
                    });
                }
                _ => {}
            }
        }
    }
    Ok(())
}

/// How tools expect the certificate to be named (`docs/spec/dropin.md` §3).
fn numbered(serial: Option<&str>) -> String {
    serial.map_or(String::new(), |serial| format!(" with serial number {serial}"))
}

/// What tools search for when a certificate has no chain; what we found follows it.
fn usual_words(error: &TlsCertificateError) -> &'static str {
    match error {
        TlsCertificateError::Chain(ChainError::UnknownAuthority { .. }) => {
            "x509: certificate signed by unknown authority: "
        }
        _ => "",
    }
}

/// A consenter may use one certificate for both sides, but none of another consenter.
fn check_distinct(consenters: &[Consenter]) -> Result<(), RaftMetadataError> {
    let certificates =
        |one: &Consenter| BTreeSet::from([one.client_tls_cert.clone(), one.server_tls_cert.clone()]);
    for (index, second) in consenters.iter().enumerate() {
        let own = certificates(second);
        let twin = consenters[..index]
            .iter()
            .find(|first| !certificates(first).is_disjoint(&own));
        if let Some(first) = twin {
            return Err(RaftMetadataError::SharedCertificate {
                first: address(first),
                second: address(second),
            });
        }
    }
    Ok(())
}

fn check_endpoints(bundle: &Bundle) -> Result<(), RaftMetadataError> {
    let mut orgs = bundle.orderer().organizations.values();
    match orgs.find(|org| org.endpoints.is_empty()) {
        None => Ok(()),
        Some(org) => Err(RaftMetadataError::NoEndpoints {
            org: org.name.clone(),
        }),
    }
}

#[cfg(test)]
mod tests;
