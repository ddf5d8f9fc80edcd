//! This node's own certificate and key, out of its MSP folder.
//!
//! The certificate is the first file of `signcerts/`; the key is whichever file of `keystore/` belongs to it, under
//! any name (`docs/spec/dropin.md` §1.2). An expired certificate still signs; `expiry` tells of it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use configtx::identity::{SigningIdentity, SigningIdentityError};

use crate::config::General;

/// Why there is no signing identity.
#[derive(Debug, thiserror::Error)]
pub enum LocalMspError {
    /// A folder or file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// No file in a folder that must have one.
    #[error("no file in {}", folder.display())]
    Empty {
        /// The folder.
        folder: PathBuf,
    },
    /// No key belongs to the certificate.
    #[error("no private key in {} belongs to the certificate {}: {source}", keystore.display(), certificate.display())]
    NoKey {
        /// The folder of keys.
        keystore: PathBuf,
        /// The certificate's file.
        certificate: PathBuf,
        /// What was wrong with the last key tried.
        source: SigningIdentityError,
    },
}

/// Reads the identity that `General.LocalMSPDir` and `General.LocalMSPID` name.
pub fn load(general: &General) -> Result<SigningIdentity, LocalMspError> {
    let certificates = files(&general.local_msp_dir.join("signcerts"))?;
    let keystore = match &general.bccsp.key_store {
        Some(folder) => folder.clone(),
        None => general.local_msp_dir.join("keystore"),
    };
    let certificate = &certificates[0];
    let pem = read(certificate)?;
    let mut refused = None;
    for key in files(&keystore)? {
        match SigningIdentity::new(&general.local_msp_id, &pem, &read(&key)?) {
            Ok(identity) => return Ok(identity),
            Err(error) => refused = Some(error),
        }
    }
    match refused {
        Some(source) => Err(LocalMspError::NoKey {
            keystore,
            certificate: certificate.clone(),
            source,
        }),
        None => Err(LocalMspError::Empty { folder: keystore }),
    }
}

/// The files of a folder by name, at least one.
fn files(folder: &Path) -> Result<Vec<PathBuf>, LocalMspError> {
    let unreadable = |source| LocalMspError::Unreadable {
        path: folder.to_owned(),
        source,
    };
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    if files.is_empty() {
        return Err(LocalMspError::Empty {
            folder: folder.to_owned(),
        });
    }
    Ok(files)
}

fn read(path: &Path) -> Result<String, LocalMspError> {
    fs::read_to_string(path).map_err(|source| LocalMspError::Unreadable {
        path: path.to_owned(),
        source,
    })
}
