//! Who signed: from serialized identities to verified, validated ones.
//!
//! ```text
//! SerializedIdentity --MspManager--> Identity --satisfies--> MspPrincipal
//!        (cache by bytes)              |
//!                                      +-- PublicKey --verify--> true | false
//! ```
//!
//! | module | holds |
//! |---|---|
//! | [`key`] | [`PublicKey`], [`Signer`], single and batch verification |
//! | [`certificate`] | [`Certificate`]: one parsed X.509 certificate |
//! | [`chain`] | chains up to a root, judged as the reference judges them |
//! | [`msp`] | [`Msp`]: one organisation's roots and rules; which identity is valid |
//! | [`manager`] | [`MspManager`]: all MSPs of a channel and the identity cache |
//! | [`principal`] | [`Principal`]: who a policy asks for |
//! | [`tls`] | [`TlsAuthorities`]: do TLS certificates of consenters chain |
//!
//! Parsing an identity does not validate it: that happens when a principal is matched
//! (`docs/spec/rules.md` §9). Whether an identity is valid does not depend on the time, so it is found out once
//! and kept; only [`Identity::expires_at`] is for callers that look at a clock.
//!
//! Not here: clocks, files, random numbers (the library that signs ECDSA draws its own).

mod cache;
pub mod certificate;
pub mod chain;
mod der;
mod ecdsa;
mod extensions;
pub mod key;
pub mod manager;
pub mod msp;
mod name_constraints;
mod pem;
pub mod principal;
mod revocation;
mod signature_algorithm;
mod signing;
#[cfg(test)]
pub(crate) mod testing;
pub mod tls;

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use prost::Message as _;
use protos::wire::msp::SerializedIdentity;

pub use certificate::{Certificate, CertificateError};
pub use chain::{ChainError, LinkFault};
pub use extensions::Usage;
pub use key::{
    HashFamily, KeyAlgorithm, KeyError, PublicKey, SignatureCheck, Signer, verify_batch, verify_each,
};
pub use manager::{MspManager, MspManagerError};
pub use msp::{AuthorityFault, BrokenRule, IdentityError, Msp, MspError, MspLevel};
pub use principal::Principal;
pub use signing::{SigningIdentity, SigningIdentityError};
pub use tls::{TlsAuthorities, TlsCertificateError};

use msp::Standing;

/// A certificate under the MSP that its bytes name. Not yet validated: see [`validate`](Self::validate).
pub struct Identity {
    msp: Msp,
    certificate: Arc<Certificate>,
    /// The chain, where reading the certificate had to find it already.
    known_chain: Option<chain::Chain>,
    standing: OnceLock<Standing>,
}

impl Identity {
    /// The MSP it belongs to.
    pub fn msp(&self) -> &Msp {
        &self.msp
    }

    /// The name of its MSP.
    pub fn msp_id(&self) -> &str {
        self.msp.name()
    }

    /// Its certificate, with the signature in it brought to low `s`.
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// The certificate in DER, as it is compared and hashed.
    pub fn der(&self) -> &bytes::Bytes {
        self.certificate.der()
    }

    /// The key that checks its signatures.
    pub fn public_key(&self) -> &PublicKey {
        self.certificate.public_key()
    }

    /// When the certificate ends. Policies do not look at it.
    pub fn expires_at(&self) -> SystemTime {
        self.certificate.expires_at()
    }

    /// The organizational units of its subject.
    pub fn organizational_units(&self) -> &[String] {
        self.certificate.organizational_units()
    }

    /// True when both are the same certificate of the same MSP, byte for byte.
    pub fn is_same(&self, other: &Self) -> bool {
        self.der() == other.der() && self.msp_id() == other.msp_id()
    }

    /// True when both count as one signer: the same, or two valid encodings of one certificate.
    ///
    /// Around the part that its issuer signed, a certificate can be written in several ways without the
    /// issuer's help. The reference would count each of them.
    pub(crate) fn is_same_signer(&self, other: &Self) -> bool {
        let is_twin = || {
            self.msp_id() == other.msp_id()
                && self.certificate.raw_tbs() == other.certificate.raw_tbs()
                && self.validate().is_ok()
                && other.validate().is_ok()
        };
        self.is_same(other) || is_twin()
    }

    /// A check of `signature` over `message`, to be verified alone or in a batch.
    pub fn check<'a>(&'a self, message: &'a [u8], signature: &'a [u8]) -> SignatureCheck<'a> {
        SignatureCheck {
            key: self.public_key(),
            hash: self.msp.hash_family(),
            message,
            signature,
        }
    }

    /// True when `signature` over `message` verifies: the verdict all nodes share.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        self.check(message, signature).verify()
    }

    /// Whether the certificate is valid for its MSP (`docs/spec/rules.md` §10.2). Found out once and kept.
    pub fn validate(&self) -> Result<(), IdentityError> {
        self.standing().validity.clone()
    }

    /// True when this identity is what `principal` asks for (`docs/spec/rules.md` §9).
    pub fn satisfies(&self, principal: &Principal) -> bool {
        principal.is_satisfied_by(self)
    }

    fn standing(&self) -> &Standing {
        self.standing
            .get_or_init(|| self.msp.judge(&self.certificate, self.known_chain.as_ref()))
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({}, {})", self.msp_id(), self.certificate.subject())
    }
}

/// When the certificate in a serialized identity ends; `None` when there is no certificate in it.
///
/// Looks at no MSP: for the expiration filter, which lets pass what it cannot read
/// (`docs/spec/rules.md` §4).
pub fn expires_at(serialized: &[u8]) -> Option<SystemTime> {
    let identity = SerializedIdentity::decode(serialized).ok()?;
    Some(Certificate::from_pem(&identity.id_bytes).ok()?.expires_at())
}
