//! The deliver stream of a run: every block from the start on, matched against what was sent.

use std::sync::Arc;
use std::time::Duration;

use protos::{BlockNumber, SealedBlock};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::tally::Tally;
use super::{LoadError, LoadSpec};
use crate::connection::Connection;
use crate::deliver::{DeliverError, DeliverStream, Position, Resume, Seek};
use crate::envelope::EnvelopeSigner;
use crate::verify::{ChainVerifier, VerifyError};

/// How often completeness is looked at while waiting.
const LOOK: Duration = Duration::from_millis(20);

/// What was seen of the chain.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seen {
    pub(super) blocks: u64,
    /// Entries of this run, duplicates included.
    pub(super) entries: u64,
    /// Entries that somebody else sent.
    pub(super) foreign: u64,
    newest: Option<BlockNumber>,
}

/// What following ended with.
pub(super) struct Followed {
    pub(super) seen: Seen,
    pub(super) failure: Option<String>,
}

pub(super) struct Follower {
    connection: Connection,
    signer: EnvelopeSigner,
    tally: Arc<Tally>,
    latest: watch::Receiver<Seen>,
    task: JoinHandle<FollowError>,
}

/// Why following ended: it should go on for ever.
#[derive(Debug, thiserror::Error)]
enum FollowError {
    #[error(transparent)]
    Deliver(#[from] DeliverError),
    #[error("block {number} does not verify: {source}")]
    Verify {
        number: BlockNumber,
        source: VerifyError,
    },
    #[error("the deliver stream ended although it should go on for ever")]
    Ended,
}

impl Follower {
    /// Returns once the place to start from is known, so that no block of the run is missed.
    ///
    /// With a verifier that place is where it stands.
    pub(super) async fn start(
        spec: &LoadSpec,
        tally: Arc<Tally>,
        verifier: Option<ChainVerifier>,
    ) -> Result<Self, LoadError> {
        let target = spec.targets.first().ok_or(LoadError::Empty)?;
        let connection = target.connect().await?;
        let first = match &verifier {
            Some(verifier) => verifier.next(),
            None => newest(&connection, &spec.signer).await?.next(),
        };
        let seek = Seek::follow(Position::Number(first));
        let stream = DeliverStream::new(&connection, spec.signer.clone(), seek, Resume::default());
        let (updates, latest) = watch::channel(Seen::default());
        let task = tokio::spawn(follow(stream, verifier, tally.clone(), updates));
        Ok(Self {
            connection,
            signer: spec.signer.clone(),
            tally,
            latest,
            task,
        })
    }

    /// Waits for what is missing while blocks keep coming, then reads on up to the tip of that moment, since a
    /// second copy may stand behind the first.
    pub(super) async fn finish(mut self, patience: Duration) -> Followed {
        let failure = self.wait(patience, |tally, _| tally.is_complete()).await;
        let failure = match failure {
            Some(failure) => Some(failure),
            None => self.read_to_tip(patience).await,
        };
        self.task.abort();
        let seen = *self.latest.borrow();
        Followed { seen, failure }
    }

    async fn read_to_tip(&mut self, patience: Duration) -> Option<String> {
        match newest(&self.connection, &self.signer).await {
            Ok(tip) => self.wait(patience, move |_, seen| reached(seen, tip)).await,
            Err(error) => Some(error.to_string()),
        }
    }

    /// Waits until `done`, or says why it never will be.
    async fn wait(&mut self, patience: Duration, done: impl Fn(&Tally, &Seen) -> bool) -> Option<String> {
        let mut idle = Duration::ZERO;
        loop {
            let seen = *self.latest.borrow_and_update();
            if done(&self.tally, &seen) {
                return None;
            }
            if idle >= patience {
                return Some(format!("no further block within {} s", patience.as_secs()));
            }
            tokio::select! {
                ended = &mut self.task => return Some(ended.map_or_else(|e| e.to_string(), |e| e.to_string())),
                () = tokio::time::sleep(LOOK) => {}
            }
            let moved = self.latest.has_changed().unwrap_or(false);
            idle = if moved { Duration::ZERO } else { idle + LOOK };
        }
    }
}

/// A tip at or below the block that following began after has nothing to show.
fn reached(seen: &Seen, tip: BlockNumber) -> bool {
    seen.newest.is_none_or(|newest| newest >= tip)
}

async fn newest(connection: &Connection, signer: &EnvelopeSigner) -> Result<BlockNumber, DeliverError> {
    let seek = Seek::one(Position::Newest);
    let mut stream = DeliverStream::new(connection, signer.clone(), seek, Resume::default());
    let block = stream.next().await?;
    Ok(block.map_or(BlockNumber::GENESIS, |block| block.number()))
}

async fn follow(
    mut stream: DeliverStream,
    mut verifier: Option<ChainVerifier>,
    tally: Arc<Tally>,
    updates: watch::Sender<Seen>,
) -> FollowError {
    let mut seen = Seen::default();
    loop {
        let block = match stream.next().await {
            Ok(Some(block)) => block,
            Ok(None) => return FollowError::Ended,
            Err(error) => return error.into(),
        };
        if let Err(source) = verifier
            .as_mut()
            .map_or(Ok(()), |verifier| verifier.check(&block))
        {
            let number = block.number();
            return FollowError::Verify { number, source };
        }
        note(&mut seen, &tally, &block);
        let _ = updates.send(seen);
    }
}

fn note(seen: &mut Seen, tally: &Tally, block: &SealedBlock) {
    let now = tally.now();
    let data = block.decode().ok().and_then(|block| block.data);
    for entry in data.iter().flat_map(|data| &data.data) {
        if tally.delivered(entry, now) {
            seen.entries += 1;
        } else {
            seen.foreign += 1;
        }
    }
    seen.blocks += 1;
    seen.newest = Some(block.number());
}
