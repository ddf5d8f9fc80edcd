//! The pause while the disk is full: writers say that they wait for room, and intake waits with them. Before it is full,
//! the disk guard says that room is low, and intake refuses.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::sync::watch;

/// One data folder's lack of room, shared by all channels in it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct DiskSpace {
    waiting: watch::Sender<usize>,
    /// Why intake is stopped; none: it is not.
    low: Arc<ArcSwapOption<String>>,
}

/// A writer that waits for room, for as long as this lives.
#[derive(Debug)]
pub struct Waiting(watch::Sender<usize>);

impl Default for DiskSpace {
    fn default() -> Self {
        Self {
            waiting: watch::Sender::new(0),
            low: Arc::default(),
        }
    }
}

impl DiskSpace {
    /// Says that a writer waits for room.
    pub fn wait(&self) -> Waiting {
        self.waiting.send_modify(|waiting| *waiting += 1);
        Waiting(self.waiting.clone())
    }

    /// Stops intake for the reason given, or lets it go on.
    pub fn set_low(&self, reason: Option<String>) {
        self.low.store(reason.map(Arc::new));
    }

    /// Why intake is stopped, in words for clients; none: it is not.
    pub fn low(&self) -> Option<Arc<String>> {
        self.low.load_full()
    }

    /// True while a writer waits for room.
    pub fn is_full(&self) -> bool {
        *self.waiting.borrow() > 0
    }

    /// Ready as soon as no writer waits for room.
    pub async fn available(&self) {
        if self.is_full() {
            // Fails only when the sender is gone, and it is `self`.
            let _ = self.waiting.subscribe().wait_for(|waiting| *waiting == 0).await;
        }
    }

    /// Ready once a writer has waited for room for `time` without a break.
    pub async fn full_for(&self, time: Duration) {
        let mut waiting = self.waiting.subscribe();
        loop {
            // Neither fails: only without a sender would it, and that is `self`.
            let _ = waiting.wait_for(|waiting| *waiting > 0).await;
            let room = waiting.wait_for(|waiting| *waiting == 0);
            if tokio::time::timeout(time, room).await.is_err() {
                return;
            }
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.send_modify(|waiting| *waiting = waiting.saturating_sub(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt as _;

    #[tokio::test]
    async fn intake_goes_on_when_the_last_writer_found_room() {
        let space = DiskSpace::default();
        let (first, second) = (space.wait(), space.wait());
        drop(first);
        assert_eq!(space.available().now_or_never(), None);
        drop(second);
        space.available().await;
        assert!(!space.is_full());
    }

    #[test]
    fn what_one_is_told_of_low_room_all_clones_know() {
        let space = DiskSpace::default();
        let other = space.clone();
        space.set_low(Some("3 MB are left".to_owned()));
        assert_eq!(other.low().as_deref().map(String::as_str), Some("3 MB are left"));
        other.set_low(None);
        assert_eq!(space.low(), None);
        assert!(!space.is_full());
    }

    #[tokio::test]
    async fn a_disk_that_stays_full_is_told_and_a_short_lack_is_not() {
        let space = DiskSpace::default();
        let time = Duration::from_millis(20);
        let mut told = Box::pin(space.full_for(time));
        let short = space.wait();
        assert!(told.as_mut().now_or_never().is_none());
        drop(short);
        assert!(tokio::time::timeout(3 * time, told.as_mut()).await.is_err());
        let _long = space.wait();
        told.await;
    }
}
