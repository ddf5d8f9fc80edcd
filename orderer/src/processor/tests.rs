use consensus::Members;
use prost::Message as _;
use protos::wire::common::{Block, Status};
use serde_json::Value;

use super::*;
use crate::testing::{self, Genesis};

fn rules_of(genesis: &Block) -> Arc<Rules> {
    let bundle = configtx::Bundle::from_block(genesis).unwrap();
    Arc::new(Rules::new(Arc::new(bundle), false).unwrap())
}

fn process_on(rules: &Arc<Rules>, received: Bytes) -> Result<Checked, ProcessError> {
    let channel = rules.bundle().channel_id().clone();
    let find = |name: &str| (name == channel.as_str()).then(|| Arc::clone(rules));
    let now = SystemTime::now();
    match process(received, find, now)? {
        Verdict::Ready(checked) => Ok(checked),
        Verdict::Update(update) => update.propose(&Proposer {
            identity: &testing::orderer(),
            nonce: [7; 24],
            members: &Members::default(),
            now,
        }),
    }
}

fn status_of(result: &Result<Checked, ProcessError>) -> Status {
    result
        .as_ref()
        .map_or_else(ProcessError::status, |_| Status::Success)
}

/// Runs the envelope cases of one folder; answers those whose status differs.
fn differences(folder: &std::path::Path) -> Vec<String> {
    let cases = std::fs::read(folder.join("envelopes/cases.json")).unwrap();
    let cases: Vec<Value> = serde_json::from_slice(&cases).unwrap();
    let check = |case: &Value| {
        let text = |key: &str| case[key].as_str().unwrap().to_owned();
        let read = |name: String| Bytes::from(std::fs::read(folder.join(name)).unwrap());
        let genesis = Block::decode(read(text("channel_config_from"))).unwrap();
        let found = process_on(&rules_of(&genesis), read(text("file")));
        let expected = case["expect"]["status"].as_i64().unwrap();
        let same = i64::from(status_of(&found) as i32) == expected;
        (!same).then(|| format!("{}: expected {expected}, got {found:?}", text("id")))
    };
    cases.iter().filter_map(check).collect()
}

#[test]
fn every_envelope_of_the_vectors_gets_its_status() {
    for set in ["ed25519", "ecdsa"] {
        let folder = testing::vectors().join("..").join(set);
        assert_eq!(differences(&folder), Vec::<String>::new(), "{set}");
    }
}

#[test]
fn texts_are_the_ones_clients_compare() {
    let rules = rules_of(&Genesis::solo("ch").block());
    let client = testing::client();
    let text = |received| process_on(&rules, received).unwrap_err().to_string();
    assert_eq!(
        text(testing::message(&client, "other", "x")),
        "channel does not exist"
    );
    assert_eq!(
        text(testing::signed(&client, "ch", 1, Vec::new())),
        "message is of type that cannot be processed directly"
    );
    assert_eq!(
        text(testing::signed(&client, "ch", 4, Vec::new())),
        "message is of type that is no longer supported"
    );
    assert!(text(testing::message(&testing::stranger(), "ch", "x")).ends_with(": permission denied"));
    assert!(text(Bytes::new()).starts_with("could not determine channel ID: "));
}

#[test]
fn a_checked_envelope_names_the_config_it_was_checked_against() {
    let rules = rules_of(&Genesis::solo("ch").block());
    let received = testing::message(&testing::client(), "ch", "x");
    let checked = process_on(&rules, received.clone()).unwrap();
    assert_eq!(checked.config_seq, rules.bundle().sequence());
    assert_eq!(*checked.envelope.entry(), received);
}

#[test]
fn a_remembered_signer_still_has_to_sign() {
    let rules = rules_of(&Genesis::solo("ch").block());
    let client = testing::client();
    for _ in 0..2 {
        assert!(process_on(&rules, testing::message(&client, "ch", "x")).is_ok());
    }
    let mut forged = testing::message(&client, "ch", "y").to_vec();
    *forged.last_mut().unwrap() ^= 1;
    assert_eq!(status_of(&process_on(&rules, forged.into())), Status::Forbidden);
}
