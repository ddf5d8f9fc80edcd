//! Transcripts of `../testdata/`, one test a file. `properties.rs` has the random runs.
//!
//! A transcript is a list of steps, separated by blank lines: a command, `----`, the actions it leads to, one a
//! line, then `closed` if the core takes no submission after it. Lines with `#` are comments.
//!
//! | command | event |
//! |---|---|
//! | `submit NAME [bytes=10] [seq=0]` | `Submitted`, normal; tickets count from 1 |
//! | `config NAME [seq=0]` | `Submitted`, config |
//! | `timer TOKEN` | `BatchTimerFired` |
//! | `written NUMBER` | `Written` |
//! | `applied NUMBER seq=N [count=3] [preferred=100] [timeout=2]` | `ConfigApplied` |
//! | `failed NUMBER` | `WriteFailed` |
//! | `halt` | `Halt` |
//!
//! The core starts at height 5, sequence 1, three envelopes and 100 bytes a batch, 2 s of timeout. Revalidation
//! refuses names that begin with `bad` and makes config `c` into `c@SEQ`.

use blockcutter::BatchLimits;

use super::*;
use crate::testing::{config, envelope, name, normal};

mod properties;

/// Rules of one config sequence.
struct Rules(ConfigSeq);

impl Rules {
    fn check(&self, envelope: &Envelope) -> Result<(), RevalidateError> {
        if name(envelope.entry()).starts_with("bad") {
            let reason = format!("refused at {}", self.0.0);
            return Err(RevalidateError { reason });
        }
        Ok(())
    }
}

impl Revalidate for Rules {
    fn config_seq(&self) -> ConfigSeq {
        self.0
    }

    fn revalidate_normal(&self, envelope: &Envelope) -> Result<(), RevalidateError> {
        self.check(envelope)
    }

    fn revalidate_config(&self, old: &Envelope, _: &Members) -> Result<Envelope, RevalidateError> {
        self.check(old)?;
        Ok(envelope(
            &format!("{}@{}", name(old.entry()), self.0.0),
            old.size(),
        ))
    }
}

fn batch_config(count: u32, preferred: u32, timeout_s: u64) -> BatchConfig {
    BatchConfig {
        limits: BatchLimits::new(count, 1 << 30, preferred).unwrap(),
        timeout: Duration::from_secs(timeout_s),
    }
}

/// A core and what the transcript does not say each time.
struct Transcript {
    core: SoloCore,
    rules: Rules,
    tickets: u64,
}

impl Transcript {
    fn new() -> Self {
        Self {
            core: SoloCore::new(Height(5), ConfigSeq(1), batch_config(3, 100, 2)),
            rules: Rules(ConfigSeq(1)),
            tickets: 0,
        }
    }

    fn run(text: &str) {
        let mut transcript = Self::new();
        for step in text.split("\n\n") {
            let step: Vec<_> = step
                .lines()
                .filter(|line| !line.starts_with('#') && !line.is_empty())
                .collect();
            let Some((command, expected)) = step.split_first() else {
                continue;
            };
            assert_eq!(expected.first(), Some(&"----"), "after {command}");
            assert_eq!(
                transcript.answer(command),
                expected[1..].join("\n"),
                "after {command}"
            );
        }
    }

    fn answer(&mut self, command: &str) -> String {
        let event = self.event(&command.split_whitespace().collect::<Vec<_>>());
        let mut actions = Vec::new();
        self.core.step(event, &self.rules, &mut actions);
        let mut lines: Vec<_> = actions.iter().map(describe).collect();
        if !self.core.accepts() {
            lines.push("closed".to_owned());
        }
        lines.join("\n")
    }

    fn event(&mut self, words: &[&str]) -> Event {
        let block = || BlockNumber(words[1].parse().unwrap());
        match words[0] {
            "submit" => {
                let bytes = usize::try_from(number(words, "bytes", 10)).unwrap();
                self.submitted(normal(words[1], bytes, number(words, "seq", 1)))
            }
            "config" => self.submitted(config(words[1], number(words, "seq", 1))),
            "timer" => Event::BatchTimerFired {
                token: TimerToken(words[1].parse().unwrap()),
            },
            "written" => Event::Written { number: block() },
            "applied" => self.applied(block(), words),
            "failed" => Event::WriteFailed(WriteError {
                number: block(),
                reason: "disk gone".to_owned(),
            }),
            "halt" => Event::Halt,
            other => panic!("unknown command {other}"),
        }
    }

