//! Tells whoever asked that a chain has grown.

use std::fmt;
use std::sync::{PoisonError, RwLock};

use protos::Height;

/// Called with each new height, in order, on the thread that synced. Must not block and must not panic: it
/// only wakes somebody.
pub type HeightWatcher = Box<dyn Fn(Height) + Send + Sync>;

/// The watchers of one channel. They stay as long as the channel is open.
#[derive(Default)]
pub(crate) struct Watchers(RwLock<Vec<HeightWatcher>>);

impl Watchers {
    pub(crate) fn add(&self, watcher: HeightWatcher) {
        self.0
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .push(watcher);
    }

    /// Forgets all of them, which they notice by being dropped.
    pub(crate) fn clear(&self) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).clear();
    }

    pub(crate) fn tell(&self, height: Height) {
        let watchers = self.0.read().unwrap_or_else(PoisonError::into_inner);
        watchers.iter().for_each(|watcher| watcher(height));
    }
}

impl fmt::Debug for Watchers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.0.read().unwrap_or_else(PoisonError::into_inner).len();
        write!(f, "Watchers({count})")
    }
}
