//! A certificate revocation list, signed by an organisation's authority (RFC 5280 §5).

use std::fs;
use std::path::{Path, PathBuf};

use configtx::identity::SigningIdentity;
use x509_parser::prelude::{FromDer as _, ParsedExtension, X509Certificate};

use super::field::Org;

const SEQUENCE: u8 = 0x30;
const UTC_TIME: u8 = 0x17;
/// The key identifier, the first field of an authority key identifier.
const KEY_IDENTIFIER: u8 = 0x80;
const AUTHORITY_KEY_IDENTIFIER: &[u8] = &[0x06, 0x03, 0x55, 0x1d, 0x23];
const ED25519: &[u8] = &[0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70];
const VERSION_2: &[u8] = &[0x02, 0x01, 0x01];

/// The list of `org` that revokes the certificate of `revoked`, as PEM.
pub(crate) fn list(org: &Org, revoked: &SigningIdentity) -> String {
    let folder = org.paths().root().join("ca");
    let (certificate, key) = (read(&folder, "pem"), read(&folder, "_sk"));
    let authority = SigningIdentity::new(org.name, &certificate, &key).expect("the authority");
    let parsed = pem::parse(&certificate).expect("PEM");
    let (_, parsed) = X509Certificate::from_der(parsed.contents()).expect("a certificate");
    let serial = tlv(0x02, &integer(revoked.certificate().serial()));
    let time = tlv(UTC_TIME, b"250101000000Z");
    let entries = tlv(SEQUENCE, &tlv(SEQUENCE, &[serial, time.clone()].concat()));
    let identifier = tlv(SEQUENCE, &tlv(KEY_IDENTIFIER, key_identifier(&parsed)));
    let extension = [AUTHORITY_KEY_IDENTIFIER.to_vec(), tlv(0x04, &identifier)].concat();
    let extensions = tlv(0xa0, &tlv(SEQUENCE, &tlv(SEQUENCE, &extension)));
    let issuer = parsed.subject().as_raw().to_vec();
    let signed = tlv(
        SEQUENCE,
        &[
            VERSION_2.to_vec(),
            ED25519.to_vec(),
            issuer,
            time,
            entries,
            extensions,
        ]
        .concat(),
    );
    let signature = [vec![0], authority.sign(&signed)].concat();
    let der = tlv(
        SEQUENCE,
        &[signed, ED25519.to_vec(), tlv(0x03, &signature)].concat(),
    );
    pem::encode(&pem::Pem::new("X509 CRL", der))
}

fn read(folder: &Path, ending: &str) -> String {
    let found = fs::read_dir(folder)
        .expect("the authority's folder")
        .map(|entry| entry.expect("an entry").path())
        .find(|path: &PathBuf| path.to_string_lossy().ends_with(ending));
    fs::read_to_string(found.expect("a file of the authority")).expect("its text")
}

fn key_identifier<'a>(authority: &'a X509Certificate<'_>) -> &'a [u8] {
    let found = authority
        .extensions()
        .iter()
        .find_map(|extension| match extension.parsed_extension() {
            ParsedExtension::SubjectKeyIdentifier(identifier) => Some(identifier.0),
            _ => None,
        });
    found.expect("a subject key identifier")
}

/// A positive integer does not begin with a set bit.
fn integer(bytes: &[u8]) -> Vec<u8> {
    let zero: &[u8] = if bytes.first().is_some_and(|first| first & 0x80 != 0) {
        &[0]
    } else {
        &[]
    };
    [zero, bytes].concat()
}

fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let mut out = vec![tag];
    if length < 0x80 {
        out.push(u8::try_from(length).expect("a short length"));
    } else {
        out.push(0x82);
        out.extend(
            u16::try_from(length)
                .expect("a list of a few entries")
                .to_be_bytes(),
        );
    }
    [out, content.to_vec()].concat()
}
