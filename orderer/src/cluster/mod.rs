//! Orderers among themselves: `orderer.Cluster/Step`, as client and as server (`docs/spec/behaviour.md` §6,
//! `docs/adr/018-one-connection-for-each-kind.md`).
//!
//! ```text
//! chain ─> Transport ─> lane: one bounded queue      link: one connection      ~~ TLS, key pinned ~~>  the other
//!                       for each channel, peer, ──>  for each peer and kind,                           node's ingress
//!                       kind                         one stream for each lane                          ─> its chain
//!
//! listener ─> ingress: the caller's key ─> directory: channel, consenter id ─> Receivers ─> Chain::receive
//! ```
//!
//! | module | holds |
//! |---|---|
//! | [`ingress`] | the service: each message authorised, counted and handed on |
//! | `directory` | who may call, for which channel, as whom |
//! | `transport` | one channel's peers and their lanes |
//! | `lane` | one bounded queue, and what becomes of it without a connection |
//! | `link` | one connection: dialled, served, dialled again |
//! | `stream` | one `Step` stream: capacity, stalls, the status at its end |
//! | `dial`, `client_tls` | TCP, TLS with the expected key, HTTP/2 |
//! | [`tls_key`] | by what orderers know each other |
//! | `message` | messages from and to the wire |
//! | `backoff` | pauses between attempts |
//! | `expiry`, `said`, [`counters`] | warnings, each once in a while; what was refused and dropped |
//!
//! Windows: our listeners let in 1 MiB on a stream and 8 MiB on a connection, so a stream that is not read holds up
//! none of the others. None is left unread for long: what a chain has no room for is dropped.
//!
//! Not here: what the messages mean (`consensus`), and pulling blocks.

mod backoff;
mod client_tls;
pub mod counters;
mod dial;
mod directory;
mod expiry;
pub mod ingress;
mod lane;
mod link;
mod message;
mod said;
mod stream;
pub mod tls_key;
mod transport;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};

use consensus::Transport;
use consensus::transport::MessageKind;
use parking_lot::{Mutex, RwLock};
use protos::ChannelId;
use rustls::pki_types::CertificateDer;
use tokio::sync::watch;

use crate::config::{CertificatePair, General};
use crate::metrics::Metrics;
use crate::tls::{TlsError, end_of, files};
use client_tls::ClientTls;
use dial::Target;
use directory::Directory;
use expiry::Expiry;
use link::{Link, LinkParts, LinkSettings};
use said::Said;
use transport::ChannelTransport;

pub use counters::{Counters, Refused};
pub use ingress::{Receivers, Step};
pub use tls_key::TlsKey;

/// Logger of this part; the name is the one operators know from the reference.
pub const LOGGER: &str = "orderer.common.cluster";

/// Path of the method.
pub const STEP: &str = "/orderer.Cluster/Step";

/// This node among the orderers.
pub struct Cluster {
    /// Why channels with several consenters cannot run here.
    lack: Option<&'static str>,
    files: Files,
    /// Public key of the certificate that others see where they call this node.
    own_key: RwLock<Option<TlsKey>>,
    tls: watch::Sender<Option<Arc<ClientTls>>>,
    /// The authorities of the channels; none before they were set. Also the lock around a change of `tls`.
    channel_roots: Mutex<Option<Vec<CertificateDer<'static>>>>,
    send_buffer_messages: usize,
    parts: LinkParts,
    directory: Directory,
    links: Mutex<BTreeMap<(Target, MessageKind), Weak<Link>>>,
    /// Numbers of transports.
    tokens: AtomicU64,
}

/// What is read at the start and again at each reload.
#[derive(Debug)]
struct Files {
    server_certificate: Option<PathBuf>,
    client: Option<CertificatePair>,
    root_cas: Vec<PathBuf>,
    time_shift: Duration,
}

impl Cluster {
    /// Reads the TLS files, and counts into `metrics`. Without TLS this works as well; then nobody is reached.
    ///
    /// Connections are made only after the authorities of the channels were
    /// [set](Self::set_channel_roots) for the first time.
    pub fn new(general: &General, metrics: Arc<Metrics>) -> Result<Arc<Self>, TlsError> {
        let settings = &general.cluster;
        let files = Files {
            server_certificate: general.cluster_server_certificate().map(PathBuf::from),
            client: settings.client.clone(),
            root_cas: settings.root_cas.clone(),
            time_shift: settings.handshake_time_shift,
        };
        // Read once now, so that a node with bad files does not start.
        files.client_tls(&[])?;
        let own_key = files.own_key()?;
        let tls = watch::Sender::new(None);
        let parts = LinkParts {
            settings: LinkSettings {
                dial_timeout: settings.dial_timeout,
                rpc_timeout: settings.rpc_timeout,
                backoff: settings.backoff,
            },
            counters: Arc::default(),
            said: Arc::default(),
            expiry: Arc::new(Expiry::new(settings.certificate_warning_time)),
            tls: tls.subscribe(),
            metrics,
        };
        Ok(Arc::new(Self {
            lack: general.lack_for_cluster(),
            files,
            own_key: RwLock::new(own_key),
            tls,
            channel_roots: Mutex::new(None),
            send_buffer_messages: settings.send_buffer_messages,
            parts,
            directory: Directory::default(),
            links: Mutex::default(),
            tokens: AtomicU64::new(0),
        }))
    }

