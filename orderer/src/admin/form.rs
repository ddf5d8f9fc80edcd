//! The multipart body of a join or an update: exactly one file part under one key.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequest, Multipart};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, Request};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;

/// How long a client may take to send its body.
const BODY_TIME_MAX: Duration = Duration::from_secs(10);

/// Of a body that is too large, this much is still read, so that its sender gets to read the refusal: more than
/// any block that was meant to be joined with.
const DISCARDED_BYTES_MAX: usize = 128 * 1024 * 1024;

/// Parts looked at before a form is refused; one is what is wanted.
const PARTS_MAX: usize = 8;

/// Why a body is not the form that was asked for. Each is HTTP 400.
#[derive(Debug, thiserror::Error)]
pub enum FormError {
    /// The body is no form at all.
    #[error("unsupported Content-Type: [{0}]")]
    ContentType(String),
    /// Too large, too slow, or broken.
    #[error("cannot read form from request body: {0}")]
    Unreadable(String),
    /// The wanted part is not there, or is no file.
    #[error("form does not contains part key: {0}")]
    NoPart(&'static str),
    /// Something else is there as well.
    #[error("form contains too many parts")]
    TooManyParts,
}

/// Content of the file part `key`, where it is the only part of the form.
pub(super) async fn file_part(
    request: Request<Body>,
    key: &'static str,
    body_bytes_max: usize,
) -> Result<Bytes, FormError> {
    let (head, body) = request.into_parts();
    // First, whatever else is wrong: a client that is answered while it sends may not hear the reason.
    let content = read(body, body_bytes_max).await;
    check_content_type(&head.headers)?;
    let whole = Request::from_parts(head, Body::from(content?));
    let form = Multipart::from_request(whole, &())
        .await
        .map_err(|error| unreadable(&error))?;
    only_file(form, key).await
}

fn check_content_type(headers: &HeaderMap) -> Result<(), FormError> {
    let given = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    if given
        .trim_start()
        .to_ascii_lowercase()
        .starts_with("multipart/form-data")
    {
        Ok(())
    } else {
        Err(FormError::ContentType(given.to_owned()))
    }
}

/// The whole body, no larger than allowed and within the time a client has.
async fn read(body: Body, body_bytes_max: usize) -> Result<Bytes, FormError> {
    match tokio::time::timeout(BODY_TIME_MAX, collect(body, body_bytes_max)).await {
        Ok(collected) => collected,
        Err(_) => Err(FormError::Unreadable("i/o timeout".to_owned())),
    }
}

/// Collects what is allowed; of what comes beyond, [`DISCARDED_BYTES_MAX`] are read and forgotten.
async fn collect(mut body: Body, body_bytes_max: usize) -> Result<Bytes, FormError> {
    let mut kept = BytesMut::new();
    let mut bytes: usize = 0;
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|error| unreadable(&error))?.into_data() else {
            continue; // trailers
        };
        bytes = bytes.saturating_add(data.len());
        if bytes <= body_bytes_max {
            kept.extend_from_slice(&data);
        } else if bytes - body_bytes_max > DISCARDED_BYTES_MAX {
            break;
        }
    }
    if bytes > body_bytes_max {
        return Err(FormError::Unreadable("http: request body too large".to_owned()));
    }
    Ok(kept.freeze())
}

async fn only_file(mut form: Multipart, key: &'static str) -> Result<Bytes, FormError> {
    let mut wanted = None;
    let mut parts: usize = 0;
    while let Some(part) = form.next_field().await.map_err(|error| unreadable(&error))? {
        parts += 1;
        if parts > PARTS_MAX {
            return Err(FormError::TooManyParts);
        }
        let is_file = part.file_name().is_some_and(|name| !name.is_empty());
        if is_file && part.name() == Some(key) {
            wanted = Some(part.bytes().await.map_err(|error| unreadable(&error))?);
        }
    }
    match wanted {
        None => Err(FormError::NoPart(key)),
        Some(_) if parts > 1 => Err(FormError::TooManyParts),
        Some(content) => Ok(content),
    }
}

fn unreadable(error: &(dyn std::error::Error + 'static)) -> FormError {
    FormError::Unreadable(error.to_string())
}
