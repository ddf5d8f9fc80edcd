//! Keys: verifying one signature or a batch, and signing.
//!
//! - Ed25519 over the message itself, ECDSA over its SHA-256 (SHA3-256 where the MSP says so) with low `s`
//!   (`docs/spec/rules.md` §10.3).
//! - [`PublicKey::verify`] and [`verify_each`] give the verdict every node agrees on. [`verify_batch`] may
//!   accept a crafted Ed25519 signature that they refuse, so only a check that binds nobody else may use it:
//!   the Writers check of Broadcast.
//! - A key is parsed once, into the form its verification starts from.
//! - [`Signer`] is the private side, in `signer`.

mod signer;

use std::fmt;

use aws_lc_rs::digest;
use aws_lc_rs::signature::{self as aws, ParsedPublicKey};
use ed25519_dalek::{Signature, VerifyingKey};
use p224::ecdsa::signature::hazmat::PrehashVerifier;

use super::ecdsa::{Curve, Pair};
pub use signer::{KeyError, Signer};

/// Which hash ECDSA signatures of messages are made over. Ed25519 does not look at it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HashFamily {
    /// SHA-256, the default.
    #[default]
    Sha2,
    /// SHA3-256.
    Sha3,
    /// A name nobody knows: an MSP may carry it, and then no ECDSA signature verifies.
    Unknown,
}

impl HashFamily {
    /// Reads the name in an MSP's settings; empty is the default.
    pub fn from_name(name: &str) -> Self {
        match name {
            "" | "SHA2" => Self::Sha2,
            "SHA3" => Self::Sha3,
            _ => Self::Unknown,
        }
    }

    fn digest(self, message: &[u8]) -> Option<digest::Digest> {
        match self {
            Self::Sha2 => Some(digest::digest(&digest::SHA256, message)),
            Self::Sha3 => Some(digest::digest(&digest::SHA3_256, message)),
            Self::Unknown => None,
        }
    }
}

/// What kind of key a [`PublicKey`] or [`Signer`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyAlgorithm {
    /// ECDSA on P-224.
    EcdsaP224,
    /// ECDSA on P-256.
    EcdsaP256,
    /// ECDSA on P-384.
    EcdsaP384,
    /// ECDSA on P-521.
    EcdsaP521,
    /// Ed25519.
    Ed25519,
    /// RSA: for certificate authorities only, never for messages.
    Rsa,
}

impl KeyAlgorithm {
    /// True for the four curves.
    pub fn is_ecdsa(self) -> bool {
        !matches!(self, Self::Ed25519 | Self::Rsa)
    }

    fn from_curve(curve: Curve) -> Self {
        match curve {
            Curve::P224 => Self::EcdsaP224,
            Curve::P256 => Self::EcdsaP256,
            Curve::P384 => Self::EcdsaP384,
            Curve::P521 => Self::EcdsaP521,
        }
    }
}

/// A public key, ready to verify.
#[derive(Clone)]
pub struct PublicKey {
    kind: Kind,
    /// The key as its certificate carries it: a point, 32 bytes, or an RSA key in DER.
    raw: Box<[u8]>,
}

#[derive(Clone)]
enum Kind {
    /// `None`: 32 bytes that are no point. Such a certificate parses, and no signature verifies.
    Ed25519(Option<Box<VerifyingKey>>),
    P224(Box<p224::ecdsa::VerifyingKey>),
    Ecdsa(Curve, ParsedPublicKey),
    Rsa,
}

impl PublicKey {
    /// An Ed25519 key from its 32 bytes. `None` for another length.
    pub fn ed25519(bytes: &[u8]) -> Option<Self> {
        let point = VerifyingKey::from_bytes(bytes.try_into().ok()?).ok();
        Some(Self {
            kind: Kind::Ed25519(point.map(Box::new)),
            raw: bytes.into(),
        })
    }

