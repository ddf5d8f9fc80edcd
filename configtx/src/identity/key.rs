//! Keys: verifying one signature or a batch, and signing.
//!
//! - Ed25519 over the message itself, ECDSA over its SHA-256 (SHA3-256 where the MSP says so) with low `s`
//!   (`docs/spec/rules.md` §10.3).
//! - [`PublicKey::verify`] and [`verify_each`] give the verdict every node agrees on. [`verify_batch`] may
//!   accept a crafted Ed25519 signature that they refuse, so only a check that binds nobody else may use it:
//!   the Writers check of Broadcast.
//! - A key is parsed once, into the form its verification starts from.

use std::fmt;

use aws_lc_rs::digest;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{self as aws, EcdsaKeyPair, KeyPair, ParsedPublicKey};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use p224::ecdsa::signature::hazmat::{PrehashSigner, PrehashVerifier};
use zeroize::Zeroizing;

use super::der::{self, Reader};
use super::ecdsa::{Curve, Pair};
use super::pem;

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

    /// As [`Pair::to_fixed`] wants it: verifies a prehashed P-224 signature with any `s`.
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
    secret: Secret,
    public: PublicKey,
}

enum Secret {
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

    /// As [`from_pem`](Self::from_pem).
    pub fn from_pkcs8_pem(text: &str) -> Result<Self, KeyError> {
        Self::from_pem(text)
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

fn low_s(curve: Curve, signature: &[u8]) -> Vec<u8> {
    let pair = Pair::read(signature).expect("our own signature reads back");
    pair.to_low_s_der(curve).expect("s is below the order")
}
