//! From bytes to an identity.

use super::*;

#[test]
fn a_high_s_certificate_is_the_same_identity_as_its_low_s_form() {
    let root = root();
    let msp = msp(&settings(&[&root], &[]));
    let high = root.issue(
        &Spec {
            has_high_s: true,
            ..Spec::leaf("user")
        },
        &p256(),
    );
    let certificate = Certificate::from_der(&high).unwrap();
    let low = certificate.with_low_s(root.key.signer().public_key()).unwrap();
    let read = |der: &[u8]| {
        msp.deserialize(&serialized(crate::identity::testing::certificate_pem(der)))
            .unwrap()
    };
    let (from_high, from_low) = (read(&high), read(low.der()));
    assert!(from_high.is_same(&from_low) && from_high.validate().is_ok());
    assert_ne!(from_high.der(), &high);
}

#[test]
fn an_ecdsa_signed_certificate_needs_its_chain_to_be_read_at_all() {
    let (root, other) = (root(), root());
    let msp = msp(&settings(&[&root], &[]));
    let stranger = msp.deserialize(&serialized(other.issue_pem(&Spec::leaf("user"), &p256())));
    assert!(matches!(stranger, Err(IdentityError::Chain { .. })));
    let other = Issuer::root(&Spec::authority("other"), ed25519());
    let stranger = msp.deserialize(&serialized(other.issue_pem(&Spec::leaf("user"), &p256())));
    assert!(matches!(
        stranger.unwrap().validate(),
        Err(IdentityError::Chain { .. })
    ));
}

#[test]
fn the_msp_id_must_match_and_the_bytes_must_read() {
    let root = root();
    let msp = msp(&FabricMspConfig {
        name: "Other".to_owned(),
        ..settings(&[&root], &[])
    });
    let pem = root.issue_pem(&Spec::leaf("user"), &p256());
    let error = msp.deserialize(&serialized(pem)).unwrap_err();
    assert!(matches!(error, IdentityError::OtherMsp { .. }));
    assert_eq!(msp.deserialize(&[0xff]).unwrap_err(), IdentityError::Malformed);
}

#[test]
fn an_unknown_hash_family_fails_ecdsa_only() {
    let root = root();
    let crypto = FabricCryptoConfig {
        signature_hash_family: "MD5".to_owned(),
        ..Default::default()
    };
    let msp = msp(&FabricMspConfig {
        crypto_config: Some(crypto),
        ..settings(&[&root], &[])
    });
    for (key, verifies) in [(p256(), false), (ed25519(), true)] {
        let identity = msp
            .deserialize(&serialized(root.issue_pem(&Spec::leaf("user"), &key)))
            .unwrap();
        assert_eq!(
            identity.verify(b"message", &key.signer().sign(b"message")),
            verifies
        );
    }
}

#[test]
fn the_chain_identifier_hashes_the_authorities_with_the_named_function() {
    let root = root();
    for (name, algorithm) in [
        ("", &digest::SHA256),
        ("SHA384", &digest::SHA384),
        ("SHA3_256", &digest::SHA3_256),
        ("SHA3_384", &digest::SHA3_384),
    ] {
        let crypto = FabricCryptoConfig {
            identity_identifier_hash_function: name.to_owned(),
            ..Default::default()
        };
        let msp = msp(&FabricMspConfig {
            crypto_config: Some(crypto),
            ..settings(&[&root], &[])
        });
        let certificate = Certificate::from_der(&root.issue(&Spec::leaf("user"), &p256())).unwrap();
        let standing = msp.judge(&Arc::new(certificate), None);
        let expected = digest::digest(algorithm, &root.der);
        assert_eq!(
            standing.chain_identifier.as_deref(),
            Some(expected.as_ref()),
            "{name}"
        );
    }
}
