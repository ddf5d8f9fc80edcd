//! The raft log of a simulated node: one file of checksummed records on its simulated disk.
//!
//! ```text
//! raft/log       record, record, ...   each `len: u32 LE | crc32c: u32 LE | bytes`; one for each `LogWrite`
//! raft/identity  as whom the node takes part; written whole and at once, and not lost with the log
//! ```
//!
//! What was appended and not synced may be lost or torn by a crash; what is left is a prefix of the records.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use consensus::SubmissionKind;
use consensus::raft::log::{
    Checkpoint, EntryKind, Fate, HardState, Identity, LeftEnvelope, LogEntry, LogState, LogWrite, MembersAt,
    Retired, Unordered,
};
use ledger::disk::{Directory, File, read_whole, remove_whole, write_whole};
use prost::Message;
use protos::{BlockNumber, ConfigSeq, ConsenterId, Envelope};

const FOLDER: &str = "raft";
const LOG: &str = "log";
const IDENTITY: &str = "identity";
const HEAD_BYTES: usize = 8;
const IDENTITY_BYTES_MAX: usize = 10_000;

/// The open log of one node.
#[derive(Debug)]
pub struct SimLog {
    folder: Arc<dyn Directory>,
    file: Arc<dyn File>,
    end: u64,
}

impl SimLog {
    /// Opens the log on a disk, cuts off what a crash has torn, and reads what is left.
    pub fn open(root: &Arc<dyn Directory>) -> io::Result<(Self, LogState)> {
        let folder = root.folder(FOLDER)?;
        root.sync_dir()?;
        let file = match folder.open(LOG) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => folder.create(LOG)?,
            other => other?,
        };
        folder.sync_dir()?;
        let (mut state, end) = replay(&*file)?;
        file.truncate(end)?;
        file.sync()?;
        state.identity = read_identity(&*folder)?;
        Ok((Self { folder, file, end }, state))
    }

    /// Writes behind the last record. Durable once [`sync`](Self::sync) has returned.
    pub fn append(&mut self, write: &LogWrite) -> io::Result<()> {
        if let Some(identity) = &write.identity {
            write_whole(
                &*self.folder,
                IDENTITY,
                &IdentityRecord::from(identity).encode_to_vec(),
            )?;
        }
        let record = Record::from(write).encode_to_vec();
        let len = u32::try_from(record.len()).map_err(|_| io::ErrorKind::FileTooLarge)?;
        let crc = crc32c::crc32c(&record);
        self.file
            .write_at(self.end, &[&len.to_le_bytes(), &crc.to_le_bytes(), &record])?;
        self.end += (HEAD_BYTES + record.len()) as u64;
        Ok(())
    }

    /// Makes everything appended durable.
    pub fn sync(&self) -> io::Result<()> {
        self.file.sync()
    }

    /// Loses the log; the record of who the node is stays.
    pub fn lose(root: &Arc<dyn Directory>) -> io::Result<()> {
        remove_whole(&*root.folder(FOLDER)?, LOG)
    }
}

fn read_identity(folder: &dyn Directory) -> io::Result<Option<Identity>> {
    let Some(bytes) = read_whole(folder, IDENTITY, IDENTITY_BYTES_MAX)? else {
        return Ok(None);
    };
    let record = IdentityRecord::decode(&bytes[..]).map_err(io::Error::other)?;
    Ok(Some(Identity {
        id: ConsenterId(record.id),
        lost: record.lost,
        votes_from: record.votes_from,
        pulled: record.pulled,
    }))
}

/// The state after the good records, and where they end.
fn replay(file: &dyn File) -> io::Result<(LogState, u64)> {
    let mut content = vec![0; usize::try_from(file.len()?).unwrap_or(usize::MAX)];
    file.read_at(0, &mut content)?;
    let content = Bytes::from(content);
    let (mut state, mut at) = (LogState::default(), 0);
    while let Some(record) = record_at(&content, at) {
        let Ok(write) = Record::decode(record.clone()) else {
            break;
        };
        state.apply(&write.into());
        at += HEAD_BYTES + record.len();
    }
    Ok((state, at as u64))
}

