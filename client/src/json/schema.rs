//! The messages that have a JSON form, by name.

use std::sync::LazyLock;

use prost_reflect::{DescriptorPool, FieldDescriptor, MessageDescriptor};
use protos::wire::DESCRIPTORS;

use super::error::JsonError;

/// Messages of other packages have no JSON form (`docs/spec/tools.md` §3.1).
const PACKAGES: [&str; 8] = [
    "common",
    "msp",
    "orderer",
    "orderer.smartbft",
    "etcdraft",
    "protos",
    "rwset",
    "kvrwset",
];

/// Fields that the reference does not have: shown where they are set, so that its tools read what ours print.
const OURS: [&str; 1] = ["orderer.SubmitRequest.mark"];

pub(super) const ANY: &str = "google.protobuf.Any";
pub(super) const EMPTY: &str = "google.protobuf.Empty";
pub(super) const TIMESTAMP: &str = "google.protobuf.Timestamp";

/// Every message of the crate `protos`, and the common ones of protobuf.
static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| {
    let mut pool = DescriptorPool::global();
    if let Err(error) = pool.decode_file_descriptor_set(DESCRIPTORS) {
        // The bytes are part of this program, and every test of this module reads them.
        unreachable!("the built-in descriptors do not read: {error}");
    }
    pool
});

/// The message type of this full name.
pub(super) fn find(name: &str) -> Result<MessageDescriptor, JsonError> {
    let found = POOL.get_message_by_name(name).filter(has_json_form);
    found.ok_or_else(|| {
        let name = name.to_owned();
        if POOL.get_enum_by_name(&name).is_some() {
            JsonError::EnumType { name }
        } else {
            JsonError::UnknownType { name }
        }
    })
}

/// A type of the built-in messages that the rules name themselves.
pub(super) fn built_in(name: &str) -> Result<MessageDescriptor, JsonError> {
    POOL.get_message_by_name(name)
        .ok_or_else(|| JsonError::UnknownType {
            name: name.to_owned(),
        })
}

/// Full names of all messages that have a JSON form, in order.
pub fn type_names() -> Vec<String> {
    let known = POOL.all_messages().filter(has_json_form);
    let mut names: Vec<_> = known.map(|message| message.full_name().to_owned()).collect();
    names.sort();
    names
}

/// Whether the reference's form of the message is without this field.
pub(super) fn is_ours(field: &FieldDescriptor) -> bool {
    OURS.contains(&field.full_name())
}

fn has_json_form(message: &MessageDescriptor) -> bool {
    let listed = PACKAGES.contains(&message.package_name()) && !message.is_map_entry();
    listed || [ANY, EMPTY].contains(&message.full_name())
}

#[cfg(test)]
mod tests {
    use prost_reflect::Kind;

    use super::*;

    #[test]
    fn names_are_full_and_case_counts() {
        for name in [
            "common.Block",
            "common.SignaturePolicy.NOutOf",
            "orderer.smartbft.Options",
            ANY,
            EMPTY,
        ] {
            assert_eq!(find(name).unwrap().full_name(), name);
            assert!(type_names().contains(&name.to_owned()));
        }
        for name in [
            "Block",
            "common.block",
            "msp.MSPPrincipal",
            "raftpb.Entry",
            "smartbftprotos.Message",
            "common.ConfigGroup.GroupsEntry",
            TIMESTAMP,
            "",
        ] {
            assert!(matches!(find(name), Err(JsonError::UnknownType { .. })), "{name}");
        }
        assert!(matches!(find("common.Status"), Err(JsonError::EnumType { .. })));
    }

    /// What the conversions leave out: they say so with an error, and this says that it never comes to that.
    #[test]
    fn no_message_has_a_field_that_the_conversions_do_not_know() {
        for name in type_names() {
            for field in find(&name).unwrap().fields() {
                let kind = match field.kind() {
                    Kind::Message(entry) if field.is_map() => {
                        assert_eq!(entry.map_entry_key_field().kind(), Kind::String, "{field:?}");
                        entry.map_entry_value_field().kind()
                    }
                    kind => kind,
                };
                let known = matches!(
                    kind,
                    Kind::Bool
                        | Kind::Int32
                        | Kind::Int64
                        | Kind::Uint32
                        | Kind::Uint64
                        | Kind::String
                        | Kind::Bytes
                        | Kind::Enum(_)
                        | Kind::Message(_)
                );
                assert!(known, "{field:?}");
                assert!(!field.is_group() && !field.is_required(), "{field:?}");
            }
        }
    }
}
