//! Paths, methods, and the order of checks: method, Accept, channel name, body, then the channels.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Path, Request, State};
use axum::http::header::ACCEPT;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};
use axum::middleware::{self, Next};
use axum::routing::any;
use prost::Message;
use protos::wire::common::Block;
use protos::{BlockNumber, ChannelId};

use super::form;
use super::registrar::{BlockChoice, JoinError, Registrar, RemoveError, UpdateError};
use super::reply::{self, CHANNELS_PATH};

/// Form key of a join.
const JOIN_KEY: &str = "config-block";
/// Form key of a config update.
const UPDATE_KEY: &str = "config-update-envelope";

/// Longest id of a request that is taken over from the client.
const REQUEST_ID_BYTES_MAX: usize = 128;

static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What every handler is given.
struct Api<R> {
    registrar: Arc<R>,
    body_bytes_max: usize,
}

impl<R> Clone for Api<R> {
    fn clone(&self) -> Self {
        Self {
            registrar: Arc::clone(&self.registrar),
            body_bytes_max: self.body_bytes_max,
        }
    }
}

/// The whole API over `registrar`; a request body may have `body_bytes_max` bytes.
pub fn router<R: Registrar>(registrar: Arc<R>, body_bytes_max: usize) -> Router {
    let api = Api {
        registrar,
        body_bytes_max,
    };
    let channels = async |State(api), request| all_channels::<R>(api, request).await;
    let channel = async |State(api), Path(name), method, headers| {
        let name: String = name;
        one_channel::<R>(&api, &name, &method, &headers).await
    };
    let block = async |State(api), Path(names), method, headers| {
        let (name, id): (String, String) = names;
        one_block::<R>(&api, (&name, &id), &method, &headers).await
    };
    Router::new()
        .route("/participation/v1", any(to_slash))
        .route("/participation/v1/", any(to_channels))
        .route(CHANNELS_PATH, any(channels))
        .route("/participation/v1/channels/{channel}", any(channel))
        .route("/participation/v1/channels/{channel}/blocks/{block}", any(block))
        .layer(middleware::from_fn(with_request_id))
        .fallback(async || reply::no_such_path())
        .layer(DefaultBodyLimit::disable()) // the form keeps its own, with its own words
        .with_state(api)
}

async fn to_slash() -> Response<Body> {
    reply::redirect(StatusCode::TEMPORARY_REDIRECT, "/participation/v1/")
}

async fn to_channels(method: Method) -> Response<Body> {
    if method == Method::GET {
        reply::redirect(StatusCode::FOUND, CHANNELS_PATH)
    } else {
        reply::wrong_method(&method, "GET")
    }
}

async fn all_channels<R: Registrar>(api: Api<R>, request: Request) -> Response<Body> {
    let method = request.method().clone();
    if ![Method::GET, Method::POST, Method::PUT].contains(&method) {
        return reply::wrong_method(&method, "GET, POST, PUT");
    }
    if !accepts_json(request.headers()) {
        return not_acceptable();
    }
    match method {
        Method::POST => join(&api, request).await,
        Method::PUT => update(&api, request).await,
        _ => reply::list(&api.registrar.channels()),
    }
}

async fn join<R: Registrar>(api: &Api<R>, request: Request) -> Response<Body> {
    let content = match form::file_part(request, JOIN_KEY, api.body_bytes_max).await {
        Ok(content) => content,
        Err(error) => return bad_request(&error.to_string()),
    };
    let block = match Block::decode(content) {
        Ok(block) => block,
        Err(error) => {
            return bad_request(&format!(
                "cannot unmarshal file part {JOIN_KEY} into a block: {error}"
            ));
        }
    };
    match api.registrar.join(block).await {
        Ok(channel) => {
            tracing::info!(target: LOGGER, "Successfully joined channel: {}", channel.name);
            reply::created(&channel)
        }
        Err(error) => {
            report(&error);
            reply::join_error(&error)
        }
    }
}

async fn update<R: Registrar>(api: &Api<R>, request: Request) -> Response<Body> {
    let envelope = match form::file_part(request, UPDATE_KEY, api.body_bytes_max).await {
        Ok(envelope) => envelope,
        Err(error) => return bad_request(&error.to_string()),
    };
    match api.registrar.update(envelope).await {
        Ok(channel) => {
            tracing::info!(target: LOGGER, "Successfully submitted a config update of channel: {}", channel.name);
            reply::created(&channel)
        }
        Err(error) => {
            report_update(&error);
            reply::update_error(&error)
        }
    }
}

/// Logger of the API.
const LOGGER: &str = "orderer.common.channelparticipation";

