//! Where `orderer.yaml` is searched (`docs/spec/behaviour.md` §10.1).

use std::path::{Path, PathBuf};

use super::{ConfigError, Environment};

/// The folder a packaged installation uses.
const SYSTEM_FOLDER: &str = "/etc/hyperledger/fabric";

/// First `orderer.yaml` or `orderer.yml` in `$FABRIC_CFG_PATH`, the working directory, `/etc/hyperledger/fabric`.
///
/// The path comes back absolute where the working directory is known, so that what is relative to the file stays
/// put.
pub fn locate(environment: &Environment) -> Result<PathBuf, ConfigError> {
    let searched: Vec<PathBuf> = named(environment)
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

/// What to say where `file`, which was found, is not in the folder that was named for it: the next ones are searched
/// as in the reference, but whoever named a folder does not expect another file.
pub(super) fn elsewhere(file: &Path, environment: &Environment) -> Option<String> {
    let named = named(environment)?;
    let found = file.parent()?;
    if found == named || found == std::path::absolute(&named).ok()? {
        return None;
    }
    Some(format!(
        "FABRIC_CFG_PATH is {}, which has no orderer.yaml: {} is used instead",
        named.display(),
        file.display()
    ))
}

fn named(environment: &Environment) -> Option<PathBuf> {
    let path = environment.get("FABRIC_CFG_PATH")?;
    (!path.is_empty()).then(|| PathBuf::from(path))
}
