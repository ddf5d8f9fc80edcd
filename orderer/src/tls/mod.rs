//! The server side of TLS: one acceptor for every listener of the node.
//!
//! ```text
//! TcpListener ─► Incoming ─► handshake tasks (bounded, each with a time limit) ─► Connection + Peer ─► tonic, hyper
//!                                  │ reads
//!                              Acceptor: swappable rustls configuration, `reload()` from its files
//! ```
//!
//! | module | holds |
//! |---|---|
//! | [`acceptor`] | [`Acceptor`]: files to rustls configuration, reload, one handshake |
//! | [`clients`] | the three ways to look at a client's certificate |
//! | [`connection`] | [`Connection`] and [`Peer`], what handlers learn about the other side |
//! | [`incoming`] | [`Incoming`]: the accept loop |
//!
//! TLS 1.2 and 1.3; keys are ECDSA, Ed25519 or RSA. Rules: `docs/spec/dropin.md` §1.2.
//! Sessions are not resumed: a resumed one would skip the check of the client's certificate.
//!
//! Not here: outgoing connections, and what a certificate is allowed to do.

pub mod acceptor;
pub mod clients;
pub mod connection;
pub(crate) mod files;
pub mod incoming;

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

use client::tls::pair_fault;

pub use acceptor::Acceptor;
pub(crate) use acceptor::{ShiftedClock, end_of};
pub use clients::ClientCertificates;
pub use connection::{Connection, Peer};
pub use incoming::{Bounds, Incoming, bind};

/// Why a listener's TLS files cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {}: {source}", .file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file is readable but has no such thing in it.
    #[error("{} holds no {what} in PEM form", .file.display())]
    Missing {
        /// The file.
        file: PathBuf,
        /// `certificate` or `private key`.
        what: &'static str,
    },
    /// PEM that does not decode.
    #[error("{}: {what}", .file.display())]
    Broken {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// Certificate and key do not belong together, or one is of a kind that TLS does not know.
    #[error("certificate {} with key {}: {}", .certificate.display(), .private_key.display(), pair_fault(.source))]
    Pair {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        private_key: PathBuf,
        /// What the TLS library said.
        source: rustls::Error,
    },
    /// Verified client certificates are demanded, but nothing to verify them with is named.
    #[error("client certificates are required, but no client root CA is configured: nobody could connect")]
    NoClientRoots,
    /// The authorities for client certificates cannot be used.
    #[error("client root CAs: {0}")]
    ClientRoots(String),
    /// The authorities for certificates of other orderers cannot be used.
    #[error("root CAs of other orderers: {0}")]
    ServerRoots(String),
}
