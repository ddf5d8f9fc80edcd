use std::convert::Infallible;
use std::sync::Mutex;

use consensus::{
    ChainFailure, ChainStatus, ClusterMessage, Completion, EnqueueError, Phase, ReceiveError, SubmissionKind,
    TicketError, Tickets, ticket,
};
use futures::StreamExt as _;
use http_body_util::StreamBody;
use hyper::body::Frame;
use prost::Message;
use protos::wire::orderer::BroadcastResponse;
use protos::{BlockNumber, ConfigSeq, ConsenterId, Envelope};
use tokio::sync::{mpsc, watch};
use tonic::{Code, Status};

use super::*;

/// A chain that notes what it is given and leaves the tickets to the test.
#[derive(Default)]
struct NotingChain {
    ordered: Mutex<Vec<Bytes>>,
    completions: Mutex<Vec<(usize, Completion)>>,
    refuses: Mutex<Option<EnqueueError>>,
}

impl NotingChain {
    /// Ready once something was given whose ticket is not resolved.
    async fn until_enqueued(&self) {
        while self.completions.lock().unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
    }

    fn resolve_next(&self, outcome: &Result<BlockNumber, TicketError>) {
        let (count, completion) = self.completions.lock().unwrap().remove(0);
        completion.resolve(0..count, outcome);
    }
}

impl Chain for NotingChain {
    fn enqueue_all(&self, submissions: Vec<Submission>) -> BoxFuture<'_, Result<Tickets, EnqueueError>> {
        if let Some(error) = self.refuses.lock().unwrap().clone() {
            return Box::pin(async { Err(error) });
        }
        let (completion, tickets) = ticket::tickets(submissions.len());
        self.completions
            .lock()
            .unwrap()
            .push((submissions.len(), completion));
        let entries = submissions
            .into_iter()
            .map(|submission| submission.envelope.into_entry());
        self.ordered.lock().unwrap().extend(entries);
        Box::pin(async { Ok(tickets) })
    }
    fn errored(&self) -> watch::Receiver<bool> {
        watch::channel(false).1
    }
    fn receive(&self, _: ConsenterId, _: ClusterMessage) -> Result<(), ReceiveError> {
        Err(ReceiveError::NoCluster { consenter: "test" })
    }
    fn status(&self) -> ChainStatus {
        ChainStatus {
            phase: Phase::Running,
            dropped: 0,
            cluster: None,
        }
    }
    fn start(&self) {}
    fn halt(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }
    fn ended(&self) -> BoxFuture<'static, Result<consensus::Ended, ChainFailure>> {
        Box::pin(futures::future::pending())
    }
}

/// Takes every message but those that say otherwise.
struct Checks(Arc<NotingChain>);

impl Intake for Checks {
    fn check(&self, received: Vec<Bytes>, _: SystemTime) -> Vec<Result<Accepted, Refusal>> {
        received
            .into_iter()
            .map(|message| self.check_one(message))
            .collect()
    }
    fn ready(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }
    fn paused(&self) -> BoxFuture<'_, ()> {
        Box::pin(futures::future::pending())
    }
}

impl Checks {
    fn check_one(&self, message: Bytes) -> Result<Accepted, Refusal> {
        let text = String::from_utf8_lossy(&message);
        assert!(!text.contains("panic"), "as asked");
        if text.contains("bad") {
            return Err(Refusal {
                status: WireStatus::BadRequest,
                info: "as asked".to_owned(),
                channel: "ch".to_owned(),
                kind: MessageType::default(),
                reason: "as_asked",
            });
        }
        let submission = Submission {
            envelope: Envelope::from_received(message).unwrap(),
            kind: SubmissionKind::Normal,
            config_seq: ConfigSeq(0),
        };
        Ok(Accepted {
            channel: protos::ChannelId::parse("ch").unwrap(),
            chain: self.0.clone(),
            kind: MessageType::of(3),
            submission,
        })
    }
}

/// A client that shows no certificate.
fn peer() -> Peer {
    Peer {
        remote_addr: "127.0.0.1:9".parse().unwrap(),
        certificates: Arc::from([]),
    }
}

struct Client {
    chain: Arc<NotingChain>,
    requests: Option<mpsc::UnboundedSender<Bytes>>,
    response: Response<ReplyBody>,
}

impl Client {
    fn connect(acknowledge: Acknowledge) -> Self {
        let chain = Arc::new(NotingChain::default());
        let service = Broadcast {
            intake: Arc::new(Checks(Arc::clone(&chain))),
            pool: VerifyPool::start(2).unwrap(),
            acknowledge,
            recv_bytes_max: 100,
            budget: ReceiveBudget::default(),
            stopping: watch::channel(false).1,
            refusals: Arc::default(),
            tasks: Tasks::default(),
            trace: None,
            telemetry: None,
            metrics: Arc::default(),
            throttle: None,
        };
        let (requests, receiver) = mpsc::unbounded_channel();
        let frames = tokio_stream::wrappers::UnboundedReceiverStream::new(receiver)
            .map(|chunk| Ok::<_, Infallible>(Frame::data(chunk)));
        let request = Request::new(StreamBody::new(frames));
        let response = service.call(request, &peer());
        Self {
            chain,
            requests: Some(requests),
            response,
        }
    }

