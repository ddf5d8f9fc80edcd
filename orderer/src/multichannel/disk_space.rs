//! The pause while the disk is full: writers say that they wait for room, and intake waits with them.

use std::time::Duration;

use tokio::sync::watch;

/// One data folder's lack of room, shared by all channels in it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct DiskSpace(watch::Sender<usize>);

/// A writer that waits for room, for as long as this lives.
#[derive(Debug)]
pub struct Waiting(watch::Sender<usize>);

impl Default for DiskSpace {
    fn default() -> Self {
        Self(watch::Sender::new(0))
    }
}

impl DiskSpace {
    /// Says that a writer waits for room.
    pub fn wait(&self) -> Waiting {
        self.0.send_modify(|waiting| *waiting += 1);
        Waiting(self.0.clone())
    }

    /// True while a writer waits for room.
    pub fn is_full(&self) -> bool {
        *self.0.borrow() > 0
    }

    /// Ready as soon as no writer waits for room.
    pub async fn available(&self) {
        if self.is_full() {
            // Fails only when the sender is gone, and it is `self`.
            let _ = self.0.subscribe().wait_for(|waiting| *waiting == 0).await;
        }
    }

    /// Ready once a writer has waited for room for `time` without a break.
    pub async fn full_for(&self, time: Duration) {
        let mut waiting = self.0.subscribe();
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
