mod crashes;
mod parts;

use std::path::Path;
use std::time::SystemTime;

use consensus::{EnqueueError, Submission, Ticket, TicketError};
use ledger::LedgerOptions;
use prost::Message as _;
use protos::wire::common::{Block, Status};
use protos::wire::orderer::BatchSize;
use protos::{BlockNumber, ConfigSeq, Height};

use super::*;
use crate::admin::JoinError;
use crate::broadcast::{Accepted, Intake as _, Refusal};
use crate::multichannel::health::Health;
use crate::multichannel::refused::Reports;
use crate::testing::{self, Genesis};

fn open(folder: &Path) -> Arc<Manager> {
    let node = NodeParts {
        reports: Reports::below(folder),
        ..testing::node_parts()
    };
    let opened = Manager::open(&LedgerOptions::at(folder), node);
    Arc::new(opened.unwrap())
}

/// Sends one message through checks and chain; ready when it is durable.
async fn order(manager: &Manager, channel: &str, text: &str) -> Result<BlockNumber, Refusal> {
    let message = testing::message(&testing::client(), channel, text);
    Ok(submit(manager, message).await?.await.unwrap())
}

/// Sends one envelope through the checks and offers it to the chain.
async fn submit(manager: &Manager, message: Bytes) -> Result<Ticket, Refusal> {
    let Accepted {
        channel,
        chain,
        kind,
        submission,
    } = manager.check(vec![message], SystemTime::now()).remove(0)?;
    let offered = chain.enqueue(submission).await;
    offered.map_err(|error: EnqueueError| Refusal {
        status: Status::ServiceUnavailable,
        info: error.to_string(),
        channel: channel.to_string(),
        kind,
        reason: "not_taken",
    })
}

/// Stops everything, so that the folder can be opened again.
async fn close(manager: Arc<Manager>) {
    manager.halt().await;
    let writers = Arc::clone(&manager.node().writers);
    let weak = Arc::downgrade(&manager);
    drop(manager);
    // With the tasks of the channels go their ledgers.
    testing::until(|| weak.strong_count() == 0 && Arc::strong_count(&writers) == 1).await;
}

async fn reopen(folder: &Path) -> Arc<Manager> {
    for _ in 0..200 {
        match Manager::open(&LedgerOptions::at(folder), testing::node_parts()) {
            Ok(manager) => return Arc::new(manager),
            Err(_) => tokio::time::sleep(std::time::Duration::from_millis(20)).await,
        }
    }
    open(folder)
}

#[tokio::test]
async fn a_joined_solo_channel_orders_and_survives_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let manager = open(folder.path());
    let channel = manager.join(Genesis::solo("ch").block()).await.unwrap().channel;
    assert_eq!((channel.health(), channel.height()), (Health::Running, Height(1)));
    assert_eq!(order(&manager, "ch", "a").await, Ok(BlockNumber(1)));
    drop(channel);
    close(manager).await;
    let manager = reopen(folder.path()).await;
    assert_eq!(manager.get("ch").unwrap().height(), Height(2));
    assert_eq!(order(&manager, "ch", "b").await, Ok(BlockNumber(2)));
}

#[tokio::test]
async fn written_blocks_carry_metadata_and_a_good_signature() {
    let folder = tempfile::tempdir().unwrap();
    let manager = open(folder.path());
    manager.join(Genesis::solo("ch").block()).await.unwrap();
    order(&manager, "ch", "a").await.unwrap();
    let channel = manager.get("ch").unwrap();
    let support = channel.support().unwrap();
    let [genesis, first] = [0, 1].map(|number| support.reader().get(BlockNumber(number)).unwrap().unwrap());
    let bundle = support.rules().bundle().clone();
    let decoded = first.decode().unwrap();
    configtx::block_verify::verify_block(genesis.header(), &decoded, &bundle).unwrap();
    let metadata = protos::block::orderer_metadata(&decoded).unwrap().unwrap();
    assert_eq!(metadata.last_config.unwrap().index, 0);
    assert!(metadata.consenter_metadata.is_empty());
}

