//! Signatures inside certificates and revocation lists: which algorithm, and does it verify.
//!
//! ECDSA on every curve, Ed25519, RSA with PKCS#1 v1.5 or PSS, over SHA-256, SHA-384 or SHA-512. SHA-1 and
//! MD5 never verify (`docs/spec/rules.md` §10.2). Unlike message signatures these may have high `s` and must
//! be strict DER.

use aws_lc_rs::digest;
use aws_lc_rs::signature::{self as aws, UnparsedPublicKey, VerificationAlgorithm};
use x509_parser::x509::AlgorithmIdentifier;

use super::der::{self, Reader};
use super::ecdsa::{Curve, Pair};
use super::key::{HashFamily, KeyAlgorithm, PublicKey};

/// How a certificate is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SignatureAlgorithm {
    /// `None` for SHA-1: counts as ECDSA, never verifies.
    Ecdsa(Option<Hash>),
    Rsa(Hash),
    RsaPss(Hash),
    Ed25519,
    Unsupported,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hash {
    Sha256,
    Sha384,
    Sha512,
}

const ECDSA_WITH_SHA1: [u8; 7] = [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x01];
/// The last byte picks SHA-256 (2), SHA-384 (3), SHA-512 (4).
const ECDSA_WITH_SHA2: [u8; 7] = [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03];
/// The last byte picks PSS (10), SHA-256 (11), SHA-384 (12), SHA-512 (13).
const PKCS1: [u8; 8] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01];
const MGF1: [u8; 9] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x08];
/// The last byte picks SHA-256 (1), SHA-384 (2), SHA-512 (3).
const SHA2: [u8; 8] = [0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02];
const ED25519: [u8; 3] = [0x2b, 0x65, 0x70];

impl SignatureAlgorithm {
    pub(crate) fn read(algorithm: &AlgorithmIdentifier<'_>) -> Self {
        let oid = algorithm.algorithm.as_bytes();
        if oid == ECDSA_WITH_SHA1 {
            return Self::Ecdsa(None);
        }
        if oid == ED25519 && algorithm.parameters.is_none() {
            return Self::Ed25519;
        }
        let known = match oid.split_last() {
            Some((last, stem)) if stem == ECDSA_WITH_SHA2 => {
                Hash::numbered(last.wrapping_sub(1)).map(|hash| Self::Ecdsa(Some(hash)))
            }
            Some((10, stem)) if stem == PKCS1 => algorithm
                .parameters
                .as_ref()
                .and_then(|parameters| pss_hash(parameters.data))
                .map(Self::RsaPss),
            Some((last, stem)) if stem == PKCS1 => Hash::numbered(last.wrapping_sub(10)).map(Self::Rsa),
            _ => None,
        };
        known.unwrap_or(Self::Unsupported)
    }

    pub(crate) fn is_ecdsa(self) -> bool {
        matches!(self, Self::Ecdsa(_))
    }

    /// True when `signature` over `message` verifies with `key`.
    pub(crate) fn verify(self, key: &PublicKey, message: &[u8], signature: &[u8]) -> bool {
        match (self, key.algorithm()) {
            (Self::Ed25519, KeyAlgorithm::Ed25519) => key.verify(HashFamily::Sha2, message, signature),
            (Self::Rsa(hash), KeyAlgorithm::Rsa) => with_key(hash.pkcs1(), key, message, signature),
            (Self::RsaPss(hash), KeyAlgorithm::Rsa) => with_key(hash.pss(), key, message, signature),
            (Self::Ecdsa(Some(hash)), _) => key
                .curve()
                .is_some_and(|curve| verify_ecdsa(curve, hash, key, message, signature)),
            _ => false,
        }
    }
}