    /// An envelope with this payload.
    fn send(&self, payload: &str) {
        let envelope = protos::wire::common::Envelope {
            payload: Bytes::copy_from_slice(payload.as_bytes()),
            signature: Bytes::from_static(b"s"),
        };
        let message = codec::framed(&envelope.encode_to_vec());
        self.requests.as_ref().unwrap().send(message).unwrap();
    }

    fn half_close(&mut self) {
        self.requests = None;
    }

    /// All responses as (status, info), and the status of the call.
    async fn end(self) -> (Vec<(i32, String)>, Code) {
        let (messages, code) = codec::collect(self.response).await;
        let decode = |message| {
            let response = BroadcastResponse::decode(message).unwrap();
            (response.status, response.info)
        };
        (messages.into_iter().map(decode).collect(), code)
    }
}

fn success() -> (i32, String) {
    (200, String::new())
}

#[tokio::test]
async fn a_half_closed_stream_is_answered_in_full_and_ends_with_ok() {
    let mut client = Client::connect(Acknowledge::Accepted);
    (0..300).for_each(|number| client.send(&number.to_string()));
    client.half_close();
    let chain = Arc::clone(&client.chain);
    assert_eq!(client.end().await, (vec![success(); 300], Code::Ok));
    let ordered = chain.ordered.lock().unwrap();
    let sent: Vec<_> = (0..300)
        .map(|number: u32| number.to_string().into_bytes())
        .collect();
    let payload = |entry: &Bytes| {
        protos::wire::common::Envelope::decode(entry.clone())
            .unwrap()
            .payload
            .to_vec()
    };
    assert_eq!(ordered.iter().map(payload).collect::<Vec<_>>(), sent);
}

#[tokio::test]
async fn the_first_refusal_ends_the_stream_with_ok_and_what_follows_is_not_ordered() {
    let client = Client::connect(Acknowledge::Accepted);
    for payload in ["a", "b", "bad", "c"] {
        client.send(payload);
    }
    let chain = Arc::clone(&client.chain);
    let bad = (400, "as asked".to_owned());
    assert_eq!(client.end().await, (vec![success(), success(), bad], Code::Ok));
    assert_eq!(chain.ordered.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn what_a_chain_does_not_take_is_service_unavailable() {
    let client = Client::connect(Acknowledge::Accepted);
    *client.chain.refuses.lock().unwrap() = Some(EnqueueError::Halted);
    client.send("a");
    let unavailable = (503, "chain is stopped".to_owned());
    assert_eq!(client.end().await, (vec![unavailable], Code::Ok));
}

#[tokio::test]
async fn a_committed_stream_answers_when_the_ticket_resolves() {
    let mut client = Client::connect(Acknowledge::Committed);
    client.send("a");
    client.half_close();
    let chain = Arc::clone(&client.chain);
    let end = tokio::spawn(client.end());
    chain.until_enqueued().await;
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    assert!(!end.is_finished());
    chain.resolve_next(&Ok(BlockNumber(1)));
    assert_eq!(end.await.unwrap(), (vec![success()], Code::Ok));
}

#[tokio::test]
async fn a_committed_stream_names_why_an_envelope_was_lost() {
    let client = Client::connect(Acknowledge::Committed);
    client.send("a");
    let chain = Arc::clone(&client.chain);
    let end = tokio::spawn(client.end());
    chain.until_enqueued().await;
    chain.resolve_next(&Err(TicketError::Halted));
    assert_eq!(
        end.await.unwrap(),
        (vec![(503, "chain is stopped".to_owned())], Code::Ok)
    );
}

#[tokio::test]
async fn a_message_above_the_limit_ends_the_call_without_a_response() {
    let client = Client::connect(Acknowledge::Accepted);
    client.send("a");
    client.send(&"x".repeat(200));
    assert_eq!(client.end().await, (vec![success()], Code::ResourceExhausted));
}

#[tokio::test]
async fn a_panic_in_the_checks_ends_the_stream_as_an_internal_error() {
    let client = Client::connect(Acknowledge::Accepted);
    client.send("panic");
    assert_eq!(client.end().await, (vec![], Code::Internal));
}

#[tokio::test]
async fn a_client_that_goes_away_leaves_no_task_behind() {
    let client = Client::connect(Acknowledge::Committed);
    client.send("a");
    let Client { chain, response, .. } = client;
    chain.until_enqueued().await;
    drop(response);
    chain.resolve_next(&Ok(BlockNumber(1)));
    let weak = Arc::downgrade(&chain);
    drop(chain);
    tokio::time::timeout(std::time::Duration::from_secs(5), async {
        while weak.strong_count() > 0 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    })
    .await
    .expect("the stream's task has ended");
}

#[test]
fn unknown_acknowledge_metadata_is_an_invalid_argument() {
    let chain = Arc::new(NotingChain::default());
    let service = Broadcast {
        intake: Arc::new(Checks(chain)),
        pool: VerifyPool::start(1).unwrap(),
        acknowledge: Acknowledge::Accepted,
        recv_bytes_max: 100,
        budget: ReceiveBudget::default(),
        stopping: watch::channel(false).1,
        refusals: Arc::default(),
        tasks: Tasks::default(),
        trace: None,
        telemetry: None,
        metrics: Arc::default(),
        throttle: None,
    };
    let mut request = Request::new(http_body_util::Empty::<Bytes>::new());
    request
        .headers_mut()
        .insert(acknowledge::METADATA, "later".parse().unwrap());
    let response = service.call(request, &peer());
    let status = Status::from_header_map(response.headers()).unwrap();
    assert_eq!(status.code(), Code::InvalidArgument);
}
