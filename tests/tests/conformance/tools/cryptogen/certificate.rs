//! One certificate against what the vectors say of it, its key and its issuer.

use std::time::{Duration, SystemTime};

use configtx::identity::{Certificate, HashFamily, SigningIdentity};
use serde_json::{Value, json};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::*;

use super::super::difference;
use super::{Tree, copies};

/// A certificate begins this much before it is made.
const BACKDATED: Duration = Duration::from_mins(5);
/// Beginnings are rounded to minutes, and a run takes a moment.
const TOLERANCE: Duration = Duration::from_mins(1);
/// Columns of a full PEM line.
const PEM_COLUMNS: usize = 64;

/// Checks the certificate at `path`, made between `began` and now.
pub(super) fn check(path: &str, expected: &Value, tree: &Tree, began: SystemTime) -> Result<(), String> {
    let text = tree.text(path)?;
    check_pem(text)?;
    let block = ::pem::parse(text).map_err(|error| error.to_string())?;
    let (_, certificate) = X509Certificate::from_der(block.contents()).map_err(|error| error.to_string())?;
    let mut described = describe(&certificate)?;
    for key in ["private_key", "signed_by", "copies"] {
        if let Some(value) = expected.get(key) {
            described[key] = value.clone();
        }
    }
    difference::values(&without_empty_names(expected), &described)?;
    for copy in copies(expected) {
        if tree.bytes(copy)? != text.as_bytes() {
            return Err(format!("{copy} differs from it"));
        }
    }
    check_begin(&certificate, began)?;
    let issuer = expected.get("signed_by").and_then(Value::as_str).unwrap_or(path);
    check_issuer(&certificate, tree.text(issuer)?)?;
    let key = expected
        .get("private_key")
        .and_then(Value::as_str)
        .ok_or("no private_key is stated")?;
    if !tree.text(key)?.starts_with("-----BEGIN PRIVATE KEY-----\n") {
        return Err(format!("{key} has not the label PRIVATE KEY"));
    }
    SigningIdentity::new("", text, tree.text(key)?).map_err(|error| format!("{key}: {error}"))?;
    Ok(())
}

/// A node without host name has an empty DNS name in the reference's certificate; ours may leave it out.
fn without_empty_names(expected: &Value) -> Value {
    let mut expected = expected.clone();
    if let Some(names) = expected.get_mut("san").and_then(Value::as_array_mut) {
        names.retain(|name| name != "DNS:");
    }
    expected
}

/// One block of full lines.
fn check_pem(text: &str) -> Result<(), String> {
    let lines: Vec<_> = text.lines().collect();
    let [first, body @ .., _, last] = lines.as_slice() else {
        return Err("too short for PEM".to_owned());
    };
    let good = *first == "-----BEGIN CERTIFICATE-----"
        && *last == "-----END CERTIFICATE-----"
        && text.ends_with('\n')
        && body.iter().all(|line| line.len() == PEM_COLUMNS);
    good.then_some(())
        .ok_or_else(|| "not one PEM block of 64 columns".to_owned())
}

fn check_begin(certificate: &X509Certificate<'_>, began: SystemTime) -> Result<(), String> {
    let valid_from = certificate.validity().not_before.timestamp();
    let now = SystemTime::now();
    let seconds = |time: SystemTime| {
        let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
    };
    let range = seconds(began - BACKDATED - TOLERANCE)..=seconds(now - BACKDATED + TOLERANCE);
    if valid_from % 60 != 0 || !range.contains(&valid_from) {
        return Err(format!(
            "begins at {valid_from}, expected a whole minute in {range:?}"
        ));
    }
    Ok(())
}

fn check_issuer(certificate: &X509Certificate<'_>, issuer: &str) -> Result<(), String> {
    let issuer = Certificate::from_pem(issuer.as_bytes()).map_err(|error| format!("issuer: {error}"))?;
    let (own, authority) = key_identifiers(certificate);
    if [own, authority].into_iter().flatten().any(|id| id.len() != 32) {
        return Err("a key identifier has not 32 bytes".to_owned());
    }
    if authority.is_some() && authority != issuer.subject_key_id() {
        return Err("the authority's key identifier is not that of its issuer".to_owned());
    }
    let signature = &certificate.signature_value.data;
    let signed = certificate.tbs_certificate.as_ref();
    if !issuer.public_key().verify(HashFamily::Sha2, signed, signature) {
        return Err("the issuer's signature does not verify, or has a high S".to_owned());
    }
    Ok(())
}

/// Own and authority's key identifier.
fn key_identifiers<'a>(certificate: &'a X509Certificate<'_>) -> (Option<&'a [u8]>, Option<&'a [u8]>) {
    let mut found = (None, None);
    for extension in certificate.extensions() {
        match extension.parsed_extension() {
            ParsedExtension::SubjectKeyIdentifier(id) => found.0 = Some(id.0),
            ParsedExtension::AuthorityKeyIdentifier(aki) => {
                found.1 = aki.key_identifier.as_ref().map(|id| id.0);
            }
            _ => {}
        }
    }
    found
}

fn describe(certificate: &X509Certificate<'_>) -> Result<Value, String> {
    let validity = certificate.validity();
    let mut out = json!({
        "subject": name(certificate.subject())?,
        "issuer": name(certificate.issuer())?,
        "key": key_name(certificate),
        "signature": signature_name(certificate),
        "days": days(validity.not_after.timestamp() - validity.not_before.timestamp()),
    });
    for extension in certificate.extensions() {
        describe_extension(extension, &mut out)?;
    }
    Ok(out)
}

