//! The tools of operators (`docs/spec/tools.md`), run as the binary `ordain`.
//!
//! | module | kinds of `tools/cases.json` |
//! |---|---|
//! | [`translate`] | `decode`, `encode`, `compute_update`, `inspect`, and `*_error` of each |
//! | [`configtx`] | `genesis`, `printorg`, and `*_error` of each |
//! | [`cryptogen`] | `cryptogen`, `cryptogen_error` |
//! | [`context`] | the folder of the cases, a temporary folder, the process |
//! | [`difference`] | what differs between two texts or JSON documents, for a person |
//!
//! How results are compared: `tests/vectors/README.md`, section "Tools".

mod configtx;
mod context;
mod cryptogen;
mod difference;
mod translate;

use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use crate::report::{Outcome, Report, State};
use crate::vectors::id;
use context::Context;

/// Runs one case; an error says what differs.
type Run = fn(&Value, &Context) -> Result<(), String>;

#[derive(Deserialize)]
struct File {
    cases: Vec<Value>,
}

/// Runs the cases of `folder`, and adds what came of them to `report`.
pub(crate) fn add_to(report: &mut Report, folder: &Path) {
    if !folder.is_dir() {
        report.add("tools", "-", State::Absent);
        return;
    }
    report.add(
        "tools",
        "-",
        run(folder).map_or_else(State::Unreadable, State::Ran),
    );
}

fn run(folder: &Path) -> Result<Vec<Outcome>, String> {
    let path = folder.join("cases.json");
    let shown = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let text = std::fs::read(&path).map_err(|error| shown(&error))?;
    let file: File = serde_json::from_slice(&text).map_err(|error| shown(&error))?;
    let outcomes = file.cases.iter().enumerate().map(|(index, case)| {
        let name = format!("{} {}", kind(case), id(case, index));
        Outcome::of(name, |_| run_case(case, folder))
    });
    Ok(outcomes.collect())
}

fn run_case(case: &Value, folder: &Path) -> Result<(), String> {
    let run: Run = match task(case) {
        "decode" | "encode" | "compute_update" | "inspect" => translate::run,
        "genesis" | "printorg" => configtx::run,
        "cryptogen" => cryptogen::run,
        _ => return Err(format!("nothing runs cases of kind {}", kind(case))),
    };
    run(case, &Context::new(folder)?)
}

/// The kind of a case; nothing when it has none.
fn kind(case: &Value) -> &str {
    case.get("kind").and_then(Value::as_str).unwrap_or_default()
}

/// What a case is about, whether it succeeds or fails.
fn task(case: &Value) -> &str {
    let kind = kind(case);
    kind.strip_suffix("_error").unwrap_or(kind)
}
