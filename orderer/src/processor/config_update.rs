//! What becomes of a `CONFIG_UPDATE`: the new config is computed, checked and wrapped as a CONFIG envelope.

use protos::envelope::Opened;

use super::{Checked, ProcessError, Rules};

/// Turns an opened `CONFIG_UPDATE` envelope into the CONFIG envelope to order.
///
/// This build refuses every update; all that is missing for them belongs here
/// (`docs/spec/behaviour.md` §1.4).
pub fn propose(_rules: &Rules, _update: &Opened) -> Result<Checked, ProcessError> {
    Err(ProcessError::ConfigUpdatesUnavailable)
}
