use p224::ecdsa::signature::hazmat::PrehashSigner as _;
use proptest::prelude::*;

use super::signer::{Secret, low_s};
use super::*;
use crate::identity::der::{self, Reader};
use crate::identity::pem;
use crate::identity::testing::{ecdsa, ecdsa_pkcs8, ed25519, with_high_s};

const CURVES: [Curve; 4] = [Curve::P224, Curve::P256, Curve::P384, Curve::P521];

fn pem_of(label: &str, der: &[u8]) -> String {
    pem::encode(label, der)
}

#[test]
fn every_curve_signs_low_s_over_sha256_and_verifies() {
    for curve in CURVES {
        let key = ecdsa(curve);
        let signer = key.signer();
        // The half of `s` that comes first is a matter of chance, so a few rounds are needed to see both.
        for round in 0..20_u8 {
            let signature = signer.sign(&[round]);
            assert!(Pair::read(&signature).unwrap().is_low_s(curve), "{curve:?}");
            assert!(
                signer.public_key().verify(HashFamily::Sha2, &[round], &signature),
                "{curve:?}"
            );
            assert!(
                !signer
                    .public_key()
                    .verify(HashFamily::Sha2, &[round + 1], &signature),
                "{curve:?}"
            );
        }
    }
}

#[test]
fn high_s_is_refused_though_the_mathematics_would_accept_it() {
    for curve in CURVES {
        let key = ecdsa(curve);
        let signature = key.signer().sign(b"message");
        let high = with_high_s(curve, &signature);
        assert!(
            !key.signer()
                .public_key()
                .verify(HashFamily::Sha2, b"message", &high),
            "{curve:?}"
        );
    }
}

#[test]
fn what_follows_an_ecdsa_signature_is_ignored() {
    for curve in CURVES {
        let key = ecdsa(curve);
        let mut signature = key.signer().sign(b"message");
        signature.extend_from_slice(b"trailing");
        assert!(
            key.signer()
                .public_key()
                .verify(HashFamily::Sha2, b"message", &signature),
            "{curve:?}"
        );
    }
}

#[test]
fn numbers_outside_the_group_are_refused() {
    for curve in CURVES {
        let key = ecdsa(curve);
        let huge = der::encode_magnitude(&[&[1][..], curve.order()].concat());
        let one: &[u8] = &[der::INTEGER, 1, 1];
        let signature = der::encode(der::SEQUENCE, &[&huge, one]);
        assert!(
            !key.signer()
                .public_key()
                .verify(HashFamily::Sha2, b"message", &signature),
            "{curve:?}"
        );
    }
}

#[test]
fn the_sha3_family_is_sha3_256_of_the_message_on_every_curve() {
    for curve in CURVES {
        let key = ecdsa(curve);
        let signer = key.signer();
        let hashed = digest::digest(&digest::SHA3_256, b"message");
        let signature = match &signer.secret {
            Secret::P224(key) => {
                let signature: p224::ecdsa::Signature = key.sign_prehash(hashed.as_ref()).unwrap();
                signature.to_der().as_bytes().to_vec()
            }
            Secret::Ecdsa(Curve::P384, key) => {
                let padded = [&[0; 16], hashed.as_ref()].concat();
                let padded = digest::Digest::import_less_safe(&padded, &digest::SHA384).unwrap();
                key.sign_digest(&padded).unwrap().as_ref().to_vec()
            }
            Secret::Ecdsa(_, key) => {
                let same_length = digest::Digest::import_less_safe(hashed.as_ref(), &digest::SHA256).unwrap();
                key.sign_digest(&same_length).unwrap().as_ref().to_vec()
            }
            Secret::Ed25519(_) => unreachable!("no curve of these"),
        };
        let signature = low_s(curve, &signature);
        let public = signer.public_key();
        assert!(
            public.verify(HashFamily::Sha3, b"message", &signature),
            "{curve:?}"
        );
        assert!(
            !public.verify(HashFamily::Sha2, b"message", &signature),
            "{curve:?}"
        );
        let over_sha2 = signer.sign(b"message");
        assert!(
            !public.verify(HashFamily::Sha3, b"message", &over_sha2),
            "{curve:?}"
        );
        assert!(
            !public.verify(HashFamily::Unknown, b"message", &over_sha2),
            "{curve:?}"
        );
    }
}

