//! Runs the conformance vectors through the code paths of the node.
//!
//! `cargo test --release -p tests --test conformance`; `ORDAIN_VECTORS` names another folder of vectors, relative
//! to the workspace root (default `tests/vectors`). Every case in the folder runs, whatever their number.
//!
//! | line | meaning |
//! |---|---|
//! | `conformance KIND KEY: N passed, M failed` | the kind ran for that key type |
//! | `conformance KIND KEY: absent` | the folder lacks it; the default folder must lack none |
//!
//! Above such a line stands one `FAIL` line for each thing that differed. Exit status 1 when a case failed, a named
//! file is missing, or a kind that is there has no case. Flags of libtest are accepted and change nothing, except
//! that `--list` runs nothing.

mod blocks;
mod blocksigs;
mod chain;
mod envelopes;
mod hashes;
mod msps;
mod policies;
mod report;
mod tools;
mod updates;
mod vectors;

use std::process::ExitCode;

use report::{Outcome, Report, State};
use vectors::{KeyFolder, Vectors};

/// Runs all cases of one kind; an error means that the kind's files cannot be read as a whole.
type Run = fn(&KeyFolder) -> Result<Vec<Outcome>, String>;

/// A folder of cases, one a key type.
struct Kind {
    name: &'static str,
    run: Run,
}

const KEYS: [&str; 2] = ["ecdsa", "ed25519"];

const KINDS: [Kind; 8] = [
    Kind {
        name: "hashes",
        run: hashes::run,
    },
    Kind {
        name: "policies",
        run: policies::run,
    },
    Kind {
        name: "msps",
        run: msps::run,
    },
    Kind {
        name: "blocksigs",
        run: blocksigs::run,
    },
    Kind {
        name: "blocks",
        run: blocks::run,
    },
    Kind {
        name: "chain",
        run: chain::run,
    },
    Kind {
        name: "envelopes",
        run: envelopes::run,
    },
    Kind {
        name: "updates",
        run: updates::run,
    },
];

fn main() -> ExitCode {
    if std::env::args().any(|flag| flag == "--list") {
        println!("conformance: test");
        return ExitCode::SUCCESS;
    }
    let vectors = match Vectors::from_env() {
        Ok(vectors) => vectors,
        Err(reason) => {
            println!("FAIL {reason}");
            return ExitCode::FAILURE;
        }
    };
    let mut report = Report::new(vectors.is_default());
    for kind in &KINDS {
        for key in KEYS {
            report.add(kind.name, key, state(kind, &vectors.key_folder(key)));
        }
    }
    tools::add_to(&mut report, &vectors.folder("tools"));
    report.finish()
}

fn state(kind: &Kind, folder: &KeyFolder) -> State {
    if !folder.has(kind.name) {
        return State::Absent;
    }
    (kind.run)(folder).map_or_else(State::Unreadable, State::Ran)
}
