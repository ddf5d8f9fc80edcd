//! Stops intake before a disk is full (`General.DiskGuard`).
//!
//! ```text
//! file systems of FileLedger.Location, WALDir, SnapDir ─ each second ─> Guard (pure) ─> DiskSpace ─> intake refuses
//!                                                                                          └─> leaders step aside
//! ```
//!
//! The reference goes on until a write fails, and ends. Here clients are told `SERVICE_UNAVAILABLE` while there is
//! still room for what was taken in, for the blocks of others, and for the log of a cluster; [`DiskSpace`] then pauses
//! the writers of a disk that is full nevertheless. Between the bound at which intake stops and the one at which it
//! goes on there is a distance, so that it does not flicker.
//!
//! | module | holds |
//! |---|---|
//! | [`guard`] | when to stop and when to go on; pure |

pub mod guard;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::statvfs;

use crate::config::Config;
use crate::metrics::Gauge;
use crate::multichannel::Manager;
use crate::multichannel::disk_space::DiskSpace;
use crate::server::LOGGER;
use guard::{Guard, Place, Step};

/// How often a leader without room offers its place, in case that nobody took it.
const STEP_ASIDE_INTERVAL: Duration = Duration::from_secs(10);

/// Bytes that this user may still write on the file system of `folder`.
pub fn free_bytes(folder: &Path) -> std::io::Result<u64> {
    let found = statvfs(folder)?;
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}

/// Watches the disks of the node for as long as its channels are there, which `config` may say not to. To be called when
/// the folders exist. Has a thread of its own: a disk that hangs keeps nobody else from working.
pub fn start(config: &Config, manager: &Arc<Manager>) {
    let Some(settings) = config.general.disk_guard else {
        return;
    };
    let mut watching = Watching {
        folders: folders(config),
        guard: Guard::new(settings),
        space: manager.node().space.clone(),
        stopped: manager
            .node()
            .metrics
            .families()
            .protection
            .intake_stopped
            .clone(),
        manager: Arc::downgrade(manager),
        stepped_aside: None,
    };
    watching.look();
    let work = move || {
        while watching.manager.strong_count() > 0 {
            thread::sleep(settings.interval);
            watching.look();
        }
    };
    if let Err(error) = thread::Builder::new().name("disk-guard".to_owned()).spawn(work) {
        tracing::warn!(target: LOGGER, "nobody watches the room on the disks: {error}");
    }
}

fn folders(config: &Config) -> Vec<(&'static str, PathBuf)> {
    vec![
        ("FileLedger.Location", config.ledger.location.clone()),
        ("Consensus.WALDir", config.consensus.wal_dir.clone()),
        ("Consensus.SnapDir", config.consensus.snap_dir.clone()),
    ]
}

struct Watching {
    folders: Vec<(&'static str, PathBuf)>,
    guard: Guard,
    space: DiskSpace,
    /// Says to the metrics whether intake is stopped.
    stopped: Gauge,
    /// Whoever stops the node waits until nobody has the channels any more.
    manager: Weak<Manager>,
    /// When leadership was offered to others last.
    stepped_aside: Option<Instant>,
}

impl Watching {
    fn look(&mut self) {
        let places = self.places();
        match self.guard.look(&places) {
            Step::Stop(reason) => {
                self.space.set_low(Some(reason.clone()));
                tracing::warn!(target: LOGGER, "intake stops: {reason}");
            }
            Step::GoOn => {
                self.space.set_low(None);
                self.stepped_aside = None;
                tracing::info!(target: LOGGER, "intake goes on: there is room on the disks again");
            }
            Step::Nothing => {}
        }
        self.stopped.set_flag(self.guard.is_low());
        if self.guard.is_low() {
            self.step_aside(Instant::now());
        }
    }

    /// One that cannot be looked at is left out: whoever writes there says what is wrong.
    fn places(&self) -> Vec<Place> {
        let place = |(key, folder): &(&'static str, PathBuf)| {
            Some(Place {
                key,
                folder: folder.clone(),
                free_bytes: free_bytes(folder).ok()?,
            })
        };
        self.folders.iter().filter_map(place).collect()
    }

    /// Others have room, perhaps: what followers hand to this node would be ordered all the same.
    fn step_aside(&mut self, now: Instant) {
        let recently = self
            .stepped_aside
            .is_some_and(|then| now.duration_since(then) < STEP_ASIDE_INTERVAL);
        if recently {
            return;
        }
        self.stepped_aside = Some(now);
        let Some(manager) = self.manager.upgrade() else {
            return;
        };
        for channel in manager.channels().values() {
            if let Some(chain) = channel.chain() {
                chain.step_aside();
            }
        }
    }
}
