use proptest::prelude::*;

use super::*;
use crate::identity::testing::{Issuer, Spec, ed25519, p256};

fn root() -> Issuer {
    Issuer::root(&Spec::authority("root"), p256())
}

#[test]
fn the_fields_that_decide_are_read() {
    let spec = Spec {
        units: vec!["client", "sales"],
        serial: 9,
        has_key_id: true,
        dns_names: vec!["a.example.com"],
        ..Spec::leaf("User1")
    };
    let key = ed25519();
    let certificate = Certificate::from_der(&root().issue(&spec, &key)).unwrap();
    assert_eq!(certificate.common_name(), "User1");
    assert_eq!(certificate.organizational_units(), ["client", "sales"]);
    assert_eq!(certificate.serial(), [9]);
    assert_eq!(certificate.serial_decimal(), "9");
    assert_eq!(certificate.public_key(), key.signer().public_key());
    assert!(!certificate.is_authority() && certificate.subject_key_id().is_some());
    let year = Duration::from_hours(365 * 24);
    assert!(certificate.expires_at() > certificate.valid_from() + 9 * year);
    assert!(certificate.subject().contains("User1") && certificate.issuer().contains("root"));
}

#[test]
fn pem_and_der_are_the_same_certificate() {
    let root = root();
    let certificate = Certificate::from_der(&root.der).unwrap();
    assert_eq!(
        Certificate::from_pem(certificate.to_pem().as_bytes()).unwrap(),
        certificate
    );
    assert_eq!(
        Certificate::from_pem(&root.der).unwrap_err(),
        CertificateError::NotPem
    );
}

#[test]
fn a_serial_number_is_written_in_decimal_whatever_its_length() {
    let long = [0xa1, 0x4b, 0xf8, 0x9b, 0xd5, 0xd7, 0xc1, 0x6a, 0x00, 0xff];
    for (serial, expected) in [
        (&[][..], "0"),
        (&[255], "255"),
        (&[1, 0], "256"),
        (&[0xff; 8], "18446744073709551615"),
        (&long, "761702423694606531690751"),
    ] {
        assert_eq!(decimal(serial), expected);
    }
}

#[test]
fn bytes_behind_a_certificate_are_refused() {
    let mut der = root().der;
    der.push(0);
    assert_eq!(
        Certificate::from_der(&der).unwrap_err(),
        CertificateError::Malformed
    );
}

#[test]
fn the_unsigned_part_is_read_as_loosely_as_in_the_reference_and_no_looser() {
    let root = root();
    let parts = Parts::split(&root.der).unwrap();
    let with = |signature: &[u8], behind: &[u8]| {
        let signature = der::encode(der::BIT_STRING, &[signature]);
        let whole = der::encode(der::SEQUENCE, &[parts.tbs, parts.algorithm, &signature, behind]);
        Certificate::from_der(&whole)
    };
    let plain = [&[0], &*parts.signature].concat();
    assert_eq!(with(&plain, b"").unwrap().der(), &root.der);
    assert!(
        with(&plain, b"\x05\x00").is_ok(),
        "an element behind the signature"
    );
    // The first byte of an ECDSA signature is 0x30, so everything can move up by two bits.
    let doubled = parts.signature.iter().chain([&0]).collect::<Vec<_>>();
    let moved = doubled.windows(2).map(|pair| pair[0] << 2 | pair[1] >> 6);
    let moved: Vec<u8> = [2].into_iter().chain(moved).collect();
    assert_eq!(with(&moved, b"").unwrap().signature, parts.signature);
    assert!(
        with(&[&[1], &*parts.signature].concat(), b"").is_err() || parts.signature.last().unwrap() & 1 == 0
    );
    assert!(with(&[8, 0], b"").is_err() && with(&[1], b"").is_err() && with(&[], b"").is_err());
    let constructed = der::encode(0x23, &[&plain]);
    let whole = der::encode(der::SEQUENCE, &[parts.tbs, parts.algorithm, &constructed]);
    assert_eq!(
        Certificate::from_der(&whole).unwrap_err(),
        CertificateError::Malformed
    );
}

