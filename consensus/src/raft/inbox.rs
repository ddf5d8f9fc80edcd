//! The chain's inbox: messages of other consenters, bounded by bytes for each kind.
//!
//! What is small and urgent (heartbeats, votes, answers) never waits behind entries, and entries never behind
//! envelopes. Within a kind the order of arrival is kept: raft takes entries out of order for lost ones and sends
//! them again.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use protos::ConsenterId;
use tokio::sync::Notify;

use crate::chain::ReceiveError;
use crate::transport::ClusterMessage;

/// Most bytes of urgent messages waiting.
const URGENT_BYTES_MAX: usize = 1 << 20;
/// Most bytes of entries and checkpoints waiting. One message that is larger is taken alone.
const ENTRIES_BYTES_MAX: usize = 32 << 20;
/// Most bytes of envelopes waiting, for each sender: all that a sender hands over before it sees some of them ordered.
const SUBMITTED_BYTES_MAX: usize = 32 << 20;
/// What a message counts on top of its data.
const MESSAGE_OVERHEAD_BYTES: usize = 128;

/// Most bytes of entries taken at once, and most envelopes.
const ENTRIES_TAKEN_BYTES: usize = 1 << 20;
const SUBMITTED_TAKEN_MAX: usize = 256;

/// `raftpb.MessageType` of entries and of checkpoints; everything else is urgent.
const APPEND: u8 = 3;
const SNAPSHOT: u8 = 7;
/// Field 1 of `raftpb.Message`, its type, as a varint. Senders write it first.
const TYPE_FIELD: u8 = 0x08;

/// A message and who sent it.
pub(super) type Received = (ConsenterId, ClusterMessage);

/// Both ends: the chain puts in, the driver takes out.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    waiting: Mutex<Waiting>,
    arrived: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    urgent: Queue,
    entries: Queue,
    submitted: Queue,
    /// Of the envelopes in `submitted`, by sender.
    submitted_bytes: BTreeMap<ConsenterId, usize>,
    is_closed: bool,
}

#[derive(Debug, Default)]
struct Queue {
    messages: VecDeque<Received>,
    bytes: usize,
}

impl Queue {
    fn push(&mut self, received: Received, bytes: usize) {
        self.messages.push_back(received);
        self.bytes += bytes;
    }

    fn pop(&mut self) -> Option<(Received, usize)> {
        let received = self.messages.pop_front()?;
        let bytes = size(&received.1);
        self.bytes -= bytes;
        Some((received, bytes))
    }

    /// True if `bytes` more are not too many; a message always fits into nothing.
    fn has_room(waiting: usize, bytes: usize, bytes_max: usize) -> bool {
        waiting == 0 || waiting + bytes <= bytes_max
    }
}

impl Inbox {
    /// Takes a message in.
    pub(super) fn put(&self, from: ConsenterId, message: ClusterMessage) -> Result<(), ReceiveError> {
        self.lock().put(from, message)?;
        self.arrived.notify_one();
        Ok(())
    }

    /// Ready when there is something to take.
    pub(super) async fn ready(&self) {
        while self.lock().is_empty() {
            self.arrived.notified().await;
        }
    }

    /// Moves to `taken` everything urgent, and a part of the rest.
    pub(super) fn take(&self, taken: &mut Vec<Received>) {
        let mut waiting = self.lock();
        let waiting = &mut *waiting;
        taken.extend(waiting.urgent.messages.drain(..));
        waiting.urgent.bytes = 0;
        let mut bytes_taken = 0;
        while bytes_taken < ENTRIES_TAKEN_BYTES {
            let Some((received, bytes)) = waiting.entries.pop() else {
                break;
            };
            bytes_taken += bytes;
            taken.push(received);
        }
        for _ in 0..SUBMITTED_TAKEN_MAX {
            let Some((received, bytes)) = waiting.submitted.pop() else {
                break;
            };
            if let Some(of_sender) = waiting.submitted_bytes.get_mut(&received.0) {
                *of_sender -= bytes;
            }
            taken.push(received);
        }
    }

