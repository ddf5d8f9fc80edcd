//! How strictly a config is judged: before it is ordered, or after.

/// At which end a config is judged.
///
/// Before it is ordered, refusing more than the reference does is safe: nothing happens. Once it is committed
/// every node must judge it alike, so there the reference's rule holds exactly, or channels fork.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// A config that somebody proposes or joins with.
    Intake,
    /// A config found in a committed block.
    Commit,
}
