//! Where configtx.yaml is looked for.

use std::path::{Path, PathBuf};

use super::ConfigtxError;

const NAMES: [&str; 2] = ["configtx.yaml", "configtx.yml"];
const SYSTEM_FOLDER: &str = "/etc/hyperledger/fabric";

/// What is known about the file's place.
#[derive(Clone, Copy, Debug)]
pub enum Source<'a> {
    /// This file.
    File(&'a Path),
    /// In this folder, and nowhere else.
    Folder(&'a Path),
    /// In the folder that `FABRIC_CFG_PATH` names, if it is set; else in the folder of the process; else in
    /// `/etc/hyperledger/fabric`.
    Anywhere {
        /// The value of `FABRIC_CFG_PATH`.
        fabric_cfg_path: Option<&'a Path>,
    },
}

/// The file to read.
pub fn find(source: Source<'_>) -> Result<PathBuf, ConfigtxError> {
    let folders = match source {
        Source::File(file) => return Ok(file.to_owned()),
        Source::Folder(folder) => vec![folder],
        Source::Anywhere { fabric_cfg_path } => {
            let fixed = [Path::new(""), Path::new(SYSTEM_FOLDER)];
            fabric_cfg_path.into_iter().chain(fixed).collect()
        }
    };
    let files = folders
        .iter()
        .flat_map(|folder| NAMES.map(|name| folder.join(name)));
    let mut present = files.filter(|file| file.is_file());
    present.next().ok_or_else(|| ConfigtxError::NotFound {
        searched: folders.iter().map(|folder| folder.to_path_buf()).collect(),
    })
}
