//! Taking a channel off the node: `DELETE /participation/v1/channels/{channel}`.

use std::fs;

use client::deliver::{DeliverError, Position, Seek};
use client::participation::AdminError;
use protos::ChannelId;
use protos::wire::common::Status;

use super::field::{CHANNEL, Field, PATIENCE, refusal, replay, set_batch};

fn channel() -> ChannelId {
    ChannelId::parse(CHANNEL).expect("a channel name")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_channel_ends_its_streams_and_may_come_again() {
    let mut field = Field::start().await;
    let user = field.alpha.signer("User1");
    field.change(|root| set_batch(root, 3)).await;
    field.order(&user).await.expect("ordered");
    let mut best_effort = Seek::follow(Position::Oldest);
    best_effort.best_effort = true;
    let mut streams = Vec::new();
    for seek in [Seek::follow(Position::Oldest), best_effort] {
        let mut stream = field.deliver(&user, seek).await;
        for _ in 0..3 {
            stream.next().await.expect("a reader").expect("a block");
        }
        streams.push(stream);
    }

    field.admin().remove(&channel()).await.expect("it is removed");
    for mut stream in streams {
        let ended = tokio::time::timeout(PATIENCE, stream.next())
            .await
            .expect("streams end");
        let unavailable = Status::ServiceUnavailable as i32;
        assert!(
            matches!(ended, Err(DeliverError::Refused { status }) if status == unavailable),
            "{ended:?}"
        );
    }
    let (status, info) = refusal(field.order(&user).await);
    assert_eq!(
        (status, info.as_str()),
        (Status::BadRequest as i32, "channel does not exist")
    );
    assert!(field.admin().list().await.expect("a list").channels.is_empty());
    let again = field.admin().remove(&channel()).await;
    assert!(
        matches!(&again, Err(AdminError::Refused { status: 404, reason }) if reason == "cannot remove: channel does not exist"),
        "{again:?}"
    );
    let left = fs::read_dir(field.folder().join("data/chains")).expect("the ledgers");
    assert_eq!(left.count(), 0);

    let genesis = field.genesis(CHANNEL, &[&field.alpha]);
    field.join(&genesis).await;
    field.order(&user).await.expect("ordered");
    assert_eq!(replay(&field.chain().await).sequence().0, 0);
    field.node.kill();
    field.node.start();
    field.order(&user).await.expect("ordered");
    assert_eq!(field.chain().await.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removal_that_a_crash_cut_short_is_finished_at_the_next_start() {
    let mut field = Field::start().await;
    field.order(&field.alpha.signer("User1")).await.expect("ordered");
    field.node.kill();
    // What is on the disk right after the first durable step.
    let markers = field.folder().join("data/pendingops/remove");
    fs::write(markers.join(format!("{CHANNEL}.remove")), b"").expect("a marker");
    field.node.start();
    assert!(field.admin().list().await.expect("a list").channels.is_empty());
    assert_eq!(fs::read_dir(&markers).expect("the markers").count(), 0);
    let genesis = field.genesis(CHANNEL, &[&field.alpha]);
    field.join(&genesis).await;
    field.order(&field.alpha.signer("User1")).await.expect("ordered");
}
