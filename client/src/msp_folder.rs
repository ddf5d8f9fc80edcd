//! Reading an MSP folder (`docs/spec/tools.md` §2.5): whom an organisation trusts, or who signs.

mod config_yaml;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use configtx::identity::{SigningIdentity, SigningIdentityError};
use prost::Message as _;
use protos::wire::msp::{FabricCryptoConfig, FabricMspConfig, MspConfig};

use crate::yaml::YamlError;

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
    #[error(transparent)]
    Settings(#[from] YamlError),
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
        config_yaml::apply(folder, &mut settings, &mut warnings)?;
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
