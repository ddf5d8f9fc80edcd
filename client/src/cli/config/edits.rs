//! The arguments of each task, and the edit they ask for.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, ValueEnum};
use configtx::policy_rule;
use protos::wire::common::{Config, ConfigGroup, Policy};

use super::super::Failure;
use super::super::genesis::duration;
use super::file;
use crate::config_edit::batch::{BatchChange, set_batch};
use crate::config_edit::consenter::{self, TlsCertificates, TlsChange};
use crate::config_edit::organisation::{self, Part};
use crate::config_edit::settings::{CapabilityGroup, set_capabilities, set_maintenance};
use crate::config_edit::{msp, policy};
use crate::connection::Address;
use crate::genesis::{self, GenesisOrg};
use crate::msp_folder::MspFolder;

/// One change to a config.
pub(super) trait Edit: Args {
    /// Reads the files that the arguments name, and makes the change.
    fn apply(&self, config: Config) -> Result<Config, Failure>;
}

#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
pub(super) struct SetBatch {
    /// Envelopes in a block.
    #[arg(long, value_name = "N")]
    max_messages: Option<u32>,
    /// Bytes that no envelope may exceed.
    #[arg(long, value_name = "BYTES")]
    absolute_bytes: Option<u32>,
    /// Bytes that a block should stay below.
    #[arg(long, value_name = "BYTES")]
    preferred_bytes: Option<u32>,
    /// How long a block's first envelope waits for more, such as 500ms or 2s.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    timeout: Option<Duration>,
}

impl Edit for SetBatch {
    fn apply(&self, config: Config) -> Result<Config, Failure> {
        let change = BatchChange {
            max_message_count: self.max_messages,
            absolute_max_bytes: self.absolute_bytes,
            preferred_max_bytes: self.preferred_bytes,
            timeout: self.timeout,
        };
        Ok(set_batch(config, &change)?)
    }
}

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
pub(super) struct AddOrg {
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
pub(super) struct RemoveOrg {
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
pub(super) struct SetOrgMsp {
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
pub(super) struct Revoke {
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
pub(super) struct SetAnchorPeers {
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
pub(super) struct SetEndpoints {
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

/// TLS certificates of a consenter.
#[derive(Debug, Args)]
struct CertificateArgs {
    /// TLS certificate (PEM) that it shows as client and as server.
    #[arg(long = "tls-cert", value_name = "FILE", conflicts_with_all = ["client", "server"])]
    both: Option<PathBuf>,
    /// The one that it shows as a client.
    #[arg(long = "client-tls-cert", value_name = "FILE")]
    client: Option<PathBuf>,
    /// The one that it shows as a server.
    #[arg(long = "server-tls-cert", value_name = "FILE")]
    server: Option<PathBuf>,
}

impl CertificateArgs {
    fn read(&self) -> Result<TlsChange, Failure> {
        let read = |own: &Option<PathBuf>| {
            let path: Option<&Path> = own.as_deref().or(self.both.as_deref());
            path.map(file::read).transpose()
        };
        Ok(TlsChange {
            client: read(&self.client)?,
            server: read(&self.server)?,
        })
    }

    fn read_some(&self) -> Result<TlsChange, Failure> {
        let read = self.read()?;
        if read == TlsChange::default() {
            return Err(Failure::usage("no certificate is given").hint("name it with --tls-cert FILE"));
        }
        Ok(read)
    }

