//! Key pairs of authorities, nodes and users.

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};
use sha2::{Digest, Sha256};

use super::{CryptoError, der};

/// Half the order of P-256: a larger S is refused by orderers and peers (`docs/spec/rules.md` §10.3).
const HALF_ORDER: [u8; 32] = [
    0x7f, 0xff, 0xff, 0xff, 0x80, 0x00, 0x00, 0x00, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xde,
    0x73, 0x7d, 0x56, 0xd3, 0x8b, 0xcf, 0x42, 0x79, 0xdc, 0xe5, 0x61, 0x7e, 0x31, 0x92, 0xa8,
];
/// A signature has a low S with even odds; so many tries fail about once in 2^64.
const LOW_S_TRIES_MAX: usize = 64;

/// Kind of a key pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyType {
    /// Ed25519: four times cheaper to verify in batches. Channels need capability `V3_0` for it.
    #[default]
    Ed25519,
    /// ECDSA on P-256, understood by every release of every tool.
    P256,
}

/// A private key, just made or read from a file.
pub(super) struct PrivateKey {
    pair: Pair,
    pkcs8: Vec<u8>,
}

enum Pair {
    Ed25519(Ed25519KeyPair),
    P256(EcdsaKeyPair),
}

impl PrivateKey {
    pub(super) fn generate(kind: KeyType) -> Result<Self, CryptoError> {
        let (pair, pkcs8) = match kind {
            KeyType::Ed25519 => {
                let pair = Ed25519KeyPair::generate().map_err(CryptoError::key)?;
                let pkcs8 = pair.to_pkcs8v1().map_err(CryptoError::key)?;
                (Pair::Ed25519(pair), pkcs8.as_ref().to_vec())
            }
            KeyType::P256 => {
                let pair =
                    EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).map_err(CryptoError::key)?;
                let pkcs8 = pair.to_pkcs8v1().map_err(CryptoError::key)?;
                (Pair::P256(pair), pkcs8.as_ref().to_vec())
            }
        };
        Ok(Self { pair, pkcs8 })
    }

    /// Reads the PKCS#8 form of a key of either kind; `None` if it is neither.
    pub(super) fn from_pkcs8(pkcs8: &[u8]) -> Option<Self> {
        let p256 = || EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8).map(Pair::P256);
        let pair = Ed25519KeyPair::from_pkcs8(pkcs8)
            .map(Pair::Ed25519)
            .or_else(|_| p256());
        Some(Self {
            pair: pair.ok()?,
            pkcs8: pkcs8.to_vec(),
        })
    }

    /// PKCS#8 with label `PRIVATE KEY`.
    pub(super) fn pem(&self) -> String {
        super::pem_block("PRIVATE KEY", &self.pkcs8)
    }

    /// The DER `SubjectPublicKeyInfo`.
    pub(super) fn public_key_info(&self) -> Result<Vec<u8>, CryptoError> {
        let info: PublicKeyX509Der<'_> = match &self.pair {
            Pair::Ed25519(pair) => pair.public_key().as_der(),
            Pair::P256(pair) => pair.public_key().as_der(),
        }
        .map_err(CryptoError::key)?;
        Ok(info.as_ref().to_vec())
    }

    /// Subject key identifier: SHA-256 of the public key's bytes (for P-256 the uncompressed point).
    pub(super) fn identifier(&self) -> [u8; 32] {
        match &self.pair {
            Pair::Ed25519(pair) => Sha256::digest(pair.public_key()),
            Pair::P256(pair) => Sha256::digest(pair.public_key()),
        }
        .into()
    }

    /// DER `AlgorithmIdentifier` of what [`sign`](Self::sign) makes.
    pub(super) fn signature_algorithm(&self) -> Vec<u8> {
        let arcs: &[u32] = match &self.pair {
            Pair::Ed25519(_) => &[1, 3, 101, 112],
            Pair::P256(_) => &[1, 2, 840, 10045, 4, 3, 2],
        };
        der::sequence(&[der::oid(arcs)])
    }

    /// Signs `message`: Ed25519 over the message, ECDSA over its SHA-256 as DER with low S.
    pub(super) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, CryptoError> {
        match &self.pair {
            Pair::Ed25519(pair) => Ok(pair.sign(message).as_ref().to_vec()),
            Pair::P256(pair) => sign_low_s(pair, message),
        }
    }
}

fn sign_low_s(pair: &EcdsaKeyPair, message: &[u8]) -> Result<Vec<u8>, CryptoError> {
    for _ in 0..LOW_S_TRIES_MAX {
        let signature = pair
            .sign(&SystemRandom::new(), message)
            .map_err(CryptoError::key)?;
        if has_low_s(signature.as_ref()) {
            return Ok(signature.as_ref().to_vec());
        }
    }
    Err(CryptoError::Key)
}

/// Reads S out of `SEQUENCE { INTEGER r, INTEGER s }`, made by a signer we trust to encode minimally.
fn has_low_s(signature: &[u8]) -> bool {
    let s = signature
        .get(3)
        .and_then(|r_length| signature.get(6 + usize::from(*r_length)..));
    s.is_some_and(|s| s.len() < 32 || (s.len() == 32 && *s <= HALF_ORDER[..]))
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, ED25519, UnparsedPublicKey};

    use super::*;

    #[test]
    fn signatures_verify_and_have_low_s() {
        let key = PrivateKey::generate(KeyType::P256).unwrap();
        let Pair::P256(pair) = &key.pair else {
            panic!("not a P-256 key")
        };
        for message in 0..40_u8 {
            let signature = key.sign(&[message]).unwrap();
            assert!(has_low_s(&signature));
            UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, pair.public_key())
                .verify(&[message], &signature)
                .unwrap();
        }
        let key = PrivateKey::generate(KeyType::Ed25519).unwrap();
        let Pair::Ed25519(pair) = &key.pair else {
            panic!("not an Ed25519 key")
        };
        UnparsedPublicKey::new(&ED25519, pair.public_key())
            .verify(b"m", &key.sign(b"m").unwrap())
            .unwrap();
    }

    #[test]
    fn high_s_is_seen() {
        let signature = |s: &[u8]| der::sequence(&[der::unsigned(&[1; 32]), der::unsigned(s)]);
        assert!(has_low_s(&signature(&HALF_ORDER)));
        let mut above = HALF_ORDER;
        above[31] += 1;
        assert!(!has_low_s(&signature(&above)));
        assert!(!has_low_s(&signature(&[0xff; 32])));
        assert!(has_low_s(&signature(&[1])));
    }
}
