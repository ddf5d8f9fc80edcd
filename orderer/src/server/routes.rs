//! Which gRPC method is served by whom.

use std::sync::Arc;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Request, Response, StatusCode};
use http_body_util::Either;
use hyper::body::{Body, Incoming};
use tonic::body::Body as TonicBody;
use tonic::{Code, Status};
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::{HealthReporter, HealthService};
use tower::ServiceExt as _;

use crate::broadcast::Broadcast;
use crate::cluster::{STEP, Step};
use crate::codec::{self, ReplyBody};
use crate::deliver::{Client, Deliver};
use crate::metrics::Call;
use crate::metrics::grpc::{Method, OpenConnection};
use crate::tls::Peer;

/// Path of the Broadcast method.
const BROADCAST: &str = "/orderer.AtomicBroadcast/Broadcast";
/// Path of the Deliver method.
const DELIVER: &str = "/orderer.AtomicBroadcast/Deliver";
/// Path of the method by which orderers of BFT channels talk; there are none of these yet.
const NODE_STEP: &str = "/orderer.ClusterNodeService/Step";
/// Paths of the standard health service begin with this.
const HEALTH: &str = "/grpc.health.v1.Health/";
/// The one of its methods that is no stream.
const HEALTH_CHECK: &str = "/grpc.health.v1.Health/Check";

/// The services of the client-facing listener.
#[derive(Clone)]
pub struct Routes {
    broadcast: Broadcast,
    deliver: Deliver,
    /// None: other orderers have a listener of their own.
    step: Option<Step>,
    health: HealthServer<HealthService>,
    /// How checks of it are counted.
    health_check: Arc<Method>,
}

/// The services of a listener for other orderers alone. They find blocks here as well, since they may not reach the
/// listener that clients use.
#[derive(Clone)]
pub struct ClusterRoutes {
    /// Messages of their chains.
    pub step: Step,
    /// Blocks.
    pub deliver: Deliver,
}

/// What serves the calls of a listener.
pub trait Serve: Clone + Send + 'static {
    /// Serves one call of a connection from `peer`.
    fn serve(&self, request: Request<Incoming>, peer: &Peer) -> impl Future<Output = Reply> + Send;

    /// Counts a connection, for as long as the answer lives.
    fn connected(&self) -> OpenConnection;
}

/// What a call is answered with.
pub type Reply = Response<Either<ReplyBody, TonicBody>>;

impl Routes {
    /// Serves these, and the standard health service, which says for the node as a whole what `health` is told.
    pub fn new(broadcast: Broadcast, deliver: Deliver, step: Option<Step>, health: HealthReporter) -> Self {
        let health = HealthService::from_health_reporter(health);
        Self {
            health_check: Arc::clone(&broadcast.metrics.families().grpc.health_check),
            broadcast,
            deliver,
            step,
            health: HealthServer::new(health),
        }
    }

    /// Serves one call of a connection from `peer`.
    pub async fn call<B>(&self, request: Request<B>, peer: &Peer) -> Reply
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: std::error::Error + Send + Sync + 'static,
    {
        if !is_grpc(&request) {
            return not_grpc();
        }
        let path = request.uri().path();
        let reply = match path {
            BROADCAST => self.broadcast.call(request, peer),
            DELIVER => call_deliver(&self.deliver, request, peer),
            _ if path.starts_with(HEALTH) => return self.check_health(request).await,
            _ => call_cluster(self.step.as_ref(), request, peer),
        };
        reply.map(Either::Left)
    }

    async fn check_health<B>(&self, request: Request<B>) -> Reply
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: std::error::Error + Send + Sync + 'static,
    {
        let check = (request.uri().path() == HEALTH_CHECK).then(|| self.health_check.begin());
        match self.health.clone().oneshot(request).await {
            Ok(response) => {
                if let Some(mut check) = check {
                    // A refusal has its status in the headers.
                    check.end(
                        Status::from_header_map(response.headers()).map_or(Code::Ok, |status| status.code()),
                    );
                }
                response.map(Either::Right)
            }
            Err(never) => match never {},
        }
    }
}

impl Serve for Routes {
    async fn serve(&self, request: Request<Incoming>, peer: &Peer) -> Reply {
        self.call(request, peer).await
    }

    fn connected(&self) -> OpenConnection {
        self.broadcast.metrics.families().grpc.connected()
    }
}

impl Serve for ClusterRoutes {
    async fn serve(&self, request: Request<Incoming>, peer: &Peer) -> Reply {
        if !is_grpc(&request) {
            return not_grpc();
        }
        let reply = match request.uri().path() {
            DELIVER => call_deliver(&self.deliver, request, peer),
            _ => call_cluster(Some(&self.step), request, peer),
        };
        reply.map(Either::Left)
    }

    fn connected(&self) -> OpenConnection {
        self.step.metrics().families().grpc.connected()
    }
}

fn call_deliver<B>(deliver: &Deliver, request: Request<B>, peer: &Peer) -> Response<ReplyBody>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: std::error::Error + Send + Sync + 'static,
{
    let client = Client::new(peer.remote_addr, peer.certificate());
    deliver.call(request, client)
}

/// The methods of other orderers, where `step` serves them.
fn call_cluster<B>(step: Option<&Step>, request: Request<B>, peer: &Peer) -> Response<ReplyBody>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: std::error::Error + Send + Sync + 'static,
{
    match (request.uri().path(), step) {
        (STEP, Some(step)) => step.call(request, peer),
        (NODE_STEP, Some(_)) => codec::refusal(&Status::unauthenticated("access denied"), Call::unseen()),
        (path, _) => {
            let status = Status::unimplemented(format!("unknown method {path}"));
            codec::refusal(&status, Call::unseen())
        }
    }
}

fn is_grpc<B>(request: &Request<B>) -> bool {
    let content_type = request.headers().get(CONTENT_TYPE);
    content_type.is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"))
}

/// What a client is told on a connection that is one too many.
pub fn too_many_connections() -> Reply {
    let text = "this listener has as many connections as it may have (General.Limits.Connections)";
    codec::refusal(&Status::unavailable(text), Call::unseen()).map(Either::Left)
}

fn not_grpc() -> Reply {
    let mut response = codec::refusal(&Status::invalid_argument("not a gRPC request"), Call::unseen());
    *response.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
    response.map(Either::Left)
}