/// Whole days as a number; anything else cannot be what is expected.
fn days(seconds: i64) -> Value {
    match seconds % 86400 {
        0 => (seconds / 86400).into(),
        _ => format!("{seconds} seconds").into(),
    }
}

fn describe_extension(extension: &X509Extension<'_>, out: &mut Value) -> Result<(), String> {
    let critical = match extension.parsed_extension() {
        ParsedExtension::KeyUsage(usage) => {
            out["key_usage"] = key_usage(*usage);
            true
        }
        ParsedExtension::BasicConstraints(constraints) => {
            if constraints.path_len_constraint.is_some() {
                return Err("has a path length".to_owned());
            }
            out["ca"] = constraints.ca.into();
            true
        }
        ParsedExtension::ExtendedKeyUsage(_) => {
            out["ext_key_usage"] = extended_key_usage(extension.value).into();
            false
        }
        ParsedExtension::SubjectKeyIdentifier(_) => {
            out["ski"] = true.into();
            false
        }
        ParsedExtension::AuthorityKeyIdentifier(aki) => {
            if aki.authority_cert_serial.is_some() || aki.authority_cert_issuer.is_some() {
                return Err("names its authority by more than the key".to_owned());
            }
            out["aki"] = true.into();
            false
        }
        ParsedExtension::SubjectAlternativeName(names) => {
            let names: Result<Vec<_>, _> = names.general_names.iter().map(alternative_name).collect();
            out["san"] = names?.into();
            false
        }
        other => return Err(format!("has an extension {other:?}")),
    };
    if extension.critical != critical {
        return Err(format!(
            "critical is {} in extension {}",
            extension.critical, extension.oid
        ));
    }
    Ok(())
}

fn key_usage(usage: KeyUsage) -> Value {
    let flags = [
        (usage.digital_signature(), "digital_signature"),
        (usage.non_repudiation(), "non_repudiation"),
        (usage.key_encipherment(), "key_encipherment"),
        (usage.data_encipherment(), "data_encipherment"),
        (usage.key_agreement(), "key_agreement"),
        (usage.key_cert_sign(), "key_cert_sign"),
        (usage.crl_sign(), "crl_sign"),
    ];
    flags
        .iter()
        .filter(|(set, _)| *set)
        .map(|(_, name)| *name)
        .collect()
}

/// In encoded order, which the parser does not keep: SEQUENCE of object identifiers of one length.
fn extended_key_usage(der: &[u8]) -> Vec<String> {
    let oids = der.get(2..).unwrap_or_default().chunks(10);
    oids.map(|oid| match oid.last() {
        Some(1) => "serverAuth".to_owned(),
        Some(2) => "clientAuth".to_owned(),
        _ => hex::encode(oid),
    })
    .collect()
}

fn alternative_name(name: &GeneralName<'_>) -> Result<String, String> {
    match name {
        GeneralName::DNSName(name) => Ok(format!("DNS:{name}")),
        GeneralName::IPAddress(bytes) => {
            let v4 = <[u8; 4]>::try_from(*bytes).map(std::net::IpAddr::from);
            let ip = v4.or_else(|_| <[u8; 16]>::try_from(*bytes).map(std::net::IpAddr::from));
            ip.map(|ip| format!("IP:{ip}"))
                .map_err(|_| format!("an address of {} bytes", bytes.len()))
        }
        other => Err(format!("has a name {other:?}")),
    }
}

fn key_name(certificate: &X509Certificate<'_>) -> String {
    match certificate
        .public_key()
        .algorithm
        .algorithm
        .to_id_string()
        .as_str()
    {
        "1.3.101.112" => "ed25519".to_owned(),
        "1.2.840.10045.2.1" => "ecdsa-p256".to_owned(),
        other => other.to_owned(),
    }
}

fn signature_name(certificate: &X509Certificate<'_>) -> String {
    match certificate.signature_algorithm.algorithm.to_id_string().as_str() {
        "1.3.101.112" => "ed25519".to_owned(),
        "1.2.840.10045.4.3.2" => "ecdsa-sha256".to_owned(),
        other => other.to_owned(),
    }
}

fn name(name: &X509Name<'_>) -> Result<Vec<String>, String> {
    let part = |part: &RelativeDistinguishedName<'_>| {
        let attributes: Result<Vec<_>, _> = part.iter().map(attribute).collect();
        attributes.map(|attributes| attributes.join("+"))
    };
    name.iter().map(part).collect()
}

fn attribute(attribute: &AttributeTypeAndValue<'_>) -> Result<String, String> {
    let oid = attribute.attr_type().to_id_string();
    let short = match oid.as_str() {
        "2.5.4.3" => "CN",
        "2.5.4.6" => "C",
        "2.5.4.7" => "L",
        "2.5.4.8" => "ST",
        "2.5.4.9" => "STREET",
        "2.5.4.10" => "O",
        "2.5.4.11" => "OU",
        "2.5.4.17" => "POSTALCODE",
        other => return Err(format!("has an attribute {other} in a name")),
    };
    let text = attribute.as_str().map_err(|error| error.to_string())?;
    Ok(format!("{short}={text}"))
}
