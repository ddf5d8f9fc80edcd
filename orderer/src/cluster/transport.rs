//! One channel's way to its peers: a lane for each peer and kind.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use consensus::transport::{ClusterMessage, MessageKind, Peer, SendError, Transport};
use parking_lot::Mutex;
use protos::{ChannelId, ConsenterId};
use tokio::sync::watch;

use super::dial::Target;
use super::directory::{Caller, weak};
use super::lane::{Lane, SubmitStreams};
use super::link::Link;
use super::tls_key::{TlsKey, TlsKeyError, describe_pem};
use super::{Cluster, LOGGER};

/// In the order of their places in a [`Route`].
const KINDS: [MessageKind; 3] = [MessageKind::Heartbeat, MessageKind::Append, MessageKind::Submit];

/// One channel's transport. Dropping it ends its streams, and nobody may call for the channel any more.
pub(super) struct ChannelTransport {
    cluster: Arc<Cluster>,
    channel: ChannelId,
    /// Tells this one from others of the same channel, before and after it.
    token: u64,
    routes: Mutex<BTreeMap<ConsenterId, Route>>,
    submit_streams: SubmitStreams,
}

/// The way to one peer.
struct Route {
    target: Target,
    lanes: [Arc<Lane>; 3],
    /// Held, so that the connections stay.
    links: [Arc<Link>; 3],
}

impl ChannelTransport {
    pub(super) fn new(cluster: Arc<Cluster>, channel: ChannelId, token: u64) -> Self {
        Self {
            cluster,
            channel,
            token,
            routes: Mutex::default(),
            submit_streams: Arc::default(),
        }
    }

    /// The way to `peer`: the old one where it still leads there.
    fn route(&self, peer: &Peer, old: Option<Route>) -> Result<Route, TlsKeyError> {
        let target = Target {
            host: peer.host.clone(),
            port: peer.port,
            key: TlsKey::of_pem(&peer.server_tls_cert)?,
        };
        match old {
            Some(old) if old.target == target => Ok(old),
            Some(old) => {
                old.close();
                Ok(self.new_route(peer.id, target))
            }
            None => Ok(self.new_route(peer.id, target)),
        }
    }

    fn new_route(&self, to: ConsenterId, target: Target) -> Route {
        let links = KINDS.map(|kind| self.cluster.link(&target, kind));
        let lane = |at: usize| {
            Lane::new(
                self.channel.clone(),
                to,
                KINDS[at],
                self.cluster.send_buffer_messages,
                Arc::clone(links[at].shared()),
                Arc::clone(&self.submit_streams),
            )
        };
        let lanes = [lane(0), lane(1), lane(2)];
        // The first call of a node that starts also tells the other side that it may try again.
        lanes[0].ask();
        Route { target, lanes, links }
    }

    fn warn(&self, peer: &Peer, what: &str, error: &TlsKeyError) {
        tracing::warn!(
            target: LOGGER,
            "Consenter {} is left out: {what} TLS certificate in the channel config: {error} channel={}",
            peer.id,
            self.channel
        );
    }
}

impl Route {
    fn close(&self) {
        self.lanes.iter().for_each(|lane| lane.close());
    }
}

impl Transport for ChannelTransport {
    fn set_peers(&self, peers: Vec<Peer>) {
        let mut routes = self.routes.lock();
        let mut old = std::mem::take(&mut *routes);
        let mut callers = HashMap::new();
        for peer in peers {
            tracing::debug!(
                target: LOGGER,
                "Consenter {} is at {}:{}, calls as {} and answers as {} channel={}",
                peer.id,
                peer.host,
                peer.port,
                describe_pem(&peer.client_tls_cert),
                describe_pem(&peer.server_tls_cert),
                self.channel
            );
            let route = match self.route(&peer, old.remove(&peer.id)) {
                Ok(route) => routes.entry(peer.id).insert_entry(route),
                Err(error) => {
                    self.warn(&peer, "server", &error);
                    continue;
                }
            };
            match TlsKey::of_pem(&peer.client_tls_cert) {
                Ok(key) => {
                    let links = weak(&route.get().links);
                    callers.insert(key, Caller { id: peer.id, links });
                }
                Err(error) => self.warn(&peer, "client", &error),
            }
        }
        old.values().for_each(Route::close);
        self.cluster.directory.set(&self.channel, self.token, callers);
    }

    fn send(&self, to: ConsenterId, kind: MessageKind, message: ClusterMessage) -> Result<(), SendError> {
        let routes = self.routes.lock();
        let route = routes.get(&to).ok_or(SendError::UnknownPeer(to))?;
        let lane = match kind {
            MessageKind::Heartbeat => &route.lanes[0],
            MessageKind::Append => &route.lanes[1],
            MessageKind::Submit => &route.lanes[2],
        };
        lane.send(message)
    }

    fn forget_heartbeats(&self) {
        let routes = self.routes.lock();
        routes.values().for_each(|route| route.lanes[0].forget());
    }

    fn submit_streams(&self) -> watch::Receiver<BTreeMap<ConsenterId, u64>> {
        self.submit_streams.subscribe()
    }
}

impl Drop for ChannelTransport {
    fn drop(&mut self) {
        self.cluster.directory.remove(&self.channel, self.token);
        self.routes.get_mut().values().for_each(Route::close);
    }
}
