//! Envelopes with names, for the tests of this crate.

use bytes::Bytes;
use prost::Message;
use protos::wire::common;
use protos::{ConfigSeq, Envelope};

use crate::chain::{Submission, SubmissionKind};

/// An envelope of `bytes` bytes that carries `name`; longer if the name is.
pub(crate) fn envelope(name: &str, bytes: usize) -> Envelope {
    let wire = common::Envelope {
        payload: vec![0; bytes.saturating_sub(name.len())].into(),
        signature: Bytes::copy_from_slice(name.as_bytes()),
    };
    Envelope::from_received(wire.encode_to_vec().into()).unwrap()
}

/// The name a block entry carries.
pub(crate) fn name(entry: &Bytes) -> String {
    let wire = common::Envelope::decode(entry.clone()).unwrap();
    String::from_utf8(wire.signature.to_vec()).unwrap()
}

pub(crate) fn normal(name: &str, bytes: usize, config_seq: u64) -> Submission {
    Submission {
        envelope: envelope(name, bytes),
        kind: SubmissionKind::Normal,
        config_seq: ConfigSeq(config_seq),
    }
}

pub(crate) fn config(name: &str, config_seq: u64) -> Submission {
    Submission {
        kind: SubmissionKind::Config,
        ..normal(name, name.len(), config_seq)
    }
}
