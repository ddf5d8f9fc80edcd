//! The task that sends spans to the collector: those of a second together, each request on a connection of its own.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST};
use http::{Request, Uri};
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use super::span::{self, Span};
use crate::logging::seldom::{Seldom, more};
use crate::server::LOGGER;

/// Spans are gathered for so long.
const INTERVAL: Duration = Duration::from_secs(1);
/// And at most so many are sent together.
const SPANS_MAX: usize = 512;
/// How long a collector may take.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(5);
/// How often it is said that spans are lost.
const SAID_TIME: Duration = Duration::from_secs(30);

/// Spans that were not taken.
#[derive(Debug)]
pub(super) struct Lost(Seldom<()>);

impl Default for Lost {
    fn default() -> Self {
        Self(Seldom::new(1, SAID_TIME))
    }
}

impl Lost {
    pub(super) fn add(&self, count: usize, reason: &str) {
        if let Some(kept_back) = self.0.tell((), Instant::now()) {
            let more = more(kept_back);
            tracing::warn!(target: LOGGER, "{count} spans are not sent to the collector: {reason}{more}");
        }
    }
}

/// Sends what comes until nobody can send any more.
pub(super) async fn run(endpoint: Uri, mut queued: mpsc::Receiver<Vec<Span>>, lost: Arc<Lost>) {
    let service = [
        ("service.name", "ordain-orderer".to_owned()),
        ("service.version", env!("CARGO_PKG_VERSION").to_owned()),
        ("process.pid", std::process::id().to_string()),
    ];
    while let Some(mut spans) = queued.recv().await {
        gather(&mut spans, &mut queued).await;
        let body = span::request(&service, &spans).to_string();
        let sent = tokio::time::timeout(ANSWER_TIME_MAX, post(&endpoint, body)).await;
        let sent = sent.unwrap_or_else(|_| Err(format!("no answer within {ANSWER_TIME_MAX:?}")));
        if let Err(reason) = sent {
            lost.add(spans.len(), &format!("{endpoint}: {reason}"));
        }
    }
}

/// Waits for more, for a while.
async fn gather(spans: &mut Vec<Span>, queued: &mut mpsc::Receiver<Vec<Span>>) {
    let full = async {
        while spans.len() < SPANS_MAX {
            match queued.recv().await {
                Some(more) => spans.extend(more),
                None => return,
            }
        }
    };
    // When the time is over, what there is is sent.
    let _ = tokio::time::timeout(INTERVAL, full).await;
}

async fn post(endpoint: &Uri, body: String) -> Result<(), String> {
    let told = |error: &dyn std::fmt::Display| error.to_string();
    let authority = endpoint.authority().ok_or("it has no host")?;
    let port = authority.port_u16().unwrap_or(80);
    let stream = TcpStream::connect((authority.host(), port))
        .await
        .map_err(|error| told(&error))?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| told(&error))?;
    tokio::spawn(connection);
    let path = endpoint.path_and_query().map_or("/", |path| path.as_str());
    let request = Request::post(path)
        .header(HOST, authority.as_str())
        .header(CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::from(body)))
        .map_err(|error| told(&error))?;
    let response = sender.send_request(request).await.map_err(|error| told(&error))?;
    if response.status().is_success() {
        Ok(())
    } else {
        Err(format!("it answers {}", response.status()))
    }
}
