use std::time::SystemTime;

use consensus::EnqueueError;
use protos::wire::common::Status;

use super::*;
use crate::broadcast::{Accepted, Intake as _, Refusal};
use crate::testing::{self, Genesis};

fn open(folder: &Path) -> Arc<Manager> {
    let opened = Manager::open(&LedgerOptions::at(folder), testing::node_parts());
    Arc::new(opened.unwrap())
}

/// Sends one message through checks and chain; ready when it is durable.
async fn order(manager: &Manager, channel: &str, text: &str) -> Result<BlockNumber, Refusal> {
    let message = testing::message(&testing::client(), channel, text);
    let Accepted {
        chain, submission, ..
    } = manager.check(vec![message], SystemTime::now()).remove(0)?;
    let ticket = chain
        .enqueue(submission)
        .await
        .map_err(|error: EnqueueError| Refusal {
            status: Status::ServiceUnavailable,
            info: error.to_string(),
            channel: channel.to_owned(),
        })?;
    Ok(ticket.await.unwrap())
}

/// Stops everything, so that the folder can be opened again.
async fn close(manager: Arc<Manager>) {
    manager.halt().await;
    let weak = Arc::downgrade(&manager);
    drop(manager);
    testing::until(|| weak.strong_count() == 0).await;
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
    let channel = manager.join(Genesis::solo("ch").block()).await.unwrap();
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
