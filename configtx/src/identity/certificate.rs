//! One X.509 certificate: read, compared, checked against its issuer, rewritten with low `s`.

mod parts;

use std::fmt;
use std::ops::Range;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use x509_parser::asn1_rs::{Any, Tag};
use x509_parser::certificate::{X509Certificate, X509CertificateParser};
use x509_parser::nom::Parser as _;
use x509_parser::oid_registry::{OID_X509_COMMON_NAME, OID_X509_ORGANIZATIONAL_UNIT};
use x509_parser::x509::{SubjectPublicKeyInfo, X509Name};

use super::der;
use super::ecdsa::{Curve, Pair};
use super::extensions::Extensions;
use super::key::{KeyAlgorithm, PublicKey};
use super::pem;
use super::signature_algorithm::SignatureAlgorithm;
use parts::Parts;

/// Why bytes are no certificate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// There is no PEM block.
    #[error("no PEM block")]
    NotPem,
    /// Not a certificate in strict DER, or bytes follow it.
    #[error("not an X.509 certificate in DER")]
    Malformed,
    /// The two places that name the signature algorithm differ.
    #[error("inner and outer signature algorithm differ")]
    AlgorithmMismatch,
    /// A name holds a string of an unknown type or with illegal characters.
    #[error("a name in it does not read")]
    Name,
    /// An extension occurs twice.
    #[error("extension {oid} occurs twice")]
    DuplicateExtension {
        /// Which one.
        oid: String,
    },
    /// An extension that matters does not read.
    #[error("extension {oid} does not read")]
    MalformedExtension {
        /// Which one.
        oid: String,
    },
    /// The public key is of no known kind, or is not a valid key.
    #[error("public key is unknown or invalid")]
    PublicKey,
}

/// A parsed certificate.
pub struct Certificate {
    der: Bytes,
    subject: Range<usize>,
    issuer: Range<usize>,
    tbs: Range<usize>,
    public_key_info: Range<usize>,
    subject_text: String,
    issuer_text: String,
    common_name: String,
    organizational_units: Vec<String>,
    serial: Box<[u8]>,
    is_version_3: bool,
    not_before: i64,
    not_after: i64,
    public_key: PublicKey,
    extensions: Extensions,
    signature_algorithm: SignatureAlgorithm,
    signature: Box<[u8]>,
}

impl Certificate {
    /// Reads the first PEM block; its label is not looked at.
    pub fn from_pem(text: &[u8]) -> Result<Self, CertificateError> {
        let der = pem::first_block(text).ok_or(CertificateError::NotPem)?;
        Self::from_der(&der)
    }

    /// Reads DER with nothing behind it.
    pub fn from_der(der: &[u8]) -> Result<Self, CertificateError> {
        let der = Bytes::copy_from_slice(der);
        let parts = Parts::split(&der).ok_or(CertificateError::Malformed)?;
        if parts.inner_algorithm() != Some(parts.algorithm) {
            return Err(CertificateError::AlgorithmMismatch);
        }
        let (_, parsed) = X509CertificateParser::new()
            .parse(&der)
            .map_err(|_| CertificateError::Malformed)?;
        if parsed.version.0 > 2 {
            return Err(CertificateError::Malformed);
        }
        // Every name must read, though nothing in the issuer's is looked at.
        texts(&parsed.issuer, &OID_X509_COMMON_NAME)?;
        let place = |part: &[u8]| place_of(&der, part).ok_or(CertificateError::Malformed);
        Ok(Self {
            subject: place(parsed.subject.as_raw())?,
            issuer: place(parsed.issuer.as_raw())?,
            tbs: place(parts.tbs)?,
            public_key_info: place(parsed.subject_pki.raw)?,
            subject_text: parsed.subject.to_string(),
            issuer_text: parsed.issuer.to_string(),
            common_name: texts(&parsed.subject, &OID_X509_COMMON_NAME)?
                .pop()
                .unwrap_or_default(),
            organizational_units: texts(&parsed.subject, &OID_X509_ORGANIZATIONAL_UNIT)?,
            serial: without_leading_zeros(parsed.raw_serial()).into(),
            is_version_3: parsed.version.0 == 2,
            not_before: parsed.validity.not_before.timestamp(),
            not_after: parsed.validity.not_after.timestamp(),
            public_key: public_key(&parsed.subject_pki).ok_or(CertificateError::PublicKey)?,
            extensions: extensions(&parsed)?,
            signature_algorithm: SignatureAlgorithm::read(&parsed.signature_algorithm),
            signature: parts.signature.clone(),
            der: der.clone(),
        })
    }

    /// The certificate in DER.
    pub fn der(&self) -> &Bytes {
        &self.der
    }

