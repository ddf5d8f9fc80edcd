//! What this node needs to ask other orderers for blocks: its identity, what it shows in TLS, its bounds.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use client::tls::{ClientCertificate, ClientTls, TlsError};
use client::{Connection, Target};
use configtx::identity::SigningIdentity;
use parking_lot::Mutex;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use super::endpoints::Endpoint;
use super::plan::{Limits, Trouble};
use crate::config::General;

/// How often the others are asked for their heights while one source is followed.
const COMPARE_PAUSE: Duration = Duration::from_secs(10);
/// Largest block that is taken, in bytes: what gRPC takes.
const BLOCK_BYTES_MAX: usize = 100 << 20;

/// One for a node; its channels share it.
#[derive(Debug)]
pub struct Puller {
    identity: Arc<SigningIdentity>,
    /// Whose files are read; none speaks plain text.
    settings: Option<General>,
    tls: ArcSwapOption<PullTls>,
    limits: Limits,
    /// Connections for what needs little: heights, and streams that follow. Whole ranges get connections of their
    /// own, so that one channel whose disk is slow does not hold up the others.
    shared: Mutex<BTreeMap<String, Connection>>,
}

/// What this node shows and trusts when it calls other orderers.
#[derive(Clone, Debug)]
struct PullTls {
    certificate: Bytes,
    key: Bytes,
    /// Trusted beside the authorities of the channel.
    authorities: Vec<Bytes>,
    shift: Duration,
    /// What this node's own listeners show.
    own: Vec<Bytes>,
}

/// Why a node cannot pull blocks.
#[derive(Debug, thiserror::Error)]
pub enum PullerError {
    /// A file cannot be read.
    #[error("cannot read {}: {source}", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The certificate and key for calls to other orderers are no good.
    #[error("{} and {}: {source}", certificate.display(), key.display())]
    Pair {
        /// `General.Cluster.ClientCertificate`, or `General.TLS.Certificate`.
        certificate: PathBuf,
        /// Its key.
        key: PathBuf,
        /// What is wrong.
        source: TlsError,
    },
}

impl Puller {
    /// Reads the files that the settings name. Without `General.TLS` and without a client certificate for the cluster
    /// the node speaks plain text.
    pub fn load(general: &General, identity: Arc<SigningIdentity>) -> Result<Self, PullerError> {
        let replication = &general.cluster.replication;
        let limits = Limits {
            buffer_bytes: replication.buffer_bytes,
            block_bytes_max: BLOCK_BYTES_MAX,
            pull_timeout: replication.pull_timeout,
            retry_pause: replication.retry_timeout,
            compare_pause: COMPARE_PAUSE,
        };
        let puller = Self {
            settings: Some(general.clone()),
            ..Self::plain(identity, limits)
        };
        puller.reload()?;
        Ok(puller)
    }

    /// Reads the files again; connections from now on use them. After an error all stays as it was.
    pub fn reload(&self) -> Result<(), PullerError> {
        if let Some(general) = &self.settings {
            self.tls.store(PullTls::load(general)?.map(Arc::new));
            self.shared.lock().clear();
        }
        Ok(())
    }

    /// Speaks plain text.
    pub(crate) fn plain(identity: Arc<SigningIdentity>, limits: Limits) -> Self {
        Self {
            identity,
            settings: None,
            tls: ArcSwapOption::empty(),
            limits,
            shared: Mutex::default(),
        }
    }

    /// Bounds of every plan.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// Who signs requests.
    pub fn identity(&self) -> &Arc<SigningIdentity> {
        &self.identity
    }

    /// Dials `endpoint`.
    pub(super) async fn connect(&self, endpoint: &Endpoint) -> Result<Connection, Trouble> {
        let unreachable = |error: &dyn std::fmt::Display| Trouble::Unreachable(error.to_string());
        let shown = self.tls.load_full();
        let tls = shown.as_ref().map(|tls| tls.towards(endpoint)).transpose();
        let target = Target {
            address: endpoint.address.clone(),
            tls: tls.map_err(|error| unreachable(&error))?,
        };
        let connection = target.connect().await.map_err(|error| unreachable(&error))?;
        let is_own = |tls: &PullTls| {
            tls.own
                .iter()
                .any(|own| connection.server_certificate() == Some(own))
        };
        if shown.as_deref().is_some_and(is_own) {
            return Err(Trouble::Itself);
        }
        Ok(connection)
    }

    /// A connection that may be in use by other channels.
    pub(super) async fn connect_shared(&self, endpoint: &Endpoint) -> Result<Connection, Trouble> {
        let key = key(endpoint);
        let known = self.shared.lock().get(&key).cloned();
        if let Some(connection) = known {
            return Ok(connection);
        }
        let connection = self.connect(endpoint).await?;
        self.shared.lock().insert(key, connection.clone());
        Ok(connection)
    }

    /// Nobody new uses the shared connection any more: it failed.
    pub(super) fn forget_shared(&self, endpoint: &Endpoint) {
        self.shared.lock().remove(&key(endpoint));
    }
}

/// Address and authorities: one address may stand in several channels with different ones.
fn key(endpoint: &Endpoint) -> String {
    use sha2::{Digest as _, Sha256};
    let authorities = endpoint.authorities.iter().fold(Sha256::new(), |hash, der| {
        hash.chain_update(der.len().to_be_bytes()).chain_update(der)
    });
    format!("{} {:x?}", endpoint.address, &authorities.finalize()[..])
}

impl PullTls {
    fn load(general: &General) -> Result<Option<Self>, PullerError> {
        let Some(pair) = &general.cluster.client else {
            return Ok(None);
        };
        let (certificate, key) = (read(&pair.certificate)?, read(&pair.private_key)?);
        let shown = ClientCertificate {
            certificate: &certificate,
            key: &key,
        };
        ClientTls::for_authorities([], Some(shown)).map_err(|source| PullerError::Pair {
            certificate: pair.certificate.clone(),
            key: pair.private_key.clone(),
            source,
        })?;
        let mut authorities = Vec::new();
        for file in &general.cluster.root_cas {
            let text = read(file)?;
            let found = CertificateDer::pem_slice_iter(&text).filter_map(Result::ok);
            authorities.extend(found.map(|der| Bytes::copy_from_slice(&der)));
        }
        let mut own = Vec::new();
        let cluster = general.cluster.listener.as_ref().map(|listener| &listener.tls);
        for tls in general.tls.iter().chain(cluster) {
            let der = CertificateDer::from_pem_slice(&read(&tls.certificate)?).ok();
            own.extend(der.map(|der| Bytes::copy_from_slice(&der)));
        }
        Ok(Some(Self {
            certificate,
            key,
            authorities,
            shift: general.cluster.handshake_time_shift,
            own,
        }))
    }

    fn towards(&self, endpoint: &Endpoint) -> Result<ClientTls, TlsError> {
        let authorities = endpoint.authorities.iter().chain(&self.authorities);
        let shown = ClientCertificate {
            certificate: &self.certificate,
            key: &self.key,
        };
        let tls = ClientTls::for_authorities(authorities.map(|der| &der[..]), Some(shown))?;
        Ok(tls.looking_back(self.shift))
    }
}

fn read(file: &Path) -> Result<Bytes, PullerError> {
    let read = std::fs::read(file).map(Bytes::from);
    read.map_err(|source| PullerError::Unreadable {
        file: file.to_owned(),
        source,
    })
}
