//! What to ask for: positions, ranges, behaviour (`docs/spec/behaviour.md` §2.3).

use protos::BlockNumber;
use protos::wire::orderer::seek_info::{SeekBehavior, SeekContentType, SeekErrorResponse};
use protos::wire::orderer::{
    SeekInfo, SeekNewest, SeekNextCommit, SeekOldest, SeekPosition, SeekSpecified, seek_position,
};

/// A place in the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position {
    /// Block 0.
    Oldest,
    /// The newest block when the request is read.
    Newest,
    /// The block after the newest when the request is read. As a start only.
    NextCommit,
    /// This number.
    Number(BlockNumber),
}

impl Position {
    fn to_wire(self) -> SeekPosition {
        let kind = match self {
            Self::Oldest => seek_position::Type::Oldest(SeekOldest {}),
            Self::Newest => seek_position::Type::Newest(SeekNewest {}),
            Self::NextCommit => seek_position::Type::NextCommit(SeekNextCommit {}),
            Self::Number(BlockNumber(number)) => seek_position::Type::Specified(SeekSpecified { number }),
        };
        SeekPosition { r#type: Some(kind) }
    }
}

/// Which blocks to deliver, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seek {
    /// The first block.
    pub start: Position,
    /// The last block. None: follow for ever.
    pub stop: Option<Position>,
    /// A block that does not exist yet: true ends with `NOT_FOUND`, false waits for it.
    pub fail_if_missing: bool,
    /// Keep being served while the channel's consensus reports an error, from what the node has.
    pub best_effort: bool,
    /// Data blocks without their data; config blocks always come whole.
    pub headers_only: bool,
}

impl Seek {
    /// Everything from `start` on, for ever.
    pub fn follow(start: Position) -> Self {
        Self {
            start,
            stop: None,
            fail_if_missing: false,
            best_effort: false,
            headers_only: false,
        }
    }

    /// From `start` to `stop`, both included.
    pub fn range(start: Position, stop: Position) -> Self {
        Self {
            stop: Some(stop),
            ..Self::follow(start)
        }
    }

    /// The one block at `position`; an error if it does not exist.
    pub fn one(position: Position) -> Self {
        Self {
            fail_if_missing: true,
            ..Self::range(position, position)
        }
    }

    pub(super) fn to_wire(self) -> SeekInfo {
        let for_ever = Position::Number(BlockNumber(u64::MAX));
        let behavior = if self.fail_if_missing {
            SeekBehavior::FailIfNotReady
        } else {
            SeekBehavior::BlockUntilReady
        };
        let error_response = if self.best_effort {
            SeekErrorResponse::BestEffort
        } else {
            SeekErrorResponse::Strict
        };
        let content_type = if self.headers_only {
            SeekContentType::HeaderWithSig
        } else {
            SeekContentType::Block
        };
        SeekInfo {
            start: Some(self.start.to_wire()),
            stop: Some(self.stop.unwrap_or(for_ever).to_wire()),
            behavior: behavior as i32,
            error_response: error_response as i32,
            content_type: content_type as i32,
        }
    }
}
