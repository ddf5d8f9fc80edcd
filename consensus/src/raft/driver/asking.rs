//! What a driver asks of other orderers. Each question is a future of which at most one runs; its answer comes out of
//! [`Asking::answer`].

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt};
use protos::block::Hash;
use protos::wire::common::Block;
use protos::wire::etcdraft::Consenter;
use protos::{BlockNumber, Height};
use tokio::time::sleep;

use crate::block_source::{BlockSource, Heights};
use crate::raft::core::Event;
use crate::raft::notices::Notices;
use crate::raft::opening::{NoConfig, config_in_force, tip};
use crate::support::{ConsenterSupport, WriteError};

/// Between two rounds of asking whether the channel is new: it doubles from the first to the last.
const ASK_AGAIN_FIRST: Duration = Duration::from_millis(50);
const ASK_AGAIN_MAX: Duration = Duration::from_secs(4);

/// Blocks read at once of those that were pulled.
const PULLED_AT_ONCE_MAX: u64 = 32;
/// The height of a ledger that has the genesis block alone.
const NEW: Height = Height(1);

/// What came back.
#[derive(Debug, PartialEq)]
pub(super) enum Answer {
    /// The channel is new everywhere.
    IsNew,
    /// Somebody has a block 1, which this node had as well, or not.
    HasBlocks { is_known: bool },
    /// The blocks that the core wanted are there.
    CaughtUp(Result<(), WriteError>),
    /// Some of these blocks, as they lie in the ledger; the first one after them.
    Pulled(Result<(Vec<Block>, BlockNumber), String>),
    /// The newest config block that others have, if one could be had.
    NewestConfig(Option<Block>),
    /// The ledger has the blocks up to the one that removed this node.
    PulledToEviction(Result<(), WriteError>),
}

/// The questions that are open.
pub(super) struct Asking {
    source: Arc<dyn BlockSource>,
    channel: Option<BoxFuture<'static, Answer>>,
    /// What the question about the channel waits for.
    waits_for: Arc<Mutex<Option<String>>>,
    blocks: Option<BoxFuture<'static, Answer>>,
    config: Option<BoxFuture<'static, Answer>>,
}

impl Asking {
    pub(super) fn new(source: Arc<dyn BlockSource>) -> Self {
        Self {
            source,
            channel: None,
            waits_for: Arc::default(),
            blocks: None,
            config: None,
        }
    }

    /// Asks `others`, again and again, what became of the channel; says so when it takes long.
    pub(super) fn ask_about_channel(&mut self, question: Question, notices: Notices) {
        let (source, waits_for) = (Arc::clone(&self.source), Arc::clone(&self.waits_for));
        let asks = async move {
            let mut pause = ASK_AGAIN_FIRST;
            loop {
                let heights = source.heights(question.others.clone()).await;
                if let Some(answer) = question.judge(&heights, &*source).await {
                    return answer;
                }
                let text = question.waits_for(&heights);
                if pause == ASK_AGAIN_MAX {
                    notices.asking(&text);
                }
                *lock(&waits_for) = Some(text);
                sleep(pause).await;
                pause = (2 * pause).min(ASK_AGAIN_MAX);
            }
        };
        self.channel = Some(asks.boxed());
    }

    /// What the question about the channel waits for; none if it is not asked, or has not come back yet.
    pub(super) fn waits_for(&self) -> Option<String> {
        self.channel.as_ref()?;
        lock(&self.waits_for).clone()
    }

    /// No more of that.
    pub(super) fn stop_asking_about_channel(&mut self) {
        self.channel = None;
    }

    /// Gets the blocks up to `through` into the ledger.
    pub(super) fn catch_up(&mut self, through: BlockNumber) {
        let caught_up = self.source.catch_up(through);
        self.blocks = Some(caught_up.map(Answer::CaughtUp).boxed());
    }

