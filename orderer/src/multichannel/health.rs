//! How a channel stands. Whatever panics or breaks in a channel ends here, with its reason.

use std::fmt;

use tokio::sync::watch;

use super::LOGGER;

/// How a channel stands on this node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// Being opened.
    Starting,
    /// Ordering.
    Running,
    /// Taking its blocks from others.
    Following {
        /// Why, where it should order instead: in words for an operator.
        reason: Option<String>,
    },
    /// Stopped on purpose, with everything written.
    Stopped,
    /// Being removed; nothing of it is served.
    Removing,
    /// Its removal did not finish: asking for it again goes on with it.
    HalfRemoved(String),
    /// Out of order until the process starts again. Blocks are served where they can be read.
    Quarantined(String),
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Starting => f.write_str("starting"),
            Self::Running => f.write_str("running"),
            Self::Following { reason: None } => f.write_str("following"),
            Self::Following { reason: Some(reason) } => write!(f, "following: {reason}"),
            Self::Stopped => f.write_str("stopped"),
            Self::Removing => f.write_str("being removed"),
            Self::HalfRemoved(reason) => write!(f, "half removed: {reason}"),
            Self::Quarantined(reason) => write!(f, "quarantined: {reason}"),
        }
    }
}

/// A channel's health, which others may watch.
#[derive(Debug)]
pub struct HealthCell {
    channel: String,
    cell: watch::Sender<Health>,
}

impl HealthCell {
    /// A channel that is being opened.
    pub fn starting(channel: impl fmt::Display) -> Self {
        Self {
            channel: channel.to_string(),
            cell: watch::Sender::new(Health::Starting),
        }
    }

    /// How it stands now.
    pub fn get(&self) -> Health {
        self.cell.borrow().clone()
    }

    /// Changes it; a quarantine is not lifted again.
    pub fn set(&self, health: &Health) {
        let changed = self.cell.send_if_modified(|current| {
            let changes = !matches!(current, Health::Quarantined(_)) && current != health;
            if changes {
                *current = health.clone();
            }
            changes
        });
        if let (true, Health::Quarantined(reason)) = (changed, health) {
            tracing::error!(target: LOGGER, "channel {} is quarantined: {reason}", self.channel);
        }
    }

    /// Follows it.
    pub fn watch(&self) -> watch::Receiver<Health> {
        self.cell.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quarantine_keeps_its_first_reason() {
        let health = HealthCell::starting("ch");
        health.set(&Health::Running);
        assert_eq!(health.get(), Health::Running);
        health.set(&Health::Quarantined("first".to_owned()));
        health.set(&Health::Quarantined("second".to_owned()));
        health.set(&Health::Running);
        assert_eq!(health.get().to_string(), "quarantined: first");
    }
}
