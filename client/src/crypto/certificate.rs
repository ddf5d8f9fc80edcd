//! X.509 certificates in the reference tool's form: names, extensions, validity (`docs/spec/tools.md` §1.3).
//!
//! Written here rather than by a certificate crate because an organisation's unit and a node's role stand in
//! one multi-valued name part, which those crates cannot express.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use super::key::PrivateKey;
use super::{CryptoError, der};

const MINUTE: Duration = Duration::from_mins(1);
/// Certificates begin this much before they are made, so that a slow clock elsewhere accepts them.
const BACKDATED: Duration = Duration::from_mins(5);
const LIFETIME: Duration = Duration::from_hours(3650 * 24);

/// One attribute of a name.
#[derive(Clone, Copy)]
pub(super) enum Attribute {
    CommonName,
    Country,
    Locality,
    Province,
    StreetAddress,
    Organization,
    OrganizationalUnit,
    PostalCode,
}

impl Attribute {
    fn oid(self) -> Vec<u8> {
        let last = match self {
            Self::CommonName => 3,
            Self::Country => 6,
            Self::Locality => 7,
            Self::Province => 8,
            Self::StreetAddress => 9,
            Self::Organization => 10,
            Self::OrganizationalUnit => 11,
            Self::PostalCode => 17,
        };
        der::oid(&[2, 5, 4, last])
    }
}

/// A distinguished name under construction.
#[derive(Default)]
pub(super) struct Name {
    parts: Vec<Vec<u8>>,
}

impl Name {
    /// Adds one part with all `values` of `attribute`; nothing when there is none.
    pub(super) fn with(mut self, attribute: Attribute, values: &[&str]) -> Self {
        let encoded: Vec<_> = values
            .iter()
            .filter(|value| !value.is_empty())
            .map(|value| der::sequence(&[attribute.oid(), der::text(value)]))
            .collect();
        if !encoded.is_empty() {
            self.parts.push(der::set_of(encoded));
        }
        self
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        der::sequence(&self.parts)
    }
}

/// From when to when a certificate holds.
#[derive(Clone, Copy)]
pub(super) struct Validity {
    not_before: SystemTime,
}

impl Validity {
    /// Ten years from five minutes before `now`, on a whole minute.
    pub(super) fn starting(now: SystemTime) -> Self {
        let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let minutes = (since + MINUTE / 2).as_secs() / MINUTE.as_secs();
        let rounded = Duration::from_secs(minutes * MINUTE.as_secs());
        Self {
            not_before: SystemTime::UNIX_EPOCH + rounded.saturating_sub(BACKDATED),
        }
    }

    fn encode(self) -> Result<Vec<u8>, CryptoError> {
        Ok(der::sequence(&[
            time(self.not_before)?,
            time(self.not_before + LIFETIME)?,
        ]))
    }
}

/// `UTCTime` up to 2049, `GeneralizedTime` after (RFC 5280 §4.1.2.5).
fn time(at: SystemTime) -> Result<Vec<u8>, CryptoError> {
    let at = jiff::Timestamp::try_from(at).map_err(|_| CryptoError::Clock)?;
    let generalized = at.strftime("%Y%m%d%H%M%SZ").to_string();
    Ok(if generalized.as_str() < "2050" {
        der::element(0x17, &generalized.as_bytes()[2..])
    } else {
        der::element(0x18, generalized.as_bytes())
    })
}

/// What a certificate is for; decides its extensions.
pub(super) enum Purpose {
    /// Signs others.
    Authority,
    /// Signs messages.
    Enrolment,
    /// Both ends of TLS; reached under these names, each a DNS name or an IP address.
    Tls { names: Vec<String> },
}

const DIGITAL_SIGNATURE: u8 = 0x80;
const KEY_ENCIPHERMENT: u8 = 0x20;
const CERT_SIGN: u8 = 0x04;
const CRL_SIGN: u8 = 0x02;
const SERVER_AUTH: &[u32] = &[1, 3, 6, 1, 5, 5, 7, 3, 1];
const CLIENT_AUTH: &[u32] = &[1, 3, 6, 1, 5, 5, 7, 3, 2];

