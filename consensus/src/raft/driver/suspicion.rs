//! A member that hears of no leader for long asks others for the newest config: it may have been removed while it was
//! down, and then nobody would tell it (`docs/spec/behaviour.md` §5.7).

use std::time::Duration;

use configtx::Bundle;
use configtx::consensus_metadata::{Consenters, consenters_of};
use protos::BlockNumber;
use protos::wire::common::Block;
use tokio::time::Instant;

use super::Driver;
use crate::raft::core::Event;

/// Between two checks, at most.
const CHECK_INTERVAL_MAX: Duration = Duration::from_secs(10);

/// Since when there is no leader, and when that was looked at last.
#[derive(Debug)]
pub(super) struct Suspicion {
    after: Duration,
    leaderless_since: Option<Instant>,
    checked_at: Option<Instant>,
    is_evicted: bool,
}

impl Suspicion {
    /// One that comes `after` so long without a leader.
    pub(super) fn new(after: Duration) -> Self {
        Self {
            after,
            leaderless_since: None,
            checked_at: None,
            is_evicted: false,
        }
    }

    /// True once it has come true: nothing more is heard, and so nothing more is written.
    pub(super) fn is_evicted(&self) -> bool {
        self.is_evicted
    }

    /// Says whether there is a leader now.
    pub(super) fn leader_is_known(&mut self, is_known: bool) {
        if is_known {
            self.leaderless_since = None;
        } else {
            self.leaderless_since.get_or_insert_with(Instant::now);
        }
    }

    /// For how long there has been no leader.
    pub(super) fn leaderless_for(&self) -> Duration {
        self.leaderless_since
            .map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// If it is time for a check: for how long there was no leader.
    fn due(&mut self) -> Option<Duration> {
        let leaderless = self.leaderless_since?.elapsed();
        let every = CHECK_INTERVAL_MAX.min(self.after / 2);
        let is_checked = self.checked_at.is_some_and(|at| at.elapsed() < every);
        if self.is_evicted || leaderless < self.after || is_checked {
            return None;
        }
        self.checked_at = Some(Instant::now());
        Some(leaderless)
    }
}

impl Driver {
    pub(super) fn suspect_eviction(&mut self) {
        if let Some(leaderless) = self.suspicion.due() {
            self.notices.suspecting_eviction(leaderless);
            self.asking.ask_for_newest_config();
        }
    }

    /// Compares the newest config of the others with what this node is.
    pub(super) fn judge_eviction(&mut self, config: Option<Block>) {
        let Some(block) = config.filter(|_| self.suspicion.leaderless_since.is_some()) else {
            return; // nobody answered, or somebody leads again
        };
        let number = BlockNumber(block.header.as_ref().map_or(0, |header| header.number));
        match self.lists_this_node(&block) {
            Ok(true) if number.0 >= self.support.height().0 => {
                self.notices.still_member(number);
                self.step(Event::Behind { through: number });
            }
            Ok(true) => self.notices.still_member(number),
            Ok(false) if self.asking.is_pulling() || !self.writing.is_empty() => {} // at the next check
            Ok(false) => {
                self.suspicion.is_evicted = true;
                self.notices.evicted(number);
                self.asking.pull_to_eviction(number);
            }
            Err(reason) => self.notices.unusable_config(number, &reason),
        }
    }

    fn lists_this_node(&self, block: &Block) -> Result<bool, String> {
        let bundle = Bundle::from_block(block).map_err(|error| error.to_string())?;
        match consenters_of(bundle.orderer()).map_err(|error| error.to_string())? {
            Consenters::Raft(consenters) => Ok(self.support.own_place(&consenters).is_some()),
            // What becomes of the channel then is decided once that block is here.
            Consenters::Solo | Consenters::Bft(_) => Ok(true),
        }
    }
}
