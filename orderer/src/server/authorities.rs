//! The TLS authorities of the channels' organisations, for those that callers, and the called, are verified against.

use std::sync::Arc;

use rustls::pki_types::CertificateDer;

use super::LOGGER;
use crate::cluster::Cluster;
use crate::multichannel::manager::Manager;
use crate::tls::Acceptor;

/// Takes the authorities of the channels' organisations for those that callers, and the called, are verified against:
/// now, and whenever a config comes into force.
pub(super) fn start(manager: &Arc<Manager>, cluster: &Arc<Cluster>, acceptors: Vec<Acceptor>) {
    let mut configs = manager.node().configs.subscribe();
    configs.mark_unchanged();
    take(manager, cluster, &acceptors);
    // Whoever stops the node waits until nobody has the channels any more.
    let (manager, cluster) = (Arc::downgrade(manager), Arc::clone(cluster));
    tokio::spawn(async move {
        while configs.changed().await.is_ok() {
            let Some(manager) = manager.upgrade() else {
                return;
            };
            take(&manager, &cluster, &acceptors);
        }
    });
}

fn take(manager: &Manager, cluster: &Cluster, acceptors: &[Acceptor]) {
    let roots = manager.tls_authorities();
    let roots: Vec<_> = roots
        .iter()
        .map(|der| CertificateDer::from(der.to_vec()))
        .collect();
    let taken = acceptors
        .iter()
        .try_for_each(|acceptor| acceptor.set_channel_roots(roots.clone()))
        .and_then(|()| cluster.set_channel_roots(roots.clone()));
    if let Err(error) = taken {
        tracing::error!(target: LOGGER, "authorities of the channels stay as they were: {error}");
    }
}
