//! What waits for one channel, peer and kind, on its way to the stream that carries it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use consensus::transport::{ClusterMessage, MessageKind, SendError};
use parking_lot::Mutex;
use protos::{ChannelId, ConsenterId};
use tokio::sync::{Notify, watch};

use super::counters::Counters;
use super::link::Shared;
use super::message::{self, Outgoing};
use crate::metrics::family::Lease;
use crate::metrics::instrument::Counted;
use crate::metrics::{Counter, Gauge, Histogram};

/// Bytes of envelopes that may wait for a leader.
const SUBMIT_BYTES_MAX: usize = 16 << 20;
/// Bytes of entries that may wait for a follower. They are shared with the log, so this holds no copies.
const APPEND_BYTES_MAX: usize = 64 << 20;
/// Heartbeats and votes kept while there is no connection; the newest are what counts when there is one again.
const HEARTBEATS_KEPT: usize = 16;
/// Messages are taken out together up to this many bytes.
const BATCH_BYTES_MAX: usize = 64 << 10;

/// Counts how often the submit stream to each peer was made.
pub(super) type SubmitStreams = Arc<watch::Sender<BTreeMap<ConsenterId, u64>>>;

/// The queue of one channel, peer and kind.
#[derive(Debug)]
pub(super) struct Lane {
    channel: ChannelId,
    to: ConsenterId,
    kind: MessageKind,
    messages_max: usize,
    state: Mutex<State>,
    /// Something was queued, or the lane was closed.
    changed: Notify,
    link: Arc<Shared>,
    counters: Arc<Counters>,
    /// Resolved once; the queue's own lock is the only one that is taken for a message.
    series: LaneSeries,
    submit_streams: SubmitStreams,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    queue: VecDeque<ClusterMessage>,
    bytes: usize,
    /// The link knows of it.
    asked: bool,
    /// A stream is wanted before there is anything to send.
    eager: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// No stream yet, or none again; one is opened for the next message.
    Ready,
    /// There is a stream.
    Open,
    /// The peer ended the stream; the next one is opened after a pause.
    Refused,
    /// The peer is none any more.
    Closed,
}

impl Lane {
    pub(super) fn new(
        channel: ChannelId,
        to: ConsenterId,
        kind: MessageKind,
        messages_max: usize,
        link: Arc<Shared>,
        submit_streams: SubmitStreams,
    ) -> Arc<Self> {
        Arc::new(Self {
            to,
            kind,
            messages_max,
            state: Mutex::new(State {
                phase: Phase::Ready,
                queue: VecDeque::new(),
                bytes: 0,
                asked: false,
                eager: false,
            }),
            changed: Notify::new(),
            counters: Arc::clone(&link.counters),
            series: LaneSeries::of(&channel, kind, messages_max, &link),
            channel,
            link,
            submit_streams,
        })
    }

    /// Queues a message, as [`Transport::send`](consensus::Transport::send).
    pub(super) fn send(self: &Arc<Self>, message: ClusterMessage) -> Result<(), SendError> {
        let mut state = self.state.lock();
        self.ask_locked(&mut state);
        let is_connected = match state.phase {
            Phase::Ready => !self.link.is_down.load(Ordering::Relaxed),
            Phase::Open => true,
            Phase::Refused => false,
            Phase::Closed => return Err(SendError::UnknownPeer(self.to)),
        };
        match self.kind {
            // What is queued before a stream is made is thrown away when it is made: better said at once.
            MessageKind::Submit if state.phase != Phase::Open => {
                return Err(SendError::NotConnected(self.to));
            }
            MessageKind::Append if !is_connected => return Err(SendError::NotConnected(self.to)),
            MessageKind::Heartbeat if !is_connected => self.drop_oldest(&mut state),
            _ => {}
        }
        let size = message::size(&message);
        if self.is_full(&state, size) {
            self.count_dropped();
            return Err(SendError::Full(self.to));
        }
        state.bytes += size;
        state.queue.push_back(message);
        self.series.waits(&state);
        drop(state);
        self.changed.notify_one();
        Ok(())
    }

