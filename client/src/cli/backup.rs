//! `ordain backup`

use std::io::IsTerminal as _;
use std::path::PathBuf;

use indicatif::{ProgressBar, ProgressStyle};
use protos::{BlockNumber, SealedBlock};
use serde::Serialize;

use super::connect::ConnectionArgs;
use super::deliver::read_block;
use super::{Failure, output};
use crate::backup::BlockCopy;
use crate::connection::Connection;
use crate::connection_file::ConnectionFile;
use crate::deliver::{DeliverStream, Position, Resume, Seek};
use crate::envelope::EnvelopeSigner;

/// Bytes after which the copy is made durable: what a crash costs at most.
const SYNC_BYTES: u64 = 32 << 20;

/// Copies a channel's blocks into a file, or brings such a copy up to date, while the nodes run.
///
/// Every block's link, data hash and signatures are verified under the channel's configs before it is written. A copy
/// that exists goes on after its newest block; what an interrupted run left unfinished is cut off. Any node of the
/// channel will do, each time another one; one whose newest common block differs is refused. Whoever may read the
/// channel may copy it. `orderer ledger import` brings the copy into the data folder of a node; the file is a row of
/// blocks in the form of Fabric's block files.
#[derive(Debug, clap::Args)]
// Elsewhere -o is the orderer; one letter cannot be both.
#[command(mut_arg("orderer", |orderer| orderer.short(None)))]
#[command(after_long_help = "Examples:
  ordain backup -c connection.json -o mychannel.blocks
  ordain backup -c connection.json -o mychannel.blocks --to 999
  ordain backup -c connection.json --channel other --orderer localhost:7060 -o other.blocks --json

Exit status: 0 the copy has all blocks that the node had; 1 the node refuses, a block does not verify, or the copy
cannot be written; what is in the copy stays good.")]
pub(super) struct Args {
    /// The copy; made when missing.
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Last block [default: the newest, as of now].
    #[arg(long, value_name = "BLOCK")]
    to: Option<u64>,
    /// Prints what was copied as one JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: ConnectionArgs,
}

/// What was copied.
#[derive(Debug, Serialize)]
struct Copied {
    channel: String,
    /// Blocks in the copy.
    height: u64,
    /// Blocks added by this run.
    added: u64,
    /// Bytes in the copy.
    bytes: u64,
    /// Header hash of its newest block.
    newest_hash: String,
    /// The node that was asked.
    node: String,
}

impl Args {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let file = self.connection.resolve()?;
        let genesis = file.genesis.as_deref().map(read_block).transpose()?;
        let mut copy = BlockCopy::open(&self.output)?;
        if copy.cut_bytes() > 0 {
            eprintln!(
                "cut off {} bytes that an earlier run did not write to their end",
                copy.cut_bytes()
            );
        }
        let node = Node::connect(&file).await?;
        let newest = node.one(Position::Newest).await?;
        node.check_same(&mut copy, &newest).await?;
        let last = self.to.map_or(newest.number(), BlockNumber).min(newest.number());
        let added = node.copy(&mut copy, last, genesis.as_ref()).await?;
        let Some(newest) = copy.newest() else {
            return Err(Failure::new("the channel has no block"));
        };
        let copied = Copied {
            channel: file.channel,
            height: newest.height().0,
            added,
            bytes: copy.bytes(),
            newest_hash: hex::encode(newest.hash()),
            node: node.name,
        };
        if self.json {
            return output::json(&copied);
        }
        let Copied {
            channel,
            height,
            newest_hash,
            ..
        } = copied;
        output::line(format!(
            "{channel}: {added} blocks added and verified, {height} in {}; newest hash {newest_hash}",
            self.output.display()
        ))
    }
}

/// The node that is asked for blocks.
struct Node {
    connection: Connection,
    signer: EnvelopeSigner,
    name: String,
}

impl Node {
    /// The first of the connection file's nodes that answers.
    async fn connect(file: &ConnectionFile) -> Result<Self, Failure> {
        let signer = file.signer()?;
        let mut failure = Failure::usage("no orderer is given");
        for target in file.targets()? {
            match target.connect().await {
                Ok(connection) => {
                    return Ok(Self {
                        connection,
                        signer,
                        name: target.address.to_string(),
                    });
                }
                Err(error) => failure = error.into(),
            }
        }
        Err(failure)
    }

    fn stream(&self, seek: Seek) -> DeliverStream {
        DeliverStream::new(&self.connection, self.signer.clone(), seek, Resume::default())
    }

    async fn one(&self, position: Position) -> Result<SealedBlock, Failure> {
        let block = self.stream(Seek::one(position)).next().await?;
        block.ok_or_else(|| Failure::new("one block was asked for and none came"))
    }

    /// The newest block that the copy and the node both have must be one block.
    async fn check_same(&self, copy: &mut BlockCopy, newest: &SealedBlock) -> Result<(), Failure> {
        let Some(tip) = copy.newest().map(SealedBlock::number) else {
            return Ok(());
        };
        let common = tip.min(newest.number());
        let here = if common == newest.number() {
            *newest.hash()
        } else {
            *self.one(Position::Number(common)).await?.hash()
        };
        if copy.hash_of(common)? == Some(here) {
            return Ok(());
        }
        Err(
            Failure::new(format!("block {common} of this node is not the one in the copy")).hint(
                "the copy is of another channel, or one of the two is forged: compare with another node, and begin another \
                 copy with another name",
            ),
        )
    }

    /// Copies up to block `last`; answers how many blocks were added.
    async fn copy(
        &self,
        copy: &mut BlockCopy,
        last: BlockNumber,
        genesis: Option<&SealedBlock>,
    ) -> Result<u64, Failure> {
        let first = copy.next();
        if first > last {
            return Ok(0);
        }
        let bar = bar(last.0 - first.0 + 1);
        let mut stream = self.stream(Seek::range(Position::Number(first), Position::Number(last)));
        let (mut added, mut synced) = (0, copy.bytes());
        while let Some(block) = stream.next().await? {
            if genesis
                .is_some_and(|genesis| genesis.number() == block.number() && genesis.hash() != block.hash())
            {
                return Err(
                    Failure::new("block 0 of this node is not the one in the genesis file")
                        .hint("the node serves another channel of this name"),
                );
            }
            copy.append(&block)?;
            added += 1;
            bar.inc(1);
            if copy.bytes() - synced >= SYNC_BYTES {
                sync(copy)?;
                synced = copy.bytes();
            }
        }
        sync(copy)?;
        bar.finish_and_clear();
        Ok(added)
    }
}

fn sync(copy: &BlockCopy) -> Result<(), Failure> {
    copy.sync()
        .map_err(|error| Failure::new(format!("cannot write the copy: {error}")))
}

fn bar(blocks: u64) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(blocks);
    if let Ok(style) =
        ProgressStyle::with_template("blocks {wide_bar} {human_pos}/{human_len} {elapsed} {eta}")
    {
        bar.set_style(style);
    }
    bar
}