    fn submitted(&mut self, submission: Submission) -> Event {
        self.tickets += 1;
        Event::Submitted {
            ticket: TicketId(self.tickets),
            submission,
        }
    }

    fn applied(&mut self, number_of_block: BlockNumber, words: &[&str]) -> Event {
        let config_seq = ConfigSeq(number(words, "seq", 0));
        self.rules = Rules(config_seq);
        let count = u32::try_from(number(words, "count", 3)).unwrap();
        let preferred = u32::try_from(number(words, "preferred", 100)).unwrap();
        Event::ConfigApplied {
            number: number_of_block,
            config_seq,
            batch: batch_config(count, preferred, number(words, "timeout", 2)),
        }
    }
}

/// The number behind `key=` among `words`.
fn number(words: &[&str], key: &str, default: u64) -> u64 {
    let value = |word: &&str| Some(word.strip_prefix(key)?.strip_prefix('=')?.parse().unwrap());
    words.iter().find_map(value).unwrap_or(default)
}

fn describe(action: &Action) -> String {
    match action {
        Action::WriteBlock { number, batch } => {
            let names: Vec<_> = batch.iter().map(|envelope| name(envelope.entry())).collect();
            format!("write {} {}", number.0, names.join(" "))
        }
        Action::WriteConfigBlock { number, envelope } => {
            format!("write-config {} {}", number.0, name(envelope.entry()))
        }
        Action::ArmBatchTimer { token, after } => format!("arm {} {}s", token.0, after.as_secs()),
        Action::DisarmBatchTimer => "disarm".to_owned(),
        Action::Resolve { through, outcome } => format!("resolve through {}: {}", through.0, told(outcome)),
        Action::ResolveOne { ticket, outcome } => format!("resolve {}: {}", ticket.0, told(outcome)),
        Action::Errored(error) => format!("errored: {error}"),
        Action::Finish => "finish".to_owned(),
    }
}

fn told(outcome: &Outcome) -> String {
    match outcome {
        Ok(number) => format!("block {}", number.0),
        Err(error) => error.to_string(),
    }
}

#[test]
fn the_timer_follows_what_is_pending_and_nothing_else() {
    Transcript::run(include_str!("../testdata/timer.txt"));
}

#[test]
fn a_config_message_is_alone_and_pauses_intake_until_it_is_applied() {
    Transcript::run(include_str!("../testdata/config.txt"));
}

#[test]
fn stale_config_seq_is_revalidated() {
    Transcript::run(include_str!("../testdata/revalidation.txt"));
}

#[test]
fn a_halt_orders_what_is_pending_and_waits_for_it() {
    Transcript::run(include_str!("../testdata/halt.txt"));
}

#[test]
fn a_failed_write_leaves_what_was_handed_out_unknown() {
    Transcript::run(include_str!("../testdata/write_failure.txt"));
}

#[test]
fn intake_pauses_while_too_many_blocks_are_in_flight() {
    let mut transcript = Transcript::new();
    for sent in 0..BLOCKS_IN_FLIGHT_MAX {
        assert!(transcript.core.accepts(), "closed after {sent} blocks");
        let _ = transcript.answer("submit large bytes=101");
    }
    assert!(!transcript.core.accepts());
    assert_eq!(transcript.answer("written 5"), "resolve through 1: block 5");
    assert!(transcript.core.accepts());
}

#[test]
fn intake_pauses_while_too_many_bytes_are_in_flight() {
    let mut transcript = Transcript::new();
    let _ = transcript.answer(&format!("submit large bytes={BYTES_IN_FLIGHT_MAX}"));
    assert!(!transcript.core.accepts());
    let _ = transcript.answer("written 5");
    assert!(transcript.core.accepts());
}

#[test]
#[should_panic(expected = "reports out of order")]
fn a_report_out_of_order_is_a_bug() {
    let mut transcript = Transcript::new();
    let _ = transcript.answer("submit a bytes=101");
    let _ = transcript.answer("written 6");
}
