//! What a member of a raft channel does, as a function of events.
//!
//! ```text
//! Submitted ──> pending ──> leader: queue, cutter, propose      Received ──> checked ──> raft
//!                  │        follower: Send to the leader                                  │
//!                  │                                    Persist, Send <── ready <─────────┤
//!                  └── found in a block <── WriteBlock <── apply <── committed <──────────┘
//! Written ──> Resolve, checkpoint      ConfigApplied ──> members, limits, checks again
//! ```
//!
//! | module | holds |
//! |---|---|
//! | [`event`] | everything that can happen, and what a core begins with |
//! | [`action`] | everything it can want done |
//! | `open`, `resume`, `returning` | from which log it begins, and from when on it counts |
//! | `receive` | messages of others: refused, kept from raft for now, stepped |
//! | `persist` | writes on their way to the log, and the messages that wait for them |
//! | `intake`, `pending` | envelopes of this node until they are seen in a block |
//! | `hand` | handing them to whoever leads |
//! | `left` | what is in no block when this run ends, and how the next one goes on with it |
//! | `lead` | cutting, linking and proposing blocks while leading |
//! | `apply` | committed entries to blocks in the ledger |
//! | `pull` | blocks that come from other orderers |
//! | `member`, `config_facts` | ids of the consenters, changes of raft's voters, what a config says of both |
//! | `compact` | checkpoints, and what may go then |
//! | `contact` | who was heard of lately |

use protos::{ChannelId, ConfigSeq, ConsenterId, Envelope};

pub mod action;
mod apply;
mod compact;
mod config_facts;
mod contact;
pub mod event;
mod hand;
mod intake;
mod lead;
mod left;
mod member;
mod open;
mod pending;
mod persist;
mod pull;
mod receive;
mod resume;
mod returning;
#[cfg(test)]
mod tests;

pub use action::{Action, Notice};
pub use event::{ConfigInForce, Event, Origin, Planted, Start, Tip};
pub use intake::Intake;
pub(super) use member::{read_change, write_change};
pub use open::OpenError;
pub(super) use resume::what_is_lost;

use crate::chain::ClusterStatus;
use crate::consenter::Members;
use crate::meter::ChainLoad;
use crate::raft::log::Identity;
use crate::raft::node::{Node, Settings, Ticked};
use crate::support::{Revalidate, RevalidateError};
use crate::ticket::{Outcome, TicketError, TicketId};
use crate::transport::Peer;
use apply::Applying;
use contact::Contact;
use hand::Handing;
use lead::Leading;
use member::Membership;
use open::{Season, begin};
use pending::Pending;
use persist::Persisting;

/// A member of one raft channel.
#[derive(Debug)]
pub struct RaftCore {
    channel: ChannelId,
    incarnation: u64,
    planted: Planted,
    settings: Settings,
    life: Life,
    season: Season,
    identity: Identity,
    /// The log on disk is not of this id: it goes with the first write.
    is_log_foreign: bool,
    /// What it may go on with, until it is known what became of the channel while this node did not have it.
    returning: Option<Box<Start>>,
    /// It is to campaign until somebody leads.
    is_first_leader: bool,
    node: Node,
    persisting: Persisting,
    apply: Applying,
    members: Membership,
    peers: Option<Vec<Peer>>,
    /// Until this tick those whose certificates were replaced are reached by the old ones.
    old_peers_until: u64,
    config: ConfigInForce,
    pending: Pending,
    /// From where on own envelopes are to be checked again.
    recheck_from: Option<pending::Place>,
    handing: Handing,
    /// What an earlier run has left is taken up; with this write its record goes. None once there is a leader for it.
    left: Option<u64>,
    leading: Option<Leading>,
    timers: u64,
    contact: Contact,
    bytes_since_checkpoint: usize,
    ticks: u64,
    /// As it was told last.
    leader: Option<ConsenterId>,
    /// It led, and nobody has since.
    has_lost_quorum: bool,
    /// On its halt it has offered leadership.
    has_handed_over: bool,
    dropped: u64,
    refused: u64,
    refusals_told: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Life {
    Running,
    /// What was taken in is being ordered, and leadership handed over.
    Halting,
    /// The loss of the log is being recorded.
    Losing {
        number: u64,
        reason: String,
    },
    Over,
}

impl Life {
    fn is_active(&self) -> bool {
        matches!(self, Self::Running | Self::Halting)
    }
}

/// What one event has to work with.
struct Turn<'a> {
    rules: &'a dyn Revalidate,
    actions: &'a mut Vec<Action>,
}

