//! One organisation's MSP: whom it knows, and who of them is valid.
//!
//! | module | holds |
//! |---|---|
//! | `error` | what can be wrong |
//! | `setup` | from settings to a checked [`Msp`] (`docs/spec/rules.md` §10.1) |
//! | `units` | organizational units that an identity must have |
//! | `validity` | is this identity valid, and what is it (`docs/spec/rules.md` §10.2) |

mod error;
mod setup;
mod units;
mod validity;

use std::fmt;
use std::sync::{Arc, OnceLock};

use aws_lc_rs::digest;
use bytes::Bytes;
use protos::wire::msp::{MspConfig, SerializedIdentity};

use super::Identity;
use super::certificate::Certificate;
use super::chain::{Chain, ChainError, Pool};
use super::key::HashFamily;
use super::revocation::RevocationList;
use units::{NodeOus, UnitIdentifiers};

pub use error::{AuthorityFault, BrokenRule, IdentityError, MspError};
pub(crate) use units::NodeRole;
pub(crate) use validity::Standing;

/// Which rules an MSP follows; the channel's capabilities decide (`docs/spec/rules.md` §10).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MspLevel {
    /// No channel capability.
    V1_0,
    /// Channel capability `V1_1`: node OUs for client and peer.
    V1_1,
    /// `V1_3`, `V1_4_2`: combined principals and anonymity.
    V1_3,
    /// `V1_4_3`, `V2_0`: node OUs for admin and orderer.
    V1_4_3,
    /// `V3_0`: Ed25519 keys of identities.
    V3_0,
}

/// One organisation's MSP. Cheap to clone.
#[derive(Clone)]
pub struct Msp(Arc<Inner>);

struct Inner {
    name: String,
    level: MspLevel,
    hash_family: HashFamily,
    identity_hash: &'static digest::Algorithm,
    authorities: Pool,
    /// Authorities above another one: they may not issue identities.
    not_issuing: Vec<Arc<Certificate>>,
    revocation_lists: Vec<RevocationList>,
    /// Admin certificates by their DER.
    admins: Vec<Bytes>,
    unit_identifiers: UnitIdentifiers,
    /// `None` when off.
    node_ous: Option<NodeOus>,
    tls_roots: Vec<Arc<Certificate>>,
    tls_intermediates: Vec<Arc<Certificate>>,
}

impl Msp {
    /// Sets an MSP up and checks every rule of `docs/spec/rules.md` §10.1, in its order.
    pub fn new(config: &MspConfig, level: MspLevel) -> Result<Self, MspError> {
        setup::set_up(config, level).map(|inner| Self(Arc::new(inner)))
    }

    /// The MSP ID.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The rules it follows.
    pub fn level(&self) -> MspLevel {
        self.0.level
    }

    /// What its identities hash messages with before an ECDSA signature.
    pub fn hash_family(&self) -> HashFamily {
        self.0.hash_family
    }

    #[cfg(test)]
    pub(crate) fn listed_admin(&self, place: usize) -> Bytes {
        self.0.admins[place].clone()
    }

    /// TLS root certificates.
    pub fn tls_roots(&self) -> &[Arc<Certificate>] {
        &self.0.tls_roots
    }

    /// TLS intermediate certificates.
    pub fn tls_intermediates(&self) -> &[Arc<Certificate>] {
        &self.0.tls_intermediates
    }

    /// Reads an encoded `SerializedIdentity`, which must name this MSP. Does not validate it.
    pub fn deserialize(&self, serialized: &[u8]) -> Result<Identity, IdentityError> {
        let identity = decode(serialized)?;
        if identity.mspid != self.name() {
            return Err(IdentityError::OtherMsp {
                expected: self.name().to_owned(),
                found: identity.mspid,
            });
        }
        self.identity(&identity.id_bytes)
    }

    /// Makes an identity of this MSP from a certificate in PEM. One signed with ECDSA needs its chain here
    /// already, for the low-S rewriting (`docs/spec/rules.md` §9).
    pub(crate) fn identity(&self, pem: &[u8]) -> Result<Identity, IdentityError> {
        let msp_id = || self.name().to_owned();
        let certificate = Certificate::from_pem(pem).map_err(|source| IdentityError::Certificate {
            msp_id: msp_id(),
            source,
        })?;
        let (certificate, known_chain) =
            normalize(Arc::new(certificate), &self.0.authorities).map_err(|source| IdentityError::Chain {
                msp_id: msp_id(),
                source,
            })?;
        Ok(Identity {
            msp: self.clone(),
            certificate,
            known_chain,
            standing: OnceLock::new(),
        })
    }
}

impl fmt::Debug for Msp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Msp({}, {:?})", self.name(), self.level())
    }
}

pub(crate) fn decode(serialized: &[u8]) -> Result<SerializedIdentity, IdentityError> {
    prost::Message::decode(serialized).map_err(|_| IdentityError::Malformed)
}

/// Brings the signature of an ECDSA-signed certificate to low `s`, for which its issuer must be found. Gives
/// the chain that was found on the way, already with the rewritten leaf.
fn normalize(
    certificate: Arc<Certificate>,
    authorities: &Pool,
) -> Result<(Arc<Certificate>, Option<Chain>), ChainError> {
    if !certificate.signature_algorithm().is_ecdsa() {
        return Ok((certificate, None));
    }
    let is_self_signed = certificate.is_authority() && certificate.is_signed_by(&certificate);
    let own = is_self_signed.then(|| Pool::with_root(certificate.clone()));
    let mut chain = own.as_ref().unwrap_or(authorities).unique_chain(&certificate)?;
    let issuer = chain.get(1).unwrap_or(&certificate);
    let Some(lowered) = certificate.with_low_s(issuer.public_key()).map(Arc::new) else {
        return Ok((certificate, own.is_none().then_some(chain)));
    };
    chain[0] = lowered.clone();
    Ok((lowered, own.is_none().then_some(chain)))
}

#[cfg(test)]
mod tests;
