//! Envelopes with names, and files of the vectors, for the tests of this crate.

use bytes::Bytes;
use prost::Message;
use protos::wire::common;
use protos::{ConfigSeq, Envelope};

use crate::chain::{Submission, SubmissionKind};

/// A file of the vectors with ECDSA keys.
pub(crate) fn vector(path: &str) -> Bytes {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors/ecdsa");
    let path = std::path::Path::new(root).join(path);
    Bytes::from(std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
}

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
