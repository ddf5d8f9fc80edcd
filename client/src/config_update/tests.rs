use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use configtx::Bundle;
use configtx::compute_update::compute_update;
use configtx::identity::SigningIdentity;
use configtx::update::Update;
use prost::Message as _;
use protos::envelope::Opened;
use protos::wire::common::{
    Block, ChannelHeader, Config, ConfigEnvelope, ConfigUpdateEnvelope, Envelope, Header, HeaderType, Payload,
};
use protos::{BlockNumber, ConfigSeq};

use super::*;
use crate::config_edit::batch::{BatchChange, set_batch};
use crate::envelope::EnvelopeSigner;
use crate::fake_orderer::{FakeOrderer, Faults, signer, target};

fn vector(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/vectors/ecdsa")
        .join(path)
}

fn file(path: &str) -> Bytes {
    std::fs::read(vector(path)).unwrap().into()
}

fn current() -> Bundle {
    Bundle::from_block(&Block::decode(file("blocks/raft-three.block")).unwrap()).unwrap()
}

fn identity(msp_id: &str, name: &str) -> SigningIdentity {
    let read =
        |what: &str| std::fs::read_to_string(vector(&format!("crypto/extra/{name}/{what}.pem"))).unwrap();
    SigningIdentity::new(msp_id, &read("cert"), &read("key")).unwrap()
}

fn orderer_admin() -> SigningIdentity {
    identity("OrdererMSP", "admin-ord")
}

/// An update of the batch, signed by whom it takes.
fn update(change: BatchChange) -> UpdateEnvelope {
    let current = current();
    let edited = set_batch(current.config().clone(), &change).unwrap();
    let update = compute_update("raft-three", current.config(), &edited).unwrap();
    let mut update = UpdateEnvelope::new(current.channel_id().clone(), &update);
    update.sign(&orderer_admin(), [7; 24]);
    update
}

fn larger_batch() -> UpdateEnvelope {
    update(BatchChange {
        max_message_count: Some(30),
        ..BatchChange::default()
    })
}

fn longer_timeout() -> UpdateEnvelope {
    update(BatchChange {
        timeout: Some(Duration::from_secs(3)),
        ..BatchChange::default()
    })
}

fn seal(update: &UpdateEnvelope) -> Bytes {
    update.seal(
        &orderer_admin(),
        [9; 24],
        SystemTime::UNIX_EPOCH + Duration::from_millis(1500),
    )
}

#[test]
fn a_signature_leaves_the_update_and_earlier_signatures_as_they_are() {
    let given = file("updates/batchsize-bad-then-good-sig.pb");
    let before = ConfigUpdateEnvelope::decode(Opened::open(given.clone()).unwrap().data).unwrap();
    let mut update = UpdateEnvelope::from_bytes(given).unwrap();
    let org1 = identity("Org1MSP", "admin-org1");
    assert!(update.is_signed_by(&orderer_admin()) && !update.is_signed_by(&org1));
    update.sign(&org1, [1; 24]);
    let sealed = seal(&update);
    let after = ConfigUpdateEnvelope::decode(Opened::open(sealed.clone()).unwrap().data).unwrap();
    assert_eq!(after.config_update, before.config_update);
    assert_eq!(after.signatures[..2], before.signatures[..]);
    assert_eq!(
        (
            after.signatures.len(),
            UpdateEnvelope::from_bytes(sealed).unwrap()
        ),
        (3, update.clone())
    );
    let read = Update::read(update.data()).unwrap();
    let counted = read.signers(current().msps()).unwrap();
    let names: Vec<_> = counted
        .accepted
        .iter()
        .map(|one| one.msp_id().to_owned())
        .collect();
    assert_eq!(names, ["OrdererMSP", "Org1MSP"]);
}

#[test]
fn the_envelope_around_it_is_dated_in_seconds_and_names_no_transaction() {
    let opened = Opened::open(seal(&larger_batch())).unwrap();
    let expected = ChannelHeader {
        r#type: HeaderType::ConfigUpdate as i32,
        channel_id: "raft-three".into(),
        timestamp: Some((SystemTime::UNIX_EPOCH + Duration::from_secs(1)).into()),
        ..ChannelHeader::default()
    };
    assert_eq!(opened.channel_header, expected);
    let header = opened.signature_header().unwrap();
    assert_eq!(header.creator, orderer_admin().serialized());
    let signer = current().identify(&header.creator).unwrap();
    assert!(signer.verify(&opened.payload, &opened.signature));
}

