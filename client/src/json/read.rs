//! JSON as a message (`docs/spec/tools.md` §3.3).

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, Value};

use super::depth::Depth;
use super::error::{JsonError, Reason, shortened};
use super::opaque::{FieldView, View};
use super::text::Json;
use super::timestamp::Timestamp;
use super::{Options, any, base64, number, schema, wire};

/// Reads messages.
#[derive(Clone, Copy, Debug)]
pub(super) struct Read {
    pub(super) options: Options,
}

/// A member of an object, and the field it stands for.
struct Member {
    field: FieldDescriptor,
    /// Its camelCase name was used: what it holds is plain, and bytes are bytes.
    plain: bool,
    json: Json,
}

impl Read {
    /// Reads a message of type `kind`.
    pub(super) fn message(
        self,
        kind: MessageDescriptor,
        json: Json,
        view: View,
        depth: Depth,
    ) -> Result<DynamicMessage, JsonError> {
        match kind.full_name() {
            schema::TIMESTAMP => return timestamp(kind, &json),
            schema::ANY => return any::read(self, kind, json, depth),
            _ => {}
        }
        let Json::Object(members) = json else {
            return Err(expected("an object", &json));
        };
        let mut message = DynamicMessage::new(kind.clone());
        let members = members_of(&kind, members)?;
        // What other fields hold may depend on these.
        let (last, mut first): (Vec<_>, Vec<_>) = members
            .into_iter()
            .partition(|member| view.field(&message, &member.field) == FieldView::Holds && !member.plain);
        first.sort_by_key(|member| member.field.number());
        for member in first.into_iter().chain(last) {
            let name = member.field.name().to_owned();
            self.member(&mut message, member, view, depth)
                .map_err(|error| error.below(&name))?;
        }
        Ok(message)
    }

    fn member(
        self,
        message: &mut DynamicMessage,
        member: Member,
        view: View,
        depth: Depth,
    ) -> Result<(), JsonError> {
        let Member { field, plain, json } = member;
        let view = if plain { View::Plain } else { view };
        let field_view = view.field(message, &field);
        if json == Json::Null && !null_is_refused(&field, field_view) {
            return Ok(());
        }
        if let Some(other) = other_of_oneof(message, &field) {
            return Err(Reason::OneOf(other).into());
        }
        let value = if field.is_list() {
            list(json, |item| self.one(message, &field, item, view, depth))?
        } else if field.is_map() {
            self.map(&field, json, field_view, depth)?
        } else {
            self.one(message, &field, json, view, depth)?
        };
        message
            .try_set_field(&field, value)
            .map_err(|_| Reason::Unsupported.into())
    }

    /// Reads a field's value, or one item of its list.
    fn one(
        self,
        message: &DynamicMessage,
        field: &FieldDescriptor,
        json: Json,
        view: View,
        depth: Depth,
    ) -> Result<Value, JsonError> {
        match view.field(message, field) {
            FieldView::Holds => self.held(message, field, json, view, depth).map(Value::Bytes),
            FieldView::Is(below) => self.value(&field.kind(), json, below, depth),
            _ => Err(Reason::Unsupported.into()),
        }
    }

    /// The bytes of the message that a field holds.
    fn held(
        self,
        message: &DynamicMessage,
        field: &FieldDescriptor,
        json: Json,
        view: View,
        depth: Depth,
    ) -> Result<Bytes, JsonError> {
        match &json {
            Json::Text(text) if self.options.lenient => return bytes(text),
            Json::Object(_) => {}
            other => return Err(expected("an object", other)),
        }
        let name = view.held(message, field)?;
        let held = self.message(schema::built_in(name)?, json, View::Open, depth.inside()?)?;
        Ok(wire::encode(&held)?.into())
    }

    fn map(
        self,
        field: &FieldDescriptor,
        json: Json,
        field_view: FieldView,
        depth: Depth,
    ) -> Result<Value, JsonError> {
        let Json::Object(members) = json else {
            return Err(expected("an object", &json));
        };
        let Kind::Message(entry) = field.kind() else {
            return Err(Reason::Unsupported.into());
        };
        let kind = entry.map_entry_value_field().kind();
        let depth = depth.below()?;
        let mut entries = HashMap::new();
        for (key, json) in members {
            let value = self
                .options
                .entry_view(field_view, &key)
                .map_err(JsonError::from)
                .and_then(|below| self.value(&kind, json, below, depth))
                .map_err(|error| error.below(&key))?;
            entries.insert(MapKey::String(key), value);
        }
        Ok(Value::Map(entries))
    }

