//! What came of each case, and the lines that say so.

use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

/// Longest expected or found value shown in full, in characters.
const SHOWN_MAX: usize = 160;

/// What differed between a vector and the node. Empty: the case passed.
#[derive(Default)]
pub(crate) struct Findings(Vec<String>);

impl Findings {
    /// Compares one stated value with the one found.
    pub(crate) fn equal<T: PartialEq + Display>(&mut self, what: &str, expected: &T, got: &T) {
        if expected != got {
            let (expected, got) = (shortened(expected), shortened(got));
            self.0.push(format!("{what}: expected {expected}, got {got}"));
        }
    }

    /// Compares a stated verdict with the node's, whose reason is shown.
    pub(crate) fn verdict<E: Display>(&mut self, what: &str, expected: bool, got: &Result<(), E>) {
        match got {
            Ok(()) if !expected => self.0.push(format!("{what}: expected a refusal, got acceptance")),
            Err(reason) if expected => self.0.push(format!("{what}: expected acceptance, got: {reason}")),
            _ => {}
        }
    }

    /// Compares two lists as lists, and names what one has and the other has not.
    pub(crate) fn same_list(&mut self, what: &str, expected: &[String], got: &[String]) {
        let lacking = expected.iter().filter(|line| !got.contains(line));
        let surplus = got.iter().filter(|line| !expected.contains(line));
        let before = self.0.len();
        self.0
            .extend(lacking.map(|line| format!("{what}: expected {line}, got nothing like it")));
        self.0
            .extend(surplus.map(|line| format!("{what}: expected nothing like it, got {line}")));
        if self.0.len() == before && expected != got {
            self.0.push(format!(
                "{what}: expected another order or count of the same lines"
            ));
        }
    }

    /// Notes something that no single expected value describes.
    pub(crate) fn note(&mut self, text: String) {
        self.0.push(text);
    }
}

fn shortened(value: &impl Display) -> String {
    let text = value.to_string();
    match text.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("{}... ({} characters)", &text[..end], text.chars().count()),
        None if text.is_empty() => "nothing".to_owned(),
        None => text,
    }
}

/// One case that ran.
pub(crate) struct Outcome {
    id: String,
    findings: Findings,
}

impl Outcome {
    /// Runs one case. An error (a file that is missing, a field that is absent) and a panic are findings too.
    pub(crate) fn of(id: impl Into<String>, case: impl FnOnce(&mut Findings) -> Result<(), String>) -> Self {
        let mut findings = Findings::default();
        match catch_unwind(AssertUnwindSafe(|| case(&mut findings))) {
            Ok(Ok(())) => {}
            Ok(Err(reason)) => findings.note(reason),
            Err(_) => findings.note("the code under test panicked".to_owned()),
        }
        Self {
            id: id.into(),
            findings,
        }
    }

    fn passed(&self) -> bool {
        self.findings.0.is_empty()
    }
}

/// What came of one kind for one key type.
pub(crate) enum State {
    /// The folder does not have it.
    Absent,
    /// Its list of cases cannot be read.
    Unreadable(String),
    /// Its cases ran.
    Ran(Vec<Outcome>),
}

/// Prints as it goes and counts.
pub(crate) struct Report {
    none_may_be_absent: bool,
    passed: usize,
    failed: usize,
    broken: bool,
}

impl Report {
    /// With `none_may_be_absent` a missing kind is a failure.
    pub(crate) fn new(none_may_be_absent: bool) -> Self {
        Self {
            none_may_be_absent,
            passed: 0,
            failed: 0,
            broken: false,
        }
    }

    /// Prints what came of `kind` with keys of type `key`.
    pub(crate) fn add(&mut self, kind: &str, key: &str, state: State) {
        let name = format!("{kind} {key}");
        match state {
            State::Absent => {
                self.broken |= self.none_may_be_absent;
                println!("conformance {name}: absent");
            }
            State::Unreadable(reason) => self.add_unreadable(&name, &reason),
            State::Ran(outcomes) if outcomes.is_empty() => self.add_unreadable(&name, "there is no case"),
            State::Ran(outcomes) => self.add_outcomes(&name, &outcomes),
        }
    }

    fn add_unreadable(&mut self, name: &str, reason: &str) {
        self.broken = true;
        println!("FAIL {name}: {reason}");
        println!("conformance {name}: 0 passed, 0 failed");
    }

    fn add_outcomes(&mut self, name: &str, outcomes: &[Outcome]) {
        for outcome in outcomes {
            for finding in &outcome.findings.0 {
                println!("FAIL {name} {}: {finding}", outcome.id);
            }
        }
        let passed = outcomes.iter().filter(|outcome| outcome.passed()).count();
        let failed = outcomes.len() - passed;
        println!("conformance {name}: {passed} passed, {failed} failed");
        self.passed += passed;
        self.failed += failed;
    }

    /// Prints the closing line. A run without any case is a failure: the folder is not one of vectors.
    pub(crate) fn finish(self) -> ExitCode {
        println!("{} passed, {} failed", self.passed, self.failed);
        let good = self.passed > 0 && self.failed == 0 && !self.broken;
        if good {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }
}
