//! From committed entries to blocks in the ledger: in order, once, and never ahead of a config that is not in force.
//!
//! ```text
//! committed ─> queue ─> handed out (position, tip) ─> Written, ConfigApplied ─> durable
//!                │ a config block: nothing more until ConfigApplied
//!                │ a membership change, a leader's state: once no write is open
//!                └ a block the ledger has: its hash is compared, and it is passed over
//! ```

use std::collections::VecDeque;

use bytes::Bytes;
use prost::Message as _;
use protos::BlockNumber;
use protos::block::{Hash, header_hash, is_config_block};
use protos::wire::common::{Block, BlockHeader};

use super::config_facts::ConfigFacts;
use super::event::{ConfigInForce, Tip};
use super::member::Membership;
use super::{Action, Life, RaftCore, Turn};
use crate::raft::log::{Checkpoint, EntryKind, LogEntry};
use crate::support::WriteError;
use crate::ticket::TicketId;

/// Most writes open at once; as many as one sync of the ledger covers.
const WRITES_OPEN_MAX: usize = 64;
/// Most bytes in open writes. One write is always allowed.
const BYTES_OPEN_MAX: usize = 16 << 20;
/// Committed and not durable here: beyond it a leader orders nothing more.
pub(super) const BACKLOG_LEADER_MAX: usize = 32 << 20;
/// Committed and not durable here: beyond it entries of a leader are dropped, which sends them again.
pub(super) const BACKLOG_MAX: usize = 64 << 20;

/// Something to be applied.
#[derive(Debug)]
pub(super) enum Item {
    /// A committed entry.
    Entry(LogEntry),
    /// A leader's state, durable in the log.
    Snapshot(Checkpoint),
}

/// A block and what the next one links to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) number: BlockNumber,
    pub(super) hash: Hash,
}

/// A block that is being written.
#[derive(Debug)]
struct Open {
    number: BlockNumber,
    index: u64,
    term: u64,
    entry: Bytes,
    tickets: Vec<TicketId>,
}

/// Blocks that come from other orderers.
#[derive(Debug, Default, PartialEq)]
pub(super) enum Pulling {
    #[default]
    Not,
    /// It is going on record, with this write, that the ledger may get ahead of the log.
    Recording { number: u64, through: BlockNumber },
    /// They come.
    Under,
}

/// The state of applying.
#[derive(Debug)]
pub(super) struct Applying {
    queue: VecDeque<Item>,
    queue_bytes: usize,
    open: VecDeque<Open>,
    open_bytes: usize,
    /// The members by the config block that is being written.
    awaited: Option<Membership>,
    pub(super) pulling: Pulling,
    /// The leader's state that blocks are pulled for, if they are for one.
    pub(super) pulled_for: Option<Checkpoint>,
    /// A block that others have, to be pulled when nothing is open.
    behind: Option<BlockNumber>,
    /// Everything through here was handed out.
    index: u64,
    term: u64,
    /// The newest block handed out.
    tip: Link,
    /// The last block that was passed over.
    passed: Option<Link>,
    /// Own envelopes were looked for in the blocks up to this one.
    seen: BlockNumber,
    /// Everything through here is durable.
    durable: (u64, u64),
    /// The newest durable block, as its entry has it.
    durable_block: (BlockNumber, Bytes),
}

impl Applying {
    pub(super) fn new(tip: &Tip, index: u64, term: u64) -> Self {
        Self {
            queue: VecDeque::new(),
            queue_bytes: 0,
            open: VecDeque::new(),
            open_bytes: 0,
            awaited: None,
            pulling: Pulling::Not,
            pulled_for: None,
            behind: None,
            index,
            term,
            tip: Link {
                number: tip.number,
                hash: tip.hash,
            },
            passed: None,
            seen: tip.number,
            durable: (index, term),
            durable_block: (tip.number, tip.entry.clone()),
        }
    }

    /// Begins again behind a log that was just made; the ledger's tip stays.
    pub(super) fn restart(&mut self, index: u64, term: u64) {
        (self.index, self.term) = (index, term);
        self.durable = (index, term);
    }

    /// Everything through this index was handed out.
    pub(super) fn index(&self) -> u64 {
        self.index
    }

    /// Term of the last entry handed out.
    pub(super) fn term(&self) -> u64 {
        self.term
    }

    /// The newest block handed out.
    pub(super) fn tip(&self) -> Link {
        self.tip
    }

