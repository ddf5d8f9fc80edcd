//! One connection to one peer for one kind of message, made anew whenever it breaks.
//!
//! ```text
//! lanes that ask ──> waiting ──first──> dialling ──ok──> serving: one stream for each lane
//!                                        ^   │failed             │ broken, or this node's certificate changed
//!                                        └ pause (or a sign of life from the peer) <┘
//! ```
//!
//! All of it is one task: connection, streams and pings. With 500 channels that is one task for 500 streams.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use h2::{Ping, PingPong};
use http::Uri;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::LOGGER;
use super::backoff::Pauses;
use super::client_tls::ClientTls;
use super::counters::Counters;
use super::dial::{self, Bounds, DialError, Dialled, Target};
use super::expiry::Expiry;
use super::lane::Lane;
use super::said::Said;
use super::stream;
use crate::config::Backoff;
use crate::metrics::{Gauge, Metrics};

/// Pause between pings of a connection, and how long an answer may take. The reference's own; its servers hang up
/// on who pings more often.
const PING_PAUSE: Duration = Duration::from_mins(1);
const PING_TIME_MAX: Duration = Duration::from_secs(20);
/// A peer that is restarting is not worth a word.
const QUIET_TIME: Duration = Duration::from_secs(1);
/// A peer with another key than the channel's config has for it needs another config, which makes another link, or a
/// restart, after which it calls us. Each attempt leaves a line in its log.
const OTHER_KEY_PAUSE: Duration = Duration::from_secs(10);
/// How long a connection that takes no streams is listened to for the reason.
const LAST_WORDS_TIME: Duration = Duration::from_millis(20);
/// The same trouble is told once within this.
const SAID_TIME: Duration = Duration::from_mins(1);

/// Bounds and pauses of outgoing connections and streams.
#[derive(Clone, Copy, Debug)]
pub(super) struct LinkSettings {
    pub(super) dial_timeout: Duration,
    pub(super) rpc_timeout: Duration,
    pub(super) backoff: Backoff,
}

/// What outgoing connections are made with; none while the authorities are not known, or without a certificate.
pub(super) type CurrentTls = watch::Receiver<Option<Arc<ClientTls>>>;

/// What the link's task shares with its lanes.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) target: Target,
    pub(super) authority: Uri,
    pub(super) settings: LinkSettings,
    pub(super) counters: Arc<Counters>,
    pub(super) said: Arc<Said>,
    /// The last attempt to connect failed.
    pub(super) is_down: AtomicBool,
    expiry: Arc<Expiry>,
    pub(super) metrics: Arc<Metrics>,
    /// Connections that are open, of all links.
    connections: Gauge,
    asking: mpsc::UnboundedSender<Arc<Lane>>,
    /// The peer was heard of: the pause before the next attempt to connect ends.
    sign_of_life: Notify,
    /// When the peer was last heard of; streams that it has ended are tried again then.
    heard: watch::Sender<Option<Instant>>,
}

/// One connection, as long as this lives.
#[derive(Debug)]
pub(super) struct Link {
    shared: Arc<Shared>,
    task: AbortHandle,
}

/// What links of one node have in common.
#[derive(Clone, Debug)]
pub(super) struct LinkParts {
    pub(super) settings: LinkSettings,
    pub(super) counters: Arc<Counters>,
    pub(super) said: Arc<Said>,
    pub(super) expiry: Arc<Expiry>,
    pub(super) tls: CurrentTls,
    pub(super) metrics: Arc<Metrics>,
}

