//! By what orderers know each other: the public keys of their TLS certificates.

use std::fmt;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject as _};
use sha2::{Digest as _, Sha256};
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// The public key of a TLS certificate, with its algorithm. A certificate that was issued again for the same key is
/// the same orderer (`docs/spec/behaviour.md` §6.1).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TlsKey(Arc<[u8]>);

/// Why there is no key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TlsKeyError {
    /// The text is no PEM certificate.
    #[error("not a PEM certificate: {0}")]
    Pem(String),
    /// The bytes are no certificate.
    #[error("not an X.509 certificate: {0}")]
    Certificate(String),
}

impl TlsKey {
    /// The key of a certificate in DER.
    pub fn of_der(certificate: &[u8]) -> Result<Self, TlsKeyError> {
        Ok(Self(Arc::from(parse(certificate)?.public_key().raw)))
    }

    /// The key of the first certificate of a PEM text.
    pub fn of_pem(text: &[u8]) -> Result<Self, TlsKeyError> {
        Self::of_der(&der_of_pem(text)?)
    }
}

/// `sha256:` and the first eight bytes of the key's hash in hex: enough to tell keys apart.
impl fmt::Display for TlsKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha256:")?;
        let hash = Sha256::digest(&self.0);
        hash[..8].iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for TlsKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TlsKey({self})")
    }
}

/// A certificate in words: subject, serial number, end of validity and key.
pub(super) fn describe(certificate: &[u8]) -> String {
    match parse(certificate) {
        Ok(parsed) => format!(
            "{} (serial {}, valid until {}, key {})",
            parsed.subject(),
            parsed.raw_serial_as_string(),
            parsed.validity().not_after,
            TlsKey(Arc::from(parsed.public_key().raw))
        ),
        Err(error) => format!("a certificate that cannot be read ({error})"),
    }
}

/// The same of a PEM text.
pub(super) fn describe_pem(text: &[u8]) -> String {
    match der_of_pem(text) {
        Ok(certificate) => describe(&certificate),
        Err(error) => format!("a certificate that cannot be read ({error})"),
    }
}

/// When the validity of a certificate ends, in seconds since 1970; none if it cannot be read.
pub(super) fn valid_until(certificate: &[u8]) -> Option<i64> {
    Some(parse(certificate).ok()?.validity().not_after.timestamp())
}

fn der_of_pem(text: &[u8]) -> Result<CertificateDer<'static>, TlsKeyError> {
    CertificateDer::from_pem_slice(text).map_err(|error: pem::Error| TlsKeyError::Pem(error.to_string()))
}

fn parse(certificate: &[u8]) -> Result<X509Certificate<'_>, TlsKeyError> {
    X509Certificate::from_der(certificate)
        .map(|(_, parsed)| parsed)
        .map_err(|error| TlsKeyError::Certificate(error.to_string()))
}
