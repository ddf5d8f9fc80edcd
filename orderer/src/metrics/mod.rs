//! What the node counts and measures, and how it is shown to Prometheus and statsd.
//!
//! ```text
//! broadcast, deliver, codec, connections, cluster, chains, writers ──> handles: atomic numbers
//! channels, disks, certificates, process ── read when somebody looks ──┐       │
//!                                                                      v       v
//!                                       Metrics ── collect ──> text (scraped) or statsd (written each interval)
//! ```
//!
//! | module | holds |
//! |---|---|
//! | [`instrument`] | [`Counter`], [`Gauge`], [`Histogram`] |
//! | [`family`] | instruments of one name by their labels; those that go with whoever holds them |
//! | [`registry`] | all families of a node |
//! | [`families`] | which there are: names, labels and buckets of the reference (`docs/spec/behaviour.md` §9.1), and ours |
//! | [`channel`] | [`ChannelMetrics`]: what is counted for one channel |
//! | [`grpc`] | calls: begun, messages, ended with which code |
//! | [`process`], [`disk`] | what the operating system says |
//! | [`raft_log`] | the raft log, its writes timed |
//! | [`text`] | the format of Prometheus |
//! | [`statsd`] | the format of statsd, and the task that writes it |
//!
//! Counting goes on whatever `Metrics.Provider` says. On the way of an envelope it costs a few atomic additions for each
//! *batch* of a stream, for each offer to a chain and for each block: handles are looked up once for a channel or a
//! call, and nothing there takes a lock or allocates. What is only looked at now and then is not counted at all, but
//! read when somebody looks ([`Metrics::sample_with`]).
//!
//! Own code and no crate: `docs/adr/022-metrics-are-counted-by-own-code.md` has the reasons, and what counting costs.

pub mod channel;
pub mod disk;
pub mod families;
pub mod family;
pub mod grpc;
pub mod instrument;
pub mod process;
pub mod raft_log;
pub mod registry;
pub mod statsd;
pub mod text;

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;
use parking_lot::Mutex;
use protos::ChannelId;
use protos::wire::common::Status;

pub use channel::{ChannelMetrics, MessageType};
pub use families::Families;
pub use grpc::Call;
pub use instrument::{Counter, Gauge, Histogram};

use channel::Answers;
use registry::{Collected, Registry};

/// Reads state into gauges; called before anything is shown.
type Sampler = Box<dyn Fn(&Metrics) + Send + Sync>;

/// Everything one node counts and measures. Made before anything else of the node.
pub struct Metrics {
    registry: Registry,
    families: Arc<Families>,
    /// By name. Replaced as a whole, so that looking one up takes no lock.
    channels: ArcSwap<HashMap<ChannelId, Arc<ChannelMetrics>>>,
    samplers: Mutex<Vec<Sampler>>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::default();
        let families = Arc::new(Families::new(&mut registry));
        let version = families.version.with(&[env!("CARGO_PKG_VERSION")]);
        version.set(1.0);
        Self {
            registry,
            families,
            channels: ArcSwap::default(),
            samplers: Mutex::default(),
        }
    }
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Metrics({} channels)", self.channels.load().len())
    }
}

impl Metrics {
    /// All families.
    pub fn families(&self) -> &Families {
        &self.families
    }

    /// What is counted for `channel`, which this node has; begun if it is new.
    pub fn open_channel(&self, channel: &ChannelId) -> Arc<ChannelMetrics> {
        if let Some(known) = self.channel(channel.as_str()) {
            return known;
        }
        self.channels.rcu(|channels| {
            let mut channels = HashMap::clone(channels);
            channels.entry(channel.clone()).or_insert_with(|| {
                Arc::new(ChannelMetrics::new(channel.clone(), Arc::clone(&self.families)))
            });
            channels
        });
        let channels = self.channels.load();
        let opened = channels.get(channel).map(Arc::clone);
        // Forgotten again at this very moment: then nobody is shown it.
        opened.unwrap_or_else(|| Arc::new(ChannelMetrics::new(channel.clone(), Arc::clone(&self.families))))
    }

    /// What is counted for the channel of this name, if this node has it. Takes no lock.
    pub fn channel(&self, channel: &str) -> Option<Arc<ChannelMetrics>> {
        self.channels.load().get(channel).map(Arc::clone)
    }

    /// Takes away the series of a channel that is no longer here, for good: what still counts into them is not shown.
    pub fn forget_channel(&self, channel: &ChannelId) {
        let forgotten = self.channel(channel.as_str());
        self.channels.rcu(|channels| {
            let mut channels = HashMap::clone(channels);
            channels.remove(channel);
            channels
        });
        if let Some(forgotten) = forgotten {
            forgotten.end(|| self.registry.forget_channel(channel.as_str()));
        }
    }

    /// Counts envelopes of a type that got an answer other than SUCCESS.
    pub fn answered(&self, channel: &str, kind: MessageType, status: Status) -> Answers {
        if let Some(channel) = self.channel(channel) {
            return channel.answered(kind, status);
        }
        let labels = [channel::UNKNOWN, kind.name(), status.as_str_name()];
        let broadcast = &self.families.broadcast;
        Answers {
            processed: broadcast.processed.with(&labels),
            validate: broadcast.validate.with(&labels),
            enqueue: broadcast.enqueue.with(&labels),
        }
    }

    /// Counts an envelope that was refused, in a word.
    pub fn refused(&self, channel: &str, reason: &'static str) {
        match self.channel(channel) {
            Some(channel) => channel.refused(reason),
            None => self
                .families
                .ours
                .path
                .refused
                .with(&[channel::UNKNOWN, reason])
                .inc(),
        }
    }

    /// Has `sampler` called before anything is shown: it reads state into gauges, quickly.
    pub fn sample_with(&self, sampler: impl Fn(&Self) + Send + Sync + 'static) {
        self.samplers.lock().push(Box::new(sampler));
    }

    /// Everything as it is now. Reads the state of all channels, disks and the process: not for a task that must not
    /// wait.
    pub fn collect(&self) -> Vec<Collected> {
        for sampler in &*self.samplers.lock() {
            sampler(self);
        }
        process::sample(&self.families.process);
        self.registry.collect()
    }

    /// Everything as Prometheus reads it: the type of the content, and the content. As [`collect`](Self::collect).
    pub fn render(&self) -> (&'static str, Bytes) {
        (text::CONTENT_TYPE, Bytes::from(text::encode(&self.collect())))
    }

    /// Names, kinds and meanings of all families, whether they have series now or not.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }
}

#[cfg(test)]
mod tests;
