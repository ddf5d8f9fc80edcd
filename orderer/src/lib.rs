//! The ordering service: `Manager`, `ChainSupport`, front end and the `orderer` binary.

pub mod admin;
pub mod config;
pub mod logging;
pub mod quickstart;
pub mod tls;
