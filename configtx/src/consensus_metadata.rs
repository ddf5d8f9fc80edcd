//! What the metadata of a consensus type says about its consenters and its timing.
//!
//! The settings of a consensus are its consenter's business; here they are only decoded and checked as far as
//! that needs no other config, no certificate and no clock. Source: `docs/spec/rules.md` §8.3 and §8.4.

use std::time::Duration;

use prost::Message;
use protos::wire::common::Consenter as BftConsenter;
use protos::wire::etcdraft::{self, ConfigMetadata};

use crate::duration::{DurationError, GoDuration};
use crate::orderer_config::OrdererConfig;
use crate::severity::Severity;

/// Consensus type of a single node without consensus.
pub const SOLO: &str = "solo";
/// Consensus type of raft channels.
pub const ETCDRAFT: &str = "etcdraft";
/// Consensus type of BFT channels.
pub const BFT: &str = "BFT";

/// Length of a raft tick where none is usable: what genesis tools write.
pub const TICK_INTERVAL_DEFAULT: Duration = Duration::from_millis(500);

/// Who takes part in consensus on a channel.
#[derive(Clone, Debug, PartialEq)]
pub enum Consenters {
    /// One node, whichever was told to.
    Solo,
    /// Raft members, in configured order.
    Raft(Vec<etcdraft::Consenter>),
    /// BFT members, in configured order.
    Bft(Vec<BftConsenter>),
}

/// Settings of a raft channel. Only a checked metadata yields one.
#[derive(Clone, Debug, PartialEq)]
pub struct RaftMetadata {
    /// At least one.
    pub consenters: Vec<etcdraft::Consenter>,
    /// Timing and limits.
    pub options: RaftOptions,
}

/// Timing and limits of a raft channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RaftOptions {
    /// Length of a tick; above 0. A negative one, which only a committed config can have, counts as
    /// [`TICK_INTERVAL_DEFAULT`].
    pub tick_interval: Duration,
    /// Ticks without a leader until a member campaigns; more than [`heartbeat_ticks`](Self::heartbeat_ticks).
    pub election_ticks: u32,
    /// Ticks between a leader's heartbeats; above 0.
    pub heartbeat_ticks: u32,
    /// Blocks a leader proposes before one of them is committed; above 0.
    pub inflight_blocks_max: u32,
    /// Bytes of blocks between two snapshots; 0 means the built-in default.
    pub snapshot_interval_bytes: u32,
}

/// Why the metadata of a consensus type is not usable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConsensusMetadataError {
    /// A consensus type this program has no rules for.
    #[error("consenter {kind} is not available")]
    UnknownKind {
        /// As configured.
        kind: String,
    },
    /// A solo channel with metadata.
    #[error("metadata of a solo channel must be empty")]
    SoloMetadata,
    /// The metadata is no `etcdraft.ConfigMetadata`.
    #[error("etcdraft metadata does not decode: {0}")]
    Decode(prost::DecodeError),
    /// No raft options.
    #[error("etcdraft metadata has no options")]
    NoOptions,
    /// An option that must not be 0 is.
    #[error("{option} must be greater than 0")]
    Zero {
        /// Name of the option.
        option: &'static str,
    },
    /// Elections would come before heartbeats.
    #[error("ElectionTick ({election}) must be greater than HeartbeatTick ({heartbeat})")]
    ElectionTick {
        /// Configured election ticks.
        election: u32,
        /// Configured heartbeat ticks.
        heartbeat: u32,
    },
    /// The tick interval is no duration.
    #[error("TickInterval: {0}")]
    TickInterval(DurationError),
    /// The tick interval is not positive.
    #[error("TickInterval ({interval}) must be greater than 0")]
    TickIntervalNotPositive {
        /// As configured.
        interval: String,
    },
    /// Nobody takes part.
    #[error("consenter set is empty")]
    NoConsenters,
}

/// The consenters of a channel.
///
/// # Errors
/// The consensus type is unknown, or its metadata is not usable.
pub fn consenters_of(orderer: &OrdererConfig) -> Result<Consenters, ConsensusMetadataError> {
    let consensus = &orderer.consensus_type;
    match consensus.kind.as_str() {
        SOLO if consensus.metadata.is_empty() => Ok(Consenters::Solo),
        SOLO => Err(ConsensusMetadataError::SoloMetadata),
        ETCDRAFT => Ok(Consenters::Raft(
            RaftMetadata::read(&consensus.metadata, Severity::Commit)?.consenters,
        )),
        BFT if orderer.consenters.is_empty() => Err(ConsensusMetadataError::NoConsenters),
        BFT => Ok(Consenters::Bft(orderer.consenters.clone())),
        _ => Err(ConsensusMetadataError::UnknownKind {
            kind: consensus.kind.clone(),
        }),
    }
}