fn record_at(content: &Bytes, at: usize) -> Option<Bytes> {
    let number = |from: usize| -> Option<u32> {
        let bytes = content.get(from..from + 4)?;
        Some(u32::from_le_bytes(bytes.try_into().ok()?))
    };
    let (len, crc) = (number(at)? as usize, number(at + 4)?);
    let from = at + HEAD_BYTES;
    // A hole of zeros is no record: every write says something.
    if len == 0 || from + len > content.len() {
        return None;
    }
    let record = content.slice(from..from + len);
    (crc32c::crc32c(&record) == crc).then_some(record)
}

#[derive(Clone, PartialEq, Message)]
struct IdentityRecord {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(string, optional, tag = "2")]
    lost: Option<String>,
    #[prost(uint64, tag = "3")]
    votes_from: u64,
    #[prost(uint64, tag = "4")]
    pulled: u64,
}

impl From<&Identity> for IdentityRecord {
    fn from(identity: &Identity) -> Self {
        Self {
            id: identity.id.0,
            lost: identity.lost.clone(),
            votes_from: identity.votes_from,
            pulled: identity.pulled,
        }
    }
}

#[derive(Clone, PartialEq, Message)]
struct Record {
    /// Term, vote, commit; or nothing.
    #[prost(uint64, repeated, tag = "1")]
    hard_state: Vec<u64>,
    #[prost(message, optional, tag = "2")]
    members: Option<MembersRecord>,
    #[prost(message, optional, tag = "3")]
    checkpoint: Option<CheckpointRecord>,
    #[prost(bool, tag = "4")]
    resets: bool,
    #[prost(message, repeated, tag = "5")]
    entries: Vec<EntryRecord>,
    #[prost(uint64, optional, tag = "6")]
    compact_below: Option<u64>,
    /// Always true, so that no record is empty.
    #[prost(bool, tag = "7")]
    exists: bool,
    #[prost(message, optional, tag = "8")]
    retires: Option<RetiredRecord>,
    #[prost(bool, tag = "9")]
    returns: bool,
    #[prost(message, optional, tag = "10")]
    unordered: Option<UnorderedRecord>,
}

#[derive(Clone, PartialEq, Message)]
struct UnorderedRecord {
    /// Term, incarnation, numbers, handed, seen.
    #[prost(uint64, repeated, tag = "1")]
    progress: Vec<u64>,
    #[prost(message, repeated, tag = "2")]
    envelopes: Vec<LeftRecord>,
}

#[derive(Clone, PartialEq, Message)]
struct LeftRecord {
    #[prost(bytes = "bytes", tag = "1")]
    entry: Bytes,
    #[prost(bool, tag = "2")]
    is_config: bool,
    #[prost(uint64, tag = "3")]
    config_seq: u64,
    #[prost(uint64, optional, tag = "4")]
    number: Option<u64>,
    #[prost(uint64, optional, tag = "5")]
    handed_at: Option<u64>,
    #[prost(bool, tag = "6")]
    is_seen: bool,
    #[prost(bool, tag = "7")]
    is_given_up: bool,
}

impl From<&Unordered> for UnorderedRecord {
    fn from(unordered: &Unordered) -> Self {
        let Unordered {
            term,
            incarnation,
            numbers,
            handed,
            seen,
            envelopes,
        } = unordered;
        let left = |left: &LeftEnvelope| LeftRecord {
            entry: left.envelope.entry().clone(),
            is_config: left.kind == SubmissionKind::Config,
            config_seq: left.config_seq.0,
            number: left.number,
            handed_at: left.handed_at.map(|at| at.0),
            is_seen: left.fate == Fate::Seen,
            is_given_up: left.fate == Fate::GivenUp,
        };
        Self {
            progress: vec![*term, *incarnation, *numbers, *handed, seen.0],
            envelopes: envelopes.iter().map(left).collect(),
        }
    }
}

