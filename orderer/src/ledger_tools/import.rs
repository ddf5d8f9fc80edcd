//! `orderer ledger import`: a channel out of copies, or out of the data folder of a reference orderer.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Instant;

use indicatif::ProgressBar;
use ledger::{ImportError, Incoming, LedgerFactory};
use protos::{ChannelId, Height, SealedBlock};
use serde::Serialize;

use super::export::hex;
use super::folder::{FolderArguments, speed};
use super::members::{MemberArguments, OwnKey, describe};
use super::records::{Records, RecordsError};
use super::reference::{self, ReferenceArguments};
use super::sequence::{Job, Sequence};
use super::{Failure, bar, pipeline, say};

pub(super) const TEACHING: &str = "\
Files are copies that `orderer ledger export` or `ordain backup` made, or block files of a Fabric orderer; several in a
row must continue each other. The first block must be block 0. Every link, data hash and signature is checked under
the channel's own configs before anything is used. The channel is there as a whole, or not at all; one that has
blocks already is refused. The node must be stopped; at its next start it has the channel, as if it had joined.

A raft log that the node has of the channel is gone on with. Without one, a consenter takes the log from the others
before it votes; if its log is lost, take it off the list of consenters and put it back on. --all-stopped-at is for a
channel of which all members are stopped and none has its log any more: all begin a new one with the same block.

With --fabric, all channels of a reference orderer's data folder (its FileLedger.Location) are taken over, or those
named with --channel. The folder is only read. docs/operating/recover.md walks through all of this.

Examples:
  orderer ledger import mychannel.blocks
  zstd -dc mychannel.blocks.zst | orderer ledger import -
  orderer ledger import mychannel.blocks --genesis mychannel.block --location /var/ordain
  orderer ledger import --fabric /var/hyperledger/production/orderer --dry-run
  orderer ledger import --fabric /var/hyperledger/production/orderer --all-stopped-at mychannel@12@5ac01dc39d2ee0f1

Exit status: 0 the channels are there; 1 for the command line, or what cannot be read or written; 2 the blocks are
damaged or forged, nothing was imported.";

/// A sync after so many bytes bounds what is in memory.
const SYNC_BYTES: usize = 32 << 20;

/// What `orderer ledger import` can be told.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Arguments {
    /// Copies, in order; - for standard input
    #[arg(
        value_name = "FILE",
        required_unless_present = "fabric",
        conflicts_with = "fabric"
    )]
    files: Vec<PathBuf>,
    /// Block file that must be the channel's first block: whom the copy is checked against
    #[arg(long, value_name = "FILE", conflicts_with = "fabric")]
    genesis: Option<PathBuf>,
    #[command(flatten)]
    reference: ReferenceArguments,
    #[command(flatten)]
    members: MemberArguments,
    #[command(flatten)]
    folder: FolderArguments,
    /// Print what was imported as JSON, one object a channel
    #[arg(long)]
    json: bool,
}

/// What was imported.
#[derive(Debug, Serialize)]
pub(super) struct Imported {
    pub(super) channel: String,
    pub(super) height: u64,
    /// Header hash of the newest block.
    pub(super) newest_hash: String,
    /// The raft index that a new log begins with.
    pub(super) raft_log_begins_at: Option<u64>,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let members = &arguments.members;
    if !arguments.reference.is_wanted() && (members.others_run || arguments.reference.names_channels()) {
        return Err(Failure::new("--others-run and --channel go with --fabric"));
    }
    let folder = arguments.folder.resolve()?;
    if arguments.reference.is_wanted() {
        return reference::run(&arguments.reference, members, &folder, arguments.json);
    }
    let genesis = arguments.genesis.as_deref().map(read_genesis).transpose()?;
    let mut copies = Copies::open(&arguments.files)?;
    let bar = bar::over(copies.bytes(), "import");
    let began = Instant::now();
    let mut next = || {
        copies
            .next(&bar)
            .and_then(|block| compare(block, genesis.as_ref()))
    };
    if members.dry_run {
        let own = folder.config.as_ref().map(|config| OwnKey::read(&config.general));
        let own = own.transpose().map_err(Failure::new)?;
        return describe(None, own.as_ref(), &mut next);
    }
    let factory = folder.open()?;
    let logs = members.open_logs(&folder)?;
    let taken = take(&factory, None, &mut next)?;
    let imported = Imported {
        channel: taken.channel.to_string(),
        height: taken.height().0,
        newest_hash: hex(taken.newest.hash()),
        raft_log_begins_at: logs.map_or(Ok(None), |logs| logs.begin(&taken))?,
    };
    let bytes = taken.bytes;
    taken.incoming.finish().map_err(refused)?;
    bar.finish_and_clear();
    tell(&imported, arguments.json)?;
    eprintln!("{}", speed(bytes, imported.height, began.elapsed()));
    Ok(())
}

