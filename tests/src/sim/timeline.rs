//! What will happen, in order of time.

use std::collections::BTreeMap;

use consensus::ticket::TimerToken;
use consensus::{ClusterMessage, MessageKind};

use protos::block::Hash;

use super::seed::Micros;

/// Something that will happen. What belongs to one run of a node says which: it comes to nothing in the next one.
#[derive(Clone, Debug)]
pub enum Happening {
    /// A tick interval has passed on a node's clock.
    Tick(Run),
    /// A message arrives.
    Arrives(Box<Parcel>),
    /// A submit stream can be made (again).
    StreamOpens(Stream),
    /// A message could not be sent.
    Unreachable {
        /// The sender.
        run: Run,
        /// The node that was not reached.
        to: usize,
    },
    /// The log's sync is done.
    LogSynced(Run),
    /// Writes to the log are reported as durable, which they are not: a planted bug.
    PersistedIsReported(Run, u64),
    /// The ledger's sync is done.
    BlocksSynced(Run),
    /// A node was told to end, and is not waited for any longer.
    HaltTakesLong(Run),
    /// A batch timer ran out.
    BatchTimer(Run, TimerToken),
    /// A node asks another for blocks.
    Pull(Run),
    /// A node asks the others whether the channel is new.
    AsksWhetherNew(Run),
    /// A node that had the channel before asks the others what became of it; it knew this block 1.
    AsksWhatBecame(Run, Hash),
    /// A node starts.
    Starts(usize),
    /// Clients hand envelopes in.
    Burst,
    /// An operator hands a config update in.
    Update,
    /// A fault that comes again and again.
    Fault(Fault),
    /// A partition ends.
    Heals(u64),
    /// A slow disk is quick again.
    DiskRecovers(usize),
}

/// One run of a node, from start to crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Run {
    /// The node.
    pub node: usize,
    /// Counts its starts.
    pub number: u64,
}

/// A message on its way.
#[derive(Clone, Debug)]
pub struct Parcel {
    /// Where it goes along.
    pub stream: Stream,
    /// On which stream.
    pub kind: MessageKind,
    /// What it says.
    pub message: ClusterMessage,
}

/// The connection from one node to another; counted up when it breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stream {
    /// The sender.
    pub from: usize,
    /// The receiver.
    pub to: usize,
    /// Which one.
    pub number: u64,
}

/// A fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A node loses its memory, and what it has not synced.
    Crash,
    /// All do, at once.
    PowerLoss,
    /// Some nodes do not reach some others.
    Partition,
    /// A process stands still.
    Pause,
    /// A process is told to end, and starts again.
    Halt,
    /// A node loses its log or more.
    Wipe,
    /// An operator removes the channel from a node, and joins it again there.
    Remove,
    /// A disk becomes slow.
    SlowDisk,
}

/// Happenings by their time; those of one time in the order they were planned.
#[derive(Debug, Default)]
pub struct Timeline {
    planned: BTreeMap<(Micros, u64), Happening>,
    count: u64,
}

impl Timeline {
    /// Plans something.
    pub fn at(&mut self, time: Micros, happening: Happening) {
        self.planned.insert((time, self.count), happening);
        self.count += 1;
    }

    /// The next one, if there is any.
    pub fn take_next(&mut self) -> Option<(Micros, Happening)> {
        let ((time, _), happening) = self.planned.pop_first()?;
        Some((time, happening))
    }
}
