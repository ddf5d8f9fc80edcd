//! Messages as Broadcast receives them: the status that the processor gives (`docs/spec/rules.md` §3, §4).

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use configtx::identity::verify_batch;
use orderer::processor::{self, ProcessError, Rules, Verdict};
use protos::wire::common::Status;
use serde::Deserialize;
use serde_json::Value;

use crate::report::{Findings, Outcome};
use crate::vectors::{KeyFolder, id, parse};

#[derive(Deserialize)]
struct Case {
    file: String,
    channel_config_from: String,
    expect: Expected,
}

#[derive(Deserialize)]
struct Expected {
    accept: bool,
    status: i32,
    status_name: String,
}

/// Runs `envelopes/cases.json`.
pub(crate) fn run(folder: &KeyFolder) -> Result<Vec<Outcome>, String> {
    let cases = folder.cases("envelopes")?;
    let outcomes = cases
        .iter()
        .enumerate()
        .map(|(index, case)| Outcome::of(id(case, index), |findings| check(folder, case, findings)));
    Ok(outcomes.collect())
}

fn check(folder: &KeyFolder, case: &Value, findings: &mut Findings) -> Result<(), String> {
    let case: Case = parse(case)?;
    let bundle = folder.bundle(&case.channel_config_from)?;
    let rules = Arc::new(Rules::new(bundle, false).map_err(|error| error.to_string())?);
    let (received, now) = (folder.bytes(&case.file)?, SystemTime::now());
    let singly = processor::process(received.clone(), |name| rules_of(&rules, name), now);
    compare("one by one", &case.expect, &singly, findings);
    compare(
        "in a batch",
        &case.expect,
        &in_a_batch(received, &rules, now),
        findings,
    );
    Ok(())
}

/// The rules of the one channel that there is.
fn rules_of(rules: &Arc<Rules>, name: &str) -> Option<Arc<Rules>> {
    (rules.bundle().channel_id().as_str() == name).then(|| rules.clone())
}

/// As [`processor::process`], but the signature is verified as one of a batch: the way of a busy stream.
fn in_a_batch(received: Bytes, rules: &Arc<Rules>, now: SystemTime) -> Result<Verdict, ProcessError> {
    let opened = processor::open(received)?;
    let rules = rules_of(rules, &opened.channel_header.channel_id).ok_or(ProcessError::UnknownChannel)?;
    let prepared = rules.prepare(opened, now)?;
    let verified = verify_batch(&[prepared.signature(), prepared.signature()]);
    prepared.verdict(verified == [true, true])
}

fn compare(how: &str, expected: &Expected, verdict: &Result<Verdict, ProcessError>, findings: &mut Findings) {
    let status = verdict
        .as_ref()
        .map_or_else(ProcessError::status, |_| Status::Success);
    let reason = verdict
        .as_ref()
        .map_or_else(ToString::to_string, |_| "accepted".to_owned());
    findings.verdict(how, expected.accept, &verdict.as_ref().map(drop));
    findings.equal(
        &format!("status {how} ({reason})"),
        &expected.status,
        &(status as i32),
    );
    findings.equal(
        "status name",
        &expected.status_name.as_str(),
        &status.as_str_name(),
    );
}
