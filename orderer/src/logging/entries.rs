//! How many log entries were checked and written, by level.
//!
//! What the spec shuts out costs nothing, and is not counted either: a log statement that prints nothing is passed
//! over before it gets here. So the two counts differ by what could not be written.

use std::sync::atomic::{AtomicU64, Ordering};

use tracing::Level;

/// Levels as metrics name them, from the most to the least verbose.
const NAMES: [&str; 5] = ["payload", "debug", "info", "warn", "error"];

/// Counts since the start of the process.
#[derive(Debug, Default)]
pub struct Entries {
    levels: [Counts; NAMES.len()],
}

#[derive(Debug, Default)]
struct Counts {
    checked: AtomicU64,
    written: AtomicU64,
}

/// What was counted for one level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted {
    /// The level's name in logging specs.
    pub level: &'static str,
    /// Entries that the spec let through.
    pub checked: u64,
    /// Those of them that were written.
    pub written: u64,
}

impl Entries {
    /// The counts of all levels.
    pub fn counted(&self) -> impl Iterator<Item = Counted> + '_ {
        let levels = NAMES.into_iter().zip(&self.levels);
        levels.map(|(level, counts)| Counted {
            level,
            checked: counts.checked.load(Ordering::Relaxed),
            written: counts.written.load(Ordering::Relaxed),
        })
    }

    pub(super) fn count_checked(&self, level: Level) {
        self.of(level).checked.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_written(&self, level: Level) {
        self.of(level).written.fetch_add(1, Ordering::Relaxed);
    }

    fn of(&self, level: Level) -> &Counts {
        let place = match level {
            Level::TRACE => 0,
            Level::DEBUG => 1,
            Level::INFO => 2,
            Level::WARN => 3,
            Level::ERROR => 4,
        };
        &self.levels[place]
    }
}
