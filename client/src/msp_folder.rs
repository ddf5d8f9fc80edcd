//! Reading an MSP folder (`docs/spec/tools.md` §2.5): whom an organisation trusts, or who signs.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use configtx::identity::{SigningIdentity, SigningIdentityError};
use prost::Message as _;
use protos::wire::msp::{FabricCryptoConfig, FabricMspConfig, FabricNodeOUs, FabricOuIdentifier, MspConfig};
use saphyr::{LoadableYamlNode as _, Yaml};

/// Why a folder is no usable MSP folder.
#[derive(Debug, thiserror::Error)]
pub enum MspFolderError {
    /// A file or folder cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// Which one.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// No certificate authority.
    #[error("{} holds no CA certificate; is {} an MSP folder?", path.display(), path.parent().unwrap_or(path).display())]
    NoAuthority {
        /// The folder `cacerts`.
        path: PathBuf,
    },
    /// `config.yaml` is not what it should be.
    #[error("{}: {reason}", path.display())]
    Settings {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Somebody who signs needs exactly a certificate and a key.
    #[error("{} holds no {what}", path.display())]
    Missing {
        /// The folder.
        path: PathBuf,
        /// What should be there.
        what: &'static str,
    },
    /// Certificate and key make no identity.
    #[error("{}: {source}", path.display())]
    Identity {
        /// The MSP folder.
        path: PathBuf,
        /// Why.
        source: SigningIdentityError,
    },
}

/// What a verifying MSP folder says.
#[derive(Clone, Debug)]
pub struct MspFolder {
    /// The settings.
    pub settings: FabricMspConfig,
    /// Files that were skipped, and why; worth telling an operator.
    pub warnings: Vec<String>,
}

impl MspFolder {
    /// Reads `folder` as the MSP `msp_id`. Keys of its owner, if there are any, are not looked at.
    pub fn read(folder: &Path, msp_id: &str) -> Result<Self, MspFolderError> {
        let mut warnings = Vec::new();
        let mut take = |name: &str| pem_files(&folder.join(name), &mut warnings);
        let mut settings = FabricMspConfig {
            name: msp_id.to_owned(),
            root_certs: take("cacerts")?,
            intermediate_certs: take("intermediatecerts")?,
            admins: take("admincerts")?,
            revocation_list: take("crls")?,
            tls_root_certs: take("tlscacerts")?,
            crypto_config: Some(FabricCryptoConfig {
                signature_hash_family: "SHA2".to_owned(),
                identity_identifier_hash_function: "SHA256".to_owned(),
            }),
            ..FabricMspConfig::default()
        };
        if settings.root_certs.is_empty() {
            return Err(MspFolderError::NoAuthority {
                path: folder.join("cacerts"),
            });
        }
        if !settings.tls_root_certs.is_empty() {
            settings.tls_intermediate_certs = take("tlsintermediatecerts")?;
        }
        apply_config_yaml(folder, &mut settings, &mut warnings)?;
        Ok(Self { settings, warnings })
    }

    /// As a channel's config holds it.
    pub fn to_wire(&self) -> MspConfig {
        MspConfig {
            r#type: 0,
            config: self.settings.encode_to_vec().into(),
        }
    }

