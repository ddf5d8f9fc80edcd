//! An orderer for tests: every envelope becomes a block of its own, and it misbehaves as told.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures::{Stream, StreamExt as _, stream};
use hyper::server::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use parking_lot::Mutex;
use prost::Message as _;
use protos::envelope::Opened;
use protos::wire::common::{self, ChannelHeader};
use protos::wire::orderer::{BroadcastResponse, DeliverResponse, SeekInfo, deliver_response, seek_position};
use protos::{BlockNumber, ChannelId, SealedBlock};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tonic::codegen::BoxStream;
use tonic::{Request, Response, Status, Streaming};

use crate::codec::RawCodec;
use crate::connection::Target;
use crate::crypto::{KeyType, OrgKind, OrgSpec};
use crate::envelope::EnvelopeSigner;

/// What it does wrong.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Faults {
    /// Refuses the envelope of this index on a stream.
    pub(crate) refuse_at: Option<u64>,
    /// Refuses with this status in place of FORBIDDEN, and this text.
    pub(crate) refuse_with: Option<(i32, &'static str)>,
    /// Breaks a broadcast stream at this index.
    pub(crate) break_at: Option<u64>,
    /// Never answers from this index on.
    pub(crate) silent_from: Option<u64>,
    /// Stops reading for so long before the envelope of this index on a stream.
    pub(crate) stall_at: Option<(u64, Duration)>,
    /// Sends each answer twice.
    pub(crate) answer_twice: bool,
    /// Acknowledges this envelope (counted over all) without ordering it.
    pub(crate) lose: Option<u64>,
    /// Orders this envelope twice.
    pub(crate) duplicate: Option<u64>,
    /// Breaks each deliver stream after so many blocks.
    pub(crate) break_deliver_after: Option<usize>,
    /// Answers every deliver request with this status.
    pub(crate) deliver_status: Option<i32>,
}

pub(crate) struct FakeOrderer {
    faults: Faults,
    /// Empty blocks at the beginning of each chain.
    empty_blocks: u64,
    chains: Arc<Mutex<BTreeMap<String, Arc<Chain>>>>,
    received: AtomicU64,
    /// Request metadata `x-acknowledge` of broadcast streams.
    pub(crate) acknowledge: Mutex<Vec<Option<String>>>,
    /// Channel headers of deliver requests.
    pub(crate) seeks: Mutex<Vec<ChannelHeader>>,
}

/// Each channel that is named has one.
#[derive(Default)]
struct Chain {
    blocks: Mutex<Vec<SealedBlock>>,
    height: watch::Sender<usize>,
}

impl Chain {
    fn append(&self, entries: Vec<Bytes>) {
        let mut blocks = self.blocks.lock();
        let previous = blocks.last().map(|block| *block.hash()).unwrap_or_default();
        let number = BlockNumber(blocks.len() as u64);
        let block = SealedBlock::seal(&protos::block::next(number, &previous, entries)).unwrap();
        // A field no reader knows: what arrives must still be these bytes.
        let with_unknown = [&block.bytes()[..], &[0xfa, 0x01, 0x01, 0x7f]].concat();
        blocks.push(SealedBlock::from_bytes(with_unknown.into()).unwrap());
        self.height.send_replace(blocks.len());
    }
}

/// The channel of [`signer`], and of what names none.
const CHANNEL: &str = "test";

impl FakeOrderer {
    /// Starts with chains of `empty_blocks` empty blocks, at least one.
    pub(crate) async fn start(
        faults: Faults,
        empty_blocks: u64,
        tls: Option<TlsAcceptor>,
    ) -> (Arc<Self>, SocketAddr) {
        Self::start_with(faults, empty_blocks, Arc::default(), tls).await
    }

    /// Starts another one that has the same chains.
    pub(crate) async fn start_beside(&self, faults: Faults) -> (Arc<Self>, SocketAddr) {
        Self::start_with(faults, self.empty_blocks, self.chains.clone(), None).await
    }

