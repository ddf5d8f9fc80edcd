//! Wire types, byte-exact hashing and typed ids.
//!
//! | module | holds |
//! |---|---|
//! | [`wire`] | the generated messages, one module a protobuf package |
//! | [`id`] | [`ChannelId`], [`BlockNumber`], [`Height`], [`ConfigSeq`], [`ConsenterId`], [`TxId`] |
//! | [`block`] | header bytes and hashes, data hash, metadata slots, [`SealedBlock`] |
//! | [`block_file`] | blocks as a row of records: the reference's block files, our portable copies |
//! | [`envelope`] | [`Envelope`]: one block entry with its size; opening one into its headers |
//!
//! Everything here is a pure function of bytes. What is hashed or signed is always the bytes that were
//! received, never an encoding made from decoded fields: prost drops unknown fields, so a round trip may
//! change them.
//!
//! Not here: sockets, files, clocks, signatures, policies.

pub mod block;
pub mod block_file;
pub mod envelope;
pub mod id;
pub mod wire;

pub use block::SealedBlock;
pub use envelope::Envelope;
pub use id::{BlockNumber, ChannelId, ConfigSeq, ConsenterId, Height, TxId};
