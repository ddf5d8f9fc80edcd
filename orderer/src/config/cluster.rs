//! What `orderer.yaml` says about orderers among themselves: `General.Cluster`, `General.Backoff`, `Consensus`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{General, Listen, ServerTls};

/// Section `General.Cluster`, with what it takes over from `General.TLS` and `General.Backoff`.
#[derive(Clone, Debug, PartialEq)]
pub struct ClusterSettings {
    /// A listener for other orderers alone; none: they come to the general one.
    pub listener: Option<ClusterListener>,
    /// What this node shows where it calls other orderers: `ClientCertificate` and `ClientPrivateKey`, else the pair
    /// of `General.TLS`. None: it cannot call anybody.
    pub client: Option<CertificatePair>,
    /// PEM files of authorities that orderers' certificates are verified against, beside those of the channels.
    pub root_cas: Vec<PathBuf>,
    /// How far outgoing handshakes look back in time: `Cluster.TLSHandshakeTimeShift` with a listener of its own,
    /// else that of `General.TLS`. Default 0.
    pub handshake_time_shift: Duration,
    /// Messages that may wait for one channel, peer and kind. Default 100.
    pub send_buffer_messages: usize,
    /// Bound on TCP and TLS of an outgoing connection. Default 5 s.
    pub dial_timeout: Duration,
    /// How long a message may wait for the other side to take it before its stream is given up. Default 7 s.
    pub rpc_timeout: Duration,
    /// How blocks are pulled from other orderers.
    pub replication: Replication,
    /// Certificates of others that expire within this are warned of. Default 168 h.
    pub certificate_warning_time: Duration,
    /// `General.Backoff`; none of its keys is set: the defaults of gRPC.
    pub backoff: Backoff,
}

/// A listener for other orderers alone. Client certificates are always required there.
#[derive(Clone, Debug, PartialEq)]
pub struct ClusterListener {
    /// `Cluster.ListenAddress` and `Cluster.ListenPort`.
    pub listen: Listen,
    /// `Cluster.ServerCertificate` and `Cluster.ServerPrivateKey`; the client authorities are `Cluster.RootCAs`.
    pub tls: ServerTls,
}

/// A certificate with its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificatePair {
    /// PEM file with the certificate, intermediates after it.
    pub certificate: PathBuf,
    /// PEM file with its private key (PKCS#8, SEC1 or PKCS#1).
    pub private_key: PathBuf,
}

/// How blocks are pulled from other orderers (`General.Cluster.Replication*`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replication {
    /// Bytes of blocks held between receiving and writing. Default 20 MiB.
    pub buffer_bytes: usize,
    /// How long one block may take to come. Default 5 s.
    pub pull_timeout: Duration,
    /// Pause before what failed is tried again. Default 5 s.
    pub retry_timeout: Duration,
}

/// Pauses between attempts to reach a peer (`General.Backoff`). The first attempts are quicker (`orderer::cluster`).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Backoff {
    /// The first pause. Default 1 s.
    pub base: Duration,
    /// Each pause is this much longer than the one before; at least 1. Default 1.6.
    pub multiplier: f64,
    /// No pause is longer. Default 2 min.
    pub max: Duration,
}

/// Section `Consensus`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consensus {
    /// Folder of the consenter's log; made at start, parents included. Default `etcdraft/wal` below
    /// `FileLedger.Location`.
    pub wal_dir: PathBuf,
    /// Folder of its checkpoints, one folder for each channel. Default `etcdraft/snapshot` below
    /// `FileLedger.Location`.
    pub snap_dir: PathBuf,
    /// How long a member without a leader waits before it asks others whether it was removed. Default 10 min.
    pub eviction_suspicion: Duration,
    /// Heartbeat tick in place of that of every channel's config.
    pub tick_override: Option<Duration>,
}

impl General {
    /// The certificate that other orderers see where they call this one, and by whose public key a channel's config
    /// lists this node; none without TLS: then the node cannot be a consenter of channels with several.
    pub fn cluster_server_certificate(&self) -> Option<&Path> {
        self.cluster_server_tls().map(|tls| tls.certificate.as_path())
    }

    /// TLS of the listener that other orderers call: their own, or the general one.
    pub fn cluster_server_tls(&self) -> Option<&ServerTls> {
        match &self.cluster.listener {
            Some(listener) => Some(&listener.tls),
            None => self.tls.as_ref(),
        }
    }

    /// What this node lacks to take part in channels with several consenters; none: nothing.
    pub fn lack_for_cluster(&self) -> Option<&'static str> {
        if self.cluster_server_tls().is_none() {
            return Some(
                "General.TLS.Enabled is false and there is no cluster listener of its own \
                 (General.Cluster.ListenAddress, ListenPort, ServerCertificate, ServerPrivateKey): orderers know each \
                 other by their TLS certificates",
            );
        }
        if self.cluster.client.is_none() {
            return Some(
                "General.Cluster.ClientCertificate and ClientPrivateKey are not set: orderers know each other by \
                 their TLS certificates",
            );
        }
        None
    }
}
