//! The channel: joined, verified from its first block on, and read back from every node.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use client::Target;
use client::connection_file::{ConnectionFile, ConnectionFileError};
use client::deliver::{DeliverStream, Position, Resume, Seek};
use client::envelope::EnvelopeSigner;
use client::load::{Account, Counted};
use client::participation::{AdminClient, AdminError};
use client::verify::ChainVerifier;
use futures::future::try_join_all;
use protos::{BlockNumber, ChannelId, SealedBlock};

use super::error::QuickstartError;
use super::layout::Layout;
use super::ledgers;
use super::members::{Leader, Members, Watcher};
use super::table;

/// HTTP status of a channel that the node does not have.
const NOT_FOUND: u16 = 404;
/// A first election is over within a few heartbeats, one after a restart within two seconds.
const LEADER_TIME_MAX: Duration = Duration::from_mins(1);
/// How long the nodes may take to come to one height.
const CATCH_UP_TIME_MAX: Duration = Duration::from_mins(1);

/// The channel, as clients of the connection file see it.
pub(super) struct Channel {
    id: ChannelId,
    genesis: SealedBlock,
    pub(super) signer: EnvelopeSigner,
    pub(super) targets: Vec<Target>,
    admins: Vec<AdminClient>,
    names: Vec<String>,
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
            names: layout.nodes().iter().map(|node| node.name.clone()).collect(),
        })
    }

    /// Makes every node join, unless it did in an earlier run. Returns whether one had to.
    pub(super) async fn join(&self) -> Result<bool, QuickstartError> {
        let joined = try_join_all(self.admins.iter().map(|admin| self.join_one(admin))).await?;
        Ok(joined.contains(&true))
    }

    async fn join_one(&self, admin: &AdminClient) -> Result<bool, QuickstartError> {
        match admin.info(&self.id).await {
            Ok(_) => Ok(false),
            Err(AdminError::Refused {
                status: NOT_FOUND, ..
            }) => {
                admin.join(self.genesis.bytes().clone()).await?;
                Ok(true)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// How many blocks the highest node has.
    pub(super) async fn height(&self) -> Result<u64, QuickstartError> {
        let infos = try_join_all(self.admins.iter().map(|admin| admin.info(&self.id))).await?;
        let highest = infos.iter().map(|info| info.height).max();
        highest.ok_or_else(|| ConnectionFileError::NoAddress("admin address").into())
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

    /// Begins to ask how the nodes stand; none for a node alone, which has nobody to differ from.
    pub(super) fn watcher(&self) -> Option<Watcher> {
        let nodes = self.names.iter().cloned().zip(self.admins.iter().cloned());
        (self.names.len() > 1).then(|| Watcher::start(&self.id, nodes.collect()))
    }

    /// Reads the ledgers of all nodes up to `height` side by side, and counts the load's envelopes in each.
    pub(super) async fn compare(&self, height: u64, account: &Account) -> Result<Counted, QuickstartError> {
        let nodes = self.names.iter().cloned().zip(self.targets.iter().cloned());
        let tip = BlockNumber(height.saturating_sub(1));
        Ok(ledgers::compare(nodes.collect(), &self.signer, &self.genesis, tip, account).await?)
    }
}

/// Waits until somebody leads.
pub(super) async fn leader(watcher: &Watcher) -> Result<Leader, QuickstartError> {
    let leader = watcher.wait_for(LEADER_TIME_MAX, Members::leader).await;
    leader.ok_or(QuickstartError::NoLeader(LEADER_TIME_MAX))
}

/// Waits until all nodes have the same height, which is not below what any of them has now: what was acknowledged is
/// in the ledger of who answered, but what is known of the nodes is a moment old.
pub(super) async fn common_height(channel: &Channel, watcher: &Watcher) -> Result<u64, QuickstartError> {
    let highest = channel.height().await?;
    let is_common = |members: &Members| members.common_height().filter(|height| *height >= highest);
    let height = watcher.wait_for(CATCH_UP_TIME_MAX, is_common).await;
    height.ok_or_else(|| QuickstartError::Apart {
        time_max: CATCH_UP_TIME_MAX,
        now: table::line(&watcher.members().borrow()),
    })
}

fn read_block(file: &Path) -> Result<SealedBlock, QuickstartError> {
    let bytes = std::fs::read(file).map_err(|source| QuickstartError::Read {
        file: file.to_owned(),
        source,
    })?;
    Ok(SealedBlock::from_bytes(Bytes::from(bytes)).map_err(client::verify::VerifyError::from)?)
}