    /// An ECDSA key from an uncompressed point (`04 || x || y`). `None` when it is not on the curve.
    pub(crate) fn ecdsa(curve: Curve, point: &[u8]) -> Option<Self> {
        if point.first() != Some(&4) {
            return None;
        }
        let algorithm = match curve {
            Curve::P224 => {
                let key = p224::ecdsa::VerifyingKey::from_sec1_bytes(point).ok()?;
                return Some(Self {
                    kind: Kind::P224(Box::new(key)),
                    raw: point.into(),
                });
            }
            Curve::P256 => &aws::ECDSA_P256_SHA256_ASN1,
            Curve::P384 => &aws::ECDSA_P384_SHA256_ASN1,
            Curve::P521 => &aws::ECDSA_P521_SHA256_ASN1,
        };
        let key = ParsedPublicKey::new(algorithm, point).ok()?;
        Some(Self {
            kind: Kind::Ecdsa(curve, key),
            raw: point.into(),
        })
    }

    /// An RSA key from its `RSAPublicKey` in DER.
    pub(crate) fn rsa(der: &[u8]) -> Option<Self> {
        ParsedPublicKey::new(&aws::RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY, der).ok()?;
        Some(Self {
            kind: Kind::Rsa,
            raw: der.into(),
        })
    }

    /// What kind of key it is.
    pub fn algorithm(&self) -> KeyAlgorithm {
        match &self.kind {
            Kind::Ed25519(_) => KeyAlgorithm::Ed25519,
            Kind::P224(_) => KeyAlgorithm::EcdsaP224,
            Kind::Ecdsa(curve, _) => KeyAlgorithm::from_curve(*curve),
            Kind::Rsa => KeyAlgorithm::Rsa,
        }
    }

    /// The key's own bytes: an uncompressed point, an Ed25519 key, or an `RSAPublicKey` in DER.
    pub fn as_bytes(&self) -> &[u8] {
        &self.raw
    }

    pub(crate) fn curve(&self) -> Option<Curve> {
        match &self.kind {
            Kind::P224(_) => Some(Curve::P224),
            Kind::Ecdsa(curve, _) => Some(*curve),
            Kind::Ed25519(_) | Kind::Rsa => None,
        }
    }

    /// True when `signature` over `message` verifies: the verdict all nodes share
    /// (`docs/spec/rules.md` §10.3). An RSA key verifies nothing here.
    pub fn verify(&self, hash: HashFamily, message: &[u8], signature: &[u8]) -> bool {
        match &self.kind {
            Kind::Ed25519(key) => verify_ed25519(key.as_deref(), message, signature),
            Kind::P224(key) => verify_p224(key, hash, message, signature),
            Kind::Ecdsa(curve, key) => verify_ecdsa(*curve, key, hash, message, signature),
            Kind::Rsa => false,
        }
    }

    /// Verifies a P-224 signature of a digest, whatever its `s`: certificates may have a high one.
    pub(crate) fn verify_p224_digest(&self, digest: &[u8], signature: &Pair<'_>) -> bool {
        let Kind::P224(key) = &self.kind else { return false };
        p224_signature(signature).is_some_and(|signature| key.verify_prehash(digest, &signature).is_ok())
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.algorithm() == other.algorithm() && self.raw == other.raw
    }
}

impl Eq for PublicKey {}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({:?})", self.algorithm())
    }
}

/// Cofactorless; accepts small-order and non-canonically encoded keys, refuses `s` at or above the order.
fn verify_ed25519(key: Option<&VerifyingKey>, message: &[u8], signature: &[u8]) -> bool {
    let (Some(key), Ok(signature)) = (key, Signature::from_slice(signature)) else {
        return false;
    };
    ed25519_dalek::Verifier::verify(key, message, &signature).is_ok()
}