#[test]
fn a_high_s_signature_is_rewritten_and_nothing_else_changes() {
    let root = root();
    let key = p256();
    let low = Certificate::from_der(&root.issue(&Spec::leaf("a"), &key)).unwrap();
    let high = Spec {
        has_high_s: true,
        ..Spec::leaf("a")
    };
    let high = Certificate::from_der(&root.issue(&high, &key)).unwrap();
    let issuer = root.key.signer().public_key();
    assert!(low.with_low_s(issuer).is_none());
    let lowered = high.with_low_s(issuer).unwrap();
    assert_ne!(lowered.der(), high.der());
    assert_eq!(lowered.raw_tbs(), high.raw_tbs());
    assert!(lowered.with_low_s(issuer).is_none());
    let root = Certificate::from_der(&root.der).unwrap();
    assert!(high.is_signed_by(&root) && lowered.is_signed_by(&root));
}

#[test]
fn issuing_needs_ca_and_cert_sign() {
    let signed_by = |spec: &Spec| {
        let issuer = Issuer::root(spec, p256());
        let leaf = Certificate::from_der(&issuer.issue(&Spec::leaf("leaf"), &p256())).unwrap();
        leaf.is_signed_by(&Certificate::from_der(&issuer.der).unwrap())
    };
    let authority = Spec::authority("root");
    assert!(signed_by(&authority));
    assert!(signed_by(&Spec {
        key_usage: None,
        ..authority.clone()
    }));
    assert!(!signed_by(&Spec {
        key_usage: Some(0x80),
        ..authority.clone()
    }));
    assert!(!signed_by(&Spec {
        ca: Some(false),
        ..authority.clone()
    }));
    assert!(!signed_by(&Spec {
        ca: None,
        ..authority
    }));
}

#[test]
fn text_types_of_names() {
    let text_of = |tag: Tag, data: &'static [u8]| text(&Any::from_tag_and_data(tag, data));
    assert_eq!(text_of(Tag::Utf8String, "ü".as_bytes()).as_deref(), Some("ü"));
    assert_eq!(text_of(Tag::Utf8String, &[0xff]), None);
    assert_eq!(text_of(Tag::PrintableString, b"a*b&c").as_deref(), Some("a*b&c"));
    assert_eq!(text_of(Tag::PrintableString, b"a_b"), None);
    assert_eq!(
        text_of(Tag::BmpString, &[0, b'a', 0, b'b']).as_deref(),
        Some("ab")
    );
    assert_eq!(text_of(Tag::BmpString, &[0, b'a', 0]), None);
    assert_eq!(text_of(Tag::T61String, &[0xfc]).as_deref(), Some("ü"));
    assert_eq!(text_of(Tag::NumericString, b"1 2").as_deref(), Some("1 2"));
    assert_eq!(text_of(Tag::Integer, b"1"), None);
}

proptest! {
    #[test]
    fn any_bytes_are_a_certificate_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = Certificate::from_der(&bytes);
    }

    #[test]
    fn a_changed_byte_never_panics_and_never_keeps_the_signature_good(
        place in any::<proptest::sample::Index>(),
        flip in 1..=255_u8,
    ) {
        let spec = Spec {
            dns_names: vec!["a.example.com"],
            permitted_dns: vec!["example.com"],
            path_length: Some(1),
            extended_usage: vec![crate::identity::testing::EKU_ANY],
            ..Spec::authority("authority")
        };
        let issuer = Issuer::root(&spec, ed25519());
        let mut der = issuer.der.clone();
        let place = place.index(der.len());
        der[place] ^= flip;
        if let Ok(changed) = Certificate::from_der(&der) {
            let original = Certificate::from_der(&issuer.der).unwrap();
            prop_assert!(!changed.is_signed_by(&original), "byte {} changed", place);
        }
    }
}
