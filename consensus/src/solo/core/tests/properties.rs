//! Random runs of a core against a plain model of what must hold.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// What the world does next. What is not possible at that moment is skipped.
#[derive(Clone, Debug)]
enum Move {
    Submit { bytes: usize, lag: u64, bad: bool },
    Config { lag: u64, bad: bool },
    FireTimer,
    FireOldTimer,
    Report { count: u32, preferred: u32 },
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let lag = || prop_oneof![4 => Just(0_u64), 1 => 1_u64..3];
    let one = prop_oneof![
        20 => (12_usize..130, lag(), prop::bool::weighted(0.2))
            .prop_map(|(bytes, lag, bad)| Move::Submit { bytes, lag, bad }),
        2 => (lag(), prop::bool::weighted(0.2)).prop_map(|(lag, bad)| Move::Config { lag, bad }),
        2 => Just(Move::FireTimer),
        1 => Just(Move::FireOldTimer),
        10 => (1_u32..6, 10_u32..200).prop_map(|(count, preferred)| Move::Report { count, preferred }),
    ];
    prop::collection::vec(one, 0..300)
}

/// A block the core asked for.
struct Cut {
    number: BlockNumber,
    is_config: bool,
}

/// The world around a core, and what must come out of it.
struct Model {
    core: SoloCore,
    rules: Rules,
    batch: BatchConfig,
    next_ticket: u64,
    /// Entries in the order they must be written, with their tickets.
    expected: Vec<(u64, String)>,
    written: usize,
    /// The block of each ticket, as the blocks say.
    block_of: BTreeMap<u64, u64>,
    told: BTreeMap<u64, Outcome>,
    resolved_through: u64,
    unreported: VecDeque<Cut>,
    next_number: u64,
    timer: Option<TimerToken>,
    finished: bool,
}

impl Model {
    fn new() -> Self {
        let batch = batch_config(3, 100, 2);
        Self {
            core: SoloCore::new(Height(5), ConfigSeq(9), batch),
            rules: Rules(ConfigSeq(9)),
            batch,
            next_ticket: 1,
            expected: Vec::new(),
            written: 0,
            block_of: BTreeMap::new(),
            told: BTreeMap::new(),
            resolved_through: 0,
            unreported: VecDeque::new(),
            next_number: 5,
            timer: None,
            finished: false,
        }
    }

    fn play(&mut self, next: &Move) {
        match *next {
            Move::Submit { bytes, lag, bad } => self.submit(bad, lag, |name, seq| normal(name, bytes, seq)),
            Move::Config { lag, bad } => self.submit(bad, lag, config),
            Move::FireTimer => {
                if let Some(token) = self.timer.take() {
                    self.step(Event::BatchTimerFired { token });
                }
            }
            Move::FireOldTimer => self.step(Event::BatchTimerFired { token: TimerToken(0) }),
            Move::Report { count, preferred } => self.report(batch_config(count, preferred, 2)),
        }
    }

    fn submit(&mut self, bad: bool, lag: u64, make: impl Fn(&str, u64) -> Submission) {
        if !self.core.accepts() {
            return;
        }
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        let name = format!("{}{ticket}", if bad { "bad" } else { "x" });
        let submission = make(&name, self.rules.0.0 - lag);
        let recomputed = submission.kind == SubmissionKind::Config && lag > 0;
        if lag == 0 || !bad {
            let at = format!("@{}", self.rules.0.0);
            self.expected
                .push((ticket, if recomputed { name + &at } else { name }));
        }
        self.step(Event::Submitted {
            ticket: TicketId(ticket),
            submission,
        });
    }

    /// Reports the oldest block; `batch` is what its config says, if it is one.
    fn report(&mut self, batch: BatchConfig) {
        let Some(Cut { number, is_config }) = self.unreported.pop_front() else {
            return;
        };
        if !is_config {
            return self.step(Event::Written { number });
        }
        self.batch = batch;
        self.rules.0.0 += 1;
        let config_seq = self.rules.0;
        self.step(Event::ConfigApplied {
            number,
            config_seq,
            batch,
        });
    }

    fn step(&mut self, event: Event) {
        let mut actions = Vec::new();
        self.core.step(event, &self.rules, &mut actions);
        for action in actions {
            self.carry_out(action);
        }
        self.check();
    }

    fn carry_out(&mut self, action: Action) {
        assert!(!self.finished, "{action:?} after the end");
        match action {
            Action::WriteBlock { number, batch } => {
                self.check_limits(&batch);
                self.write(number, &batch, false);
            }
            Action::WriteConfigBlock { number, envelope } => self.write(number, &[envelope], true),
            Action::ArmBatchTimer { token, .. } => {
                assert_eq!(self.timer.replace(token), None, "armed while it runs");
            }
            Action::DisarmBatchTimer => assert!(self.timer.take().is_some(), "stopped while it does not run"),
            Action::Resolve { through, outcome } => {
                for ticket in self.resolved_through + 1..=through.0 {
                    self.told.entry(ticket).or_insert_with(|| outcome.clone());
                }
                self.resolved_through = through.0;
            }
            Action::ResolveOne { ticket, outcome } => {
                assert_eq!(self.told.insert(ticket.0, outcome), None, "told twice");
            }
            Action::Errored(error) => panic!("{error}"),
            Action::Finish => self.finished = true,
        }
    }

    fn check_limits(&self, batch: &[Envelope]) {
        let limits = self.batch.limits;
        let bytes: usize = batch.iter().map(Envelope::size).sum();
        assert!(batch.len() <= limits.max_message_count());
        assert!(batch.len() == 1 || bytes <= limits.preferred_max_bytes());
    }

    fn write(&mut self, number: BlockNumber, batch: &[Envelope], is_config: bool) {
        assert!(!batch.is_empty() && number.0 == self.next_number);
        assert!(
            !self.unreported.back().is_some_and(|cut| cut.is_config),
            "a block was cut before the config was in force"
        );
        self.next_number += 1;
        for envelope in batch {
            let (ticket, expected) = &self.expected[self.written];
            assert_eq!(&name(envelope.entry()), expected);
            self.block_of.insert(*ticket, number.0);
            self.written += 1;
        }
        self.unreported.push_back(Cut { number, is_config });
    }

    fn check(&self) {
        assert_eq!(
            self.timer.is_some(),
            self.written < self.expected.len(),
            "the timer runs exactly while something is pending"
        );
        assert!(self.unreported.len() <= BLOCKS_CUT_MAX);
    }

    fn finish(&mut self) {
        self.step(Event::Halt);
        while !self.unreported.is_empty() {
            assert!(!self.finished);
            self.report(self.batch);
        }
        assert!(self.finished);
        assert_eq!(self.written, self.expected.len(), "something was not written");
        for ticket in 1..self.next_ticket {
            match (&self.told[&ticket], self.block_of.get(&ticket)) {
                (Ok(told), block) => assert_eq!(Some(&told.0), block, "ticket {ticket}"),
                (Err(_), block) => assert_eq!(block, None, "ticket {ticket}"),
            }
        }
    }
}

proptest! {
    #[test]
    fn everything_not_dropped_is_written_once_in_order(moves in moves()) {
        let mut model = Model::new();
        for next in &moves {
            model.play(next);
        }
        model.finish();
    }
}
