//! What happened in a run: a hash of all of it, and lines for who wants to read them.

use std::fmt::Display;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::seed::Micros;

/// Takes note of everything that happens.
#[derive(Debug)]
pub struct Trace {
    hasher: DefaultHasher,
    prints: bool,
    /// Events that cores have stepped.
    pub events: u64,
}

impl Trace {
    /// An empty one; `prints` lines on request.
    pub fn new(prints: bool) -> Self {
        Self {
            hasher: DefaultHasher::new(),
            prints,
            events: 0,
        }
    }

    /// Adds facts to the hash.
    pub fn note(&mut self, facts: impl Hash) {
        facts.hash(&mut self.hasher);
    }

    /// Prints a line, `3.250000 n1 ...`, if lines are wanted.
    pub fn line<T: Display>(&self, now: Micros, node: usize, text: impl FnOnce() -> T) {
        if self.prints {
            println!(
                "{:>3}.{:06} n{node} {}",
                now.0 / 1_000_000,
                now.0 % 1_000_000,
                text()
            );
        }
    }

    /// The hash of all facts so far.
    pub fn hash(&self) -> u64 {
        self.hasher.finish()
    }
}