    /// What this node lacks to take part in channels with several consenters, in words for an operator; none:
    /// nothing.
    pub fn lacks(&self) -> Option<&'static str> {
        self.lack
    }

    /// Whether a consenter with this server certificate (PEM) is this node: the public keys are the same
    /// (`docs/spec/rules.md` §12).
    pub fn is_self(&self, server_tls_cert: &[u8]) -> bool {
        let own = self.own_key.read();
        own.is_some() && TlsKey::of_pem(server_tls_cert).ok() == *own
    }

    /// A channel's way to its peers. When the last reference to it goes, its streams end, and calls for the channel
    /// are refused. [`Transport::set_peers`] must be called within a `tokio` runtime, which runs the connections.
    pub fn transport(self: &Arc<Self>, channel: &ChannelId) -> Arc<dyn Transport> {
        let token = self.tokens.fetch_add(1, Ordering::Relaxed);
        Arc::new(ChannelTransport::new(Arc::clone(self), channel.clone(), token))
    }

    /// Sets the authorities that other orderers' certificates are verified against beside those of
    /// `General.Cluster.RootCAs`: the TLS roots of the channels' organisations. Replaces those set before.
    ///
    /// On an error connections are made as before.
    pub fn set_channel_roots(&self, roots: Vec<CertificateDer<'static>>) -> Result<(), TlsError> {
        let mut held = self.channel_roots.lock();
        let tls = self.files.client_tls(&roots)?;
        *held = Some(roots);
        self.use_tls(tls);
        Ok(())
    }

    /// Reads the TLS files again. Connections are made anew if this node shows another certificate from now on.
    ///
    /// On an error everything stays as it was.
    pub fn reload(&self) -> Result<(), TlsError> {
        let held = self.channel_roots.lock();
        let own_key = self.files.own_key()?;
        let tls = self.files.client_tls(held.as_deref().unwrap_or_default())?;
        *self.own_key.write() = own_key;
        if held.is_some() {
            self.use_tls(tls);
        }
        Ok(())
    }

    fn use_tls(&self, tls: Option<ClientTls>) {
        if let Some(tls) = &tls {
            let whose = "this node's client certificate for other orderers";
            self.expiry().check(tls.certificate(), whose);
        }
        self.tls.send_replace(tls.map(Arc::new));
    }

    /// When the certificate ends that this node shows where it calls other orderers; none without one.
    pub fn certificate_end(&self) -> Option<SystemTime> {
        end_of(self.tls.borrow().as_ref()?.certificate())
    }

    /// What was refused and dropped.
    pub fn counters(&self) -> &Counters {
        &self.parts.counters
    }

    /// Where its messages and streams are counted.
    fn metrics(&self) -> &Arc<Metrics> {
        &self.parts.metrics
    }

    fn said(&self) -> &Said {
        &self.parts.said
    }

    fn expiry(&self) -> &Expiry {
        &self.parts.expiry
    }

    /// The connection to `target` for `kind`, shared by all channels.
    fn link(&self, target: &Target, kind: MessageKind) -> Arc<Link> {
        let mut links = self.links.lock();
        let place = (target.clone(), kind);
        if let Some(link) = links.get(&place).and_then(Weak::upgrade) {
            return link;
        }
        links.retain(|_, link| link.strong_count() > 0);
        let link = Arc::new(Link::new(target.clone(), self.parts.clone()));
        links.insert(place, Arc::downgrade(&link));
        link
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster")
            .field("lack", &self.lack)
            .finish_non_exhaustive()
    }
}

impl Files {
    fn own_key(&self) -> Result<Option<TlsKey>, TlsError> {
        let Some(file) = &self.server_certificate else {
            return Ok(None);
        };
        let chain = files::certificates(file)?;
        let key = chain.first().map(|leaf| TlsKey::of_der(leaf));
        key.transpose().map_err(|error| TlsError::Broken {
            file: file.clone(),
            what: error.to_string(),
        })
    }

    /// None without a certificate.
    fn client_tls(&self, channel_roots: &[CertificateDer<'static>]) -> Result<Option<ClientTls>, TlsError> {
        let Some(pair) = &self.client else {
            return Ok(None);
        };
        let mut roots = channel_roots.to_vec();
        for file in &self.root_cas {
            roots.extend(files::certificates(file)?);
        }
        ClientTls::read(pair, roots, self.time_shift).map(Some)
    }
}

#[cfg(test)]
mod tests;
