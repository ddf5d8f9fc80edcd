use std::convert::Infallible;

use futures::StreamExt as _;
use http_body_util::StreamBody;
use hyper::body::Frame;
use ledger::LedgerOptions;
use prost::Message as _;
use protos::wire::common::Block;
use protos::wire::orderer::seek_info::{SeekBehavior, SeekContentType, SeekErrorResponse};
use protos::wire::orderer::seek_position::Type as Position;
use protos::wire::orderer::{
    DeliverResponse, SeekInfo, SeekNewest, SeekNextCommit, SeekOldest, SeekPosition, SeekSpecified,
    deliver_response,
};
use tokio::sync::mpsc;
use tonic::Code;

use super::*;
use crate::broadcast::{Accepted, Intake as _};
use crate::multichannel::Manager;
use crate::report::tasks::Tasks;
use crate::testing::{self, Genesis};

/// A node with a solo channel `ch` of one-message blocks, and its Deliver service.
struct World {
    _folder: tempfile::TempDir,
    manager: Arc<Manager>,
    stopping: watch::Sender<bool>,
    service: Deliver,
}

impl World {
    /// The channel has this many blocks after the genesis block.
    async fn with_blocks(count: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let opened = Manager::open(&LedgerOptions::at(folder.path()), testing::node_parts());
        let manager = Arc::new(opened.unwrap());
        let mut genesis = Genesis::solo("ch");
        genesis.batch.max_message_count = 1;
        manager.join(genesis.block()).await.unwrap();
        let stopping = watch::Sender::new(false);
        let service = Deliver {
            metrics: Arc::clone(&manager.node().metrics),
            channels: manager.clone(),
            time_window: Duration::from_mins(15),
            no_expiration_checks: false,
            binds_to_tls: false,
            budget: ReceiveBudget::default(),
            recv_bytes_max: 100_000,
            stopping: stopping.subscribe(),
            refusals: Arc::default(),
            tasks: Tasks::default(),
            trace: None,
            telemetry: None,
        };
        let world = Self {
            _folder: folder,
            manager,
            stopping,
            service,
        };
        for number in 0..count {
            world.order(&number.to_string()).await;
        }
        world
    }

    async fn order(&self, text: &str) {
        let message = testing::message(&testing::client(), "ch", text);
        let Accepted {
            chain, submission, ..
        } = self
            .manager
            .check(vec![message], SystemTime::now())
            .remove(0)
            .ok()
            .unwrap();
        chain.enqueue(submission).await.unwrap().await.unwrap();
    }

    fn call(&self) -> Call {
        let (requests, receiver) = mpsc::unbounded_channel();
        let frames = tokio_stream::wrappers::UnboundedReceiverStream::new(receiver)
            .map(|chunk| Ok::<_, Infallible>(Frame::data(chunk)));
        let client = Client::new("127.0.0.1:9".parse().unwrap(), Some(b"der"));
        let response = self.service.call(Request::new(StreamBody::new(frames)), client);
        Call { requests, response }
    }

    /// One request, half-closed.
    async fn ask(&self, request: Bytes) -> (Vec<u64>, i32) {
        let call = self.call();
        call.requests.send(codec::framed(&request)).unwrap();
        let (blocks, statuses, code) = call.end().await;
        assert_eq!((statuses.len(), code), (1, Code::Ok));
        (numbers(&blocks), statuses[0])
    }

    async fn seek(&self, info: &SeekInfo) -> (Vec<u64>, i32) {
        self.ask(testing::seek(&testing::client(), "ch", info)).await
    }
}

struct Call {
    requests: mpsc::UnboundedSender<Bytes>,
    response: Response<ReplyBody>,
}

impl Call {
    fn send(&self, info: &SeekInfo) {
        let request = testing::seek(&testing::client(), "ch", info);
        self.requests.send(codec::framed(&request)).unwrap();
    }