fn report(error: &JoinError) {
    match error {
        JoinError::Internal(_) | JoinError::RemovalFailed => tracing::error!(target: LOGGER, "{error}"),
        _ => tracing::warn!(target: LOGGER, "{error}"),
    }
}

fn report_update(error: &UpdateError) {
    if let UpdateError::Internal(_) = error {
        tracing::error!(target: LOGGER, "{error}");
    } else {
        tracing::warn!(target: LOGGER, "{error}");
    }
}

fn report_remove(channel: &ChannelId, error: &RemoveError) {
    if let RemoveError::Failed(_) = error {
        tracing::error!(target: LOGGER, "channel {channel}: {error}");
    } else {
        tracing::warn!(target: LOGGER, "channel {channel}: {error}");
    }
}

async fn one_channel<R: Registrar>(
    api: &Api<R>,
    name: &str,
    method: &Method,
    headers: &HeaderMap,
) -> Response<Body> {
    if ![Method::GET, Method::DELETE].contains(method) {
        return reply::wrong_method(method, "GET, DELETE");
    }
    let channel = match channel_name(name, headers) {
        Ok(channel) => channel,
        Err(refusal) => return refusal,
    };
    if method == Method::DELETE {
        return remove(api, &channel).await;
    }
    match api.registrar.channel(&channel) {
        Some(info) => reply::info(&info),
        None => reply::error(StatusCode::NOT_FOUND, "channel does not exist"),
    }
}

async fn remove<R: Registrar>(api: &Api<R>, channel: &ChannelId) -> Response<Body> {
    match api.registrar.remove(channel).await {
        Ok(()) => {
            tracing::info!(target: LOGGER, "Successfully removed channel: {channel}");
            reply::removed()
        }
        Err(error) => {
            report_remove(channel, &error);
            reply::remove_error(&error)
        }
    }
}

async fn one_block<R: Registrar>(
    api: &Api<R>,
    (name, id): (&str, &str),
    method: &Method,
    headers: &HeaderMap,
) -> Response<Body> {
    if method != Method::GET {
        return reply::wrong_method(method, "GET");
    }
    let channel = match channel_name(name, headers) {
        Ok(channel) => channel,
        Err(refusal) => return refusal,
    };
    let Some(choice) = parse_choice(id) else {
        return bad_request(&format!(
            "invalid block ID: '{id}' not equal <newest/oldest/config/(number)>"
        ));
    };
    match api.registrar.block(&channel, choice).await {
        Ok(block) => reply::block(&block),
        Err(error) => reply::fetch_error(&error),
    }
}

/// The channel of a path, where the request is a fit one.
#[expect(
    clippy::result_large_err,
    reason = "a refusal is the reply itself, made once and sent at once"
)]
fn channel_name(name: &str, headers: &HeaderMap) -> Result<ChannelId, Response<Body>> {
    if !accepts_json(headers) {
        return Err(not_acceptable());
    }
    ChannelId::parse(name).map_err(|error| bad_request(&format!("invalid channel ID: {error}")))
}

fn parse_choice(id: &str) -> Option<BlockChoice> {
    match id {
        "newest" => Some(BlockChoice::Newest),
        "oldest" => Some(BlockChoice::Oldest),
        "config" => Some(BlockChoice::Config),
        number => number
            .parse()
            .ok()
            .map(|number| BlockChoice::Number(BlockNumber(number))),
    }
}

/// Missing, or JSON is among what is named; the reference looks for these texts and at nothing else.
fn accepts_json(headers: &HeaderMap) -> bool {
    let Some(accept) = headers.get(ACCEPT).filter(|value| !value.is_empty()) else {
        return true;
    };
    let named = |text: &str| {
        ["application/json", "application/*", "*/*"]
            .iter()
            .any(|kind| text.contains(kind))
    };
    accept.to_str().is_ok_and(named)
}

fn not_acceptable() -> Response<Body> {
    reply::error(
        StatusCode::NOT_ACCEPTABLE,
        "response Content-Type is application/json only",
    )
}

fn bad_request(text: &str) -> Response<Body> {
    reply::error(StatusCode::BAD_REQUEST, text)
}

/// Every routed reply carries an id to find it by: the client's, or a fresh one.
pub(crate) async fn with_request_id(request: Request, next: Next) -> Response<Body> {
    let given = request.headers().get(&REQUEST_ID).cloned();
    let mut reply = next.run(request).await;
    let id = given
        .filter(|id| !id.is_empty() && id.len() <= REQUEST_ID_BYTES_MAX)
        .or_else(|| HeaderValue::from_str(&uuid::Uuid::new_v4().to_string()).ok());
    if let Some(id) = id {
        reply.headers_mut().insert(REQUEST_ID.clone(), id);
    }
    reply
}