/// A first block must be the one that was given.
fn compare(
    block: Option<SealedBlock>,
    genesis: Option<&SealedBlock>,
) -> Result<Option<SealedBlock>, Failure> {
    match (genesis, &block) {
        (Some(genesis), Some(first))
            if first.number() == genesis.number() && first.hash() != genesis.hash() =>
        {
            Err(Failure::damaged(
                "the first block of the copy is not the one of --genesis",
            ))
        }
        _ => Ok(block),
    }
}

/// Says what was imported.
pub(super) fn tell(imported: &Imported, json: bool) -> Result<(), Failure> {
    if json {
        say(serde_json::to_string(imported).map_err(Failure::new)?);
        return Ok(());
    }
    let Imported {
        channel,
        height,
        newest_hash,
        raft_log_begins_at,
    } = imported;
    say(format!(
        "channel {channel} is imported: height {height}, newest hash {newest_hash}"
    ));
    if let Some(index) = raft_log_begins_at {
        say(format!("  its raft log begins anew at index {index}"));
    }
    Ok(())
}

fn read_genesis(path: &Path) -> Result<SealedBlock, Failure> {
    let unreadable =
        |error: &dyn std::fmt::Display| Failure::new(format!("cannot read {}: {error}", path.display()));
    let bytes = std::fs::read(path).map_err(|error| unreadable(&error))?;
    let block = SealedBlock::from_bytes(bytes.into()).map_err(|error| unreadable(&error))?;
    if block.number().0 != 0 {
        return Err(unreadable(&format!(
            "it is block {}, not the first one",
            block.number()
        )));
    }
    Ok(block)
}

/// The blocks of several copies in a row.
struct Copies {
    records: Vec<Records<Box<dyn Read>>>,
    bytes: u64,
}

impl Copies {
    fn open(files: &[PathBuf]) -> Result<Self, Failure> {
        let mut bytes = 0;
        let mut records = Vec::new();
        for path in files.iter().rev() {
            let name = path.display().to_string();
            if name == "-" {
                records.push(Records::new(
                    Box::new(io::stdin()) as Box<dyn Read>,
                    "standard input".to_owned(),
                ));
                continue;
            }
            let opened = File::open(path).and_then(|file| Ok((file.metadata()?.len(), file)));
            let (len, file) = opened.map_err(|error| Failure::new(format!("cannot open {name}: {error}")))?;
            bytes += len;
            records.push(Records::new(Box::new(file) as Box<dyn Read>, name));
        }
        Ok(Self { records, bytes })
    }

    fn bytes(&self) -> u64 {
        self.bytes
    }

    fn next(&mut self, bar: &ProgressBar) -> Result<Option<SealedBlock>, Failure> {
        while let Some(current) = self.records.last_mut() {
            let before = current.offset();
            if let Some(block) = current.next().map_err(broken)? {
                bar.inc(current.offset() - before);
                return Ok(Some(block));
            }
            self.records.pop();
        }
        Ok(None)
    }
}

/// Why a copy is not read on.
pub(super) fn broken(error: RecordsError) -> Failure {
    match error {
        RecordsError::Read { .. } => Failure::new(error),
        _ => Failure::damaged(error).next("nothing was imported; make the copy again, or take another one"),
    }
}

