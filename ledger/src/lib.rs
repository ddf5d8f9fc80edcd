//! Append-only block store over a disk seam.
//!
//! ```text
//!            append, sync                      on_height
//! writer ---> BlockStore ---> segment files      ^
//!                  |  durable height, newest     |
//!                  v  blocks, places             |
//!               shared <-------------------- BlockReader ---> cursor steps ---> deliver streams
//!                  |
//!                  v  places in batches
//!                index (sled; only ever saves time)
//! ```
//!
//! | module | holds |
//! |---|---|
//! | [`disk`] | the seam to the disk: [`disk::Directory`], [`disk::File`]; the real and the simulated one |
//! | [`segment`] | rolling files of checksummed records; recovery after a crash |
//! | [`store`] | [`BlockStore`]: the one writer of a channel |
//! | [`reader`] | [`BlockReader`]: everybody else |
//! | [`index`] | number -> place |
//! | [`cursor`] | a deliver request as steps |
//! | [`notify`] | who is told of a new height |
//! | [`factory`] | [`LedgerFactory`]: the data folder, with all channels |
//! | [`inspect`] | reads a channel's folder to its end, whatever is damaged in it |
//! | [`foreign`] | tells data folders of the reference implementation |
//! | [`mod@reference`] | reads the block files of the reference implementation, for import |
//! | [`verify`] | checks a whole chain, for offline use |
//! | [`suite`] | the tests any disk must pass |
//!
//! What holds at any time, crash or not:
//!
//! - What [`BlockStore::sync`] has answered is there after any crash, and is what readers see at most.
//! - What is there is a chain without a gap: numbers follow each other and each block names the hash before it.
//! - A durable block that was changed on disk is an error with its place, and never silently cut off.
//! - One channel's error is that channel's alone.
//!
//! Not here: clocks, threads, async runtimes, signatures, and what is in a block beyond its header.

pub mod cursor;
pub mod disk;
pub mod factory;
pub mod foreign;
pub mod index;
pub mod inspect;
pub mod notify;
pub mod reader;
pub mod reference;
pub mod segment;
pub mod store;
pub mod suite;
pub mod verify;

mod cache;
mod places;

pub use cursor::{Cursor, SeekStatus, Step};
pub use factory::{
    FactoryError, First, ImportError, Incoming, IndexState, LedgerFactory, LedgerOptions, OpenError,
    RemoveError,
};
pub use inspect::{DamagedPart, Inspected, Inspection};
pub use notify::HeightWatcher;
pub use reader::{BlockReader, Blocks, ReadError};
pub use reference::{ReferenceBlocks, ReferenceError};
pub use segment::record::RecordFault;
pub use segment::recover::{Damage, TornTail};
pub use segment::{FolderFault, Place};
pub use store::{AppendError, BlockStore, Recovery, StoreError, SyncError, WriteError};
pub use verify::{VerifyError, verify_chain};
