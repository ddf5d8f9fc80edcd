use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{EcdsaKeyPair, EcdsaSigningAlgorithm, KeyPair as _};

use super::*;
use crate::identity::testing::{ecdsa, ed25519, with_high_s};

fn signed(algorithm: &'static EcdsaSigningAlgorithm, curve: Curve) -> (PublicKey, Vec<u8>) {
    let pair = EcdsaKeyPair::generate(algorithm).unwrap();
    let signature = pair.sign(&SystemRandom::new(), b"tbs").unwrap();
    (
        PublicKey::ecdsa(curve, pair.public_key().as_ref()).unwrap(),
        signature.as_ref().to_vec(),
    )
}

#[test]
fn certificates_may_be_signed_over_longer_hashes() {
    for (algorithm, curve, hash) in [
        (&aws::ECDSA_P384_SHA384_ASN1_SIGNING, Curve::P384, Hash::Sha384),
        (&aws::ECDSA_P521_SHA384_ASN1_SIGNING, Curve::P521, Hash::Sha384),
        (&aws::ECDSA_P521_SHA512_ASN1_SIGNING, Curve::P521, Hash::Sha512),
    ] {
        let (key, signature) = signed(algorithm, curve);
        assert!(
            SignatureAlgorithm::Ecdsa(Some(hash)).verify(&key, b"tbs", &signature),
            "{curve:?} {hash:?}"
        );
        assert!(!SignatureAlgorithm::Ecdsa(Some(hash)).verify(&key, b"other", &signature));
        assert!(!SignatureAlgorithm::Ecdsa(Some(Hash::Sha256)).verify(&key, b"tbs", &signature));
    }
}

#[test]
fn certificate_signatures_may_have_high_s_but_nothing_behind_them() {
    for curve in [Curve::P224, Curve::P256, Curve::P384, Curve::P521] {
        let key = ecdsa(curve);
        let algorithm = SignatureAlgorithm::Ecdsa(Some(Hash::Sha256));
        let signature = key.signer().sign(b"tbs");
        let high = with_high_s(curve, &signature);
        let trailing = [&signature[..], b"x"].concat();
        let verify = |signature: &[u8]| algorithm.verify(key.signer().public_key(), b"tbs", signature);
        assert!(
            verify(&signature) && verify(&high) && !verify(&trailing),
            "{curve:?}"
        );
    }
}

#[test]
fn algorithm_and_key_must_fit() {
    let (ed, ec) = (ed25519(), ecdsa(Curve::P256));
    let signature = ed.signer().sign(b"tbs");
    assert!(SignatureAlgorithm::Ed25519.verify(ed.signer().public_key(), b"tbs", &signature));
    assert!(!SignatureAlgorithm::Ed25519.verify(ec.signer().public_key(), b"tbs", &signature));
    assert!(!SignatureAlgorithm::Rsa(Hash::Sha256).verify(ed.signer().public_key(), b"tbs", &signature));
    let signature = ec.signer().sign(b"tbs");
    for never in [SignatureAlgorithm::Ecdsa(None), SignatureAlgorithm::Unsupported] {
        assert!(!never.verify(ec.signer().public_key(), b"tbs", &signature));
    }
}
