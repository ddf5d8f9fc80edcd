//! `google.protobuf.Any`: a message and its type, in the standard JSON mapping.
//!
//! What it holds is shown plainly. Types that have a JSON form of their own stand in a member `value`.

use std::collections::BTreeMap;

use bytes::Bytes;
use prost_reflect::{DynamicMessage, MessageDescriptor, Value};

use super::depth::Depth;
use super::error::{JsonError, Reason};
use super::opaque::View;
use super::read::{Read, expected};
use super::show::Show;
use super::text::Json;
use super::{schema, wire};

const TYPE: &str = "@type";
const VALUE: &str = "value";

/// Shows what `any` holds.
pub(super) fn show(show: Show, any: &DynamicMessage, depth: Depth) -> Result<Json, JsonError> {
    let url = any.get_field_by_name("type_url");
    let url = url.as_deref().and_then(Value::as_str).unwrap_or_default();
    let bytes = any.get_field_by_name(VALUE);
    let bytes = bytes
        .as_deref()
        .and_then(Value::as_bytes)
        .cloned()
        .unwrap_or_default();
    if url.is_empty() && bytes.is_empty() {
        return Ok(Json::Object(BTreeMap::new()));
    }
    let kind = kind(url)?;
    let own_form = has_own_form(&kind);
    let held = show.bytes(kind, bytes, View::Plain, depth.inside()?)?;
    let mut members = match held {
        Json::Object(members) if !own_form => members,
        held => BTreeMap::from([(VALUE.to_owned(), held)]),
    };
    members.insert(TYPE.to_owned(), Json::Text(url.to_owned()));
    Ok(Json::Object(members))
}

/// Reads what [`show`] writes.
pub(super) fn read(
    read: Read,
    any: MessageDescriptor,
    json: Json,
    depth: Depth,
) -> Result<DynamicMessage, JsonError> {
    let Json::Object(mut members) = json else {
        return Err(expected("an object", &json));
    };
    let mut message = DynamicMessage::new(any);
    if members.is_empty() {
        return Ok(message);
    }
    let url = match members.remove(TYPE) {
        Some(Json::Text(url)) => url,
        other => return Err(expected("the type of the message", &other.unwrap_or(Json::Null)).below(TYPE)),
    };
    let kind = kind(&url)?;
    let held = if has_own_form(&kind) {
        let value = members.remove(VALUE).unwrap_or(Json::Null);
        if let Some(surplus) = members.into_keys().next() {
            let type_name = kind.full_name().to_owned();
            return Err(JsonError::from(Reason::UnknownField { type_name }).below(&surplus));
        }
        value
    } else {
        Json::Object(members)
    };
    let held = read.message(kind, held, View::Plain, depth.inside()?)?;
    let bytes = Bytes::from(wire::encode(&held)?);
    let url = message.try_set_field_by_name("type_url", Value::String(url));
    let bytes = message.try_set_field_by_name(VALUE, Value::Bytes(bytes));
    url.and(bytes).map_err(|_| Reason::Unsupported)?;
    Ok(message)
}

/// The type at the end of a type URL.
fn kind(url: &str) -> Result<MessageDescriptor, JsonError> {
    match url.rsplit('/').next().unwrap_or_default() {
        schema::TIMESTAMP => schema::built_in(schema::TIMESTAMP),
        name => schema::find(name),
    }
}

fn has_own_form(kind: &MessageDescriptor) -> bool {
    [schema::ANY, schema::EMPTY, schema::TIMESTAMP].contains(&kind.full_name())
}
