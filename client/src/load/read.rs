//! Reading a chain that is there, from its first block to its newest: how fast a node gives out what it has.

use std::fmt;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use protos::{BlockNumber, SealedBlock};
use serde::Serialize;

use super::report::per_second;
use super::{Progress, source};
use crate::connection::{ConnectError, Connection, Target};
use crate::deliver::{DeliverError, DeliverStream, Position, Resume, Seek};
use crate::envelope::EnvelopeSigner;
use crate::verify::{ChainVerifier, VerifyError};

/// What to read, and how.
#[derive(Clone, Debug)]
pub struct ReadSpec {
    /// The orderer.
    pub target: Target,
    /// Who asks, and for which channel.
    pub signer: EnvelopeSigner,
    /// Whether links, data hashes and signatures are checked on the way.
    pub verify: bool,
    /// What block 0 must be, when blocks are checked. None: whatever the node says it is.
    pub genesis: Option<SealedBlock>,
}

/// Why a chain was not read to its end.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// No connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The node does not deliver.
    #[error("cannot read channel {channel}: {source}")]
    Deliver {
        /// Which channel.
        channel: String,
        /// Why.
        source: DeliverError,
    },
    /// A block is wrong.
    #[error("block {number} of channel {channel} does not verify: {source}")]
    Verify {
        /// Which channel.
        channel: String,
        /// Which block.
        number: BlockNumber,
        /// What is wrong with it.
        source: VerifyError,
    },
    /// Block 0 is another one.
    #[error("block 0 of channel {channel} is not the genesis block that is expected")]
    OtherGenesis {
        /// Which channel.
        channel: String,
    },
}

/// A reading's numbers. One JSON object when serialized.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ReadReport {
    /// Whether everything was read; false if somebody ended it early.
    pub ok: bool,
    /// The channels.
    pub channels: Vec<String>,
    /// Whether links, data hashes and signatures were checked.
    pub verified: bool,
    /// Blocks read.
    pub blocks: u64,
    /// Envelopes in them.
    pub envelopes: u64,
    /// Their size.
    pub bytes: u64,
    /// From the request to the last block.
    pub seconds: f64,
    /// Blocks per second.
    pub blocks_per_second: f64,
    /// Envelopes per second.
    pub envelopes_per_second: f64,
    /// Millions of bytes per second.
    pub megabytes_per_second: f64,
}

/// A chain that stands ready to be read.
#[derive(Debug)]
pub struct Chain {
    spec: ReadSpec,
    connection: Connection,
    newest: BlockNumber,
}

impl Chain {
    /// Connects and asks how long the chain is.
    pub async fn open(spec: ReadSpec) -> Result<Self, ReadError> {
        let connection = spec.target.connect().await?;
        let newest = source::newest(&connection, &spec.signer)
            .await
            .map_err(|error| deliver_error(&spec, error))?;
        Ok(Self {
            spec,
            connection,
            newest,
        })
    }

    /// How many blocks there are to read.
    pub fn blocks(&self) -> u64 {
        self.newest.0.saturating_add(1)
    }

    /// Reads it, up to the block that was the newest when it was opened. Each block counts in `progress`.
    pub async fn read(&self, progress: &Progress) -> Result<ReadReport, ReadError> {
        let seek = Seek::range(Position::Oldest, Position::Number(self.newest));
        let signer = self.spec.signer.clone();
        let mut stream = DeliverStream::new(&self.connection, signer, seek, Resume::default());
        let mut check = Check::default();
        let mut count = Count::default();
        let began = Instant::now();
        loop {
            let next = tokio::select! {
                biased;
                () = progress.stopped() => break,
                next = stream.next() => next,
            };
            let Some(block) = next.map_err(|source| deliver_error(&self.spec, source))? else {
                break;
            };
            check.next(&self.spec, &block)?;
            count.add(&block);
            progress.delivered.fetch_add(1, Ordering::Relaxed);
        }
        Ok(self.report(&count, began.elapsed()))
    }

    fn report(&self, count: &Count, time: Duration) -> ReadReport {
        let report = ReadReport {
            ok: count.blocks == self.blocks(),
            channels: vec![self.spec.signer.channel().to_string()],
            verified: self.spec.verify,
            blocks: count.blocks,
            envelopes: count.envelopes,
            bytes: count.bytes,
            ..ReadReport::default()
        };
        report.in_time(time)
    }
}

fn deliver_error(spec: &ReadSpec, source: DeliverError) -> ReadError {
    let channel = spec.signer.channel().to_string();
    ReadError::Deliver { channel, source }
}

#[derive(Default)]
struct Count {
    blocks: u64,
    envelopes: u64,
    bytes: u64,
}

impl Count {
    fn add(&mut self, block: &SealedBlock) {
        let data = block.decode().ok().and_then(|block| block.data);
        self.blocks += 1;
        self.envelopes += data.map_or(0, |data| data.data.len()) as u64;
        self.bytes += block.bytes().len() as u64;
    }
}

/// Begins with block 0.
#[derive(Default)]
struct Check(Option<ChainVerifier>);

impl Check {
    fn next(&mut self, spec: &ReadSpec, block: &SealedBlock) -> Result<(), ReadError> {
        if !spec.verify {
            return Ok(());
        }
        let channel = || spec.signer.channel().to_string();
        let checked = if let Some(verifier) = &mut self.0 {
            verifier.check(block)
        } else {
            let expected = spec.genesis.as_ref();
            if expected.is_some_and(|genesis| genesis.hash() != block.hash()) {
                return Err(ReadError::OtherGenesis { channel: channel() });
            }
            ChainVerifier::from_genesis(block).map(|verifier| self.0 = Some(verifier))
        };
        checked.map_err(|source| ReadError::Verify {
            channel: channel(),
            number: block.number(),
            source,
        })
    }
}

impl ReadReport {
    /// This reading and another one, done one after the other.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.ok &= other.ok;
        self.channels.extend(other.channels);
        self.blocks += other.blocks;
        self.envelopes += other.envelopes;
        self.bytes += other.bytes;
        let time = Duration::from_secs_f64(self.seconds + other.seconds);
        self.in_time(time)
    }

    fn in_time(self, time: Duration) -> Self {
        Self {
            seconds: time.as_secs_f64(),
            blocks_per_second: per_second(self.blocks, time),
            envelopes_per_second: per_second(self.envelopes, time),
            megabytes_per_second: per_second(self.bytes, time) / 1e6,
            ..self
        }
    }
}

impl fmt::Display for ReadReport {
    /// A few lines for people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = if self.verified { "verified" } else { "not verified" };
        let end = if self.ok { "" } else { ", then interrupted" };
        writeln!(
            f,
            "read            {} blocks of {} in {:.2} s, {how}{end}",
            self.blocks,
            self.channels.join(", "),
            self.seconds
        )?;
        write!(
            f,
            "throughput      {:.0} blocks/s, {:.0} envelopes/s, {:.1} MB/s",
            self.blocks_per_second, self.envelopes_per_second, self.megabytes_per_second
        )
    }
}
