//! Rules that need no vector, and what must hold for every input.

use proptest::prelude::*;
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, Value};
use protos::wire::common::{ConfigGroup, ConfigValue, Envelope, OrdererAddresses, Payload};

use super::*;

const STRICT: Options = Options { lenient: false };
const LENIENT: Options = Options { lenient: true };

fn shown(type_name: &str, bytes: &[u8]) -> String {
    decode(type_name, bytes, STRICT).unwrap()
}

fn read_error(type_name: &str, text: &str) -> String {
    encode(type_name, text, STRICT).unwrap_err().to_string()
}

#[test]
fn refusals_name_the_member_and_the_reason() {
    let cases = [
        (
            "common.Envelope",
            r#"{"payload":{"header":{"foo":1}}}"#,
            "/payload/header/foo: common.Header has no such field",
        ),
        (
            "common.BlockData",
            r#"{"data":[{},null]}"#,
            "/data/1: expected an object, got null",
        ),
        (
            "common.Config",
            r#"{"channel_group":{"groups":{"Orderer":{"values":{"BatchSize":{"value":{"max_message_count":-1}}}}}}}"#,
            "/channel_group/groups/Orderer/values/BatchSize/value/max_message_count: -1 is no number from 0 to \
             4294967295",
        ),
        (
            "common.Config",
            r#"{"channel_group":{"groups":{"Foo":{}}}}"#,
            "/channel_group/groups/Foo: no config group of this name is known here",
        ),
        (
            "common.SignaturePolicy",
            r#"{"n_out_of":{},"signed_by":0}"#,
            "/n_out_of: signed_by is given too, and only one of them can be",
        ),
        (
            "common.BlockHeader",
            r#"{"data_hash":"","dataHash":""}"#,
            "/data_hash: this field is given twice, under both of its names",
        ),
        (
            "common.ImplicitMetaPolicy",
            r#"{"rule":"all"}"#,
            "/rule: \"all\" is none of ANY, ALL, MAJORITY",
        ),
        ("common.Nothing", "{}", "there is no message type common.Nothing"),
        (
            "common.Envelope",
            "[]",
            "the message: expected an object, got a list",
        ),
    ];
    for (type_name, text, expected) in cases {
        assert_eq!(read_error(type_name, text), expected);
    }
}

