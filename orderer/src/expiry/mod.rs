//! When the certificates that this node depends on expire, and early words about it (`docs/spec/behaviour.md` §6.3).
//!
//! ```text
//! settings ──> files: own certificates, authorities, administrators ─┐
//!                                                                    ├─> Dated ──> watch: what is due? ──> log
//! channels ──> configs in force: certificates of the consenters ─────┘
//! ```
//!
//! | module | holds |
//! |---|---|
//! | [`dated`] | one certificate: what it is for, where it stands, until when it holds |
//! | [`files`] | those that the settings name |
//! | [`channels`] | those of the consenters in the channels' configs |
//! | [`watch`] | which of them are to be warned of now; pure |
//!
//! At the start each own certificate is told with its end. A warning comes when
//! `General.Cluster.CertExpirationWarningThreshold` is left, and then once a day, also after the end. Nothing stops
//! working here because of a date: whoever checks one says so itself.
//!
//! Not here: certificates that others show on connections (`cluster`), and the expiry of clients (`processor`,
//! `deliver`).

pub mod channels;
pub mod dated;
pub mod files;
pub mod watch;

use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};

use crate::config::Config;
use crate::multichannel::Manager;
use crate::server::LOGGER;

pub use dated::{Dated, Role};
use watch::Watch;

/// How often the dates are looked at: often enough to notice a certificate that was put in place for an hour.
const LOOK_INTERVAL: Duration = Duration::from_mins(10);

/// Tells the dates of this node's own certificates, warns of those that are near, and goes on warning for as long as
/// the channels are there. Must be called within a `tokio` runtime.
pub fn start(config: &Config, manager: &Arc<Manager>) {
    let mut looking = Looking {
        config: config.clone(),
        manager: Arc::downgrade(manager),
        watch: Watch::new(config.general.cluster.certificate_warning_time),
    };
    for own in files::own(config) {
        tracing::info!(target: LOGGER, "The {own} expires on {}", own.end());
    }
    looking.look();
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(LOOK_INTERVAL).await;
            // Reads files.
            let looked = tokio::task::spawn_blocking(move || looking.look().then_some(looking)).await;
            match looked {
                Ok(Some(again)) => looking = again,
                // The node, or the runtime, ends.
                Ok(None) | Err(_) => return,
            }
        }
    });
}

struct Looking {
    config: Config,
    /// Whoever stops the node waits until nobody has the channels any more.
    manager: Weak<Manager>,
    watch: Watch,
}

impl Looking {
    /// False once the channels are gone.
    fn look(&mut self) -> bool {
        let Some(manager) = self.manager.upgrade() else {
            return false;
        };
        let mut all = files::all(&self.config);
        all.extend(channels::consenters(&manager));
        drop(manager);
        for warning in self.watch.due(&all, SystemTime::now()) {
            tracing::warn!(target: LOGGER, "{warning}");
        }
        true
    }
}