    /// Has the link make a connection and a stream before there is anything to send.
    pub(super) fn ask(self: &Arc<Self>) {
        let mut state = self.state.lock();
        state.eager = true;
        self.ask_locked(&mut state);
    }

    fn ask_locked(self: &Arc<Self>, state: &mut State) {
        if !state.asked {
            state.asked = true;
            self.link.ask(Arc::clone(self));
        }
    }

    /// A message always fits into an empty queue.
    fn is_full(&self, state: &State, size: usize) -> bool {
        let (messages_max, bytes_max) = match self.kind {
            MessageKind::Heartbeat => (self.messages_max, usize::MAX),
            MessageKind::Append => (self.messages_max, APPEND_BYTES_MAX),
            MessageKind::Submit => (usize::MAX, SUBMIT_BYTES_MAX),
        };
        let fits = state.queue.len() < messages_max && state.bytes + size <= bytes_max;
        !fits && !state.queue.is_empty()
    }

    fn drop_oldest(&self, state: &mut State) {
        while state.queue.len() >= HEARTBEATS_KEPT.min(self.messages_max.max(1)) {
            let dropped = state.queue.pop_front();
            state.bytes -= dropped.as_ref().map_or(0, message::size);
            self.count_dropped();
        }
    }

    fn count_dropped(&self) {
        self.counters.count_dropped(self.kind);
        self.series.dropped.inc();
    }

    /// Messages were sent, which took so long from their turn on.
    pub(super) fn sent(&self, count: u64, took: Duration) {
        self.series.send_time.observe_many(took.as_secs_f64(), count);
    }

    /// Counts a stream, for as long as the answer lives.
    pub(super) fn stream_opened(&self) -> Counted {
        self.series.streams.count_one()
    }

    /// Counts somebody who works this queue off, for as long as the answer lives.
    pub(super) fn worked_off(&self) -> Counted {
        self.series.workers.count_one()
    }

    pub(super) fn channel(&self) -> &ChannelId {
        &self.channel
    }

    pub(super) fn to(&self) -> ConsenterId {
        self.to
    }

    /// The peer is none any more: nothing is queued from now on, and the stream ends.
    pub(super) fn close(&self) {
        let mut state = self.state.lock();
        state.phase = Phase::Closed;
        state.queue = VecDeque::new();
        state.bytes = 0;
        self.series.waits(&state);
        drop(state);
        self.changed.notify_one();
    }

    /// What waits is not worth sending any more.
    pub(super) fn forget(&self) {
        let mut state = self.state.lock();
        clear(&mut state);
        self.series.waits(&state);
    }

    pub(super) fn is_closed(&self) -> bool {
        self.state.lock().phase == Phase::Closed
    }

    /// A stream was made. What waited for an envelope stream before is thrown away: its owner hands it again.
    pub(super) fn opened(&self) {
        let mut state = self.state.lock();
        if state.phase == Phase::Closed {
            return;
        }
        state.phase = Phase::Open;
        state.eager = false;
        if self.kind == MessageKind::Submit {
            clear(&mut state);
            self.series.waits(&state);
            drop(state);
            self.submit_streams
                .send_modify(|streams| *streams.entry(self.to).or_default() += 1);
        }
    }

    /// The stream ended, with its connection or by the peer.
    pub(super) fn ended(&self, by_peer: bool) {
        let mut state = self.state.lock();
        if state.phase == Phase::Closed {
            return;
        }
        state.phase = if by_peer { Phase::Refused } else { Phase::Ready };
        if self.kind == MessageKind::Heartbeat {
            // The next connection tells the peer at once that this node is there.
            state.eager = !by_peer;
        } else {
            clear(&mut state);
            self.series.waits(&state);
        }
    }

    /// There is no connection: entries are sent again once there is one.
    pub(super) fn unreachable(&self) {
        self.ended(false);
    }

    /// The pause after a refusal is over.
    pub(super) fn ready_again(&self) {
        let mut state = self.state.lock();
        if state.phase == Phase::Refused {
            state.phase = Phase::Ready;
        }
    }

