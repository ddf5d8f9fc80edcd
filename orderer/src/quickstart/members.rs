//! How each node stands to the channel, asked again and again on the admin listeners.

use std::time::Duration;

use client::participation::{AdminClient, ChannelInfo, Consensus};
use protos::ChannelId;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// Pause between two questions to a node.
const ASK_INTERVAL: Duration = Duration::from_millis(50);
/// A node that takes longer than this to answer shows as down.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(2);

/// One node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Member {
    /// What it is called.
    pub name: String,
    /// How it stands.
    pub state: State,
}

/// How a node stands to the channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// It does not answer, or has not joined yet.
    Down,
    /// As it says itself.
    Up {
        /// How many blocks it has.
        height: u64,
        /// Its term.
        term: u64,
        /// What it is in that term.
        role: Role,
    },
}

/// What a node is in its term.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// It leads.
    Leader,
    /// It follows a leader it knows.
    Follower,
    /// It knows of no leader.
    Leaderless,
}

impl Role {
    /// In one word.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Leader => "leader",
            Self::Follower => "follower",
            Self::Leaderless => "no leader",
        }
    }
}

/// All nodes, in the order of the network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Members(pub Vec<Member>);

/// A node that leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Leader {
    /// Which node.
    pub node: usize,
    /// Its term.
    pub term: u64,
}

impl Members {
    /// Who leads: of those that say so the one with the highest term, as one that was cut off may not know yet.
    pub(super) fn leader(&self) -> Option<Leader> {
        let leads = |(node, member): (usize, &Member)| match member.state {
            State::Up {
                term,
                role: Role::Leader,
                ..
            } => Some(Leader { node, term }),
            _ => None,
        };
        let leaders = self.0.iter().enumerate().filter_map(leads);
        leaders.max_by_key(|leader| leader.term)
    }

    /// The height of the highest.
    pub(super) fn height(&self) -> u64 {
        self.heights().max().unwrap_or_default()
    }

    /// The height that all nodes have, if it is the same.
    pub(super) fn common_height(&self) -> Option<u64> {
        let all_up = self.heights().count() == self.0.len();
        let lowest = self.heights().min();
        lowest.filter(|lowest| all_up && *lowest == self.height())
    }

    fn heights(&self) -> impl Iterator<Item = u64> {
        self.0.iter().filter_map(|member| match member.state {
            State::Down => None,
            State::Up { height, .. } => Some(height),
        })
    }
}

/// A leader of 0 is none.
fn state(info: &ChannelInfo) -> State {
    let (term, role) = match &info.consensus {
        Some(Consensus { leader: 0, term, .. }) => (*term, Role::Leaderless),
        Some(Consensus { id, leader, term, .. }) if leader == id => (*term, Role::Leader),
        Some(Consensus { term, .. }) => (*term, Role::Follower),
        None => (0, Role::Leaderless),
    };
    State::Up {
        height: info.height,
        term,
        role,
    }
}

/// Asks until it is dropped.
pub(super) struct Watcher {
    latest: watch::Receiver<Members>,
    tasks: Vec<JoinHandle<()>>,
}

impl Watcher {
    /// Begins to ask the nodes of these names.
    pub(super) fn start(channel: &ChannelId, nodes: Vec<(String, AdminClient)>) -> Self {
        let down = |(name, _): &(String, AdminClient)| Member {
            name: name.clone(),
            state: State::Down,
        };
        let (updates, latest) = watch::channel(Members(nodes.iter().map(down).collect()));
        let tasks = nodes.into_iter().enumerate().map(|(number, (_, admin))| {
            let (updates, channel) = (updates.clone(), channel.clone());
            // One task each: a node that does not answer holds up nobody's line but its own.
            tokio::spawn(async move {
                loop {
                    let state = ask(&admin, &channel).await;
                    note(&updates, number, state);
                    sleep(ASK_INTERVAL).await;
                }
            })
        });
        Self {
            tasks: tasks.collect(),
            latest,
        }
    }

    /// The nodes as they stand, and news of them.
    pub(super) fn members(&self) -> watch::Receiver<Members> {
        self.latest.clone()
    }

    /// Waits until `look` finds what it looks for; none if that takes longer than `time_max`.
    pub(super) async fn wait_for<T>(
        &self,
        time_max: Duration,
        look: impl Fn(&Members) -> Option<T>,
    ) -> Option<T> {
        let mut latest = self.latest.clone();
        let found = timeout(time_max, latest.wait_for(|members| look(members).is_some())).await;
        found.ok()?.ok().and_then(|members| look(&members))
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

async fn ask(admin: &AdminClient, channel: &ChannelId) -> State {
    match timeout(ANSWER_TIME_MAX, admin.info(channel)).await {
        Ok(Ok(info)) => state(&info),
        Ok(Err(_)) | Err(_) => State::Down,
    }
}

/// Only what changed is news.
fn note(updates: &watch::Sender<Members>, number: usize, state: State) {
    updates.send_if_modified(|members| match members.0.get_mut(number) {
        Some(member) if member.state != state => {
            member.state = state;
            true
        }
        _ => false,
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn up(height: u64, term: u64, role: Role) -> State {
        State::Up { height, term, role }
    }

    fn members(states: [State; 3]) -> Members {
        let member = |(number, state)| Member {
            name: format!("orderer{number}"),
            state,
        };
        Members((1..).zip(states).map(member).collect())
    }

    #[test]
    fn of_two_that_say_they_lead_the_newer_term_counts() {
        let two = members([up(5, 2, Role::Leader), State::Down, up(6, 3, Role::Leader)]);
        assert_eq!(two.leader(), Some(Leader { node: 2, term: 3 }));
        assert_eq!(members([State::Down, State::Down, State::Down]).leader(), None);
    }

    #[test]
    fn a_height_is_common_only_if_everybody_is_up_and_has_it() {
        let follower = |height| up(height, 1, Role::Follower);
        assert_eq!(
            members([follower(4), follower(4), follower(4)]).common_height(),
            Some(4)
        );
        assert_eq!(
            members([follower(4), follower(3), follower(4)]).common_height(),
            None
        );
        assert_eq!(
            members([follower(4), State::Down, follower(4)]).common_height(),
            None
        );
    }

    #[test]
    fn a_nodes_json_tells_its_role() {
        let told = |consensus: &str| {
            let text = format!(
                r#"{{"name":"a","url":"/u","consensusRelation":"consenter","status":"active","height":7{consensus}}}"#
            );
            state(&serde_json::from_str(&text).unwrap())
        };
        for (leader, role) in [(2, Role::Leader), (1, Role::Follower), (0, Role::Leaderless)] {
            let consensus = format!(
                r#","consensus":{{"type":"etcdraft","id":2,"leader":{leader},"term":3,"members":[1,2],"active":[]}}"#
            );
            assert_eq!(told(&consensus), up(7, 3, role));
        }
        assert_eq!(told(""), up(7, 0, Role::Leaderless));
    }
}