#[tokio::test]
async fn a_second_join_is_refused_and_a_bad_block_names_its_fault() {
    let folder = tempfile::tempdir().unwrap();
    let manager = open(folder.path());
    manager.join(Genesis::solo("ch").block()).await.unwrap();
    let again = manager.join(Genesis::solo("ch").block()).await.unwrap_err();
    assert_eq!(again, JoinError::AlreadyExists);
    let empty = manager.join(Block::default()).await.unwrap_err();
    assert_eq!(
        empty.to_string(),
        "invalid join block: block is not a config block"
    );
}

#[tokio::test]
async fn a_channel_of_an_unknown_consenter_is_not_joined() {
    let folder = tempfile::tempdir().unwrap();
    let manager = open(folder.path());
    let mut genesis = Genesis::solo("ch");
    genesis.consensus.r#type = "kafka".to_owned();
    let error = manager.join(genesis.block()).await.unwrap_err();
    assert_eq!(error.to_string(), "cannot join: consenter kafka is not available");
    assert!(manager.channels().is_empty());
}

#[tokio::test]
async fn a_join_file_is_finished_at_start() {
    let folder = tempfile::tempdir().unwrap();
    let files = JoinFiles::open(folder.path()).unwrap();
    let channel = ChannelId::parse("ch").unwrap();
    let join = Bytes::from(Genesis::solo("ch").block().encode_to_vec());
    files.save(&channel, &join).unwrap();
    let manager = open(folder.path());
    assert_eq!(manager.get("ch").unwrap().health(), Health::Running);
    assert_eq!(order(&manager, "ch", "a").await, Ok(BlockNumber(1)));
    assert!(files.load().unwrap().is_empty());
}

#[tokio::test]
async fn one_damaged_channel_is_quarantined_and_the_others_run() {
    let folder = tempfile::tempdir().unwrap();
    let manager = open(folder.path());
    for name in ["bad", "good"] {
        manager.join(Genesis::solo(name).block()).await.unwrap();
        for text in ["a", "b"] {
            order(&manager, name, text).await.unwrap();
        }
    }
    close(manager).await;
    let damaged = std::fs::read_dir(folder.path().join("chains/bad")).unwrap();
    for file in damaged
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
    {
        let mut bytes = std::fs::read(&file).unwrap();
        if bytes.len() > 200 {
            bytes[100] ^= 0xff;
            std::fs::write(&file, bytes).unwrap();
        }
    }
    let manager = reopen(folder.path()).await;
    assert_eq!(order(&manager, "good", "c").await, Ok(BlockNumber(3)));
    assert!(matches!(
        manager.get("bad").unwrap().health(),
        Health::Quarantined(_)
    ));
    let refusal = order(&manager, "bad", "c").await.unwrap_err();
    assert_eq!(refusal.status, Status::ServiceUnavailable);
    assert!(refusal.info.contains("quarantined"), "{}", refusal.info);
}

#[tokio::test]
async fn a_closed_intake_is_service_unavailable_and_halting_writes_what_was_taken() {
    let folder = tempfile::tempdir().unwrap();
    let manager = open(folder.path());
    let mut genesis = Genesis::solo("ch");
    genesis.timeout = "1h";
    manager.join(genesis.block()).await.unwrap();
    let message = testing::message(&testing::client(), "ch", "a");
    let Accepted {
        chain, submission, ..
    } = manager
        .check(vec![message], SystemTime::now())
        .remove(0)
        .ok()
        .unwrap();
    let ticket = chain.enqueue(submission).await.unwrap();
    manager.close_intake();
    assert_eq!(
        order(&manager, "ch", "b").await.unwrap_err().status,
        Status::ServiceUnavailable
    );
    manager.halt().await;
    assert_eq!(ticket.await, Ok(BlockNumber(1)));
    assert_eq!(manager.get("ch").unwrap().height(), Height(2));
}

#[tokio::test]
async fn an_unknown_channel_is_a_bad_request() {
    let folder = tempfile::tempdir().unwrap();
    let manager = open(folder.path());
    let refusal = order(&manager, "nowhere", "a").await.unwrap_err();
    assert_eq!(
        (refusal.status, refusal.info.as_str()),
        (Status::BadRequest, "channel does not exist")
    );
    assert_eq!(refusal.channel, "nowhere");
}

