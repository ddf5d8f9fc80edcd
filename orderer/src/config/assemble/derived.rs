//! What is in force where a key is not set and has no default of its own: it follows from other keys.

use std::path::Path;

use crate::config::kind::go_duration;
use crate::config::values::shown_bytes;
use crate::config::{Config, Effective, Origin};

/// A key, what is in force for it, and from where that follows.
type Derived = (&'static str, String, Origin);

/// `settings` with what follows from others filled in.
pub(super) fn complete(mut settings: Vec<Effective>, config: &Config) -> Vec<Effective> {
    for (key, value, origin) in derived(config) {
        let unset = settings
            .iter_mut()
            .find(|setting| setting.key == key && setting.origin == Origin::Default);
        if let Some(setting) = unset {
            (setting.value, setting.origin) = (value, origin);
        }
    }
    settings
}

fn derived(config: &Config) -> Vec<Derived> {
    let location = Origin::Derived("FileLedger.Location");
    let mut all = vec![
        (
            "FileLedger.Location",
            path(&config.ledger.location),
            Origin::Derived("the folder of orderer.yaml"),
        ),
        (
            "Consensus.WALDir",
            path(&config.consensus.wal_dir),
            location.clone(),
        ),
        ("Consensus.SnapDir", path(&config.consensus.snap_dir), location),
    ];
    all.extend(key_store(config));
    all.extend(client_pair(config));
    all.extend(backoff(config));
    all.extend(disk_guard(config));
    all
}

fn key_store(config: &Config) -> Option<Derived> {
    let general = &config.general;
    general.bccsp.key_store.is_none().then(|| {
        (
            "General.BCCSP.SW.FileKeyStore.KeyStore",
            path(&general.local_msp_dir.join("keystore")),
            Origin::Derived("General.LocalMSPDir"),
        )
    })
}

fn client_pair(config: &Config) -> Vec<Derived> {
    let Some(pair) = &config.general.cluster.client else {
        return Vec::new();
    };
    [
        ("General.Cluster.ClientCertificate", &pair.certificate),
        ("General.Cluster.ClientPrivateKey", &pair.private_key),
    ]
    .map(|(key, file)| (key, path(file), Origin::Derived("General.TLS")))
    .into()
}

/// In the table these are 0, as in the reference, and 0 stands for these.
fn backoff(config: &Config) -> [Derived; 3] {
    let backoff = &config.general.cluster.backoff;
    [
        ("General.Backoff.BaseDelay", go_duration(backoff.base)),
        ("General.Backoff.Multiplier", backoff.multiplier.to_string()),
        ("General.Backoff.MaxDelay", go_duration(backoff.max)),
    ]
    .map(|(key, value)| (key, value, Origin::Default))
}

fn disk_guard(config: &Config) -> Option<Derived> {
    let guard = config.general.disk_guard?;
    Some((
        "General.DiskGuard.ResumeFree",
        shown_bytes(guard.resume_free_bytes),
        Origin::Derived("General.DiskGuard.MinFree"),
    ))
}

fn path(path: &Path) -> String {
    format!("{:?}", path.display().to_string())
}
