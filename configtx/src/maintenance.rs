//! Maintenance mode: how a channel enters and leaves it, and how it changes its consensus type meanwhile.
//!
//! ```text
//! NORMAL etcdraft -> MAINTENANCE etcdraft -> MAINTENANCE BFT -> NORMAL BFT
//! ```
//!
//! Each arrow is one update. Source: `docs/spec/rules.md` §8.4. Tools compare the first words of some texts
//! (`docs/spec/dropin.md` §3); what follows them is ours.

use protos::wire::common::Consenter as BftConsenter;
use protos::wire::etcdraft::Consenter as RaftConsenter;

use crate::Bundle;
use crate::bft::{self, BftOptionsError};
use crate::consensus_metadata::{BFT, ConsensusMetadataError, RaftMetadata};
use crate::keys::{CONSENSUS_TYPE, ORDERER};
use crate::orderer_config::{ConsensusState, OrdererConfig};
use crate::severity::Severity;
use crate::tree::{Content, Key, Members, ROOT};
use crate::update::Update;

/// A step that does not lead along that way.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MaintenanceError {
    /// Another state or type, where capabilities do not know of maintenance.
    #[error("ConsensusType.{what} may not change without orderer capability V1_4_2 or later")]
    NoCapability {
        /// `State` or `Type`.
        what: &'static str,
    },
    /// Something changes together with the state.
    #[error(
        "{found}: ConsensusType.State changes from {from} to {to}, and such an update may write nothing but \
         /Channel/Orderer/ConsensusType"
    )]
    NotAlone {
        /// The state in force.
        from: ConsensusState,
        /// The state asked for.
        to: ConsensusState,
        /// What it writes as well.
        found: String,
    },
    /// Type or metadata changes together with the state.
    #[error("ConsensusType.{what} may not change in the update that changes ConsensusType.State")]
    WithState {
        /// `Type` or `Metadata`.
        what: &'static str,
    },
    /// The type changes outside of maintenance.
    #[error(
        "consensus type may change from {old:?} to {new:?} only while ConsensusType.State is STATE_MAINTENANCE \
         before and after, it is {before} and {after}"
    )]
    OutsideMaintenance {
        /// The type in force.
        old: String,
        /// The type asked for.
        new: String,
        /// The state in force.
        before: ConsensusState,
        /// The state asked for.
        after: ConsensusState,
    },
    /// A type to which no way leads.
    #[error(
        "attempted to change consensus type from {old} to {new}, transition not supported, only one to {BFT} is"
    )]
    Target {
        /// The type in force.
        old: String,
        /// The type asked for.
        new: String,
    },
    /// The metadata of the new type is not good.
    #[error("invalid BFT metadata configuration: {0}")]
    Options(#[from] BftOptionsError),
    /// The consenters in force cannot be read.
    #[error("consenters in force: {0}")]
    Consenters(#[from] ConsensusMetadataError),
    /// Nobody would take part.
    #[error("invalid BFT consenter mapping configuration: Invalid new config: bft consenters are missing")]
    NoConsenters,
    /// Members would come or go with the type.
    #[error(
        "invalid BFT consenter mapping configuration: value Orderers has {found} consenters, expected {expected}: \
         those of the type in force"
    )]
    ConsenterCount {
        /// In force.
        expected: usize,
        /// In the new config.
        found: usize,
    },
    /// A member that is not among the new ones.
    #[error(
        "invalid BFT consenter mapping configuration: No suitable BFT consenter for Raft consenter {host}:{port}: \
         value Orderers has none with this address and the TLS certificates that it has now"
    )]
    ConsenterMissing {
        /// Its host.
        host: String,
        /// Its port.
        port: u32,
    },
}

