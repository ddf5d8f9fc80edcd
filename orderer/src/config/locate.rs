//! Where `orderer.yaml` is searched (`docs/spec/behaviour.md` §10.1).

use std::path::PathBuf;

use super::{ConfigError, Environment};

/// The folder a packaged installation uses.
const SYSTEM_FOLDER: &str = "/etc/hyperledger/fabric";

/// First `orderer.yaml` or `orderer.yml` in `$FABRIC_CFG_PATH`, the working directory, `/etc/hyperledger/fabric`.
///
/// The path comes back absolute where the working directory is known, so that what is relative to the file stays
/// put.
pub fn locate(environment: &Environment) -> Result<PathBuf, ConfigError> {
    let named = environment.get("FABRIC_CFG_PATH").filter(|path| !path.is_empty());
    let searched: Vec<PathBuf> = named
        .map(PathBuf::from)
        .into_iter()
        .chain([PathBuf::from("."), PathBuf::from(SYSTEM_FOLDER)])
        .collect();
    let found = searched
        .iter()
        .flat_map(|folder| [folder.join("orderer.yaml"), folder.join("orderer.yml")])
        .find(|file| file.is_file());
    match found {
        Some(file) => Ok(std::path::absolute(&file).unwrap_or(file)),
        None => Err(ConfigError::NotFound { searched }),
    }
}
