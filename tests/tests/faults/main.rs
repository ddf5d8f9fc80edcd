//! The faults of one node: each is a test over the real binary and its real ports.
//!
//! A test says which status and which text a client gets, and shows that another channel of the same node goes on
//! ordering while the fault lasts ([`Bystander`]).
//!
//! | file | faults of |
//! |---|---|
//! | `wire` | what comes over the wire: cut, random, too long, for nobody |
//! | `identity` | signers and certificates, genesis blocks, the node's own keys |
//! | `disk` | segments, the index, join files |
//! | `streams` | clients that read slowly or never, and many of them |
//! | `memory` | many large messages at a time |
//! | `process` | ports and folders in use, the end under load |
//!
//! A full disk is the suite `full_disk`, which needs root.

mod disk;
mod identity;
mod memory;
mod process;
mod streams;
mod wire;

use std::time::Duration;

use bytes::Bytes;
use client::broadcast::{Acknowledge, BroadcastError, BroadcastOptions, submit_all};
use client::deliver::{DeliverError, DeliverStream, Position, Resume, Seek};
use client::envelope::EnvelopeSigner;
use protos::SealedBlock;
use protos::wire::common::Status;
use tests::fixture::network::{Network, NetworkSpec};

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// A node that orders the channel of `spec`.
async fn running(spec: &NetworkSpec) -> Network {
    let mut network = Network::new(spec);
    network.node.start();
    network.join().await;
    network
}

/// Submits one envelope and waits for its answer at level `committed`.
async fn submit(network: &Network, envelope: Bytes) -> Result<u64, BroadcastError> {
    let options = BroadcastOptions {
        acknowledge: Some(Acknowledge::Committed),
        ..BroadcastOptions::default()
    };
    submit_all(&network.connect().await, options, [envelope]).await
}

/// Panics unless `envelope` is refused with this status and a text that contains `text`.
async fn assert_refused(network: &Network, envelope: Bytes, status: Status, text: &str) {
    match submit(network, envelope).await {
        Err(BroadcastError::Refused {
            index: 0,
            status: found,
            info,
        }) => {
            assert_eq!(Status::try_from(found), Ok(status), "{info}");
            assert!(info.contains(text), "{text:?} is not in {info:?}");
        }
        other => panic!("not refused: {other:?}"),
    }
}

/// What a seek gives: all blocks, or the status that ended it early with the blocks before.
async fn fetch(network: &Network, signer: &EnvelopeSigner, seek: Seek) -> (Vec<SealedBlock>, Option<Status>) {
    let connection = network.connect().await;
    let mut stream = DeliverStream::new(&connection, signer.clone(), seek, Resume::NEVER);
    let mut blocks = Vec::new();
    loop {
        match stream.next().await {
            Ok(Some(block)) => blocks.push(block),
            Ok(None) => return (blocks, None),
            Err(DeliverError::Refused { status }) => return (blocks, Status::try_from(status).ok()),
            Err(other) => panic!("{other}"),
        }
    }
}

/// Every block the node has of its channel now.
async fn whole_chain(network: &Network) -> Vec<SealedBlock> {
    let seek = Seek::range(Position::Oldest, Position::Newest);
    let (blocks, status) = fetch(network, &network.signer(), seek).await;
    assert_eq!(status, None);
    blocks
}

/// Bytes that look random and are the same in each run.
fn noise(seed: u64, count: usize) -> Vec<u8> {
    let mut state = seed | 1;
    let mut next = || {
        // xorshift64
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..count).map(|_| next()).collect()
}