    /// Reads some of the blocks that have come, from `first` on.
    pub(super) fn read_pulled(&mut self, support: Arc<dyn ConsenterSupport>, first: BlockNumber) {
        let read = tokio::task::spawn_blocking(move || read_pulled(&*support, first));
        let read = read.map(|read| read.unwrap_or_else(|error| Err(error.to_string())));
        self.blocks = Some(read.map(Answer::Pulled).boxed());
    }

    /// The same as [`catch_up`](Self::catch_up), as the last thing that the chain does.
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
            answer = asked(&mut self.channel) => answer,
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

/// What became of the channel, as the others know it.
#[derive(Clone, Debug)]
pub(super) struct Question {
    /// The other consenters.
    pub(super) others: Vec<Consenter>,
    /// Hash of block 1 as this node had it, if it had the channel before.
    pub(super) first: Option<Hash>,
}

impl Question {
    async fn judge(&self, heights: &Heights, source: &dyn BlockSource) -> Option<Answer> {
        let Some(first) = self.first else {
            return self.is_new(heights).then_some(Answer::IsNew);
        };
        if heights.told().any(|height| height > NEW) {
            let shown = source.first_blocks().await;
            let is_known = shown.contains(&first);
            return (!shown.is_empty()).then_some(Answer::HasBlocks { is_known });
        }
        is_forgotten(heights).then_some(Answer::IsNew)
    }

    /// Whether this node, at height 1 itself, and others that are at height 1 are a majority, and nobody has more.
    fn is_new(&self, heights: &Heights) -> bool {
        let new = |told: &mut dyn Iterator<Item = Height>| told.filter(|height| *height == NEW).count();
        // One node may have answered over both of its addresses.
        let endpoints = new(&mut heights.endpoints.iter().copied());
        let consenters = new(&mut heights.consenters.iter().flatten().copied());
        let members = self.others.len() + 1;
        let has_more = heights.told().any(|height| height > NEW);
        !has_more && 1 + endpoints.max(consenters) > members / 2
    }