impl Link {
    /// Connects nowhere before a lane asks. Must be called within a `tokio` runtime.
    pub(super) fn new(target: Target, parts: LinkParts) -> Self {
        let (asking, asked) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared {
            authority: authority(&target),
            target,
            settings: parts.settings,
            counters: parts.counters,
            said: parts.said,
            is_down: AtomicBool::new(false),
            expiry: parts.expiry,
            connections: parts.metrics.families().cluster.connections.clone(),
            metrics: parts.metrics,
            asking,
            sign_of_life: Notify::new(),
            heard: watch::Sender::new(None),
        });
        let running = Running {
            shared: Arc::clone(&shared),
            tls: parts.tls,
            asked,
            lanes: Vec::new(),
            pauses: Pauses::new(parts.settings.backoff),
            failing_since: None,
        };
        Self {
            shared,
            task: tokio::spawn(running.run()).abort_handle(),
        }
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// The peer was heard of.
    pub(super) fn wake(&self) {
        if self.shared.is_down.load(Ordering::Relaxed) {
            self.shared.sign_of_life.notify_one();
        }
        self.shared.heard.send_replace(Some(Instant::now()));
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    /// Makes the link serve `lane` from now on.
    pub(super) fn ask(&self, lane: Arc<Lane>) {
        // Fails only when the link is gone, and then the lane is closed.
        let _ = self.asking.send(lane);
    }

    /// Tells when the peer was heard of last.
    pub(super) fn heard(&self) -> watch::Receiver<Option<Instant>> {
        self.heard.subscribe()
    }
}

/// `https://host:port`; a host that cannot stand there is not verified either, so nothing is ever sent to it.
fn authority(target: &Target) -> Uri {
    let parsed = Uri::builder()
        .scheme("https")
        .authority(target.to_string())
        .path_and_query("/");
    parsed.build().unwrap_or_default()
}

/// The link's task.
struct Running {
    shared: Arc<Shared>,
    tls: CurrentTls,
    asked: mpsc::UnboundedReceiver<Arc<Lane>>,
    /// Those that asked.
    lanes: Vec<Arc<Lane>>,
    pauses: Pauses,
    /// The first of the attempts that failed in a row.
    failing_since: Option<Instant>,
}

impl Running {
    async fn run(mut self) {
        let Some(first) = self.asked.recv().await else {
            return;
        };
        self.lanes.push(first);
        loop {
            let Some(tls) = self.current_tls().await else {
                return;
            };
            match self.dial(&tls).await {
                Ok(dialled) => self.serve(dialled, &tls).await,
                Err(pause_min) => self.pause(pause_min).await,
            }
        }
    }

    /// Waits until there is something to connect with; none when the node is gone.
    async fn current_tls(&mut self) -> Option<Arc<ClientTls>> {
        let current = self.tls.wait_for(Option::is_some).await.ok()?;
        current.clone()
    }

    /// The error is how long to wait at least before the next attempt.
    async fn dial(&mut self, tls: &ClientTls) -> Result<Dialled, Duration> {
        let shared = Arc::clone(&self.shared);
        let bounds = Bounds {
            dial: shared.settings.dial_timeout,
            unacknowledged: shared.settings.rpc_timeout,
        };
        match dial::dial(&shared.target, tls, bounds).await {
            Ok(dialled) => {
                shared.counters.count_connection();
                shared.is_down.store(false, Ordering::Relaxed);
                Ok(dialled)
            }
            Err(error) => {
                self.note_failure(&error.to_string());
                let is_other = matches!(error, DialError::OtherKey { .. });
                Err(if is_other { OTHER_KEY_PAUSE } else { Duration::ZERO })
            }
        }
    }

    /// The connection has lasted for a while.
    fn note_success(&mut self) {
        self.pauses.reset();
        let after = self.failing_since.take().map(|since| since.elapsed());
        if let Some(after) = after.filter(|after| *after >= 2 * QUIET_TIME) {
            self.tell_reached(after);
        }
    }

    fn tell_reached(&self, after: Duration) {
        let text = format!("Connected to {} again", self.shared.target);
        if self.is_news(&text, QUIET_TIME) {
            tracing::info!(target: LOGGER, "{text}, after {after:.1?}");
        }
    }

    fn note_failure(&mut self, reason: &str) {
        let since = *self.failing_since.get_or_insert_with(Instant::now);
        self.shared.is_down.store(true, Ordering::Relaxed);
        self.lanes.retain(|lane| !lane.is_closed());
        self.lanes.iter().for_each(|lane| lane.unreachable());
        if since.elapsed() >= QUIET_TIME && self.is_news(reason, SAID_TIME) {
            tracing::warn!(target: LOGGER, "Peer is not reached: {reason}");
        } else {
            tracing::debug!(target: LOGGER, "Peer is not reached: {reason}");
        }
    }

    fn is_news(&self, text: &str, time: Duration) -> bool {
        self.shared.said.is_news(text, time, std::time::Instant::now())
    }