#[test]
fn ed25519_looks_at_no_hash_family() {
    let key = ed25519();
    let signature = key.signer().sign(b"message");
    for family in [HashFamily::Sha2, HashFamily::Sha3, HashFamily::Unknown] {
        assert!(key.signer().public_key().verify(family, b"message", &signature));
    }
    assert!(
        !key.signer()
            .public_key()
            .verify(HashFamily::Sha2, b"message", &signature[..63])
    );
}

/// The neutral element and its encoding with y = p + 1.
const NEUTRAL: [u8; 32] = {
    let mut bytes = [0; 32];
    bytes[0] = 1;
    bytes
};
const NEUTRAL_NOT_CANONICAL: [u8; 32] = {
    let mut bytes = [0xff; 32];
    bytes[0] = 0xee;
    bytes[31] = 0x7f;
    bytes
};
/// The order of the group, little-endian.
const ED25519_ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

/// `R = neutral, s = 0`, which satisfies `R = [s]B - [k]A` for every message when `A` is neutral.
fn signature_of_nobody() -> Vec<u8> {
    [NEUTRAL, [0; 32]].concat()
}

#[test]
fn small_order_and_non_canonical_ed25519_keys_verify_as_in_the_reference() {
    for key in [NEUTRAL, NEUTRAL_NOT_CANONICAL] {
        let key = PublicKey::ed25519(&key).unwrap();
        assert!(key.verify(HashFamily::Sha2, b"any message", &signature_of_nobody()));
    }
}

#[test]
fn a_non_canonical_r_is_refused() {
    let key = PublicKey::ed25519(&NEUTRAL).unwrap();
    let signature = [NEUTRAL_NOT_CANONICAL, [0; 32]].concat();
    assert!(!key.verify(HashFamily::Sha2, b"any message", &signature));
}

#[test]
fn s_at_or_above_the_order_is_refused() {
    let neutral = PublicKey::ed25519(&NEUTRAL).unwrap();
    let signature = [NEUTRAL, ED25519_ORDER].concat();
    assert!(!neutral.verify(HashFamily::Sha2, b"any message", &signature));
}

#[test]
fn bytes_that_are_no_point_make_a_key_that_verifies_nothing() {
    // y = 2 has no x.
    let mut no_point = [0; 32];
    no_point[0] = 2;
    let key = PublicKey::ed25519(&no_point).unwrap();
    assert!(!key.verify(HashFamily::Sha2, b"", &signature_of_nobody()));
    assert!(PublicKey::ed25519(&[0; 31]).is_none());
}

#[test]
fn points_must_be_uncompressed_and_on_the_curve() {
    let key = ecdsa(Curve::P256);
    let point = key.signer().public_key().as_bytes().to_vec();
    let mut compressed = point[..33].to_vec();
    compressed[0] = 2 + (point[64] & 1);
    let mut elsewhere = point;
    elsewhere[64] ^= 1;
    assert!(PublicKey::ecdsa(Curve::P256, &compressed).is_none());
    assert!(PublicKey::ecdsa(Curve::P256, &elsewhere).is_none());
    assert!(PublicKey::ecdsa(Curve::P256, &[]).is_none());
}

#[test]
fn a_batch_gives_the_verdicts_of_single_verification() {
    let keys: Vec<_> = (0..6)
        .map(|n| if n % 3 == 2 { ecdsa(Curve::P256) } else { ed25519() })
        .collect();
    let messages: Vec<_> = (0..6_u8).map(|n| [n; 4]).collect();
    let mut signatures: Vec<_> = keys
        .iter()
        .zip(&messages)
        .map(|(key, message)| key.signer().sign(message))
        .collect();
    for spoiled in [None, Some(0), Some(4), Some(5)] {
        if let Some(place) = spoiled {
            signatures[place][10] ^= 1;
        }
        let checks: Vec<_> = (0..6)
            .map(|n| SignatureCheck {
                key: keys[n].signer().public_key(),
                hash: HashFamily::Sha2,
                message: &messages[n],
                signature: &signatures[n],
            })
            .collect();
        let verdicts = verify_batch(&checks);
        assert_eq!(verdicts, verify_each(&checks));
        assert!(spoiled.is_none_or(|place| !verdicts[place]));
        assert!(spoiled.is_some() || verdicts.iter().all(|good| *good));
    }
    assert!(verify_batch(&[]).is_empty());
}

