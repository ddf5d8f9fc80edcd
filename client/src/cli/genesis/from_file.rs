//! A channel or an organisation from configtx.yaml, and blocks shown.

use std::path::{Path, PathBuf};

use crate::cli::{Failure, decode, files, output};
use crate::configtx_yaml::{ConfigtxFile, Source, find};
use crate::genesis::ReadProfile;
use crate::json;

use super::flags;

/// The channel from configtx.yaml.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "From configtx.yaml")]
pub(super) struct FileArgs {
    /// The profile that describes the channel.
    #[arg(long, value_name = "NAME", conflicts_with_all = flags::IDS)]
    profile: Option<String>,
    /// The file.
    #[arg(long, value_name = "FILE", conflicts_with = "config_path")]
    config: Option<PathBuf>,
    /// The only folder to look for configtx.yaml or configtx.yml.
    #[arg(long, value_name = "DIR")]
    config_path: Option<PathBuf>,
    /// Prints an organisation of the file as JSON, and makes no block.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["channel", "output", "profile"], conflicts_with_all = flags::IDS)]
    pub(super) print_org: Option<String>,
}

impl FileArgs {
    /// The profile that was asked for, and what errors about it begin with.
    pub(super) fn profile(&self) -> Result<Option<(ReadProfile, String)>, Failure> {
        let Some(name) = &self.profile else {
            return match (&self.config, &self.config_path) {
                (None, None) => Ok(None),
                _ => Err(Failure::usage("which --profile of the file should it be?")),
            };
        };
        let file = self.read()?;
        let about = format!("{}: profile {name}: ", file.file().display());
        Ok(Some((file.profile(name)?, about)))
    }

    pub(super) fn print(&self, organization: &str) -> Result<(), Failure> {
        let described = self.read()?.organization(organization)?;
        output::warn(&described.warnings);
        let text = json::group(&described.group, described.kind);
        let text = text.map_err(|error| Failure::new(format!("organisation {organization}: {error}")))?;
        files::write_stdout(text.as_bytes())
    }

    fn read(&self) -> Result<ConfigtxFile, Failure> {
        let fabric_cfg_path = std::env::var_os("FABRIC_CFG_PATH").filter(|value| !value.is_empty());
        let source = match (&self.config, &self.config_path) {
            (Some(file), _) => Source::File(file),
            (None, Some(folder)) => Source::Folder(folder),
            (None, None) => Source::Anywhere {
                fabric_cfg_path: fabric_cfg_path.as_deref().map(Path::new),
            },
        };
        Ok(ConfigtxFile::read(&find(source)?, &|name| {
            std::env::var(name).ok()
        })?)
    }
}

/// Prints a block file as JSON, as `ordain block` does.
pub(super) fn inspect(block: &Path) -> Result<(), Failure> {
    let text = decode::decoded("common.Block", &files::read(block)?, false)?;
    files::write_stdout(text.as_bytes())
}