    /// The certificate as a PEM block.
    pub fn to_pem(&self) -> String {
        pem::encode("CERTIFICATE", &self.der)
    }

    /// The key it certifies.
    pub fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    /// The key as it stands in the certificate: `SubjectPublicKeyInfo` in DER.
    pub fn public_key_der(&self) -> &[u8] {
        &self.der[self.public_key_info.clone()]
    }

    /// The subject for people to read.
    pub fn subject(&self) -> &str {
        &self.subject_text
    }

    /// The issuer for people to read.
    pub fn issuer(&self) -> &str {
        &self.issuer_text
    }

    /// The subject's (last) common name, or an empty text.
    pub fn common_name(&self) -> &str {
        &self.common_name
    }

    /// The subject's organizational units, in order.
    pub fn organizational_units(&self) -> &[String] {
        &self.organizational_units
    }

    /// First moment of validity.
    pub fn valid_from(&self) -> SystemTime {
        system_time(self.not_before)
    }

    /// Last moment of validity.
    pub fn expires_at(&self) -> SystemTime {
        system_time(self.not_after)
    }

    /// True when basicConstraints says so.
    pub fn is_authority(&self) -> bool {
        self.extensions
            .basic_constraints
            .as_ref()
            .is_some_and(|found| found.ca)
    }

    /// The subject key identifier, where there is one.
    pub fn subject_key_id(&self) -> Option<&[u8]> {
        self.extensions.subject_key_id.as_deref()
    }

    /// The serial number, big-endian without leading zeros.
    pub fn serial(&self) -> &[u8] {
        &self.serial
    }

    /// The serial number in decimal.
    pub fn serial_decimal(&self) -> String {
        decimal(&self.serial)
    }

    pub(crate) fn raw_subject(&self) -> &[u8] {
        &self.der[self.subject.clone()]
    }

    pub(crate) fn raw_issuer(&self) -> &[u8] {
        &self.der[self.issuer.clone()]
    }

    /// The value of the alternative names' extension.
    pub(crate) fn raw_subject_names(&self) -> Option<&[u8]> {
        self.extensions.subject_names.as_ref().map(|(raw, _)| &**raw)
    }

    /// Unix seconds.
    pub(crate) fn validity(&self) -> (i64, i64) {
        (self.not_before, self.not_after)
    }

    pub(crate) fn extensions(&self) -> &Extensions {
        &self.extensions
    }

    pub(crate) fn signature_algorithm(&self) -> SignatureAlgorithm {
        self.signature_algorithm
    }

    /// True when `issuer` may issue and its key made the signature. Names and validity are not looked at.
    pub(crate) fn is_signed_by(&self, issuer: &Self) -> bool {
        issuer.may_issue() && issuer.has_signed(self.signature_algorithm, self.raw_tbs(), &self.signature)
    }

    /// True when the key of this certificate made `signature`.
    pub(crate) fn has_signed(&self, algorithm: SignatureAlgorithm, message: &[u8], signature: &[u8]) -> bool {
        algorithm.verify(&self.public_key, message, signature)
    }

    /// A version 3 certificate needs CA = true, any certificate loses the right by CA = false, and a keyUsage
    /// extension must name certSign.
    fn may_issue(&self) -> bool {
        let by_constraints = match &self.extensions.basic_constraints {
            Some(constraints) => constraints.ca,
            None => !self.is_version_3,
        };
        by_constraints && !self.extensions.forbids_issuing
    }

    /// The part that the issuer signed.
    pub(crate) fn raw_tbs(&self) -> &[u8] {
        &self.der[self.tbs.clone()]
    }

    /// The same certificate with `s` of its signature brought to the lower half, given the key that made it.
    /// `None` when nothing has to change.
    pub(crate) fn with_low_s(&self, issuer: &PublicKey) -> Option<Self> {
        let lowered = Pair::read(&self.signature)?.to_low_s_der(issuer.curve()?)?;
        if *lowered == *self.signature {
            return None;
        }
        let parts = Parts::split(&self.der)?;
        let signature = der::encode(der::BIT_STRING, &[&[0], &lowered]);
        let rewritten = der::encode(der::SEQUENCE, &[parts.tbs, parts.algorithm, &signature]);
        Self::from_der(&rewritten).ok()
    }
}

impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        self.der == other.der
    }
}

impl Eq for Certificate {}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificate({})", self.subject_text)
    }
}

/// Where `part`, a slice of `whole`, lies in it.
fn place_of(whole: &[u8], part: &[u8]) -> Option<Range<usize>> {
    let start = part.as_ptr().addr().checked_sub(whole.as_ptr().addr())?;
    let end = start.checked_add(part.len()).filter(|end| *end <= whole.len())?;
    Some(start..end)
}

