//! What else knows about a chain: the index, the raft log, and markers of joins and removals.
//!
//! Neither the index nor the raft log can be opened without being written to, so both are copied to a temporary folder,
//! and looked at there.

use std::fs;
use std::path::{Path, PathBuf};

use configtx::Bundle;
use configtx::consensus_metadata::{Consenters, consenters_of};
use configtx::join::check_join_block;
use consensus::raft::EngineLog;
use consensus::raft::ledger_only::loss_of;
use consensus::raft::log::{LogError, LogState, RaftLog as _};
use ledger::Place;
use ledger::index::{Index as _, SledIndex};
use prost::Message as _;
use protos::wire::common::Block;
use protos::wire::etcdraft::{BlockMetadata, Consenter};
use protos::{BlockNumber, ChannelId, Height, SealedBlock};
use tempfile::TempDir;

use super::Failure;
use super::folder::Folder;
use super::members::OwnKey;
use super::problem::{Problem, Report};

pub(super) const NEXT_INDEX: &str = "nothing is lost: stop the node and delete the folder `index`, the next start makes it \
                                     anew from the blocks; then look for what else the disk has spoilt";
const NEXT_RAFT_LOG: &str = "such a member must not vote and only follows: take it off the channel's list of consenters and \
                             put it back on (docs/operating/recover.md)";
const NEXT_MARKER: &str =
    "delete the file, or replace it by a config block of the channel, before the next start";

const INDEX: &str = "index";
/// The folder of the log below `Consensus.WALDir`, and how names of its unused files end.
const RAFT_LOG: &str = ".raft-engine";
const UNUSED_SUFFIX: &str = ".reserved";
const JOINS: &str = "pendingops/join";
const REMOVALS: &str = "pendingops/remove";

/// Copies of the index and of the raft log, and who this node is.
pub(super) struct Witnesses {
    index: Option<SledIndex>,
    raft_log: Option<Result<EngineLog, LogError>>,
    /// None without settings, or where the node has no place among orderers.
    own: Option<OwnKey>,
    /// Last, so that the copies go after whoever has them open.
    copies: Option<TempDir>,
}

/// What the raft log says of a chain.
pub(super) enum Judged {
    Nothing,
    Note(String),
    Bad { what: String, next: &'static str },
}

impl Witnesses {
    /// Copies what there is. While a node runs, nothing is.
    pub(super) fn gather(folder: &Folder, report: &mut Report) -> Result<Self, Failure> {
        let mut gathered = Self {
            index: None,
            raft_log: None,
            own: None,
            copies: None,
        };
        if report.in_use {
            return Ok(gathered);
        }
        let copies = tempfile::tempdir().map_err(|error| {
            Failure::new(format!("cannot make a temporary folder: {error}")).next("set TMPDIR")
        })?;
        gathered.index = open_index(&folder.location, copies.path(), report)?;
        match &folder.config {
            None => report.notes.push(
                "raft logs were not looked at: the folder was named without the node's orderer.yaml"
                    .to_owned(),
            ),
            Some(config) => {
                gathered.raft_log = open_raft_log(&config.consensus.wal_dir, copies.path())?;
                gathered.own = OwnKey::read(&config.general).ok();
            }
        }
        gathered.copies = Some(copies);
        Ok(gathered)
    }

    /// The height up to which the index knows blocks as durable.
    pub(super) fn indexed(&self, channel: &ChannelId) -> Height {
        let height = self.index.as_ref().map(|index| index.height(channel));
        height.and_then(Result::ok).unwrap_or(Height::EMPTY)
    }

    /// True if the index has a block at another place.
    pub(super) fn is_elsewhere(&self, channel: &ChannelId, number: BlockNumber, place: &Place) -> bool {
        let known = self.index.as_ref().map(|index| index.get(channel, number));
        known.is_some_and(|known| match known {
            Ok(known) => known.is_some_and(|known| known != *place),
            Err(_) => true,
        })
    }

    /// Compares the raft log with a whole chain.
    pub(super) fn judge_raft_log(
        &self,
        channel: &ChannelId,
        newest: &SealedBlock,
        bundle: &Bundle,
        metadata: Option<&BlockMetadata>,
    ) -> Judged {
        let Ok(Consenters::Raft(consenters)) = consenters_of(bundle.orderer()) else {
            return Judged::Nothing;
        };
        let metadata = metadata
            .cloned()
            .unwrap_or_else(|| first_metadata(consenters.len()));
        let log = match &self.raft_log {
            None => return self.without_log(&consenters, newest),
            Some(Err(error)) => return bad(format!("the raft log cannot be opened: {error}")),
            Some(Ok(log)) => log.load(channel),
        };
        let log = match log {
            Ok(log) => log,
            Err(error) => return bad(error.to_string()),
        };
        if log == LogState::default() {
            return self.without_log(&consenters, newest);
        }
        let Ok(decoded) = newest.decode() else {
            return Judged::Nothing; // told with the block
        };
        match loss_of(&log, decoded, metadata.clone()) {
            Some(reason) => bad(reason),
            None => self.compare_ids(&log, &consenters, &metadata),
        }
    }