    /// All blocks, all statuses, and the status of the call.
    async fn end(self) -> (Vec<Block>, Vec<i32>, Code) {
        drop(self.requests);
        let (messages, code) = codec::collect(self.response).await;
        let (mut blocks, mut statuses) = (Vec::new(), Vec::new());
        for message in messages {
            match DeliverResponse::decode(message).unwrap().r#type.unwrap() {
                deliver_response::Type::Block(block) => blocks.push(block),
                deliver_response::Type::Status(status) => statuses.push(status),
            }
        }
        (blocks, statuses, code)
    }
}

fn numbers(blocks: &[Block]) -> Vec<u64> {
    blocks
        .iter()
        .map(|block| block.header.as_ref().unwrap().number)
        .collect()
}

fn at(number: u64) -> Position {
    Position::Specified(SeekSpecified { number })
}
fn oldest() -> Position {
    Position::Oldest(SeekOldest {})
}
fn newest() -> Position {
    Position::Newest(SeekNewest {})
}

fn range(start: Position, stop: Position) -> SeekInfo {
    let position = |position| {
        Some(SeekPosition {
            r#type: Some(position),
        })
    };
    SeekInfo {
        start: position(start),
        stop: position(stop),
        ..Default::default()
    }
}

#[tokio::test]
async fn requests_that_cannot_be_served_get_their_status_and_no_block() {
    let world = World::with_blocks(1).await;
    let refused = |status: i32| (Vec::<u64>::new(), status);
    let all = range(oldest(), newest());
    let client = testing::client();
    assert_eq!(world.ask(Bytes::from_static(b"\xff")).await, refused(400));
    assert_eq!(
        world.ask(testing::seek(&client, "nowhere", &all)).await,
        refused(404)
    );
    let garbage = testing::signed(&client, "ch", 5, vec![0xff]);
    assert_eq!(world.ask(garbage).await, refused(400));
    assert_eq!(
        world.ask(testing::seek(&testing::stranger(), "ch", &all)).await,
        refused(403)
    );
    assert_eq!(world.seek(&SeekInfo::default()).await, refused(400));
    assert_eq!(world.seek(&range(at(1), at(0))).await, refused(400));
    assert_eq!(world.seek(&range(at(7), at(9))).await, refused(404));
}

#[tokio::test]
async fn a_stranger_with_a_bad_position_is_forbidden_first() {
    let world = World::with_blocks(0).await;
    let request = testing::seek(&testing::stranger(), "ch", &SeekInfo::default());
    assert_eq!(world.ask(request).await, (vec![], 403));
}

#[tokio::test]
async fn positions_give_their_blocks_and_success() {
    let world = World::with_blocks(40).await;
    let all: Vec<u64> = (0..=40).collect();
    assert_eq!(world.seek(&range(oldest(), newest())).await, (all, 200));
    assert_eq!(world.seek(&range(newest(), newest())).await, (vec![40], 200));
    assert_eq!(world.seek(&range(at(3), at(5))).await, (vec![3, 4, 5], 200));
    let peer = testing::seek(&testing::peer(), "ch", &range(at(0), at(0)));
    assert_eq!(world.ask(peer).await, (vec![0], 200));
}

#[tokio::test]
async fn failing_instead_of_waiting_is_not_found_after_the_blocks_there_are() {
    let world = World::with_blocks(2).await;
    let mut info = range(oldest(), at(u64::MAX));
    info.behavior = SeekBehavior::FailIfNotReady as i32;
    assert_eq!(world.seek(&info).await, (vec![0, 1, 2], 404));
    info.start = range(Position::NextCommit(SeekNextCommit {}), newest()).start;
    assert_eq!(world.seek(&info).await, (vec![], 404));
}

#[tokio::test]
async fn a_waiting_request_gets_the_block_when_it_is_written() {
    let world = World::with_blocks(0).await;
    let call = world.call();
    call.send(&range(at(1), at(2)));
    let end = tokio::spawn(call.end());
    world.order("a").await;
    world.order("b").await;
    let (blocks, statuses, code) = end.await.unwrap();
    assert_eq!(
        (numbers(&blocks), statuses, code),
        (vec![1, 2], vec![200], Code::Ok)
    );
}