    fn value(self, kind: &Kind, json: Json, view: View, depth: Depth) -> Result<Value, JsonError> {
        Ok(match (kind, json) {
            (Kind::Message(kind), json) => {
                Value::Message(self.message(kind.clone(), json, view, depth.below()?)?)
            }
            (Kind::Bool, Json::Bool(value)) => Value::Bool(value),
            (Kind::Bool, other) => return Err(expected("true or false", &other)),
            (Kind::String, Json::Text(text)) => Value::String(text),
            (Kind::String, other) => return Err(expected("a text", &other)),
            (Kind::Bytes, Json::Text(text)) => Value::Bytes(bytes(&text)?),
            (Kind::Bytes, other) => return Err(expected("bytes as base64", &other)),
            (Kind::Enum(names), Json::Text(name)) => match names.get_value_by_name(&name) {
                Some(known) => Value::EnumNumber(known.number()),
                None => return Err(unknown_enum_name(names, &name)),
            },
            (Kind::Enum(_), json @ Json::Number(_)) => {
                Value::EnumNumber(number::read(&json, "32-bit number")?)
            }
            (Kind::Enum(_), other) => return Err(expected("a name or number", &other)),
            (Kind::Int32, json) => Value::I32(number::read(&json, "32-bit number")?),
            (Kind::Int64, json) => Value::I64(number::read(&json, "64-bit number")?),
            (Kind::Uint32, json) => Value::U32(number::read(&json, "number from 0 to 4294967295")?),
            (Kind::Uint64, json) => Value::U64(number::read(&json, "number from 0 to 18446744073709551615")?),
            _ => return Err(Reason::Unsupported.into()),
        })
    }
}

/// The fields that the members stand for.
fn members_of(kind: &MessageDescriptor, members: BTreeMap<String, Json>) -> Result<Vec<Member>, JsonError> {
    let mut found: Vec<Member> = Vec::with_capacity(members.len());
    for (name, json) in members {
        let original = kind.get_field_by_name(&name);
        let plain = original.is_none();
        let Some(field) = original.or_else(|| kind.get_field_by_json_name(&name)) else {
            let type_name = kind.full_name().to_owned();
            return Err(JsonError::from(Reason::UnknownField { type_name }).below(&name));
        };
        if found.iter().any(|member| member.field == field) {
            return Err(JsonError::from(Reason::Twice).below(&name));
        }
        found.push(Member { field, plain, json });
    }
    Ok(found)
}

fn list(json: Json, read: impl Fn(Json) -> Result<Value, JsonError>) -> Result<Value, JsonError> {
    let Json::List(items) = json else {
        return Err(expected("a list", &json));
    };
    let items = items.into_iter().enumerate();
    let read = items.map(|(index, item)| read(item).map_err(|error| error.below(&index.to_string())));
    read.collect::<Result<_, _>>().map(Value::List)
}

/// Null unsets a field, but not one whose list or map of messages is decoded in place.
fn null_is_refused(field: &FieldDescriptor, field_view: FieldView) -> bool {
    let messages = match field.kind() {
        Kind::Message(entry) if field.is_map() => entry.map_entry_value_field().kind().as_message().is_some(),
        kind => kind.as_message().is_some(),
    };
    match field_view {
        FieldView::Is(View::Plain) => false,
        FieldView::Is(_) => messages && (field.is_list() || field.is_map()),
        FieldView::Holds => field.is_list(),
        FieldView::Groups(_) | FieldView::Values(_) | FieldView::Unknown => true,
    }
}

/// The member of the same oneof that is set already.
fn other_of_oneof(message: &DynamicMessage, field: &FieldDescriptor) -> Option<String> {
    let oneof = field.containing_oneof()?;
    let set = oneof.fields().find(|other| message.has_field(other))?;
    Some(set.name().to_owned())
}

fn timestamp(kind: MessageDescriptor, json: &Json) -> Result<DynamicMessage, JsonError> {
    let Json::Text(text) = json else {
        return Err(expected("a time as text", json));
    };
    let time = Timestamp::parse(text).ok_or_else(|| Reason::Timestamp(shortened(text)))?;
    let mut message = DynamicMessage::new(kind);
    let seconds = message.try_set_field_by_name("seconds", Value::I64(time.seconds));
    let nanos = message.try_set_field_by_name("nanos", Value::I32(time.nanos));
    seconds.and(nanos).map_err(|_| Reason::Unsupported)?;
    Ok(message)
}

fn bytes(text: &str) -> Result<Bytes, JsonError> {
    let bytes = base64::decode(text).ok_or_else(|| Reason::Base64(shortened(text)))?;
    Ok(bytes.into())
}

fn unknown_enum_name(names: &prost_reflect::EnumDescriptor, got: &str) -> JsonError {
    let known: Vec<_> = names.values().map(|value| value.name().to_owned()).collect();
    let (expected, got) = (known.join(", "), shortened(got));
    Reason::EnumName { expected, got }.into()
}

pub(super) fn expected(expected: &'static str, got: &Json) -> JsonError {
    let got = got.described();
    Reason::Expected { expected, got }.into()
}
