//! Statuses, headers and JSON texts, as the reference sends them.

use std::fmt::Write;

use axum::body::Body;
use axum::http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, LOCATION};
use axum::http::{HeaderName, HeaderValue, Method, Response, StatusCode};
use bytes::Bytes;
use protos::{ChannelId, ConsenterId, SealedBlock};
use serde::Serialize;

use super::registrar::{
    ChannelInfo, ConsensusInfo, FetchError, JoinError, Relation, RemoveError, Status, UpdateError,
};

/// Where all channel paths begin.
pub const CHANNELS_PATH: &str = "/participation/v1/channels";

/// One entry of the list.
#[derive(Serialize)]
struct ShortJson<'a> {
    name: &'a str,
    url: String,
}

/// The list. `systemChannel` is always null: there is none since v3. `channels` is left out while empty, which
/// suits strict and lenient readers alike (`docs/spec/dropin.md` §3).
#[derive(Serialize)]
struct ListJson<'a> {
    #[serde(rename = "systemChannel")]
    system_channel: (),
    #[serde(skip_serializing_if = "Vec::is_empty")]
    channels: Vec<ShortJson<'a>>,
}

/// One channel.
#[derive(Serialize)]
pub(crate) struct InfoJson<'a> {
    name: &'a str,
    url: String,
    #[serde(rename = "consensusRelation")]
    relation: &'static str,
    status: &'static str,
    height: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    consensus: Option<ConsensusJson<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
}

/// A cluster; ids are those of the consensus type, and a leader of 0 is none.
#[derive(Serialize)]
struct ConsensusJson<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    id: u64,
    leader: u64,
    term: u64,
    members: Vec<u64>,
    active: Vec<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trouble: Option<&'a str>,
}

#[derive(Serialize)]
struct ErrorJson<'a> {
    error: &'a str,
}

/// Path of one channel.
pub(super) fn channel_path(channel: &ChannelId) -> String {
    format!("{CHANNELS_PATH}/{channel}")
}

/// 200 with all channels.
pub(super) fn list(channels: &[ChannelId]) -> Response<Body> {
    let short = |channel| ShortJson {
        name: ChannelId::as_str(channel),
        url: channel_path(channel),
    };
    let body = ListJson {
        system_channel: (),
        channels: channels.iter().map(short).collect(),
    };
    uncached(json(StatusCode::OK, &body))
}

/// 200 with one channel.
pub(super) fn info(channel: &ChannelInfo) -> Response<Body> {
    uncached(json(StatusCode::OK, &info_json(channel)))
}

/// 201 with the channel that was joined, or is being updated.
pub(super) fn created(channel: &ChannelInfo) -> Response<Body> {
    let reply = json(StatusCode::CREATED, &info_json(channel));
    with_text(reply, LOCATION, &channel_path(&channel.name))
}

/// 200 with a serialized block.
pub(super) fn block(block: &SealedBlock) -> Response<Body> {
    let mut reply = Response::new(Body::from(block.bytes().clone()));
    let binary = HeaderValue::from_static("application/octet-stream");
    reply.headers_mut().insert(CONTENT_TYPE, binary);
    uncached(reply)
}

/// A join that failed.
pub(super) fn join_error(error: &JoinError) -> Response<Body> {
    let status = match error {
        JoinError::InvalidBlock(_) | JoinError::Refused(_) => StatusCode::BAD_REQUEST,
        JoinError::AlreadyExists => StatusCode::METHOD_NOT_ALLOWED,
        JoinError::PendingRemoval => StatusCode::CONFLICT,
        JoinError::RemovalFailed | JoinError::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
    };
    let reply = self::error(status, &error.to_string());
    if *error == JoinError::AlreadyExists {
        with_text(reply, ALLOW, "GET, DELETE")
    } else {
        reply
    }
}

/// A config update that was not taken in. A writers policy that is not met is 400 here, as in the reference.
pub(super) fn update_error(error: &UpdateError) -> Response<Body> {
    let status = match error {
        UpdateError::Unreadable(_) | UpdateError::InvalidEnvelope(_) | UpdateError::Refused { .. } => {
            StatusCode::BAD_REQUEST
        }
        UpdateError::NoChannel => StatusCode::METHOD_NOT_ALLOWED,
        UpdateError::Follower => StatusCode::FORBIDDEN,
        UpdateError::PendingRemoval => StatusCode::CONFLICT,
        UpdateError::RemovalFailed | UpdateError::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
    };
    self::error(status, &error.to_string())
}

