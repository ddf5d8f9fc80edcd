//! Blocks of one channel, from whichever orderer gives them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use protos::{BlockNumber, SealedBlock};

use super::{LoadError, LoadSpec};
use crate::connection::{ConnectError, Connection, Target};
use crate::deliver::{DeliverError, DeliverStream, Position, Resume, Seek};
use crate::envelope::EnvelopeSigner;

/// With other orderers at hand one that does not deliver is soon left.
const HASTY: Resume = Resume {
    tries_max: 2,
    pause_first: Duration::from_millis(50),
    pause_max: Duration::from_millis(100),
};

/// How long to wait for what the others say once one orderer has answered.
const STRAGGLER_TIME_MAX: Duration = Duration::from_secs(1);

/// Why there is no next block.
#[derive(Debug, thiserror::Error)]
pub(super) enum SourceError {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error(transparent)]
    Deliver(#[from] DeliverError),
    #[error("the deliver stream ended although it should go on for ever")]
    Ended,
}

/// Who has the blocks of a channel, and as whom to ask for them.
#[derive(Clone)]
pub(super) struct Orderers {
    targets: Arc<[Target]>,
    pub(super) signer: EnvelopeSigner,
}

impl Orderers {
    pub(super) fn new(spec: &LoadSpec, signer: &EnvelopeSigner) -> Self {
        let several = if spec.fail_over { spec.targets.len() } else { 1 };
        Self {
            targets: spec.targets.iter().take(several).cloned().collect(),
            signer: signer.clone(),
        }
    }

    fn is_one(&self) -> bool {
        self.targets.len() < 2
    }

    /// The highest number that any of them tells soon.
    pub(super) async fn newest(&self) -> Result<BlockNumber, LoadError> {
        let asked = self.targets.iter().map(|target| newest_of(target, &self.signer));
        let mut answers: FuturesUnordered<_> = asked.collect();
        let (mut best, mut failure) = (None, LoadError::Empty);
        loop {
            let answer = match best {
                None => answers.next().await,
                Some(_) => tokio::time::timeout(STRAGGLER_TIME_MAX, answers.next())
                    .await
                    .unwrap_or_default(),
            };
            match answer {
                Some(Ok(number)) => best = best.max(Some(number)),
                Some(Err(error)) => failure = error,
                None => return best.ok_or(failure),
            }
        }
    }
}

async fn newest_of(target: &Target, signer: &EnvelopeSigner) -> Result<BlockNumber, LoadError> {
    let connection = target.connect().await?;
    newest(&connection, signer)
        .await
        .map_err(|source| LoadError::Deliver {
            channel: signer.channel().to_string(),
            source,
        })
}

pub(super) async fn newest(
    connection: &Connection,
    signer: &EnvelopeSigner,
) -> Result<BlockNumber, DeliverError> {
    let seek = Seek::one(Position::Newest);
    let mut stream = DeliverStream::new(connection, signer.clone(), seek, Resume::default());
    let block = stream.next().await?;
    Ok(block.map_or(BlockNumber::GENESIS, |block| block.number()))
}

/// All blocks from one number on, for ever.
pub(super) struct Source {
    orderers: Orderers,
    at: usize,
    next: BlockNumber,
    stream: Option<DeliverStream>,
    patience: Duration,
    last_block: Instant,
}

impl Source {
    pub(super) fn new(orderers: Orderers, first: BlockNumber, patience: Duration) -> Self {
        Self {
            orderers,
            at: 0,
            next: first,
            stream: None,
            patience,
            last_block: Instant::now(),
        }
    }

    /// The next block. With several orderers a failure is one only when none of them gave a block for `patience`.
    pub(super) async fn next(&mut self) -> Result<SealedBlock, SourceError> {
        loop {
            match self.try_next().await {
                Ok(block) => {
                    self.next = block.number().next();
                    self.last_block = Instant::now();
                    return Ok(block);
                }
                Err(error) if self.orderers.is_one() || self.last_block.elapsed() > self.patience => {
                    return Err(error);
                }
                Err(_) => self.leave().await,
            }
        }
    }

    async fn try_next(&mut self) -> Result<SealedBlock, SourceError> {
        if self.stream.is_none() {
            self.stream = Some(self.open().await?);
        }
        let Some(stream) = &mut self.stream else {
            return Err(SourceError::Ended);
        };
        stream.next().await?.ok_or(SourceError::Ended)
    }

    async fn open(&self) -> Result<DeliverStream, SourceError> {
        let connection = self.orderers.targets[self.at].connect().await?;
        let seek = Seek::follow(Position::Number(self.next));
        let resume = if self.orderers.is_one() {
            Resume::default()
        } else {
            HASTY
        };
        let signer = self.orderers.signer.clone();
        Ok(DeliverStream::new(&connection, signer, seek, resume))
    }

    async fn leave(&mut self) {
        self.stream = None;
        self.at = (self.at + 1) % self.orderers.targets.len();
        tokio::time::sleep(HASTY.pause_first).await;
    }
}