impl Turn<'_> {
    fn push(&mut self, action: Action) {
        self.actions.push(action);
    }

    fn notice(&mut self, notice: Notice) {
        self.push(Action::Notice(notice));
    }

    fn resolve(&mut self, tickets: Vec<TicketId>, outcome: Outcome) {
        if !tickets.is_empty() {
            self.push(Action::Resolve { tickets, outcome });
        }
    }

    fn unknown(&mut self, tickets: Vec<TicketId>, reason: &str) {
        let reason = reason.to_owned();
        self.resolve(tickets, Err(TicketError::Unknown { reason }));
    }
}

impl RaftCore {
    /// A core over what the log and the ledger hold, and its first actions.
    pub fn open(start: Start) -> Result<(Self, Vec<Action>), OpenError> {
        let settings = settings(&start);
        let begun = begin(&start, &settings)?;
        let members = Membership::new(start.config.consenters.clone(), &start.tip.metadata);
        let members = members.map_err(|reason| OpenError::Unusable { reason })?;
        let mut apply = Applying::new(&start.tip, begun.applied.index, begun.applied.term);
        if let Some(item) = begun.item {
            apply.queue(item);
        }
        let was_retired = start.log.retired.is_some();
        let left = start.log.unordered.clone();
        let is_other_member = begun.is_foreign || begun.lost.is_some();
        let returning = (begun.season == Season::Returning).then(|| Box::new(start.clone()));
        let mut core = Self {
            channel: start.channel,
            incarnation: start.incarnation,
            planted: start.planted,
            settings,
            life: Life::Running,
            season: begun.season,
            identity: begun.identity,
            is_log_foreign: begun.is_foreign,
            returning,
            is_first_leader: false,
            node: begun.node,
            persisting: Persisting::new(begun.hard_state),
            apply,
            members,
            peers: None,
            old_peers_until: 0,
            config: start.config,
            pending: Pending::new(start.seed),
            recheck_from: None,
            handing: Handing::default(),
            left: None,
            leading: None,
            timers: 0,
            contact: Contact::default(),
            bytes_since_checkpoint: 0,
            ticks: 0,
            leader: None,
            has_lost_quorum: false,
            has_handed_over: false,
            dropped: 0,
            refused: 0,
            refusals_told: 0,
        };
        let mut actions = Vec::new();
        let turn = &mut Turn {
            rules: &NoRules,
            actions: &mut actions,
        };
        core.begun(begun.lost, turn);
        core.offer_state();
        core.note_return(was_retired, turn);
        if is_other_member {
            core.give_up(&left, turn);
        } else {
            core.take_up(left, turn);
        }
        core.settle(turn);
        Ok((core, actions))
    }

    /// Takes one event and appends what it leads to to `actions`. `rules` are those of the config in force.
    pub fn step(&mut self, event: Event, rules: &dyn Revalidate, actions: &mut Vec<Action>) {
        let turn = &mut Turn { rules, actions };
        if self.life.is_active() {
            self.take(event, turn);
            self.settle(turn);
        } else if let Event::Persisted { number } = event {
            self.persisting.note_durable(number);
            self.report_loss(turn);
        }
    }