    /// Ready when a stream is wanted: at once for envelopes, whose owner waits for it, else for the next message.
    pub(super) async fn wanted(&self) {
        let is_submit = self.kind == MessageKind::Submit;
        self.until(|state| is_submit || state.eager || !state.queue.is_empty())
            .await;
    }

    /// Moves what waits to `outgoing`, a bounded part of it; false when the lane is closed.
    pub(super) async fn take(&self, outgoing: &mut Outgoing) -> bool {
        self.until(|state| !state.queue.is_empty()).await;
        let mut state = self.state.lock();
        while outgoing.bytes() < BATCH_BYTES_MAX {
            let Some(message) = state.queue.pop_front() else {
                break;
            };
            state.bytes -= message::size(&message);
            outgoing.push(self.channel.as_str(), message);
        }
        self.series.waits(&state);
        state.phase != Phase::Closed
    }

    /// Waits until `holds` or the lane is closed.
    async fn until(&self, holds: impl Fn(&State) -> bool) {
        loop {
            {
                let state = self.state.lock();
                if state.phase == Phase::Closed || holds(&state) {
                    return;
                }
            }
            self.changed.notified().await;
        }
    }
}

/// What is shown of a lane. Those of one kind towards one peer share their series.
#[derive(Debug)]
struct LaneSeries {
    /// None where there is no such bound.
    _capacity: Option<Share>,
    length: Share,
    bytes: Share,
    _bytes_max: Option<Share>,
    dropped: Lease<Counter>,
    send_time: Lease<Histogram>,
    workers: Lease<Gauge>,
    streams: Lease<Gauge>,
}

/// A lane's part of a gauge, which goes with it.
#[derive(Debug)]
struct Share {
    gauge: Lease<Gauge>,
    part: AtomicUsize,
}

impl Share {
    fn of(gauge: Lease<Gauge>, part: usize) -> Self {
        let share = Self {
            gauge,
            part: AtomicUsize::new(0),
        };
        share.set(part);
        share
    }

    /// Only under the lane's lock.
    fn set(&self, part: usize) {
        let before = self.part.swap(part, Ordering::Relaxed);
        if before != part {
            self.gauge.add(to_f64(part) - to_f64(before));
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.set(0);
    }
}

impl LaneSeries {
    fn of(channel: &ChannelId, kind: MessageKind, messages_max: usize, link: &Shared) -> Self {
        let families = link.metrics.families();
        let (cluster, peers) = (&families.cluster, &families.ours.peers);
        let (host, channel) = (link.target.to_string(), channel.as_str());
        let kind_name = match kind {
            MessageKind::Heartbeat | MessageKind::Append => "consensus",
            MessageKind::Submit => "transaction",
        };
        let queue = [host.as_str(), kind_name, channel];
        let (count_max, bytes_max) = match kind {
            MessageKind::Heartbeat => (Some(messages_max), None),
            MessageKind::Append => (Some(messages_max), Some(APPEND_BYTES_MAX)),
            MessageKind::Submit => (None, Some(SUBMIT_BYTES_MAX)),
        };
        Self {
            _capacity: count_max.map(|max| Share::of(cluster.queue_capacity.lease(&queue), max)),
            length: Share::of(cluster.queue_length.lease(&queue), 0),
            bytes: Share::of(peers.queue_bytes.lease(&queue), 0),
            _bytes_max: bytes_max.map(|max| Share::of(peers.queue_bytes_max.lease(&queue), max)),
            dropped: cluster.dropped.lease(&[&host, channel]),
            send_time: cluster.send_time.lease(&[&host, channel]),
            workers: cluster.queue_workers.lease(&[channel]),
            streams: cluster.streams.lease(&[channel]),
        }
    }

    /// So much waits now.
    fn waits(&self, state: &State) {
        self.length.set(state.queue.len());
        self.bytes.set(state.bytes);
    }
}

/// Queues are bounded far below where this is not exact.
#[expect(clippy::cast_precision_loss, reason = "queues are bounded far below 2^53")]
fn to_f64(part: usize) -> f64 {
    part as f64
}

fn clear(state: &mut State) {
    state.queue.clear();
    state.bytes = 0;
}