#[test]
fn an_envelope_made_by_hand_is_taken() {
    let header = ChannelHeader {
        r#type: HeaderType::ConfigUpdate as i32,
        channel_id: "raft-three".into(),
        ..ChannelHeader::default()
    };
    let payload = Payload {
        header: Some(Header {
            channel_header: header.encode_to_vec().into(),
            signature_header: Bytes::new(),
        }),
        data: larger_batch().data(),
    };
    let envelope = Envelope {
        payload: payload.encode_to_vec().into(),
        signature: Bytes::new(),
    };
    let read = UpdateEnvelope::from_bytes(envelope.encode_to_vec().into()).unwrap();
    assert_eq!(read.config_update(), larger_batch().config_update());
    assert_eq!(UpdateEnvelope::from_bytes(read.unsigned()).unwrap(), read);
}

#[test]
fn other_envelopes_are_no_updates() {
    let other = signer().transaction(Bytes::from_static(b"data")).bytes;
    let error = UpdateEnvelope::from_bytes(other).unwrap_err();
    assert_eq!(
        error.to_string(),
        "header type is 3, and that of a config update is 2"
    );
    UpdateEnvelope::from_bytes(Bytes::from_static(b"junk")).unwrap_err();
}

/// The entry of a config block that `update` led to.
fn ordered(update: Bytes, config: &Config) -> Bytes {
    let content = ConfigEnvelope {
        config: Some(config.clone()),
        last_update: Some(Envelope::decode(update).unwrap()),
    };
    let signer = EnvelopeSigner::new(Arc::new(orderer_admin()), current().channel_id().clone());
    let data = content.encode_to_vec().into();
    signer
        .sign(HeaderType::Config, data, [0; 24], SystemTime::UNIX_EPOCH)
        .bytes
}

fn after(update: &UpdateEnvelope) -> Config {
    Update::read(update.data())
        .unwrap()
        .apply(&current())
        .unwrap()
        .config
}

async fn wait(blocks: Vec<Bytes>, update: &UpdateEnvelope, time_max: Duration) -> Result<Ordered, WaitError> {
    let (orderer, address) = FakeOrderer::start(Faults::default(), 3, None).await;
    let connection = target(address).connect().await.unwrap();
    for entry in blocks {
        orderer.append(vec![entry]);
    }
    wait_until_ordered(&connection, &signer(), BlockNumber(3), update, time_max).await
}

const LONG: Duration = Duration::from_mins(1);

#[tokio::test]
async fn an_update_is_seen_in_its_block_whoever_submitted_it() {
    let mut update = larger_batch();
    let config = after(&update);
    update.sign(&identity("Org1MSP", "admin-org1"), [3; 24]);
    let data = signer().transaction(Bytes::from_static(b"data")).bytes;
    let blocks = vec![data, ordered(seal(&update), &config)];
    let found = wait(blocks, &larger_batch(), LONG).await.unwrap();
    assert_eq!((found.number, found.sequence), (BlockNumber(4), ConfigSeq(1)));
}

#[tokio::test]
async fn a_lost_race_is_told_with_its_reason() {
    let winner = file("updates/batchsize.pb");
    let config = Config::decode(file("updates/batchsize.result.pb")).unwrap();
    let error = wait(vec![ordered(winner, &config)], &larger_batch(), LONG)
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            WaitError::Overtaken {
                number: BlockNumber(3),
                ..
            }
        ),
        "{error}"
    );
    let text = error.to_string();
    assert!(
        text.contains("/Channel/Orderer/BatchSize") && text.contains("version"),
        "{text}"
    );
}

#[tokio::test]
async fn another_update_beside_it_is_no_lost_race() {
    let winner = file("updates/batchsize.pb");
    let config = Config::decode(file("updates/batchsize.result.pb")).unwrap();
    let update = longer_timeout();
    let blocks = vec![ordered(winner, &config), ordered(seal(&update), &after(&update))];
    assert_eq!(wait(blocks, &update, LONG).await.unwrap().number, BlockNumber(4));
}

#[tokio::test]
async fn waiting_ends() {
    let error = wait(vec![], &larger_batch(), Duration::from_millis(50))
        .await
        .unwrap_err();
    assert!(matches!(error, WaitError::Timeout { .. }), "{error}");
}
