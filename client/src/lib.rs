//! Broadcast and deliver client, making of identities and genesis blocks, and the command line `ordain`.
//!
//! ```text
//! crypto ──> genesis ──> participation::join          a channel comes to life
//! connection_file ──> connection ──> broadcast        envelopes in
//!        └──> envelope (signs) ──┴──> deliver         blocks out
//! ```
//!
//! | module | holds |
//! |---|---|
//! | [`crypto`] | identities: organisations with authorities, nodes, users, as folders of files |
//! | [`msp_folder`] | an MSP folder as channel config or as signing identity |
//! | [`genesis`] | genesis blocks with built-in defaults |
//! | [`configtx_yaml`] | genesis blocks and organisations out of configtx.yaml |
//! | [`tls`], [`connection`] | TLS settings, addresses, HTTP/2 connections |
//! | [`connection_file`] | the JSON file that makes commands short |
//! | [`envelope`] | making and signing envelopes |
//! | [`broadcast`] | submitting them, many in flight |
//! | [`deliver`] | fetching and following blocks, resuming after breaks |
//! | [`backup`] | a copy of a channel's blocks in a file that is brought up to date |
//! | [`load`] | a measured load whose every acknowledged envelope is looked for in the blocks |
//! | [`verify`] | a chain's links, data hashes and signatures, checked block by block |
//! | [`json`] | messages as JSON, and back |
//! | [`yaml`] | YAML files as trees that know their lines |
//! | [`config_edit`] | changes to a channel's config, each a function |
//! | [`config_change`] | what an update changes, for people to read |
//! | [`config_update`] | updates made, signed, submitted, seen in a block |
//! | [`cli`] | the command line |
//! | [`participation`] | the admin API: join, list, info, update, remove |
//! | [`operations`] | the operations listener: readiness, version |
//! | [`status`] | how the nodes of a cluster stand, side by side |
//! | [`doctor`] | what is wrong with them, and what to do |
//!
//! Not here: anything of the server. Messages are sent and handed on as the bytes they are.

pub mod backup;
pub mod broadcast;
pub mod cli;
mod codec;
pub mod config_change;
pub mod config_edit;
pub mod config_update;
pub mod configtx_yaml;
pub mod connection;
pub mod connection_file;
pub mod crypto;
pub mod deliver;
pub mod doctor;
pub mod envelope;
#[cfg(test)]
mod fake_orderer;
pub mod genesis;
pub mod json;
pub mod load;
pub mod msp_folder;
pub mod operations;
pub mod participation;
pub mod status;
pub mod tls;
pub mod verify;
pub mod yaml;

pub use connection::{Address, Connection, HostPort, Target};
pub use connection_file::ConnectionFile;