/// 204: the channel is gone.
pub(super) fn removed() -> Response<Body> {
    let mut reply = Response::new(Body::empty());
    *reply.status_mut() = StatusCode::NO_CONTENT;
    reply
}

/// A channel that was not removed.
pub(super) fn remove_error(error: &RemoveError) -> Response<Body> {
    let status = match error {
        RemoveError::NoChannel => StatusCode::NOT_FOUND,
        RemoveError::Pending => StatusCode::CONFLICT,
        RemoveError::Failed(_) => StatusCode::INTERNAL_SERVER_ERROR,
    };
    self::error(status, &error.to_string())
}

/// A block that was not handed out.
pub(super) fn fetch_error(error: &FetchError) -> Response<Body> {
    self::error(StatusCode::NOT_FOUND, &error.to_string())
}

/// 405 for a method the path does not have.
pub(super) fn wrong_method(method: &Method, allow: &'static str) -> Response<Body> {
    let text = format!("invalid request method: {method}");
    with_text(error(StatusCode::METHOD_NOT_ALLOWED, &text), ALLOW, allow)
}

/// 404 for a path that is none of ours.
pub(crate) fn no_such_path() -> Response<Body> {
    let mut reply = Response::new(Body::from("404 page not found\n"));
    *reply.status_mut() = StatusCode::NOT_FOUND;
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    reply.headers_mut().insert(CONTENT_TYPE, plain);
    reply
}

/// A redirect to `path`.
pub(super) fn redirect(status: StatusCode, path: &str) -> Response<Body> {
    let mut reply = Response::new(Body::empty());
    *reply.status_mut() = status;
    with_text(reply, LOCATION, path)
}

/// `{"error": text}`.
pub(super) fn error(status: StatusCode, text: &str) -> Response<Body> {
    json(status, &ErrorJson { error: text })
}

/// One channel as all answers show it.
pub(crate) fn info_json(channel: &ChannelInfo) -> InfoJson<'_> {
    InfoJson {
        name: channel.name.as_str(),
        url: channel_path(&channel.name),
        relation: match channel.relation {
            Relation::Consenter => "consenter",
            Relation::Follower => "follower",
            Relation::ConfigTracker => "config-tracker",
            Relation::Other => "other",
        },
        status: match channel.status {
            Status::Active => "active",
            Status::Onboarding => "onboarding",
            Status::Inactive => "inactive",
            Status::Failed => "failed",
        },
        height: channel.height.0,
        consensus: channel.consensus.as_ref().map(consensus_json),
        reason: channel.reason.as_deref(),
    }
}

fn consensus_json(consensus: &ConsensusInfo) -> ConsensusJson<'_> {
    let ConsensusInfo { kind, cluster } = consensus;
    let numbers = |ids: &[ConsenterId]| ids.iter().map(|id| id.0).collect();
    ConsensusJson {
        kind,
        id: cluster.id.0,
        leader: cluster.leader.map_or(0, |leader| leader.0),
        term: cluster.term,
        members: numbers(&cluster.members),
        active: numbers(&cluster.active),
        trouble: cluster.trouble.as_deref(),
    }
}

fn json(status: StatusCode, body: &impl Serialize) -> Response<Body> {
    // These types have text keys and no map: they always serialize.
    let text = serde_json::to_string(body).unwrap_or_default();
    let mut reply = Response::new(Body::from(Bytes::from(escaped(&text))));
    *reply.status_mut() = status;
    let kind = HeaderValue::from_static("application/json");
    reply.headers_mut().insert(CONTENT_TYPE, kind);
    reply
}

/// As Go's encoder: safe inside HTML, and a newline at the end. The characters in question can only stand inside
/// of JSON strings.
fn escaped(json: &str) -> String {
    let mut text = String::with_capacity(json.len() + 1);
    for character in json.chars() {
        match character {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                let _ = write!(text, "\\u{:04x}", u32::from(character)); // a String takes everything
            }
            other => text.push(other),
        }
    }
    text.push('\n');
    text
}

fn uncached(mut reply: Response<Body>) -> Response<Body> {
    let headers = reply.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    reply
}

/// Adds a header; a text that cannot stand in one is left out.
fn with_text(mut reply: Response<Body>, name: HeaderName, text: &str) -> Response<Body> {
    if let Ok(value) = HeaderValue::from_str(text) {
        reply.headers_mut().insert(name, value);
    }
    reply
}