    async fn pause(&mut self, pause_min: Duration) {
        let pause = self.pauses.next().max(pause_min);
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = self.shared.sign_of_life.notified() => {}
        }
        while let Ok(lane) = self.asked.try_recv() {
            self.lanes.push(lane);
        }
    }

    /// Until the connection breaks, or must be made anew.
    async fn serve(&mut self, dialled: Dialled, tls: &ClientTls) {
        let began = Instant::now();
        let counted = self.shared.connections.count_one();
        let reason = self.use_connection(dialled, tls).await;
        drop(counted);
        self.lanes.retain(|lane| !lane.is_closed());
        self.lanes.iter().for_each(|lane| lane.ended(false));
        if began.elapsed() >= QUIET_TIME {
            tracing::debug!(target: LOGGER, "Connection to {} ended: {reason}", self.shared.target);
            return;
        }
        // Whoever does not like our certificate hangs up only now. It must not be dialled in a tight loop.
        let target = &self.shared.target;
        self.note_failure(&format!("connection to {target} ended at once: {reason}"));
        self.pause(Duration::ZERO).await;
    }

    /// Serves the lanes; answers why the connection cannot be used any more.
    async fn use_connection(&mut self, dialled: Dialled, tls: &ClientTls) -> String {
        let Dialled {
            requests,
            mut connection,
            certificate,
        } = dialled;
        let shared = Arc::clone(&self.shared);
        let pings = keep_alive(connection.ping_pong(), || {
            if let Some(certificate) = &certificate {
                let whose = format!("server certificate of {}", shared.target);
                shared.expiry.check(certificate, &whose);
            }
        });
        let mut pings = pin!(pings);
        let mut connection = pin!(connection);
        let mut renewed = pin!(renewed(self.tls.clone(), tls));
        let mut lasting = pin!(tokio::time::sleep(QUIET_TIME));
        let mut lasted = false;
        self.lanes.retain(|lane| !lane.is_closed());
        let serve = |lane: Arc<Lane>| stream::serve(lane, requests.clone(), Arc::clone(&shared));
        let mut streams: FuturesUnordered<_> = self.lanes.iter().cloned().map(serve).collect();
        loop {
            tokio::select! {
                ended = connection.as_mut() => return match ended {
                    Ok(()) => "it was closed".to_owned(),
                    Err(error) => error.to_string(),
                },
                () = pings.as_mut() => return format!("no answer to a ping within {PING_TIME_MAX:?}"),
                () = renewed.as_mut() => return "this node has another TLS certificate now".to_owned(),
                () = lasting.as_mut(), if !lasted => {
                    lasted = true;
                    self.note_success();
                }
                Some(lane) = self.asked.recv() => {
                    self.lanes.push(Arc::clone(&lane));
                    streams.push(serve(lane));
                }
                Some(ended) = streams.next() => {
                    self.lanes.retain(|lane| !lane.is_closed());
                    if ended.is_err() {
                        break;
                    }
                }
            }
        }
        // What is wrong with the connection, it says itself in a moment.
        match tokio::time::timeout(LAST_WORDS_TIME, connection.as_mut()).await {
            Ok(Err(error)) => error.to_string(),
            _ => "it takes no more streams".to_owned(),
        }
    }
}

/// Ready when a ping is not answered in time. `each_time` is called about once a minute, and at the start.
async fn keep_alive(ping_pong: Option<PingPong>, each_time: impl Fn()) {
    let Some(mut ping_pong) = ping_pong else {
        return std::future::pending().await; // h2 hands it out once, and this is the once
    };
    loop {
        each_time();
        tokio::time::sleep(PING_PAUSE).await;
        let pong = tokio::time::timeout(PING_TIME_MAX, ping_pong.ping(Ping::opaque()));
        match pong.await {
            Ok(Ok(_)) => {}
            // The connection itself says what is wrong with it.
            Ok(Err(_)) => return std::future::pending().await,
            Err(_) => return,
        }
    }
}

/// Ready when this node shows another certificate than `shown` from now on.
async fn renewed(mut current: CurrentTls, shown: &ClientTls) {
    let is_other = |tls: &Option<Arc<ClientTls>>| tls.as_ref().is_some_and(|tls| !tls.shows_the_same(shown));
    if current.wait_for(is_other).await.is_err() {
        std::future::pending::<()>().await;
    }
}