/// Checks the step from `old`, the config in force, to `new`, which `update` led to.
pub fn check(old: &Bundle, new: &Bundle, update: &Update) -> Result<(), MaintenanceError> {
    let (before, after) = (&old.orderer().consensus_type, &new.orderer().consensus_type);
    if !old.orderer().capabilities.maintenance_mode() {
        return check_without_maintenance(old.orderer(), new.orderer());
    }
    if before.state != after.state {
        check_alone(update).map_err(|found| MaintenanceError::NotAlone {
            from: before.state,
            to: after.state,
            found,
        })?;
        if before.kind != after.kind {
            return Err(MaintenanceError::WithState { what: "Type" });
        }
        if before.metadata != after.metadata {
            return Err(MaintenanceError::WithState { what: "Metadata" });
        }
    }
    if before.kind == after.kind {
        return Ok(());
    }
    check_type_change(old.orderer(), new.orderer())
}

fn check_without_maintenance(old: &OrdererConfig, new: &OrdererConfig) -> Result<(), MaintenanceError> {
    if new.consensus_type.state != ConsensusState::Normal {
        return Err(MaintenanceError::NoCapability { what: "State" });
    }
    if old.consensus_type.kind != new.consensus_type.kind {
        return Err(MaintenanceError::NoCapability { what: "Type" });
    }
    Ok(())
}

/// Checks what stands in the write set, changed or not; says what should not.
fn check_alone(update: &Update) -> Result<(), String> {
    let root = format!("/{ROOT}");
    let channel = written_members(update, &root).ok_or("the write set is empty")?;
    if let Some(value) = channel.values.first() {
        return Err(format!("it writes value {root}/{value}"));
    }
    if let Some(group) = channel.groups.iter().find(|group| *group != ORDERER) {
        return Err(format!("it writes group {root}/{group}"));
    }
    let path = format!("{root}/{ORDERER}");
    let orderer = written_members(update, &path).ok_or("it does not write that value")?;
    if let Some(group) = orderer.groups.first() {
        return Err(format!(
            "config update contains changes to groups within the Orderer group: it writes {path}/{group}"
        ));
    }
    if let Some(value) = orderer.values.iter().find(|value| *value != CONSENSUS_TYPE) {
        return Err(format!(
            "config update contain more then just the ConsensusType value in the Orderer group: it writes \
             {path}/{value}"
        ));
    }
    if orderer.values.is_empty() {
        return Err("it does not write that value".to_owned());
    }
    Ok(())
}

fn written_members<'a>(update: &'a Update, group: &str) -> Option<&'a Members> {
    match &update.write_set().get(&Key::group(group))?.content {
        Content::Group(members) => Some(members),
        Content::Value(_) | Content::Policy(_) => None,
    }
}

fn check_type_change(old: &OrdererConfig, new: &OrdererConfig) -> Result<(), MaintenanceError> {
    let (before, after) = (&old.consensus_type, &new.consensus_type);
    let (from, to) = (before.kind.clone(), after.kind.clone());
    if before.state != ConsensusState::Maintenance || after.state != ConsensusState::Maintenance {
        return Err(MaintenanceError::OutsideMaintenance {
            old: from,
            new: to,
            before: before.state,
            after: after.state,
        });
    }
    if to != BFT {
        return Err(MaintenanceError::Target { old: from, new: to });
    }
    bft::check_options(&after.metadata)?;
    let raft = RaftMetadata::read(&before.metadata, Severity::Commit)?;
    check_mapping(&raft.consenters, &new.consenters)
}

/// The same members: as many, each with its address and its certificates.
fn check_mapping(raft: &[RaftConsenter], bft: &[BftConsenter]) -> Result<(), MaintenanceError> {
    if bft.is_empty() {
        return Err(MaintenanceError::NoConsenters);
    }
    if raft.len() != bft.len() {
        return Err(MaintenanceError::ConsenterCount {
            expected: raft.len(),
            found: bft.len(),
        });
    }
    let is_same = |old: &RaftConsenter, new: &BftConsenter| {
        old.host == new.host
            && old.port == new.port
            && old.client_tls_cert == new.client_tls_cert
            && old.server_tls_cert == new.server_tls_cert
    };
    match raft.iter().find(|old| !bft.iter().any(|new| is_same(old, new))) {
        None => Ok(()),
        Some(missing) => Err(MaintenanceError::ConsenterMissing {
            host: missing.host.clone(),
            port: missing.port,
        }),
    }
}
