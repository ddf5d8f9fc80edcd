//! A certificate authority of an organisation: its own certificate, and those it issues.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use x509_parser::prelude::{FromDer as _, ParsedExtension, X509Certificate};

use super::certificate::{Attribute, Issuer, Name, Purpose, Validity, issue};
use super::key::{KeyType, PrivateKey};
use super::{CryptoError, SubjectSpec};

/// A key and the certificate for it, both as PEM.
pub(super) struct KeyAndCertificate {
    pub(super) key: String,
    pub(super) certificate: String,
}

/// A root authority.
pub(super) struct Authority {
    /// What the names that it certifies begin with.
    subject: SubjectSpec,
    /// Its own name, DER.
    name: Vec<u8>,
    key: PrivateKey,
    /// Its subject key identifier.
    identifier: Vec<u8>,
    /// Its own certificate, PEM.
    certificate: String,
    validity: Validity,
}

impl Authority {
    /// Makes the key and the self-signed certificate of `common_name`, an authority of `domain`.
    pub(super) fn create(
        common_name: &str,
        domain: &str,
        subject: &SubjectSpec,
        kind: KeyType,
        now: SystemTime,
    ) -> Result<Self, CryptoError> {
        let validity = Validity::starting(now);
        let key = PrivateKey::generate(kind)?;
        let name = place(subject)
            .with(Attribute::Organization, &[domain])
            .with(Attribute::OrganizationalUnit, &[&subject.organizational_unit])
            .with(Attribute::CommonName, &[common_name])
            .encode();
        let identifier = key.identifier().to_vec();
        let issuer = Issuer {
            name: &name,
            key: &key,
            identifier: &identifier,
        };
        let certificate = issue(&issuer, &name, &key, &Purpose::Authority, validity)?;
        Ok(Self {
            subject: subject.clone(),
            name,
            key,
            identifier,
            certificate,
            validity,
        })
    }

    /// Reads the authority that `folder` holds: the first file that ends in `_sk`, the first in `.pem`.
    ///
    /// Its name and identifier are those of its certificate; `subject` is for what it issues from now on.
    pub(super) fn open(folder: &Path, subject: &SubjectSpec, now: SystemTime) -> Result<Self, CryptoError> {
        let (key_path, certificate_path) = (find(folder, "_sk")?, find(folder, ".pem")?);
        let (key, certificate) = (read(&key_path)?, read(&certificate_path)?);
        let unfit = |path: &Path, reason| CryptoError::Authority {
            path: path.to_owned(),
            reason,
        };
        let key = pem::parse(&key)
            .ok()
            .and_then(|block| PrivateKey::from_pkcs8(block.contents()))
            .ok_or_else(|| unfit(&key_path, "no PKCS#8 key of kind P-256 or Ed25519"))?;
        let der = pem::parse(&certificate).map_err(|_| unfit(&certificate_path, "no PEM certificate"))?;
        let (_, parsed) = X509Certificate::from_der(der.contents())
            .map_err(|_| unfit(&certificate_path, "no X.509 certificate"))?;
        if parsed.public_key().raw != key.public_key_info()? {
            return Err(unfit(
                &certificate_path,
                "not the certificate of the key beside it",
            ));
        }
        let identifier = subject_key_identifier(&parsed).ok_or_else(|| {
            unfit(
                &certificate_path,
                "no certificate of an authority: no key identifier",
            )
        })?;
        Ok(Self {
            subject: subject.clone(),
            name: parsed.subject().as_raw().to_vec(),
            identifier,
            key,
            validity: Validity::starting(now),
            certificate,
        })
    }

    pub(super) fn certificate(&self) -> &str {
        &self.certificate
    }

    pub(super) fn key_pem(&self) -> String {
        self.key.pem()
    }

    /// A certificate to sign messages with; `role` becomes an organisational unit.
    pub(super) fn enrol(
        &self,
        common_name: &str,
        role: Option<&str>,
        kind: KeyType,
    ) -> Result<KeyAndCertificate, CryptoError> {
        self.issue(common_name, role, kind, &Purpose::Enrolment)
    }

    /// A certificate for TLS, as server under `names` and as client.
    pub(super) fn issue_tls(
        &self,
        common_name: &str,
        names: &[String],
        kind: KeyType,
    ) -> Result<KeyAndCertificate, CryptoError> {
        let purpose = Purpose::Tls {
            names: names.to_vec(),
        };
        self.issue(common_name, None, kind, &purpose)
    }

    fn issue(
        &self,
        common_name: &str,
        role: Option<&str>,
        kind: KeyType,
        purpose: &Purpose,
    ) -> Result<KeyAndCertificate, CryptoError> {
        let key = PrivateKey::generate(kind)?;
        let units = [
            self.subject.organizational_unit.as_str(),
            role.unwrap_or_default(),
        ];
        let subject = place(&self.subject)
            .with(Attribute::OrganizationalUnit, &units)
            .with(Attribute::CommonName, &[common_name])
            .encode();
        let issuer = Issuer {
            name: &self.name,
            key: &self.key,
            identifier: &self.identifier,
        };
        Ok(KeyAndCertificate {
            certificate: issue(&issuer, &subject, &key, purpose, self.validity)?,
            key: key.pem(),
        })
    }
}

/// The parts of a name that all certificates of an organisation share, in the reference tool's order.
fn place(subject: &SubjectSpec) -> Name {
    Name::default()
        .with(Attribute::Country, &[&subject.country])
        .with(Attribute::Province, &[&subject.province])
        .with(Attribute::Locality, &[&subject.locality])
        .with(Attribute::StreetAddress, &[&subject.street_address])
        .with(Attribute::PostalCode, &[&subject.postal_code])
}

fn subject_key_identifier(certificate: &X509Certificate<'_>) -> Option<Vec<u8>> {
    let mut extensions = certificate.extensions().iter();
    extensions.find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::SubjectKeyIdentifier(identifier) => Some(identifier.0.to_vec()),
        _ => None,
    })
}

/// The first file of `folder`, in the order of names, that ends in `ending`.
fn find(folder: &Path, ending: &str) -> Result<PathBuf, CryptoError> {
    let entries = std::fs::read_dir(folder).map_err(|source| CryptoError::read(folder, source))?;
    let mut names: Vec<_> = entries
        .flatten()
        .map(|entry| entry.file_name())
        .filter(|name| name.to_string_lossy().ends_with(ending))
        .collect();
    names.sort();
    let first = names.first().ok_or_else(|| CryptoError::NoFile {
        folder: folder.to_owned(),
        ending: ending.to_owned(),
    })?;
    Ok(folder.join(first))
}

fn read(path: &Path) -> Result<String, CryptoError> {
    std::fs::read_to_string(path).map_err(|source| CryptoError::read(path, source))
}
