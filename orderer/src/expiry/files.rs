//! The certificates that the settings name. What cannot be read has none: whoever needs it says so.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::dated::{Dated, Role};
use crate::config::{Config, ServerTls};
use crate::tls::files::certificates;

/// Folders of an MSP that hold authorities.
const AUTHORITY_FOLDERS: [&str; 4] = [
    "cacerts",
    "intermediatecerts",
    "tlscacerts",
    "tlsintermediatecerts",
];

/// What this node shows: its enrollment, server and client certificates.
pub fn own(config: &Config) -> Vec<Dated> {
    let mut own = first_of_folder(Role::Enrollment, &config.general.local_msp_dir.join("signcerts"));
    for (listener, tls) in listeners(config) {
        own.extend(first(Role::Server(listener), &tls.certificate));
    }
    if let Some(pair) = &config.general.cluster.client {
        own.extend(first(Role::Client, &pair.certificate));
    }
    own
}

/// What this node shows, and what it believes: authorities and administrators. Each once.
pub fn all(config: &Config) -> Vec<Dated> {
    let mut all = own(config);
    let msp = &config.general.local_msp_dir;
    let mut authorities: Vec<PathBuf> = config.general.cluster.root_cas.clone();
    for (_, tls) in listeners(config) {
        authorities.extend(tls.root_cas.iter().chain(&tls.client_root_cas).cloned());
    }
    for folder in AUTHORITY_FOLDERS {
        authorities.extend(files_of(&msp.join(folder)));
    }
    let authorities: BTreeSet<PathBuf> = authorities.into_iter().collect();
    for file in authorities {
        all.extend(every(Role::Authority, &file));
    }
    for file in files_of(&msp.join("admincerts")) {
        all.extend(every(Role::Admin, &file));
    }
    all
}

/// Each listener with TLS.
pub(crate) fn listeners(config: &Config) -> Vec<(&'static str, &ServerTls)> {
    let general = &config.general;
    let cluster = general.cluster.listener.as_ref().map(|listener| &listener.tls);
    [
        ("general", general.tls.as_ref()),
        ("cluster", cluster),
        ("admin", config.admin.tls.as_ref()),
        ("operations", config.operations.tls.as_ref()),
    ]
    .into_iter()
    .filter_map(|(name, tls)| Some((name, tls?)))
    .collect()
}

fn first(role: Role, file: &Path) -> Option<Dated> {
    every(role, file).into_iter().next()
}

fn first_of_folder(role: Role, folder: &Path) -> Vec<Dated> {
    files_of(folder)
        .first()
        .and_then(|file| first(role, file))
        .into_iter()
        .collect()
}

fn every(role: Role, file: &Path) -> Vec<Dated> {
    let found = certificates(file).unwrap_or_default();
    found
        .iter()
        .filter_map(|der| Dated::of(role, file.display().to_string(), der))
        .collect()
}

/// The files of a folder by name; none without it.
fn files_of(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.is_file())
        .collect();
    files.sort();
    files
}
