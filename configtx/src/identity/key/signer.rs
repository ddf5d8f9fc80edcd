//! Private keys: read from PEM or DER, sign, and are wiped.

use std::fmt;

use aws_lc_rs::digest;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{self as aws, EcdsaKeyPair, KeyPair};
use ed25519_dalek::{Signer as _, SigningKey};
use p224::ecdsa::signature::hazmat::PrehashSigner;
use zeroize::Zeroizing;

use super::{Kind, PublicKey};
use crate::identity::der::{self, Reader};
use crate::identity::ecdsa::{Curve, Pair};
use crate::identity::pem;

/// Why a private key could not be used. Says nothing about the key's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// There is no PEM block.
    #[error("private key is not PEM")]
    NotPem,
    /// Neither PKCS#8 nor SEC 1.
    #[error("private key is neither PKCS#8 nor an EC PRIVATE KEY")]
    Malformed,
    /// An algorithm or curve that signs nothing here.
    #[error("private key has an unsupported algorithm; Ed25519, P-224, P-256, P-384 and P-521 are known")]
    Unsupported,
    /// The numbers do not form a key.
    #[error("private key was rejected: its numbers are out of range or do not fit its public key")]
    Rejected,
}

/// A private key. Its memory is wiped when it is dropped.
pub struct Signer {
    pub(super) secret: Secret,
    public: PublicKey,
}

pub(super) enum Secret {
    Ed25519(Box<SigningKey>),
    P224(Box<p224::ecdsa::SigningKey>),
    Ecdsa(Curve, EcdsaKeyPair),
}

const ED25519_OID: [u8; 3] = [0x2b, 0x65, 0x70];
const EC_PUBLIC_KEY_OID: [u8; 7] = [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];

