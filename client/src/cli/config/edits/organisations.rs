//! Tasks about organisations and their MSPs.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use protos::wire::common::{Config, ConfigGroup};

use super::super::super::Failure;
use super::super::file;
use super::Edit;
use crate::config_edit::msp;
use crate::config_edit::organisation::{self, Part};
use crate::connection::Address;
use crate::genesis::{self, GenesisOrg};
use crate::msp_folder::MspFolder;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum PartArg {
    /// It runs orderers.
    Orderer,
    /// It uses the channel.
    Application,
}

impl From<PartArg> for Part {
    fn from(part: PartArg) -> Self {
        match part {
            PartArg::Orderer => Self::Orderer,
            PartArg::Application => Self::Application,
        }
    }
}

#[derive(Debug, Args)]
pub(in crate::cli::config) struct AddOrg {
    /// What it does on the channel.
    part: PartArg,
    /// Its name in the config; by habit its MSP id.
    name: String,
    /// Its MSP folder.
    #[arg(long, value_name = "DIR", required_unless_present = "org_json")]
    org_msp: Option<PathBuf>,
    /// Its MSP id; its name if not given.
    #[arg(long, value_name = "ID")]
    org_msp_id: Option<String>,
    /// Its group as JSON, such as configtxgen -printOrg prints it, in place of an MSP folder and the usual policies.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["org_msp", "org_msp_id", "endpoint", "anchor_peer"])]
    org_json: Option<PathBuf>,
    /// Where its orderers are reached. May be repeated.
    #[arg(long, value_name = "HOST:PORT")]
    endpoint: Vec<Address>,
    /// Anchor peer of an application organisation. May be repeated.
    #[arg(long, value_name = "HOST:PORT")]
    anchor_peer: Vec<Address>,
}

impl Edit for AddOrg {
    fn apply(&self, config: Config) -> Result<Config, Failure> {
        let part = self.part.into();
        self.refuse_misplaced()?;
        let group = self.group(part)?;
        let config = organisation::add_organisation(config, part, &self.name, group)?;
        if self.anchor_peer.is_empty() {
            return Ok(config);
        }
        Ok(organisation::set_anchor_peers(
            config,
            &self.name,
            &self.anchor_peer,
        )?)
    }
}

impl AddOrg {
    fn refuse_misplaced(&self) -> Result<(), Failure> {
        match self.part {
            PartArg::Orderer if !self.anchor_peer.is_empty() => {
                Err(Failure::usage("--anchor-peer is for application organisations"))
            }
            PartArg::Application if !self.endpoint.is_empty() => {
                Err(Failure::usage("--endpoint is for orderer organisations"))
            }
            _ => Ok(()),
        }
    }

    fn group(&self, part: Part) -> Result<ConfigGroup, Failure> {
        if let Some(path) = &self.org_json {
            return file::organisation(path, part);
        }
        let Some(msp_folder) = self.org_msp.clone() else {
            return Err(Failure::usage("--org-msp is missing"));
        };
        let org = GenesisOrg {
            name: self.name.clone(),
            msp_id: self.org_msp_id.clone().unwrap_or_else(|| self.name.clone()),
            msp_folder,
            endpoints: self.endpoint.clone(),
        };
        let mut warnings = Vec::new();
        let group = genesis::organisation_group(part, &org, &mut warnings);
        tell(&warnings);
        Ok(group?)
    }
}

/// What an operator should hear about the files that were read.
fn tell(warnings: &[String]) {
    for warning in warnings {
        eprintln!("warning: {warning}");
    }
}

#[derive(Debug, Args)]
pub(in crate::cli::config) struct RemoveOrg {
    /// Out of which part of the channel.
    part: PartArg,
    /// Its name in the config.
    name: String,
}

impl Edit for RemoveOrg {
    fn apply(&self, config: Config) -> Result<Config, Failure> {
        Ok(organisation::remove_organisation(
            config,
            self.part.into(),
            &self.name,
        )?)
    }
}

#[derive(Debug, Args)]
pub(in crate::cli::config) struct SetOrgMsp {
    /// Its name in the config.
    name: String,
    /// Its new MSP folder.
    #[arg(long, value_name = "DIR")]
    org_msp: PathBuf,
    /// Its MSP id, which cannot change; its name if not given.
    #[arg(long, value_name = "ID")]
    org_msp_id: Option<String>,
}

impl Edit for SetOrgMsp {
    fn apply(&self, config: Config) -> Result<Config, Failure> {
        let id = self.org_msp_id.as_ref().unwrap_or(&self.name);
        let folder = MspFolder::read(&self.org_msp, id).map_err(Failure::new)?;
        tell(&folder.warnings);
        Ok(msp::set_msp(config, &self.name, &folder.settings)?)
    }
}

#[derive(Debug, Args)]
pub(in crate::cli::config) struct Revoke {
    /// The organisation's name in the config.
    name: String,
    /// Certificate revocation list of one of its authorities (PEM or DER).
    #[arg(long, value_name = "FILE")]
    crl: PathBuf,
}

impl Edit for Revoke {
    fn apply(&self, config: Config) -> Result<Config, Failure> {
        Ok(msp::revoke(config, &self.name, &file::read(&self.crl)?)?)
    }
}

#[derive(Debug, Args)]
pub(in crate::cli::config) struct SetAnchorPeers {
    /// The organisation's name in the config.
    name: String,
    /// All its anchor peers; none takes them away.
    #[arg(value_name = "HOST:PORT")]
    peers: Vec<Address>,
}

impl Edit for SetAnchorPeers {
    fn apply(&self, config: Config) -> Result<Config, Failure> {
        Ok(organisation::set_anchor_peers(config, &self.name, &self.peers)?)
    }
}

#[derive(Debug, Args)]
pub(in crate::cli::config) struct SetEndpoints {
    /// The organisation's name in the config.
    name: String,
    /// All its endpoints.
    #[arg(value_name = "HOST:PORT", required = true)]
    addresses: Vec<Address>,
}

impl Edit for SetEndpoints {
    fn apply(&self, config: Config) -> Result<Config, Failure> {
        Ok(organisation::set_endpoints(config, &self.name, &self.addresses)?)
    }
}
