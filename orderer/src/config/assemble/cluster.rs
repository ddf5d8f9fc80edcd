//! `General.Cluster`, `General.Backoff` and `Consensus`, with the relations between their keys
//! (`docs/spec/behaviour.md` §10.2).

use std::path::PathBuf;
use std::time::Duration;

use super::Assembly;
use crate::config::cluster::{
    Backoff, CertificatePair, ClusterListener, ClusterSettings, Consensus, Replication,
};
use crate::config::{FileLedger, Listen, ServerTls};

/// What a listener for orderers alone takes; all of them or none.
const LISTENER_KEYS: [&str; 4] = [
    "General.Cluster.ListenAddress",
    "General.Cluster.ListenPort",
    "General.Cluster.ServerCertificate",
    "General.Cluster.ServerPrivateKey",
];

/// What this node shows to others; both or none.
const CLIENT_KEYS: [&str; 2] = [
    "General.Cluster.ClientCertificate",
    "General.Cluster.ClientPrivateKey",
];

/// Defaults of gRPC, and of the other two keys where one of the three is set.
const BACKOFF: Backoff = Backoff {
    base: Duration::from_secs(1),
    multiplier: 1.6,
    max: Duration::from_mins(2),
};

impl Assembly<'_> {
    /// `general` is TLS of the general listener.
    pub(super) fn cluster(&mut self, general: Option<&ServerTls>) -> ClusterSettings {
        let listener = self.cluster_listener();
        let client = self.cluster_client(listener.is_some(), general);
        let shift_of = if listener.is_some() {
            "General.Cluster.TLSHandshakeTimeShift"
        } else {
            "General.TLS.TLSHandshakeTimeShift"
        };
        ClusterSettings {
            listener,
            client,
            root_cas: self.paths("General.Cluster.RootCAs"),
            handshake_time_shift: self.values.duration(shift_of),
            send_buffer_messages: self.bytes("General.Cluster.SendBufferSize"),
            dial_timeout: self.values.duration("General.Cluster.DialTimeout"),
            rpc_timeout: self.values.duration("General.Cluster.RPCTimeout"),
            replication: Replication {
                buffer_bytes: self.bytes("General.Cluster.ReplicationBufferSize"),
                pull_timeout: self.values.duration("General.Cluster.ReplicationPullTimeout"),
                retry_timeout: self.values.duration("General.Cluster.ReplicationRetryTimeout"),
            },
            certificate_warning_time: self
                .values
                .duration("General.Cluster.CertExpirationWarningThreshold"),
            backoff: self.backoff(),
        }
    }

    fn cluster_listener(&mut self) -> Option<ClusterListener> {
        let lacking: Vec<&str> = LISTENER_KEYS
            .into_iter()
            .filter(|key| !self.is_set(key))
            .collect();
        if lacking.len() == LISTENER_KEYS.len() {
            return None;
        }
        if !lacking.is_empty() {
            let origin = LISTENER_KEYS.into_iter().find(|key| self.is_set(key));
            let what = format!(
                "a cluster listener takes all four of {}; not set: {}",
                LISTENER_KEYS.join(", "),
                lacking.join(", ")
            );
            self.problem(origin.unwrap_or(LISTENER_KEYS[0]), what);
        }
        Some(ClusterListener {
            listen: self.host_and_port("General.Cluster.ListenAddress", "General.Cluster.ListenPort"),
            tls: ServerTls {
                private_key: PathBuf::from(self.values.text("General.Cluster.ServerPrivateKey")),
                certificate: PathBuf::from(self.values.text("General.Cluster.ServerCertificate")),
                root_cas: Vec::new(),
                client_auth_required: true,
                client_root_cas: self.paths("General.Cluster.RootCAs"),
                handshake_time_shift: self.values.duration("General.Cluster.TLSHandshakeTimeShift"),
            },
        })
    }

    /// The reference would dial in plain text where these are not set beside a listener of its own; nobody could
    /// know such a caller.
    fn cluster_client(&mut self, own_listener: bool, general: Option<&ServerTls>) -> Option<CertificatePair> {
        let lacking: Vec<&str> = CLIENT_KEYS.into_iter().filter(|key| !self.is_set(key)).collect();
        match lacking.as_slice() {
            [] => Some(CertificatePair {
                certificate: PathBuf::from(self.values.text(CLIENT_KEYS[0])),
                private_key: PathBuf::from(self.values.text(CLIENT_KEYS[1])),
            }),
            [one] => {
                let other = CLIENT_KEYS.into_iter().find(|key| key != one);
                let other = other.unwrap_or(CLIENT_KEYS[0]);
                self.problem(other, format!("{other} is set, but {one} is not"));
                None
            }
            _ if own_listener => {
                let what = format!(
                    "with a cluster listener, {} must be set as well: it is what this node shows where it calls \
                     other orderers",
                    CLIENT_KEYS.join(" and ")
                );
                self.problem(LISTENER_KEYS[0], what);
                None
            }
            _ => general.map(|tls| CertificatePair {
                certificate: tls.certificate.clone(),
                private_key: tls.private_key.clone(),
            }),
        }
    }

    /// A host alone, the port has a key of its own.
    pub(super) fn host_and_port(&mut self, address: &'static str, port: &'static str) -> Listen {
        let host = self.values.text(address);
        let bare = host
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
            .unwrap_or(host);
        if Listen::parse(host).is_some() {
            self.problem(
                address,
                format!("{address} is '{host}', but the port belongs into {port}"),
            );
        }
        Listen {
            host: bare.to_owned(),
            port: u16::try_from(self.values.number(port)).unwrap_or_default(),
        }
    }

    fn backoff(&mut self) -> Backoff {
        let base = self.values.duration("General.Backoff.BaseDelay");
        let multiplier = self.values.decimal("General.Backoff.Multiplier");
        let max = self.values.duration("General.Backoff.MaxDelay");
        if multiplier != 0.0 && multiplier < 1.0 {
            let what = format!("General.Backoff.Multiplier is {multiplier}, but pauses must not get shorter");
            self.problem("General.Backoff.Multiplier", what);
        }
        Backoff {
            base: if base.is_zero() { BACKOFF.base } else { base },
            multiplier: multiplier_or_default(multiplier),
            max: if max.is_zero() { BACKOFF.max } else { max },
        }
    }

    /// Both folders have a place below the blocks where the file names none: relative to the working directory, as
    /// in the reference, they would be lost with the next start from elsewhere.
    pub(super) fn consensus(&mut self, ledger: &FileLedger) -> Consensus {
        let values = self.values;
        let folder = |key: &str, default: &str| match values.text(key) {
            "" => ledger.location.join("etcdraft").join(default),
            written => PathBuf::from(written),
        };
        let (wal_dir, snap_dir) = (
            folder("Consensus.WALDir", "wal"),
            folder("Consensus.SnapDir", "snapshot"),
        );
        if wal_dir == snap_dir {
            let what = format!(
                "Consensus.WALDir and Consensus.SnapDir are both {}, but each takes a folder of its own",
                wal_dir.display()
            );
            self.problem("Consensus.SnapDir", what);
        }
        let tick = values.duration_if_set("Consensus.TickIntervalOverride");
        Consensus {
            wal_dir,
            snap_dir,
            eviction_suspicion: values.duration("Consensus.EvictionSuspicion"),
            tick_override: tick.filter(|tick| !tick.is_zero()),
        }
    }

    /// Text that is not empty, or a number that is not 0.
    fn is_set(&self, key: &str) -> bool {
        !self.values.text(key).is_empty() || self.values.number(key) != 0
    }
}

/// 0 is what an absent key reads as.
fn multiplier_or_default(multiplier: f64) -> f64 {
    if multiplier == 0.0 {
        BACKOFF.multiplier
    } else {
        multiplier
    }
}
