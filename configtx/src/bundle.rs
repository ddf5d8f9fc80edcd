//! One configuration of a channel, parsed and checked once, then only read.
//!
//! ```text
//! config block -> ConfigBlock -> Bundle::new -> structure (rules.md 8.1), MSPs, policies
//!                                    |
//!                                    `-> check_supported (8.2): can this program act on it?
//! ```
//!
//! A node holds the config in force as an `Arc<Bundle>` and swaps the pointer when a config block is written.
//! Whatever decides about a message names the bundle it decided with.

mod error;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use protos::wire::common::{Block, Config, ConfigGroup, Policy as PolicyMessage};
use protos::{ChannelId, ConfigSeq};

use crate::application_config::ApplicationConfig;
use crate::capability::ChannelCapabilities;
use crate::channel_config::ChannelConfig;
use crate::config_block::ConfigBlock;
use crate::identity::{Identity, IdentityError, MspManager};
use crate::keys;
use crate::orderer_config::OrdererConfig;
use crate::organization::{Msps, read_consortium_org};
use crate::policy::{Policy, PolicyTree};
use crate::structure::{GroupAt, StructureError};
use crate::tree::Tree;
use crate::unknown_field::UnknownField;

pub use error::{BundleError, UnsupportedCapabilities};

/// An immutable, checked configuration of one channel. Share it as an `Arc`.
#[derive(Debug)]
pub struct Bundle {
    channel_id: ChannelId,
    config: Config,
    channel: ChannelConfig,
    orderer: Arc<OrdererConfig>,
    application: Option<ApplicationConfig>,
    has_consortiums: bool,
    msps: Arc<MspManager>,
    policies: PolicyTree,
    tree: Tree,
    unknown_field: Option<UnknownField>,
}

impl Bundle {
    /// Parses and checks the config that `block` carries.
    pub fn from_block(block: &Block) -> Result<Self, BundleError> {
        Self::from_config_block(ConfigBlock::read(block)?)
    }

    /// Checks a config that was read from a block.
    pub(crate) fn from_config_block(read: ConfigBlock) -> Result<Self, BundleError> {
        let bundle = Self::new(read.channel_id, read.config)?;
        Ok(Self {
            unknown_field: read.unknown_field,
            ..bundle
        })
    }

    /// Parses and checks `config` against `docs/spec/rules.md` §8.1.
    ///
    /// Whether its capabilities are known to this program is another question:
    /// [`check_supported`](Self::check_supported).
    pub fn new(channel_id: ChannelId, config: Config) -> Result<Self, BundleError> {
        let root = config.channel_group.as_ref().ok_or(BundleError::NoChannelGroup)?;
        check_capabilities_order(root)?;
        let mut msps = Msps::default();
        let groups = Groups::read(root, &mut msps).map_err(BundleError::Structure)?;
        let level = groups.channel.capabilities.msp_level();
        let msps = msps
            .into_manager(level)
            .map_err(|source| BundleError::Structure(source.into()))?;
        let msps = Arc::new(msps);
        let policies = PolicyTree::new(root, &msps)?;
        let tree = Tree::flatten(root)?;
        Ok(Self {
            tree,
            unknown_field: None,
            msps,
            policies,
            channel_id,
            channel: groups.channel,
            orderer: Arc::new(groups.orderer),
            application: groups.application,
            has_consortiums: groups.has_consortiums,
            config,
        })
    }

    /// The channel it is for.
    pub fn channel_id(&self) -> &ChannelId {
        &self.channel_id
    }

    /// Its place in the channel's row of configs.
    pub fn sequence(&self) -> ConfigSeq {
        ConfigSeq(self.config.sequence)
    }

    /// The config it was made from.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The same laid out flat.
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// Something in the block of this config that [`config`](Self::config) lacks, since this program does not know
    /// it.
    pub fn unknown_field(&self) -> Option<&UnknownField> {
        self.unknown_field.as_ref()
    }

    /// Channel-wide settings.
    pub fn channel(&self) -> &ChannelConfig {
        &self.channel
    }

    /// Settings of the ordering service.
    pub fn orderer(&self) -> &Arc<OrdererConfig> {
        &self.orderer
    }

