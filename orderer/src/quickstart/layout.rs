//! What a quickstart keeps in its folder, and making it once.
//!
//! ```text
//! FOLDER/
//!   crypto/            identities: one organisation of orderers, one of clients
//!   genesis.block      first block of the channel
//!   connection.json    how to reach the channel; written last, so a folder that has it is complete
//!   quickstart.lock    held while a quickstart runs
//!   orderer1/          a folder for each node; of a node alone, the following lie in FOLDER itself
//!     orderer.yaml     its settings
//!     data/            its blocks
//!     orderer.log      its log
//! ```
//!
//! | module | holds |
//! |---|---|
//! | `files` | what lies where |
//! | `make` | identities, genesis block, settings, connection file |

mod files;
mod make;
#[cfg(test)]
mod tests;

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use client::connection::AddressError;
use client::connection_file::{ConnectionFile, ConnectionFileError};
use client::crypto::{CryptoError, ManifestError};
use client::genesis::GenesisSpecError;
use protos::id::ChannelIdError;

use super::ports::Ports;
use super::settings::{self, SettingsError};

pub(super) use files::NodeFiles;
pub(super) use make::BATCH_TIMEOUT;

/// The channel's name.
pub(super) const CHANNEL: &str = "quickstart";

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
    /// It holds a network of another size.
    #[error("the network in {} has {has} node(s), not {asked}", folder.display())]
    OtherSize {
        /// The folder.
        folder: PathBuf,
        /// How many nodes it has.
        has: usize,
        /// How many were asked for.
        asked: usize,
    },
    /// A port by which the members of a channel know a node is taken.
    #[error(
        "port {port} of {name} is in use by another program, and the channel's config tells the other nodes to reach \
         it there"
    )]
    PortTaken {
        /// Which node.
        name: String,
        /// Its general port.
        port: u16,
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
    /// A node's address is none.
    #[error(transparent)]
    Address(#[from] AddressError),
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

/// How many nodes are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Size {
    /// So many, and no other number.
    Exactly(usize),
    /// So many in a new folder; those that are there in one of an earlier run.
    IfNew(usize),
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
    pub(super) fn open_or_make(folder: &Path, size: Size, now: SystemTime) -> Result<Self, LayoutError> {
        fs::create_dir_all(folder).map_err(io_error(folder))?;
        if !files::connection_file(folder).exists() && !folder.join(LOCK).exists() {
            // Before the lock, which would be left behind in a folder that is not ours.
            refuse_foreign(folder)?;
        }
        let lock = lock(folder)?;
        let is_new = !files::connection_file(folder).exists();
        let nodes = if is_new {
            refuse_foreign(folder)?;
            let (Size::Exactly(count) | Size::IfNew(count)) = size;
            make::make(folder, count, now)?
        } else {
            find(folder, size)?
        };
        Ok(Self {
            folder: folder.to_owned(),
            is_new,
            nodes,
            _lock: lock,
        })
    }

    /// Replaces ports that others listen on by free ones, in the settings and in the connection file.
    ///
    /// Where several nodes make up a channel, its config says by which ports they know each other: those cannot be
    /// replaced.
    pub(super) fn settle_ports(&mut self) -> Result<Vec<Moved>, LayoutError> {
        let is_cluster = self.nodes.len() > 1;
        let mut moved = Vec::new();
        for node in &mut self.nodes {
            let old = node.ports;
            let new = old.or_free().map_err(LayoutError::Ports)?;
            if is_cluster && new.general != old.general {
                return Err(LayoutError::PortTaken {
                    name: node.name.clone(),
                    port: old.general,
                });
            }
            if new != old {
                settings::change_ports(&node.settings(), old, new)?;
                node.ports = new;
            }
            let pairs = [
                (old.general, new.general),
                (old.admin, new.admin),
                (old.operations, new.operations),
            ];
            let changed = pairs.into_iter().filter(|(from, to)| from != to);
            moved.extend(changed.map(|(from, to)| Moved { from, to }));
        }
        self.update_connection()?;
        Ok(moved)
    }

    /// The settings say where the nodes listen; whoever edits them need not edit the connection file.
    fn update_connection(&self) -> Result<(), LayoutError> {
        let file = self.connection_file();
        let mut connection = ConnectionFile::read(&file)?;
        let orderers = make::addresses(&self.nodes);
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
        files::connection_file(&self.folder)
    }

    /// The channel's first block.
    pub(super) fn genesis_file(&self) -> PathBuf {
        files::genesis_file(&self.folder)
    }
}

/// The nodes of an earlier run; the connection file lists them all.
fn find(folder: &Path, size: Size) -> Result<Vec<NodeFiles>, LayoutError> {
    let has = ConnectionFile::read(&files::connection_file(folder))?
        .orderers
        .len();
    if has == 0 {
        return Err(ConnectionFileError::NoAddress("orderer address").into());
    }
    if let Size::Exactly(asked) = size
        && asked != has
    {
        return Err(LayoutError::OtherSize {
            folder: folder.to_owned(),
            has,
            asked,
        });
    }
    let node = |number| {
        let settings = files::settings_file(&files::node_folder(folder, number, has));
        let ports: Ports = settings::read_ports(&settings)?;
        Ok(NodeFiles::at(folder, number, has, ports))
    };
    (1..=has).map(node).collect()
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
