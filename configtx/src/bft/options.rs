//! The options of a BFT channel (`docs/spec/rules.md` §8.4).

use prost::Message;
use protos::wire::orderer::smartbft::{Options, options::Rotation};

use crate::duration::{DurationError, GoDuration};

/// Least bytes that a batch must be allowed.
const BATCH_BYTES_MIN: u64 = 10_240;

/// What is wrong with the options of a BFT channel. Names are those of the configuration file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BftOptionsError {
    /// Not the message it should be.
    #[error("BFT options do not decode: {0}")]
    Decode(prost::DecodeError),
    /// An option that is no duration.
    #[error("BFT option {option}: {source}")]
    Duration {
        /// Which option.
        option: &'static str,
        /// What is wrong.
        source: DurationError,
    },
    /// An option that must be above 0 is not.
    #[error("BFT option {option} must be greater than 0")]
    NotPositive {
        /// Which option.
        option: &'static str,
    },
    /// One option must not be above another.
    #[error("BFT option {low} ({low_value}) must not be greater than {high} ({high_value})")]
    Order {
        /// The lower one.
        low: &'static str,
        /// As configured.
        low_value: String,
        /// The higher one.
        high: &'static str,
        /// As configured.
        high_value: String,
    },
    /// Batches would be too small.
    #[error("BFT option RequestBatchMaxBytes is {found}, expected at least {BATCH_BYTES_MIN}")]
    BatchBytes {
        /// As configured.
        found: u64,
    },
    /// Leaders take turns of no length.
    #[error("BFT option LeaderRotation is on, so DecisionsPerLeader must be greater than 0")]
    Rotation,
}

/// Decodes and checks the metadata of a BFT channel.
pub fn check_options(metadata: &[u8]) -> Result<Options, BftOptionsError> {
    let options = Options::decode(metadata).map_err(BftOptionsError::Decode)?;
    check_numbers(&options)?;
    check_durations(&options)?;
    if options.leader_rotation() == Rotation::On && options.decisions_per_leader == 0 {
        return Err(BftOptionsError::Rotation);
    }
    Ok(options)
}

fn check_numbers(options: &Options) -> Result<(), BftOptionsError> {
    let (count, bytes) = (options.request_batch_max_count, options.request_batch_max_bytes);
    for (option, value) in [
        ("RequestBatchMaxCount", count),
        ("RequestBatchMaxBytes", bytes),
        ("IncomingMessageBufferSize", options.incoming_message_buffer_size),
        ("RequestPoolSize", options.request_pool_size),
        ("LeaderHeartbeatCount", options.leader_heartbeat_count),
    ] {
        if value == 0 {
            return Err(BftOptionsError::NotPositive { option });
        }
    }
    if count > bytes {
        return Err(BftOptionsError::Order {
            low: "RequestBatchMaxCount",
            low_value: count.to_string(),
            high: "RequestBatchMaxBytes",
            high_value: bytes.to_string(),
        });
    }
    if bytes < BATCH_BYTES_MIN {
        return Err(BftOptionsError::BatchBytes { found: bytes });
    }
    Ok(())
}

/// A duration among the options: its name, its text, its value.
type Named<'a> = (&'static str, &'a str, GoDuration);

fn check_durations(options: &Options) -> Result<(), BftOptionsError> {
    positive("RequestBatchMaxInterval", &options.request_batch_max_interval)?;
    let forward = positive("RequestForwardTimeout", &options.request_forward_timeout)?;
    let complain = positive("RequestComplainTimeout", &options.request_complain_timeout)?;
    let remove = positive("RequestAutoRemoveTimeout", &options.request_auto_remove_timeout)?;
    let resend = positive("ViewChangeResendInterval", &options.view_change_resend_interval)?;
    let view_change = positive("ViewChangeTimeout", &options.view_change_timeout)?;
    positive("LeaderHeartbeatTimeout", &options.leader_heartbeat_timeout)?;
    positive("CollectTimeout", &options.collect_timeout)?;
    in_order(forward, complain)?;
    in_order(complain, remove)?;
    in_order(resend, view_change)
}

fn positive<'a>(option: &'static str, text: &'a str) -> Result<Named<'a>, BftOptionsError> {
    let value: GoDuration = text
        .parse()
        .map_err(|source| BftOptionsError::Duration { option, source })?;
    if value.as_nanos() <= 0 {
        return Err(BftOptionsError::NotPositive { option });
    }
    Ok((option, text, value))
}

fn in_order(low: Named<'_>, high: Named<'_>) -> Result<(), BftOptionsError> {
    if low.2 <= high.2 {
        return Ok(());
    }
    Err(BftOptionsError::Order {
        low: low.0,
        low_value: low.1.to_owned(),
        high: high.0,
        high_value: high.1.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::genesis::bft_options;

    #[test]
    fn usual_options_pass() {
        assert_eq!(check_options(&bft_options().encode_to_vec()), Ok(bft_options()));
    }

    #[test]
    fn each_broken_relation_is_named() {
        type Change = fn(&mut Options);
        let cases: [(Change, &str); 9] = [
            (
                |o| o.request_batch_max_count = 0,
                "RequestBatchMaxCount must be greater than 0",
            ),
            (
                |o| o.request_batch_max_bytes = 99,
                "RequestBatchMaxCount (100) must not be greater than RequestBatchMaxBytes (99)",
            ),
            (
                |o| o.request_batch_max_bytes = 10_239,
                "RequestBatchMaxBytes is 10239, expected at least 10240",
            ),
            (
                |o| o.collect_timeout = String::new(),
                "CollectTimeout: invalid duration \"\"",
            ),
            (
                |o| o.leader_heartbeat_timeout = "-1s".into(),
                "LeaderHeartbeatTimeout must be greater than 0",
            ),
            (
                |o| o.request_forward_timeout = "21s".into(),
                "RequestForwardTimeout (21s) must not be greater than RequestComplainTimeout (20s)",
            ),
            (
                |o| o.request_auto_remove_timeout = "19s".into(),
                "RequestComplainTimeout (20s) must not be greater than RequestAutoRemoveTimeout (19s)",
            ),
            (
                |o| o.view_change_resend_interval = "1m".into(),
                "ViewChangeResendInterval (1m) must not be greater than ViewChangeTimeout (20s)",
            ),
            (
                |o| o.set_leader_rotation(Rotation::On),
                "LeaderRotation is on, so DecisionsPerLeader must be greater than 0",
            ),
        ];
        for (change, expected) in cases {
            let mut options = bft_options();
            change(&mut options);
            let found = check_options(&options.encode_to_vec()).unwrap_err();
            assert_eq!(found.to_string(), format!("BFT option {expected}"));
        }
        assert!(matches!(check_options(b"\xff"), Err(BftOptionsError::Decode(_))));
    }
}
