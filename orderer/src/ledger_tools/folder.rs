//! Which data folder a command works on, and whether a node uses it.

use std::collections::BTreeSet;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ledger::disk::{Directory, RealDisk};
use ledger::factory::{LOCK_FILE, UNFINISHED_PREFIX};
use ledger::{FactoryError, LedgerFactory, LedgerOptions};
use protos::ChannelId;
use std::sync::Arc;

use super::Failure;
use crate::config::{self, Config, Environment};

/// Where the chains are in a data folder.
const CHAINS: &str = "chains";

/// Which data folder.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct FolderArguments {
    /// orderer.yaml of the node, for the data folder, the raft log and the node's certificate [default: as the node finds it]
    #[arg(long, value_name = "FILE", conflicts_with = "location")]
    config: Option<PathBuf>,
    /// The data folder itself, without any orderer.yaml
    #[arg(long, value_name = "FOLDER")]
    location: Option<PathBuf>,
}

/// A data folder, and the settings it was named by.
pub(super) struct Folder {
    pub(super) location: PathBuf,
    /// None where only the folder was named.
    pub(super) config: Option<Config>,
}

/// What is known of who else uses the folder.
#[derive(Debug)]
pub(super) enum Use {
    /// Nobody; while this is held, no node starts on it.
    Free { _held: Option<File> },
    /// A node runs on it.
    Running,
}

impl Use {
    pub(super) fn is_running(&self) -> bool {
        matches!(self, Self::Running)
    }
}

impl FolderArguments {
    /// Reads the settings, as the node would. `ORDERER_*` variables count.
    pub(super) fn resolve(&self) -> Result<Folder, Failure> {
        if let Some(location) = &self.location {
            return Ok(Folder {
                location: location.clone(),
                config: None,
            });
        }
        let environment = environment();
        let file = match &self.config {
            Some(file) => std::path::absolute(file).unwrap_or_else(|_| file.clone()),
            None => config::locate(&environment).map_err(|error| {
                Failure::new(error).next("name the file with --config, or the folder with --location")
            })?,
        };
        let config = Config::read(&file, &environment).map_err(Failure::new)?;
        Ok(Folder {
            location: config.ledger.location.clone(),
            config: Some(config),
        })
    }
}

fn environment() -> Environment {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

impl Folder {
    /// Refuses a folder that is not there, or not ours.
    pub(super) fn check(&self) -> Result<(), Failure> {
        let location = &self.location;
        if !location.is_dir() {
            return Err(Failure::new(format!("{} is no folder", location.display()))
                .next("name the node's data folder (FileLedger.Location) with --location"));
        }
        match ledger::foreign::find(location) {
            Ok(None) if !location.join(CHAINS).is_dir() => {
                let what = format!(
                    "{} is no data folder: it has no folder `chains`",
                    location.display()
                );
                Err(Failure::new(what)
                    .next("name the node's data folder (FileLedger.Location) with --location"))
            }
            Ok(None) => Ok(()),
            Ok(Some(file)) => Err(Failure::new(FactoryError::Foreign {
                location: location.clone(),
                file,
            })),
            Err(error) => Err(Failure::new(format!(
                "cannot read {}: {error}",
                location.display()
            ))),
        }
    }

    /// Finds out whether a node runs on it, and keeps one from starting meanwhile. Writes nothing.
    pub(super) fn look(&self) -> Result<Use, Failure> {
        let path = self.location.join(LOCK_FILE);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Use::Free { _held: None });
            }
            Err(error) => return Err(Failure::new(format!("cannot open {}: {error}", path.display()))),
        };
        match file.try_lock_shared() {
            Ok(()) => Ok(Use::Free { _held: Some(file) }),
            Err(TryLockError::WouldBlock) => Ok(Use::Running),
            Err(TryLockError::Error(error)) => {
                Err(Failure::new(format!("cannot lock {}: {error}", path.display())))
            }
        }
    }

    /// Opens it to write. The node must be stopped.
    pub(super) fn open(&self) -> Result<LedgerFactory, Failure> {
        LedgerFactory::open(LedgerOptions::at(&self.location)).map_err(|error| match error {
            FactoryError::Locked { .. } => {
                Failure::new(error).next("stop the node that runs on it, then run the command again")
            }
            other => Failure::new(other),
        })
    }

    /// The folder of a channel's blocks.
    pub(super) fn chain(&self, channel: &ChannelId) -> Result<Arc<dyn Directory>, Failure> {
        let path = self.location.join(CHAINS).join(channel.as_str());
        RealDisk::existing(&path).map_err(|error| {
            Failure::new(format!("cannot read {}: {error}", path.display())).next(format!(
                "the folder has: {}",
                names(&self.channels().unwrap_or_default())
            ))
        })
    }

    /// Channels with a folder of blocks, sorted.
    pub(super) fn channels(&self) -> Result<BTreeSet<ChannelId>, Failure> {
        let names = self.entries(CHAINS)?;
        Ok(names
            .iter()
            .filter_map(|name| ChannelId::parse(name).ok())
            .collect())
    }

    /// Names in `chains` that no channel has: imports that were not finished, and what others put there.
    pub(super) fn strangers(&self) -> Result<(Vec<String>, Vec<String>), Failure> {
        let names = self.entries(CHAINS)?.into_iter();
        let strangers = names.filter(|name| ChannelId::parse(name).is_err());
        Ok(strangers.partition(|name| name.starts_with(UNFINISHED_PREFIX)))
    }

    /// Names in a folder of it; none if it is not there.
    pub(super) fn entries(&self, folder: &str) -> Result<Vec<String>, Failure> {
        entries(&self.location.join(folder))
    }
}

/// Names in a folder, sorted; none if it is not there.
pub(super) fn entries(folder: &Path) -> Result<Vec<String>, Failure> {
    let unreadable = |error| Failure::new(format!("cannot read {}: {error}", folder.display()));
    let listed = match fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        listed => listed.map_err(unreadable)?,
    };
    let names = listed.map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned()));
    let mut names = names.collect::<Result<Vec<_>, _>>().map_err(unreadable)?;
    names.sort();
    Ok(names)
}

/// Names in a row; "no channel" for none.
pub(super) fn names(channels: &BTreeSet<ChannelId>) -> String {
    if channels.is_empty() {
        return "no channel".to_owned();
    }
    let names: Vec<_> = channels.iter().map(ChannelId::as_str).collect();
    names.join(", ")
}

/// MB and blocks a second.
pub(super) fn speed(bytes: u64, blocks: u64, took: Duration) -> String {
    let seconds = took.as_secs_f64().max(0.001);
    #[expect(clippy::cast_precision_loss, reason = "for people")]
    let (megabytes, blocks) = (bytes as f64 / 1e6, blocks as f64);
    format!(
        "{megabytes:.1} MB in {seconds:.1} s, {:.0} MB/s, {:.0} blocks/s",
        megabytes / seconds,
        blocks / seconds
    )
}