    /// Settings of the applications; none without such a group.
    pub fn application(&self) -> Option<&ApplicationConfig> {
        self.application.as_ref()
    }

    /// What the channel's capabilities switch.
    pub fn capabilities(&self) -> &ChannelCapabilities {
        &self.channel.capabilities
    }

    /// The MSPs of all organisations.
    pub fn msps(&self) -> &Arc<MspManager> {
        &self.msps
    }

    /// Reads the identity of a signer. That says nothing yet about whether it is valid.
    pub fn identify(&self, creator: &[u8]) -> Result<Arc<Identity>, IdentityError> {
        self.msps.identity(creator)
    }

    /// All policies.
    pub fn policies(&self) -> &PolicyTree {
        &self.policies
    }

    /// The policy at `path`, absolute or seen from the root group.
    pub fn policy(&self, path: &str) -> Option<&Arc<Policy>> {
        self.policies.get(path)
    }

    /// Whether it is the config of a system channel, which nobody serves any more.
    pub fn has_consortiums(&self) -> bool {
        self.has_consortiums
    }

    /// Checks that this program knows every capability an orderer must know (`docs/spec/rules.md` §8.2).
    pub fn check_supported(&self) -> Result<(), UnsupportedCapabilities> {
        for (group, names) in [
            (keys::ORDERER, self.orderer.capabilities.unsupported()),
            (crate::tree::ROOT, self.capabilities().unsupported()),
        ] {
            if !names.is_empty() {
                return Err(UnsupportedCapabilities {
                    group,
                    names: names.to_vec(),
                });
            }
        }
        Ok(())
    }
}

/// Channel and application may only require features once the orderer group says it knows of features.
fn check_capabilities_order(root: &ConfigGroup) -> Result<(), BundleError> {
    let has = |group: &ConfigGroup| group.values.contains_key(keys::CAPABILITIES);
    let Some(orderer) = root.groups.get(keys::ORDERER) else {
        return Ok(());
    };
    if has(orderer) {
        return Ok(());
    }
    if has(root) {
        return Err(BundleError::CapabilitiesWithoutOrderer {
            group: crate::tree::ROOT,
        });
    }
    match root.groups.get(keys::APPLICATION) {
        Some(application) if has(application) => Err(BundleError::CapabilitiesWithoutOrderer {
            group: keys::APPLICATION,
        }),
        _ => Ok(()),
    }
}

/// The typed groups of a config.
struct Groups {
    channel: ChannelConfig,
    orderer: OrdererConfig,
    application: Option<ApplicationConfig>,
    has_consortiums: bool,
}

impl Groups {
    fn read(root: &ConfigGroup, msps: &mut Msps) -> Result<Self, StructureError> {
        let root = GroupAt::root(root);
        let channel = ChannelConfig::read(&root)?;
        root.check_groups(&[keys::ORDERER, keys::APPLICATION, keys::CONSORTIUMS])?;
        let orderer = root.child(keys::ORDERER).ok_or(StructureError::NoOrdererGroup)?;
        let orderer = OrdererConfig::read(&orderer, &channel.capabilities, msps)?;
        let application = root
            .child(keys::APPLICATION)
            .map(|group| ApplicationConfig::read(&group, msps))
            .transpose()?;
        let consortiums = root.child(keys::CONSORTIUMS);
        if let Some(group) = &consortiums {
            check_consortiums(group, msps)?;
        }
        Ok(Self {
            has_consortiums: consortiums.is_some(),
            channel,
            orderer,
            application,
        })
    }
}

/// A system channel's config is parsed as far as it must be valid; nothing of it is kept.
fn check_consortiums(group: &GroupAt<'_>, msps: &mut Msps) -> Result<(), StructureError> {
    group.check_values(&[])?;
    for consortium in group.children() {
        consortium.check_values(&[keys::CHANNEL_CREATION_POLICY])?;
        consortium.value::<PolicyMessage>(keys::CHANNEL_CREATION_POLICY)?;
        for org in consortium.children() {
            read_consortium_org(&org, msps)?;
        }
    }
    Ok(())
}