impl Purpose {
    fn extensions(&self, own: &[u8], authority: &[u8]) -> Result<Vec<u8>, CryptoError> {
        let mut all = match self {
            Self::Authority => vec![
                key_usage(DIGITAL_SIGNATURE | KEY_ENCIPHERMENT | CERT_SIGN | CRL_SIGN),
                extended_key_usage(&[CLIENT_AUTH, SERVER_AUTH]),
                basic_constraints(true),
                extension(14, false, &der::octets(own)),
            ],
            Self::Enrolment => vec![
                key_usage(DIGITAL_SIGNATURE),
                basic_constraints(false),
                authority_key(authority),
            ],
            Self::Tls { .. } => vec![
                key_usage(DIGITAL_SIGNATURE | KEY_ENCIPHERMENT),
                extended_key_usage(&[SERVER_AUTH, CLIENT_AUTH]),
                basic_constraints(false),
                authority_key(authority),
            ],
        };
        if let Self::Tls { names } = self
            && !names.is_empty()
        {
            all.push(alternative_names(names)?);
        }
        Ok(der::element(0xa3, &der::sequence(&all)))
    }
}

/// An extension of the arc `2.5.29`.
fn extension(last_arc: u32, critical: bool, content: &[u8]) -> Vec<u8> {
    let mut parts = vec![der::oid(&[2, 5, 29, last_arc])];
    if critical {
        parts.push(der::yes());
    }
    parts.push(der::octets(content));
    der::sequence(&parts)
}

fn key_usage(bits: u8) -> Vec<u8> {
    extension(15, true, &der::named_bits(bits))
}

fn extended_key_usage(purposes: &[&[u32]]) -> Vec<u8> {
    let oids: Vec<_> = purposes.iter().map(|arcs| der::oid(arcs)).collect();
    extension(37, false, &der::sequence(&oids))
}

fn basic_constraints(authority: bool) -> Vec<u8> {
    let content = if authority { vec![der::yes()] } else { vec![] };
    extension(19, true, &der::sequence(&content))
}

fn authority_key(identifier: &[u8]) -> Vec<u8> {
    extension(35, false, &der::sequence(&[der::element(0x80, identifier)]))
}

/// DNS names first, then IP addresses, each in the order given.
fn alternative_names(names: &[String]) -> Result<Vec<u8>, CryptoError> {
    let (mut dns, mut ips) = (Vec::new(), Vec::new());
    for name in names {
        match name.parse() {
            Ok(IpAddr::V4(ip)) => ips.push(der::element(0x87, &ip.octets())),
            Ok(IpAddr::V6(ip)) => ips.push(der::element(0x87, &ip.octets())),
            Err(_) if name.is_ascii() => dns.push(der::element(0x82, name.as_bytes())),
            Err(_) => return Err(CryptoError::HostName { name: name.clone() }),
        }
    }
    dns.extend(ips);
    Ok(extension(17, false, &der::sequence(&dns)))
}

/// Who signs a certificate.
pub(super) struct Issuer<'a> {
    pub(super) name: &'a [u8],
    pub(super) key: &'a PrivateKey,
    /// Its subject key identifier.
    pub(super) identifier: &'a [u8],
}

/// Makes one certificate, as PEM.
pub(super) fn issue(
    issuer: &Issuer<'_>,
    subject: &[u8],
    key: &PrivateKey,
    purpose: &Purpose,
    validity: Validity,
) -> Result<String, CryptoError> {
    let algorithm = issuer.key.signature_algorithm();
    let to_sign = der::sequence(&[
        der::element(0xa0, &der::unsigned(&[2])),
        der::unsigned(&rand::random::<[u8; 16]>()),
        algorithm.clone(),
        issuer.name.to_vec(),
        validity.encode()?,
        subject.to_vec(),
        key.public_key_info()?,
        purpose.extensions(&key.identifier(), issuer.identifier)?,
    ]);
    let signature = issuer.key.sign(&to_sign)?;
    let certificate = der::sequence(&[to_sign, algorithm, der::bit_string(&signature)]);
    Ok(super::pem_block("CERTIFICATE", &certificate))
}