    fn compare_ids(&self, log: &LogState, consenters: &[Consenter], metadata: &BlockMetadata) -> Judged {
        let id = self
            .place(consenters)
            .and_then(|place| metadata.consenter_ids.get(place));
        match (&log.identity, id) {
            (Some(identity), Some(id)) if identity.id.0 != *id => Judged::Note(format!(
                "the raft log is of member {}, the newest config makes this node member {id}: it begins a new log",
                identity.id
            )),
            _ => Judged::Nothing,
        }
    }

    fn without_log(&self, consenters: &[Consenter], newest: &SealedBlock) -> Judged {
        if newest.number() == BlockNumber::GENESIS || self.place(consenters).is_none() {
            return Judged::Nothing;
        }
        Judged::Note(
            "this node is a consenter and has no raft log of the channel: it does not vote until it holds the leader's"
                .to_owned(),
        )
    }

    fn place(&self, consenters: &[Consenter]) -> Option<usize> {
        self.own.as_ref()?.place(consenters)
    }
}

fn bad(what: String) -> Judged {
    Judged::Bad {
        what,
        next: NEXT_RAFT_LOG,
    }
}

/// What a genesis block means.
pub(super) fn first_metadata(consenters: usize) -> BlockMetadata {
    BlockMetadata {
        consenter_ids: (1..=consenters as u64).collect(),
        next_consenter_id: consenters as u64 + 1,
        raft_index: 0,
    }
}

fn open_index(location: &Path, copies: &Path, report: &mut Report) -> Result<Option<SledIndex>, Failure> {
    let (from, to) = (location.join(INDEX), copies.join(INDEX));
    if !from.is_dir() {
        report
            .notes
            .push("there is no index: the next start makes it from the blocks".to_owned());
        return Ok(None);
    }
    copy(&from, &to)?;
    match SledIndex::open(&to) {
        Ok(index) => Ok(Some(index)),
        Err(error) => {
            report
                .problems
                .push(Problem::new("index", error, NEXT_INDEX).at(from, None));
            Ok(None)
        }
    }
}

fn open_raft_log(wal_dir: &Path, copies: &Path) -> Result<Option<Result<EngineLog, LogError>>, Failure> {
    let from = wal_dir.join(RAFT_LOG);
    if !from.is_dir() {
        return Ok(None);
    }
    let wal = copies.join("wal");
    copy(&from, &wal.join(RAFT_LOG))?;
    Ok(Some(EngineLog::open(&wal, &copies.join("snapshots"))))
}

/// Copies a folder and the folders in it.
fn copy(from: &Path, to: &Path) -> Result<(), Failure> {
    try_copy(from, to).map_err(|error| {
        Failure::new(format!(
            "cannot copy {} to {}: {error}",
            from.display(),
            to.display()
        ))
        .next("set TMPDIR to a folder on a disk with room")
    })
}

fn try_copy(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            try_copy(&entry.path(), &target)?;
        } else if !entry.file_name().to_string_lossy().ends_with(UNUSED_SUFFIX) {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// Joins and removals that are pending, and what else lies beside the chains.
pub(super) fn markers(folder: &Folder, report: &mut Report) -> Result<(), Failure> {
    for name in folder.entries(REMOVALS)? {
        let channel = name.strip_suffix(".remove").unwrap_or(&name);
        report.notes.push(format!(
            "a removal of channel {channel} has begun; the next start finishes it"
        ));
    }
    for name in folder.entries(JOINS)? {
        look_at_join(folder.location.join(JOINS).join(&name), &name, report);
    }
    let (unfinished, strangers) = folder.strangers()?;
    for name in unfinished {
        report.notes.push(format!(
            "chains/{name} is an import that was not finished: import the channel again, or delete the folder"
        ));
    }
    for name in strangers {
        report.notes.push(format!(
            "chains/{name} is not the name of a channel, and not looked at"
        ));
    }
    Ok(())
}

fn look_at_join(path: PathBuf, name: &str, report: &mut Report) {
    let Some(channel) = name.strip_suffix(".join") else {
        let note = format!(
            "{} was not written to its end; the next start deletes it",
            path.display()
        );
        return report.notes.push(note);
    };
    let block = fs::read(&path).map_err(|error| error.to_string());
    let block =
        block.and_then(|bytes| Block::decode(&*bytes).map_err(|error| format!("not a block: {error}")));
    let joined = block.and_then(|block| check_join_block(&block).map_err(|error| error.to_string()));
    let what = match joined {
        Err(error) => format!("the channel cannot be joined with this file: {error}"),
        Ok(bundle) if bundle.channel_id().as_str() != channel => {
            format!("its block is of channel {}", bundle.channel_id())
        }
        Ok(_) => {
            return report.notes.push(format!(
                "a join of channel {channel} is pending; the next start goes on with it"
            ));
        }
    };
    report
        .problems
        .push(Problem::new("marker", what, NEXT_MARKER).at(path, None));
}