    fn take(&mut self, event: Event, turn: &mut Turn<'_>) {
        match event {
            Event::Tick => self.tick(turn),
            Event::Submitted { ticket, submission } => self.submitted(ticket, submission, turn),
            Event::Received { from, message } => self.received(from, message, turn),
            Event::SubmitStreamOpened { to } => self.hand_again(to, turn),
            Event::Unreachable { to } => self.node.unreachable(to),
            Event::BatchTimerFired { token } => self.timer_fired(token),
            Event::Persisted { number } => self.persisted(number, turn),
            Event::Written { number } => self.written(number, turn),
            Event::ConfigApplied { number, config } => self.config_applied(number, &config, turn),
            Event::TypeChanged { number } => self.type_changed(number, turn),
            Event::Pulled { block } => self.look_through(&block, turn),
            Event::CaughtUp { tip, config } => self.caught_up(&tip, &config, turn),
            Event::ChannelIsNew => self.bootstrap(turn),
            Event::ChannelHasBlocks { is_known } => self.returned(is_known, turn),
            // Whose blocks these are, is being asked.
            Event::Behind { .. } if self.season == Season::Returning => {}
            Event::Behind { through } => self.apply.set_behind(through),
            Event::WriteFailed(error) => self.fail(error, turn),
            Event::StepAside => self.step_aside(turn),
            Event::Halt => self.halt(),
        }
    }

    /// Carries on until nothing more follows from what is known.
    fn settle(&mut self, turn: &mut Turn<'_>) {
        while self.life.is_active() {
            self.apply(turn);
            if !self.life.is_active() {
                break;
            }
            self.ripen(turn);
            self.drop_the_other(turn);
            self.elect_alone();
            self.watch_lead(turn);
            self.watch_leader(turn);
            self.recheck(turn);
            self.hand_over(turn);
            self.lead(turn);
            if !self.node.has_ready() {
                self.finish_halting(turn);
                break;
            }
            self.pump(turn);
        }
        self.report_loss(turn);
    }

    fn tick(&mut self, turn: &mut Turn<'_>) {
        self.ticks += 1;
        self.refusals_told = 0;
        if self.ticks == self.old_peers_until {
            self.set_peers(turn);
        }
        let may_campaign = self.may_campaign();
        if self.node.tick(may_campaign) == Ticked::LostQuorum {
            self.has_lost_quorum = true;
            turn.notice(Notice::QuorumLost);
        }
        self.campaign_first(may_campaign);
        self.refresh_active(turn);
        self.hand_again_if_late(turn);
        self.expire(turn);
    }

    /// The first leader of a new channel campaigns every two heartbeats until somebody leads.
    fn campaign_first(&mut self, may_campaign: bool) {
        let every = 2 * self.settings.heartbeat_ticks as u64;
        // An election that has begun is not begun anew: over long links it takes more than two heartbeats.
        let is_due = self.ticks.is_multiple_of(every) && !self.node.is_candidate();
        if self.is_first_leader && may_campaign && is_due {
            self.node.campaign();
        }
    }

    /// Who is alone need not wait.
    fn elect_alone(&mut self) {
        if self.node.leader().is_none() && self.is_alone() && self.may_campaign() {
            self.node.campaign();
        }
    }

    /// Tells of another leader.
    fn watch_leader(&mut self, turn: &mut Turn<'_>) {
        let (from, to) = (self.leader, self.node.leader());
        if from == to {
            return;
        }
        self.leader = to;
        self.contact.leader_changed(self.ticks);
        turn.notice(Notice::LeaderChanged { from, to });
        let members = self.members.ids.len();
        if to.is_some() {
            self.is_first_leader = false;
            self.has_lost_quorum = false;
        } else if members <= 2 {
            turn.notice(Notice::NoLeader { members });
        }
    }

    /// Offers leadership once. What is on its way is proposed again by the next leader.
    fn step_aside(&mut self, turn: &mut Turn<'_>) {
        if !self.node.leads() || self.node.transferee().is_some() {
            return;
        }
        if let Some(to) = self.successor() {
            turn.notice(Notice::TransferringLeadership { to });
            self.node.transfer(to);
        }
    }

    fn halt(&mut self) {
        self.life = Life::Halting;
        if let Some(leading) = &mut self.leading {
            leading.hurry();
        }
    }

