//! Updates over REST: `PUT /participation/v1/channels`.

use std::fs;
use std::process::Command;

use bytes::Bytes;
use client::broadcast::Acknowledge;
use client::participation::AdminError;
use configtx::encode::encode_config_update;
use prost::Message as _;
use protos::wire::common::{ConfigUpdate, ConfigUpdateEnvelope, HeaderType};
use tests::fixture::binaries;

use super::field::{CHANNEL, Field, PATIENCE, refusal, replay, set_batch};

/// The newest config after a while.
async fn until_batch(field: &Field, messages: u32) {
    let waiting = async {
        while replay(&field.chain().await)
            .orderer()
            .batch_size
            .max_message_count
            != messages
        {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting)
        .await
        .expect("the update is ordered");
}

fn refused(outcome: Result<client::participation::ChannelInfo, AdminError>) -> (u16, String) {
    match outcome {
        Err(AdminError::Refused { status, reason }) => (status, reason),
        other => panic!("expected a refusal, not {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_that_was_put_is_taken_in_and_then_in_force() {
    let field = Field::start().await;
    let update = field.update(|root| set_batch(root, 3)).await;
    let info = field.admin().update(update).await.expect("it is taken in");
    assert_eq!((info.name.as_str(), info.status.as_str()), (CHANNEL, "active"));
    assert_eq!(info.url, format!("/participation/v1/channels/{CHANNEL}"));
    until_batch(&field, 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_that_is_refused_has_the_text_of_broadcast() {
    let field = Field::start().await;
    let update = field.update(|root| set_batch(root, 3)).await;
    field
        .send(Acknowledge::Committed, vec![update.clone()])
        .await
        .expect("ordered");
    let (_, expected) = refusal(field.send(Acknowledge::Accepted, vec![update.clone()]).await);
    let (status, text) = refused(field.admin().update(update).await);
    let prefix = format!("cannot update: failed update config of channel {CHANNEL}: ");
    assert_eq!((status, text), (400, format!("{prefix}{expected}")));
    // A sender who may not write is 400 as well.
    let stranger = field.newcomer("Gamma").signer("Admin");
    let update = Bytes::from(encode_config_update(&ConfigUpdate {
        channel_id: CHANNEL.to_owned(),
        ..ConfigUpdate::default()
    }));
    let (status, text) = refused(field.admin().update(wrapped(&stranger, update)).await);
    assert_eq!(status, 400);
    assert!(
        text.starts_with(&prefix) && text.ends_with(": permission denied"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_of_an_unknown_channel_is_refused_and_wedges_nothing() {
    let field = Field::start().await;
    let update = Bytes::from(encode_config_update(&ConfigUpdate {
        channel_id: "nowhere".to_owned(),
        ..ConfigUpdate::default()
    }));
    // The channel is the one of the update, not that of the header.
    let envelope = wrapped(&field.alpha.signer("Admin"), update);
    for _ in 0..3 {
        let answer = refused(field.admin().update(envelope.clone()).await);
        assert_eq!(answer, (405, "cannot update: channel does not exist".to_owned()));
    }
    assert_eq!(field.admin().list().await.expect("a list").channels.len(), 1);
    field.order(&field.alpha.signer("User1")).await.expect("ordered");
    let update = field.update(|root| set_batch(root, 3)).await;
    field.admin().update(update).await.expect("it is taken in");
    until_batch(&field, 3).await;
}

fn wrapped(signer: &client::envelope::EnvelopeSigner, config_update: Bytes) -> Bytes {
    let envelope = ConfigUpdateEnvelope {
        config_update,
        ..ConfigUpdateEnvelope::default()
    };
    let now = std::time::SystemTime::now();
    signer
        .sign(
            HeaderType::ConfigUpdate,
            envelope.encode_to_vec().into(),
            [3; 24],
            now,
        )
        .bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_update_is_refused() {
    let field = Field::start().await;
    let message = field.alpha.signer("User1").transaction("m".into()).bytes;
    let (status, text) = refused(field.admin().update(message).await);
    assert_eq!(
        (status, text.as_str()),
        (400, "invalid config update envelope: bad type: 3")
    );
    let (status, text) = refused(field.admin().update(Bytes::from_static(b"\x0f")).await);
    assert_eq!(status, 400);
    let expected = "cannot unmarshal file part config-update-envelope into an envelope: ";
    assert!(text.starts_with(expected), "{text}");
    let (status, text) = refused(field.admin().update(Bytes::new()).await);
    assert_eq!(status, 400);
    assert!(
        text.starts_with("invalid config update envelope: bad header: "),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn ordain_channel_update_hands_in_an_update() {
    let field = Field::start().await;
    let envelope = field.folder().join("update.envelope");
    fs::write(&envelope, field.update(|root| set_batch(root, 4)).await).expect("a file");
    let tls = field
        .orderers
        .paths()
        .user_tls(&field.orderers.paths().admin_name());
    let ordain = || {
        let mut command = Command::new(binaries::ordain());
        command
            .args(["channel", "update", CHANNEL, "--envelope"])
            .arg(&envelope)
            .args(["--admin", &field.admin_address().to_string(), "--ca"])
            .arg(tls.join("ca.crt"))
            .arg("--client-cert")
            .arg(tls.join("client.crt"))
            .arg("--client-key")
            .arg(tls.join("client.key"));
        command.output().expect("ordain runs")
    };
    let first = tokio::task::block_in_place(ordain);
    assert!(
        first.status.success(),
        "{}",
        String::from_utf8_lossy(&first.stderr)
    );
    until_batch(&field, 4).await;
    let second = tokio::task::block_in_place(ordain);
    assert!(!second.status.success());
    let text = String::from_utf8_lossy(&second.stderr);
    assert!(text.contains("is written at version 1, expected 2"), "{text}");
}
