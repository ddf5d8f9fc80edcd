//! The drill: the leader is killed in the middle of the load (SIGKILL), another node must lead, and the killed one
//! comes back.

use std::sync::atomic::Ordering;
use std::time::Duration;

use client::load::Progress;
use tokio::time::{Instant, sleep};

use super::members::{Leader, Members, Watcher};
use super::node::NodeError;
use super::nodes::{Remote, Unwatched};
use super::report;
use super::screen::Screen;

/// How often the load is looked at: it may be over within a second.
const LOOK_INTERVAL: Duration = Duration::from_millis(1);
/// An election takes one to two seconds; a busy machine is given a lot more.
const ELECTION_TIME_MAX: Duration = Duration::from_mins(1);

/// What did not go as it should.
#[derive(Debug, thiserror::Error)]
pub(super) enum DrillError {
    /// The load was over before there was anything to kill.
    #[error("the load was over before its leader could be killed")]
    TooShort,
    /// Nobody led when the leader was to be killed.
    #[error("no node leads the channel in the middle of the load")]
    NoLeader,
    /// Nobody took over.
    #[error("no other node leads the channel {} s after {name} was killed", ELECTION_TIME_MAX.as_secs())]
    NoSuccessor {
        /// The killed node.
        name: String,
    },
    /// The killed node did not come back.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// The quickstart is ending.
    #[error(transparent)]
    Unwatched(#[from] Unwatched),
}

/// What a drill needs.
pub(super) struct Drill<'a> {
    /// Who leads.
    pub watcher: &'a Watcher,
    /// Kills and restarts.
    pub remote: Remote,
    /// Where it tells what happens.
    pub screen: &'a Screen,
}

/// How the leader fell.
#[derive(Clone, Debug)]
pub(super) struct Fall {
    /// The leader that was killed.
    pub leader: Leader,
    /// Its name.
    pub name: String,
    /// When it was.
    pub killed_at: Instant,
    /// Name of the node that led after it.
    pub successor: String,
    /// And in which term.
    pub term: u64,
    /// How long it took until that one said so.
    pub succeeded_after: Duration,
    /// How long it took until the killed one served again.
    pub back_after: Duration,
}

impl Drill<'_> {
    /// Waits for the middle of a load of `count` envelopes, and lets the leader fall; none if the load is over before.
    pub(super) async fn run(
        &self,
        progress: &Progress,
        count: u32,
        is_over: impl Fn() -> bool,
    ) -> Result<Option<Fall>, DrillError> {
        // A third, since a good part is on its way by then.
        while progress.delivered.load(Ordering::Relaxed) < u64::from(count / 3) {
            if is_over() {
                return Ok(None);
            }
            sleep(LOOK_INTERVAL).await;
        }
        let leader = self.watcher.wait_for(ELECTION_TIME_MAX, Members::leader).await;
        let leader = leader.ok_or(DrillError::NoLeader)?;
        let ordered = progress.delivered.load(Ordering::Relaxed);
        self.remote.kill(leader.node).await?;
        self.aftermath(leader, ordered).await.map(Some)
    }

    async fn aftermath(&self, leader: Leader, ordered: u64) -> Result<Fall, DrillError> {
        let killed_at = Instant::now();
        let name = self.name(leader.node);
        self.screen.print(&report::killed(&name, leader.term, ordered));
        let is_next = |next: &Leader| next.node != leader.node && next.term > leader.term;
        let next = self
            .watcher
            .wait_for(ELECTION_TIME_MAX, |members| members.leader().filter(is_next))
            .await
            .ok_or_else(|| DrillError::NoSuccessor { name: name.clone() })?;
        let (successor, succeeded_after) = (self.name(next.node), killed_at.elapsed());
        self.screen
            .print(&report::leads(&successor, next.term, succeeded_after));
        let started = self.remote.restart(leader.node).await??;
        started.ready.await?;
        self.screen.print(&report::back(&name, started.process_id));
        Ok(Fall {
            leader,
            name,
            killed_at,
            successor,
            term: next.term,
            succeeded_after,
            back_after: killed_at.elapsed(),
        })
    }

    fn name(&self, node: usize) -> String {
        let members = self.watcher.members();
        let members = members.borrow();
        members
            .0
            .get(node)
            .map(|member| member.name.clone())
            .unwrap_or_default()
    }
}