impl Signer {
    /// Reads the first PEM block: PKCS#8 (`PRIVATE KEY`) or SEC 1 (`EC PRIVATE KEY`). The label is not looked at.
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        let der = Zeroizing::new(pem::first_block(text.as_bytes()).ok_or(KeyError::NotPem)?);
        Self::from_der(&der)
    }

    /// Reads PKCS#8 or SEC 1 in DER.
    pub fn from_der(der: &[u8]) -> Result<Self, KeyError> {
        let mut fields = Reader::new(der).sequence().ok_or(KeyError::Malformed)?;
        fields.magnitude().ok_or(KeyError::Malformed)?;
        match fields.sequence() {
            Some(algorithm) => Self::from_pkcs8(der, algorithm, fields),
            None => Self::from_sec1(der, fields),
        }
    }

    /// An Ed25519 key from its 32 secret bytes.
    pub fn from_ed25519_seed(seed: &[u8; 32]) -> Self {
        let key = SigningKey::from_bytes(seed);
        let verifying = key.verifying_key();
        let public = PublicKey {
            raw: verifying.as_bytes()[..].into(),
            kind: Kind::Ed25519(Some(Box::new(verifying))),
        };
        Self {
            secret: Secret::Ed25519(Box::new(key)),
            public,
        }
    }

    fn from_pkcs8(der: &[u8], mut algorithm: Reader<'_>, mut rest: Reader<'_>) -> Result<Self, KeyError> {
        let oid = algorithm
            .read(der::OBJECT_IDENTIFIER)
            .ok_or(KeyError::Malformed)?;
        let inner = rest.read(der::OCTET_STRING).ok_or(KeyError::Malformed)?;
        if oid == ED25519_OID {
            let seed = Reader::new(inner)
                .read(der::OCTET_STRING)
                .ok_or(KeyError::Malformed)?;
            let seed = Zeroizing::new(<[u8; 32]>::try_from(seed).map_err(|_| KeyError::Malformed)?);
            return Ok(Self::from_ed25519_seed(&seed));
        }
        if oid != EC_PUBLIC_KEY_OID {
            return Err(KeyError::Unsupported);
        }
        let curve = algorithm.read(der::OBJECT_IDENTIFIER).and_then(Curve::from_oid);
        let mut fields = Reader::new(inner).sequence().ok_or(KeyError::Malformed)?;
        fields.magnitude().ok_or(KeyError::Malformed)?;
        let scalar = fields.read(der::OCTET_STRING).ok_or(KeyError::Malformed)?;
        Self::from_ec(der, curve.ok_or(KeyError::Unsupported)?, scalar)
    }

    /// `rest` stands behind the version of an `ECPrivateKey`.
    fn from_sec1(der: &[u8], mut rest: Reader<'_>) -> Result<Self, KeyError> {
        /// `parameters [0]`, explicitly tagged.
        const PARAMETERS: u8 = 0xa0;
        let scalar = rest.read(der::OCTET_STRING).ok_or(KeyError::Malformed)?;
        let parameters = rest.read(PARAMETERS).ok_or(KeyError::Malformed)?;
        let oid = Reader::new(parameters).read(der::OBJECT_IDENTIFIER);
        let curve = oid.and_then(Curve::from_oid).ok_or(KeyError::Unsupported)?;
        Self::from_ec(der, curve, scalar)
    }

    fn from_ec(der: &[u8], curve: Curve, scalar: &[u8]) -> Result<Self, KeyError> {
        let algorithm = match curve {
            Curve::P224 => return Self::from_p224(scalar),
            Curve::P256 => &aws::ECDSA_P256_SHA256_ASN1_SIGNING,
            Curve::P384 => &aws::ECDSA_P384_SHA384_ASN1_SIGNING,
            Curve::P521 => &aws::ECDSA_P521_SHA256_ASN1_SIGNING,
        };
        let pair = EcdsaKeyPair::from_private_key_der(algorithm, der).map_err(|_| KeyError::Rejected)?;
        let public = PublicKey::ecdsa(curve, pair.public_key().as_ref()).ok_or(KeyError::Rejected)?;
        Ok(Self {
            secret: Secret::Ecdsa(curve, pair),
            public,
        })
    }

    fn from_p224(scalar: &[u8]) -> Result<Self, KeyError> {
        let key = p224::ecdsa::SigningKey::from_slice(scalar).map_err(|_| KeyError::Rejected)?;
        let point = key.verifying_key().to_encoded_point(false);
        let public = PublicKey::ecdsa(Curve::P224, point.as_bytes()).ok_or(KeyError::Rejected)?;
        Ok(Self {
            secret: Secret::P224(Box::new(key)),
            public,
        })
    }

    /// The matching public key.
    pub fn public_key(&self) -> &PublicKey {
        &self.public
    }

    /// Signs `message`: 64 bytes for Ed25519, low-S DER over its SHA-256 for ECDSA.
    ///
    /// # Panics
    /// When the operating system has no randomness or memory left for an ECDSA signature.
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        match &self.secret {
            Secret::Ed25519(key) => key.sign(message).to_bytes().to_vec(),
            Secret::P224(key) => sign_p224(key, message),
            Secret::Ecdsa(curve, key) => sign_ecdsa(*curve, key, message),
        }
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({:?})", self.public.algorithm())
    }
}

fn sign_p224(key: &p224::ecdsa::SigningKey, message: &[u8]) -> Vec<u8> {
    let hashed = digest::digest(&digest::SHA256, message);
    let signature: p224::ecdsa::Signature =
        key.sign_prehash(hashed.as_ref()).expect("a 32-byte digest signs");
    low_s(Curve::P224, signature.to_der().as_bytes())
}

fn sign_ecdsa(curve: Curve, key: &EcdsaKeyPair, message: &[u8]) -> Vec<u8> {
    let signed = if curve == Curve::P384 {
        key.sign_digest(&padded_to_sha384(message))
    } else {
        key.sign(&SystemRandom::new(), message)
    };
    low_s(
        curve,
        signed
            .expect("randomness and memory for an ECDSA signature")
            .as_ref(),
    )
}

/// The SHA-256 of `message` behind 16 zero bytes. The library signs on P-384 over SHA-384 only; ECDSA reads
/// a digest as a big-endian number, and zeros before a number do not change it.
fn padded_to_sha384(message: &[u8]) -> digest::Digest {
    let mut padded = [0; 48];
    padded[16..].copy_from_slice(digest::digest(&digest::SHA256, message).as_ref());
    digest::Digest::import_less_safe(&padded, &digest::SHA384).expect("48 bytes")
}

pub(super) fn low_s(curve: Curve, signature: &[u8]) -> Vec<u8> {
    let pair = Pair::read(signature).expect("our own signature reads back");
    pair.to_low_s_der(curve).expect("s is below the order")
}
