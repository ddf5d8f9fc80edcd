//! Certificates, keys and authorities are read again when their files change (`General.CertReloadInterval`).
//!
//! ```text
//! files of all listeners and of calls to others ─ each 10 s ─> stamps ─> Changes (pure): changed, and settled?
//!                                                                          └─> the same as on SIGHUP
//! ```
//!
//! Looked at by their stamps, and not reported by the operating system: that works on every file system, for a file that
//! is replaced, for a folder of links that is switched as a whole, and for a file that appears. A change counts once it
//! has stood still from one look to the next, so that a certificate and its key, which are never written at the same
//! moment, are read together. Files that do not go together leave the old ones in use, with the reason in the log, and
//! the next change is another attempt.
//!
//! The enrollment certificate and its key are read at the start only: which of them signs blocks is a step of its own,
//! that others must have been prepared for.
//!
//! | module | holds |
//! |---|---|
//! | [`changes`] | when files have changed and settled; pure |

pub mod changes;

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::Config;
use crate::expiry::files::listeners;
use crate::server::LOGGER;
use crate::signals::Answering;
use changes::{Changes, Stamp};

/// Watches the files that `config` names, if it says so, and has `node` read them again. Must be called within a `tokio`
/// runtime; ends with it.
pub fn start(config: &Config, node: Arc<dyn Answering>) {
    let Some(interval) = config.general.cert_reload_interval else {
        return;
    };
    let files = files(config);
    let mut changes = Changes::since(stamps(&files));
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(interval).await;
            let looked_at = files.clone();
            let Ok(now) = tokio::task::spawn_blocking(move || stamps(&looked_at)).await else {
                return; // the runtime ends
            };
            let to_read = changes.settled(now);
            if to_read.is_empty() {
                continue;
            }
            let names: Vec<String> = to_read
                .iter()
                .map(|at| files[*at].display().to_string())
                .collect();
            tracing::info!(target: LOGGER, "changed, and read again: {}", names.join(", "));
            let node = Arc::clone(&node);
            // Reads files.
            if tokio::task::spawn_blocking(move || node.reload()).await.is_err() {
                return;
            }
        }
    });
}

/// What is read for TLS, each file once.
fn files(config: &Config) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for (_, tls) in listeners(config) {
        files.extend([tls.certificate.clone(), tls.private_key.clone()]);
        files.extend(tls.client_root_cas.iter().cloned());
    }
    let cluster = &config.general.cluster;
    if let Some(pair) = &cluster.client {
        files.extend([pair.certificate.clone(), pair.private_key.clone()]);
    }
    files.extend(cluster.root_cas.iter().cloned());
    files.sort();
    files.dedup();
    files
}

fn stamps(files: &[PathBuf]) -> Vec<Option<Stamp>> {
    files.iter().map(|file| stamp(file)).collect()
}

/// None: it is not there, or may not be looked at.
fn stamp(file: &Path) -> Option<Stamp> {
    let metadata = fs::metadata(file).ok()?;
    Some(Stamp {
        device: metadata.dev(),
        inode: metadata.ino(),
        bytes: metadata.size(),
        modified: (metadata.mtime(), metadata.mtime_nsec()),
        changed: (metadata.ctime(), metadata.ctime_nsec()),
    })
}
