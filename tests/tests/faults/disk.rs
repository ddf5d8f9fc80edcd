//! Segments, the index, join files: what somebody else has done to the data folder while the node was down.

use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use client::deliver::{Position, Seek};
use client::participation::AdminError;
use prost::Message as _;
use protos::wire::common::Status;
use protos::{BlockNumber, SealedBlock};
use tests::fixture::bystander::{self, Bystander};
use tests::fixture::network::{ChannelSpec, Network, NetworkSpec};

use super::{PATIENCE, assert_refused, fetch, noise, running, whole_chain};

/// The head of a record (`ledger/src/segment/record.rs`).
const HEAD_BYTES: usize = 29;

/// A node that has ended in order, with blocks on its channel and on a bystander's, and the channel's chain.
async fn stopped() -> (Network, Vec<SealedBlock>) {
    let mut network = running(&NetworkSpec::default()).await;
    Bystander::join(&network).await.orders().await;
    bystander::orders(&network.connect().await, &network.signer()).await;
    let chain = whole_chain(&network).await;
    assert!(chain.len() >= 4, "{} blocks", chain.len());
    network.node.terminate();
    assert!(network.node.wait_for_end(PATIENCE).success());
    (network, chain)
}

/// The channel's one segment file.
fn segment(network: &Network) -> PathBuf {
    let folder = network
        .data_folder()
        .join("chains")
        .join(network.channel().as_str());
    folder.join("blocks-00000000000000000000.v1")
}

fn index(network: &Network) -> PathBuf {
    network.data_folder().join("index")
}

/// Where each record of a segment file begins.
fn records(file: &[u8]) -> Vec<usize> {
    let mut offsets = Vec::new();
    let mut at = 0;
    while at < file.len() {
        offsets.push(at);
        let len = file[at + 17..at + 21].try_into().expect("four bytes");
        at += HEAD_BYTES + u32::from_le_bytes(len) as usize;
    }
    offsets
}

/// Changes one byte of a block's data.
fn damage(network: &Network, block: usize) {
    let mut bytes = fs::read(segment(network)).expect("a segment");
    let at = records(&bytes)[block] + HEAD_BYTES + 60;
    bytes[at] ^= 0x10;
    fs::write(segment(network), bytes).expect("written");
}

fn cut_tail(network: &Network, bytes: u64) {
    let file = fs::File::options()
        .write(true)
        .open(segment(network))
        .expect("a segment");
    let len = file.metadata().expect("a length").len();
    file.set_len(len - bytes).expect("cut");
}

fn best_effort(start: u64, stop: u64) -> Seek {
    Seek {
        best_effort: true,
        fail_if_missing: true,
        ..Seek::range(
            Position::Number(BlockNumber(start)),
            Position::Number(BlockNumber(stop)),
        )
    }
}

