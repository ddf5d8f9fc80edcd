//! The ordering service: `Manager`, `ChainSupport`, front end and the `orderer` binary.
//!
//! ```text
//! client ──gRPC──> codec ──> broadcast ──> processor (verify_pool) ──> multichannel: Chain ──> ledger
//!                     └────> deliver <────────────────────────────────────────────── reader ┘
//! operator ─REST─> admin ──> multichannel: Manager
//!          ─HTTP─> operations (before the Manager is there, and after it has gone)
//! ```
//!
//! | module | holds |
//! |---|---|
//! | [`config`] | `orderer.yaml` and `ORDERER_*` into one checked configuration |
//! | [`config_check`] | what is in force, and whether the node would start with it |
//! | [`server`] | wiring: from a configuration to a node that serves |
//! | [`signals`] | what the process does when a signal comes |
//! | [`shutdown`] | the order of stopping |
//! | [`report`] | what runs in the process: threads and tasks, for the log |
//! | [`trace`] | requests kept as files, where that is asked for |
//! | [`telemetry`] | the way of single envelopes, told to an OpenTelemetry collector |
//! | [`tls`] | the server side of TLS |
//! | [`codec`] | gRPC messages in and out, without copies |
//! | [`broadcast`], [`deliver`] | the two calls of clients |
//! | [`cluster`] | orderers among themselves: messages of their chains |
//! | [`processor`] | what an envelope must be before it is ordered |
//! | [`verify_pool`] | threads for what costs processor time |
//! | [`multichannel`] | Manager, channels, what a channel lends to its chain |
//! | [`catchup`] | blocks that the node lacks, from the other orderers |
//! | [`onboarding`] | channels of which this node is no consenter |
//! | [`admin`] | channel participation over REST |
//! | [`doctor`] | what is wrong with this node, and what to do |
//! | [`operations`] | health, readiness, logging spec, metrics and version over HTTP |
//! | [`throttle`] | clients that send more than their share are held back |
//! | [`disk_guard`] | intake stops before a disk is full |
//! | [`reload`] | certificates and keys are read again when their files change |
//! | [`expiry`] | when certificates expire, and early words about it |
//! | [`local_msp`] | this node's certificate and key |
//! | [`file_modes`] | who may look at what the process writes |
//! | [`foreign`] | folders of a reference orderer, which are refused |
//! | [`ledger_tools`] | `orderer ledger`: checks, copies and restores what is on the disk |
//! | [`open_files`] | how many files the process may have open |
//! | [`metrics`] | what the node counts and measures, for Prometheus and statsd |
//! | [`logging`] | log lines as operators know them |
//!
//! Kept here: what was acknowledged is never lost, and one bad channel never takes the process down.
//!
//! Not here: how envelopes are ordered (`consensus`), stored (`ledger`), or what a config means (`configtx`).

pub mod admin;
pub mod broadcast;
pub mod catchup;
pub mod cluster;
pub mod codec;
pub mod config;
pub mod config_check;
pub mod deliver;
pub mod disk_guard;
pub mod doctor;
pub mod expiry;
pub mod file_modes;
pub mod foreign;
pub mod ledger_tools;
pub mod local_msp;
pub mod logging;
pub mod metrics;
pub mod multichannel;
pub mod onboarding;
pub mod open_files;
pub mod operations;
pub mod processor;
pub mod quickstart;
pub mod reload;
pub mod report;
pub mod server;
pub mod shutdown;
pub mod signals;
pub mod telemetry;
pub mod throttle;
pub mod tls;
pub mod trace;
pub mod verify_pool;

#[cfg(test)]
mod testing;
