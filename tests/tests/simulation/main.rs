//! Runs simulated clusters, one a seed.
//!
//! | call | what runs |
//! |---|---|
//! | `cargo test --release -p tests --test simulation` | a few hundred seeds, then the checks of the simulation itself |
//! | `ORDAIN_SEEDS=a..b ...` | the seeds from a up to, and not including, b |
//! | `ORDAIN_SEED=n ...` | one seed, with a line for everything that happens |
//!
//! A seed that fails prints what was wrong and the command that repeats it. The checks of the simulation: a seed run
//! twice gives one hash of all events, and bugs put back on purpose are caught.
//!
//! The last line is `simulation: N seeds passed, M failed, E events`; exit status 1 when a seed or a check failed.
//! Flags of libtest are accepted and change nothing, except that `--list` runs nothing.

use std::ops::Range;
use std::process::ExitCode;
use std::time::Instant;

use tests::sim::{Plant, Report, run};

/// Seeds that run when none are asked for.
const SEEDS: Range<u64> = 0..300;
/// A planted bug must be caught by one of the first so many seeds.
const PLANTED_SEEDS: u64 = 300;
/// Seeds that are run twice.
const TWICE: [u64; 4] = [3, 14, 159, 265];

const PLANTED: [(&str, Plant); 5] = [
    (
        "writes reported before they are synced",
        Plant::PersistedBeforeSync,
    ),
    ("votes not persisted", Plant::VoteNotPersisted),
    (
        "resubmission before the new term's first entry",
        Plant::EarlyResubmission,
    ),
    ("nothing left for the next run", Plant::NothingLeft),
    ("handed anew to the same leader", Plant::LeftIsHandedAnew),
];

fn main() -> ExitCode {
    if std::env::args().any(|flag| flag == "--list") {
        println!("simulation: test");
        return ExitCode::SUCCESS;
    }
    let asked = match Asked::from_env() {
        Ok(asked) => asked,
        Err(reason) => {
            println!("FAIL {reason}");
            return ExitCode::FAILURE;
        }
    };
    // A panic of a core is a violation, told with its seed; the default hook would tell it without.
    std::panic::set_hook(Box::new(|_| {}));
    let passed = match asked {
        Asked::One(seed) => one(seed),
        Asked::Some(seeds) => many(seeds).is_good(),
        Asked::Nothing => {
            let checks = checks();
            many(SEEDS).is_good() && checks
        }
    };
    if passed {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// What the environment asks for.
enum Asked {
    Nothing,
    One(u64),
    Some(Range<u64>),
}

impl Asked {
    fn from_env() -> Result<Self, String> {
        if let Ok(seed) = std::env::var("ORDAIN_SEED") {
            let seed = seed
                .parse()
                .map_err(|error| format!("ORDAIN_SEED={seed}: {error}"))?;
            return Ok(Self::One(seed));
        }
        let Ok(seeds) = std::env::var("ORDAIN_SEEDS") else {
            return Ok(Self::Nothing);
        };
        let bounds = seeds
            .split_once("..")
            .and_then(|(from, to)| Some((from.parse().ok()?, to.parse().ok()?)));
        let (from, to) =
            bounds.ok_or_else(|| format!("ORDAIN_SEEDS={seeds}: expected a range such as 0..3000"))?;
        if from >= to {
            return Err(format!("ORDAIN_SEEDS={seeds}: the range is empty"));
        }
        Ok(Self::Some(from..to))
    }
}

/// What came of many seeds.
#[derive(Default)]
struct Sum {
    passed: u64,
    failed: u64,
    events: u64,
}

impl Sum {
    fn add(&mut self, seed: u64, report: &Report) {
        self.events += report.events;
        match &report.violation {
            None => self.passed += 1,
            Some(violation) => {
                self.failed += 1;
                println!("FAIL seed {seed}: {violation}");
                println!("  repeat: ORDAIN_SEED={seed} cargo test --release -p tests --test simulation");
            }
        }
    }

    fn is_good(&self) -> bool {
        self.failed == 0
    }
}

fn one(seed: u64) -> bool {
    let report = run(seed, Plant::Nothing, true);
    let Report {
        blocks,
        counts,
        time,
        hash,
        ..
    } = &report;
    println!(
        "{blocks} blocks, {counts:?}, {} ms, hash {hash:016x}",
        time.0 / 1000
    );
    let mut sum = Sum::default();
    sum.add(seed, &report);
    finish(&sum)
}

fn many(seeds: Range<u64>) -> Sum {
    let begin = Instant::now();
    let count = seeds.end - seeds.start;
    let mut sum = Sum::default();
    let (mut blocks, mut committed) = (0, 0);
    for seed in seeds {
        let report = run(seed, Plant::Nothing, false);
        blocks += report.blocks;
        committed += report.counts.committed;
        sum.add(seed, &report);
    }
    let millis = begin.elapsed().as_millis() / u128::from(count);
    println!("{blocks} blocks, {committed} envelopes told their block, {millis} ms a seed");
    finish(&sum);
    sum
}

fn finish(sum: &Sum) -> bool {
    let Sum {
        passed,
        failed,
        events,
    } = sum;
    println!("simulation: {passed} seeds passed, {failed} failed, {events} events");
    sum.is_good()
}

/// The checks of the simulation itself.
fn checks() -> bool {
    let mut good = true;
    for seed in TWICE {
        let (first, second) = (run(seed, Plant::Nothing, false), run(seed, Plant::Nothing, false));
        good &= told(
            "one seed run twice gives one hash of all events",
            first.hash == second.hash,
            &format!("seed {seed}"),
        );
    }
    for (name, plant) in PLANTED {
        let caught = (0..PLANTED_SEEDS).find_map(|seed| Some((seed, run(seed, plant, false).violation?)));
        let facts = caught
            .as_ref()
            .map_or("not caught".to_owned(), |(seed, violation)| {
                format!("seed {seed}: {violation}")
            });
        good &= told(
            &format!("planted bug is caught: {name}"),
            caught.is_some(),
            &facts,
        );
    }
    good
}

fn told(check: &str, passed: bool, facts: &str) -> bool {
    let verdict = if passed { "ok" } else { "FAIL" };
    println!("{verdict} {check} ({facts})");
    passed
}