impl Hash {
    fn numbered(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Sha256),
            2 => Some(Self::Sha384),
            3 => Some(Self::Sha512),
            _ => None,
        }
    }

    fn digest(self) -> &'static digest::Algorithm {
        match self {
            Self::Sha256 => &digest::SHA256,
            Self::Sha384 => &digest::SHA384,
            Self::Sha512 => &digest::SHA512,
        }
    }

    /// Accepts 1024-bit keys where the library does: the size of a CA's key is its channel's decision.
    fn pkcs1(self) -> &'static dyn VerificationAlgorithm {
        match self {
            Self::Sha256 => &aws::RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY,
            Self::Sha384 => &aws::RSA_PKCS1_2048_8192_SHA384,
            Self::Sha512 => &aws::RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY,
        }
    }

    fn pss(self) -> &'static dyn VerificationAlgorithm {
        match self {
            Self::Sha256 => &aws::RSA_PSS_2048_8192_SHA256,
            Self::Sha384 => &aws::RSA_PSS_2048_8192_SHA384,
            Self::Sha512 => &aws::RSA_PSS_2048_8192_SHA512,
        }
    }
}

/// The hash of PSS parameters, which must be the usual ones: MGF1 over the same hash, a salt of its length.
fn pss_hash(parameters: &[u8]) -> Option<Hash> {
    let mut fields = Reader::new(parameters);
    let mut tagged = |tag: u8| fields.read(tag).map(Reader::new);
    let hash_oid = tagged(0xa0)?.sequence()?.read(der::OBJECT_IDENTIFIER)?;
    let mut mask = tagged(0xa1)?.sequence()?;
    let mgf1 = mask.read(der::OBJECT_IDENTIFIER)? == MGF1;
    let same_hash = mask.sequence()?.read(der::OBJECT_IDENTIFIER)? == hash_oid;
    let salt = tagged(0xa2)?.magnitude()?;
    let trailer = fields
        .read_optional(0xa3)
        .map(|field| Reader::new(field).magnitude());
    let (last, stem) = hash_oid.split_last()?;
    let hash = Hash::numbered(*last).filter(|_| stem == SHA2)?;
    let usual = mgf1
        && same_hash
        && salt
            .iter()
            .copied()
            .map(usize::from)
            .eq([hash.digest().output_len()])
        && matches!(trailer, None | Some(Some([1])));
    usual.then_some(hash)
}

fn with_key(
    algorithm: &'static dyn VerificationAlgorithm,
    key: &PublicKey,
    message: &[u8],
    sig: &[u8],
) -> bool {
    UnparsedPublicKey::new(algorithm, key.as_bytes())
        .verify(message, sig)
        .is_ok()
}

fn verify_ecdsa(curve: Curve, hash: Hash, key: &PublicKey, message: &[u8], signature: &[u8]) -> bool {
    let algorithm = match (curve, hash) {
        (Curve::P224, _) => return verify_p224(hash, key, message, signature),
        (Curve::P256, Hash::Sha256) => &aws::ECDSA_P256_SHA256_ASN1,
        (Curve::P256, Hash::Sha384) => &aws::ECDSA_P256_SHA384_ASN1,
        (Curve::P256, Hash::Sha512) => &aws::ECDSA_P256_SHA512_ASN1,
        (Curve::P384, Hash::Sha256) => &aws::ECDSA_P384_SHA256_ASN1,
        (Curve::P384, Hash::Sha384) => &aws::ECDSA_P384_SHA384_ASN1,
        (Curve::P384, Hash::Sha512) => &aws::ECDSA_P384_SHA512_ASN1,
        (Curve::P521, Hash::Sha256) => &aws::ECDSA_P521_SHA256_ASN1,
        (Curve::P521, Hash::Sha384) => &aws::ECDSA_P521_SHA384_ASN1,
        (Curve::P521, Hash::Sha512) => &aws::ECDSA_P521_SHA512_ASN1,
    };
    with_key(algorithm, key, message, signature)
}

fn verify_p224(hash: Hash, key: &PublicKey, message: &[u8], signature: &[u8]) -> bool {
    let strict = |pair: &Pair<'_>| pair.to_der() == signature;
    Pair::read(signature)
        .filter(strict)
        .is_some_and(|pair| key.verify_p224_digest(digest::digest(hash.digest(), message).as_ref(), &pair))
}

#[cfg(test)]
mod tests;
