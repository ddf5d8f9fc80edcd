//! What a member does while it leads: cuts batches, links blocks ahead of the ledger and proposes them.
//!
//! ```text
//! own envelopes, forwarded ones ─> queue ─> still valid? ─> cutter ─> block n+1 ─> raft
//!                                    │ paused while: MaxInflightBlocks are not committed, the ledger is behind,
//!                                    │ a config or membership change is on its way, leadership is being handed over
//! ```

use std::collections::{BTreeMap, VecDeque};

use blockcutter::Receiver;
use prost::Message as _;
use protos::block::{self, header_hash};
use protos::envelope::header_type;
use protos::wire::common::HeaderType;
use protos::{ConfigSeq, ConsenterId, Envelope};

use super::apply::{BACKLOG_LEADER_MAX, Link};
use super::config_facts::ConfigFacts;
use super::pending::Place;
use super::{Action, Notice, RaftCore, Turn};
use crate::chain::SubmissionKind;
use crate::raft::node::Change;
use crate::ticket::TimerToken;
use crate::transport::{ClusterMessage, ForwardMark, MessageKind};

/// Most bytes queued of envelopes that other software forwarded; more are dropped.
const UNMARKED_BYTES_MAX: usize = 64 << 20;
/// Runs of one sender in one term that are told apart.
const RUNS_MAX: usize = 64;
/// Envelopes checked again before the next event gets its turn.
const CHECKS_MAX: usize = 256;
/// How often leadership is offered before the envelope that asks for it is dropped.
const TRANSFERS_MAX: u32 = 5;

/// An envelope that waits to be ordered.
#[derive(Debug)]
pub(super) struct Queued {
    pub(super) envelope: Envelope,
    pub(super) kind: SubmissionKind,
    pub(super) config_seq: ConfigSeq,
    /// Its place among this node's own, if it is one.
    pub(super) own: Option<Place>,
}

/// The state of a leader.
#[derive(Debug)]
pub(super) struct Leading {
    term: u64,
    /// The first entry of its term was handed out, and the config in force is that of the ledger's tip.
    is_ready: bool,
    cutter: Receiver,
    queue: VecDeque<Queued>,
    queue_bytes: usize,
    /// The newest block proposed.
    link: Link,
    /// Places of the blocks proposed and not committed.
    proposed: VecDeque<u64>,
    /// Place of the config block or membership change on its way.
    change_at: Option<u64>,
    /// The last number taken from each run of each sender.
    taken: BTreeMap<(ConsenterId, u64), u64>,
    timer: Option<TimerToken>,
    /// The timer ran out, and the batch could not be proposed yet.
    is_overdue: bool,
    transfers: u32,
    /// When leadership was last offered.
    transfer_at: Option<u64>,
}

impl Leading {
    fn new(term: u64, cutter: Receiver, link: Link) -> Self {
        Self {
            term,
            is_ready: false,
            cutter,
            queue: VecDeque::new(),
            queue_bytes: 0,
            link,
            proposed: VecDeque::new(),
            change_at: None,
            taken: BTreeMap::new(),
            timer: None,
            is_overdue: false,
            transfers: 0,
            transfer_at: None,
        }
    }

    fn push(&mut self, queued: Queued) {
        self.queue_bytes += queued.envelope.entry().len();
        self.queue.push_back(queued);
    }

    fn pop(&mut self) -> Option<Queued> {
        let queued = self.queue.pop_front()?;
        self.queue_bytes -= queued.envelope.entry().len();
        Some(queued)
    }

    fn push_front(&mut self, queued: Queued) {
        self.queue_bytes += queued.envelope.entry().len();
        self.queue.push_front(queued);
    }

    /// True when nothing waits and nothing is uncommitted.
    pub(super) fn is_idle(&self) -> bool {
        self.queue.is_empty()
            && !self.cutter.is_pending()
            && self.proposed.is_empty()
            && self.change_at.is_none()
    }

    /// Has what waits cut without waiting for the timer.
    pub(super) fn hurry(&mut self) {
        self.is_overdue = self.cutter.is_pending();
    }

    /// Adopts new limits.
    pub(super) fn set_limits(&mut self, limits: blockcutter::BatchLimits) {
        self.cutter.set_limits(limits);
    }

    /// Takes a number once, and in order. An empty envelope takes all through its number, and is not ordered.
    fn takes(&mut self, from: ConsenterId, mark: ForwardMark, is_empty: bool) -> bool {
        let key = (from, mark.incarnation);
        let runs = self.taken.range((from, 0)..=(from, u64::MAX)).count();
        if mark.term != self.term || (runs >= RUNS_MAX && !self.taken.contains_key(&key)) {
            return false;
        }
        let last = self.taken.entry(key).or_default();
        if is_empty {
            *last = mark.number.max(*last);
            return false;
        }
        let is_next = mark.number == *last + 1;
        *last += u64::from(is_next);
        is_next
    }
}

impl RaftCore {
    /// Queues one of this node's own.
    pub(super) fn queue(&mut self, queued: Queued) {
        if let Some(leading) = &mut self.leading {
            leading.push(queued);
        }
    }

