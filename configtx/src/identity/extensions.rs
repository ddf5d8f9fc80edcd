//! The extensions of a certificate that decide anything here.

use std::collections::HashSet;

use x509_parser::extensions::{BasicConstraints, ExtendedKeyUsage, ParsedExtension, X509Extension};

use super::certificate::CertificateError;
use super::name_constraints::{NameConstraints, SubjectNames};

/// What the extensions say.
#[derive(Debug, Default)]
pub(crate) struct Extensions {
    /// `None` when the extension is absent.
    pub(crate) basic_constraints: Option<BasicConstraints>,
    /// The keyUsage extension names usages, and certSign is not among them.
    pub(crate) forbids_issuing: bool,
    pub(crate) extended_usage: Option<ExtendedUsage>,
    pub(crate) subject_key_id: Option<Box<[u8]>>,
    /// The extension's value as it stands, and the names in it.
    pub(crate) subject_names: Option<(Box<[u8]>, SubjectNames)>,
    pub(crate) name_constraints: Option<NameConstraints>,
    /// A critical extension that nobody here understands.
    pub(crate) has_unhandled_critical: bool,
}

/// What a key may be used for, as far as anyone asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Usage {
    /// TLS server; also what identities are held to (`docs/spec/rules.md` §10.2).
    ServerAuth,
    /// TLS client.
    ClientAuth,
}

/// A non-empty extendedKeyUsage extension.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ExtendedUsage {
    any: bool,
    server_auth: bool,
    client_auth: bool,
}

impl ExtendedUsage {
    pub(crate) fn allows(self, usage: Usage) -> bool {
        self.any
            || match usage {
                Usage::ServerAuth => self.server_auth,
                Usage::ClientAuth => self.client_auth,
            }
    }

    fn read(usage: &ExtendedKeyUsage<'_>) -> Option<Self> {
        let named = usage.any
            || usage.server_auth
            || usage.client_auth
            || usage.code_signing
            || usage.email_protection
            || usage.time_stamping
            || usage.ocsp_signing
            || !usage.other.is_empty();
        named.then_some(Self {
            any: usage.any,
            server_auth: usage.server_auth,
            client_auth: usage.client_auth,
        })
    }
}

impl Extensions {
    /// Refuses a duplicate, and one that is understood here but does not read.
    pub(crate) fn read(extensions: &[X509Extension<'_>]) -> Result<Self, CertificateError> {
        let mut seen = HashSet::new();
        let mut read = Self::default();
        for extension in extensions {
            if !seen.insert(extension.oid.as_bytes()) {
                return Err(CertificateError::DuplicateExtension {
                    oid: extension.oid.to_id_string(),
                });
            }
            let understood = read.take(extension)?;
            read.has_unhandled_critical |= extension.critical && !understood;
        }
        Ok(read)
    }

    /// False when the extension, or something in it, is not understood.
    fn take(&mut self, extension: &X509Extension<'_>) -> Result<bool, CertificateError> {
        let malformed = || CertificateError::MalformedExtension {
            oid: extension.oid.to_id_string(),
        };
        match extension.parsed_extension() {
            ParsedExtension::BasicConstraints(found) => self.basic_constraints = Some(found.clone()),
            ParsedExtension::KeyUsage(usage) => {
                self.forbids_issuing = usage.flags != 0 && !usage.key_cert_sign();
            }
            ParsedExtension::ExtendedKeyUsage(usage) => self.extended_usage = ExtendedUsage::read(usage),
            ParsedExtension::SubjectKeyIdentifier(id) => self.subject_key_id = Some(id.0.into()),
            ParsedExtension::SubjectAlternativeName(names) => {
                let names = SubjectNames::read(names).ok_or_else(malformed)?;
                let understood = !names.is_empty();
                self.subject_names = Some((extension.value.into(), names));
                return Ok(understood);
            }
            ParsedExtension::NameConstraints(constraints) => {
                let (constraints, complete) = NameConstraints::read(constraints).ok_or_else(malformed)?;
                self.name_constraints = Some(constraints);
                return Ok(complete);
            }
            ParsedExtension::AuthorityKeyIdentifier(_)
            | ParsedExtension::CertificatePolicies(_)
            | ParsedExtension::CRLDistributionPoints(_)
            | ParsedExtension::AuthorityInfoAccess(_) => {}
            ParsedExtension::ParseError { .. } if is_understood(extension.oid.as_bytes()) => {
                return Err(malformed());
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// The extensions `take` understands, by the content of their identifier.
fn is_understood(oid: &[u8]) -> bool {
    const AUTHORITY_INFO_ACCESS: [u8; 8] = [0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x01, 0x01];
    /// Subject key id, key usage, alternative name, basic constraints, name constraints, CRL points,
    /// policies, authority key id, extended key usage: all below 2.5.29.
    const BELOW_ID_CE: [u8; 9] = [14, 15, 17, 19, 30, 31, 32, 35, 37];
    match oid {
        [0x55, 0x1d, last] => BELOW_ID_CE.contains(last),
        _ => oid == AUTHORITY_INFO_ACCESS,
    }
}