    /// Bytes committed and not durable in the ledger.
    pub(super) fn backlog(&self) -> usize {
        self.queue_bytes + self.open_bytes
    }

    /// Blocks that are committed and not durable here, as far as is known.
    pub(super) fn behind(&self) -> u64 {
        let is_block = |item: &&Item| matches!(item, Item::Entry(entry) if entry.kind == EntryKind::Normal && !entry.data.is_empty());
        let queued = self.queue.iter().filter(is_block).count() + self.open.len();
        let snapshot = self.pulled_for.as_ref().map(|checkpoint| checkpoint.block_number);
        let pulled = snapshot
            .max(self.behind)
            .map_or(0, |number| number.0.saturating_sub(self.tip.number.0));
        (queued as u64).max(pulled)
    }

    /// True while a config comes into force or blocks are pulled: what is in force is not what the tip says.
    pub(super) fn is_held(&self) -> bool {
        self.awaited.is_some() || self.pulling != Pulling::Not
    }

    /// True while a config block is being written.
    pub(super) fn awaits_config(&self) -> bool {
        self.awaited.is_some()
    }

    /// True while blocks come from others.
    pub(super) fn is_pulling(&self) -> bool {
        self.pulling != Pulling::Not
    }

    /// True while a leader's state is not applied.
    pub(super) fn has_snapshot(&self) -> bool {
        self.pulled_for.is_some() || self.queue.iter().any(|item| matches!(item, Item::Snapshot(_)))
    }

    /// True when nothing is being written.
    pub(super) fn is_idle(&self) -> bool {
        self.open.is_empty() && self.queue.is_empty()
    }

    pub(super) fn take(&mut self, committed: Vec<LogEntry>) {
        self.queue_bytes += committed.iter().map(|entry| entry.data.len()).sum::<usize>();
        self.queue.extend(committed.into_iter().map(Item::Entry));
    }

    pub(super) fn queue(&mut self, item: Item) {
        self.queue.push_back(item);
    }

    /// Asks for blocks that others have.
    pub(super) fn set_behind(&mut self, through: BlockNumber) {
        self.behind = Some(through);
    }

    /// What others have and the ledger lacks, once nothing is open.
    pub(super) fn take_behind(&mut self) -> Option<BlockNumber> {
        if !self.open.is_empty() || self.is_held() {
            return None;
        }
        self.behind.take().filter(|through| *through > self.tip.number)
    }

    /// The ledger has another newest block, which did not come from here.
    pub(super) fn set_tip(&mut self, tip: &Tip) {
        self.tip = Link {
            number: tip.number,
            hash: tip.hash,
        };
        self.passed = None;
        self.durable_block = (tip.number, tip.entry.clone());
    }

    /// The last block in which own envelopes were looked for.
    pub(super) fn seen(&self) -> BlockNumber {
        self.seen
    }

    /// Own envelopes need not be looked for in the blocks up to this one any more.
    pub(super) fn set_seen(&mut self, number: BlockNumber) {
        self.seen = self.seen.max(number);
    }

    /// An earlier run has looked for own envelopes up to this block, no less and no further.
    pub(super) fn was_seen(&mut self, number: BlockNumber) {
        self.seen = number;
    }

    /// A leader's state stands for everything through here.
    pub(super) fn jump_to(&mut self, index: u64, term: u64) {
        self.passed = None;
        self.pass(index, term);
    }

    /// The next item, if its turn has come.
    fn next(&mut self) -> Option<Item> {
        let is_room = self.open.len() < WRITES_OPEN_MAX && self.open_bytes < BYTES_OPEN_MAX;
        let is_free = self.open.is_empty();
        let may = |item: &Item| match item {
            Item::Entry(entry) if entry.kind == EntryKind::Normal => entry.data.is_empty() || is_room,
            Item::Entry(_) | Item::Snapshot(_) => is_free,
        };
        if self.is_held() || !self.queue.front().is_some_and(may) {
            return None;
        }
        let item = self.queue.pop_front();
        if let Some(Item::Entry(entry)) = &item {
            self.queue_bytes -= entry.data.len();
        }
        item
    }

    /// Everything through this entry was handed out.
    fn pass(&mut self, index: u64, term: u64) {
        (self.index, self.term) = (index, term);
        if self.open.is_empty() {
            self.durable = (index, term);
        }
    }