    /// In words.
    fn waits_for(&self, heights: &Heights) -> String {
        let who = if self.first.is_some() {
            "all other consenters"
        } else {
            "a majority of the consenters"
        };
        let told = self
            .others
            .iter()
            .zip(&heights.consenters)
            .map(|(other, height)| {
                let (host, port) = (&other.host, other.port);
                match height {
                    None => format!("{host}:{port} does not answer"),
                    Some(Height(0)) => format!("{host}:{port} has no such channel"),
                    Some(height) => format!("{host}:{port} has height {height}"),
                }
            });
        let told: Vec<_> = told.collect();
        let endpoints: Vec<_> = heights.endpoints.iter().map(ToString::to_string).collect();
        format!(
            "Waiting until {who} can be asked what became of the channel: {}; heights told over other addresses: [{}]",
            told.join(", "),
            endpoints.join(" ")
        )
    }
}

/// Whether every other consenter answered, and none has more than the genesis block.
fn is_forgotten(heights: &Heights) -> bool {
    heights
        .consenters
        .iter()
        .all(|height| height.is_some_and(|height| height <= NEW))
}

fn lock(text: &Mutex<Option<String>>) -> MutexGuard<'_, Option<String>> {
    text.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The blocks from `first` on that the ledger has, as many as are read at once.
fn read_pulled(
    support: &dyn ConsenterSupport,
    BlockNumber(first): BlockNumber,
) -> Result<(Vec<Block>, BlockNumber), String> {
    let mut blocks = Vec::new();
    let end = support.height().0.min(first + PULLED_AT_ONCE_MAX);
    for number in (first..end).map(BlockNumber) {
        let block = support.block(number)?;
        blocks.push(block.ok_or_else(|| format!("block {} is not in the ledger", number.0))?);
    }
    Ok((blocks, BlockNumber(end.max(first))))
}

/// What the core is told when the ledger has got blocks from others.
pub(super) fn caught_up(support: &dyn ConsenterSupport) -> Result<Event, NoConfig> {
    let config = config_in_force(support)?;
    let tip = tip(support, None, config.consenters.len()).map_err(NoConfig::Unusable)?;
    Ok(Event::CaughtUp { tip, config })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn consenters(count: usize) -> Vec<Consenter> {
        let consenter = |number| Consenter {
            host: format!("o{number}"),
            port: 7050,
            ..Consenter::default()
        };
        (1..=count).map(consenter).collect()
    }

    fn heights(endpoints: &[u64], consenters: &[Option<u64>]) -> Heights {
        Heights {
            endpoints: endpoints.iter().copied().map(Height).collect(),
            consenters: consenters.iter().map(|told| told.map(Height)).collect(),
        }
    }

    fn question(members: usize, first: Option<Hash>) -> Question {
        let others = consenters(members - 1);
        Question { others, first }
    }

    #[test]
    fn a_majority_must_be_new_and_nobody_may_have_more() {
        for (endpoints, told, members, expected) in [
            (&[][..], &[][..], 1, true),
            (&[], &[None], 2, false),
            (&[1], &[None], 2, true),
            (&[], &[Some(1)], 2, true),
            (&[], &[None, None], 3, false),
            (&[1], &[None, None], 3, true),
            (&[7], &[None, None], 3, false),
            (&[1, 7], &[None, None], 3, false),
            (&[1], &[Some(1), Some(2)], 3, false),
            (&[0, 1], &[Some(0), None], 3, true),
            (&[1], &[Some(1), None, None], 4, false),
            (&[1, 1], &[Some(1), None, None, None], 5, true),
        ] {
            let heights = heights(endpoints, told);
            let found = question(members, None).is_new(&heights);
            assert_eq!(found, expected, "{heights:?} of {members}");
        }
    }

    /// Others that show these blocks 1.
    struct Shows(Vec<Hash>);

    impl BlockSource for Shows {
        fn heights(&self, _: Vec<Consenter>) -> BoxFuture<'static, Heights> {
            std::future::pending().boxed()
        }

        fn first_blocks(&self) -> BoxFuture<'static, Vec<Hash>> {
            std::future::ready(self.0.clone()).boxed()
        }

        fn catch_up(&self, _: BlockNumber) -> BoxFuture<'static, Result<(), WriteError>> {
            std::future::pending().boxed()
        }

        fn newest_config(&self) -> BoxFuture<'static, Option<Block>> {
            std::future::pending().boxed()
        }
    }

    #[tokio::test]
    async fn what_became_of_a_channel_is_known_by_its_first_block_or_when_all_have_none() {
        let question = question(3, Some([7; 32]));
        let known = |is_known| Some(Answer::HasBlocks { is_known });
        for (told, shown, expected) in [
            (heights(&[], &[Some(1), None]), &[][..], None),
            (heights(&[1, 1], &[Some(1), None]), &[], None),
            (heights(&[], &[Some(1), Some(0)]), &[], Some(Answer::IsNew)),
            (heights(&[], &[Some(5), None]), &[], None),
            (heights(&[], &[Some(5), None]), &[[7; 32]], known(true)),
            (heights(&[5], &[None, None]), &[[8; 32]], known(false)),
            (heights(&[5], &[None, None]), &[[8; 32], [7; 32]], known(true)),
        ] {
            let found = question.judge(&told, &Shows(shown.to_vec())).await;
            assert_eq!(found, expected, "{told:?}, {shown:?}");
        }
    }

    #[test]
    fn who_is_waited_for_is_named() {
        let text = question(4, None).waits_for(&heights(&[1], &[Some(1), Some(0), None]));
        let expected = "Waiting until a majority of the consenters can be asked what became of the channel: o1:7050 has \
                        height 1, o2:7050 has no such channel, o3:7050 does not answer; heights told over other \
                        addresses: [1]";
        assert_eq!(text, expected);
    }
}
