//! Values and policies, and how they survive the end of a process.

use client::broadcast::Acknowledge;
use client::deliver::{Position, Seek};
use configtx::genesis::implicit;
use protos::block::is_config_block;
use protos::wire::common::Status;
use protos::wire::common::implicit_meta_policy::Rule;

use super::field::{Field, PATIENCE, group, refusal, replay, set_batch};

/// How often a node is killed at a config block.
const KILLS: u32 = 6;

#[tokio::test(flavor = "multi_thread")]
async fn a_new_batch_size_cuts_the_very_next_block() {
    let field = Field::start().await;
    let signer = field.alpha.signer("User1");
    let messages = |count: usize| (0..count).map(|_| signer.transaction("m".into()).bytes).collect();
    field.change(|root| set_batch(root, 2)).await;
    field
        .send(Acknowledge::Committed, messages(4))
        .await
        .expect("ordered");
    let chain = field.chain().await;
    let counts = chain[2..]
        .iter()
        .map(|block| block.decode().expect("a block").data.expect("data").data.len());
    assert_eq!(counts.collect::<Vec<_>>(), [2, 2]);
    assert_eq!(replay(&chain).orderer().batch_size.max_message_count, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_policy_decides_from_the_next_message_on() {
    let field = Field::start().await;
    let user = field.alpha.signer("User1");
    field.order(&user).await.expect("a user may write");
    field
        .change(|root| {
            let application = group(root, &["Application"]);
            let writers = application.policies.get_mut("Writers").expect("a policy");
            writers.policy = Some(implicit(Rule::Any, "Admins"));
        })
        .await;
    let (status, info) = refusal(field.order(&user).await);
    assert_eq!(status, Status::Forbidden as i32, "{info}");
    assert!(info.ends_with(": permission denied"), "{info}");
    let admin = field.alpha.signer("Admin");
    field.order(&admin).await.expect("an administrator may write");
    replay(&field.chain().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn configs_survive_a_restart_and_every_block_names_its_last_config() {
    let mut field = Field::start().await;
    let signer = field.alpha.signer("User1");
    for messages in [3, 1] {
        field.change(|root| set_batch(root, messages)).await;
        field.order(&signer).await.expect("ordered");
    }
    field.node.terminate();
    assert!(field.node.wait_for_end(PATIENCE).success());
    field.node.start();
    field.order(&signer).await.expect("ordered");
    field.change(|root| set_batch(root, 7)).await;
    field.order(&signer).await.expect("ordered");
    let bundle = replay(&field.chain().await);
    assert_eq!(bundle.sequence().0, 3);
    assert_eq!(bundle.orderer().batch_size.max_message_count, 7);
}

/// A follower sees a block between its sync and its config's coming into force, and the answer comes after both. The
/// node dies at whichever comes first.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_killed_as_a_config_block_appears_has_its_config_at_the_next_start() {
    let mut field = Field::start().await;
    let signer = field.alpha.signer("User1");
    for messages in 1..=KILLS {
        let mut follower = field.deliver(&signer, Seek::follow(Position::Newest)).await;
        follower
            .next()
            .await
            .expect("a reader")
            .expect("the newest block");
        let update = field.update(|root| set_batch(root, messages)).await;
        tokio::select! {
            seen = follower.next() => {
                let block = seen.expect("a reader").expect("the config block");
                assert!(is_config_block(&block.decode().expect("a block")));
            }
            sent = field.send(Acknowledge::Committed, vec![update]) => drop(sent.expect("ordered")),
        }
        field.node.kill();
        field.node.start();
        let bundle = replay(&field.chain().await);
        assert_eq!(bundle.sequence().0, u64::from(messages));
        assert_eq!(bundle.orderer().batch_size.max_message_count, messages);
    }
    field.order(&signer).await.expect("ordered");
    replay(&field.chain().await);
}
