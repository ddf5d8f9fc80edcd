//! The connection file: all that a command needs to reach a channel, so that commands stay short.
//!
//! ```json
//! {
//!   "channel": "quickstart",
//!   "genesis": "genesis.block",
//!   "identity": { "msp_id": "Org1MSP", "msp": "crypto/.../User1@org1.example.com/msp" },
//!   "tls": { "ca": "crypto/.../tlsca.pem", "certificate": "client.crt", "key": "client.key" },
//!   "admin_tls": { "ca": "crypto/.../tlsca.pem", "certificate": "client.crt", "key": "client.key" },
//!   "operations_tls": { "ca": "crypto/.../tlsca.pem", "certificate": "client.crt", "key": "client.key" },
//!   "orderers": [ { "address": "localhost:7050", "admin": "localhost:7053", "operations": "localhost:8443" } ]
//! }
//! ```
//!
//! Paths are relative to the file's own folder. `genesis`, `tls`, `admin_tls`, `operations_tls`, `admin` and
//! `operations` may be missing, and of a `tls` its `certificate` with `key`, and `server_name`. Further `identities` may be listed, such as ones
//! with another type of key; commands that can use them say so.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fs, io};

use configtx::identity::SigningIdentity;
use protos::ChannelId;
use serde::{Deserialize, Serialize};

use crate::connection::{AddressError, Target};
use crate::envelope::EnvelopeSigner;
use crate::msp_folder::{self, MspFolderError};
use crate::participation::{AdminClient, AdminError};
use crate::tls::{ClientCertificate, ClientTls, TlsError};

/// How to reach a channel, and as whom.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConnectionFile {
    /// The channel.
    pub channel: String,
    /// A block file with its genesis block: what verification starts from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub genesis: Option<PathBuf>,
    /// Who signs.
    pub identity: IdentityFiles,
    /// Who else may sign, for commands that are told to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub identities: Vec<IdentityFiles>,
    /// For broadcast and deliver. None: plain text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsFiles>,
    /// For the admin listener. None: plain text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admin_tls: Option<TlsFiles>,
    /// For the operations listener. None: plain text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operations_tls: Option<TlsFiles>,
    /// The nodes, the preferred one first.
    pub orderers: Vec<OrdererAddresses>,
}

/// An identity on disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdentityFiles {
    /// The organisation's MSP id.
    pub msp_id: String,
    /// MSP folder with `signcerts` and `keystore`.
    pub msp: PathBuf,
}

/// TLS material on disk, all PEM.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsFiles {
    /// Authorities to trust.
    pub ca: PathBuf,
    /// Client certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<PathBuf>,
    /// Its key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,
    /// Name to expect in the server's certificate in place of the address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_name: Option<String>,
}

/// Where one node listens.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrdererAddresses {
    /// Broadcast and deliver.
    pub address: String,
    /// Channel participation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admin: Option<String>,
    /// Health, readiness, version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operations: Option<String>,
}

