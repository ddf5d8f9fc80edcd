//! `orderer.yaml` and `ORDERER_*` into one checked [`Config`].
//!
//! ```text
//! locate ──► file (YAML, line numbers) ─┐
//!                                       ├─► values (typed, by the table in `keys`) ──► assemble ──► Config
//! environment (ORDERER_*, *_FILE) ──────┘
//! ```
//!
//! | module | holds |
//! |---|---|
//! | [`keys`] | the table of every key: path, kind, default, whether it has an effect yet |
//! | [`locate`] | where the file is searched |
//! | [`file`] | YAML into (path, line, raw value) |
//! | `values` | file and environment merged, typed by the table |
//! | `likely` | what was probably meant by an unknown name |
//! | `kind` | one raw text into one typed value: Go durations, sizes, lists |
//! | [`cluster`] | the settings of orderers among themselves |
//! | [`metrics`] | where metrics go |
//! | `assemble` | typed values into [`Config`]; relations between keys |
//!
//! Names, defaults and the meaning of empty values are the reference's (`docs/spec/behaviour.md` §10.1, §10.2,
//! `docs/spec/dropin.md` §1.1). Better than the reference on purpose: an environment variable works whether or
//! not its section is in the file; admin and operations listen on loopback alone when no address is given; a REST
//! body may have 1 MiB when no limit is given; a mistyped key is named with its line and the key that was
//! probably meant.
//!
//! Nothing here opens the files that the keys name, except the `{File: path}` and `_FILE` forms, whose content
//! *is* the value.

mod assemble;
pub mod cluster;
mod error;
mod file;
pub mod keys;
mod kind;
mod likely;
mod locate;
pub mod metrics;
mod values;

#[cfg(test)]
mod sample;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use client::HostPort;

pub use cluster::{Backoff, CertificatePair, ClusterListener, ClusterSettings, Consensus, Replication};
pub use error::{ConfigError, Origin, Problem};
pub use kind::go_duration;
pub use locate::locate;
pub use metrics::{MetricsProvider, Statsd, StatsdNetwork};

/// The environment, as far as the configuration is concerned: name to value.
pub type Environment = BTreeMap<String, String>;

/// Everything the process reads from `orderer.yaml` and `ORDERER_*`, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The file the settings were read from.
    pub file: PathBuf,
    /// Section `General`.
    pub general: General,
    /// Section `FileLedger`.
    pub ledger: FileLedger,
    /// Section `Consensus`.
    pub consensus: Consensus,
    /// Section `Admin`.
    pub admin: Admin,
    /// Section `Operations`.
    pub operations: Operations,
    /// Section `Metrics`.
    pub metrics: MetricsProvider,
    /// Section `ChannelParticipation`.
    pub participation: ChannelParticipation,
    /// Section `Debug`.
    pub debug: Debug,
    /// The whole table, in its order, without secrets.
    pub effective: Vec<Effective>,
    /// What the operator should know: keys without effect, TLS that is off.
    pub warnings: Vec<String>,
}

/// One setting in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effective {
    /// Its key.
    pub key: &'static str,
    /// Its value in the notation of the file; `(secret)` where it is one.
    pub value: String,
    /// Where it came from.
    pub origin: Origin,
}

/// `Key = value`.
impl fmt::Display for Effective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {}", self.key, self.value)
    }
}

