//! A certificate authority of an organisation: its own certificate, and those it issues.

use std::time::SystemTime;

use super::certificate::{Attribute, Issuer, Name, Purpose, Validity, issue};
use super::key::{KeyType, PrivateKey};
use super::{CryptoError, SubjectSpec};

/// A key and the certificate for it, both as PEM.
pub(super) struct KeyAndCertificate {
    pub(super) key: String,
    pub(super) certificate: String,
}

/// A new root authority.
pub(super) struct Authority {
    subject: SubjectSpec,
    name: Vec<u8>,
    key: PrivateKey,
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
        let issuer = Issuer {
            name: &name,
            key: &key,
        };
        let certificate = issue(&issuer, &name, &key, &Purpose::Authority, validity)?;
        Ok(Self {
            subject: subject.clone(),
            name,
            key,
            certificate,
            validity,
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