impl RaftMetadata {
    /// Decodes and checks a serialized `etcdraft.ConfigMetadata`, certificates aside.
    pub fn read(metadata: &[u8], severity: Severity) -> Result<Self, ConsensusMetadataError> {
        let decoded = ConfigMetadata::decode(metadata).map_err(ConsensusMetadataError::Decode)?;
        let options = decoded.options.ok_or(ConsensusMetadataError::NoOptions)?;
        let options = RaftOptions::check(&options, severity)?;
        if decoded.consenters.is_empty() {
            return Err(ConsensusMetadataError::NoConsenters);
        }
        Ok(Self {
            consenters: decoded.consenters,
            options,
        })
    }
}

impl RaftOptions {
    /// Checks each option and their relations.
    pub fn check(options: &etcdraft::Options, severity: Severity) -> Result<Self, ConsensusMetadataError> {
        let not_zero = [
            ("HeartbeatTick", options.heartbeat_tick),
            ("ElectionTick", options.election_tick),
            ("MaxInflightBlocks", options.max_inflight_blocks),
        ];
        if let Some((option, _)) = not_zero.into_iter().find(|(_, value)| *value == 0) {
            return Err(ConsensusMetadataError::Zero { option });
        }
        if options.election_tick <= options.heartbeat_tick {
            return Err(ConsensusMetadataError::ElectionTick {
                election: options.election_tick,
                heartbeat: options.heartbeat_tick,
            });
        }
        Ok(Self {
            tick_interval: check_tick_interval(&options.tick_interval, severity)?,
            election_ticks: options.election_tick,
            heartbeat_ticks: options.heartbeat_tick,
            inflight_blocks_max: options.max_inflight_blocks,
            snapshot_interval_bytes: options.snapshot_interval_size,
        })
    }
}

/// The rule says "non-zero". A negative interval passes it in the reference and then stops its ticker with a
/// panic, so intake refuses it.
fn check_tick_interval(text: &str, severity: Severity) -> Result<Duration, ConsensusMetadataError> {
    let parsed: GoDuration = text.parse().map_err(ConsensusMetadataError::TickInterval)?;
    match (parsed.to_std(), severity) {
        (Some(interval), _) if !interval.is_zero() => Ok(interval),
        (None, Severity::Commit) => Ok(TICK_INTERVAL_DEFAULT),
        _ => Err(ConsensusMetadataError::TickIntervalNotPositive {
            interval: text.to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> etcdraft::Options {
        etcdraft::Options {
            tick_interval: "500ms".into(),
            election_tick: 10,
            heartbeat_tick: 1,
            max_inflight_blocks: 5,
            snapshot_interval_size: 0,
        }
    }

    #[test]
    fn usual_options_pass_and_no_snapshot_interval_is_fine() {
        let checked = RaftOptions::check(&options(), Severity::Intake).unwrap();
        assert_eq!(checked.tick_interval, Duration::from_millis(500));
        assert_eq!(checked.snapshot_interval_bytes, 0);
    }

    #[test]
    fn each_broken_relation_is_named() {
        type Change = fn(&mut etcdraft::Options);
        let cases: [(Change, &str); 6] = [
            (
                |o| o.heartbeat_tick = 10,
                "ElectionTick (10) must be greater than HeartbeatTick (10)",
            ),
            (|o| o.heartbeat_tick = 0, "HeartbeatTick must be greater than 0"),
            (
                |o| o.max_inflight_blocks = 0,
                "MaxInflightBlocks must be greater than 0",
            ),
            (
                |o| o.tick_interval = "fast".into(),
                "TickInterval: invalid duration \"fast\"",
            ),
            (
                |o| o.tick_interval = "0s".into(),
                "TickInterval (0s) must be greater than 0",
            ),
            (
                |o| o.tick_interval = "-1s".into(),
                "TickInterval (-1s) must be greater than 0",
            ),
        ];
        for (change, expected) in cases {
            let mut changed = options();
            change(&mut changed);
            let found = RaftOptions::check(&changed, Severity::Intake).unwrap_err();
            assert_eq!(found.to_string(), expected);
        }
    }

    #[test]
    fn a_committed_negative_tick_interval_is_taken_as_the_default() {
        let mut changed = options();
        changed.tick_interval = "-1s".into();
        let taken = RaftOptions::check(&changed, Severity::Commit).unwrap();
        assert_eq!(taken.tick_interval, TICK_INTERVAL_DEFAULT);
        changed.tick_interval = "0s".into();
        assert!(RaftOptions::check(&changed, Severity::Commit).is_err());
    }

    #[test]
    fn a_raft_channel_needs_options_and_consenters() {
        let read = |metadata: &[u8]| RaftMetadata::read(metadata, Severity::Intake);
        assert_eq!(read(&[]), Err(ConsensusMetadataError::NoOptions));
        let nobody = ConfigMetadata {
            consenters: vec![],
            options: Some(options()),
        };
        assert_eq!(
            read(&nobody.encode_to_vec()),
            Err(ConsensusMetadataError::NoConsenters)
        );
    }
}
