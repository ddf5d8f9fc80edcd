//! The JSON form of messages, in both directions: what operators read, filter with `jq`, and edit.
//!
//! ```text
//!  bytes ──protobuf──▶ message ──show──▶ JSON ──text──▶ text       decode
//!  bytes ◀────wire──── message ◀──read── JSON ◀──text── text       encode
//!                        │
//!                  schema: descriptors; opaque, config_tree: what lies in bytes
//! ```
//!
//! | module | holds |
//! |---|---|
//! | `schema` | the messages that have a JSON form, by name |
//! | `opaque` | the bytes fields that hold a message, and which |
//! | `config_tree` | the groups and values of a channel's config |
//! | `show`, `read` | a message as JSON, and back |
//! | `wire` | a message as bytes, in the one encoding that config updates compare |
//! | `text` | JSON texts |
//! | `number`, `base64`, `timestamp`, `any` | values with rules of their own |
//! | `depth` | how deep a message may go |
//!
//! Everything is driven by the descriptors of the messages; none is known by hand but those in `opaque` and
//! `config_tree`. Nothing here trusts its input: depth is bounded, and every refusal names its place.
//!
//! Decoding a block and encoding it again does not restore its data bytes (map order, unknown fields), so its
//! signatures and data hash break. Source: `docs/spec/tools.md` §3.

mod any;
mod base64;
mod config_tree;
mod depth;
mod error;
mod number;
mod opaque;
mod read;
mod schema;
mod show;
#[cfg(test)]
mod tests;
mod text;
mod timestamp;
mod wire;

use bytes::Bytes;
use prost::Message as _;
use protos::wire::common::ConfigGroup;

use config_tree::Place;
use depth::Depth;
use opaque::{FieldView, View};
use read::Read;
use show::Show;

pub use error::{JsonError, MemberPath, Reason, SyntaxError};
pub use schema::type_names;

/// Most messages within messages, counted through opaque fields. The deepest block has a tenth of it.
pub const DEPTH_MAX: usize = 200;

/// Most messages within messages in one run of bytes; what goes deeper is refused by every reader of ours.
const LAYER_DEPTH_MAX: usize = 100;

/// Most lists and objects within each other in a text: each message may stand in one more.
const TEXT_DEPTH_MAX: usize = 2 * DEPTH_MAX + 2;

/// How strictly content must be what its place says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Shows opaque content that is not what its place says (or has no known message there) as base64, and takes
    /// base64 in its place. Unknown groups of a config are shown too, with their values as base64.
    ///
    /// Off, one such entry refuses the whole message.
    pub lenient: bool,
}

/// Which of the two kinds of organisation a group is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Organisation {
    /// One that runs orderers: values `MSP`, `Endpoints`.
    Orderer,
    /// One that uses the channel: values `MSP`, `AnchorPeers`.
    Application,
}

/// Shows the message of type `type_name` (a full name, such as `common.Block`) that `bytes` hold.
///
/// The text ends with one line break. Unknown fields are left out.
pub fn decode(type_name: &str, bytes: &[u8], options: Options) -> Result<String, JsonError> {
    let kind = schema::find(type_name)?;
    let bytes = Bytes::copy_from_slice(bytes);
    let json = Show { options }.bytes(kind, bytes, View::Open, Depth::full())?;
    Ok(text::write(&json))
}

/// Reads a message of type `type_name` from the first value in `json`, and serializes it.
pub fn encode(type_name: &str, json: &str, options: Options) -> Result<Vec<u8>, JsonError> {
    let kind = schema::find(type_name)?;
    let json = text::parse(json)?;
    let message = Read { options }.message(kind, json, View::Open, Depth::full())?;
    Ok(wire::encode(&message)?)
}

/// Shows an organisation's group, its values decoded.
pub fn group(group: &ConfigGroup, organisation: Organisation) -> Result<String, JsonError> {
    let place = match organisation {
        Organisation::Orderer => Place::OrdererOrg,
        Organisation::Application => Place::ApplicationOrg,
    };
    let kind = schema::built_in("common.ConfigGroup")?;
    let bytes = Bytes::from(group.encode_to_vec());
    let options = Options::default();
    let json = Show { options }.bytes(kind, bytes, View::Group(place), Depth::full())?;
    Ok(text::write(&json))
}

impl Options {
    /// How the entry `key` of a map is looked at.
    fn entry_view(self, map: FieldView, key: &str) -> Result<View, Reason> {
        match map {
            FieldView::Is(view) => Ok(view),
            FieldView::Groups(place) => match place.group(key) {
                Some(below) => Ok(View::Group(below)),
                None if self.lenient => Ok(View::Open),
                None => Err(Reason::UnknownGroup),
            },
            // Consortiums have no values, not even empty ones.
            FieldView::Values(Place::Consortiums) if !self.lenient => Err(Reason::UnknownValue),
            FieldView::Values(place) => Ok(View::Value(place.value(key))),
            FieldView::Unknown if self.lenient => Ok(View::Plain),
            FieldView::Unknown => Err(Reason::UnknownEntry),
            FieldView::Holds => Err(Reason::Unsupported),
        }
    }
}