    /// The oldest open write is durable.
    fn close(&mut self, number: BlockNumber, is_config: bool) -> Open {
        let open = self.open.pop_front();
        let awaits = self.open.is_empty() && self.awaited.is_some();
        let Some(open) = open.filter(|open| open.number == number && awaits == is_config) else {
            unreachable!("block {} was reported, and another is awaited", number.0);
        };
        self.open_bytes -= open.entry.len();
        self.durable = if self.open.is_empty() {
            (self.index, self.term)
        } else {
            (open.index, open.term)
        };
        self.durable_block = (open.number, open.entry.clone());
        open
    }
}

/// Compares a block with the ledger's and the one before it.
fn check_passed(passed: Option<Link>, tip: Link, header: &BlockHeader, hash: Hash) -> Result<(), String> {
    if header.number == tip.number.0 && hash != tip.hash {
        return Err(format!(
            "fork: the log has {}, the ledger has {}",
            hex(&hash),
            hex(&tip.hash)
        ));
    }
    match passed {
        Some(before) if before.number.0 + 1 == header.number && header.previous_hash[..] != before.hash => {
            Err(format!(
                "fork: the log links it to {}, and has {} before it",
                hex(&header.previous_hash),
                hex(&before.hash)
            ))
        }
        _ => Ok(()),
    }
}