/// Section `General`: the client-facing listener and the node's identity.
#[derive(Clone, Debug, PartialEq)]
pub struct General {
    /// Where Broadcast and Deliver are served. Default `127.0.0.1:7050`.
    pub listen: Listen,
    /// TLS of that listener; none: plain.
    pub tls: Option<ServerTls>,
    /// HTTP/2 pings of that listener.
    pub keepalive: Keepalive,
    /// Bound on a TLS handshake. Default 5 s.
    pub connection_timeout: Duration,
    /// Largest gRPC message taken, in bytes. Default 100 MiB.
    pub recv_bytes_max: usize,
    /// Folder with this node's certificate and key. Default `msp` beside the file.
    pub local_msp_dir: PathBuf,
    /// Its organisation. Default `SampleOrg`.
    pub local_msp_id: String,
    /// Where and how the signing key is held.
    pub bccsp: Bccsp,
    /// Checks on the age of requests and identities.
    pub authentication: Authentication,
    /// What SUCCESS means to a Broadcast client. Default [`Acknowledge::Accepted`].
    pub acknowledge: Acknowledge,
    /// What each client may send; none: as much as it likes.
    pub throttling: Option<Throttling>,
    /// What each listener lets in.
    pub limits: Limits,
    /// When intake stops for lack of room on the disk; none: when the disk is full.
    pub disk_guard: Option<DiskGuard>,
    /// How often certificates, keys and authorities are looked at for changes; none: only on SIGHUP. Default 10 s.
    pub cert_reload_interval: Option<Duration>,
    /// How long a submission waits for a leader before it is refused; none: as the channel's election timeouts say.
    pub leader_wait: Option<Duration>,
    /// Section `Cluster`: this node among the orderers.
    pub cluster: ClusterSettings,
    /// Section `Tracing`: none unless an endpoint is set.
    pub tracing: Option<Tracing>,
}

/// Section `General.Tracing`: where the way of single envelopes is told.
#[derive(Clone, Debug, PartialEq)]
pub struct Tracing {
    /// `http://HOST:PORT/PATH` of a collector that takes OTLP over HTTP in JSON; the path is `/v1/traces` if none is given.
    pub endpoint: http::Uri,
    /// The share of envelopes that is followed, 0 to 1. Default 0.01.
    pub sample_ratio: f64,
}

/// Host and port to listen on. An empty host means every interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// Name or address; empty: every interface.
    pub host: String,
    /// TCP port; 0: one the system picks.
    pub port: u16,
}

/// TLS of one listener: where its files are, and what it asks of clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerTls {
    /// PEM file with the private key (PKCS#8, SEC1 or PKCS#1).
    pub private_key: PathBuf,
    /// PEM file with the certificate, intermediates after it.
    pub certificate: PathBuf,
    /// PEM files that this node trusts as a client of others.
    pub root_cas: Vec<PathBuf>,
    /// Whether a client without a verified certificate is turned away in the handshake.
    pub client_auth_required: bool,
    /// PEM files of the authorities a client certificate is verified against.
    pub client_root_cas: Vec<PathBuf>,
    /// How far handshakes look back in time; revives expired certificates. Default 0.
    pub handshake_time_shift: Duration,
}

/// HTTP/2 keepalive of the client-facing listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keepalive {
    /// Clients should not ping more often than this. Default 60 s.
    pub server_interval_min: Duration,
    /// The server pings an idle connection after this. Default 2 h.
    pub server_interval: Duration,
    /// And closes it when no answer comes within this. Default 20 s.
    pub server_timeout: Duration,
}

/// Section `General.Throttling` with a `Rate`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Throttling {
    /// Envelopes a second that this node takes of all clients together, shared out among them; above 0.
    pub rate: u64,
    /// A client that sent nothing for so long has no share any more. Default 5 s.
    pub inactivity_timeout: Duration,
}

/// Section `General.Limits`, of each listener by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections that are served. Default 10,000.
    pub connections: usize,
    /// Handshakes under way; further connections wait in the system's queue. Default 1024.
    pub handshakes: usize,
    /// Calls under way on one connection. Default 1024.
    pub streams_per_connection: u32,
    /// How long a client may take for the head of a request, once it has begun it. Default 10 s.
    pub header_time: Duration,
}

/// Section `General.DiskGuard` with a `MinFree` above 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskGuard {
    /// Intake stops when a file system with data of this node has less room than this, in bytes. Default 100 MB.
    pub min_free_bytes: u64,
    /// And goes on when all have this much again. Default half as much again as the least.
    pub resume_free_bytes: u64,
    /// How often the file systems are looked at. Default 1 s.
    pub interval: Duration,
}

