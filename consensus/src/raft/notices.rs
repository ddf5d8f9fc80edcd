//! What a raft chain says in the log of the process. Operators and tools search for these texts, so text, level, and
//! the two fields behind it are as `docs/spec/dropin.md` §2 has them.

use std::time::Duration;

use configtx::duration::GoDuration;
use protos::{BlockNumber, ChannelId, ConsenterId};

use super::core::Notice;

/// Says things of one channel.
#[derive(Clone, Debug)]
pub(super) struct Notices {
    channel: ChannelId,
    node: u64,
}

/// An event with the fields that every text ends with.
macro_rules! say {
    ($level:ident, $notices:expr, $($text:tt)+) => {
        tracing::$level!(channel = %$notices.channel, node = $notices.node, $($text)+)
    };
}

impl Notices {
    /// Those of `node` on `channel`.
    pub(super) fn new(channel: ChannelId, node: ConsenterId) -> Self {
        let node = node.0;
        Self { channel, node }
    }

    /// What the core noticed.
    pub(super) fn notice(&self, notice: &Notice) {
        match notice {
            Notice::LeaderChanged { from, to } => {
                let (from, to) = (number(*from), number(*to));
                say!(info, self, "Raft leader changed: {from} -> {to}");
            }
            Notice::Leading { tip } => {
                say!(
                    info,
                    self,
                    "Start accepting requests as Raft leader at block [{}]",
                    tip.0
                );
            }
            Notice::QuorumLost => {
                say!(
                    warn,
                    self,
                    "{:x} stepped down to follower since quorum is not active",
                    self.node
                );
            }
            Notice::NoLeader { members } => {
                say!(warn, self, "No leader is present, cluster size is {members}");
            }
            Notice::ActiveNodesReceived(ids) => say!(info, self, "Store ActiveNodes {}", list(ids)),
            Notice::ActiveNodes(ids) => {
                say!(debug, self, "Current active nodes in cluster are: {}", list(ids));
            }
            Notice::AddressedAs(id) => say!(
                warn,
                self,
                "Received msg to {}, my ID is probably wrong due to out of date, cowardly halting",
                id.0
            ),
            Notice::Refused { from, reason } => {
                say!(warn, self, "Refused a message of consenter {}: {reason}", from.0);
            }
            Notice::Dropped { reason } => say!(warn, self, "Submissions dropped: {reason}"),
            Notice::TransferringLeadership { to } => {
                say!(info, self, "Transferring leadership to {}", to.0);
            }
            Notice::MembersChanged { voters } => {
                say!(info, self, "Members of the cluster are now {}", list(voters));
            }
            Notice::CheckpointMade { block } => say!(info, self, "Checkpoint made at block [{}]", block.0),
        }
    }

    /// Without a leader for long enough to ask whether this node was removed.
    pub(super) fn suspecting_eviction(&self, leaderless: Duration) {
        let seconds = leaderless.as_secs_f64();
        say!(
            info,
            self,
            "Suspecting our own eviction from the channel for {seconds:.1}s"
        );
    }

    /// The newest config, in this block, does not list this node.
    pub(super) fn evicted(&self, BlockNumber(block): BlockNumber) {
        say!(
            warn,
            self,
            "Detected our own eviction from the channel in block [{block}]"
        );
        say!(info, self, "Periodic check is stopping.");
    }

    /// The ledger has that config.
    pub(super) fn pulled_to_eviction(&self) {
        say!(info, self, "Pulled all blocks up to eviction block.");
    }

    /// The newest config still lists this node.
    pub(super) fn still_member(&self, BlockNumber(block): BlockNumber) {
        say!(
            info,
            self,
            "Still a member as of config block [{block}], going on"
        );
    }

    /// The newest config of the others says nothing about this node.
    pub(super) fn unusable_config(&self, BlockNumber(block): BlockNumber, reason: &str) {
        say!(
            warn,
            self,
            "The config in block [{block}] is not usable: {reason}"
        );
    }

    /// The node's own tick interval instead of the channel's.
    pub(super) fn tick_overridden(&self, interval: Duration) {
        let interval = GoDuration::from_nanos(i64::try_from(interval.as_nanos()).unwrap_or(i64::MAX));
        say!(
            info,
            self,
            "TickIntervalOverride is set, overriding channel configuration tick interval to {interval}"
        );
    }

    /// A log write took longer than elections bear.
    pub(super) fn slow_disk(&self, taken: Duration) {
        let seconds = taken.as_secs_f64();
        say!(
            warn,
            self,
            "WAL sync took {seconds:.1}s, more than half of the election timeout: the disk is too slow"
        );
    }

    /// It takes part no more.
    pub(super) fn stopped(&self) {
        say!(info, self, "Raft node stopped");
    }
}

/// As the texts name a leader: 0 is none.
fn number(id: Option<ConsenterId>) -> u64 {
    id.map_or(0, |id| id.0)
}

/// `[1 2 3]`
fn list(ids: &[ConsenterId]) -> String {
    let ids: Vec<_> = ids.iter().map(|id| id.0.to_string()).collect();
    format!("[{}]", ids.join(" "))
}