#[test]
fn keys_read_from_pkcs8_and_sec1_sign_alike() {
    for curve in CURVES {
        let pkcs8 = ecdsa_pkcs8(curve);
        let from_pkcs8 = Signer::from_pem(&pem_of("PRIVATE KEY", &pkcs8)).unwrap();
        let sec1 = sec1_of(&pkcs8);
        let from_sec1 = Signer::from_pem(&pem_of("EC PRIVATE KEY", &sec1)).unwrap();
        assert_eq!(from_sec1.public_key(), from_pkcs8.public_key(), "{curve:?}");
    }
}

/// Takes the inner key out of PKCS#8 and names the curve in it.
fn sec1_of(pkcs8: &[u8]) -> Vec<u8> {
    let mut fields = Reader::new(pkcs8).sequence().unwrap();
    fields.magnitude().unwrap();
    let mut algorithm = fields.sequence().unwrap();
    algorithm.element().unwrap();
    let curve = algorithm.element().unwrap();
    let mut key = Reader::new(fields.read(der::OCTET_STRING).unwrap())
        .sequence()
        .unwrap();
    let (version, scalar) = (key.element().unwrap(), key.element().unwrap());
    der::encode(der::SEQUENCE, &[version, scalar, &der::encode(0xa0, &[curve])])
}

#[test]
fn unusable_private_keys_say_why() {
    assert_eq!(Signer::from_pem("no key").unwrap_err(), KeyError::NotPem);
    assert_eq!(
        Signer::from_pem(&pem_of("PRIVATE KEY", b"junk")).unwrap_err(),
        KeyError::Malformed
    );
    let oid = der::encode(der::OBJECT_IDENTIFIER, &[&[0x2b, 0x65, 0x6e]]);
    let x25519 = der::encode(
        der::SEQUENCE,
        &[
            &[der::INTEGER, 1, 0],
            &der::encode(der::SEQUENCE, &[&oid]),
            &[der::OCTET_STRING, 0],
        ],
    );
    assert_eq!(Signer::from_der(&x25519).unwrap_err(), KeyError::Unsupported);
}

#[test]
fn an_ed25519_key_signs_as_in_rfc_8032() {
    // Test 2 of RFC 8032, section 7.1.
    let seed = hex::decode("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb").unwrap();
    let signer = Signer::from_ed25519_seed(&seed.try_into().unwrap());
    let expected = "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da\
                    085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00";
    assert_eq!(hex::encode(signer.sign(&[0x72])), expected);
}

#[test]
fn a_signer_does_not_print_its_secret() {
    let signer = Signer::from_ed25519_seed(&[7; 32]);
    assert_eq!(format!("{signer:?}"), "Signer(Ed25519)");
}

proptest! {
    #[test]
    fn any_bytes_are_a_key_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Signer::from_der(&bytes);
        let _ = PublicKey::rsa(&bytes);
        let _ = PublicKey::ed25519(&bytes);
        for curve in CURVES {
            let _ = PublicKey::ecdsa(curve, &bytes);
        }
    }

    #[test]
    fn any_bytes_are_a_signature_or_refused(
        bytes in proptest::collection::vec(any::<u8>(), 0..140),
        family in prop_oneof![Just(HashFamily::Sha2), Just(HashFamily::Sha3), Just(HashFamily::Unknown)],
    ) {
        for key in [ed25519(), ecdsa(Curve::P224), ecdsa(Curve::P256)] {
            prop_assert!(!key.signer().public_key().verify(family, b"message", &bytes));
        }
    }
}
