//! HTTP/2 connections of clients that ping too often, or never finish the head of a request.
//!
//! ```text
//! bytes in ──> frames (pure) ──> ping: is it too soon? (pure) ──┐
//!                 └────────────> is a head owed? for how long? ─┴─> GOAWAY, then the end of the connection
//! bytes out ─> frames (pure) ──> replies: pings are in order again
//! ```
//!
//! The library for HTTP/2 answers pings by itself and tells nobody, and it waits without end for the preface and for
//! heads that were begun. So the bytes are looked at on their way; they are not changed. What is looked at are nine
//! bytes of each frame.
//!
//! | module | holds |
//! |---|---|
//! | [`frames`] | where frames begin and end, and which they are; pure |
//! | [`pings`] | when pings come too often; pure |
//! | [`connection`] | [`Guarded`]: the bytes of a connection, watched |

pub mod connection;
pub mod frames;
pub mod pings;

use std::time::Duration;

use crate::metrics::Counter;

pub use connection::Guarded;

/// What a client may do on a connection.
#[derive(Clone, Debug)]
pub struct Manners {
    /// Pings may come this often (`General.Keepalive.ServerMinInterval`).
    pub ping_interval_min: Duration,
    /// The preface must have come within this (`General.ConnectionTimeout`).
    pub preface_time: Duration,
    /// A head that was begun must end within this (`General.Limits.HeaderTime`).
    pub header_time: Duration,
    /// Connections ended for pings.
    pub pinged: Counter,
    /// Connections ended for heads.
    pub slow: Counter,
}
