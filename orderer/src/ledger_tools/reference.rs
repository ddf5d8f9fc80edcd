//! `orderer ledger import --fabric`: channels out of the data folder of a reference orderer, which is only read.
//!
//! ```text
//! chains/<channel>/blockfile_* ──> ReferenceBlocks ──> verified ──> a channel here
//!                                                          └─ this node is a consenter, all members stopped ──> a raft log
//! ```

use std::path::{Path, PathBuf};

use indicatif::ProgressBar;
use ledger::disk::RealDisk;
use ledger::{LedgerFactory, ReferenceBlocks};
use protos::{ChannelId, SealedBlock};

use super::export::hex;
use super::folder::{self, Folder};
use super::import::{Imported, refused, take, tell};
use super::members::{MemberArguments, OwnKey, RaftLogs, describe};
use super::{Failure, bar, say};

const CHAINS: &str = "chains";

/// What of `orderer ledger import` is about reference orderers.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct ReferenceArguments {
    /// Data folder of a Fabric orderer, to take its channels over; it is only read
    #[arg(long, value_name = "FOLDER")]
    fabric: Option<PathBuf>,
    /// With --fabric: only this channel; may be repeated
    #[arg(long, value_name = "NAME", value_parser = |text: &str| ChannelId::parse(text))]
    channel: Vec<ChannelId>,
}

impl ReferenceArguments {
    pub(super) fn is_wanted(&self) -> bool {
        self.fabric.is_some()
    }

    pub(super) fn names_channels(&self) -> bool {
        !self.channel.is_empty()
    }
}

pub(super) fn run(
    arguments: &ReferenceArguments,
    members: &MemberArguments,
    target: &Folder,
    json: bool,
) -> Result<(), Failure> {
    let source = Source::open(arguments)?;
    let config = target.config.as_ref().ok_or_else(|| {
        Failure::new("taking channels over needs the node's orderer.yaml, not only its folder")
            .next("give --config FILE in place of --location")
    })?;
    refuse_same(&source.location, target)?;
    if members.dry_run {
        let own = OwnKey::read(&config.general).map_err(Failure::new)?;
        let mut channels = source.channels.iter();
        return channels.try_for_each(|channel| source.describe(channel, &own));
    }
    let factory = target.open()?;
    let logs = RaftLogs::open(members, config, true)?;
    for channel in &source.channels {
        tell(&source.move_channel(channel, &factory, &logs)?, json)?;
    }
    Ok(())
}

/// A reference orderer's data folder, and the channels to take from it.
struct Source {
    location: PathBuf,
    channels: Vec<ChannelId>,
}

impl Source {
    fn open(arguments: &ReferenceArguments) -> Result<Self, Failure> {
        let location = arguments.fabric.clone().unwrap_or_default();
        let found: Vec<_> = folder::entries(&location.join(CHAINS))?
            .iter()
            .filter_map(|name| ChannelId::parse(name).ok())
            .collect();
        let is_reference = ledger::foreign::find(&location).is_ok_and(|found| found.is_some());
        if !is_reference || found.is_empty() {
            let what = format!(
                "{} is no data folder of a Fabric orderer with channels",
                location.display()
            );
            return Err(Failure::new(what)
                .next("name its FileLedger.Location: it has the folders `chains` and `index`"));
        }
        if let Some(unknown) = arguments.channel.iter().find(|channel| !found.contains(channel)) {
            return Err(Failure::new(format!(
                "{} has no channel {unknown}",
                location.display()
            )));
        }
        let channels = match &arguments.channel[..] {
            [] => found,
            some => some.to_vec(),
        };
        Ok(Self { location, channels })
    }

    fn blocks(&self, channel: &ChannelId) -> Result<(ReferenceBlocks, ProgressBar), Failure> {
        let path = self.location.join(CHAINS).join(channel.as_str());
        let unreadable = |error| Failure::new(format!("cannot read {}: {error}", path.display()));
        let folder = RealDisk::existing(&path).map_err(unreadable)?;
        let blocks = ReferenceBlocks::open(folder).map_err(Failure::new)?;
        let bar = bar::over(blocks.bytes().map_err(unreadable)?, channel.as_str());
        Ok((blocks, bar))
    }

    fn describe(&self, channel: &ChannelId, own: &OwnKey) -> Result<(), Failure> {
        let (mut blocks, bar) = self.blocks(channel)?;
        describe(Some(channel.clone()), Some(own), &mut || next(&mut blocks, &bar))?;
        bar.finish_and_clear();
        if blocks.torn_bytes() > 0 {
            let bytes = blocks.torn_bytes();
            say(format!(
                "  a block that was not written to its end is left out, {bytes} bytes"
            ));
        }
        Ok(())
    }

    fn move_channel(
        &self,
        channel: &ChannelId,
        factory: &LedgerFactory,
        logs: &RaftLogs<'_>,
    ) -> Result<Imported, Failure> {
        let (mut blocks, bar) = self.blocks(channel)?;
        let taken = take(factory, Some(channel.clone()), &mut || next(&mut blocks, &bar))?;
        bar.finish_and_clear();
        let imported = Imported {
            channel: channel.to_string(),
            height: taken.height().0,
            newest_hash: hex(taken.newest.hash()),
            raft_log_begins_at: logs.begin(&taken)?,
        };
        // Last: a channel that is there has its log.
        taken.incoming.finish().map_err(refused)?;
        Ok(imported)
    }
}

fn next(blocks: &mut ReferenceBlocks, bar: &ProgressBar) -> Result<Option<SealedBlock>, Failure> {
    let block = blocks.next().transpose().map_err(Failure::damaged)?;
    bar.inc(block.as_ref().map_or(0, |block| block.bytes().len() as u64));
    Ok(block)
}

/// The two folders must not be one.
fn refuse_same(source: &Path, target: &Folder) -> Result<(), Failure> {
    let same = match (source.canonicalize(), target.location.canonicalize()) {
        (Ok(source), Ok(target)) => source == target,
        _ => false,
    };
    if same {
        let what = format!(
            "FileLedger.Location of this node is the folder of the Fabric orderer, {}",
            source.display()
        );
        return Err(Failure::new(what).next(
            "the originals stay as they are: give the node another FileLedger.Location, or rename the folder and name it by \
             its new name",
        ));
    }
    Ok(())
}
