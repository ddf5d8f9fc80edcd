//! The arguments of each task, and the edit they ask for.

mod consenters;
mod organisations;

use std::collections::BTreeSet;
use std::time::Duration;

use clap::{Args, ValueEnum};
use configtx::policy_rule;
use protos::wire::common::{Config, Policy};

use super::super::Failure;
use super::super::genesis::duration;
use crate::config_edit::batch::{BatchChange, set_batch};
use crate::config_edit::policy;
use crate::config_edit::settings::{CapabilityGroup, set_capabilities, set_maintenance};

pub(super) use consenters::{AddConsenter, RemoveConsenter, ReplaceConsenter, RotateConsenterCert};
pub(super) use organisations::{AddOrg, RemoveOrg, Revoke, SetAnchorPeers, SetEndpoints, SetOrgMsp};

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
