//! `RaftLog`: what a member must not forget, as a seam. The core asks for writes by value; the driver carries them out
//! and says when they are durable.
//!
//! One log serves all channels of a node. In production it is `storage.rs`; simulation has one over its own disk.
//! Types of raft-rs do not appear here.

use bytes::Bytes;
use protos::block::Hash;
use protos::{BlockNumber, ChannelId, ConfigSeq, ConsenterId, Envelope};

use crate::chain::SubmissionKind;

/// All channels' logs of one node. Every call reads or writes the disk on the calling thread.
pub trait RaftLog: Send + Sync {
    /// What is kept of `channel`; the default of everything if nothing is.
    fn load(&self, channel: &ChannelId) -> Result<LogState, LogError>;

    /// Writes all of `writes`, in order, and makes them durable together: after a crash either a prefix of them is
    /// there or all, and all once this has returned.
    fn write(&self, writes: &[(ChannelId, LogWrite)]) -> Result<(), LogError>;

    /// Keeps what a member must not forget where the channel is removed from its node alone, and takes away the rest:
    /// durable on return. Nothing is kept if it has never taken part.
    fn retire(&self, channel: &ChannelId, retired: Retired) -> Result<(), LogError>;

    /// Forgets everything about `channel`, durably. Where it was [retired](Self::retire), what that has kept stays, and
    /// only the folders go that tools look at.
    fn remove(&self, channel: &ChannelId) -> Result<(), LogError>;
}

/// What is kept of one channel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogState {
    /// As whom this node has taken part; none if it never has.
    pub identity: Option<Identity>,
    /// Term, vote and commit.
    pub hard_state: HardState,
    /// Who votes, and up to which entry that is known.
    pub members: MembersAt,
    /// What stands for the entries that were dropped.
    pub checkpoint: Option<Checkpoint>,
    /// The rest, without gaps; the first follows the checkpoint or is nearer to the beginning.
    pub entries: Vec<LogEntry>,
    /// The channel was removed from this node, and its ledger with it: what is above is from before.
    pub retired: Option<Retired>,
    /// What the last run took in and left in no block; empty once the next one has taken it up.
    pub unordered: Unordered,
}

impl LogState {
    /// What a write makes of it.
    pub fn apply(&mut self, write: &LogWrite) {
        if write.resets {
            self.entries.clear();
            self.checkpoint = None;
        }
        if write.resets || write.returns {
            self.retired = None;
        }
        if let Some(retired) = &write.retires {
            self.retired = Some(retired.clone());
        }
        if let Some(unordered) = write.unordered_after() {
            self.unordered = unordered.clone();
        }
        if let Some(identity) = &write.identity {
            self.identity = Some(identity.clone());
        }
        self.hard_state = write.hard_state.unwrap_or(self.hard_state);
        if let Some(members) = &write.members {
            self.members = members.clone();
        }
        if let Some(checkpoint) = &write.checkpoint {
            self.checkpoint = Some(checkpoint.clone());
        }
        if let Some(first) = write.entries.first() {
            self.entries.retain(|entry| entry.index < first.index);
            self.entries.extend(write.entries.iter().cloned());
        }
        if let Some(below) = write.compact_below {
            self.entries.retain(|entry| entry.index >= below);
        }
    }
}

/// As whom a node takes part in a channel. Written before the first message that could bind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Its raft id.
    pub id: ConsenterId,
    /// Why it must not take part under this id any more, if so.
    pub lost: Option<String>,
    /// The entry its log must hold before it votes or campaigns: what a leader said was committed when this node began
    /// without a log. 0: no such bound; `u64::MAX`: no leader said it yet.
    pub votes_from: u64,
    /// Blocks up to this raft index may be in the ledger and not in the log, since they were pulled from other
    /// orderers; `u64::MAX` while they are being pulled.
    pub pulled: u64,
}

impl Identity {
    /// What goes on record before blocks are pulled without the log; none if it is there already.
    pub fn followed(mut self) -> Option<Self> {
        let before = std::mem::replace(&mut self.pulled, u64::MAX);
        (before != u64::MAX).then_some(self)
    }
}

/// Of which chain a log is whose ledger was removed. A channel of the same name may be another one, or the same one
/// made anew from its genesis block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retired {
    /// Hash of the genesis block's header.
    pub genesis: Hash,
    /// Hash of block 1's header; none if there was none yet.
    pub first: Option<Hash>,
    /// The metadata of the consensus type, as the config had it that was in force last: who else had the chain.
    pub members: Bytes,
}