#[tokio::test]
async fn a_batch_is_judged_up_to_its_first_refusal() {
    let folder = tempfile::tempdir().unwrap();
    let manager = open(folder.path());
    manager.join(Genesis::solo("ch").block()).await.unwrap();
    let client = testing::client();
    let mut batch: Vec<_> = (0..40)
        .map(|n| testing::message(&client, "ch", &n.to_string()))
        .collect();
    batch[20] = testing::message(&testing::stranger(), "ch", "x");
    let verdicts = manager.check(batch, SystemTime::now());
    assert_eq!(verdicts.len(), 21);
    assert!(verdicts[..20].iter().all(Result::is_ok));
    assert_eq!(verdicts[20].as_ref().err().unwrap().status, Status::Forbidden);
}

fn batch_size(manager: &Manager, messages: u32) -> Bytes {
    let rules = manager.get("ch").unwrap().support().unwrap().rules();
    let value = BatchSize {
        max_message_count: messages,
        absolute_max_bytes: 100_000,
        preferred_max_bytes: 50_000,
    };
    testing::orderer_value(rules.bundle(), "BatchSize", &value, &testing::client())
}

#[tokio::test]
async fn a_config_update_becomes_a_block_of_its_own_and_is_in_force_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let manager = open(folder.path());
    let mut genesis = Genesis::solo("ch");
    genesis.timeout = "1h";
    manager.join(genesis.block()).await.unwrap();
    let pending = testing::message(&testing::client(), "ch", "a");
    let pending = submit(&manager, pending).await.unwrap();
    let update = submit(&manager, batch_size(&manager, 1)).await.unwrap();
    assert_eq!(pending.await, Ok(BlockNumber(1)));
    assert_eq!(update.await, Ok(BlockNumber(2)));
    // Blocks have one message each from now on, so this one waits for no timer.
    assert_eq!(order(&manager, "ch", "b").await, Ok(BlockNumber(3)));

    let support = Arc::clone(manager.get("ch").unwrap().support().unwrap());
    let block = |number| {
        support
            .reader()
            .get(BlockNumber(number))
            .unwrap()
            .unwrap()
            .decode()
            .unwrap()
    };
    let before = configtx::Bundle::from_block(&block(0)).unwrap();
    let after = configtx::validator::validate(&before, &block(2)).unwrap();
    assert_eq!(after.config(), support.rules().bundle().config());
    assert_eq!(protos::block::last_config(&block(1)).unwrap(), BlockNumber(0));
    assert_eq!(protos::block::last_config(&block(2)).unwrap(), BlockNumber(2));
    assert_eq!(protos::block::last_config(&block(3)).unwrap(), BlockNumber(2));
    let header = block(2).header.unwrap();
    configtx::block_verify::verify_block(&header, &block(3), &after).unwrap();

    drop(support);
    close(manager).await;
    let manager = reopen(folder.path()).await;
    assert_eq!(
        manager
            .get("ch")
            .unwrap()
            .support()
            .unwrap()
            .rules()
            .bundle()
            .sequence()
            .0,
        1
    );
    assert_eq!(order(&manager, "ch", "c").await, Ok(BlockNumber(4)));
}

#[tokio::test]
async fn of_two_conflicting_updates_the_second_is_dropped_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let manager = open(folder.path());
    manager.join(Genesis::solo("ch").block()).await.unwrap();
    let [first, second] = [batch_size(&manager, 5), batch_size(&manager, 6)];
    // Both are checked before either is ordered.
    let mut accepted = manager.check(vec![first, second], SystemTime::now()).into_iter();
    let [first, second] = [(); 2].map(|()| accepted.next().unwrap().ok().unwrap());
    let chain = Arc::clone(&first.chain);
    let first = chain.enqueue(first.submission).await.unwrap();
    let second = chain.enqueue(second.submission).await.unwrap();
    assert_eq!(first.await, Ok(BlockNumber(1)));
    let Err(TicketError::Dropped { reason }) = second.await else {
        panic!("the second update is stale");
    };
    let expected = "error applying config update to existing channel 'ch': value /Channel/Orderer/BatchSize is \
                    written at version 1, expected 2: the config in force has it at version 1";
    assert_eq!(reason, expected);
    assert_eq!(chain.status().dropped, 1);
}