/// Software key store (`General.BCCSP` with `Default: SW`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bccsp {
    /// `SHA2` or `SHA3`.
    pub hash: String,
    /// 256 or 384.
    pub security_bits: u32,
    /// Folder with private keys; none: `<LocalMSPDir>/keystore`.
    pub key_store: Option<PathBuf>,
}

/// Checks on the age of requests and identities.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authentication {
    /// How far a Deliver request's timestamp may be from ours. Default 15 min.
    pub time_window: Duration,
    /// Accept expired enrolment certificates, to repair a channel. Default false.
    pub no_expiration_checks: bool,
}

/// When Broadcast answers SUCCESS; also the default of each stream (metadata `x-acknowledge` overrides it).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Acknowledge {
    /// Once the envelope is taken for ordering: what the reference does.
    #[default]
    Accepted,
    /// Once its block is durable on this node and committed by the quorum.
    Committed,
}

/// Section `FileLedger`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileLedger {
    /// Data folder; made at start, parents included.
    pub location: PathBuf,
}

/// Section `Admin`: the listener of the channel participation API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admin {
    /// Default `127.0.0.1:9443`.
    pub listen: Listen,
    /// With TLS a verified client certificate is always required; none: plain and open to whoever reaches it.
    pub tls: Option<ServerTls>,
}

/// Section `Operations`: the listener of probes, logging spec and metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operations {
    /// Default `127.0.0.1:0`, a port that the system picks.
    pub listen: Listen,
    /// With TLS a client certificate is verified where one is shown; none: plain, and open to whoever reaches it.
    pub tls: Option<ServerTls>,
}

/// Section `ChannelParticipation`. The API is always on, whatever `Enabled` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelParticipation {
    /// Largest REST request body, in bytes. Default 1 MiB.
    pub request_body_bytes_max: usize,
}

/// Section `Debug`: folders where each request is kept as a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Debug {
    /// Envelopes sent to Broadcast; none: they are not kept.
    pub broadcast_trace: Option<PathBuf>,
    /// Requests to Deliver.
    pub deliver_trace: Option<PathBuf>,
}

impl Config {
    /// Reads `file`, lays the `ORDERER_*` variables of `environment` over it, and checks everything.
    pub fn read(file: &Path, environment: &Environment) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(file).map_err(|source| ConfigError::Unreadable {
            file: file.to_owned(),
            source,
        })?;
        let mut config = Self::parse(file, &text, environment)?;
        config.warnings.extend(locate::elsewhere(file, environment));
        Ok(config)
    }

    /// As [`read`](Self::read), with the file's text already at hand. `file` names it in messages and is where
    /// relative paths start from.
    pub fn parse(file: &Path, text: &str, environment: &Environment) -> Result<Self, ConfigError> {
        let settings = file::settings(file, text)?;
        let values =
            values::resolve(file, settings, environment).map_err(|problems| ConfigError::Invalid {
                file: file.to_owned(),
                problems,
            })?;
        assemble::config(file, &values).map_err(|problems| ConfigError::Invalid {
            file: file.to_owned(),
            problems,
        })
    }
}

impl Listen {
    /// Splits `host:port`; `[::1]:7050` and `:7050` (every interface) are fine.
    pub fn parse(text: &str) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        let bare = host
            .strip_prefix('[')
            .map_or(Some(host), |rest| rest.strip_suffix(']'))?;
        if bare.contains(':') && bare.len() == host.len() {
            return None; // an IPv6 address needs its brackets, else the port is a guess
        }
        Some(Self {
            host: bare.to_owned(),
            port: port.parse().ok()?,
        })
    }

    /// Whether only this machine can reach it.
    pub fn is_loopback(&self) -> bool {
        let address: Result<std::net::IpAddr, _> = self.host.parse();
        address.map_or(self.host == "localhost", |address| address.is_loopback())
    }

    /// Host and port as the system's resolver takes them.
    pub fn target(&self) -> (&str, u16) {
        let host = if self.host.is_empty() { "::" } else { &self.host };
        (host, self.port)
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", HostPort(&self.host, self.port))
    }
}