/// A verified chain that is not the channel's yet.
pub(super) struct Taken<'a> {
    pub(super) channel: ChannelId,
    pub(super) incoming: Incoming<'a>,
    pub(super) newest: SealedBlock,
    pub(super) sequence: Sequence,
    pub(super) bytes: u64,
}

impl Taken<'_> {
    pub(super) fn height(&self) -> Height {
        self.newest.height()
    }
}

/// Verifies all that `next` gives, and writes it beside the channels of `factory`. Nothing is left after an error.
pub(super) fn take<'a>(
    factory: &'a LedgerFactory,
    channel: Option<ChannelId>,
    next: &mut dyn FnMut() -> Result<Option<SealedBlock>, Failure>,
) -> Result<Taken<'a>, Failure> {
    let sequence = RefCell::new(Sequence::of(channel));
    let mut writing = Writing::new(factory);
    pipeline::run(
        || {
            let Some(block) = next()? else { return Ok(None) };
            let mut sequence = sequence.borrow_mut();
            if sequence.newest().is_none() && block.number().0 != 0 {
                let what = format!(
                    "the first block is block {}, and a chain begins with block 0",
                    block.number()
                );
                return Err(Failure::new(what).next("give the copies from block 0 on, in order"));
            }
            Ok(Some(sequence.take(block, None)))
        },
        |job| {
            let channel = sequence.borrow().channel().cloned();
            writing.put(&job, channel.as_ref())
        },
    )?;
    writing.sync()?;
    let sequence = sequence.into_inner();
    match (
        sequence.channel().cloned(),
        sequence.newest().cloned(),
        writing.incoming,
    ) {
        (Some(channel), Some(newest), Some(incoming)) => Ok(Taken {
            channel,
            incoming,
            newest,
            sequence,
            bytes: writing.bytes,
        }),
        _ => Err(Failure::damaged("there is no block to import")),
    }
}

struct Writing<'a> {
    factory: &'a LedgerFactory,
    incoming: Option<Incoming<'a>>,
    unsynced: usize,
    bytes: u64,
}

impl<'a> Writing<'a> {
    fn new(factory: &'a LedgerFactory) -> Self {
        Self {
            factory,
            incoming: None,
            unsynced: 0,
            bytes: 0,
        }
    }

    /// Appends a block in which nothing is wrong.
    fn put(&mut self, job: &Job, channel: Option<&ChannelId>) -> Result<(), Failure> {
        if let Some(fault) = job.faults.first() {
            return Err(Failure::damaged(&fault.text).next(
                "nothing was imported: the copy is damaged, or not of the channel it says; take another one",
            ));
        }
        let channel = channel.ok_or_else(|| Failure::damaged("the first block names no channel"))?;
        let mut incoming = match self.incoming.take() {
            Some(incoming) => incoming,
            None => self.factory.begin_import(channel).map_err(refused)?,
        };
        let bytes = job.block.bytes().len();
        let written = incoming.store().map(|store| store.append(&job.block));
        self.incoming = Some(incoming);
        if let Some(Err(error)) = written {
            return Err(Failure::new(error).next("nothing was imported"));
        }
        self.bytes += bytes as u64;
        self.unsynced += bytes;
        if self.unsynced >= SYNC_BYTES {
            self.sync()
        } else {
            Ok(())
        }
    }

    fn sync(&mut self) -> Result<(), Failure> {
        self.unsynced = 0;
        let store = self.incoming.as_mut().and_then(Incoming::store);
        match store.map(ledger::BlockStore::sync) {
            Some(Err(error)) => Err(Failure::new(error).next("nothing was imported")),
            _ => Ok(()),
        }
    }
}

/// Why a chain is not taken in.
pub(super) fn refused(error: ImportError) -> Failure {
    let next = match &error {
        ImportError::Exists { .. } => {
            "an import never changes a channel that is there: remove it first (`ordain channel remove`), or use another folder"
        }
        ImportError::RemovalPending { .. } => "start the node once, then stop it and import again",
        _ => "nothing was imported",
    };
    Failure::new(error).next(next)
}
