//! Certificate revocation lists.

use std::collections::HashSet;

use x509_parser::asn1_rs::FromDer as _;
use x509_parser::extensions::ParsedExtension;
use x509_parser::revocation_list::CertificateRevocationList;

use super::certificate::Certificate;
use super::pem;
use super::signature_algorithm::SignatureAlgorithm;

const PEM_BEGIN: &[u8] = b"-----BEGIN X509 CRL-----";

/// What a list holds that decides anything. Its times do not: revocation counts from the moment the list is
/// in the configuration (`docs/spec/rules.md` §10.2).
#[derive(Debug)]
pub(crate) struct RevocationList {
    /// `None` when the list does not say; then nobody below this MSP validates.
    authority_key_id: Option<Box<[u8]>>,
    serials: HashSet<Box<[u8]>>,
    signed: Box<[u8]>,
    algorithm: SignatureAlgorithm,
    signature: Box<[u8]>,
}

/// What the lists of an MSP say about a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Unlisted,
    Revoked,
    /// A list does not name its authority, so it cannot be told.
    Unknown,
}

impl RevocationList {
    /// Reads DER, or PEM that begins with its BEGIN line.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let block = bytes
            .starts_with(PEM_BEGIN)
            .then(|| pem::first_block(bytes))
            .flatten();
        let der = block.as_deref().unwrap_or(bytes);
        let (rest, list) = CertificateRevocationList::from_der(der).ok()?;
        if !rest.is_empty() {
            return None;
        }
        let serials = list
            .iter_revoked_certificates()
            .map(|entry| trimmed(entry.raw_serial()).into());
        Some(Self {
            authority_key_id: list.extensions().iter().find_map(|extension| {
                let ParsedExtension::AuthorityKeyIdentifier(id) = extension.parsed_extension() else {
                    return None;
                };
                // An identifier without a key id matches no authority.
                Some(
                    id.key_identifier
                        .as_ref()
                        .map_or_else(Box::default, |id| id.0.into()),
                )
            }),
            serials: serials.collect(),
            signed: list.tbs_cert_list.as_ref().into(),
            algorithm: SignatureAlgorithm::read(&list.signature_algorithm),
            signature: list.signature_value.data.as_ref().into(),
        })
    }

    /// True when `issuer` signed this list and the list names `certificate`.
    fn revokes(&self, certificate: &Certificate, issuer: &Certificate) -> bool {
        self.serials.contains(certificate.serial())
            && issuer.has_signed(self.algorithm, &self.signed, &self.signature)
    }
}

/// Looks `certificate`, issued by `issuer`, up in `lists`, in order. A list of the issuer's that someone else
/// signed is passed over.
pub(crate) fn look_up(lists: &[RevocationList], certificate: &Certificate, issuer: &Certificate) -> Verdict {
    for list in lists {
        let Some(authority) = &list.authority_key_id else {
            return Verdict::Unknown;
        };
        if issuer.subject_key_id() == Some(authority) && list.revokes(certificate, issuer) {
            return Verdict::Revoked;
        }
    }
    Verdict::Unlisted
}

fn trimmed(serial: &[u8]) -> &[u8] {
    let start = serial.iter().position(|byte| *byte != 0).unwrap_or(serial.len());
    &serial[start..]
}

#[cfg(test)]
mod tests;
