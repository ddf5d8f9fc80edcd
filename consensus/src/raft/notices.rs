//! What a raft chain says in the log of the process. Operators and tools search for these texts, so text, level, and
//! the two fields behind it are as `docs/spec/dropin.md` §2 has them.

use std::time::Duration;

use configtx::duration::GoDuration;
use prost::Message as _;
use protos::wire::etcdraft::BlockMetadata;
use protos::{BlockNumber, ChannelId, ConsenterId};

use super::core::Notice;
use crate::consenter::ConsenterMetadata;

/// Says things of one channel.
#[derive(Clone, Debug)]
pub(super) struct Notices {
    channel: ChannelId,
    node: u64,
    blocks: Blocks,
}

/// How many blocks were told of lately: tools wait for each, and hundreds a second would fill the log.
#[derive(Clone, Debug, Default)]
struct Blocks {
    /// Since the start of the second that is counted now.
    since: Duration,
    told: u32,
    kept_back: u64,
}

/// Blocks told of within a second.
const BLOCKS_TOLD_MAX: u32 = 5;

impl Blocks {
    /// Whether one more is told of, `now` after some moment: then, how many were not.
    fn tell(&mut self, now: Duration) -> Option<u64> {
        if now.saturating_sub(self.since) >= Duration::from_secs(1) {
            (self.since, self.told) = (now, 0);
        }
        if self.told >= BLOCKS_TOLD_MAX {
            self.kept_back += 1;
            return None;
        }
        self.told += 1;
        Some(std::mem::take(&mut self.kept_back))
    }
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
        Self {
            channel,
            node: node.0,
            blocks: Blocks::default(),
        }
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
            Notice::TakenUp { waiting } => {
                say!(
                    info,
                    self,
                    "Going on with {waiting} envelopes that were accepted before the last stop"
                );
            }
            Notice::TransferringLeadership { to } => {
                say!(info, self, "Transferring leadership to {}", to.0);
            }
            Notice::MembersChanged { voters } => {
                say!(info, self, "Members of the cluster are now {}", list(voters));
            }
            Notice::CheckpointMade { block } => say!(info, self, "Checkpoint made at block [{}]", block.0),
        }
    }

    /// The chain ends, and nobody has ordered these.
    pub(super) fn left(&self, waiting: usize) {
        say!(
            warn,
            self,
            "{waiting} accepted envelopes are in no block yet: they are kept, and ordered after the next start"
        );
    }

    /// What became of the channel could not be found out yet: what is waited for.
    pub(super) fn asking(&self, text: &str) {
        say!(info, self, "{text}");
    }

    /// This block gives the channel another consensus type.
    pub(super) fn type_changed(&self, BlockNumber(block): BlockNumber, kind: &str) {
        say!(
            info,
            self,
            "Block [{block}] changes the consensus type to {kind}: this chain orders nothing more and ends soon"
        );
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

    /// A block goes to the ledger, `now` after some moment that stays the same.
    pub(super) fn writing(&mut self, number: BlockNumber, metadata: &ConsenterMetadata, now: Duration) {
        let Some(kept_back) = self.blocks.tell(now) else {
            return;
        };
        let metadata = BlockMetadata::decode(metadata.0.clone()).unwrap_or_default();
        let more = match kept_back {
            0 => String::new(),
            count => format!(", {count} more since the last one told of"),
        };
        say!(
            info,
            self,
            "Writing block [{number}] (Raft index: {}) to ledger{more}",
            metadata.raft_index
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

#[cfg(test)]
mod tests {
    use std::fmt::{Debug, Write};
    use std::sync::{Arc, Mutex};

    use tracing::field::{Field, Visit};
    use tracing::span::{Attributes, Id, Record};
    use tracing::{Event, Metadata, Subscriber};

    use super::*;

    /// Keeps level, message and fields of each event, as the console of the process shows them.
    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<String>>>);

    impl Subscriber for Page {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }

        fn new_span(&self, _: &Attributes<'_>) -> Id {
            Id::from_u64(1)
        }

        fn record(&self, _: &Id, _: &Record<'_>) {}

        fn record_follows_from(&self, _: &Id, _: &Id) {}

        fn event(&self, event: &Event<'_>) {
            let mut text = Text::default();
            event.record(&mut text);
            let line = format!("{} {}{}", event.metadata().level(), text.message, text.fields);
            self.0.lock().unwrap().push(line);
        }

        fn enter(&self, _: &Id) {}

        fn exit(&self, _: &Id) {}
    }

    #[derive(Default)]
    struct Text {
        message: String,
        fields: String,
    }

    impl Visit for Text {
        fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
            if field.name() == "message" {
                self.message = format!("{value:?}");
            } else {
                write!(self.fields, " {}={value:?}", field.name()).unwrap();
            }
        }
    }

    fn said(say: impl FnOnce(&Notices)) -> Vec<String> {
        let page = Page::default();
        let notices = Notices::new(ChannelId::parse("ch1").unwrap(), ConsenterId(26));
        tracing::subscriber::with_default(page.clone(), || say(&notices));
        std::mem::take(&mut *page.0.lock().unwrap())
    }

    #[test]
    fn what_tools_search_for_is_said_as_they_expect_it() {
        let id = ConsenterId;
        for (notice, expected) in [
            (
                Notice::LeaderChanged {
                    from: None,
                    to: Some(id(1)),
                },
                "INFO Raft leader changed: 0 -> 1 channel=ch1 node=26",
            ),
            (
                Notice::LeaderChanged {
                    from: Some(id(3)),
                    to: None,
                },
                "INFO Raft leader changed: 3 -> 0 channel=ch1 node=26",
            ),
            (
                Notice::Leading { tip: BlockNumber(7) },
                "INFO Start accepting requests as Raft leader at block [7] channel=ch1 node=26",
            ),
            (
                Notice::QuorumLost,
                "WARN 1a stepped down to follower since quorum is not active channel=ch1 node=26",
            ),
            (
                Notice::NoLeader { members: 2 },
                "WARN No leader is present, cluster size is 2 channel=ch1 node=26",
            ),
            (
                Notice::ActiveNodesReceived(vec![id(1), id(4), id(2)]),
                "INFO Store ActiveNodes [1 4 2] channel=ch1 node=26",
            ),
            (
                Notice::ActiveNodes(vec![id(2), id(3)]),
                "DEBUG Current active nodes in cluster are: [2 3] channel=ch1 node=26",
            ),
            (
                Notice::AddressedAs(id(5)),
                "WARN Received msg to 5, my ID is probably wrong due to out of date, cowardly halting channel=ch1 \
                 node=26",
            ),
        ] {
            assert_eq!(said(|notices| notices.notice(&notice)), [expected]);
        }
    }

    #[test]
    fn blocks_are_told_of_one_by_one_unless_they_are_many() {
        let metadata = BlockMetadata {
            raft_index: 9,
            ..BlockMetadata::default()
        };
        let metadata = ConsenterMetadata(metadata.encode_to_vec().into());
        let lines = said(|notices| {
            let mut notices = notices.clone();
            for number in 0..100 {
                notices.writing(BlockNumber(number), &metadata, Duration::from_millis(900));
            }
            notices.writing(BlockNumber(100), &metadata, Duration::from_millis(1900));
        });
        let told = |number: u64, more: &str| {
            format!("INFO Writing block [{number}] (Raft index: 9) to ledger{more} channel=ch1 node=26")
        };
        let mut expected: Vec<_> = (0..5).map(|number| told(number, "")).collect();
        expected.push(told(100, ", 95 more since the last one told of"));
        assert_eq!(lines, expected);
    }

    #[test]
    fn an_eviction_is_told_in_this_order() {
        let lines = said(|notices| {
            notices.suspecting_eviction(Duration::from_millis(10_040));
            notices.evicted(BlockNumber(1));
            notices.pulled_to_eviction();
            notices.stopped();
        });
        let expected = [
            "INFO Suspecting our own eviction from the channel for 10.0s channel=ch1 node=26",
            "WARN Detected our own eviction from the channel in block [1] channel=ch1 node=26",
            "INFO Periodic check is stopping. channel=ch1 node=26",
            "INFO Pulled all blocks up to eviction block. channel=ch1 node=26",
            "INFO Raft node stopped channel=ch1 node=26",
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn a_tick_interval_of_the_node_is_written_as_a_duration_of_go() {
        let lines = said(|notices| notices.tick_overridden(Duration::from_millis(642)));
        let expected = "INFO TickIntervalOverride is set, overriding channel configuration tick interval to 642ms channel=ch1 \
             node=26";
        assert_eq!(lines, [expected]);
    }
}