/// Why a connection file, or what it names, is unusable.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionFileError {
    /// A file cannot be read or written.
    #[error("cannot access {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Not the JSON it should be.
    #[error("{} does not parse: {source}", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: serde_json::Error,
    },
    /// The channel's name is none.
    #[error("channel {name:?}: {source}")]
    Channel {
        /// As given.
        name: String,
        /// Why.
        source: protos::id::ChannelIdError,
    },
    /// No orderer, or none with an admin address.
    #[error("no {0} is given")]
    NoAddress(&'static str),
    /// A certificate without its key, or a key without its certificate.
    #[error("a TLS client certificate and its key must be given together")]
    HalfPair,
    /// An address is none.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// TLS files are unusable.
    #[error("{}: {source}", path.display())]
    Tls {
        /// The file of the client's certificate where it is about that or its key, else that of the authorities.
        path: PathBuf,
        /// Why.
        source: TlsError,
    },
    /// The identity is unusable.
    #[error(transparent)]
    Identity(#[from] MspFolderError),
    /// The admin client cannot be made.
    #[error(transparent)]
    Admin(#[from] AdminError),
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> ConnectionFileError {
    let path = path.to_owned();
    move |source| ConnectionFileError::Io { path, source }
}

impl ConnectionFile {
    /// Reads `path`; relative paths in it become relative to the working folder.
    pub fn read(path: &Path) -> Result<Self, ConnectionFileError> {
        let text = fs::read(path).map_err(io_error(path))?;
        let mut file: Self = serde_json::from_slice(&text).map_err(|source| ConnectionFileError::Parse {
            path: path.to_owned(),
            source,
        })?;
        let folder = path.parent().unwrap_or(Path::new(""));
        file.paths().for_each(|path| *path = folder.join(&*path));
        Ok(file)
    }

    /// Writes it to `path`. Paths inside the file's folder are written relative to it, so that the folder can
    /// be moved.
    pub fn write(&self, path: &Path) -> Result<(), ConnectionFileError> {
        let folder = path.parent().unwrap_or(Path::new(""));
        let mut file = self.clone();
        file.paths().for_each(|inner| {
            if let Ok(relative) = inner.strip_prefix(folder) {
                *inner = relative.to_owned();
            }
        });
        let text = serde_json::to_string_pretty(&file).map_err(|source| ConnectionFileError::Parse {
            path: path.to_owned(),
            source,
        })?;
        fs::write(path, text + "\n").map_err(io_error(path))
    }

    fn paths(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        let tls = [&mut self.tls, &mut self.admin_tls, &mut self.operations_tls];
        let tls = tls.into_iter().flatten();
        let tls_paths = tls.flat_map(|files| {
            std::iter::once(&mut files.ca)
                .chain(files.certificate.as_mut())
                .chain(files.key.as_mut())
        });
        std::iter::once(&mut self.identity)
            .chain(&mut self.identities)
            .map(|identity| &mut identity.msp)
            .chain(self.genesis.as_mut())
            .chain(tls_paths)
    }

    /// The channel.
    pub fn channel_id(&self) -> Result<ChannelId, ConnectionFileError> {
        ChannelId::parse(&self.channel).map_err(|source| ConnectionFileError::Channel {
            name: self.channel.clone(),
            source,
        })
    }

    /// Loads the identity.
    pub fn signing_identity(&self) -> Result<SigningIdentity, ConnectionFileError> {
        self.identity.load()
    }

    /// Loads the identity, to sign for the channel.
    pub fn signer(&self) -> Result<EnvelopeSigner, ConnectionFileError> {
        let identity = Arc::new(self.signing_identity()?);
        Ok(EnvelopeSigner::new(identity, self.channel_id()?))
    }

    /// All orderers, in order, at least one.
    pub fn targets(&self) -> Result<Vec<Target>, ConnectionFileError> {
        let tls = load_tls(self.tls.as_ref())?;
        if self.orderers.is_empty() {
            return Err(ConnectionFileError::NoAddress("orderer address"));
        }
        let target = |orderer: &OrdererAddresses| {
            Ok(Target {
                address: orderer.address.parse()?,
                tls: tls.clone(),
            })
        };
        self.orderers.iter().map(target).collect()
    }

    /// The admin listeners of all orderers that name one, at least one.
    pub fn admins(&self) -> Result<Vec<AdminClient>, ConnectionFileError> {
        let tls = load_tls(self.admin_tls.as_ref())?;
        let addresses = self.orderers.iter().filter_map(|orderer| orderer.admin.as_ref());
        let clients = addresses
            .map(|address| Ok(AdminClient::new(&address.parse()?, tls.as_ref())?))
            .collect::<Result<Vec<_>, ConnectionFileError>>()?;
        if clients.is_empty() {
            return Err(ConnectionFileError::NoAddress("admin address"));
        }
        Ok(clients)
    }
}

fn load_tls(files: Option<&TlsFiles>) -> Result<Option<ClientTls>, ConnectionFileError> {
    files.map(TlsFiles::load).transpose()
}

impl IdentityFiles {
    /// Reads the files.
    pub fn load(&self) -> Result<SigningIdentity, ConnectionFileError> {
        Ok(msp_folder::signing_identity(&self.msp, &self.msp_id)?)
    }
}

impl TlsFiles {
    /// Reads the files.
    pub fn load(&self) -> Result<ClientTls, ConnectionFileError> {
        let read = |path: &Path| fs::read(path).map_err(io_error(path));
        let pair = match (&self.certificate, &self.key) {
            (Some(certificate), Some(key)) => Some((read(certificate)?, read(key)?)),
            (None, None) => None,
            _ => return Err(ConnectionFileError::HalfPair),
        };
        let client = pair
            .as_ref()
            .map(|(certificate, key)| ClientCertificate { certificate, key });
        let failed = |source| {
            let is_client = matches!(
                source,
                TlsError::Certificate(_) | TlsError::Key(_) | TlsError::Pair(_)
            );
            let path = self.certificate.as_ref().filter(|_| is_client);
            ConnectionFileError::Tls {
                path: path.unwrap_or(&self.ca).clone(),
                source,
            }
        };
        let tls = ClientTls::new(&read(&self.ca)?, client).map_err(failed)?;
        match &self.server_name {
            Some(name) => tls.with_server_name(name).map_err(failed),
            None => Ok(tls),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(folder: &Path) -> ConnectionFile {
        ConnectionFile {
            channel: "quickstart".into(),
            genesis: Some(folder.join("genesis.block")),
            identity: IdentityFiles {
                msp_id: "Org1MSP".into(),
                msp: "/elsewhere/msp".into(),
            },
            identities: vec![IdentityFiles {
                msp_id: "Org1MSP".into(),
                msp: folder.join("second"),
            }],
            tls: Some(TlsFiles {
                ca: folder.join("ca.pem"),
                certificate: None,
                key: None,
                server_name: None,
            }),
            admin_tls: None,
            operations_tls: None,
            orderers: vec![OrdererAddresses {
                address: "localhost:7050".into(),
                ..OrdererAddresses::default()
            }],
        }
    }

    #[test]
    fn what_is_written_is_read_and_moves_with_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("connection.json");
        sample(folder.path()).write(&path).unwrap();
        assert_eq!(ConnectionFile::read(&path).unwrap(), sample(folder.path()));
        let text = fs::read_to_string(&path).unwrap();
        assert!(
            text.contains(r#""ca": "ca.pem""#)
                && text.contains(r#""msp": "second""#)
                && text.contains("/elsewhere/msp"),
            "{text}"
        );
    }

    #[test]
    fn misspelt_keys_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("connection.json");
        fs::write(&path, r#"{"chanel":"a"}"#).unwrap();
        let error = ConnectionFile::read(&path).unwrap_err().to_string();
        assert!(
            error.contains("chanel") && error.contains("connection.json"),
            "{error}"
        );
    }

    #[test]
    fn a_certificate_needs_its_key() {
        let files = TlsFiles {
            ca: "ca.pem".into(),
            certificate: Some("client.crt".into()),
            key: None,
            server_name: None,
        };
        assert!(matches!(files.load(), Err(ConnectionFileError::HalfPair)));
    }
}
