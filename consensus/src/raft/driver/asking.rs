//! What a driver asks of other orderers. Each question is a future of which at most one runs; its answer comes out of
//! [`Asking::answer`].

use std::sync::Arc;
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt};
use protos::wire::common::Block;
use protos::{BlockNumber, Height};
use tokio::time::sleep;

use crate::block_source::BlockSource;
use crate::raft::core::Event;
use crate::raft::notices::Notices;
use crate::raft::opening::{config_in_force, tip};
use crate::support::{ConsenterSupport, WriteError};

/// Between two rounds of asking whether the channel is new: it doubles from the first to the last.
const ASK_AGAIN_FIRST: Duration = Duration::from_millis(50);
const ASK_AGAIN_MAX: Duration = Duration::from_secs(4);

/// What came back.
#[derive(Debug)]
pub(super) enum Answer {
    /// This node and a majority are at height 1.
    IsNew,
    /// The blocks that the core wanted are there.
    CaughtUp(Result<(), WriteError>),
    /// The newest config block that others have, if one could be had.
    NewestConfig(Option<Block>),
    /// The ledger has the blocks up to the one that removed this node.
    PulledToEviction(Result<(), WriteError>),
}

/// The questions that are open.
pub(super) struct Asking {
    source: Arc<dyn BlockSource>,
    is_new: Option<BoxFuture<'static, Answer>>,
    blocks: Option<BoxFuture<'static, Answer>>,
    config: Option<BoxFuture<'static, Answer>>,
}

impl Asking {
    pub(super) fn new(source: Arc<dyn BlockSource>) -> Self {
        Self {
            source,
            is_new: None,
            blocks: None,
            config: None,
        }
    }

    /// Asks, again and again, whether a majority of `members` is at height 1; says so when it takes long.
    pub(super) fn ask_whether_new(&mut self, members: usize, notices: Notices) {
        let source = Arc::clone(&self.source);
        self.is_new = Some(
            async move {
                let mut pause = ASK_AGAIN_FIRST;
                loop {
                    let others = source.heights().await;
                    if is_new(&others, members) {
                        return Answer::IsNew;
                    }
                    if pause == ASK_AGAIN_MAX {
                        notices.asking_whether_new(&others, members);
                    }
                    sleep(pause).await;
                    pause = (2 * pause).min(ASK_AGAIN_MAX);
                }
            }
            .boxed(),
        );
    }

    /// No more of that.
    pub(super) fn stop_asking_whether_new(&mut self) {
        self.is_new = None;
    }

    /// Gets the blocks up to `through` into the ledger.
    pub(super) fn catch_up(&mut self, through: BlockNumber) {
        let caught_up = self.source.catch_up(through);
        self.blocks = Some(caught_up.map(Answer::CaughtUp).boxed());
    }

    /// The same, as the last thing that the chain does.
    pub(super) fn pull_to_eviction(&mut self, through: BlockNumber) {
        let pulled = self.source.catch_up(through);
        self.blocks = Some(pulled.map(Answer::PulledToEviction).boxed());
    }

    /// True while blocks are on their way.
    pub(super) fn is_pulling(&self) -> bool {
        self.blocks.is_some()
    }

    /// Asks for the newest config, unless that is being done.
    pub(super) fn ask_for_newest_config(&mut self) {
        let newest = || self.source.newest_config().map(Answer::NewestConfig).boxed();
        self.config.get_or_insert_with(newest);
    }

    /// Ready with the next answer; never while nothing is asked.
    pub(super) async fn answer(&mut self) -> Answer {
        tokio::select! {
            answer = asked(&mut self.is_new) => answer,
            answer = asked(&mut self.blocks) => answer,
            answer = asked(&mut self.config) => answer,
        }
    }
}

async fn asked(question: &mut Option<BoxFuture<'static, Answer>>) -> Answer {
    match question {
        Some(running) => {
            let answer = running.await;
            *question = None;
            answer
        }
        None => std::future::pending().await,
    }
}

/// Whether this node, at height 1 itself, and those `others` that are at height 1 are a majority of `members`.
fn is_new(others: &[Height], members: usize) -> bool {
    let new = 1 + others.iter().filter(|height| **height == Height(1)).count();
    new > members / 2
}

/// What the core is told when the ledger has got blocks from others.
pub(super) fn caught_up(support: &dyn ConsenterSupport) -> Result<Event, String> {
    let config = config_in_force(support)?;
    let tip = tip(support, None, config.consenters.len())?;
    Ok(Event::CaughtUp { tip, config })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_majority_must_be_new() {
        for (others, members, expected) in [
            (&[][..], 1, true),
            (&[], 2, false),
            (&[1], 2, true),
            (&[], 3, false),
            (&[1], 3, true),
            (&[7], 3, false),
            (&[0, 7], 3, false),
            (&[1], 4, false),
            (&[1, 1, 9], 5, true),
        ] {
            let heights: Vec<_> = others.iter().copied().map(Height).collect();
            assert_eq!(is_new(&heights, members), expected, "{others:?} of {members}");
        }
    }
}