fn verify_ecdsa(
    curve: Curve,
    key: &ParsedPublicKey,
    hash: HashFamily,
    message: &[u8],
    signature: &[u8],
) -> bool {
    let Some(pair) = Pair::read(signature).filter(|pair| pair.is_low_s(curve)) else {
        return false;
    };
    let strict = pair.to_der();
    if hash == HashFamily::Sha2 {
        return key.verify_sig(message, &strict).is_ok();
    }
    // The library has no SHA3-256 for these curves. ECDSA only sees 32 bytes of digest, so they go in under
    // the name of the other hash of that length.
    hash.digest(message)
        .and_then(|hashed| digest::Digest::import_less_safe(hashed.as_ref(), &digest::SHA256).ok())
        .is_some_and(|hashed| key.verify_digest_sig(&hashed, &strict).is_ok())
}

fn verify_p224(key: &p224::ecdsa::VerifyingKey, hash: HashFamily, message: &[u8], signature: &[u8]) -> bool {
    let pair = Pair::read(signature).filter(|pair| pair.is_low_s(Curve::P224));
    let signature = pair.as_ref().and_then(p224_signature);
    let (Some(signature), Some(digest)) = (signature, hash.digest(message)) else {
        return false;
    };
    key.verify_prehash(digest.as_ref(), &signature).is_ok()
}

fn p224_signature(pair: &Pair<'_>) -> Option<p224::ecdsa::Signature> {
    p224::ecdsa::Signature::from_slice(&pair.to_fixed(Curve::P224)?).ok()
}

/// One signature to check.
#[derive(Clone, Copy, Debug)]
pub struct SignatureCheck<'a> {
    /// Whose signature it is said to be.
    pub key: &'a PublicKey,
    /// The hash of the signer's MSP.
    pub hash: HashFamily,
    /// The bytes that were signed.
    pub message: &'a [u8],
    /// The signature.
    pub signature: &'a [u8],
}

impl SignatureCheck<'_> {
    /// Verifies this one; see [`PublicKey::verify`].
    pub fn verify(&self) -> bool {
        self.key.verify(self.hash, self.message, self.signature)
    }
}

/// Verifies every signature by itself, in order.
pub fn verify_each(checks: &[SignatureCheck<'_>]) -> Vec<bool> {
    checks.iter().map(SignatureCheck::verify).collect()
}

/// Verifies the Ed25519 signatures in one batch and the others singly; verdicts are in the order of `checks`.
///
/// When the batch fails its members are verified singly. Not for anything nodes must agree on: see the
/// module's head.
pub fn verify_batch(checks: &[SignatureCheck<'_>]) -> Vec<bool> {
    let mut batch = Batch::default();
    let mut places = Vec::with_capacity(checks.len());
    for (place, check) in checks.iter().enumerate() {
        if batch.add(check) {
            places.push(place);
        }
    }
    if places.len() < 2 || !batch.verify() {
        return verify_each(checks);
    }
    let mut batched = places.into_iter().peekable();
    let verdict =
        |(place, check): (usize, &SignatureCheck<'_>)| batched.next_if_eq(&place).is_some() || check.verify();
    checks.iter().enumerate().map(verdict).collect()
}

/// The columns the batch verification wants.
#[derive(Default)]
struct Batch<'a> {
    messages: Vec<&'a [u8]>,
    signatures: Vec<Signature>,
    keys: Vec<VerifyingKey>,
}

impl<'a> Batch<'a> {
    /// Takes an Ed25519 check; false when it is none or cannot verify anyway.
    fn add(&mut self, check: &SignatureCheck<'a>) -> bool {
        let Kind::Ed25519(Some(key)) = &check.key.kind else {
            return false;
        };
        let Ok(signature) = Signature::from_slice(check.signature) else {
            return false;
        };
        self.messages.push(check.message);
        self.signatures.push(signature);
        self.keys.push(**key);
        true
    }

    fn verify(&self) -> bool {
        ed25519_dalek::verify_batch(&self.messages, &self.signatures, &self.keys).is_ok()
    }
}

#[cfg(test)]
mod tests;
