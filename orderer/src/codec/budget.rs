//! How many bytes of large messages this process holds at a time, whoever sent them.
//!
//! A message is *large* above [`LARGE_BYTES_MIN`]. It takes room for its whole length before more than its first
//! frame is held, and gives it back when the last reference to its bytes goes: after it was refused, or after it
//! stands in a block. Who waits for room holds none, so half-received messages cannot wait for each other.
//! Waiting senders are held back by HTTP/2 flow control, and served in their order.
//!
//! Room that is wanted must be used: while others wait, a message that comes too slowly is given up ([`Pace`]).
//!
//! Messages that are not large need no room: what a stream may hold of them is bounded for each stream.
//! Decision and figures: `docs/adr/015-a-budget-for-large-messages.md`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tonic::Status;

/// Longest message, in bytes, that needs no room.
pub const LARGE_BYTES_MIN: usize = 256 << 10;

/// Room of a process: two of the largest messages that are let in by default, and something beside them.
const ROOM_BYTES: u32 = 256 << 20;

/// How often the pace of a large message is looked at.
const PACE_WINDOW: Duration = Duration::from_secs(5);

/// What must have come within a window while others wait.
const PACE_BYTES_MIN: usize = 1 << 20;

/// The room, shared by all streams. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ReceiveBudget {
    room: Arc<Semaphore>,
    bytes: u32,
    waiting: Arc<AtomicUsize>,
    pace_window: Duration,
}

/// Room that is taken; given back when dropped.
#[derive(Debug)]
pub struct Share(#[expect(dead_code, reason = "it is held, not looked at")] OwnedSemaphorePermit);

impl Default for ReceiveBudget {
    fn default() -> Self {
        Self::of_bytes(ROOM_BYTES)
    }
}

impl ReceiveBudget {
    /// Room for `bytes` bytes.
    pub fn of_bytes(bytes: u32) -> Self {
        Self {
            room: Arc::new(Semaphore::new(bytes as usize)),
            bytes,
            waiting: Arc::default(),
            pace_window: PACE_WINDOW,
        }
    }

    /// The same with a shorter window.
    #[cfg(test)]
    pub(super) fn with_pace_window(mut self, window: Duration) -> Self {
        self.pace_window = window;
        self
    }

    /// Begins to look at a message's pace.
    pub fn pace(&self) -> Pace {
        Pace {
            window: self.pace_window,
            window_ends: Instant::now() + self.pace_window,
            before: 0,
        }
    }

    /// Takes room for a message of `bytes` bytes, all of it for one that is longer; waits for its turn.
    pub async fn take(&self, bytes: usize) -> Result<Share, Status> {
        let _waiting = Waiting::of(&self.waiting);
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX).min(self.bytes);
        let permit = Arc::clone(&self.room).acquire_many_owned(bytes).await;
        // It is never closed.
        permit
            .map(Share)
            .map_err(|_| Status::unavailable("the node is stopping"))
    }

    /// True while somebody waits for room.
    pub fn is_wanted(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }
}

/// One that waits, for as long as this lives.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn of(waiting: &'a AtomicUsize) -> Self {
        waiting.fetch_add(1, Ordering::Relaxed);
        Self(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The bytes of a message together with their room.
struct Held {
    bytes: Vec<u8>,
    _share: Share,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// A message whose room is given back when the last reference to it goes.
pub fn hold(bytes: Vec<u8>, share: Share) -> Bytes {
    Bytes::from_owner(Held { bytes, _share: share })
}

/// How fast a large message comes, window by window.
#[derive(Debug)]
pub struct Pace {
    window: Duration,
    window_ends: Instant,
    /// What had come when the window began.
    before: usize,
}

impl Pace {
    /// Ready at the end of the window.
    pub async fn window_end(&self) {
        tokio::time::sleep_until(self.window_ends).await;
    }

    /// Begins the next window, `received` of `bytes` bytes having come. The error gives the message up.
    pub fn next_window(&mut self, received: usize, bytes: usize, wanted: bool) -> Result<(), Status> {
        let came = received.saturating_sub(self.before);
        if wanted && came < PACE_BYTES_MIN {
            return Err(Status::resource_exhausted(format!(
                "message of {bytes} bytes comes too slowly while others wait for its room: {came} bytes within \
                 {:?}, at least {PACE_BYTES_MIN} are expected",
                self.window
            )));
        }
        self.before = received;
        self.window_ends += self.window;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn room_comes_back_with_the_last_reference_to_the_bytes() {
        let budget = ReceiveBudget::of_bytes(10);
        let share = budget.take(8).await.unwrap();
        let message = hold(vec![7; 8], share);
        let slice = message.slice(2..4);
        drop(message);
        assert!(budget.take(3).now_or_never().is_none());
        drop(slice);
        assert!(budget.take(3).now_or_never().is_some());
    }

    #[tokio::test]
    async fn a_message_longer_than_all_room_takes_all_of_it() {
        let budget = ReceiveBudget::of_bytes(10);
        let all = budget.take(11).await.unwrap();
        assert!(budget.take(1).now_or_never().is_none());
        drop(all);
        assert!(!budget.is_wanted());
    }

    #[tokio::test]
    async fn who_waits_first_is_served_first() {
        let budget = ReceiveBudget::of_bytes(10);
        let small = budget.take(4).await.unwrap();
        let mut large = Box::pin(budget.take(8));
        assert!(large.as_mut().now_or_never().is_none());
        assert!(budget.is_wanted());
        assert!(budget.take(1).now_or_never().is_none(), "a later one went ahead");
        drop(small);
        assert!(large.now_or_never().is_some());
    }

    #[tokio::test]
    async fn a_slow_message_is_given_up_only_while_others_wait() {
        let mut pace = ReceiveBudget::default().pace();
        pace.next_window(1, 100, false).unwrap();
        pace.next_window(1 + PACE_BYTES_MIN, 100, true).unwrap();
        let error = pace.next_window(2 + PACE_BYTES_MIN, 100, true).unwrap_err();
        assert_eq!(error.code(), tonic::Code::ResourceExhausted);
        assert!(error.message().contains("1 bytes within 5s"), "{error}");
    }
}
