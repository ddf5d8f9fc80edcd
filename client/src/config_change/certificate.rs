//! Certificates and revocation lists in one line each.

use std::time::SystemTime;

use configtx::identity::Certificate;
use jiff::Timestamp;
use prost::Message as _;
use protos::wire::msp::SerializedIdentity;
use x509_parser::prelude::{CertificateRevocationList, FromDer as _};

use super::facts::{fingerprint, plain};

/// Serial numbers shown of a revocation list.
const SERIALS_MAX: usize = 8;

/// Subject, serial number and last day of the (first) certificate in `pem`.
pub fn line(pem: &[u8]) -> String {
    match Certificate::from_pem(pem) {
        Ok(certificate) => describe(&certificate),
        Err(_) => format!("no certificate: {}", fingerprint(pem)),
    }
}

/// Common name and serial number: enough to find one that is described elsewhere.
pub fn name(pem: &[u8]) -> String {
    match Certificate::from_pem(pem) {
        Ok(certificate) => {
            let serial = hex::encode(certificate.serial());
            format!("CN={}, serial {serial}", plain(certificate.common_name()))
        }
        Err(_) => line(pem),
    }
}

fn describe(certificate: &Certificate) -> String {
    let serial = hex::encode(certificate.serial());
    let (subject, expiry) = (plain(certificate.subject()), day(certificate.expires_at()));
    format!("{subject}, serial {serial}, expires {expiry}")
}

/// MSP id and certificate of a `msp.SerializedIdentity`.
pub fn identity(serialized: &[u8]) -> String {
    match SerializedIdentity::decode(serialized) {
        Ok(identity) => format!("{}: {}", plain(&identity.mspid), line(&identity.id_bytes)),
        Err(_) => format!("no identity: {}", fingerprint(serialized)),
    }
}

/// The day of `time` in UTC, such as `2036-11-18`.
pub fn day(time: SystemTime) -> String {
    Timestamp::try_from(time).map_or_else(
        |_| "in the far future".to_owned(),
        |time| time.strftime("%Y-%m-%d").to_string(),
    )
}

/// Issuer, day and serial numbers of a revocation list (PEM or DER).
pub fn revocation_list(list: &[u8]) -> String {
    let block = pem::parse(list).ok();
    let der = block.as_ref().map_or(list, pem::Pem::contents);
    let Ok((_, list)) = CertificateRevocationList::from_der(der) else {
        return format!("no revocation list: {}", fingerprint(list));
    };
    let serials: Vec<_> = list
        .iter_revoked_certificates()
        .map(|entry| hex::encode(entry.raw_serial()))
        .collect();
    let shown = serials[..serials.len().min(SERIALS_MAX)].join(", ");
    let more = match serials.len().saturating_sub(SERIALS_MAX) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!(
        "by {}, revokes {}: {shown}{more}",
        plain(&list.issuer().to_string()),
        serials.len()
    )
}