    async fn start_with(
        faults: Faults,
        empty_blocks: u64,
        chains: Arc<Mutex<BTreeMap<String, Arc<Chain>>>>,
        tls: Option<TlsAcceptor>,
    ) -> (Arc<Self>, SocketAddr) {
        let orderer = Arc::new(Self {
            faults,
            empty_blocks,
            chains,
            received: AtomicU64::new(0),
            acknowledge: Mutex::default(),
            seeks: Mutex::default(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(orderer.clone().accept(listener, tls));
        (orderer, address)
    }

    fn chain(&self, channel: &str) -> Arc<Chain> {
        let mut chains = self.chains.lock();
        let new = || {
            let chain = Arc::new(Chain::default());
            (0..self.empty_blocks).for_each(|_| chain.append(vec![]));
            chain
        };
        chains.entry(channel.to_owned()).or_insert_with(new).clone()
    }

    /// Of channel `test`.
    pub(crate) fn blocks(&self) -> Vec<SealedBlock> {
        self.chain(CHANNEL).blocks.lock().clone()
    }

    /// To channel `test`.
    pub(crate) fn append(&self, entries: Vec<Bytes>) {
        self.chain(CHANNEL).append(entries);
    }

    async fn accept(self: Arc<Self>, listener: TcpListener, tls: Option<TlsAcceptor>) {
        while let Ok((socket, _)) = listener.accept().await {
            let (orderer, tls) = (self.clone(), tls.clone());
            tokio::spawn(async move {
                match tls {
                    None => orderer.serve(socket).await,
                    Some(tls) => {
                        if let Ok(socket) = tls.accept(socket).await {
                            orderer.serve(socket).await;
                        }
                    }
                }
            });
        }
    }

    async fn serve(self: Arc<Self>, socket: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) {
        let service = hyper::service::service_fn(move |request: http::Request<hyper::body::Incoming>| {
            let orderer = self.clone();
            async move {
                let mut grpc = tonic::server::Grpc::new(RawCodec);
                let answer = match request.uri().path() {
                    "/orderer.AtomicBroadcast/Broadcast" => grpc.streaming(Broadcast(orderer), request).await,
                    "/orderer.AtomicBroadcast/Deliver" => grpc.streaming(Deliver(orderer), request).await,
                    path => panic!("no method {path}"),
                };
                Ok::<_, std::convert::Infallible>(answer)
            }
        });
        let _ = http2::Builder::new(TokioExecutor::new())
            .serve_connection(TokioIo::new(socket), service)
            .await;
    }

    /// One answer; none breaks the stream.
    fn order(&self, index: u64, envelope: Bytes) -> Option<BroadcastResponse> {
        if self.faults.break_at == Some(index) {
            return None;
        }
        if self.faults.refuse_at == Some(index) {
            let (status, info) = self.faults.refuse_with.unwrap_or((403, "permission denied"));
            return Some(answer(status, info));
        }
        let opened = Opened::open(envelope.clone());
        let chain = self.chain(&opened.map_or(CHANNEL.to_owned(), |opened| opened.channel_header.channel_id));
        let count = self.received.fetch_add(1, Ordering::SeqCst);
        if self.faults.lose != Some(count) {
            chain.append(vec![envelope.clone()]);
        }
        if self.faults.duplicate == Some(count) {
            chain.append(vec![envelope]);
        }
        Some(answer(200, ""))
    }

    fn deliver(&self, channel: &str, seek: SeekInfo) -> impl Stream<Item = Result<Bytes, Status>> + use<> {
        let chain = self.chain(channel);
        let height = chain.height.borrow().to_owned() as u64;
        let resolve = |position: Option<seek_position::Type>| match position {
            Some(seek_position::Type::Oldest(_)) => 0,
            Some(seek_position::Type::Newest(_)) => height - 1,
            Some(seek_position::Type::Specified(at)) => at.number,
            _ => height,
        };
        let start = resolve(seek.start.and_then(|at| at.r#type));
        let stop = resolve(seek.stop.and_then(|at| at.r#type));
        let breaks = self.faults.break_deliver_after;
        let heights = chain.height.subscribe();
        stream::unfold(
            (chain, heights, start, 0),
            move |(chain, mut heights, next, sent)| async move {
                if breaks == Some(sent) {
                    return Some((Err(Status::unavailable("broken")), (chain, heights, next, sent)));
                }
                if next > stop {
                    let message = (next == stop + 1).then(|| Ok(status(200)))?;
                    return Some((message, (chain, heights, u64::MAX, sent)));
                }
                let at = usize::try_from(next).unwrap();
                heights.wait_for(|height| *height > at).await.ok()?;
                let block = chain.blocks.lock()[at].clone();
                let message = [&block.deliver_frame_head()[..], block.bytes()].concat();
                Some((Ok(message.into()), (chain, heights, next + 1, sent + 1)))
            },
        )
    }
}

fn answer(status: i32, info: &str) -> BroadcastResponse {
    BroadcastResponse {
        status,
        info: info.to_owned(),
    }
}

fn status(status: i32) -> Bytes {
    let response = DeliverResponse {
        r#type: Some(deliver_response::Type::Status(status)),
    };
    response.encode_to_vec().into()
}

struct Broadcast(Arc<FakeOrderer>);

impl tonic::server::StreamingService<Bytes> for Broadcast {
    type Response = Bytes;
    type ResponseStream = BoxStream<Bytes>;
    type Future = std::future::Ready<Result<Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, request: Request<Streaming<Bytes>>) -> Self::Future {
        let level = request.metadata().get("x-acknowledge");
        let level = level.map(|value| value.to_str().unwrap().to_owned());
        self.0.acknowledge.lock().push(level);
        let orderer = self.0.clone();
        let answers = request.into_inner().enumerate().then(move |(index, message)| {
            let (orderer, index) = (orderer.clone(), index as u64);
            async move {
                if orderer.faults.silent_from.is_some_and(|from| index >= from) {
                    std::future::pending::<()>().await;
                }
                if let Some((_, pause)) = orderer.faults.stall_at.filter(|(at, _)| *at == index) {
                    tokio::time::sleep(pause).await;
                }
                message.map(|envelope| orderer.order(index, envelope))
            }
        });
        let copies = if self.0.faults.answer_twice { 2 } else { 1 };
        let answers = answers.flat_map(move |answer| stream::iter(vec![answer; copies]));
        let mut over = false;
        let answers = answers.take_while(move |answer| {
            let go_on = !over;
            over |= matches!(answer, Ok(Some(answer)) if answer.status != 200);
            std::future::ready(go_on)
        });
        let messages = answers.map(|answer| {
            answer?
                .map(|answer| Bytes::from(answer.encode_to_vec()))
                .ok_or_else(|| Status::unavailable("broken"))
        });
        std::future::ready(Ok(Response::new(Box::pin(messages) as Self::ResponseStream)))
    }
}

struct Deliver(Arc<FakeOrderer>);

impl tonic::server::StreamingService<Bytes> for Deliver {
    type Response = Bytes;
    type ResponseStream = BoxStream<Bytes>;
    type Future = tonic::codegen::BoxFuture<Response<Self::ResponseStream>, Status>;

    fn call(&mut self, request: Request<Streaming<Bytes>>) -> Self::Future {
        let orderer = self.0.clone();
        Box::pin(async move {
            let message = request.into_inner().message().await?.unwrap();
            let opened = Opened::open(message).unwrap();
            let channel = opened.channel_header.channel_id.clone();
            orderer.seeks.lock().push(opened.channel_header);
            let seek = SeekInfo::decode(opened.data).unwrap();
            let fixed = orderer.faults.deliver_status;
            let messages: Self::ResponseStream = match fixed {
                Some(fixed) => Box::pin(stream::iter([Ok(status(fixed))])),
                None => Box::pin(orderer.deliver(&channel, seek)),
            };
            Ok(Response::new(messages))
        })
    }
}

/// A user who signs for channel `test`.
pub(crate) fn signer() -> EnvelopeSigner {
    signer_for(CHANNEL, KeyType::Ed25519)
}

/// A user who signs for `channel` with a key of type `key`.
pub(crate) fn signer_for(channel: &str, key: KeyType) -> EnvelopeSigner {
    let folder = tempfile::tempdir().unwrap();
    let org = OrgSpec::new(OrgKind::Peer, "org1.test", key).with_users(1);
    let made = crate::crypto::make(folder.path(), &[org], SystemTime::now()).unwrap();
    let msp = made[0].user_msp("User1@org1.test");
    let identity = crate::msp_folder::signing_identity(&msp, "Org1MSP").unwrap();
    EnvelopeSigner::new(Arc::new(identity), ChannelId::parse(channel).unwrap())
}

/// Where a fake orderer listens, without TLS.
pub(crate) fn target(address: SocketAddr) -> Target {
    Target {
        address: address.to_string().parse().unwrap(),
        tls: None,
    }
}

/// The status of a refusal in these tests.
pub(crate) const FORBIDDEN: i32 = common::Status::Forbidden as i32;