    /// Takes nothing more in, and forgets what is in.
    pub(super) fn close(&self) {
        *self.lock() = Waiting {
            is_closed: true,
            ..Waiting::default()
        };
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Counts could only be off after a panic in here, where nothing panics.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn is_empty(&self) -> bool {
        let queues = [&self.urgent, &self.entries, &self.submitted];
        queues.iter().all(|queue| queue.messages.is_empty())
    }

    fn put(&mut self, from: ConsenterId, message: ClusterMessage) -> Result<(), ReceiveError> {
        if self.is_closed {
            return Err(ReceiveError::Stopped);
        }
        let bytes = size(&message);
        let (queue, waiting, bytes_max) = match &message {
            ClusterMessage::Submit { .. } => {
                let of_sender = self.submitted_bytes.entry(from).or_default();
                (&mut self.submitted, of_sender, SUBMITTED_BYTES_MAX)
            }
            ClusterMessage::Consensus { payload, .. } => {
                let (queue, bytes_max) = if is_urgent(payload) {
                    (&mut self.urgent, URGENT_BYTES_MAX)
                } else {
                    (&mut self.entries, ENTRIES_BYTES_MAX)
                };
                let mut waiting = queue.bytes;
                return put(queue, &mut waiting, bytes_max, (from, message), bytes);
            }
        };
        put(queue, waiting, bytes_max, (from, message), bytes)
    }
}

fn put(
    queue: &mut Queue,
    waiting: &mut usize,
    bytes_max: usize,
    received: Received,
    bytes: usize,
) -> Result<(), ReceiveError> {
    if !Queue::has_room(*waiting, bytes, bytes_max) {
        return Err(ReceiveError::Full);
    }
    *waiting += bytes;
    queue.push(received, bytes);
    Ok(())
}

fn is_urgent(payload: &[u8]) -> bool {
    matches!(payload, [TYPE_FIELD, kind, ..] if !matches!(*kind, APPEND | SNAPSHOT))
}

fn size(message: &ClusterMessage) -> usize {
    MESSAGE_OVERHEAD_BYTES
        + match message {
            ClusterMessage::Consensus { payload, metadata } => payload.len() + metadata.len(),
            ClusterMessage::Submit { envelope, .. } => envelope.size(),
        }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use futures::FutureExt;
    use protos::ConfigSeq;

    use super::*;
    use crate::testing::envelope;

    fn consensus(kind: u8, bytes: usize) -> ClusterMessage {
        let mut payload = vec![TYPE_FIELD, kind];
        payload.resize(bytes.max(2), 0);
        ClusterMessage::Consensus {
            payload: payload.into(),
            metadata: Bytes::new(),
        }
    }

    fn submit(bytes: usize) -> ClusterMessage {
        ClusterMessage::Submit {
            envelope: envelope("a", bytes),
            config_seq: ConfigSeq(0),
            mark: None,
        }
    }

    fn take(inbox: &Inbox) -> Vec<Received> {
        let mut taken = Vec::new();
        inbox.take(&mut taken);
        taken
    }

    const ONE: ConsenterId = ConsenterId(1);
    const TWO: ConsenterId = ConsenterId(2);

    #[test]
    fn what_is_urgent_overtakes_and_envelopes_come_last() {
        let inbox = Inbox::default();
        let sent = [
            submit(10),
            consensus(APPEND, 10),
            consensus(SNAPSHOT, 10),
            consensus(8, 10),
        ];
        for message in sent.clone() {
            inbox.put(ONE, message).unwrap();
        }
        let [submitted, append, snapshot, heartbeat] = sent.map(|message| (ONE, message));
        assert!(inbox.ready().now_or_never().is_some());
        assert_eq!(take(&inbox), [heartbeat, append, snapshot, submitted]);
        assert!(inbox.ready().now_or_never().is_none());
    }

    #[test]
    fn a_full_kind_drops_its_own_messages_and_no_others() {
        let inbox = Inbox::default();
        inbox.put(ONE, consensus(APPEND, 2 * ENTRIES_BYTES_MAX)).unwrap();
        assert_eq!(inbox.put(TWO, consensus(APPEND, 1)), Err(ReceiveError::Full));
        inbox.put(ONE, submit(SUBMITTED_BYTES_MAX - 1000)).unwrap();
        assert_eq!(inbox.put(ONE, submit(1000)), Err(ReceiveError::Full));
        inbox.put(TWO, submit(1000)).unwrap();
        let mut votes = 0;
        while inbox.put(TWO, consensus(5, 1000)) != Err(ReceiveError::Full) {
            votes += 1;
        }
        assert_eq!(votes, URGENT_BYTES_MAX / (1000 + MESSAGE_OVERHEAD_BYTES));

        assert_eq!(take(&inbox).len(), votes + 3);
        for message in [consensus(5, 1), consensus(APPEND, 1), submit(1000)] {
            inbox.put(ONE, message).unwrap();
        }
    }

    #[test]
    fn entries_are_taken_a_part_at_a_time() {
        let inbox = Inbox::default();
        for _ in 0..5 {
            inbox.put(ONE, consensus(APPEND, 1 << 19)).unwrap();
        }
        assert_eq!(take(&inbox).len(), 2);
        assert_eq!(take(&inbox).len(), 2);
        assert_eq!(take(&inbox).len(), 1);
    }

    #[test]
    fn a_closed_inbox_says_so() {
        let inbox = Inbox::default();
        inbox.put(ONE, consensus(8, 1)).unwrap();
        inbox.close();
        assert_eq!(inbox.put(ONE, consensus(8, 1)), Err(ReceiveError::Stopped));
        assert!(take(&inbox).is_empty());
    }
}
