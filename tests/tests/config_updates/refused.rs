//! A ledger whose newest config does not follow the one before it.

use std::fs;
use std::sync::Arc;

use client::deliver::{Position, Seek};
use consensus::ConsenterMetadata;
use ledger::{LedgerFactory, LedgerOptions};
use orderer::multichannel::block_writer::seal;
use prost::Message as _;
use protos::wire::common::{
    ChannelHeader, Config, ConfigEnvelope, Envelope, Header, HeaderType, Payload, Status,
};
use protos::{BlockNumber, ChannelId, SealedBlock, block};

use super::field::{CHANNEL, Field, PATIENCE, refusal, set_batch};

const OTHER: &str = "other";

#[tokio::test(flavor = "multi_thread")]
async fn a_committed_config_that_does_not_follow_quarantines_its_channel_with_both_configs() {
    let mut field = Field::start().await;
    let user = field.alpha.signer("User1");
    field.join(&field.genesis(OTHER, &[&field.alpha])).await;
    field.change(|root| set_batch(root, 3)).await;
    let tip = field.chain().await.pop().expect("a block");
    let config = field.config().await;
    field.node.terminate();
    assert!(field.node.wait_for_end(PATIENCE).success());
    append(&field, &forged(&field, &tip, config));

    field.node.start();
    let info = field.admin().info(&channel(CHANNEL)).await.expect("it is known");
    assert_eq!((info.status.as_str(), info.height), ("inactive", 3));
    let (status, reason) = refusal(field.order(&user).await);
    assert_eq!(status, Status::ServiceUnavailable as i32);
    let expected = "channel is quarantined: config block 2 does not follow config 1, which is in block 1: config has \
                    sequence 7, expected 2; both configs are in ";
    let (_, file) = reason.split_once(expected).unwrap_or_else(|| panic!("{reason}"));
    let report = fs::read_to_string(file).expect("the report");
    for part in [
        "\"sequence\": \"1\"",
        "\"sequence\": \"7\"",
        "\"max_message_count\": 3",
    ] {
        assert!(report.contains(part), "no {part} in {report}");
    }
    field.node.wait_for(expected, PATIENCE);

    // Its blocks can be read, by whom the config before lets in.
    let mut seek = Seek::range(Position::Oldest, Position::Newest);
    seek.best_effort = true;
    let mut stream = field.deliver(&user, seek).await;
    let mut read = 0;
    while stream.next().await.expect("blocks").is_some() {
        read += 1;
    }
    assert_eq!(read, 3);
    // The other channel does not notice.
    let other = client::envelope::EnvelopeSigner::new(Arc::new(field.alpha.member("User1")), channel(OTHER));
    field.order(&other).await.expect("ordered");
}

fn channel(name: &str) -> ChannelId {
    ChannelId::parse(name).expect("a channel name")
}

/// A block, signed by the node, with a config that skips some sequences.
fn forged(field: &Field, tip: &SealedBlock, config: Config) -> SealedBlock {
    let config = ConfigEnvelope {
        config: Some(Config {
            sequence: 7,
            ..config
        }),
        last_update: None,
    };
    let header = ChannelHeader {
        r#type: HeaderType::Config as i32,
        channel_id: CHANNEL.to_owned(),
        ..ChannelHeader::default()
    };
    let payload = Payload {
        header: Some(Header {
            channel_header: header.encode_to_vec().into(),
            ..Header::default()
        }),
        data: config.encode_to_vec().into(),
    };
    let entry = Envelope {
        payload: payload.encode_to_vec().into(),
        ..Envelope::default()
    };
    let number = BlockNumber(2);
    let next = block::next(number, tip.hash(), vec![entry.encode_to_vec().into()]);
    let identity = field.orderers.admin();
    seal(next, ConsenterMetadata::default(), number, &identity, &[1; 24]).expect("a block")
}

fn append(field: &Field, block: &SealedBlock) {
    let options = LedgerOptions::at(field.folder().join("data"));
    let ledgers = LedgerFactory::open(options).expect("the ledgers of a stopped node");
    let mut store = ledgers.open_channel(&channel(CHANNEL)).expect("its ledger");
    store.append(block).expect("appended");
    store.sync().expect("synced");
}