/// A big-endian number of any length in decimal.
fn decimal(number: &[u8]) -> String {
    // Least significant digit first.
    let mut digits = vec![0_u32];
    for byte in number {
        let mut carry = u32::from(*byte);
        for digit in &mut digits {
            carry += *digit * 256;
            *digit = carry % 10;
            carry /= 10;
        }
        while carry > 0 {
            digits.push(carry % 10);
            carry /= 10;
        }
    }
    let digits = digits.iter().rev();
    digits.filter_map(|digit| char::from_digit(*digit, 10)).collect()
}

fn without_leading_zeros(number: &[u8]) -> &[u8] {
    let start = number.iter().position(|byte| *byte != 0).unwrap_or(number.len());
    &number[start..]
}

/// Only version 3 has extensions; in older certificates they are not looked at.
fn extensions(parsed: &X509Certificate<'_>) -> Result<Extensions, CertificateError> {
    let has_extensions = parsed.version.0 == 2;
    if has_extensions {
        Extensions::read(parsed.extensions())
    } else {
        Ok(Extensions::default())
    }
}

fn system_time(unix_seconds: i64) -> SystemTime {
    let distance = Duration::from_secs(unix_seconds.unsigned_abs());
    let moved = if unix_seconds < 0 {
        SystemTime::UNIX_EPOCH.checked_sub(distance)
    } else {
        SystemTime::UNIX_EPOCH.checked_add(distance)
    };
    // X.509 years have four digits, which every supported system can tell.
    moved.unwrap_or(SystemTime::UNIX_EPOCH)
}

/// All values of one attribute. Every other attribute must read as well.
fn texts(
    name: &X509Name<'_>,
    wanted: &x509_parser::asn1_rs::Oid<'_>,
) -> Result<Vec<String>, CertificateError> {
    let mut found = Vec::new();
    for attribute in name.iter_attributes() {
        let text = text(attribute.attr_value()).ok_or(CertificateError::Name)?;
        if attribute.attr_type() == wanted {
            found.push(text);
        }
    }
    Ok(found)
}

fn text(value: &Any<'_>) -> Option<String> {
    let ascii = |legal: fn(u8) -> bool| {
        let bytes = value.data;
        bytes
            .iter()
            .copied()
            .all(legal)
            .then(|| bytes.iter().copied().map(char::from).collect())
    };
    match value.tag() {
        Tag::Utf8String => std::str::from_utf8(value.data).ok().map(str::to_owned),
        Tag::PrintableString => ascii(is_printable),
        Tag::NumericString => ascii(|byte| byte.is_ascii_digit() || byte == b' '),
        Tag::Ia5String => ascii(|byte| byte.is_ascii()),
        // Close to Latin-1, whose code points are its bytes.
        Tag::T61String => ascii(|_| true),
        Tag::BmpString => utf16(value.data),
        _ => None,
    }
}

/// `PrintableString` plus `*` and `&`, which old authorities use.
fn is_printable(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b" '()+,-./:=?*&".contains(&byte)
}

fn utf16(bytes: &[u8]) -> Option<String> {
    let (units, rest) = bytes.as_chunks::<2>();
    let units: Vec<u16> = units.iter().copied().map(u16::from_be_bytes).collect();
    String::from_utf16(&units).ok().filter(|_| rest.is_empty())
}

const ED25519: [u8; 3] = [0x2b, 0x65, 0x70];
const EC_PUBLIC_KEY: [u8; 7] = [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const RSA_ENCRYPTION: [u8; 9] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];

fn public_key(info: &SubjectPublicKeyInfo<'_>) -> Option<PublicKey> {
    let parameters = info.algorithm.parameters.as_ref();
    let key = &info.subject_public_key.data;
    let oid = info.algorithm.algorithm.as_bytes();
    if oid == ED25519 && parameters.is_none() {
        return PublicKey::ed25519(key);
    }
    if oid == EC_PUBLIC_KEY {
        let curve = parameters.filter(|any| any.tag() == Tag::Oid)?.data;
        return PublicKey::ecdsa(Curve::from_oid(curve)?, key);
    }
    if oid == RSA_ENCRYPTION && parameters.is_some_and(|any| any.tag() == Tag::Null) {
        return PublicKey::rsa(key);
    }
    None
}

/// True for keys that identities may have at MSP level 1.4.3; Ed25519 needs 3.0 (`docs/spec/rules.md` §10.2).
pub(crate) fn is_identity_key(algorithm: KeyAlgorithm, ed25519_allowed: bool) -> bool {
    algorithm.is_ecdsa() || ed25519_allowed && algorithm == KeyAlgorithm::Ed25519
}

#[cfg(test)]
mod tests;