impl From<UnorderedRecord> for Unordered {
    fn from(record: UnorderedRecord) -> Self {
        let [term, incarnation, numbers, handed, seen] = record.progress[..] else {
            return Self::default();
        };
        let left = |left: LeftRecord| {
            Some(LeftEnvelope {
                envelope: Envelope::from_received(left.entry).ok()?,
                kind: if left.is_config {
                    SubmissionKind::Config
                } else {
                    SubmissionKind::Normal
                },
                config_seq: ConfigSeq(left.config_seq),
                number: left.number,
                handed_at: left.handed_at.map(BlockNumber),
                fate: match (left.is_seen, left.is_given_up) {
                    (true, _) => Fate::Seen,
                    (_, true) => Fate::GivenUp,
                    _ => Fate::Waits,
                },
            })
        };
        Self {
            term,
            incarnation,
            numbers,
            handed,
            seen: BlockNumber(seen),
            envelopes: record.envelopes.into_iter().filter_map(left).collect(),
        }
    }
}

#[derive(Clone, PartialEq, Message)]
struct RetiredRecord {
    #[prost(bytes = "vec", tag = "1")]
    genesis: Vec<u8>,
    /// Empty: none.
    #[prost(bytes = "vec", tag = "2")]
    first: Vec<u8>,
    #[prost(bytes = "bytes", tag = "3")]
    members: Bytes,
}

#[derive(Clone, PartialEq, Message)]
struct MembersRecord {
    #[prost(uint64, tag = "1")]
    index: u64,
    #[prost(uint64, repeated, tag = "2")]
    voters: Vec<u64>,
}

#[derive(Clone, PartialEq, Message)]
struct CheckpointRecord {
    #[prost(uint64, tag = "1")]
    index: u64,
    #[prost(uint64, tag = "2")]
    term: u64,
    #[prost(uint64, repeated, tag = "3")]
    voters: Vec<u64>,
    #[prost(uint64, tag = "4")]
    block_number: u64,
    #[prost(bytes = "bytes", tag = "5")]
    block: Bytes,
}

#[derive(Clone, PartialEq, Message)]
struct EntryRecord {
    #[prost(uint64, tag = "1")]
    index: u64,
    #[prost(uint64, tag = "2")]
    term: u64,
    #[prost(bool, tag = "3")]
    is_conf_change: bool,
    #[prost(bytes = "bytes", tag = "4")]
    data: Bytes,
}

fn numbers(ids: &[ConsenterId]) -> Vec<u64> {
    ids.iter().map(|id| id.0).collect()
}

fn ids(numbers: Vec<u64>) -> Vec<ConsenterId> {
    numbers.into_iter().map(ConsenterId).collect()
}

impl From<&LogWrite> for Record {
    fn from(write: &LogWrite) -> Self {
        let hard_state = write
            .hard_state
            .map(|state| vec![state.term, state.vote, state.commit]);
        let entry = |entry: &LogEntry| EntryRecord {
            index: entry.index,
            term: entry.term,
            is_conf_change: entry.kind == EntryKind::ConfChange,
            data: entry.data.clone(),
        };
        Self {
            hard_state: hard_state.unwrap_or_default(),
            members: write.members.as_ref().map(|members| MembersRecord {
                index: members.index,
                voters: numbers(&members.voters),
            }),
            checkpoint: write.checkpoint.as_ref().map(|checkpoint| CheckpointRecord {
                index: checkpoint.index,
                term: checkpoint.term,
                voters: numbers(&checkpoint.voters),
                block_number: checkpoint.block_number.0,
                block: checkpoint.block.clone(),
            }),
            resets: write.resets,
            entries: write.entries.iter().map(entry).collect(),
            compact_below: write.compact_below,
            exists: true,
            retires: write.retires.as_ref().map(|retired| RetiredRecord {
                genesis: retired.genesis.to_vec(),
                first: retired.first.map_or(Vec::new(), |first| first.to_vec()),
                members: retired.members.clone(),
            }),
            returns: write.returns,
            unordered: write.unordered.as_deref().map(UnorderedRecord::from),
        }
    }
}

