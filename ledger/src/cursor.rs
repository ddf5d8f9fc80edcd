//! What a seek request asks for, as steps: send block n, wait, end with a status. No IO, no clock.
//!
//! Source: `docs/spec/behaviour.md` §2.3 and `docs/spec/rules.md` §13. One difference: a stop position of
//! `NEXT_COMMIT` or without an alternative is refused as a bad request, where the reference follows for ever.

use protos::wire::orderer::seek_info::SeekBehavior;
use protos::wire::orderer::seek_position::Type as Position;
use protos::wire::orderer::{SeekInfo, SeekPosition};
use protos::{BlockNumber, Height};

/// How a seek request ends; the shell turns it into the status of the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeekStatus {
    /// The stop block was sent.
    Success,
    /// The request makes no sense.
    BadRequest,
    /// The start is beyond the chain, or a block is not there and the client does not want to wait.
    NotFound,
}

/// What to do next for a seek request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Step {
    /// Send this block, then step again.
    Send(BlockNumber),
    /// Step again when the height has grown.
    Wait,
    /// Send the status. Stepping again answers the same.
    End(SeekStatus),
}

/// One seek request under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    next: BlockNumber,
    stop: BlockNumber,
    waits: bool,
    ended: Option<SeekStatus>,
}

impl Cursor {
    /// Reads a request made at a chain of `height`. The error is the status that answers it.
    pub fn new(seek: &SeekInfo, height: Height) -> Result<Self, SeekStatus> {
        let (Some(start), Some(stop)) = (&seek.start, &seek.stop) else {
            return Err(SeekStatus::BadRequest);
        };
        let next = start_of(start, height)?;
        Ok(Self {
            next,
            stop: stop_of(stop, start, next, height)?,
            waits: seek.behavior != SeekBehavior::FailIfNotReady as i32,
            ended: None,
        })
    }

    /// The next thing to do at a chain of `height`, which never falls between two calls.
    pub fn step(&mut self, height: Height) -> Step {
        if let Some(status) = self.ended {
            return Step::End(status);
        }
        if self.next.0 >= height.0 {
            return if self.waits {
                Step::Wait
            } else {
                self.end(SeekStatus::NotFound)
            };
        }
        let number = self.next;
        self.next = number.next();
        // Equality and not order: a start beyond the stop follows for ever.
        if number == self.stop {
            self.ended = Some(SeekStatus::Success);
        }
        Step::Send(number)
    }

    /// The block that is sent next.
    pub fn next(&self) -> BlockNumber {
        self.next
    }

    /// The block that ends the request; it may lie before the start, and then nothing does.
    pub fn stop(&self) -> BlockNumber {
        self.stop
    }

    fn end(&mut self, status: SeekStatus) -> Step {
        self.ended = Some(status);
        Step::End(status)
    }
}

fn start_of(start: &SeekPosition, height: Height) -> Result<BlockNumber, SeekStatus> {
    match &start.r#type {
        Some(Position::Oldest(_)) => Ok(BlockNumber::GENESIS),
        Some(Position::Newest(_)) => Ok(height.tip().unwrap_or(BlockNumber::GENESIS)),
        Some(Position::NextCommit(_)) => Ok(height.next_number()),
        Some(Position::Specified(at)) if at.number <= height.0 => Ok(BlockNumber(at.number)),
        Some(Position::Specified(_)) | None => Err(SeekStatus::NotFound),
    }
}

fn stop_of(
    stop: &SeekPosition,
    start: &SeekPosition,
    first: BlockNumber,
    height: Height,
) -> Result<BlockNumber, SeekStatus> {
    match &stop.r#type {
        Some(Position::Oldest(_)) => Ok(first),
        Some(Position::Newest(_)) if stop == start => Ok(first),
        Some(Position::Newest(_)) => Ok(height.tip().unwrap_or(BlockNumber::GENESIS)),
        Some(Position::Specified(at)) if at.number >= first.0 => Ok(BlockNumber(at.number)),
        Some(Position::Specified(_) | Position::NextCommit(_)) | None => Err(SeekStatus::BadRequest),
    }
}

#[cfg(test)]
mod tests;
