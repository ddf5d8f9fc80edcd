//! Transcripts of `testdata/`, and properties over random envelopes.
//!
//! A transcript is a list of steps, separated by blank lines: a command, `----`, the expected answer.
//! Commands: `limits count=N absolute=N preferred=N`, `ordered NAME bytes=N`, `cut`. An answer has one
//! line `batch NAMES` for each batch, then `pending NAMES` when something is.

use bytes::Bytes;
use proptest::prelude::*;
use prost::Message;
use protos::wire::common;

use super::*;

/// An envelope of `size` bytes that carries `name`, which must not be longer.
fn envelope(name: &str, size: usize) -> Envelope {
    let payload = vec![
        0;
        size.checked_sub(name.len())
            .expect("name longer than its envelope")
    ];
    let wire = common::Envelope {
        payload: payload.into(),
        signature: Bytes::copy_from_slice(name.as_bytes()),
    };
    Envelope::from_received(wire.encode_to_vec().into()).unwrap()
}

fn name(envelope: &Envelope) -> String {
    let wire = common::Envelope::decode(envelope.entry().clone()).unwrap();
    String::from_utf8(wire.signature.to_vec()).unwrap()
}

fn names(batch: &[Envelope]) -> String {
    batch.iter().map(name).collect::<Vec<_>>().join(" ")
}

/// The number behind `key=` among `words`.
fn number(words: &[&str], key: &str) -> u32 {
    let word = words
        .iter()
        .find_map(|word| word.strip_prefix(key)?.strip_prefix('='));
    word.unwrap_or_else(|| panic!("no {key}= in {words:?}"))
        .parse()
        .unwrap()
}

fn limits(words: &[&str]) -> BatchLimits {
    BatchLimits::new(
        number(words, "count"),
        number(words, "absolute"),
        number(words, "preferred"),
    )
    .unwrap()
}

/// Carries out one command and describes what came of it.
fn answer(receiver: &mut Receiver, command: &str) -> String {
    let words: Vec<_> = command.split_whitespace().collect();
    let batches: Vec<_> = match words[0] {
        "limits" => {
            receiver.set_limits(limits(&words));
            Vec::new()
        }
        "ordered" => {
            let ordered = receiver.ordered(envelope(words[1], number(&words, "bytes") as usize));
            assert_eq!(ordered.pending, receiver.is_pending());
            ordered.batches.into_iter().collect()
        }
        "cut" => vec![receiver.cut()],
        other => panic!("unknown command {other}"),
    };
    let mut lines: Vec<_> = batches
        .iter()
        .map(|batch| format!("batch {}", names(batch)).trim_end().to_owned())
        .collect();
    if receiver.is_pending() {
        lines.push(format!("pending {}", names(&receiver.pending)));
    }
    lines.join("\n")
}

fn run_transcript(text: &str) {
    let mut receiver = Receiver::new(BatchLimits::new(1, 1, 1).unwrap());
    for step in text.split("\n\n") {
        let step: Vec<_> = step
            .lines()
            .filter(|line| !line.starts_with('#') && !line.is_empty())
            .collect();
        let Some((command, expected)) = step.split_first() else {
            continue;
        };
        assert_eq!(expected.first(), Some(&"----"), "after {command}");
        let expected = expected[1..].join("\n");
        assert_eq!(
            answer(&mut receiver, command),
            expected.trim_end(),
            "after {command}"
        );
    }
}

#[test]
fn a_full_count_is_cut() {
    run_transcript(include_str!("../testdata/count.txt"));
}

#[test]
fn preferred_bytes_are_kept_to() {
    run_transcript(include_str!("../testdata/preferred_bytes.txt"));
}

#[test]
fn oversize_envelope_is_cut_alone() {
    run_transcript(include_str!("../testdata/oversize.txt"));
}

#[test]
fn new_limits_count_from_the_next_envelope() {
    run_transcript(include_str!("../testdata/limits_change.txt"));
}

#[derive(Clone, Debug)]
enum Step {
    Ordered(usize),
    Cut,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        9 => (8_usize..200).prop_map(Step::Ordered),
        1 => Just(Step::Cut),
    ];
    prop::collection::vec(step, 0..200)
}

/// True when `batch` is one the limits allow.
fn within(batch: &[Envelope], limits: BatchLimits) -> bool {
    let bytes: usize = batch.iter().map(Envelope::size).sum();
    batch.len() <= limits.max_message_count() && (batch.len() == 1 || bytes <= limits.preferred_max_bytes())
}

proptest! {
    #[test]
    fn every_envelope_leaves_once_in_order_within_the_limits(
        steps in steps(),
        count in 1_u32..10,
        preferred in 1_u32..400,
    ) {
        let limits = BatchLimits::new(count, 400, preferred).unwrap();
        let mut receiver = Receiver::new(limits);
        let (mut given, mut taken) = (Vec::new(), Vec::new());
        for (index, step) in steps.iter().enumerate() {
            let batches: Vec<_> = match step {
                Step::Ordered(bytes) => {
                    let envelope = envelope(&format!("{index:08}"), *bytes);
                    given.push(envelope.clone());
                    let ordered = receiver.ordered(envelope);
                    prop_assert_eq!(ordered.pending, receiver.is_pending());
                    prop_assert!(ordered.batches.len() <= 2);
                    prop_assert!(ordered.pending || !ordered.batches.is_empty());
                    ordered.batches.into_iter().collect()
                }
                Step::Cut => Some(receiver.cut()).filter(|batch| !batch.is_empty()).into_iter().collect(),
            };
            for batch in batches {
                prop_assert!(!batch.is_empty() && within(&batch, limits));
                taken.extend(batch);
            }
            prop_assert!(!receiver.is_pending() || within(&receiver.pending, limits));
        }
        taken.extend(receiver.cut());
        prop_assert_eq!(taken, given);
    }
}
