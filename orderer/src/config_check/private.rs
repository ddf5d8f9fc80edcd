//! Private keys that others than their owner can read.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::report::Finding;
use crate::config::{Config, ServerTls};

/// Bits of a file's mode that let others read it: those of its group, and everybody.
const OTHERS_READ: u32 = 0o044;

/// A warning for each private key that its group or everybody may read.
pub fn keys_that_others_read(config: &Config) -> Vec<Finding> {
    let open = private_keys(config).into_iter().filter(|file| others_read(file));
    open.map(|file| {
        Finding::warning(format!(
            "the private key {} can be read by others than its owner: chmod 600",
            file.display()
        ))
    })
    .collect()
}

/// Every private key that the settings name, each once.
fn private_keys(config: &Config) -> Vec<PathBuf> {
    let general = &config.general;
    let listeners = [
        general.tls.as_ref(),
        general.cluster.listener.as_ref().map(|listener| &listener.tls),
        config.admin.tls.as_ref(),
        config.operations.tls.as_ref(),
    ];
    let keys = listeners
        .into_iter()
        .flatten()
        .map(|tls: &ServerTls| tls.private_key.clone());
    let client = general
        .cluster
        .client
        .as_ref()
        .map(|pair| pair.private_key.clone());
    let keystore = match &general.bccsp.key_store {
        Some(folder) => folder.clone(),
        None => general.local_msp_dir.join("keystore"),
    };
    let mut all: Vec<PathBuf> = keys.chain(client).chain(files_of(&keystore)).collect();
    all.sort();
    all.dedup();
    all
}

fn files_of(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    paths.filter(|path| path.is_file()).collect()
}

fn others_read(file: &Path) -> bool {
    fs::metadata(file).is_ok_and(|metadata| metadata.permissions().mode() & OTHERS_READ != 0)
}
