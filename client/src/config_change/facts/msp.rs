//! An organisation's MSP.
//!
//! Certificates are labels of their own: a new authority beside an old one is one line more, not a list that
//! differs somewhere.

use bytes::Bytes;
use prost::Message as _;
use protos::wire::msp::{FabricMspConfig, FabricNodeOUs, FabricOuIdentifier, MspConfig};

use super::super::certificate;
use super::{Fact, fingerprint};

pub(super) fn msp(value: &MspConfig) -> Option<Vec<Fact>> {
    if value.r#type != 0 {
        return Some(vec![
            Fact::new("type", value.r#type),
            Fact::new("settings", fingerprint(&value.config)),
        ]);
    }
    let settings = FabricMspConfig::decode(value.config.clone()).ok()?;
    let mut facts = vec![Fact::new("MSP id", &settings.name)];
    for (label, certificates) in [
        ("root CA", &settings.root_certs),
        ("intermediate CA", &settings.intermediate_certs),
        ("admin", &settings.admins),
        ("TLS root CA", &settings.tls_root_certs),
        ("TLS intermediate CA", &settings.tls_intermediate_certs),
    ] {
        facts.extend(listed(label, certificates, certificate::line));
    }
    facts.extend(listed(
        "revocation list",
        &settings.revocation_list,
        certificate::revocation_list,
    ));
    facts.extend(
        settings
            .organizational_unit_identifiers
            .iter()
            .map(|unit| Fact::present(format!("required {}", unit_text(unit)))),
    );
    facts.extend(roles(settings.fabric_node_ous.as_ref()));
    if let Some(crypto) = &settings.crypto_config {
        let text = format!(
            "{}, {}",
            crypto.signature_hash_family, crypto.identity_identifier_hash_function
        );
        facts.push(Fact::new("hash functions", text));
    }
    Some(facts)
}

fn listed(label: &str, entries: &[Bytes], describe: impl Fn(&[u8]) -> String) -> Vec<Fact> {
    let fact = |entry: &Bytes| Fact::present(format!("{label} {}", describe(entry)));
    entries.iter().map(fact).collect()
}

/// Which unit in a certificate's subject makes its owner what.
fn roles(units: Option<&FabricNodeOUs>) -> Vec<Fact> {
    let Some(units) = units.filter(|units| units.enable) else {
        return vec![Fact::new("roles", "not told by certificates")];
    };
    let roles = [
        ("client", &units.client_ou_identifier),
        ("peer", &units.peer_ou_identifier),
        ("admin", &units.admin_ou_identifier),
        ("orderer", &units.orderer_ou_identifier),
    ];
    let known = roles
        .iter()
        .filter_map(|(role, unit)| Some((role, unit.as_ref()?)));
    known
        .map(|(role, unit)| Fact::new(format!("role {role}"), unit_text(unit)))
        .collect()
}

fn unit_text(unit: &FabricOuIdentifier) -> String {
    let name = &unit.organizational_unit_identifier;
    if unit.certificate.is_empty() {
        return format!("unit {name}");
    }
    format!("unit {name}, issued by {}", certificate::name(&unit.certificate))
}