#[tokio::test]
async fn pipelined_requests_are_served_one_after_another() {
    let world = World::with_blocks(3).await;
    let call = world.call();
    for number in [2, 0, 1] {
        call.send(&range(at(number), at(number)));
    }
    let (blocks, statuses, code) = call.end().await;
    assert_eq!(
        (numbers(&blocks), statuses, code),
        (vec![2, 0, 1], vec![200; 3], Code::Ok)
    );
}

#[tokio::test]
async fn headers_alone_leave_out_the_data_of_data_blocks_only() {
    let world = World::with_blocks(1).await;
    let call = world.call();
    let mut info = range(oldest(), newest());
    info.content_type = SeekContentType::HeaderWithSig as i32;
    call.send(&info);
    call.send(&range(oldest(), newest()));
    let (blocks, _, _) = call.end().await;
    assert!(blocks[0].data.is_some());
    assert!(blocks[1].data.is_none());
    assert_eq!(blocks[1].metadata, blocks[3].metadata);
    assert!(blocks[3].data.is_some(), "the cached block is unharmed");
}

#[tokio::test]
async fn an_errored_chain_is_unavailable_to_strict_requests_only() {
    let world = World::with_blocks(1).await;
    world.manager.get("ch").unwrap().halt().await;
    let mut info = range(oldest(), newest());
    assert_eq!(world.seek(&info).await, (vec![], 503));
    info.error_response = SeekErrorResponse::BestEffort as i32;
    assert_eq!(world.seek(&info).await, (vec![0, 1], 200));
}

#[tokio::test]
async fn a_strict_stream_that_waits_ends_when_the_chain_stops() {
    let world = World::with_blocks(1).await;
    let call = world.call();
    call.send(&range(oldest(), at(u64::MAX)));
    let end = tokio::spawn(call.end());
    let channel = world.service.metrics.channel("ch").unwrap();
    testing::until(|| channel.deliver().blocks_sent.get() == 2).await;
    world.manager.halt().await;
    let (blocks, statuses, code) = end.await.unwrap();
    assert_eq!(
        (numbers(&blocks), statuses, code),
        (vec![0, 1], vec![503], Code::Ok)
    );
}

#[tokio::test]
async fn following_streams_end_when_the_node_stops() {
    let world = World::with_blocks(1).await;
    let call = world.call();
    let mut info = range(oldest(), at(u64::MAX));
    info.error_response = SeekErrorResponse::BestEffort as i32;
    call.send(&info);
    let end = tokio::spawn(call.end());
    world.stopping.send_replace(true);
    let (blocks, statuses, code) = end.await.unwrap();
    assert_eq!(
        (numbers(&blocks), statuses, code),
        (vec![0, 1], vec![503], Code::Ok)
    );
}

#[tokio::test]
async fn with_mutual_tls_a_request_must_name_the_certificate() {
    let mut world = World::with_blocks(0).await;
    world.service.binds_to_tls = true;
    assert_eq!(world.seek(&range(oldest(), newest())).await, (vec![], 400));
}

#[tokio::test]
async fn an_old_request_is_refused() {
    let mut world = World::with_blocks(0).await;
    world.service.time_window = Duration::ZERO;
    let request = testing::seek(&testing::client(), "ch", &range(oldest(), newest()));
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert_eq!(world.ask(request).await, (vec![], 400));
}

#[tokio::test]
async fn a_client_that_goes_away_ends_its_waiting_stream() {
    let world = World::with_blocks(0).await;
    let readers = world.manager.get("ch").unwrap();
    let view = Arc::downgrade(readers.view().unwrap());
    let before = view.strong_count();
    let call = world.call();
    call.send(&range(at(1), at(1)));
    testing::until(|| view.strong_count() > before).await;
    drop(call);
    testing::until(|| view.strong_count() == before).await;
}
