//! An update against the config in force, and what became of it.

use std::path::PathBuf;

use configtx::Bundle;
use configtx::explain::{Explanation, explain};
use configtx::update::{Update, UpdateError};
use protos::wire::common::ConfigGroup;
use serde_json::{Value, json};

use super::super::Failure;
use super::needs;
use crate::config_change::tree::Tree;
use crate::config_change::{Change, changes};
use crate::config_update::{Ordered, UpdateEnvelope};

/// All that is told about an update.
pub(super) struct Report {
    channel: String,
    /// Of the config in force.
    sequence: u64,
    changes: Vec<Change>,
    explanation: Explanation,
    /// It was handed to a node.
    pub(super) submitted: bool,
    pub(super) ordered: Option<Ordered>,
    pub(super) written: Option<PathBuf>,
}

impl Report {
    /// Looks at `update` as a node with the config `current` would.
    pub(super) fn new(current: &Bundle, update: &UpdateEnvelope) -> Result<Self, Failure> {
        let (channel, sequence) = (current.channel_id(), current.sequence());
        let refused = |error: UpdateError| {
            Failure::new(format!(
                "the update does not fit config {sequence} of channel {channel}: {error}"
            ))
        };
        let update = Update::read(update.data()).map_err(refused)?;
        let explanation = explain(&update, current).map_err(refused)?;
        let after = after(&update, current).map_err(refused)?;
        let before = current.config().channel_group.clone().unwrap_or_default();
        Ok(Self {
            channel: channel.to_string(),
            sequence: sequence.0,
            changes: changes(&before, &after),
            explanation,
            submitted: false,
            ordered: None,
            written: None,
        })
    }

    /// An update without all its signatures is not worth submitting: the node says no, and why less clearly.
    pub(super) fn refuse_incomplete(&self) -> Result<(), Failure> {
        if self.explanation.is_allowed() {
            return Ok(());
        }
        let missing = needs::missing(&self.explanation);
        let failure = Failure::new("signatures are missing, so nothing was submitted");
        if missing.is_empty() {
            return Err(failure.hint("no signature can help: see the policies above"));
        }
        Err(failure.hint(format!(
            "add signatures of {} with --sign-as, or write the update to a file with --output and let others sign it \
             with ordain config sign",
            missing.join(", ")
        )))
    }

    /// What changes, what that needs, and who has signed.
    pub(super) fn text(&self, versions: bool, colours: bool) -> String {
        let changes = &self.changes;
        let tree = Tree {
            changes,
            versions,
            colours,
        };
        let (channel, sequence, next) = (&self.channel, self.sequence, self.sequence.saturating_add(1));
        let head = format!("channel {channel}, config {sequence} -> {next}\n\n{tree}\nneeds");
        let needs = needs::policies(&self.explanation);
        let signatures = needs::signatures(&self.explanation);
        [vec![head], needs, signatures].concat().join("\n")
    }

    /// All of it, for scripts.
    pub(super) fn json(&self) -> Value {
        let signers = self.explanation.counted.iter();
        let signers: Vec<_> = signers
            .map(|one| json!({ "msp_id": one.msp_id, "subject": one.subject }))
            .collect();
        let policies = self.explanation.policies.values();
        json!({
            "channel": self.channel,
            "sequence": self.sequence,
            "changes": self.changes,
            "policies": policies.map(needs::policy_json).collect::<Vec<_>>(),
            "signatures": self.explanation.given,
            "signers": signers,
            "allowed": self.explanation.is_allowed(),
            "written": self.written,
            "submitted": self.submitted,
            "block": self.ordered.map(|ordered| ordered.number.0),
            "new_sequence": self.ordered.map(|ordered| ordered.sequence.0),
        })
    }

    /// What became of it, if anything did.
    pub(super) fn outcome(&self) -> Option<String> {
        if let Some(ordered) = self.ordered {
            return Some(format!(
                "config {} is in block {}",
                ordered.sequence, ordered.number
            ));
        }
        if let Some(path) = &self.written {
            return Some(format!("written to {}", path.display()));
        }
        self.submitted.then(|| "submitted".to_owned())
    }
}

/// The root group as it will be.
fn after(update: &Update, current: &Bundle) -> Result<ConfigGroup, UpdateError> {
    let mut tree = current.tree().clone();
    for change in update.delta(current)? {
        tree.insert(change.key.clone(), change.new.clone());
    }
    Ok(tree.rebuild()?)
}
