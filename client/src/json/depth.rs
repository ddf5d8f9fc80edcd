//! How deep a message may go.

use super::error::Reason;
use super::{DEPTH_MAX, LAYER_DEPTH_MAX};

/// What is left on the way down. A layer is what one run of a protobuf reader sees: opaque bytes begin a new one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Depth {
    all: usize,
    layer: usize,
}

impl Depth {
    /// At the root.
    pub(super) fn full() -> Self {
        Self {
            all: DEPTH_MAX,
            layer: LAYER_DEPTH_MAX,
        }
    }

    /// One message further down, in the same layer.
    pub(super) fn below(self) -> Result<Self, Reason> {
        Ok(Self {
            all: self.all.checked_sub(1).ok_or(Reason::TooDeep)?,
            layer: self.layer.checked_sub(1).ok_or(Reason::TooDeep)?,
        })
    }

    /// In a message that lies in a field's bytes.
    pub(super) fn inside(self) -> Result<Self, Reason> {
        Ok(Self {
            all: self.all.checked_sub(1).ok_or(Reason::TooDeep)?,
            layer: LAYER_DEPTH_MAX,
        })
    }
}
