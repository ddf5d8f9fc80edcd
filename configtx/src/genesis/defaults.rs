//! What stands in a genesis block where a profile says nothing (`docs/spec/rules.md` §5).

use protos::wire::etcdraft;
use protos::wire::orderer::{BatchSize, smartbft};

use crate::duration::GoDuration;

/// How long a block stays open.
pub const BATCH_TIMEOUT: GoDuration = GoDuration::from_nanos(2_000_000_000);

const MAX_MESSAGE_COUNT: u32 = 500;
const ABSOLUTE_MAX_BYTES: u32 = 10 * 1024 * 1024;
const PREFERRED_MAX_BYTES: u32 = 2 * 1024 * 1024;

/// Completes a batch size: each part on its own.
pub fn batch_size(given: &BatchSize) -> BatchSize {
    BatchSize {
        max_message_count: or(given.max_message_count, MAX_MESSAGE_COUNT),
        absolute_max_bytes: or(given.absolute_max_bytes, ABSOLUTE_MAX_BYTES),
        preferred_max_bytes: or(given.preferred_max_bytes, PREFERRED_MAX_BYTES),
    }
}

/// Completes raft options: each on its own.
pub fn raft_options(given: &etcdraft::Options) -> etcdraft::Options {
    etcdraft::Options {
        tick_interval: if given.tick_interval.is_empty() {
            "500ms".to_owned()
        } else {
            given.tick_interval.clone()
        },
        election_tick: or(given.election_tick, 10),
        heartbeat_tick: or(given.heartbeat_tick, 1),
        max_inflight_blocks: or(given.max_inflight_blocks, 5),
        snapshot_interval_size: or(given.snapshot_interval_size, 16 * 1024 * 1024),
    }
}

/// The options of a BFT channel that sets none.
pub fn bft_options() -> smartbft::Options {
    smartbft::Options {
        request_batch_max_count: 100,
        request_batch_max_bytes: 10 * 1024 * 1024,
        request_batch_max_interval: "50ms".into(),
        incoming_message_buffer_size: 200,
        request_pool_size: 400,
        request_forward_timeout: "2s".into(),
        request_complain_timeout: "20s".into(),
        request_auto_remove_timeout: "3m0s".into(),
        view_change_resend_interval: "5s".into(),
        view_change_timeout: "20s".into(),
        leader_heartbeat_timeout: "1m0s".into(),
        leader_heartbeat_count: 10,
        collect_timeout: "1s".into(),
        ..Default::default()
    }
}

fn or(given: u32, default: u32) -> u32 {
    if given == 0 { default } else { given }
}
