//! What a quickstart keeps in its folder, and making it once.
//!
//! ```text
//! FOLDER/
//!   crypto/            identities: one organisation of orderers, one of clients
//!   genesis.block      first block of the channel
//!   orderer.yaml       the node's settings
//!   data/              its blocks
//!   orderer.log        its log
//!   connection.json    how to reach the channel; written last, so a folder that has it is complete
//!   quickstart.lock    held while a quickstart runs
//! ```

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use client::connection_file::{
    ConnectionFile, ConnectionFileError, IdentityFiles, OrdererAddresses, TlsFiles,
};
use client::crypto::{
    self, CryptoError, KeyType, Manifest, ManifestError, ManifestOrg, OrgKind, OrgPaths, OrgSpec,
};
use client::genesis::{self, BatchSpec, ConsensusSpec, GenesisOrg, GenesisSpec, GenesisSpecError};
use protos::ChannelId;
use protos::id::ChannelIdError;

use super::ports::{Ports, address};
use super::settings::{self, NodeIdentity, SettingsError};

/// The channel's name.
pub(super) const CHANNEL: &str = "quickstart";
/// An incomplete block waits this long for more envelopes: short, since people try single ones here.
const BATCH_TIMEOUT: Duration = Duration::from_millis(250);

const ORDERER_DOMAIN: &str = "example.com";
const ORDERER_MSP: &str = "OrdererMSP";
const CLIENT_DOMAIN: &str = "org1.example.com";
const CLIENT_MSP: &str = "Org1MSP";
const HOST: &str = "orderer1";
const HOST_NAMES: [&str; 2] = ["localhost", "127.0.0.1"];

const CRYPTO: &str = "crypto";
const LOCK: &str = "quickstart.lock";