/// Checks that a block follows the newest one.
fn check_next(tip: Link, header: &BlockHeader) -> Result<(), String> {
    if header.number != tip.number.0 + 1 {
        return Err(format!(
            "the log goes on with block {}, the ledger ends with block {}",
            header.number, tip.number.0
        ));
    }
    if header.previous_hash[..] != tip.hash {
        return Err(format!(
            "fork: the log links it to {}, the ledger ends with {}",
            hex(&header.previous_hash),
            hex(&tip.hash)
        ));
    }
    Ok(())
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

impl RaftCore {
    /// Hands out whatever can be.
    pub(super) fn apply(&mut self, turn: &mut Turn<'_>) {
        let before = self.apply.index;
        self.pull_behind(turn);
        while self.life.is_active()
            && let Some(item) = self.apply.next()
        {
            match item {
                Item::Snapshot(snapshot) => self.apply_snapshot(snapshot, turn),
                Item::Entry(entry) => self.apply_entry(&entry, turn),
            }
        }
        if self.apply.index != before {
            self.node.applied_to(self.apply.index);
            self.note_durable();
        }
    }

    fn apply_entry(&mut self, entry: &LogEntry, turn: &mut Turn<'_>) {
        if entry.kind == EntryKind::ConfChange {
            self.apply.pass(entry.index, entry.term);
            self.apply_change(entry, turn);
        } else if entry.data.is_empty() {
            self.apply.pass(entry.index, entry.term);
        } else if let Err(error) = self.apply_block(entry, turn) {
            self.fail(error, turn);
        }
    }

    fn apply_block(&mut self, entry: &LogEntry, turn: &mut Turn<'_>) -> Result<(), WriteError> {
        let failed = |number: u64, reason: String| WriteError {
            number: BlockNumber(number),
            reason: format!("entry {}: {reason}", entry.index),
        };
        let next = self.apply.tip.number.0 + 1;
        let block = Block::decode(entry.data.clone());
        let block = block.map_err(|error| failed(next, format!("is no block: {error}")))?;
        let Some(header) = block.header.clone() else {
            return Err(failed(next, "its block has no header".to_owned()));
        };
        let (number, hash) = (BlockNumber(header.number), header_hash(&header));
        let link = Link { number, hash };
        let facts = config_facts(&block);
        let tickets = self.match_block(&block, number, facts.as_ref());
        if number <= self.apply.tip.number {
            check_passed(self.apply.passed, self.apply.tip, &header, hash)
                .map_err(|reason| failed(number.0, reason))?;
            self.apply.passed = Some(link);
            self.apply.pass(entry.index, entry.term);
            turn.resolve(tickets, Ok(number));
            return Ok(());
        }
        check_next(self.apply.tip, &header).map_err(|reason| failed(number.0, reason))?;
        self.hand_out(entry, block, (link, tickets), facts.as_ref(), turn);
        Ok(())
    }

    /// Asks for the write of the next block.
    fn hand_out(
        &mut self,
        entry: &LogEntry,
        block: Block,
        (link, tickets): (Link, Vec<TicketId>),
        facts: Option<&ConfigFacts>,
        turn: &mut Turn<'_>,
    ) {
        let number = link.number;
        turn.push(if is_config_block(&block) {
            let members = self.members.after_config(facts, entry.index);
            let metadata = members.metadata();
            self.apply.awaited = Some(members);
            Action::WriteConfigBlock {
                number,
                block,
                metadata,
            }
        } else {
            let metadata = self.members.of_block(entry.index);
            Action::WriteBlock {
                number,
                block,
                metadata,
            }
        });
        self.apply.open_bytes += entry.data.len();
        self.apply.open.push_back(Open {
            number,
            index: entry.index,
            term: entry.term,
            entry: entry.data.clone(),
            tickets,
        });
        self.apply.tip = link;
        (self.apply.index, self.apply.term) = (entry.index, entry.term);
    }

    /// A block of normal envelopes is durable.
    pub(super) fn written(&mut self, number: BlockNumber, turn: &mut Turn<'_>) {
        let open = self.apply.close(number, false);
        self.closed(open, turn);
    }

    /// A config block is durable and its config in force.
    pub(super) fn config_applied(
        &mut self,
        number: BlockNumber,
        config: &ConfigInForce,
        turn: &mut Turn<'_>,
    ) {
        let open = self.apply.close(number, true);
        if let Some(members) = self.apply.awaited.take() {
            self.members = members;
        }
        self.adopt(config, turn);
        self.closed(open, turn);
    }

    /// A config block is durable, and the channel is not one of raft any more.
    pub(super) fn type_changed(&mut self, number: BlockNumber, turn: &mut Turn<'_>) {
        let open = self.apply.close(number, true);
        if let Some(members) = self.apply.awaited.take() {
            self.members = members;
        }
        self.closed(open, turn);
        self.fail_pending("the channel has another consensus type now", turn);
    }

    fn closed(&mut self, open: Open, turn: &mut Turn<'_>) {
        self.note_durable();
        turn.resolve(open.tickets, Ok(open.number));
        self.note_written(turn);
        self.count_block((open.index, open.term), (open.number, open.entry), turn);
    }

    /// A member that begins with a log may have to bring others to its state before anything more is committed.
    pub(super) fn offer_state(&mut self) {
        if self.apply.index > 0 && !self.apply.has_snapshot() {
            self.note_durable();
        }
    }

    /// Tells the window what a snapshot would hold now.
    pub(super) fn note_durable(&mut self) {
        let (index, term) = self.apply.durable;
        let block = &self.apply.durable_block.1;
        self.node.window_mut().set_applied(index, term, block);
    }

    /// A block could not be written, or must not be: nothing more is done.
    pub(super) fn fail(&mut self, error: WriteError, turn: &mut Turn<'_>) {
        let reason = error.to_string();
        let open = self.apply.open.drain(..).flat_map(|open| open.tickets).collect();
        turn.unknown(open, &reason);
        self.fail_pending(&reason, turn);
        self.life = Life::Over;
        turn.push(Action::Errored(error));
    }

    /// The envelopes of this node in a block, found. Each block is looked at once: an equal envelope that is handed
    /// later is in another one.
    pub(super) fn match_block(
        &mut self,
        block: &Block,
        number: BlockNumber,
        facts: Option<&ConfigFacts>,
    ) -> Vec<TicketId> {
        let is_seen = number <= self.apply.seen;
        self.apply.set_seen(number);
        if is_seen || self.pending.is_empty() {
            return Vec::new();
        }
        let found: Vec<_> = if let Some(facts) = facts {
            self.pending
                .take_config(&facts.update, number)
                .into_iter()
                .collect()
        } else {
            let entries = block.data.iter().flat_map(|data| &data.data);
            let found = entries.filter_map(|entry| self.pending.take_normal(entry, number));
            found.collect()
        };
        for (place, _) in &found {
            self.handing.note_seen(*place);
        }
        let mut tickets: Vec<_> = found
            .into_iter()
            .filter_map(|(_, waiting)| waiting.ticket)
            .collect();
        tickets.sort_unstable();
        tickets
    }
}

pub(super) fn config_facts(block: &Block) -> Option<ConfigFacts> {
    match block.data.as_ref().map(|data| data.data.as_slice()) {
        Some([only]) => ConfigFacts::read(only),
        _ => None,
    }
}
