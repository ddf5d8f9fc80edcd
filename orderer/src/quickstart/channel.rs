//! The channel: joined, verified from its first block on, and put under load.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use client::Target;
use client::broadcast::Acknowledge;
use client::connection_file::{ConnectionFile, ConnectionFileError};
use client::deliver::{DeliverStream, Position, Resume, Seek};
use client::envelope::EnvelopeSigner;
use client::load::{Load, LoadError, LoadReport, LoadSpec, Progress};
use client::participation::{AdminClient, AdminError};
use client::verify::ChainVerifier;
use protos::{BlockNumber, ChannelId, SealedBlock};

use super::error::QuickstartError;
use super::layout::Layout;

/// Bytes of data in each envelope.
const PAYLOAD_BYTES: usize = 1024;
/// Broadcast streams, each on a connection of its own.
const STREAMS: usize = 2;
/// Unanswered envelopes of one stream. An answer comes with the durable block, so all streams together keep a little
/// more than two blocks of 500 in the making: with less the node waits for us, with more envelopes wait in line.
const IN_FLIGHT_MAX: usize = 600;
/// How long to wait for another block while acknowledged envelopes are missing.
const PATIENCE: Duration = Duration::from_secs(30);
/// HTTP status of a channel that the node does not have.
const NOT_FOUND: u16 = 404;

/// The channel, as clients of the connection file see it.
pub(super) struct Channel {
    id: ChannelId,
    genesis: SealedBlock,
    signer: EnvelopeSigner,
    targets: Vec<Target>,
    admins: Vec<AdminClient>,
}

impl Channel {
    /// Reads all files that are needed.
    pub(super) fn open(layout: &Layout) -> Result<Self, QuickstartError> {
        let file = ConnectionFile::read(&layout.connection_file())?;
        Ok(Self {
            id: file.channel_id()?,
            genesis: read_block(&layout.genesis_file())?,
            signer: file.signer()?,
            targets: file.targets()?,
            admins: file.admins()?,
        })
    }

    /// Makes every node join, unless it did in an earlier run. Returns whether one had to.
    pub(super) async fn join(&self) -> Result<bool, QuickstartError> {
        let mut joined = false;
        for admin in &self.admins {
            match admin.info(&self.id).await {
                Ok(_) => {}
                Err(AdminError::Refused {
                    status: NOT_FOUND, ..
                }) => {
                    admin.join(self.genesis.bytes().clone()).await?;
                    joined = true;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(joined)
    }

    /// How many blocks the first node has.
    pub(super) async fn height(&self) -> Result<u64, QuickstartError> {
        let admin = self.admins.first();
        let admin = admin.ok_or(ConnectionFileError::NoAddress("admin address"))?;
        Ok(admin.info(&self.id).await?.height)
    }

    /// Verifies the whole chain up to `height`; the verifier goes on from there.
    pub(super) async fn verify(&self, height: u64) -> Result<ChainVerifier, QuickstartError> {
        let mut verifier = ChainVerifier::from_genesis(&self.genesis)?;
        if height <= verifier.next().0 {
            return Ok(verifier);
        }
        let target = self.targets.first();
        let target = target.ok_or(ConnectionFileError::NoAddress("orderer address"))?;
        let connection = target.connect().await?;
        let last = Position::Number(BlockNumber(height - 1));
        let seek = Seek::range(Position::Number(verifier.next()), last);
        let mut blocks = DeliverStream::new(&connection, self.signer.clone(), seek, Resume::default());
        while let Some(block) = blocks.next().await? {
            verifier.check(&block)?;
        }
        Ok(verifier)
    }

    /// Orders `count` envelopes and looks for each of them in blocks that `verifier` finds right.
    pub(super) async fn load(
        &self,
        count: u32,
        verifier: ChainVerifier,
        progress: Arc<Progress>,
    ) -> Result<LoadReport, QuickstartError> {
        let spec = LoadSpec {
            envelopes: usize::try_from(count).unwrap_or(usize::MAX),
            payload_bytes: PAYLOAD_BYTES,
            streams: STREAMS,
            in_flight_max: IN_FLIGHT_MAX,
            acknowledge: Some(Acknowledge::Committed),
            patience: PATIENCE,
            ..LoadSpec::new(self.targets.clone(), vec![self.signer.clone()])
        };
        // A task of its own: the load keeps its thread busy, and the nodes are watched on this one.
        let run = tokio::spawn(async move {
            let mut load = Load::prepare(&spec, &progress, Some(verifier)).await?;
            load.send().await;
            Ok::<_, LoadError>(load.finish().await.0)
        });
        let report = run.await.map_err(QuickstartError::Crashed)??;
        if report.ok && report.acknowledged == u64::from(count) {
            Ok(report)
        } else {
            Err(QuickstartError::Broken(Box::new(report)))
        }
    }
}

fn read_block(file: &Path) -> Result<SealedBlock, QuickstartError> {
    let bytes = std::fs::read(file).map_err(|source| QuickstartError::Read {
        file: file.to_owned(),
        source,
    })?;
    Ok(SealedBlock::from_bytes(Bytes::from(bytes)).map_err(client::verify::VerifyError::from)?)
}
