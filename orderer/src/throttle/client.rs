//! By what clients and their organisations are told apart: the key identifiers in the TLS certificate that they show.

use sha2::{Digest as _, Sha256};
use x509_parser::prelude::{FromDer as _, ParsedExtension, X509Certificate};

use super::shares::Key;

/// A client, as its certificate has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    /// Hash of its subject key identifier; of its public key, where the certificate has none.
    pub key: Key,
    /// Hash of its authority's key identifier; of the issuer's name, where the certificate has none.
    pub organisation: Key,
}

impl Client {
    /// The client that showed this certificate (DER); none if it is none.
    pub fn of_certificate(der: &[u8]) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let mut subject = certificate.public_key().raw;
        let mut issuer = certificate.issuer().as_raw();
        for extension in certificate.extensions() {
            match extension.parsed_extension() {
                ParsedExtension::SubjectKeyIdentifier(identifier) => subject = identifier.0,
                ParsedExtension::AuthorityKeyIdentifier(authority) => {
                    issuer = authority.key_identifier.as_ref().map_or(issuer, |key| key.0);
                }
                _ => {}
            }
        }
        Some(Self {
            key: Sha256::digest(subject).into(),
            organisation: Sha256::digest(issuer).into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::testing::Authority;

    #[test]
    fn a_certificate_renewed_for_another_key_is_another_client_of_the_same_organisation() {
        let (one, other) = (Authority::new("one"), Authority::new("other"));
        let of =
            |authority: &Authority| Client::of_certificate(&authority.issue("c").der()).expect("a client");
        let (first, second, foreign) = (of(&one), of(&one), of(&other));
        assert_ne!(first.key, second.key);
        assert_eq!(first.organisation, second.organisation);
        assert_ne!(first.organisation, foreign.organisation);
        assert_eq!(Client::of_certificate(b"no certificate"), None);
    }
}
