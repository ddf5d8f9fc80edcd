//! What the core wants done: started in order, and reported back as events.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use configtx::Severity;
use configtx::consensus_metadata::RaftMetadata;
use futures::future::FutureExt;
use protos::block::Hash;
use protos::{BlockNumber, ConsenterId};
use tokio::time::Instant;

use super::asking::Question;
use super::{Driver, Ending};
use crate::batch_timer::BatchTimer;
use crate::chain::{ChainFailure, Ended};
use crate::raft::block_metadata::wrap;
use crate::raft::core::{Action, Event, Notice};
use crate::raft::opening::{NoConfig, config_in_force};
use crate::support::{ConsenterSupport, WriteError};
use crate::ticket::{Outcome, TicketError, TicketId};
use crate::transport::{ClusterMessage, MessageKind};

impl Driver {
    /// Starts everything that the core wants, in order.
    pub(super) fn carry_out(&mut self) {
        let mut actions = std::mem::take(&mut self.actions);
        actions.drain(..).for_each(|action| self.start(action));
        self.actions = actions; // keeps its memory for the next step
        if self.core.leads() {
            self.watch.settled();
        } else {
            self.watch.cuts_nothing();
        }
    }

    fn start(&mut self, action: Action) {
        match action {
            Action::Persist { number, write } => {
                self.written = number;
                self.written_at.get_or_insert_with(Instant::now);
                let entries = write.entries.iter().map(|entry| &entry.data);
                self.watch.write_began(number, entries, self.core.leads());
                self.log.write(number, write);
            }
            Action::Send { to, kind, message } => self.send(to, kind, message),
            Action::SetPeers(peers) => {
                self.transport.set_peers(peers);
                self.is_news = true;
            }
            Action::WriteBlock {
                number,
                block,
                metadata,
            } => {
                self.watch.committed(number, false);
                self.notices.writing(number, &metadata, self.began.elapsed());
                let written = self.support.write_block(block, wrap(metadata));
                let event = written.map(move |result| report(result, Event::Written { number }));
                self.writing.push_back(event.boxed());
            }
            Action::WriteConfigBlock {
                number,
                block,
                metadata,
            } => {
                self.watch.committed(number, true);
                self.notices.writing(number, &metadata, self.began.elapsed());
                let written = self.support.write_config_block(block, wrap(metadata));
                let support = Arc::clone(&self.support);
                let event = written.map(move |result| match result {
                    Ok(()) => config_applied(&*support, number),
                    Err(error) => Event::WriteFailed(error),
                });
                self.writing.push_back(event.boxed());
            }
            Action::CatchUp { through } => {
                self.pulling_through = Some(through);
                self.asking.catch_up(through);
            }
            Action::AskWhetherNew => self.ask_about_channel(None, &Bytes::new()),
            Action::AskWhatBecame { first, members } => self.ask_about_channel(Some(first), &members),
            Action::ArmBatchTimer { token, after } => {
                self.watch.pending(true);
                self.timer = BatchTimer::armed(token, after);
            }
            Action::DisarmBatchTimer => {
                self.watch.pending(false);
                self.timer = BatchTimer::stopped();
            }
            Action::Resolve { tickets, outcome } => self.resolve(&tickets, &outcome),
            Action::Notice(notice) => self.notice(&notice),
            Action::Errored(error) => self.ending = Some(Ending::Failed(ChainFailure::Write(error))),
            Action::NotMember => self.ending = Some(Ending::Ended(Ended::NotMember)),
            Action::LostLog { reason } => self.ending = Some(Ending::Ended(Ended::LostLog { reason })),
            Action::Finish => self.ending = Some(Ending::Ended(Ended::Halted)),
        }
    }

    /// Asks the other consenters: those of the config in force, and of the one in `before`.
    fn ask_about_channel(&mut self, first: Option<Hash>, before: &Bytes) {
        let mut others = config_in_force(&*self.support).map_or(Vec::new(), |config| config.consenters);
        let former = RaftMetadata::read(before, Severity::Commit).map_or(Vec::new(), |read| read.consenters);
        for consenter in former {
            if !others.contains(&consenter) {
                others.push(consenter);
            }
        }
        while let Some(own) = self.support.own_place(&others) {
            others.remove(own);
        }
        let question = Question { others, first };
        self.asking.ask_about_channel(question, self.notices.clone());
    }

    /// What is lost on the way raft sends again, if it knows; envelopes are handed again by their numbers.
    fn send(&mut self, to: ConsenterId, kind: MessageKind, message: ClusterMessage) {
        let sent = self.transport.send(to, kind, message);
        if sent.is_err() && kind == MessageKind::Append && self.unreachable.insert(to) {
            self.follow_ups.push(Event::Unreachable { to });
        }
    }

    fn resolve(&mut self, tickets: &[TicketId], outcome: &Outcome) {
        if matches!(outcome, Err(TicketError::Dropped { .. })) {
            self.shared
                .dropped
                .fetch_add(tickets.len() as u64, Ordering::Relaxed);
        }
        self.open.resolve_listed(tickets, outcome);
    }

    fn notice(&mut self, notice: &Notice) {
        self.is_news = true;
        match notice {
            Notice::LeaderChanged { .. } => self.watch.meter().leader_changed(),
            Notice::CheckpointMade { block } => self.watch.meter().checkpoint(*block),
            _ => {}
        }
        self.notices.notice(notice);
    }
}

fn report(result: Result<(), WriteError>, written: Event) -> Event {
    match result {
        Ok(()) => written,
        Err(error) => Event::WriteFailed(error),
    }
}

fn config_applied(support: &dyn ConsenterSupport, number: BlockNumber) -> Event {
    match config_in_force(support) {
        Ok(config) => Event::ConfigApplied { number, config },
        Err(NoConfig::OtherType(_)) => Event::TypeChanged { number },
        Err(NoConfig::Unusable(reason)) => Event::WriteFailed(WriteError {
            number,
            reason: format!("it is written, and a raft chain cannot go on with its config: {reason}"),
        }),
    }
}
