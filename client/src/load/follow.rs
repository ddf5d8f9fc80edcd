//! The deliver streams of a run, one a channel: every block from the start on, matched against what was sent.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use protos::{BlockNumber, SealedBlock};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::source::{Orderers, Source, SourceError};
use super::tally::Tally;
use super::{LoadError, LoadSpec};
use crate::verify::{ChainVerifier, VerifyError};

/// How often completeness is looked at while waiting.
const LOOK: Duration = Duration::from_millis(20);

/// What was seen of one chain, or of all.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seen {
    pub(super) blocks: u64,
    /// Entries that somebody else sent.
    pub(super) foreign: u64,
    newest: Option<BlockNumber>,
}

/// What following ended with.
pub(super) struct Followed {
    pub(super) seen: Seen,
    /// Whether everything was read up to the tip that stood after the last answer.
    pub(super) whole: bool,
    pub(super) failures: Vec<String>,
}

/// Where to follow a channel from.
pub(super) struct Place {
    orderers: Orderers,
    first: BlockNumber,
    verifier: Option<ChainVerifier>,
}

/// Finds the place in each channel, so that no block of the run is missed. With a verifier the place in the first
/// channel is where it stands.
pub(super) async fn places(
    spec: &LoadSpec,
    mut verifier: Option<ChainVerifier>,
) -> Result<Vec<Place>, LoadError> {
    let mut places = Vec::new();
    for signer in spec.channels() {
        let orderers = Orderers::new(spec, signer);
        let verifier = verifier.take();
        // Asked for in any case: it shows at once that nobody is there, or that the channel is not.
        let newest = orderers.newest().await?;
        places.push(Place {
            orderers,
            first: verifier.as_ref().map_or(newest.next(), ChainVerifier::next),
            verifier,
        });
    }
    Ok(places)
}

/// One follower a channel.
pub(super) struct Followers(Vec<Follower>);

impl Followers {
    pub(super) fn start(places: Vec<Place>, tally: &Arc<Tally>, patience: Duration) -> Self {
        let start = |(channel, place)| Follower::start(place, channel, tally.clone(), patience);
        Self(places.into_iter().enumerate().map(start).collect())
    }

    /// Waits until the first channel was read up to `tip`; false if that did not come within `patience`.
    pub(super) async fn reach(&mut self, tip: BlockNumber, patience: Duration) -> bool {
        let Some(first) = self.0.first_mut() else {
            return false;
        };
        matches!(
            first.wait(patience, move |_, seen| reached(seen, tip)).await,
            Waited::Done
        )
    }

    /// Follows each channel to its end.
    pub(super) async fn finish(self, patience: Duration) -> Followed {
        let mut all = Followed {
            seen: Seen::default(),
            whole: true,
            failures: Vec::new(),
        };
        for one in join_all(self.0.into_iter().map(|follower| follower.finish(patience))).await {
            all.seen.blocks += one.seen.blocks;
            all.seen.foreign += one.seen.foreign;
            all.whole &= one.whole;
            all.failures.extend(one.failures);
        }
        all
    }
}

struct Follower {
    orderers: Orderers,
    channel: usize,
    tally: Arc<Tally>,
    latest: watch::Receiver<Seen>,
    task: JoinHandle<FollowError>,
}

/// Why following ended: it should go on for ever.
#[derive(Debug, thiserror::Error)]
enum FollowError {
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error("block {number} does not verify: {source}")]
    Verify {
        number: BlockNumber,
        source: VerifyError,
    },
}

impl Follower {
    fn start(place: Place, channel: usize, tally: Arc<Tally>, patience: Duration) -> Self {
        let Place {
            orderers,
            first,
            verifier,
        } = place;
        let source = Source::new(orderers.clone(), first, patience);
        let (updates, latest) = watch::channel(Seen::default());
        let notes = Notes {
            channel,
            tally: tally.clone(),
            updates,
        };
        Self {
            orderers,
            channel,
            tally,
            latest,
            task: tokio::spawn(follow(source, verifier, notes)),
        }
    }

    /// Waits for what is missing while blocks keep coming, then reads on up to the tip of that moment: a second copy
    /// may stand behind the first, and what is missing even there is lost.
    async fn finish(mut self, patience: Duration) -> Followed {
        let failure = self.read_to_end(patience).await;
        self.task.abort();
        let channel = self.orderers.signer.channel();
        Followed {
            seen: *self.latest.borrow(),
            whole: failure.is_none(),
            failures: failure
                .map(|failure| format!("channel {channel}: {failure}"))
                .into_iter()
                .collect(),
        }
    }

    /// Why it could not, if so.
    async fn read_to_end(&mut self, patience: Duration) -> Option<String> {
        let channel = self.channel;
        let complete = move |tally: &Tally, _: &Seen| tally.is_complete(channel);
        if let Waited::Ended(error) = self.wait(patience, complete).await {
            return Some(error);
        }
        let tip = match tokio::time::timeout(patience, self.orderers.newest()).await {
            Ok(Ok(tip)) => tip,
            Ok(Err(error)) => return Some(error.to_string()),
            Err(_) => return Some(format!("no newest block within {patience:?}")),
        };
        match self.wait(patience, move |_, seen| reached(seen, tip)).await {
            Waited::Done => None,
            Waited::Idle => Some(format!("no further block within {patience:?}")),
            Waited::Ended(error) => Some(error),
        }
    }

    /// Waits until `done`, or until no block has come for `patience`, or the stream is over.
    async fn wait(&mut self, patience: Duration, done: impl Fn(&Tally, &Seen) -> bool) -> Waited {
        let mut idle = Duration::ZERO;
        loop {
            let seen = *self.latest.borrow_and_update();
            if done(&self.tally, &seen) {
                return Waited::Done;
            }
            if idle >= patience {
                return Waited::Idle;
            }
            tokio::select! {
                ended = &mut self.task => {
                    return Waited::Ended(ended.map_or_else(|e| e.to_string(), |e| e.to_string()));
                }
                () = tokio::time::sleep(LOOK) => {}
            }
            let moved = self.latest.has_changed().unwrap_or(false);
            idle = if moved { Duration::ZERO } else { idle + LOOK };
        }
    }
}

enum Waited {
    Done,
    Idle,
    Ended(String),
}

/// A tip at or below the block that following began after has nothing to show.
fn reached(seen: &Seen, tip: BlockNumber) -> bool {
    seen.newest.is_none_or(|newest| newest >= tip)
}

/// Where a follower notes what it sees.
struct Notes {
    channel: usize,
    tally: Arc<Tally>,
    updates: watch::Sender<Seen>,
}

async fn follow(mut source: Source, mut verifier: Option<ChainVerifier>, notes: Notes) -> FollowError {
    loop {
        let block = match source.next().await {
            Ok(block) => block,
            Err(error) => return error.into(),
        };
        if let Err(source) = verifier
            .as_mut()
            .map_or(Ok(()), |verifier| verifier.check(&block))
        {
            let number = block.number();
            return FollowError::Verify { number, source };
        }
        notes.take(&block);
    }
}

impl Notes {
    fn take(&self, block: &SealedBlock) {
        let now = self.tally.now();
        let data = block.decode().ok().and_then(|block| block.data);
        let entries = data.iter().flat_map(|data| &data.data);
        let foreign = entries.filter(|entry| !self.tally.delivered(self.channel, entry, now));
        let foreign = foreign.count() as u64;
        self.updates.send_modify(|seen| {
            seen.blocks += 1;
            seen.foreign += foreign;
            seen.newest = Some(block.number());
        });
    }
}