#[tokio::test]
async fn an_update_that_still_applies_is_made_anew_under_the_next_config() {
    let folder = tempfile::tempdir().unwrap();
    let manager = open(folder.path());
    manager.join(Genesis::solo("ch").block()).await.unwrap();
    let rules = manager.get("ch").unwrap().support().unwrap().rules();
    let timeout = protos::wire::orderer::BatchTimeout {
        timeout: "7s".to_owned(),
    };
    let timeout = testing::orderer_value(rules.bundle(), "BatchTimeout", &timeout, &testing::client());
    let both = vec![batch_size(&manager, 5), timeout];
    for accepted in manager.check(both, SystemTime::now()) {
        let Accepted {
            chain, submission, ..
        } = accepted.ok().unwrap();
        drop(chain.enqueue(submission).await.unwrap());
    }
    let support = Arc::clone(manager.get("ch").unwrap().support().unwrap());
    testing::until(|| support.rules().bundle().sequence().0 == 2).await;
    let rules = support.rules();
    let orderer = rules.bundle().orderer();
    assert_eq!(orderer.batch_size.max_message_count, 5);
    assert_eq!(orderer.batch_timeout.as_secs(), 7);
}

#[tokio::test]
async fn in_maintenance_only_orderers_may_send_and_only_updates() {
    let folder = tempfile::tempdir().unwrap();
    let manager = open(folder.path());
    manager.join(Genesis::solo("ch").block()).await.unwrap();
    let state = |state: i32, sender| {
        let rules = manager.get("ch").unwrap().support().unwrap().rules();
        let value = protos::wire::orderer::ConsensusType {
            r#type: "solo".to_owned(),
            state,
            ..Default::default()
        };
        testing::orderer_value(rules.bundle(), "ConsensusType", &value, &sender)
    };
    let entered = submit(&manager, state(1, testing::client())).await.unwrap();
    assert_eq!(entered.await, Ok(BlockNumber(1)));
    let refusal = order(&manager, "ch", "a").await.unwrap_err();
    assert_eq!(refusal.status, Status::ServiceUnavailable);
    let Err(refusal) = submit(&manager, state(0, testing::client())).await else {
        panic!("a client may not send");
    };
    assert_eq!(refusal.status, Status::Forbidden);
    let initial =
        "config update for existing channel did not pass initial checks: policy /Channel/Orderer/Writers";
    assert!(refusal.info.starts_with(initial), "{}", refusal.info);
    let left = submit(&manager, state(0, testing::orderer_admin()))
        .await
        .unwrap();
    assert_eq!(left.await, Ok(BlockNumber(2)));
    assert_eq!(order(&manager, "ch", "a").await, Ok(BlockNumber(3)));
}

#[tokio::test]
async fn a_config_that_does_not_follow_the_one_in_force_quarantines_its_channel_alone() {
    let folder = tempfile::tempdir().unwrap();
    let manager = open(folder.path());
    for name in ["ch", "other"] {
        manager.join(Genesis::solo(name).block()).await.unwrap();
    }
    let update = batch_size(&manager, 5);
    let accepted = manager.check(vec![update], SystemTime::now()).remove(0);
    let Accepted {
        chain, submission, ..
    } = accepted.ok().unwrap();
    // The same config once more, as if it had been made under the config that it led to.
    let again = Submission {
        config_seq: ConfigSeq(1),
        ..submission.clone()
    };
    assert_eq!(chain.enqueue(submission).await.unwrap().await, Ok(BlockNumber(1)));
    let outcome = chain.enqueue(again).await.unwrap().await;
    assert!(matches!(outcome, Err(TicketError::Unknown { .. })), "{outcome:?}");
    let channel = manager.get("ch").unwrap();
    testing::until(|| matches!(channel.health(), Health::Quarantined(_))).await;
    let health = channel.health().to_string();
    let reason = "config block 2 does not follow config 1, which is in block 1: config has sequence 1, expected 2; \
                  both configs are in ";
    assert!(health.contains(reason), "{health}");
    let report = std::fs::read_to_string(folder.path().join("quarantine/ch-block-2.txt")).unwrap();
    assert_eq!(report.matches("\"max_message_count\": 5").count(), 2, "{report}");
    assert_eq!(channel.height(), Height(2));
    let tip = channel.view().unwrap().reader().tip().unwrap();
    assert_eq!(tip.unwrap().number(), BlockNumber(1));
    assert_eq!(order(&manager, "other", "a").await, Ok(BlockNumber(1)));
}