/// Envelopes that a run took in, and that were in no block when it was told to end. Whoever sent them may have been told
/// SUCCESS, so the next run goes on with them exactly where this one stood (ADR 023). Not written by a crash.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unordered {
    /// The term in which it handed envelopes last.
    pub term: u64,
    /// Told this run from others in that term.
    pub incarnation: u64,
    /// How many numbers it gave in that term.
    pub numbers: u64,
    /// How many of `envelopes`, from the first, it handed to the leader of that term.
    pub handed: u64,
    /// They were looked for in all blocks up to this one.
    pub seen: BlockNumber,
    /// In the order in which they came.
    pub envelopes: Vec<LeftEnvelope>,
}

impl Unordered {
    /// How many still wait for a block.
    pub fn waiting(&self) -> usize {
        let waits = |left: &&LeftEnvelope| left.fate == Fate::Waits;
        self.envelopes.iter().filter(waits).count()
    }
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftEnvelope {
    /// As it was checked last.
    pub envelope: Envelope,
    /// What it is.
    pub kind: SubmissionKind,
    /// The config sequence of that check.
    pub config_seq: ConfigSeq,
    /// Its number among those handed to the leader of the term, if it may have to be handed to it again.
    pub number: Option<u64>,
    /// The newest block when it was first handed to a leader; none if it never was.
    pub handed_at: Option<BlockNumber>,
    /// What became of it so far.
    pub fate: Fate,
}

/// What became of an envelope that was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is in no block that was looked through.
    Waits,
    /// It is in a block. Only its number counts.
    Seen,
    /// Nobody waits for it any more. Only its number counts.
    GivenUp,
}

/// Raft's hard state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HardState {
    /// The latest term.
    pub term: u64,
    /// Whom this member voted for in it; 0: nobody.
    pub vote: u64,
    /// The highest entry known to be committed.
    pub commit: u64,
}

/// The voters after applying the entry at `index`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MembersAt {
    /// The entry; 0: none was applied.
    pub index: u64,
    /// Their ids.
    pub voters: Vec<ConsenterId>,
}

/// The state after applying the entry at `index`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The entry.
    pub index: u64,
    /// Its term.
    pub term: u64,
    /// The voters then.
    pub voters: Vec<ConsenterId>,
    /// Number of the newest block at or before that entry.
    pub block_number: BlockNumber,
    /// That block as its entry had it: header and data, metadata of five empty slots (`docs/spec/wire.md` §12).
    pub block: Bytes,
}

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    /// Its place, from 1.
    pub index: u64,
    /// The term of the leader that made it.
    pub term: u64,
    /// What `data` is.
    pub kind: EntryKind,
    /// A block, a `raftpb.ConfChange`, or nothing.
    pub data: Bytes,
}

/// What an entry carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A serialized block, or nothing: a leader's first of its term.
    Normal,
    /// `raftpb.ConfChange`, V1, `AddNode` or `RemoveNode`.
    ConfChange,
}

/// Changes to one channel's log that become durable together. Fields that are none or empty change nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogWrite {
    /// As whom it takes part from now on.
    pub identity: Option<Identity>,
    /// Replaces what is there.
    pub hard_state: Option<HardState>,
    /// Replaces what is there.
    pub members: Option<MembersAt>,
    /// Replaces what is there.
    pub checkpoint: Option<Checkpoint>,
    /// All entries and the checkpoint there go, before `checkpoint` and `entries` are written: the new one came from a
    /// leader, or the log is that of a former raft id or of another chain.
    pub resets: bool,
    /// The channel is removed from this node.
    pub retires: Option<Retired>,
    /// The channel is back on this node, and its log goes on.
    pub returns: bool,
    /// Written over whatever is at their places; what is behind the last of them goes.
    pub entries: Vec<LogEntry>,
    /// Entries below this place may go. Never above the checkpoint's index + 1.
    pub compact_below: Option<u64>,
    /// Replaces what is there. It also goes with `resets` and `retires`. Boxed, as it is rare and writes are not.
    pub unordered: Option<Box<Unordered>>,
}

impl LogWrite {
    /// What stands for the envelopes that a run has left, if this changes it.
    pub fn unordered_after(&self) -> Option<&Unordered> {
        static NONE: Unordered = Unordered {
            term: 0,
            incarnation: 0,
            numbers: 0,
            handed: 0,
            seen: BlockNumber(0),
            envelopes: Vec::new(),
        };
        let goes = self.resets || self.retires.is_some();
        self.unordered.as_deref().or(goes.then_some(&NONE))
    }
}

/// Why the log was not read or written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct LogError {
    /// What went wrong, with the place on disk.
    pub reason: String,
    /// The disk has no room: nothing was written, and it may be tried again.
    pub is_disk_full: bool,
    /// Another process has the log open. One that ends lets go of it.
    pub is_in_use: bool,
}