/// The channel takes nothing, says where the damage is, and serves the blocks before it to those who ask for what
/// there is; the bystander orders.
async fn assert_quarantined_at(network: &Network, chain: &[SealedBlock], damaged: usize) {
    let signer = network.signer();
    let envelope = signer.transaction(Bytes::from_static(b"x")).bytes;
    let text = format!("block {damaged} is damaged in {}", segment(network).display());
    assert_refused(
        network,
        envelope.clone(),
        Status::ServiceUnavailable,
        "channel is quarantined: ",
    )
    .await;
    assert_refused(network, envelope, Status::ServiceUnavailable, &text).await;
    let (blocks, status) = fetch(network, &signer, best_effort(0, damaged as u64)).await;
    assert_eq!((&blocks[..], status), (&chain[..damaged], Some(Status::NotFound)));
    let strict = Seek::range(Position::Oldest, Position::Newest);
    let (blocks, status) = fetch(network, &signer, strict).await;
    assert_eq!((blocks.len(), status), (0, Some(Status::ServiceUnavailable)));
    let info = network
        .admin()
        .info(network.channel())
        .await
        .expect("the channel is listed");
    assert_eq!((info.status.as_str(), info.height), ("inactive", damaged as u64));
    Bystander::of(network).orders().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_durable_block_that_is_cut_off_quarantines_its_channel_at_every_start() {
    let (mut network, chain) = stopped().await;
    cut_tail(&network, 10);
    for _ in 0..2 {
        network.node.start();
        assert_quarantined_at(&network, &chain, chain.len() - 1).await;
        network.node.terminate();
        assert!(network.node.wait_for_end(PATIENCE).success());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tail_that_nothing_vouches_for_is_cut_off_and_the_channel_goes_on() {
    let (mut network, chain) = stopped().await;
    cut_tail(&network, 10);
    fs::remove_dir_all(index(&network)).expect("removed");
    network.node.start();
    network.node.wait_for("of an unfinished write in", PATIENCE);
    assert_eq!(whole_chain(&network).await, chain[..chain.len() - 1]);
    bystander::orders(&network.connect().await, &network.signer()).await;
    Bystander::of(&network).orders().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_in_the_middle_that_a_start_finds_quarantines_the_channel() {
    let (mut network, chain) = stopped().await;
    damage(&network, 2);
    fs::remove_dir_all(index(&network)).expect("removed");
    network.node.start();
    assert_quarantined_at(&network, &chain, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_in_the_middle_that_a_reader_finds_ends_its_stream_and_ordering_goes_on() {
    let (mut network, chain) = stopped().await;
    damage(&network, 2);
    network.node.start();
    let (blocks, status) = fetch(&network, &network.signer(), best_effort(0, 3)).await;
    assert_eq!(
        (&blocks[..], status),
        (&chain[..2], Some(Status::ServiceUnavailable))
    );
    network
        .node
        .wait_for("cannot deliver block 2: block 2 is damaged in", PATIENCE);
    let (blocks, status) = fetch(&network, &network.signer(), best_effort(3, 3)).await;
    assert_eq!((&blocks[..], status), (&chain[3..4], None));
    let envelope = network.signer().transaction(Bytes::from_static(b"x")).bytes;
    assert_eq!(super::submit(&network, envelope).await.expect("it is ordered"), 1);
    Bystander::of(&network).orders().await;
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("copied");
        }
    }
}

/// What is done to the index of a stopped node; the second argument is a copy of the index as it was earlier.
type Spoil = fn(&Network, &Path);

#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_is_stale_missing_or_unreadable_is_made_good_from_the_blocks() {
    let (mut network, mut chain) = stopped().await;
    let stale = network.node.folder().join("stale");
    copy_folder(&index(&network), &stale);
    let spoil: [(&str, Spoil, &str); 3] = [
        (
            "stale",
            |network, stale| {
                fs::remove_dir_all(index(network)).expect("removed");
                copy_folder(stale, &index(network));
            },
            "blocks that the index did not know",
        ),
        (
            "missing",
            |network, _| fs::remove_dir_all(index(network)).expect("removed"),
            "blocks that the index did not know",
        ),
        (
            "unreadable",
            |network, _| fs::write(index(network).join("db"), noise(1, 100_000)).expect("written"),
            "the block index was begun anew from the blocks",
        ),
    ];
    for (what, spoil, text) in spoil {
        network.node.start();
        assert_eq!(whole_chain(&network).await, chain, "{what}");
        bystander::orders(&network.connect().await, &network.signer()).await;
        chain = whole_chain(&network).await;
        network.node.terminate();
        assert!(network.node.wait_for_end(PATIENCE).success());
        let told = network.node.stderr().matches(text).count();
        spoil(&network, &stale);
        network.node.start();
        assert!(
            network.node.stderr().matches(text).count() > told,
            "{what}: no {text:?}"
        );
        assert_eq!(whole_chain(&network).await, chain, "{what}");
        Bystander::of(&network).orders().await;
        network.node.kill();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_join_file_that_does_not_fit_its_ledger_quarantines_the_channel_until_it_is_gone() {
    let (mut network, chain) = stopped().await;
    let other = network.first_block(&ChannelSpec::named("fixture"));
    let file = network.data_folder().join("pendingops/join/fixture.join");
    for (bytes, text) in [
        (
            other.encode_to_vec(),
            "the channel's ledger begins with another block",
        ),
        (noise(1, 300), "not a block: "),
    ] {
        fs::write(&file, bytes).expect("written");
        network.node.start();
        let envelope = network.signer().transaction(Bytes::from_static(b"x")).bytes;
        assert_refused(
            &network,
            envelope.clone(),
            Status::ServiceUnavailable,
            "quarantined: join file: ",
        )
        .await;
        assert_refused(&network, envelope, Status::ServiceUnavailable, text).await;
        let again = network.join_with(network.genesis()).await;
        assert!(
            matches!(again, Err(AdminError::Refused { status: 405, .. })),
            "{again:?}"
        );
        Bystander::of(&network).orders().await;
        network.node.kill();
    }
    // The one that it began with is fine, and so is none.
    fs::write(&file, network.genesis().encode_to_vec()).expect("written");
    network.node.start();
    assert_eq!(whole_chain(&network).await, chain);
    assert!(!file.exists());
    bystander::orders(&network.connect().await, &network.signer()).await;
}