    fn read_both(&self) -> Result<TlsCertificates, Failure> {
        let missing = |what: &str| {
            Failure::usage(format!("the consenter's {what} certificate is missing"))
                .hint("one certificate for both ends is named with --tls-cert FILE")
        };
        let TlsChange { client, server } = self.read()?;
        Ok(TlsCertificates {
            client: client.ok_or_else(|| missing("client"))?,
            server: server.ok_or_else(|| missing("server"))?,
        })
    }
}

#[derive(Debug, Args)]
pub(super) struct AddConsenter {
    /// Where the other consenters reach it.
    #[arg(value_name = "HOST:PORT")]
    address: Address,
    #[command(flatten)]
    certificates: CertificateArgs,
}

impl Edit for AddConsenter {
    fn apply(&self, config: Config) -> Result<Config, Failure> {
        let certificates = self.certificates.read_both()?;
        Ok(consenter::add_consenter(config, &self.address, &certificates)?)
    }
}

#[derive(Debug, Args)]
pub(super) struct RemoveConsenter {
    /// Its address in the config.
    #[arg(value_name = "HOST:PORT")]
    address: Address,
}

impl Edit for RemoveConsenter {
    fn apply(&self, config: Config) -> Result<Config, Failure> {
        Ok(consenter::remove_consenter(config, &self.address)?)
    }
}

#[derive(Debug, Args)]
pub(super) struct ReplaceConsenter {
    /// Its address in the config.
    #[arg(value_name = "HOST:PORT")]
    old: Address,
    /// Where the other consenters reach the new one.
    #[arg(value_name = "NEW-HOST:PORT")]
    new: Address,
    #[command(flatten)]
    certificates: CertificateArgs,
}

impl Edit for ReplaceConsenter {
    fn apply(&self, config: Config) -> Result<Config, Failure> {
        let certificates = self.certificates.read()?;
        Ok(consenter::replace_consenter(
            config,
            &self.old,
            &self.new,
            &certificates,
        )?)
    }
}

#[derive(Debug, Args)]
pub(super) struct RotateConsenterCert {
    /// Its address in the config.
    #[arg(value_name = "HOST:PORT")]
    address: Address,
    #[command(flatten)]
    certificates: CertificateArgs,
}

impl Edit for RotateConsenterCert {
    fn apply(&self, config: Config) -> Result<Config, Failure> {
        let certificates = self.certificates.read_some()?;
        Ok(consenter::rotate_certificates(
            config,
            &self.address,
            &certificates,
        )?)
    }
}

#[derive(Debug, Args)]
pub(super) struct SetPolicy {
    /// Path of the policy, such as /Channel/Application/Writers.
    path: String,
    /// The rule, such as "MAJORITY Admins" or "OR('Org1MSP.admin', 'Org2MSP.admin')".
    #[arg(required_unless_present = "remove")]
    rule: Option<String>,
    /// Takes the policy away.
    #[arg(long, conflicts_with = "rule")]
    remove: bool,
}

impl Edit for SetPolicy {
    fn apply(&self, config: Config) -> Result<Config, Failure> {
        Ok(match &self.rule {
            Some(rule) => policy::set_policy(config, &self.path, parse(rule)?)?,
            None => policy::remove_policy(config, &self.path)?,
        })
    }
}

/// A rule tells its kind by its first word.
fn parse(rule: &str) -> Result<Policy, Failure> {
    let first = rule.split(' ').next().unwrap_or_default();
    let kind = match first {
        "ANY" | "ALL" | "MAJORITY" => "ImplicitMeta",
        _ => "Signature",
    };
    policy_rule::parse_policy(kind, rule).map_err(Failure::usage)
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum CapabilityArg {
    /// What everybody on the channel must know.
    Channel,
    /// What its orderers must know.
    Orderer,
    /// What its peers must know.
    Application,
}

#[derive(Debug, Args)]
pub(super) struct SetCapability {
    /// Whose.
    group: CapabilityArg,
    /// All that it shall require.
    #[arg(required = true)]
    names: Vec<String>,
}

impl Edit for SetCapability {
    fn apply(&self, config: Config) -> Result<Config, Failure> {
        let group = match self.group {
            CapabilityArg::Channel => CapabilityGroup::Channel,
            CapabilityArg::Orderer => CapabilityGroup::Orderer,
            CapabilityArg::Application => CapabilityGroup::Application,
        };
        let names: BTreeSet<_> = self.names.iter().cloned().collect();
        Ok(set_capabilities(config, group, &names)?)
    }
}

#[derive(Debug, Args)]
pub(super) struct SetAcl {
    /// The resource, such as event/Block.
    resource: String,
    /// Path of the policy that guards it.
    #[arg(required_unless_present = "remove")]
    policy: Option<String>,
    /// Leaves the resource to what is the default.
    #[arg(long, conflicts_with = "policy")]
    remove: bool,
}

impl Edit for SetAcl {
    fn apply(&self, config: Config) -> Result<Config, Failure> {
        Ok(policy::set_acl(config, &self.resource, self.policy.as_deref())?)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Switch {
    /// Only config updates, by the orderers' organisations.
    On,
    /// Everything is let in.
    Off,
}

#[derive(Debug, Args)]
pub(super) struct Maintenance {
    /// On or off.
    state: Switch,
}

impl Edit for Maintenance {
    fn apply(&self, config: Config) -> Result<Config, Failure> {
        Ok(set_maintenance(config, self.state == Switch::On)?)
    }
}
