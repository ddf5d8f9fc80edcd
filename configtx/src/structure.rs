//! Reading groups of the config tree: which keys may stand where, and values as messages.
//!
//! Source: `docs/spec/rules.md` §5 (the table and "Rules of the tree") and §8.1.

use prost::Message;
use protos::wire::common::ConfigGroup;

use crate::duration::DurationError;
use crate::identity::MspManagerError;

/// What is wrong with the groups and values of a config, policies aside.
#[derive(Debug, thiserror::Error)]
pub enum StructureError {
    /// A sub-group that this place does not know, or any below an organisation.
    #[error("group {path} is not allowed")]
    UnexpectedGroup {
        /// Where it stands.
        path: String,
    },
    /// A value whose key its group does not know.
    #[error("unexpected key {key} among the values of {group}")]
    UnexpectedKey {
        /// The group that holds it.
        group: String,
        /// Its key.
        key: String,
    },
    /// A value that is not the message its key stands for.
    #[error("value {path} does not decode: {source}")]
    Decode {
        /// Where it stands.
        path: String,
        /// Where decoding failed.
        source: prost::DecodeError,
    },
    /// A hashing algorithm other than SHA256 and `SHA3_256`.
    #[error("unknown hashing algorithm {name:?}")]
    HashingAlgorithm {
        /// As configured.
        name: String,
    },
    /// A block data hashing width other than 4294967295.
    #[error("block data hashing width is {width}, only {} is supported", u32::MAX)]
    HashingWidth {
        /// As configured.
        width: u32,
    },
    /// No channel-wide address, where capabilities demand one.
    #[error("no orderer addresses are set for the channel")]
    NoOrdererAddresses,
    /// Channel-wide addresses, where capabilities forbid them.
    #[error("global OrdererAddresses are not allowed with V3_0 capability, use org specific addresses only")]
    GlobalAddresses,
    /// No group `/Channel/Orderer`.
    #[error("config has no Orderer group")]
    NoOrdererGroup,
    /// A part of `BatchSize` is 0.
    #[error("batch size {field} must be greater than 0")]
    BatchSizeZero {
        /// Name of the part.
        field: &'static str,
    },
    /// The preferred size is above the limit.
    #[error("preferred batch size {preferred} is above the absolute maximum {absolute}")]
    BatchSizeOrder {
        /// `preferred_max_bytes`.
        preferred: u32,
        /// `absolute_max_bytes`.
        absolute: u32,
    },
    /// A batch timeout that is no duration.
    #[error("batch timeout: {0}")]
    BatchTimeout(#[from] DurationError),
    /// A batch timeout that is not positive.
    #[error("batch timeout {timeout} must be greater than 0")]
    BatchTimeoutNotPositive {
        /// As configured.
        timeout: String,
    },
    /// An orderer organisation has endpoints before capabilities allow it.
    #[error("endpoints of org {org} need channel capability V1_4_2 or later")]
    EndpointsTooEarly {
        /// Name of the organisation's group.
        org: String,
    },
    /// An orderer organisation has no endpoint, where capabilities demand one.
    #[error("endpoints of org {org} are missing")]
    EndpointsMissing {
        /// Name of the organisation's group.
        org: String,
    },
    /// The value `ACLs` without a capability for it.
    #[error("ACLs need application capability V1_2 or later")]
    AclsTooEarly,
    /// An organisation's MSP has no name.
    #[error("msp of {org} has an empty MSP ID")]
    MspIdEmpty {
        /// Path of the organisation's group.
        org: String,
    },
    /// An organisation's MSP cannot be set up, or two organisations define one MSP ID differently.
    #[error(transparent)]
    Msp(#[from] MspManagerError),
}

/// A group and the path it stands at.
#[derive(Clone, Copy)]
pub(crate) struct GroupAt<'a> {
    group: &'a ConfigGroup,
    parent: Option<&'a GroupAt<'a>>,
    name: &'a str,
}

impl<'a> GroupAt<'a> {
    pub(crate) fn root(group: &'a ConfigGroup) -> Self {
        Self {
            group,
            parent: None,
            name: crate::tree::ROOT,
        }
    }

    /// Every sub-group with its name.
    pub(crate) fn children(&'a self) -> impl Iterator<Item = Self> {
        self.group.groups.iter().map(move |(name, group)| Self {
            group,
            parent: Some(self),
            name,
        })
    }

    pub(crate) fn child(&'a self, name: &str) -> Option<Self> {
        self.children().find(|child| child.name == name)
    }

    pub(crate) fn name(&self) -> &'a str {
        self.name
    }

    /// Absolute, like `/Channel/Orderer/Org`.
    pub(crate) fn path(&self) -> String {
        let above = self.parent.map(GroupAt::path).unwrap_or_default();
        format!("{above}/{}", self.name)
    }

    pub(crate) fn has_value(&self, key: &str) -> bool {
        self.group.values.contains_key(key)
    }

    /// Refuses values outside `known`.
    pub(crate) fn check_values(&self, known: &[&str]) -> Result<(), StructureError> {
        let mut keys = self.group.values.keys();
        match keys.find(|key| !known.contains(&key.as_str())) {
            None => Ok(()),
            Some(key) => Err(StructureError::UnexpectedKey {
                group: self.path(),
                key: key.clone(),
            }),
        }
    }

    /// Refuses sub-groups outside `known`.
    pub(crate) fn check_groups(&self, known: &[&str]) -> Result<(), StructureError> {
        let mut children = self.children();
        match children.find(|child| !known.contains(&child.name)) {
            None => Ok(()),
            Some(child) => Err(StructureError::UnexpectedGroup { path: child.path() }),
        }
    }

    /// Reads a value; a missing one is its empty message.
    pub(crate) fn value<M: Message + Default>(&self, key: &str) -> Result<M, StructureError> {
        let Some(found) = self.group.values.get(key) else {
            return Ok(M::default());
        };
        M::decode(found.value.clone()).map_err(|source| StructureError::Decode {
            path: format!("{}/{key}", self.path()),
            source,
        })
    }
}