    /// An envelope that another node forwards.
    pub(super) fn forwarded(
        &mut self,
        from: ConsenterId,
        (envelope, config_seq): (Envelope, ConfigSeq),
        mark: Option<ForwardMark>,
        turn: &mut Turn<'_>,
    ) {
        let Some(leading) = &mut self.leading else {
            return self.forward_on(from, (envelope, config_seq), mark, turn);
        };
        let is_taken = match mark {
            Some(mark) => leading.takes(from, mark, envelope.entry().is_empty()),
            None => leading.queue_bytes < UNMARKED_BYTES_MAX,
        };
        if is_taken {
            leading.push(Queued {
                kind: match header_type(envelope.entry()) {
                    Some(kind) if kind == HeaderType::Config as i32 => SubmissionKind::Config,
                    _ => SubmissionKind::Normal,
                },
                envelope,
                config_seq,
                own: None,
            });
        }
    }

    /// Other software forgets what it forwarded, so its envelope goes on to the leader there is now. Ours hand theirs
    /// again by themselves.
    fn forward_on(
        &mut self,
        from: ConsenterId,
        (envelope, config_seq): (Envelope, ConfigSeq),
        mark: Option<ForwardMark>,
        turn: &mut Turn<'_>,
    ) {
        let leader = self.node.leader().filter(|leader| *leader != from);
        if let Some(to) = leader.filter(|_| mark.is_none()) {
            turn.push(Action::Send {
                to,
                kind: MessageKind::Submit,
                message: ClusterMessage::Submit {
                    envelope,
                    config_seq,
                    mark,
                },
            });
        }
    }

    /// Begins or ends leading, as raft has it.
    pub(super) fn watch_lead(&mut self, turn: &mut Turn<'_>) {
        let term = self.node.leads().then(|| self.node.term());
        if self.leading.as_ref().map(|leading| leading.term) == term {
            return;
        }
        // What was taken in and not proposed is handed again by its owners.
        if self.leading.take().is_some_and(|leading| leading.timer.is_some()) {
            turn.push(Action::DisarmBatchTimer);
        }
        if let Some(term) = term {
            let cutter = Receiver::new(self.config.batch.limits);
            self.leading = Some(Leading::new(term, cutter, self.apply.tip()));
        }
    }

    /// Orders what can be ordered.
    pub(super) fn lead(&mut self, turn: &mut Turn<'_>) {
        let Some(mut leading) = self.leading.take() else {
            return;
        };
        if self.is_leader_ready(&mut leading, turn) {
            self.follow_progress(&mut leading);
            self.change_members(&mut leading, turn);
            self.drain(&mut leading, turn);
        }
        self.retime(&mut leading, turn);
        self.leading = Some(leading);
    }

    fn is_leader_ready(&mut self, leading: &mut Leading, turn: &mut Turn<'_>) -> bool {
        let has_own_entry = self.apply.term() == leading.term && !self.apply.is_held();
        if has_own_entry && !leading.is_ready {
            leading.is_ready = true;
            leading.link = self.apply.tip();
            leading.set_limits(self.config.batch.limits);
            turn.notice(Notice::Leading {
                tip: leading.link.number,
            });
        }
        leading.is_ready
    }

    /// Forgets what is committed, and the change once it is in force.
    fn follow_progress(&mut self, leading: &mut Leading) {
        let commit = self.node.commit();
        while leading.proposed.front().is_some_and(|index| *index <= commit) {
            leading.proposed.pop_front();
        }
        let is_done = |index: u64| self.apply.index() >= index && !self.apply.awaits_config();
        if leading.change_at.is_some_and(is_done) {
            leading.change_at = None;
        }
    }

    /// Brings raft's voters to what the config in force says, one at a time.
    fn change_members(&mut self, leading: &mut Leading, turn: &mut Turn<'_>) {
        if leading.change_at.is_some() || self.apply.is_held() || self.node.transferee().is_some() {
            return;
        }
        let Some(change) = self.members.next_change(self.node.voters()) else {
            return;
        };
        if change == Change::Remove(self.node.id()) && self.give_way(leading, turn) {
            return;
        }
        leading.change_at = self.node.propose_change(change);
    }

    /// True while the next envelope may be ordered.
    fn may_order(&self, leading: &Leading) -> bool {
        leading.is_ready
            && self.members.is_raft()
            && leading.proposed.len() < self.inflight_blocks_max()
            && leading.change_at.is_none()
            && !self.apply.is_held()
            && self.node.transferee().is_none()
            && self.node.leads()
            && self.apply.backlog() < BACKLOG_LEADER_MAX
            && self.members.next_change(self.node.voters()).is_none()
    }