    /// Whether certificates state roles, so that policies may tell clients from peers.
    pub fn has_node_ous(&self) -> bool {
        self.settings.fabric_node_ous.is_some()
    }
}

/// The identity of an MSP folder that signs: the certificate in `signcerts`, the key in `keystore`.
pub fn signing_identity(folder: &Path, msp_id: &str) -> Result<SigningIdentity, MspFolderError> {
    let certificate = read_first(&folder.join("signcerts"), "certificate")?;
    let key = read_first(&folder.join("keystore"), "private key")?;
    SigningIdentity::new(msp_id, &certificate, &key).map_err(|source| MspFolderError::Identity {
        path: folder.to_owned(),
        source,
    })
}

fn read_first(folder: &Path, what: &'static str) -> Result<String, MspFolderError> {
    let path = files(folder)?
        .into_iter()
        .next()
        .ok_or_else(|| MspFolderError::Missing {
            path: folder.to_owned(),
            what,
        })?;
    fs::read_to_string(&path).map_err(|source| MspFolderError::Read { path, source })
}

/// All files of `folder` in name order, links followed; none if it does not exist.
fn files(folder: &Path) -> Result<Vec<PathBuf>, MspFolderError> {
    let failed = |source| MspFolderError::Read {
        path: folder.to_owned(),
        source,
    };
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        if path.is_file() {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

/// The whole content of each file that holds a PEM block.
fn pem_files(folder: &Path, warnings: &mut Vec<String>) -> Result<Vec<Bytes>, MspFolderError> {
    let mut found = Vec::new();
    for path in files(folder)? {
        let content = read(&path)?;
        if pem::parse(&content).is_ok() {
            found.push(content);
        } else {
            warnings.push(format!("{} holds no PEM block and is skipped", path.display()));
        }
    }
    Ok(found)
}

fn read(path: &Path) -> Result<Bytes, MspFolderError> {
    fs::read(path)
        .map(Bytes::from)
        .map_err(|source| MspFolderError::Read {
            path: path.to_owned(),
            source,
        })
}

fn apply_config_yaml(
    folder: &Path,
    settings: &mut FabricMspConfig,
    warnings: &mut Vec<String>,
) -> Result<(), MspFolderError> {
    let path = folder.join("config.yaml");
    if !path.exists() {
        return Ok(());
    }
    let failed = |reason: String| MspFolderError::Settings {
        path: path.clone(),
        reason,
    };
    let text = String::from_utf8(read(&path)?.to_vec()).map_err(|error| failed(error.to_string()))?;
    let documents = Yaml::load_from_str(&text).map_err(|error| failed(error.to_string()))?;
    let Some(root) = documents.first() else {
        return Ok(());
    };
    let list = root.as_mapping_get("OrganizationalUnitIdentifiers");
    for entry in list.and_then(Yaml::as_vec).into_iter().flatten() {
        settings
            .organizational_unit_identifiers
            .push(unit(folder, entry)?);
    }
    if let Some(ous) = root.as_mapping_get("NodeOUs").filter(|ous| is_enabled(ous)) {
        settings.fabric_node_ous = Some(node_ous(folder, ous, warnings));
    }
    Ok(())
}

fn is_enabled(ous: &Yaml<'_>) -> bool {
    let value = ous.as_mapping_get("Enable");
    let word = |word: &str| matches!(word.to_lowercase().as_str(), "yes" | "on" | "y");
    value.is_some_and(|value| {
        value
            .as_bool()
            .unwrap_or_else(|| value.as_str().is_some_and(word))
    })
}

fn text<'a>(entry: &'a Yaml<'_>, key: &str) -> &'a str {
    entry
        .as_mapping_get(key)
        .and_then(Yaml::as_str)
        .unwrap_or_default()
}

/// An entry whose certificate must exist.
fn unit(folder: &Path, entry: &Yaml<'_>) -> Result<FabricOuIdentifier, MspFolderError> {
    Ok(FabricOuIdentifier {
        certificate: read(&folder.join(text(entry, "Certificate")))?,
        organizational_unit_identifier: text(entry, "OrganizationalUnitIdentifier").to_owned(),
    })
}

fn node_ous(folder: &Path, ous: &Yaml<'_>, warnings: &mut Vec<String>) -> FabricNodeOUs {
    let mut role = |key: &str| {
        let entry = ous.as_mapping_get(key)?;
        let unit = text(entry, "OrganizationalUnitIdentifier");
        (!unit.is_empty()).then(|| FabricOuIdentifier {
            certificate: role_certificate(folder, key, text(entry, "Certificate"), warnings),
            organizational_unit_identifier: unit.to_owned(),
        })
    };
    FabricNodeOUs {
        enable: true,
        client_ou_identifier: role("ClientOUIdentifier"),
        peer_ou_identifier: role("PeerOUIdentifier"),
        admin_ou_identifier: role("AdminOUIdentifier"),
        orderer_ou_identifier: role("OrdererOUIdentifier"),
    }
}

/// A role without its certificate is accepted from any authority of the MSP.
fn role_certificate(folder: &Path, key: &str, name: &str, warnings: &mut Vec<String>) -> Bytes {
    if name.is_empty() {
        return Bytes::new();
    }
    read(&folder.join(name)).unwrap_or_else(|error| {
        warnings.push(format!("{key} stays without certificate: {error}"));
        Bytes::new()
    })
}
