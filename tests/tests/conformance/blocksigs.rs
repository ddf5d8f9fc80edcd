//! Signatures of a block: is `BlockValidation` of the config met (`docs/spec/rules.md` §2)?

use configtx::block_verify;
use serde::Deserialize;
use serde_json::Value;

use crate::report::{Findings, Outcome};
use crate::vectors::{KeyFolder, id, parse};

#[derive(Deserialize)]
struct Case {
    file: String,
    channel_config_from: String,
    signatures_valid: bool,
}

/// Runs `blocksigs/cases.json`.
pub(crate) fn run(folder: &KeyFolder) -> Result<Vec<Outcome>, String> {
    let cases = folder.cases("blocksigs")?;
    let outcomes = cases
        .iter()
        .enumerate()
        .map(|(index, case)| Outcome::of(id(case, index), |findings| check(folder, case, findings)));
    Ok(outcomes.collect())
}

fn check(folder: &KeyFolder, case: &Value, findings: &mut Findings) -> Result<(), String> {
    let case: Case = parse(case)?;
    let bundle = folder.bundle(&case.channel_config_from)?;
    let block = folder.block(&case.file)?;
    let verdict = block_verify::verify_signatures(&block, &bundle);
    findings.verdict("signatures", case.signatures_valid, &verdict);
    Ok(())
}
