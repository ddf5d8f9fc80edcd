//! Which families there are.
//!
//! | module | holds |
//! |---|---|
//! | [`mod@reference`] | those of the reference, since dashboards and alerts are written for them |
//! | [`ours`] | those that begin with `ordain_` |
//! | [`protection`] | of these, what is turned away |
//!
//! The page `docs/operating/metrics.md` says what to alarm on.

pub mod ours;
pub mod protection;
pub mod reference;

use super::family::Family;
use super::grpc::Grpc;
use super::instrument::Gauge;
use super::process::Process;
use super::registry::Registry;
use ours::Ours;
use protection::Protection;
use reference::{Broadcast, Cluster, Consensus, Deliver, Ledger, Logging, Participation};

const CHANNEL: &[&str] = &["channel"];

/// All families of a node.
pub struct Families {
    /// Envelopes that clients send.
    pub broadcast: Broadcast,
    /// Blocks that clients fetch.
    pub deliver: Deliver,
    /// gRPC calls and connections.
    pub grpc: Grpc,
    /// Orderers among themselves.
    pub cluster: Cluster,
    /// Ordering.
    pub consensus: Consensus,
    /// Blocks on disk.
    pub ledger: Ledger,
    /// What this node does on each channel.
    pub participation: Participation,
    /// The log of the process.
    pub logging: Logging,
    /// The process.
    pub process: Process,
    /// The version, as a label.
    pub version: Family<Gauge>,
    /// What the reference does not have.
    pub ours: Ours,
    /// What was turned away.
    pub protection: Protection,
}

impl Families {
    /// Registers all of them.
    pub fn new(registry: &mut Registry) -> Self {
        Self {
            broadcast: Broadcast::new(registry),
            deliver: Deliver::new(registry),
            grpc: Grpc::new(registry),
            cluster: Cluster::new(registry),
            consensus: Consensus::new(registry),
            ledger: Ledger::new(registry),
            participation: Participation::new(registry),
            logging: Logging::new(registry),
            process: Process::new(registry),
            version: registry.gauges(
                "fabric_version",
                "Always 1; the label is the version of this program.",
                &["version"],
            ),
            ours: Ours::new(registry),
            protection: Protection::new(registry),
        }
    }
}