#[test]
fn refusals_repeat_no_more_than_a_line_of_the_input() {
    let long = "9".repeat(100_000);
    for (type_name, text) in [
        ("common.BlockHeader", format!(r#"{{"number":{long}}}"#)),
        ("common.BlockHeader", format!(r#"{{"number":"{long}"}}"#)),
        ("common.BlockHeader", format!(r#"{{"{long}":1}}"#)),
        ("common.BlockHeader", format!(r#"{{"data_hash":"é{long}"}}"#)),
        ("common.ImplicitMetaPolicy", format!(r#"{{"rule":"{long}"}}"#)),
        ("common.ChannelHeader", format!(r#"{{"timestamp":"{long}"}}"#)),
    ] {
        let refused = read_error(type_name, &text);
        assert!(
            refused.len() < 300 && refused.contains("..."),
            "{}",
            refused.len()
        );
    }
}

#[test]
fn null_unsets_a_field_but_not_a_list_or_map_of_messages() {
    for (type_name, text) in [
        ("common.Block", r#"{"header":null,"data":null,"metadata":null}"#),
        (
            "common.ChannelHeader",
            r#"{"type":null,"timestamp":null,"extension":null,"epoch":null}"#,
        ),
        ("common.BlockMetadata", r#"{"metadata":null}"#),
        ("protos.ChaincodeProposalPayload", r#"{"TransientMap":null}"#),
        ("common.SignaturePolicy", r#"{"n_out_of":null,"signed_by":null}"#),
        // Under its other name a field is plain, and null unsets whatever it is.
        ("etcdraft.ConfigMetadata", r#"{"consenters":[],"options":null}"#),
        ("common.Metadata", "{}"),
    ] {
        assert_eq!(encode(type_name, text, STRICT), Ok(Vec::new()), "{text}");
    }
    for (type_name, text) in [
        ("common.BlockData", r#"{"data":null}"#),
        ("common.ConfigGroup", r#"{"groups":null}"#),
        ("common.ConfigGroup", r#"{"values":{"A":null}}"#),
        ("common.ConfigUpdate", r#"{"isolated_data":null}"#),
        ("etcdraft.ConfigMetadata", r#"{"consenters":null}"#),
        ("orderer.KafkaBrokers", r#"{"brokers":[null]}"#),
    ] {
        assert!(encode(type_name, text, STRICT).is_err(), "{text}");
    }
}

#[test]
fn a_field_of_ours_is_shown_only_where_it_is_set() {
    for (text, is_shown) in [(r#"{"channel":"ch"}"#, false), (r#"{"mark":{"term":"3"}}"#, true)] {
        let bytes = encode("orderer.SubmitRequest", text, STRICT).unwrap();
        let json = shown("orderer.SubmitRequest", &bytes);
        assert_eq!(json.contains("mark"), is_shown, "{json}");
    }
}

#[test]
fn odd_content_is_base64_in_the_lenient_form_and_goes_back() {
    // An endorser transaction whose data is a text.
    let text = r#"{"payload":{"header":{"channel_header":{"type":3}},"data":"aGVsbG8="}}"#;
    let bytes = encode("common.Envelope", text, LENIENT).unwrap();
    assert!(encode("common.Envelope", text, STRICT).is_err());
    let refused = decode("common.Envelope", &bytes, STRICT).unwrap_err();
    assert!(
        refused
            .to_string()
            .starts_with("/payload/data: not a protos.Transaction: "),
        "{refused}"
    );
    let lenient = decode("common.Envelope", &bytes, LENIENT).unwrap();
    assert!(lenient.contains("\"data\": \"aGVsbG8=\""), "{lenient}");
    assert!(
        lenient.contains("\"channel_header\": {"),
        "only the odd part: {lenient}"
    );
    assert_eq!(encode("common.Envelope", &lenient, LENIENT), Ok(bytes));
}

#[test]
fn unknown_parts_of_a_config_are_shown_in_the_lenient_form_and_go_back() {
    let text = r#"{"channel_group":{
        "values":{"Orderers":{"value":"CgA="}},
        "groups":{"Foo":{"values":{"Bar":{"value":"AAEC"}}},"Consortiums":{"values":{"Baz":{"value":"/w=="}}}}
    }}"#;
    let bytes = encode("common.Config", text, LENIENT).unwrap();
    for part in ["Orderers", "Foo", "Baz"] {
        assert!(decode("common.Config", &bytes, STRICT).is_err());
        assert!(decode("common.Config", &bytes, LENIENT).unwrap().contains(part));
    }
    let lenient = decode("common.Config", &bytes, LENIENT).unwrap();
    assert_eq!(encode("common.Config", &lenient, LENIENT), Ok(bytes));
    let update = r#"{"isolated_data":{"a":"AA=="}}"#;
    assert!(encode("common.ConfigUpdate", update, STRICT).is_err());
    assert!(encode("common.ConfigUpdate", update, LENIENT).is_ok());
}

#[test]
fn a_time_that_cannot_be_written_is_odd_content() {
    let header = [
        0x1a, 0x0b, 0x08, 0xff, 0x91, 0xb8, 0xc3, 0x98, 0xfe, 0xff, 0xff, 0xff, 0x01,
    ];
    let header = protos::wire::common::Header {
        channel_header: Bytes::copy_from_slice(&header),
        ..Default::default()
    };
    let bytes = header.encode_to_vec();
    let refused = decode("common.Header", &bytes, STRICT).unwrap_err().to_string();
    assert!(
        refused.starts_with("/channel_header/timestamp: -62135596801 s"),
        "{refused}"
    );
    assert!(
        decode("common.Header", &bytes, LENIENT)
            .unwrap()
            .contains("\"channel_header\": \"Ggs")
    );
}

#[test]
fn an_organisation_is_shown_with_its_values() {
    let endpoints = OrdererAddresses {
        addresses: vec!["o:7050".to_owned()],
    };
    let endpoints = ConfigValue {
        value: endpoints.encode_to_vec().into(),
        ..ConfigValue::default()
    };
    let org = ConfigGroup {
        values: [("Endpoints".to_owned(), endpoints)].into(),
        ..ConfigGroup::default()
    };
    let text = group(&org, Organisation::Orderer).unwrap();
    assert!(text.contains("\"addresses\": [\n\t\t\t\t\t\"o:7050\""), "{text}");
    let refused = group(&org, Organisation::Application).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "/values/Endpoints/value: no config value of this name is known here"
    );
}

#[test]
fn any_holds_a_plain_message_with_its_type() {
    let text = "{\n\t\"@type\": \"type.googleapis.com/common.Envelope\",\n\t\"payload\": \"AA==\",\n\t\"signature\": \"\"\n}\n";
    let bytes = encode(schema::ANY, text, STRICT).unwrap();
    assert_eq!(shown(schema::ANY, &bytes), text);
    let own = "{\n\t\"@type\": \"x/google.protobuf.Timestamp\",\n\t\"value\": \"1970-01-01T00:00:01Z\"\n}\n";
    assert_eq!(
        shown(schema::ANY, &encode(schema::ANY, own, STRICT).unwrap()),
        own
    );
    assert_eq!(shown(schema::ANY, b""), "{}\n");
    assert_eq!(encode(schema::ANY, "{}", STRICT), Ok(Vec::new()));
    for text in [
        r#"{"payload":""}"#,
        r#"{"@type":"x/common.Nothing"}"#,
        r#"{"@type":"x/google.protobuf.Empty","value":{},"more":1}"#,
    ] {
        assert!(encode(schema::ANY, text, STRICT).is_err(), "{text}");
    }
}

/// An envelope in an envelope in an envelope, all of a type that may hold one.
fn nested_envelopes(count: usize) -> Vec<u8> {
    let header = protos::wire::common::Header {
        channel_header: Bytes::from_static(&[0x08, 0x04]),
        ..Default::default()
    };
    let mut bytes = Bytes::new();
    for _ in 0..count {
        let payload = Payload {
            header: Some(header.clone()),
            data: bytes,
        };
        let envelope = Envelope {
            payload: payload.encode_to_vec().into(),
            ..Envelope::default()
        };
        bytes = envelope.encode_to_vec().into();
    }
    bytes.to_vec()
}

#[test]
fn depth_is_bounded_in_both_directions() {
    let deepest = nested_envelopes(DEPTH_MAX / 2 - 1);
    let text = shown("common.Envelope", &deepest);
    assert_eq!(encode("common.Envelope", &text, STRICT), Ok(deepest));
    let deeper = nested_envelopes(2000);
    let refused = decode("common.Envelope", &deeper, STRICT)
        .unwrap_err()
        .to_string();
    assert!(
        refused.ends_with("messages are nested deeper than 200"),
        "{refused}"
    );
    let lenient = decode("common.Envelope", &deeper, LENIENT).unwrap();
    assert_eq!(encode("common.Envelope", &lenient, LENIENT), Ok(deeper));
}

#[test]
fn what_is_encoded_can_be_read() {
    let policy = |depth: usize| {
        let open = r#"{"n_out_of":{"n":1,"rules":["#.repeat(depth);
        format!("{open}{}", "]}}".repeat(depth))
    };
    let group = |depth: usize| {
        format!(
            "{}{}",
            r#"{"groups":{"a":"#.repeat(depth) + "{}",
            "}}".repeat(depth)
        )
    };
    for depth in 1..80 {
        for (type_name, text) in [
            ("common.SignaturePolicy", policy(depth)),
            ("common.ConfigGroup", group(depth)),
        ] {
            match encode(type_name, &text, STRICT) {
                Ok(bytes) => assert!(decode(type_name, &bytes, STRICT).is_ok(), "{type_name} {depth}"),
                Err(error) => assert!(depth > 40, "{type_name} {depth}: {error}"),
            }
        }
    }
}

/// Makes messages out of a supply of random bytes.
struct Maker<'a> {
    supply: std::slice::Iter<'a, u8>,
    types: Vec<MessageDescriptor>,
}

impl Maker<'_> {
    fn next(&mut self) -> u8 {
        self.supply.next().copied().unwrap_or_default()
    }

    fn message(&mut self, kind: &MessageDescriptor) -> DynamicMessage {
        let mut message = DynamicMessage::new(kind.clone());
        for field in kind.fields() {
            if !self.next().is_multiple_of(4) {
                let value = self.field(&field);
                message.set_field(&field, value);
            }
        }
        message
    }

    fn field(&mut self, field: &FieldDescriptor) -> Value {
        let count = self.next() % 3;
        match field.kind() {
            Kind::Message(entry) if field.is_map() => {
                let kind = entry.map_entry_value_field().kind();
                let entries = (0..count).map(|_| (MapKey::String(self.text()), self.value(&kind)));
                Value::Map(entries.collect())
            }
            kind if field.is_list() => Value::List((0..count).map(|_| self.value(&kind)).collect()),
            kind => self.value(&kind),
        }
    }

    fn value(&mut self, kind: &Kind) -> Value {
        let number = self.next();
        match kind {
            Kind::Bool => Value::Bool(number.is_multiple_of(2)),
            Kind::Int32 => Value::I32(i32::from(number % 6) - 1),
            Kind::Int64 => Value::I64(i64::from(number) - 100),
            Kind::Uint32 => Value::U32(u32::from(number)),
            Kind::Uint64 => Value::U64(u64::MAX - u64::from(number)),
            Kind::Enum(_) => Value::EnumNumber(i32::from(number % 6)),
            Kind::String => Value::String(self.text()),
            Kind::Bytes => Value::Bytes(self.bytes().into()),
            Kind::Message(kind) if self.supply.len() == 0 => {
                Value::Message(DynamicMessage::new(kind.clone()))
            }
            Kind::Message(kind) => Value::Message(self.message(kind)),
            other => unreachable!("{other:?}"),
        }
    }

    fn text(&mut self) -> String {
        let texts = [
            "",
            "a",
            "é<\u{2028}",
            "Orderer",
            "Application",
            "Consortiums",
            "MSP",
            "Capabilities",
            "ConsensusType",
            "etcdraft",
            "BFT",
            "ACLs",
        ];
        texts[usize::from(self.next()) % texts.len()].to_owned()
    }

    /// Nothing, junk, or a message of some type.
    fn bytes(&mut self) -> Vec<u8> {
        match self.next() % 8 {
            0 => Vec::new(),
            1 => vec![self.next(), self.next()],
            _ => {
                let index = usize::from(self.next()) % self.types.len();
                let kind = self.types[index].clone();
                wire::encode(&self.message(&kind)).unwrap()
            }
        }
    }
}

fn made(type_index: usize, supply: &[u8]) -> (String, Vec<u8>) {
    let names = type_names();
    let types: Vec<_> = names.iter().map(|name| schema::find(name).unwrap()).collect();
    let kind = types[type_index % types.len()].clone();
    let mut maker = Maker {
        supply: supply.iter(),
        types,
    };
    let bytes = wire::encode(&maker.message(&kind)).unwrap();
    (kind.full_name().to_owned(), bytes)
}

/// Decoding drops what is unknown and encoding leaves out what is empty; after that nothing changes any more.
fn check_stable(type_name: &str, bytes: &[u8], options: Options) -> Result<(), TestCaseError> {
    let Ok(text) = decode(type_name, bytes, options) else {
        return Ok(());
    };
    let encoded = encode(type_name, &text, options);
    prop_assert!(encoded.is_ok(), "{type_name}: {encoded:?}\n{text}");
    let encoded = encoded.unwrap_or_default();
    let again = decode(type_name, &encoded, options);
    prop_assert!(again.is_ok(), "{type_name}: {again:?}\n{text}");
    prop_assert_eq!(
        encode(type_name, &again.unwrap_or_default(), options),
        Ok(encoded)
    );
    Ok(())
}

proptest! {
    #[test]
    fn random_bytes_never_panic(type_index in any::<usize>(), bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let names = type_names();
        let name = &names[type_index % names.len()];
        check_stable(name, &bytes, STRICT)?;
        check_stable(name, &bytes, LENIENT)?;
    }

    #[test]
    fn a_decoded_message_encodes_and_is_stable(
        type_index in any::<usize>(),
        supply in prop::collection::vec(any::<u8>(), 0..400),
    ) {
        let (name, bytes) = made(type_index, &supply);
        check_stable(&name, &bytes, STRICT)?;
        check_stable(&name, &bytes, LENIENT)?;
    }

    #[test]
    fn changed_texts_never_panic(
        type_index in any::<usize>(),
        supply in prop::collection::vec(any::<u8>(), 0..200),
        at in any::<prop::sample::Index>(),
        piece in "[\\[\\]{}:,\"\\\\0-9eun -]{0,4}|null|\\PC{0,3}",
    ) {
        let (name, bytes) = made(type_index, &supply);
        if let Ok(text) = decode(&name, &bytes, LENIENT) {
            let mut changed: Vec<char> = text.chars().collect();
            let at = at.index(changed.len());
            let end = changed.len().min(at + piece.chars().count());
            changed.splice(at..end, piece.chars());
            let changed: String = changed.into_iter().collect();
            let _ = encode(&name, &changed, STRICT);
            let _ = encode(&name, &changed, LENIENT);
        }
    }

    #[test]
    fn bytes_cut_short_never_panic(
        type_index in any::<usize>(),
        supply in prop::collection::vec(any::<u8>(), 0..200),
        at in any::<prop::sample::Index>(),
    ) {
        let (name, bytes) = made(type_index, &supply);
        let cut = at.index(bytes.len() + 1);
        check_stable(&name, &bytes[..cut], LENIENT)?;
    }
}
