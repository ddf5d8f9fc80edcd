//! Updates that meet other updates.

use std::time::Duration;

use bytes::Bytes;
use client::broadcast::{Acknowledge, BroadcastError};
use configtx::genesis::implicit;
use futures::future::join_all;
use prost::Message as _;
use protos::block::is_config_block;
use protos::wire::common::implicit_meta_policy::Rule;
use protos::wire::common::{ConfigGroup, Status};
use protos::wire::orderer::BatchTimeout;

use super::field::{Field, PATIENCE, group, refusal, replay, set_batch, set_value};

/// How often two updates are sent together until both are checked before either is ordered.
const ROUNDS_MAX: u32 = 50;
const STALE: &str = "value /Channel/Orderer/BatchSize is written at version";

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_update_is_refused_with_the_reason() {
    let field = Field::start().await;
    let update = field.update(|root| set_batch(root, 5)).await;
    let send = || field.send(Acknowledge::Accepted, vec![update.clone()]);
    field
        .send(Acknowledge::Committed, vec![update.clone()])
        .await
        .expect("ordered");
    let (status, info) = refusal(send().await);
    assert_eq!(status, Status::BadRequest as i32);
    let expected = "error applying config update to existing channel 'changing': value \
                    /Channel/Orderer/BatchSize is written at version 1, expected 2: the config in force has it at \
                    version 1";
    assert_eq!(info, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_updates_sent_together_the_loser_is_told_why_at_level_committed() {
    let field = Field::start().await;
    let both = conflicting(&field, 5).await;
    let outcome = field.send(Acknowledge::Committed, both).await;
    let Err(BroadcastError::Refused { index, info, .. }) = outcome else {
        panic!("the second update is in conflict: {outcome:?}");
    };
    assert_eq!(index, 1);
    assert!(info.contains(STALE), "{info}");
    assert_eq!(replay(&field.chain().await).sequence().0, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn at_level_accepted_the_loss_is_logged_with_the_reason_and_counted() {
    let field = Field::start().await;
    for round in 1..=ROUNDS_MAX {
        let both = conflicting(&field, 10 * round).await;
        // The second may have been checked after the first was in force; then it is refused at once.
        if field.send(Acknowledge::Accepted, both).await.is_ok() {
            field.node.wait_for("dropped=1", PATIENCE);
            field.node.wait_for(STALE, PATIENCE);
            return;
        }
    }
    panic!("in {ROUNDS_MAX} rounds the second update was always checked after the first was in force");
}

async fn conflicting(field: &Field, messages: u32) -> Vec<Bytes> {
    let config = field.config().await;
    let update = |messages| field.update_of(&config, |root| set_batch(root, messages));
    vec![update(messages), update(messages + 1)]
}

/// Four updates each of five elements: of those of one element exactly one lands.
#[tokio::test(flavor = "multi_thread")]
async fn of_twenty_racing_updates_exactly_a_valid_sequence_lands() {
    let field = Field::start().await;
    let config = field.config().await;
    let edits: [fn(&mut ConfigGroup, u32); 5] = [
        |root, racer| set_batch(root, 20 + racer),
        |root, racer| {
            let timeout = Duration::from_millis(u64::from(40 + racer));
            let value = BatchTimeout {
                timeout: format!("{timeout:?}"),
            };
            set_value(
                group(root, &["Orderer"]),
                "BatchTimeout",
                value.encode_to_vec().into(),
            );
        },
        |root, racer| set_policy(group(root, &["Application"]), "Endorsement", racer),
        |root, racer| set_policy(group(root, &["Application", "Alpha"]), "Endorsement", racer),
        |root, racer| set_policy(group(root, &["Application", "Beta"]), "Endorsement", racer),
    ];
    let racers = (0..4).flat_map(|racer| edits.map(|edit| (edit, racer)));
    let sent = racers.map(|(edit, racer)| {
        let update = field.update_of(&config, |root| edit(root, racer));
        field.send(Acknowledge::Committed, vec![update])
    });
    let outcomes = join_all(sent).await;
    let landed = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    assert_eq!(landed, edits.len(), "{outcomes:?}");
    for lost in outcomes.into_iter().filter(Result::is_err) {
        let (_, info) = refusal(lost);
        assert!(info.contains("is written at version 1, expected 2"), "{info}");
    }
    let chain = field.chain().await;
    let configs = chain
        .iter()
        .filter(|block| is_config_block(&block.decode().expect("a block")));
    assert_eq!(configs.count(), 1 + landed);
    assert_eq!(replay(&chain).sequence().0, landed as u64);
}

fn set_policy(group: &mut ConfigGroup, name: &str, racer: u32) {
    let sub_policy = format!("Racer{racer}");
    let policy = group.policies.get_mut(name).expect("a policy");
    policy.policy = Some(implicit(Rule::Any, &sub_policy));
}
