//! `crypto-config.yaml`: which organisations to make, with which names and keys (`docs/spec/tools.md` §1.1).
//!
//! Keys are case-sensitive and unknown ones are ignored, as the reference tool has it. What it takes and then fails
//! on half-way (an unknown key algorithm, a name that leads out of its folder, an empty list element) is refused
//! here before anything is made.

mod names;
mod node;
mod values;

use std::path::Path;

use super::{CaSpec, KeyType, OrgKind, OrgSpec, SubjectSpec, UserSpec};
use crate::yaml::{self, Document, Place, YamlError};
use node::NodeEntry;

/// The built-in `crypto-config.yaml`: one orderer organisation and two others, with comments.
pub const TEMPLATE: &str = include_str!("template.yaml");
/// What errors in the template would call it.
const TEMPLATE_NAME: &str = "(built-in template)";
/// Most nodes or users that one count may ask for: each takes about 10 KiB of memory until all are written.
const COUNT_MAX: i64 = 100_000;

/// The organisations that `file` asks for, in the order in which they are made: peer organisations first.
pub fn read(file: &Path) -> Result<Vec<OrgSpec>, YamlError> {
    organisations(&yaml::read(file)?)
}

/// The organisations of the [built-in template](TEMPLATE).
pub fn template() -> Result<Vec<OrgSpec>, YamlError> {
    organisations(&yaml::parse(Path::new(TEMPLATE_NAME), TEMPLATE)?)
}

fn organisations(document: &Document) -> Result<Vec<OrgSpec>, YamlError> {
    let mut orgs: Vec<OrgSpec> = Vec::new();
    let Some(root) = document.root() else {
        return Ok(orgs);
    };
    for (key, kind) in [("PeerOrgs", OrgKind::Peer), ("OrdererOrgs", OrgKind::Orderer)] {
        for place in elements(&root, key)? {
            let org = organisation(&place, kind)?;
            if orgs
                .iter()
                .any(|other| other.kind == kind && other.domain == org.domain)
            {
                return Err(place.wrong(format!("a second organisation of the domain {:?}", org.domain)));
            }
            orgs.push(org);
        }
    }
    Ok(orgs)
}

fn organisation(place: &Place<'_>, kind: OrgKind) -> Result<OrgSpec, YamlError> {
    text(place, "Name")?;
    let domain = text(place, "Domain")?;
    if !domain.is_empty() {
        check_file_name(place, &domain)?;
    }
    let mut nodes = Vec::new();
    for spec in elements(place, "Specs")? {
        nodes.push(NodeEntry::read(&spec)?.node(&domain)?);
    }
    if let Some(template) = place.get("Template")? {
        let prefix = match kind {
            OrgKind::Orderer => "orderer",
            OrgKind::Peer => "peer",
        };
        nodes.extend(node::series(&template, prefix, &domain)?);
    }
    Ok(OrgSpec {
        kind,
        node_ous: optional(place, "EnableNodeOUs", values::flag)?.unwrap_or(false),
        ca: authority(place, &domain)?,
        nodes,
        users: users(place, kind, &domain)?,
        // The reference tool makes the administrator's keys so, whatever the others are.
        admin_key: KeyType::P256,
        domain,
    })
}

fn authority(org: &Place<'_>, domain: &str) -> Result<CaSpec, YamlError> {
    let Some(place) = org.get("CA")? else {
        return Ok(OrgSpec::new(OrgKind::Peer, domain, KeyType::P256).ca);
    };
    let mut entry = NodeEntry::read(&place)?;
    if entry.hostname.is_empty() {
        "ca".clone_into(&mut entry.hostname);
    }
    let common_name = entry.common_name(domain)?;
    let default = SubjectSpec::default();
    let part =
        |key, default: String| text(&place, key).map(|text| if text.is_empty() { default } else { text });
    Ok(CaSpec {
        key: entry.key(&format!("the authorities of {domain}"))?,
        common_name,
        subject: SubjectSpec {
            country: part("Country", default.country)?,
            province: part("Province", default.province)?,
            locality: part("Locality", default.locality)?,
            organizational_unit: part("OrganizationalUnit", String::new())?,
            street_address: part("StreetAddress", String::new())?,
            postal_code: part("PostalCode", String::new())?,
        },
    })
}

/// Only peer organisations have users beside the administrator.
fn users(org: &Place<'_>, kind: OrgKind, domain: &str) -> Result<Vec<UserSpec>, YamlError> {
    let Some(place) = org.get("Users")? else {
        return Ok(Vec::new());
    };
    let (count, algorithm) = (count(&place)?, place.get("PublicKeyAlgorithm")?);
    let numbers = if kind == OrgKind::Peer { 1..count + 1 } else { 1..1 };
    numbers
        .map(|number| {
            let common_name = format!("User{number}@{domain}");
            Ok(UserSpec {
                key: key(algorithm.as_ref(), &common_name)?,
                common_name,
            })
        })
        .collect()
}

/// The kind of keys that `algorithm` asks for; `whose` is what an error names.
fn key(algorithm: Option<&Place<'_>>, whose: &str) -> Result<KeyType, YamlError> {
    let Some(place) = algorithm else {
        return Ok(KeyType::P256);
    };
    match values::text(place)?.as_str() {
        "" | "ecdsa" => Ok(KeyType::P256),
        "ed25519" => Ok(KeyType::Ed25519),
        other => Err(place.wrong(format!(
            "{whose} cannot have keys of kind {other:?}; ecdsa or ed25519, in lower case"
        ))),
    }
}

/// Negative counts ask for nothing.
fn count(place: &Place<'_>) -> Result<i64, YamlError> {
    let Some(count) = place.get("Count")? else {
        return Ok(0);
    };
    let number = values::integer(&count)?;
    if number > COUNT_MAX {
        return Err(count.wrong(format!("{number} is more than {COUNT_MAX}")));
    }
    Ok(number.max(0))
}

/// The text of `key`, empty if it is missing.
fn text(place: &Place<'_>, key: &str) -> Result<String, YamlError> {
    Ok(optional(place, key, values::text)?.unwrap_or_default())
}

fn optional<T>(
    place: &Place<'_>,
    key: &str,
    read: fn(&Place<'_>) -> Result<T, YamlError>,
) -> Result<Option<T>, YamlError> {
    place.get(key)?.as_ref().map(read).transpose()
}

/// The elements of the list `key`, none of them null.
fn elements<'a>(place: &Place<'a>, key: &str) -> Result<Vec<Place<'a>>, YamlError> {
    let Some(list) = place.get(key)? else {
        return Ok(Vec::new());
    };
    let elements = list.elements()?;
    match elements.iter().find(|element| element.is_null()) {
        Some(null) => Err(null.wrong("this list element is empty")),
        None => Ok(elements),
    }
}

/// Domains and common names become names of folders and files.
fn check_file_name(place: &Place<'_>, name: &str) -> Result<(), YamlError> {
    if matches!(name, "" | "." | "..") || name.contains(['/', '\0']) {
        return Err(place.wrong(format!("the name {name:?} cannot be that of a folder")));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