impl From<Record> for LogWrite {
    fn from(record: Record) -> Self {
        let hard_state = match record.hard_state[..] {
            [term, vote, commit] => Some(HardState { term, vote, commit }),
            _ => None,
        };
        let entry = |entry: EntryRecord| LogEntry {
            index: entry.index,
            term: entry.term,
            kind: if entry.is_conf_change {
                EntryKind::ConfChange
            } else {
                EntryKind::Normal
            },
            data: entry.data,
        };
        Self {
            identity: None,
            hard_state,
            members: record.members.map(|members| MembersAt {
                index: members.index,
                voters: ids(members.voters),
            }),
            checkpoint: record.checkpoint.map(|checkpoint| Checkpoint {
                index: checkpoint.index,
                term: checkpoint.term,
                voters: ids(checkpoint.voters),
                block_number: BlockNumber(checkpoint.block_number),
                block: checkpoint.block,
            }),
            resets: record.resets,
            entries: record.entries.into_iter().map(entry).collect(),
            compact_below: record.compact_below,
            retires: record.retires.map(|retired| Retired {
                genesis: retired.genesis.try_into().unwrap_or_default(),
                first: retired.first.try_into().ok(),
                members: retired.members,
            }),
            returns: record.returns,
            unordered: record.unordered.map(|left| Box::new(left.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use ledger::disk::SimDisk;

    use super::*;

    fn entries(first: u64, count: u64, term: u64) -> LogWrite {
        let entry = |index| LogEntry {
            index,
            term,
            kind: EntryKind::Normal,
            data: Bytes::from(vec![7; 300]),
        };
        LogWrite {
            entries: (first..first + count).map(entry).collect(),
            ..LogWrite::default()
        }
    }

    #[test]
    fn a_crash_keeps_what_was_synced_and_a_prefix_of_the_rest() {
        let mut kept = std::collections::BTreeSet::new();
        for seed in 0..200 {
            let disk = SimDisk::new(seed);
            let (mut log, _) = SimLog::open(&disk.root()).unwrap();
            log.append(&entries(1, 4, 1)).unwrap();
            log.sync().unwrap();
            log.append(&entries(3, 1, 2)).unwrap();
            log.append(&entries(4, 2, 2)).unwrap();
            disk.crash();
            let (_, state) = SimLog::open(&disk.root()).unwrap();
            let terms: Vec<_> = state.entries.iter().map(|entry| entry.term).collect();
            assert!(
                [&[1, 1, 1, 1][..], &[1, 1, 2], &[1, 1, 2, 2, 2]].contains(&&terms[..]),
                "seed {seed}: {terms:?}"
            );
            kept.insert(terms);
        }
        assert_eq!(kept.len(), 3);
    }

    #[test]
    fn who_a_node_is_outlives_its_log() {
        let disk = SimDisk::new(1);
        let (mut log, _) = SimLog::open(&disk.root()).unwrap();
        let identity = Identity {
            id: ConsenterId(3),
            lost: None,
            votes_from: 7,
            pulled: u64::MAX,
        };
        let write = LogWrite {
            identity: Some(identity.clone()),
            ..entries(1, 1, 1)
        };
        log.append(&write).unwrap();
        log.sync().unwrap();
        SimLog::lose(&disk.root()).unwrap();
        let (_, state) = SimLog::open(&disk.root()).unwrap();
        assert_eq!(
            state,
            LogState {
                identity: Some(identity),
                ..LogState::default()
            }
        );
    }
}