/// Why there is no complete folder.
#[derive(Debug, thiserror::Error)]
pub(super) enum LayoutError {
    /// Another quickstart holds the lock.
    #[error("another quickstart runs in {}", folder.display())]
    InUse {
        /// The folder.
        folder: PathBuf,
    },
    /// There is something else in it, or what a quickstart left that was ended while it made its files.
    #[error("{} is not empty, and no quickstart has finished making it", folder.display())]
    Foreign {
        /// The folder.
        folder: PathBuf,
    },
    /// A file or folder cannot be read or written.
    #[error("cannot access {}: {source}", path.display())]
    Io {
        /// Which one.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// No port is free.
    #[error("no free port on the loopback interface: {0}")]
    Ports(io::Error),
    /// Identities cannot be made.
    #[error(transparent)]
    Crypto(#[from] CryptoError),
    /// The list of organisations cannot be written.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The channel's name is none.
    #[error(transparent)]
    Channel(#[from] ChannelIdError),
    /// The genesis block cannot be made.
    #[error(transparent)]
    Genesis(#[from] GenesisSpecError),
    /// A node's settings are unusable.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The connection file is unusable.
    #[error(transparent)]
    Connection(#[from] ConnectionFileError),
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> LayoutError {
    let path = path.to_owned();
    move |source| LayoutError::Io { path, source }
}

/// A complete folder, locked.
#[derive(Debug)]
pub(super) struct Layout {
    folder: PathBuf,
    is_new: bool,
    nodes: Vec<NodeFiles>,
    /// Its lock ends with it.
    _lock: File,
}

/// Where one node's files are.
#[derive(Clone, Debug)]
pub(super) struct NodeFiles {
    /// What it is called in messages.
    pub name: String,
    /// The folder with its `orderer.yaml`; also its working directory.
    pub folder: PathBuf,
    /// The log of all its runs.
    pub log: PathBuf,
    /// Where it listens.
    pub ports: Ports,
}

impl NodeFiles {
    fn at(folder: &Path, ports: Ports) -> Self {
        Self {
            name: HOST.to_owned(),
            folder: folder.to_owned(),
            log: folder.join("orderer.log"),
            ports,
        }
    }

    fn settings(&self) -> PathBuf {
        settings_file(&self.folder)
    }
}

fn settings_file(folder: &Path) -> PathBuf {
    folder.join("orderer.yaml")
}

/// A port that had to change, for telling it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moved {
    /// As it was.
    pub from: u16,
    /// As it is.
    pub to: u16,
}

impl Layout {
    /// Takes over the folder of an earlier run, or makes a new one.
    pub(super) fn open_or_make(folder: &Path, now: SystemTime) -> Result<Self, LayoutError> {
        fs::create_dir_all(folder).map_err(io_error(folder))?;
        if !connection_file(folder).exists() && !folder.join(LOCK).exists() {
            // Before the lock, which would be left behind in a folder that is not ours.
            refuse_foreign(folder)?;
        }
        let lock = lock(folder)?;
        let is_new = !connection_file(folder).exists();
        let node = if is_new {
            make(folder, now)?
        } else {
            NodeFiles::at(folder, settings::read_ports(&settings_file(folder))?)
        };
        Ok(Self {
            folder: folder.to_owned(),
            is_new,
            nodes: vec![node],
            _lock: lock,
        })
    }

    /// Replaces ports that others listen on by free ones, in the settings and in the connection file.
    pub(super) fn settle_ports(&mut self) -> Result<Vec<Moved>, LayoutError> {
        let mut moved = Vec::new();
        for node in &mut self.nodes {
            let old = node.ports;
            let new = old.or_free().map_err(LayoutError::Ports)?;
            if new != old {
                settings::change_ports(&node.settings(), old, new)?;
                node.ports = new;
            }
            let pairs = [(old.general, new.general), (old.admin, new.admin)];
            moved.extend(
                pairs
                    .into_iter()
                    .filter(|(from, to)| from != to)
                    .map(|(from, to)| Moved { from, to }),
            );
        }
        self.update_connection()?;
        Ok(moved)
    }

    /// The settings say where the nodes listen; whoever edits them need not edit the connection file.
    fn update_connection(&self) -> Result<(), LayoutError> {
        let file = self.connection_file();
        let mut connection = ConnectionFile::read(&file)?;
        let orderers = addresses(&self.nodes);
        if connection.orderers != orderers {
            connection.orderers = orderers;
            connection.write(&file)?;
        }
        Ok(())
    }

    /// The folder.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whether this run made it.
    pub(super) fn is_new(&self) -> bool {
        self.is_new
    }

    /// The nodes.
    pub(super) fn nodes(&self) -> &[NodeFiles] {
        &self.nodes
    }

    /// How to reach the channel.
    pub(super) fn connection_file(&self) -> PathBuf {
        connection_file(&self.folder)
    }

    /// The channel's first block.
    pub(super) fn genesis_file(&self) -> PathBuf {
        genesis_file(&self.folder)
    }
}

fn connection_file(folder: &Path) -> PathBuf {
    folder.join("connection.json")
}

fn genesis_file(folder: &Path) -> PathBuf {
    folder.join("genesis.block")
}

fn lock(folder: &Path) -> Result<File, LayoutError> {
    let path = folder.join(LOCK);
    let mut options = File::options();
    let file = options
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(io_error(&path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(LayoutError::InUse {
            folder: folder.to_owned(),
        }),
        Err(TryLockError::Error(source)) => Err(io_error(&path)(source)),
    }
}

/// Makes everything, the connection file last.
fn make(folder: &Path, now: SystemTime) -> Result<NodeFiles, LayoutError> {
    refuse_foreign(folder)?;
    let node = NodeFiles::at(folder, Ports::choose().map_err(LayoutError::Ports)?);
    make_identities(folder, now)?;
    let block = genesis_spec(folder, std::slice::from_ref(&node))?.block(now)?;
    genesis::write_block(&genesis_file(folder), &block)?;
    let text = settings::text(&identity(), node.ports);
    fs::write(node.settings(), text).map_err(io_error(&node.settings()))?;
    connection(folder, std::slice::from_ref(&node)).write(&connection_file(folder))?;
    Ok(node)
}

fn refuse_foreign(folder: &Path) -> Result<(), LayoutError> {
    for entry in fs::read_dir(folder).map_err(io_error(folder))? {
        if entry.map_err(io_error(folder))?.file_name() != LOCK {
            return Err(LayoutError::Foreign {
                folder: folder.to_owned(),
            });
        }
    }
    Ok(())
}

fn make_identities(folder: &Path, now: SystemTime) -> Result<(), LayoutError> {
    let root = folder.join(CRYPTO);
    let orderers =
        OrgSpec::new(OrgKind::Orderer, ORDERER_DOMAIN, KeyType::Ed25519).with_node(HOST, &HOST_NAMES);
    let mut clients = OrgSpec::new(OrgKind::Peer, CLIENT_DOMAIN, KeyType::Ed25519).with_users(2);
    // One user for each type of key, to compare them: `ordain bench --key p256`.
    if let Some(second) = clients.users.last_mut() {
        second.key = KeyType::P256;
    }
    let listed = |spec: &OrgSpec, msp_id: &str| ManifestOrg {
        kind: spec.kind,
        msp_id: msp_id.to_owned(),
        domain: spec.domain.clone(),
        nodes: spec.nodes.iter().map(|node| node.common_name.clone()).collect(),
    };
    let organisations = vec![listed(&orderers, ORDERER_MSP), listed(&clients, CLIENT_MSP)];
    crypto::make(&root, &[orderers, clients], now)?;
    Ok(Manifest { organisations }.write(&root)?)
}

/// Paths of the orderers' organisation, below `folder`.
fn orderer_org(folder: &Path) -> OrgPaths {
    OrgPaths::below(&folder.join(CRYPTO), OrgKind::Orderer, ORDERER_DOMAIN)
}

/// Paths of the clients' organisation, below `folder`.
fn client_org(folder: &Path) -> OrgPaths {
    OrgPaths::below(&folder.join(CRYPTO), OrgKind::Peer, CLIENT_DOMAIN)
}

fn genesis_spec(folder: &Path, nodes: &[NodeFiles]) -> Result<GenesisSpec, LayoutError> {
    let org = |msp_id: &str, paths: &OrgPaths| GenesisOrg {
        name: msp_id.to_owned(),
        msp_id: msp_id.to_owned(),
        msp_folder: paths.msp(),
        endpoints: Vec::new(),
    };
    let endpoints = nodes
        .iter()
        .filter_map(|node| address(node.ports.general).parse().ok());
    Ok(GenesisSpec {
        channel: ChannelId::parse(CHANNEL)?,
        orderer_orgs: vec![GenesisOrg {
            endpoints: endpoints.collect(),
            ..org(ORDERER_MSP, &orderer_org(folder))
        }],
        application_orgs: vec![org(CLIENT_MSP, &client_org(folder))],
        consensus: ConsensusSpec::Solo,
        batch: BatchSpec {
            timeout: BATCH_TIMEOUT,
            ..BatchSpec::default()
        },
    })
}

/// The node's identity, relative to the folder.
fn identity() -> NodeIdentity {
    let org = orderer_org(Path::new(""));
    let name = format!("{HOST}.{ORDERER_DOMAIN}");
    NodeIdentity {
        msp_id: ORDERER_MSP.to_owned(),
        msp: org.node_msp(&name),
        tls: org.node_tls(&name),
    }
}

fn addresses(nodes: &[NodeFiles]) -> Vec<OrdererAddresses> {
    let one = |node: &NodeFiles| OrdererAddresses {
        address: address(node.ports.general),
        admin: Some(address(node.ports.admin)),
    };
    nodes.iter().map(one).collect()
}

/// A client of the application organisation, who is the orderers' administrator on the admin listener.
fn connection(folder: &Path, nodes: &[NodeFiles]) -> ConnectionFile {
    let (orderers, clients) = (orderer_org(folder), client_org(folder));
    let admin = orderers.user_tls(&orderers.admin_name());
    let tls = TlsFiles {
        ca: orderers.tls_ca(),
        certificate: None,
        key: None,
        server_name: None,
    };
    let user = |number: u8| IdentityFiles {
        msp_id: CLIENT_MSP.to_owned(),
        msp: clients.user_msp(&format!("User{number}@{CLIENT_DOMAIN}")),
    };
    ConnectionFile {
        channel: CHANNEL.to_owned(),
        genesis: Some(genesis_file(folder)),
        identity: user(1),
        identities: vec![user(2)],
        admin_tls: Some(TlsFiles {
            certificate: Some(admin.join("client.crt")),
            key: Some(admin.join("client.key")),
            ..tls.clone()
        }),
        tls: Some(tls),
        orderers: addresses(nodes),
    }
}

#[cfg(test)]
mod tests;