    fn drain(&mut self, leading: &mut Leading, turn: &mut Turn<'_>) {
        let mut checks = 0;
        while self.may_order(leading) && checks < CHECKS_MAX {
            if std::mem::take(&mut leading.is_overdue) {
                self.cut(leading);
                continue;
            }
            let Some(mut queued) = leading.pop() else {
                return;
            };
            if let Some(own) = queued.own.and_then(|place| self.pending.get(place)) {
                queued.envelope = own.envelope.clone();
                queued.config_seq = own.config_seq;
            }
            checks += usize::from(queued.config_seq < self.config.sequence);
            match self.still_valid(&queued.envelope, queued.kind, queued.config_seq, turn) {
                Ok(envelope) => {
                    if !self.order(leading, Queued { envelope, ..queued }, turn) {
                        return;
                    }
                }
                Err(error) => self.drop_queued(&queued, error.reason, turn),
            }
        }
    }

    fn drop_queued(&mut self, queued: &Queued, reason: String, turn: &mut Turn<'_>) {
        if let Some(waiting) = queued.own.and_then(|place| self.pending.remove(place)) {
            self.drop_all(&[waiting.ticket], reason, turn);
        } else {
            self.dropped += 1;
        }
    }

    /// False if it must wait, and all behind it: for another leader.
    fn order(&mut self, leading: &mut Leading, queued: Queued, turn: &mut Turn<'_>) -> bool {
        if queued.kind == SubmissionKind::Config {
            return self.order_config(leading, queued, turn);
        }
        let ordered = leading.cutter.ordered(queued.envelope);
        for batch in ordered.batches {
            self.propose(leading, batch);
        }
        true
    }

    /// The config alone in its block, behind what came before it.
    fn order_config(&mut self, leading: &mut Leading, queued: Queued, turn: &mut Turn<'_>) -> bool {
        self.cut(leading);
        let facts = ConfigFacts::read(queued.envelope.entry());
        let own = self.node.id();
        if facts.is_some_and(|facts| self.members.displaces(own, &facts)) && self.node.voters() != [own] {
            if self.give_way(leading, turn) {
                leading.push_front(queued);
                return false;
            }
            let reason = "it changes the leader's own membership, and no other consenter could take over";
            self.drop_queued(&queued, reason.to_owned(), turn);
            return true;
        }
        let index = self.propose(leading, vec![queued.envelope]);
        leading.change_at = index;
        true
    }

    fn cut(&mut self, leading: &mut Leading) {
        leading.is_overdue = false;
        let batch = leading.cutter.cut();
        if !batch.is_empty() {
            self.propose(leading, batch);
        }
    }

    /// Makes the next block and proposes it; its place in the log.
    fn propose(&mut self, leading: &mut Leading, batch: Vec<Envelope>) -> Option<u64> {
        let number = leading.link.number.next();
        let entries = batch.into_iter().map(Envelope::into_entry).collect();
        let block = block::next(number, &leading.link.hash, entries);
        let hash = block.header.as_ref().map(header_hash)?;
        let Some(index) = self.node.propose(block.encode_to_vec().into()) else {
            // The batch is gone, so nothing may be linked to it: its owners hand it to the next leader.
            self.node.step_down();
            return None;
        };
        leading.link = Link { number, hash };
        leading.proposed.push_back(index);
        Some(index)
    }

    /// Offers leadership to the active member that is furthest; false when that was tried too often.
    pub(super) fn give_way(&mut self, leading: &mut Leading, turn: &mut Turn<'_>) -> bool {
        if leading.transfers >= TRANSFERS_MAX || self.node.voters() == [self.node.id()] {
            leading.transfers = 0;
            return false;
        }
        let now = self.ticks;
        let pause = self.election_ticks();
        if leading.transfer_at.is_none_or(|at| now >= at + pause) && self.node.transferee().is_none() {
            leading.transfer_at = Some(now);
            leading.transfers += 1;
            if let Some(to) = self.successor() {
                turn.notice(Notice::TransferringLeadership { to });
                self.node.transfer(to);
            }
        }
        true
    }

    /// Who could lead at once: heard of lately, and will stay a member.
    pub(super) fn successor(&self) -> Option<ConsenterId> {
        let own = self.node.id();
        let heard = self.heard_lately();
        let fit = heard
            .into_iter()
            .filter(|id| *id != own && self.node.is_voter(*id) && self.members.ids.contains(id));
        fit.max_by_key(|id| (self.node.matched(*id), std::cmp::Reverse(*id)))
    }

    /// The timer of a batch ran out.
    pub(super) fn timer_fired(&mut self, token: TimerToken) {
        if let Some(leading) = &mut self.leading
            && leading.timer == Some(token)
        {
            leading.timer = None;
            leading.is_overdue = leading.cutter.is_pending();
        }
    }

    /// The timer runs exactly while envelopes are pending; a cut that leaves some never restarts it.
    fn retime(&mut self, leading: &mut Leading, turn: &mut Turn<'_>) {
        match (leading.cutter.is_pending() && !leading.is_overdue, leading.timer) {
            (true, None) => {
                self.timers += 1;
                let token = TimerToken(self.timers);
                leading.timer = Some(token);
                turn.push(Action::ArmBatchTimer {
                    token,
                    after: self.config.batch.timeout,
                });
            }
            (false, Some(_)) => {
                leading.timer = None;
                turn.push(Action::DisarmBatchTimer);
            }
            (true, Some(_)) | (false, None) => {}
        }
    }
}
