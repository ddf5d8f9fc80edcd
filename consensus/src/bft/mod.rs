//! BFT: what a BFT channel's config must be. This build checks such configs and does not run such channels.
//!
//! | module | holds |
//! |---|---|
//! | [`validator`] | [`BftValidator`]: the consenter's part of a config |

pub mod validator;

pub use validator::{BftMetadataError, BftValidator};
