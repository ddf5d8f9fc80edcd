//! Broadcast and deliver client, making of identities and genesis blocks, and the command line `ordain`.

pub mod crypto;
