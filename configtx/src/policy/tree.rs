//! The policies of a configuration by path (`docs/spec/rules.md` §6).

use std::collections::BTreeMap;
use std::sync::Arc;

use prost::Message as _;
use protos::wire::common::policy::PolicyType;
use protos::wire::common::{
    ConfigGroup, ConfigPolicy, ImplicitMetaPolicy, Policy as WirePolicy, SignaturePolicyEnvelope,
};

use super::{ImplicitMeta, Policy, PolicyError, Rule, SignaturePolicy, SignedData};
use crate::identity::MspManager;

/// Path of the root group.
const ROOT: &str = "/Channel";

/// Every policy of a configuration, under the root and by paths relative to it.
#[derive(Debug)]
pub struct PolicyTree {
    table: Table,
}

/// Policies by their path relative to one group.
type Table = BTreeMap<String, Arc<Policy>>;

/// A policy that does not compile.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("policy {policy}: {fault}")]
pub struct PolicyTreeError {
    /// Its path.
    pub policy: String,
    /// What is wrong.
    pub fault: PolicyFault,
}

/// What keeps a policy from compiling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyFault {
    /// The entry holds no policy.
    #[error("is empty")]
    Missing,
    /// Neither a signature nor an implicit meta policy.
    #[error("has type {found}; only 1 (signature) and 3 (implicit meta) are known")]
    Type {
        /// As given.
        found: i32,
    },
    /// Its value does not decode.
    #[error("does not decode")]
    Malformed,
    /// Only version 0 exists.
    #[error("has version {found}, only 0 is known")]
    Version {
        /// As given.
        found: i32,
    },
    /// A rule, at the top or below, has no alternative.
    #[error("has an empty rule")]
    NoRule,
    /// A rule names a principal that is not there.
    #[error("names principal {index} of {principals}")]
    Index {
        /// As given.
        index: i32,
        /// How many there are.
        principals: usize,
    },
}

impl PolicyTree {
    /// Compiles every policy in and below `root`, the channel group.
    pub fn new(root: &ConfigGroup, msps: &Arc<MspManager>) -> Result<Self, PolicyTreeError> {
        compile_group(ROOT, root, msps).map(|table| Self { table })
    }

    /// The policy of this name, seen from the root: `/Channel/Orderer/Admins` or `Orderer/Admins`.
    pub fn get(&self, name: &str) -> Option<&Arc<Policy>> {
        find(&self.table, ROOT, name)
    }

    /// The policy that `name` means in the group at `group` (such as `/Channel/Orderer`): absolute names start
    /// at the root, relative ones at the group.
    pub fn resolve(&self, group: &str, name: &str) -> Option<&Arc<Policy>> {
        if name.is_empty() || name.starts_with('/') {
            return self.get(name);
        }
        self.get(&format!("{group}/{name}"))
    }

    /// Evaluates the policy of this name; an unknown one says no.
    pub fn evaluate(&self, name: &str, signed: &[SignedData<'_>]) -> Result<(), PolicyError> {
        let unknown = || PolicyError::Unknown {
            policy: name.to_owned(),
        };
        self.get(name).ok_or_else(unknown)?.evaluate(signed)
    }

    /// Every policy.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Policy>> {
        self.table.values()
    }

    /// Implicit meta policies whose rule is none of ANY, ALL, MAJORITY. They must be refused at intake, and
    /// taken as they are in a committed block (`docs/spec/rules.md` §9).
    pub fn with_unknown_rule(&self) -> impl Iterator<Item = &Arc<Policy>> {
        self.iter()
            .filter(|policy| matches!(&policy.rule, Rule::ImplicitMeta(rule) if rule.is_unknown()))
    }
}

/// Looks `name` up in the table of the group at `path`. Absolute names must begin with that path.
fn find<'a>(table: &'a Table, path: &str, name: &str) -> Option<&'a Arc<Policy>> {
    let relative = match name.strip_prefix('/') {
        None => name,
        Some(_) => name.strip_prefix(path)?.strip_prefix('/')?,
    };
    table.get(relative)
}

/// The table of one group: its own policies and, under relative paths, those of all groups below.
fn compile_group(path: &str, group: &ConfigGroup, msps: &Arc<MspManager>) -> Result<Table, PolicyTreeError> {
    let mut sub_groups = Vec::with_capacity(group.groups.len());
    for (name, sub_group) in &group.groups {
        let sub_path = format!("{path}/{name}");
        sub_groups.push((name, compile_group(&sub_path, sub_group, msps)?, sub_path));
    }
    let in_sub_groups = |name: &str| {
        sub_groups
            .iter()
            .map(|(_, table, path)| find(table, path, name).cloned())
            .collect::<Vec<_>>()
    };
    let mut table = Table::new();
    for (name, policy) in &group.policies {
        let policy_path = format!("{path}/{name}");
        let rule = compile(policy, msps, in_sub_groups).map_err(|fault| PolicyTreeError {
            policy: policy_path.clone(),
            fault,
        })?;
        table.insert(
            name.clone(),
            Arc::new(Policy {
                path: policy_path,
                msps: msps.clone(),
                rule,
            }),
        );
    }
    for (group, policies, _) in sub_groups {
        table.extend(
            policies
                .into_iter()
                .map(|(name, policy)| (format!("{group}/{name}"), policy)),
        );
    }
    Ok(table)
}

fn compile(
    policy: &ConfigPolicy,
    msps: &MspManager,
    in_sub_groups: impl Fn(&str) -> Vec<Option<Arc<Policy>>>,
) -> Result<Rule, PolicyFault> {
    let WirePolicy { r#type, value } = policy.policy.as_ref().ok_or(PolicyFault::Missing)?;
    match PolicyType::try_from(*r#type) {
        Ok(PolicyType::Signature) => {
            let envelope =
                SignaturePolicyEnvelope::decode(value.clone()).map_err(|_| PolicyFault::Malformed)?;
            SignaturePolicy::compile(&envelope, msps).map(Rule::Signature)
        }
        Ok(PolicyType::ImplicitMeta) => {
            let meta = ImplicitMetaPolicy::decode(value.clone()).map_err(|_| PolicyFault::Malformed)?;
            Ok(Rule::ImplicitMeta(ImplicitMeta::new(
                &meta,
                in_sub_groups(&meta.sub_policy),
            )))
        }
        _ => Err(PolicyFault::Type { found: *r#type }),
    }
}
