//! What a node knows of itself: folders, certificates, channels.
//!
//! Files are read when somebody asks, as they are then: it is what the next reload, or the next start, will find.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::readiness::{Certificate, ChannelFacts, Disk, Facts, Stage};
use crate::admin::Registrar as _;
use crate::config::{Config, DiskGuard};
use crate::multichannel::Manager;
use crate::multichannel::channel::Part;
use crate::multichannel::registrar::Participation;
use crate::tls::files;

const DAY_SECONDS: i64 = 24 * 3600;
/// With less room than this a person should be told,
const FREE_BYTES_FEW: u64 = 1024 * 1024 * 1024;
/// and with less than so many times what the guard wants.
const GUARD_TIMES: u64 = 2;

/// Where a node is in its life, with its channels where it has them.
#[derive(Clone, Debug)]
pub(super) enum Life {
    Starting,
    /// Whoever stops the node waits until nobody else holds its channels.
    Serving(Weak<Manager>),
    Stopping,
}

/// Where to look.
#[derive(Debug)]
pub(super) struct Watched {
    folders: Vec<(&'static str, PathBuf)>,
    certificates: Vec<(&'static str, PathBuf)>,
    signing_certificates: PathBuf,
    free_bytes_min: u64,
    certificate_warning_time: Duration,
}

impl Watched {
    pub(super) fn of(config: &Config) -> Self {
        let general = &config.general;
        let cluster = &general.cluster;
        let listener = cluster.listener.as_ref().map(|listener| &listener.tls);
        let servers = [
            ("General.TLS.Certificate", general.tls.as_ref()),
            ("General.Cluster.ServerCertificate", listener),
            ("Admin.TLS.Certificate", config.admin.tls.as_ref()),
            ("Operations.TLS.Certificate", config.operations.tls.as_ref()),
        ];
        let servers = servers
            .into_iter()
            .filter_map(|(key, tls)| Some((key, tls?.certificate.clone())));
        let client = cluster.client.as_ref();
        let client = client.map(|pair| ("General.Cluster.ClientCertificate", pair.certificate.clone()));
        Self {
            folders: vec![
                ("blocks", config.ledger.location.clone()),
                ("raft log", config.consensus.wal_dir.clone()),
            ],
            certificates: servers.chain(client).collect(),
            signing_certificates: general.local_msp_dir.join("signcerts"),
            free_bytes_min: free_bytes_min(general.disk_guard.as_ref()),
            certificate_warning_time: cluster.certificate_warning_time,
        }
    }

    /// Looks. Waits for the disk.
    pub(super) fn facts(&self, life: &Life) -> Facts {
        let mut unreadable = Vec::new();
        let manager = match life {
            Life::Serving(manager) => manager.upgrade(),
            Life::Starting | Life::Stopping => None,
        };
        let stage = match (life, &manager) {
            (Life::Starting, _) => Stage::Starting,
            (Life::Serving(_), Some(_)) => Stage::Serving,
            (Life::Serving(_), None) | (Life::Stopping, _) => Stage::Stopping,
        };
        Facts {
            stage,
            // Folders are made during the start.
            disks: if stage == Stage::Starting {
                Vec::new()
            } else {
                self.disks(&mut unreadable)
            },
            no_room: manager.as_ref().and_then(|manager| no_room(manager)),
            free_bytes_min: self.free_bytes_min,
            certificates: self.certificates(&mut unreadable),
            certificate_warning_time: self.certificate_warning_time,
            unreadable,
            channels: manager.map_or_else(Vec::new, |manager| channels(&manager)),
        }
    }

    /// Each file system once: the first folder on it stands for it.
    fn disks(&self, unreadable: &mut Vec<String>) -> Vec<Disk> {
        let mut seen = HashSet::new();
        let mut disks = Vec::new();
        for (purpose, folder) in &self.folders {
            match rustix::fs::statvfs(folder) {
                Ok(stat) if seen.insert(stat.f_fsid) => disks.push(Disk {
                    purpose,
                    folder: folder.clone(),
                    free_bytes: stat.f_bavail.saturating_mul(stat.f_frsize),
                    total_bytes: stat.f_blocks.saturating_mul(stat.f_frsize),
                }),
                Ok(_) => {}
                Err(error) => unreadable.push(format!("{purpose}: {}: {error}", folder.display())),
            }
        }
        disks
    }

    fn certificates(&self, unreadable: &mut Vec<String>) -> Vec<Certificate> {
        let signing = match first_file(&self.signing_certificates) {
            Ok(file) => Some(("General.LocalMSPDir", file)),
            Err(error) => {
                let folder = self.signing_certificates.display();
                unreadable.push(format!("General.LocalMSPDir: {folder}: {error}"));
                None
            }
        };
        let now = SystemTime::now();
        let mut found = Vec::new();
        for (purpose, file) in signing.iter().chain(&self.certificates) {
            match certificate(purpose, file, now) {
                Ok(certificate) => found.push(certificate),
                Err(reason) => unreadable.push(format!("{purpose}: {reason}")),
            }
        }
        found
    }
}

fn free_bytes_min(guard: Option<&DiskGuard>) -> u64 {
    let guarded = guard.map_or(0, |guard| guard.resume_free_bytes.saturating_mul(GUARD_TIMES));
    guarded.max(FREE_BYTES_FEW)
}

/// The guard stops the intake before writes have to wait.
fn no_room(manager: &Manager) -> Option<String> {
    let space = &manager.node().space;
    let full = "the disk is full: what was taken in waits until there is room again";
    let guarded = space.low().map(|reason| reason.as_str().to_owned());
    guarded.or_else(|| space.is_full().then(|| full.to_owned()))
}

fn channels(manager: &Arc<Manager>) -> Vec<ChannelFacts> {
    let participation = Participation(Arc::clone(manager));
    let names = participation.channels();
    // One may be removed in between.
    let facts = names.iter().filter_map(|name| {
        let channel = manager.get(name.as_str())?;
        Some(ChannelFacts {
            health: channel.health(),
            behind: behind(&channel.part()),
            info: participation.channel(name)?,
        })
    });
    facts.collect()
}

fn behind(part: &Part) -> u64 {
    match part {
        Part::Chain { chain, .. } => chain.load().behind,
        Part::Follower { follower, .. } => {
            let status = follower.status();
            status.known.0.saturating_sub(status.height.0)
        }
        Part::Nothing => 0,
    }
}

/// As [`local_msp`](crate::local_msp) takes them.
fn first_file(folder: &Path) -> io::Result<PathBuf> {
    let entries = fs::read_dir(folder)?.collect::<io::Result<Vec<_>>>()?;
    let files = entries.into_iter().map(|entry| entry.path());
    let first = files.filter(|path| path.is_file()).min();
    first.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no file there"))
}

/// The first certificate of `file`.
fn certificate(purpose: &'static str, file: &Path, now: SystemTime) -> Result<Certificate, String> {
    let chain = files::certificates(file).map_err(|error| error.to_string())?;
    let unusable = || format!("{} holds no X.509 certificate", file.display());
    let leaf = chain.first().ok_or_else(unusable)?;
    let (_, leaf) = X509Certificate::from_der(leaf).map_err(|_| unusable())?;
    let end = leaf.validity().not_after.timestamp();
    let now = now
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX));
    let seconds_left = end.saturating_sub(now);
    Ok(Certificate {
        purpose,
        file: file.to_owned(),
        subject: leaf.subject().to_string(),
        not_after: jiff::Timestamp::from_second(end).map_or_else(|_| end.to_string(), |end| end.to_string()),
        days_left: seconds_left.div_euclid(DAY_SECONDS),
        seconds_left,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::testing::Authority;

    #[test]
    fn a_certificate_file_is_read_with_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("server.crt");
        let pair = Authority::new("ca").issue_between("o1", 2020, 2030);
        fs::write(&file, pair.certificate).unwrap();
        let end = UNIX_EPOCH + Duration::from_hours(525_960);
        for (before_end, days_left) in [(Duration::from_hours(36), 1), (Duration::ZERO, 0)] {
            let found = certificate("General.TLS.Certificate", &file, end - before_end).unwrap();
            assert_eq!(found.not_after, "2030-01-01T00:00:00Z");
            assert_eq!(found.days_left, days_left);
            assert!(found.subject.contains("CN=o1"), "{}", found.subject);
        }
        let found = certificate("x", &file, end + Duration::from_secs(1)).unwrap();
        assert_eq!((found.days_left, found.seconds_left), (-1, -1));
    }

    #[test]
    fn a_file_that_is_none_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("server.crt");
        let error = certificate("x", &file, SystemTime::now()).unwrap_err();
        assert!(error.contains("server.crt"), "{error}");
        assert!(first_file(folder.path()).is_err());
    }
}