    /// Ends once nothing waits here and somebody else leads, or nobody else could.
    fn finish_halting(&mut self, turn: &mut Turn<'_>) {
        if self.life != Life::Halting {
            return;
        }
        let is_idle = self.leading.as_ref().is_none_or(Leading::is_idle);
        // The vote for a successor waits for the log as well.
        let is_quiet = self.apply.is_idle() && self.persisting.is_synced();
        if !is_idle || !is_quiet || !self.pending.is_empty() || self.node.transferee().is_some() {
            return;
        }
        let successor = self.successor();
        if let Some(to) = successor.filter(|_| self.node.leads() && !self.has_handed_over) {
            self.has_handed_over = true;
            turn.notice(Notice::TransferringLeadership { to });
            self.node.transfer(to);
            self.settle(turn);
        } else {
            self.life = Life::Over;
            turn.push(Action::Finish);
        }
    }

    fn election_ticks(&self) -> u64 {
        self.settings.election_ticks as u64
    }

    fn inflight_blocks_max(&self) -> usize {
        self.settings.appends_max
    }

    /// How the cluster stands, as far as this member knows.
    pub fn status(&self) -> ClusterStatus {
        ClusterStatus {
            id: self.node.id(),
            members: self.members.ids.clone(),
            term: self.node.term(),
            leader: self.node.leader(),
            active: self.active(),
            answering: self.node.leader().is_none().then(|| self.answering()),
            trouble: self.trouble(),
        }
    }

    fn trouble(&self) -> Option<String> {
        if let Life::Losing { reason, .. } = &self.life {
            return Some(reason.clone());
        }
        if self.apply.is_pulling() {
            return Some("blocks are being fetched from other orderers".to_owned());
        }
        match self.season {
            Season::Asking => Some(
                "it is not known yet whether the channel is new: a majority of the consenters must answer"
                    .to_owned(),
            ),
            Season::Returning => Some(
                "this node had the channel before and removed it: it takes part once another consenter shows the \
                 blocks it knew, or all of them say that they have none"
                    .to_owned(),
            ),
            Season::Silent => Some("this member has no log, and waits for a leader".to_owned()),
            _ if self.node.leader().is_none() => Some(self.no_leader_reason().0),
            _ => None,
        }
    }

    /// The members' ids, in the order of the config in force, and those known to be alive.
    pub fn members(&self) -> Members {
        Members {
            ids: self.members.ids.clone(),
            active: self.active(),
        }
    }

    /// True while this member leads.
    pub fn leads(&self) -> bool {
        self.leading.is_some()
    }

    /// What waits in the core. Counts what is queued: for now and then.
    pub fn load(&self) -> ChainLoad {
        ChainLoad {
            mailbox_bytes: 0,
            pending: self.pending.len() as u64,
            pending_bytes: self.pending.bytes() as u64,
            behind: self.apply.behind(),
        }
    }

    /// Submissions dropped since the start, since the config had moved on.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Messages refused since the start.
    pub fn refused(&self) -> u64 {
        self.refused
    }
}

fn settings(start: &Start) -> Settings {
    let options = &start.config.options;
    Settings {
        id: start.id,
        seed: start.seed,
        election_ticks: options.election_ticks as usize,
        heartbeat_ticks: options.heartbeat_ticks as usize,
        append_bytes_max: start.config.batch.limits.preferred_max_bytes() as u64,
        appends_max: options.inflight_blocks_max as usize,
    }
}

/// Before the first event nothing was taken in that could be checked.
struct NoRules;

impl Revalidate for NoRules {
    fn config_seq(&self) -> ConfigSeq {
        ConfigSeq(0)
    }

    fn revalidate_normal(&self, _envelope: &Envelope) -> Result<(), RevalidateError> {
        Err(NoRules::refusal())
    }

    fn revalidate_config(
        &self,
        _envelope: &Envelope,
        _members: &Members,
    ) -> Result<Envelope, RevalidateError> {
        Err(NoRules::refusal())
    }
}

impl NoRules {
    fn refusal() -> RevalidateError {
        let reason = "the chain has just begun".to_owned();
        RevalidateError { reason }
    }
}
