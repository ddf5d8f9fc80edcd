//! A few cores that pass their actions to each other by hand, in order: each test is one story.

mod world;

mod elections;
mod left;
mod logs;
mod membership;
mod ordering;
mod returning;

use crate::raft::log::LogState;
use protos::{BlockNumber, ConfigSeq, ConsenterId};
use world::*;
