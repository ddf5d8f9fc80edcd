//! Channel configuration: tree, policies, identities and the Bundle.
//!
//! | module | holds |
//! |---|---|
//! | [`bundle`] | [`Bundle`]: one immutable config, parsed and checked |
//! | [`channel_config`], [`orderer_config`], [`application_config`], [`organization`] | its typed parts |
//! | [`capability`] | which capability switches which behaviour |
//! | [`consensus_metadata`] | consenters and options out of a consensus type |
//! | [`tree`] | config groups as a flat map path -> element, and back |
//! | [`update`] | config updates: delta, versions, policies, the config they lead to |
//! | [`validator`] | a new config, proposed or found in a committed block |
//! | [`explain`] | an update in words: what it changes, who must sign, who has |
//! | [`unknown_field`] | what a config or update holds and this program would lose |
//! | [`severity`] | how strictly: intake or commit |
//! | [`transition`], [`maintenance`] | a new config against the one before it |
//! | [`encode`] | configs in the reference's bytes |
//! | [`bft`] | quorum, block policy and options of a BFT channel |
//! | [`block_verify`] | a block against its predecessor and the config in force |
//! | [`join`] | may a node join a channel with this block |
//! | [`compute_update`] | the update that turns one config into another |
//! | [`genesis`] | profile -> genesis block |
//! | [`identity`] | keys, certificates, MSPs: who signed, and is that identity valid |
//! | [`policy`] | policies by path, evaluated over signatures |
//! | [`policy_rule`] | policies as operators write them |
//! | [`keys`] | names with a fixed meaning |
//! | [`config_block`] | the config out of a config block |
//! | [`duration`] | durations as the config writes them |
//!
//! Everything is a function of its arguments. Not here: files, sockets, clocks, random numbers; what the
//! metadata of a consensus means beyond its own fields.

pub mod application_config;
pub mod bft;
pub mod block_verify;
pub mod bundle;
pub mod capability;
pub mod channel_config;
pub mod compute_update;
pub mod config_block;
pub mod consensus_metadata;
pub mod duration;
pub mod encode;
pub mod explain;
pub mod genesis;
pub mod identity;
pub mod join;
pub mod keys;
pub mod maintenance;
pub mod orderer_config;
pub mod organization;
pub mod policy;
pub mod policy_rule;
pub mod severity;
mod structure;
#[cfg(test)]
mod testing;
pub mod transition;
pub mod tree;
pub mod unknown_field;
pub mod update;
pub mod validator;

pub use bundle::Bundle;
pub use orderer_config::OrdererConfig;
pub use severity::Severity;
pub use structure::StructureError;
