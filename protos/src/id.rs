//! Typed ids. Two numbers that differ by one, or two strings that look alike, never mix by accident.

use std::fmt;
use std::sync::Arc;

use sha2::{Digest, Sha256};

/// Longest channel name and config key, in bytes (`docs/spec/rules.md` §5).
pub const NAME_BYTES_MAX: usize = 249;

/// Name of a channel: 1 to 249 bytes, a lower-case letter, then `[a-z0-9.-]` (`docs/spec/rules.md` §5).
///
/// Parsed once, at the edge; cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChannelId(Arc<str>);

/// Why a text is no [`ChannelId`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChannelIdError {
    /// Nothing was given.
    #[error("channel ID illegal, cannot be empty")]
    Empty,
    /// More than [`NAME_BYTES_MAX`] bytes.
    #[error("channel ID illegal, cannot be longer than {NAME_BYTES_MAX} bytes, got {bytes}")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// A character outside the allowed set, or a first one that is no lower-case letter.
    #[error("'{name}' contains illegal characters")]
    IllegalCharacters {
        /// The text as given.
        name: String,
    },
}

impl ChannelId {
    /// Checks `name` against the rule of the type.
    pub fn parse(name: &str) -> Result<Self, ChannelIdError> {
        if name.is_empty() {
            return Err(ChannelIdError::Empty);
        }
        if name.len() > NAME_BYTES_MAX {
            return Err(ChannelIdError::TooLong { bytes: name.len() });
        }
        let rest = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'.' || b == b'-';
        let bytes = name.as_bytes();
        if !bytes[0].is_ascii_lowercase() || !bytes[1..].iter().all(|b| rest(*b)) {
            return Err(ChannelIdError::IllegalCharacters {
                name: name.to_owned(),
            });
        }
        Ok(Self(Arc::from(name)))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ChannelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ChannelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChannelId({})", self.0)
    }
}

impl AsRef<str> for ChannelId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl std::borrow::Borrow<str> for ChannelId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// Position of a block in its chain. The genesis block is 0.
///
/// Not a [`Height`]: a chain whose tip is `n` has height `n + 1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct BlockNumber(pub u64);

/// How many blocks a chain has; also the number of the block that comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Height(pub u64);

/// Config sequence of a channel: 0 in the genesis block, one more with each config block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ConfigSeq(pub u64);

/// A consenter's number in its channel (raft node id, or BFT identifier). Never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConsenterId(pub u64);

impl BlockNumber {
    /// The genesis block.
    pub const GENESIS: Self = Self(0);

    /// The block after this one. Saturates at `u64::MAX`, which no chain reaches.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl Height {
    /// A chain without a block.
    pub const EMPTY: Self = Self(0);

    /// The newest block, if there is one.
    pub fn tip(self) -> Option<BlockNumber> {
        self.0.checked_sub(1).map(BlockNumber)
    }

    /// The number the next block gets.
    pub fn next_number(self) -> BlockNumber {
        BlockNumber(self.0)
    }

    /// The height of a chain whose newest block is `tip`. Saturates at `u64::MAX`.
    pub fn of_tip(tip: BlockNumber) -> Self {
        Self(tip.0.saturating_add(1))
    }
}

macro_rules! displays_its_number {
    ($($name:ident),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )*};
}
displays_its_number!(BlockNumber, Height, ConfigSeq, ConsenterId);

/// Transaction id: SHA-256 of nonce and creator, shown as lower-case hex (`docs/spec/rules.md` §3).
///
/// Clients compute it; an orderer does not check it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TxId([u8; 32]);

impl TxId {
    /// The id of an envelope with this signature header content.
    pub fn compute(nonce: &[u8], creator: &[u8]) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(nonce);
        hasher.update(creator);
        Self(hasher.finalize().into())
    }
}

impl fmt::Display for TxId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for TxId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TxId({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channel_ids_follow_the_rule() {
        for good in ["a", "raft-one", "ch.1-x", &"a".repeat(249)] {
            assert_eq!(ChannelId::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", "A", "1a", "-a", "a_b", "a B", "é", &"a".repeat(250)] {
            assert!(ChannelId::parse(bad).is_err(), "{bad:?} was accepted");
        }
    }

    #[test]
    fn height_and_tip_differ_by_one() {
        assert_eq!(Height::EMPTY.tip(), None);
        assert_eq!(Height(5).tip(), Some(BlockNumber(4)));
        assert_eq!(Height::of_tip(BlockNumber(4)), Height(5));
        assert_eq!(Height(5).next_number(), BlockNumber(5));
    }

    #[test]
    fn tx_id_is_lower_case_hex() {
        let text = TxId::compute(b"nonce", b"creator").to_string();
        assert_eq!(text.len(), 64);
        assert!(
            text.bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
        );
    }
}
