//! A new config against the one before it: what no update may change, whoever signed it.
//!
//! Source: `docs/spec/rules.md` §8.3, its general part. What the consenter says of its metadata is for its
//! validator in the crate `consensus`. That channels with `V3_0` have endpoints in every orderer organisation
//! stands in the structure of the new config already (§8.1).

use crate::Bundle;

/// A change that no channel may make.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransitionError {
    /// The application group is gone.
    #[error("the config in force has an Application group, the new one does not")]
    ApplicationGone,
    /// The group of a system channel has come or gone.
    #[error("group Consortiums may neither appear nor disappear")]
    Consortiums,
    /// Another consensus type, where capabilities do not know of such a change.
    #[error(
        "consensus type may not change from {old:?} to {new:?} without channel capability V1_4_2 or later"
    )]
    ConsensusType {
        /// The type in force.
        old: String,
        /// The type asked for.
        new: String,
    },
    /// An organisation that stays has another MSP ID.
    #[error("organisation {org} may not change its MSP ID from {old} to {new}")]
    MspId {
        /// Path of its group.
        org: String,
        /// The ID in force.
        old: String,
        /// The ID asked for.
        new: String,
    },
}

/// Checks `new` against `old`, the config in force.
pub fn check(old: &Bundle, new: &Bundle) -> Result<(), TransitionError> {
    if old.application().is_some() && new.application().is_none() {
        return Err(TransitionError::ApplicationGone);
    }
    if old.has_consortiums() != new.has_consortiums() {
        return Err(TransitionError::Consortiums);
    }
    check_consensus_type(old, new)?;
    check_msp_ids(old, new)
}

fn check_consensus_type(old: &Bundle, new: &Bundle) -> Result<(), TransitionError> {
    let kind = |bundle: &Bundle| bundle.orderer().consensus_type.kind.clone();
    let (from, to) = (kind(old), kind(new));
    if from == to || old.capabilities().consensus_type_change() {
        return Ok(());
    }
    Err(TransitionError::ConsensusType { old: from, new: to })
}

fn check_msp_ids(old: &Bundle, new: &Bundle) -> Result<(), TransitionError> {
    for (org, msp) in old.msps().orgs() {
        let Some(after) = new.msps().org(org) else {
            continue;
        };
        if msp.name() != after.name() {
            return Err(TransitionError::MspId {
                org: org.to_owned(),
                old: msp.name().to_owned(),
                new: after.name().to_owned(),
            });
        }
    }
    Ok(())
}
