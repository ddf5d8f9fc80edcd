//! A message as JSON (`docs/spec/tools.md` §3.2).

use std::collections::BTreeMap;

use bytes::Bytes;
use prost_reflect::{
    DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, ReflectMessage as _, Value,
};

use super::depth::Depth;
use super::error::{JsonError, Reason};
use super::opaque::{FieldView, View};
use super::text::Json;
use super::timestamp::Timestamp;
use super::{Options, any, base64, schema};

/// Shows messages.
#[derive(Clone, Copy, Debug)]
pub(super) struct Show {
    pub(super) options: Options,
}

impl Show {
    /// Shows the message of type `kind` that `bytes` hold.
    pub(super) fn bytes(
        self,
        kind: MessageDescriptor,
        bytes: Bytes,
        view: View,
        depth: Depth,
    ) -> Result<Json, JsonError> {
        let type_name = kind.full_name().to_owned();
        let message = DynamicMessage::decode(kind, bytes)
            .map_err(|source| Reason::NotProtobuf { type_name, source })?;
        self.message(&message, view, depth)
    }

    /// Shows a message.
    pub(super) fn message(
        self,
        message: &DynamicMessage,
        view: View,
        depth: Depth,
    ) -> Result<Json, JsonError> {
        let kind = message.descriptor();
        match kind.full_name() {
            schema::TIMESTAMP => return timestamp(message),
            schema::ANY => return any::show(self, message, depth),
            _ => {}
        }
        let mut members = BTreeMap::new();
        for field in kind.fields() {
            let is_left_out = field.containing_oneof().is_some() || schema::is_ours(&field);
            if is_left_out && !message.has_field(&field) {
                continue;
            }
            let shown = self.field(message, &field, view, depth);
            members.insert(
                field.name().to_owned(),
                shown.map_err(|error| error.below(field.name()))?,
            );
        }
        Ok(Json::Object(members))
    }

    fn field(
        self,
        message: &DynamicMessage,
        field: &FieldDescriptor,
        view: View,
        depth: Depth,
    ) -> Result<Json, JsonError> {
        if field.supports_presence() && !message.has_field(field) {
            return Ok(Json::Null);
        }
        let value = message.get_field(field);
        let field_view = view.field(message, field);
        match &*value {
            Value::List(items) => list(items, |item| match (field_view, item) {
                (FieldView::Holds, Value::Bytes(bytes)) => self.held(message, field, bytes, view, depth),
                (FieldView::Is(below), item) => self.value(&field.kind(), item, below, depth),
                _ => Err(Reason::Unsupported.into()),
            }),
            Value::Map(entries) => self.map(field, entries, field_view, depth),
            // Not to be decoded, whatever the fields beside it say.
            Value::Bytes(bytes) if field_view == FieldView::Holds && bytes.is_empty() => Ok(Json::Null),
            Value::Bytes(bytes) if field_view == FieldView::Holds => {
                self.held(message, field, bytes, view, depth)
            }
            one => match field_view {
                FieldView::Is(below) => self.value(&field.kind(), one, below, depth),
                _ => Err(Reason::Unsupported.into()),
            },
        }
    }

    fn map(
        self,
        field: &FieldDescriptor,
        entries: &std::collections::HashMap<MapKey, Value>,
        field_view: FieldView,
        depth: Depth,
    ) -> Result<Json, JsonError> {
        let Kind::Message(entry) = field.kind() else {
            return Err(Reason::Unsupported.into());
        };
        let kind = entry.map_entry_value_field().kind();
        // Sorted, so that of several errors it is always the same that is told.
        let sorted: BTreeMap<&MapKey, &Value> = entries.iter().collect();
        let mut members = BTreeMap::new();
        for (key, value) in sorted {
            let key = key.as_str().ok_or(Reason::Unsupported)?;
            let shown = self
                .options
                .entry_view(field_view, key)
                .map_err(JsonError::from)
                .and_then(|below| self.value(&kind, value, below, depth));
            members.insert(key.to_owned(), shown.map_err(|error| error.below(key))?);
        }
        Ok(Json::Object(members))
    }

    /// Shows the message in a field's bytes; the bytes themselves where that fails and may.
    fn held(
        self,
        message: &DynamicMessage,
        field: &FieldDescriptor,
        bytes: &Bytes,
        view: View,
        depth: Depth,
    ) -> Result<Json, JsonError> {
        let shown = view
            .held(message, field)
            .map_err(JsonError::from)
            .and_then(|name| {
                let depth = depth.inside()?;
                self.bytes(schema::built_in(name)?, bytes.clone(), View::Open, depth)
            });
        match shown {
            Err(_) if self.options.lenient => Ok(Json::Text(base64::encode(bytes))),
            shown => shown,
        }
    }

    fn value(self, kind: &Kind, value: &Value, view: View, depth: Depth) -> Result<Json, JsonError> {
        Ok(match (value, kind) {
            (Value::Bool(value), _) => Json::Bool(*value),
            (Value::I32(value), _) => Json::Number(value.to_string()),
            (Value::U32(value), _) => Json::Number(value.to_string()),
            // As texts: many readers of JSON know 53 bits only.
            (Value::I64(value), _) => Json::Text(value.to_string()),
            (Value::U64(value), _) => Json::Text(value.to_string()),
            (Value::String(text), _) => Json::Text(text.clone()),
            (Value::Bytes(bytes), _) => Json::Text(base64::encode(bytes)),
            (Value::EnumNumber(number), Kind::Enum(names)) => names.get_value(*number).map_or_else(
                || Json::Number(number.to_string()),
                |known| Json::Text(known.name().to_owned()),
            ),
            (Value::Message(message), _) => return self.message(message, view, depth.below()?),
            _ => return Err(Reason::Unsupported.into()),
        })
    }
}

fn list(items: &[Value], show: impl Fn(&Value) -> Result<Json, JsonError>) -> Result<Json, JsonError> {
    let items = items.iter().enumerate();
    let shown = items.map(|(index, item)| show(item).map_err(|error| error.below(&index.to_string())));
    shown.collect::<Result<_, _>>().map(Json::List)
}

fn timestamp(message: &DynamicMessage) -> Result<Json, JsonError> {
    let seconds = message.get_field_by_name("seconds");
    let nanos = message.get_field_by_name("nanos");
    let time = Timestamp {
        seconds: seconds.as_deref().and_then(Value::as_i64).unwrap_or_default(),
        nanos: nanos.as_deref().and_then(Value::as_i32).unwrap_or_default(),
    };
    let Timestamp { seconds, nanos } = time;
    let text = time.format().ok_or(Reason::Time { seconds, nanos })?;
    Ok(Json::Text(text))
}
