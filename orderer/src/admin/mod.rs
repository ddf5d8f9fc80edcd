//! The admin listener: channel participation over REST (`docs/spec/behaviour.md` §8, `docs/spec/dropin.md` §3).
//!
//! ```text
//! TLS Incoming ─► server (one HTTP/1.1 task a connection) ─► routes ─► Registrar (the Manager, or a fake)
//!                                                            │  form: one file part of a multipart body
//!                                                            └─ reply: JSON as Go writes it, headers, errors
//! ```
//!
//! | module | holds |
//! |---|---|
//! | [`registrar`] | what the API asks of the channels, and the ways that can fail |
//! | [`routes`] | paths, methods, the order of checks |
//! | [`form`] | the multipart body of a join or an update |
//! | [`reply`] | statuses, headers and JSON texts |
//! | [`server`] | connections, time limits, end |
//!
//! Better than the reference on purpose: a bad block id is answered once, not twice; block id `-1` is refused
//! instead of meaning the newest; nothing a request does can keep a lock.
//!
//! Not here: who may call (the listener's TLS decides), and what a join or an update does.

pub mod form;
pub mod registrar;
pub mod reply;
pub mod routes;
pub mod server;

#[cfg(test)]
mod tests;

pub use registrar::{
    BlockChoice, ChannelInfo, ConsensusInfo, FetchError, JoinError, Registrar, Relation, RemoveError, Status,
    UpdateError,
};
pub(crate) use reply::no_such_path;
pub use routes::router;
pub(crate) use routes::with_request_id;
pub use server::serve;
