//! `config.yaml` of an MSP folder: organizational units, and which of them stand for roles.
//!
//! Keys are exact and unknown ones are ignored. Paths in it are relative to the folder.

use std::path::Path;

use bytes::Bytes;
use protos::wire::msp::{FabricMspConfig, FabricNodeOUs, FabricOuIdentifier};

use super::{MspFolderError, read};
use crate::yaml::{self, Place, YamlError};

/// Adds what the file says to `settings`; without the file nothing.
pub(super) fn apply(
    folder: &Path,
    settings: &mut FabricMspConfig,
    warnings: &mut Vec<String>,
) -> Result<(), MspFolderError> {
    let path = folder.join("config.yaml");
    if !path.exists() {
        return Ok(());
    }
    let document = yaml::read(&path)?;
    let Some(root) = document.root() else {
        return Ok(());
    };
    if let Some(list) = root.get("OrganizationalUnitIdentifiers")? {
        for entry in list.elements()? {
            settings
                .organizational_unit_identifiers
                .push(unit(folder, &entry)?);
        }
    }
    if let Some(ous) = root.get("NodeOUs")?
        && is_enabled(&ous)?
    {
        settings.fabric_node_ous = Some(node_ous(folder, &ous, warnings)?);
    }
    Ok(())
}

fn is_enabled(ous: &Place<'_>) -> Result<bool, YamlError> {
    let Some(value) = ous.get("Enable")? else {
        return Ok(false);
    };
    let scalar = value.scalar()?;
    match scalar.text.to_lowercase().as_str() {
        "true" | "yes" | "on" | "y" if !scalar.quoted => Ok(true),
        "false" | "no" | "off" | "n" if !scalar.quoted => Ok(false),
        _ => Err(value.wrong(format!("should be true or false, not {:?}", scalar.text))),
    }
}

/// The text of a key, empty without it.
fn text(entry: &Place<'_>, key: &str) -> Result<String, YamlError> {
    let value = entry.get(key)?;
    let text = value.map(|value| value.scalar().map(|scalar| scalar.text.clone()));
    text.transpose().map(Option::unwrap_or_default)
}

/// An entry whose certificate must exist.
fn unit(folder: &Path, entry: &Place<'_>) -> Result<FabricOuIdentifier, MspFolderError> {
    Ok(FabricOuIdentifier {
        certificate: read(&folder.join(text(entry, "Certificate")?))?,
        organizational_unit_identifier: text(entry, "OrganizationalUnitIdentifier")?,
    })
}

fn node_ous(folder: &Path, ous: &Place<'_>, warnings: &mut Vec<String>) -> Result<FabricNodeOUs, YamlError> {
    let mut role = |key: &str| {
        let Some(entry) = ous.get(key)? else {
            return Ok(None);
        };
        let unit = text(&entry, "OrganizationalUnitIdentifier")?;
        if unit.is_empty() {
            return Ok(None);
        }
        Ok::<_, YamlError>(Some(FabricOuIdentifier {
            certificate: role_certificate(folder, key, &text(&entry, "Certificate")?, warnings),
            organizational_unit_identifier: unit,
        }))
    };
    Ok(FabricNodeOUs {
        enable: true,
        client_ou_identifier: role("ClientOUIdentifier")?,
        peer_ou_identifier: role("PeerOUIdentifier")?,
        admin_ou_identifier: role("AdminOUIdentifier")?,
        orderer_ou_identifier: role("OrdererOUIdentifier")?,
    })
}

/// A role without its certificate is accepted from any authority of the MSP.
fn role_certificate(folder: &Path, key: &str, name: &str, warnings: &mut Vec<String>) -> Bytes {
    let mut without = |why: &dyn std::fmt::Display| {
        warnings.push(format!("{key} stays without certificate: {why}"));
        Bytes::new()
    };
    if name.is_empty() {
        return without(&format!("{} names none", folder.join("config.yaml").display()));
    }
    read(&folder.join(name)).unwrap_or_else(|error| without(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(text: &str) -> Result<(FabricMspConfig, Vec<String>), MspFolderError> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("config.yaml"), text).unwrap();
        std::fs::write(folder.path().join("ca.pem"), "certificate").unwrap();
        let (mut settings, mut warnings) = (FabricMspConfig::default(), Vec::new());
        apply(folder.path(), &mut settings, &mut warnings).map(|()| (settings, warnings))
    }

    #[test]
    fn roles_need_a_unit_and_may_lack_a_certificate() {
        let (settings, warnings) = applied(
            "Other: [1]\nNodeOUs:\n  Enable: on\n  ClientOUIdentifier: {Certificate: ca.pem, \
             OrganizationalUnitIdentifier: client}\n  PeerOUIdentifier: {OrganizationalUnitIdentifier: 7}\n  \
             AdminOUIdentifier: {Certificate: ca.pem}\n  OrdererOUIdentifier: {Certificate: none.pem, \
             OrganizationalUnitIdentifier: orderer}\n",
        )
        .unwrap();
        let ous = settings.fabric_node_ous.unwrap();
        assert_eq!(
            ous.client_ou_identifier.unwrap().certificate[..],
            b"certificate"[..]
        );
        let peer = ous.peer_ou_identifier.unwrap();
        assert!(peer.certificate.is_empty() && peer.organizational_unit_identifier == "7");
        assert!(ous.admin_ou_identifier.is_none());
        assert!(ous.orderer_ou_identifier.unwrap().certificate.is_empty());
        assert_eq!(warnings.len(), 2, "{warnings:?}");
        assert!(
            warnings[0].contains("PeerOUIdentifier") && warnings[1].contains("none.pem"),
            "{warnings:?}"
        );
    }

    #[test]
    fn roles_that_are_switched_off_are_not_there() {
        for text in [
            "",
            "# nothing\n",
            "NodeOUs:\n",
            "NodeOUs: {}",
            "NodeOUs: {Enable: false, ClientOUIdentifier: 1}",
        ] {
            assert!(applied(text).unwrap().0.fabric_node_ous.is_none(), "{text:?}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_an_error_with_its_line() {
        for (text, expected) in [
            (
                "NodeOUs:\n  Enable: maybe\n",
                ":2: NodeOUs.Enable: should be true or false",
            ),
            ("NodeOUs: [\n", "not valid YAML"),
            (
                "\nOrganizationalUnitIdentifiers: text\n",
                ":2: OrganizationalUnitIdentifiers: should be a list",
            ),
            (
                "OrganizationalUnitIdentifiers: [{Certificate: none.pem}]\n",
                "none.pem",
            ),
        ] {
            let error = applied(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text:?}: {error}");
        }
    }
}
