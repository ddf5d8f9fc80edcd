//! Config updates as Broadcast receives them: the status that the processor gives, and the config that comes of an
//! accepted one (`docs/spec/rules.md` §4, §7, §8).
//!
//! No chain runs: the processor is given what a chain would tell it of its members. An accepted config is also taken
//! through the checks that the block writer makes before it commits one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use configtx::consensus_metadata::{ETCDRAFT, RaftMetadata};
use configtx::encode::encode_config;
use configtx::identity::SigningIdentity;
use configtx::{Bundle, Severity, validator};
use consensus::Members;
use orderer::processor::{self, Checked, ProcessError, Proposer, Rules, Verdict, config_update};
use prost::Message;
use protos::block;
use protos::envelope::Opened;
use protos::wire::common::{Config, ConfigEnvelope, HeaderType, Status};
use protos::{BlockNumber, ChannelId, ConsenterId};
use serde::Deserialize;
use serde_json::Value;

use crate::blocks::Listing;
use crate::report::{Findings, Outcome};
use crate::vectors::{KeyFolder, id, parse};

/// The node that the vectors were made on.
const NODE_MSP: &str = "OrdererMSP";
const NODE_FOLDER: &str = "crypto/ordererOrganizations/ord.vec.test/orderers/o1.ord.vec.test/msp";
/// Config block a config is derived from, through at most as many updates.
const CHAINED_MAX: usize = 16;

#[derive(Deserialize)]
struct Case {
    file: String,
    channel_config_from: String,
    expect: Expected,
    resulting_config: Option<String>,
    resulting_versions_changed: Option<Vec<String>>,
    active_raft_ids: Option<Vec<u64>>,
}

#[derive(Deserialize)]
struct Expected {
    accept: bool,
    status: i32,
    status_name: String,
    reference_info: Option<String>,
}

/// What marks a text that tools compare (`docs/spec/dropin.md` §3): ours begins with the reference's whole text then.
const COMPARED: [&str; 9] = [
    "nodes are alive, configuration will result in quorum loss",
    "must be greater than HeartbeatTick",
    "x509: certificate signed by unknown authority",
    "global OrdererAddresses are not allowed",
    "changes to groups within the Orderer group",
    "more then just the ConsensusType value",
    "transition not supported",
    "bft consenters are missing",
    "normal transactions are rejected",
];

/// Runs `updates/cases.json`.
pub(crate) fn run(folder: &KeyFolder) -> Result<Vec<Outcome>, String> {
    let cases = folder.cases("updates")?;
    let node = folder.identity(NODE_MSP, NODE_FOLDER)?;
    let outcomes = cases.iter().enumerate().map(|(index, case)| {
        Outcome::of(id(case, index), |findings| {
            let case: Case = parse(case)?;
            let current = config_in_force(folder, &cases, &case.channel_config_from)?;
            check(folder, &case, &current, &node, findings)
        })
    });
    Ok(outcomes.collect())
}

/// The config that a case starts from: that of a block, or what an update before has led to.
fn config_in_force(folder: &KeyFolder, cases: &[Value], path: &str) -> Result<Arc<Bundle>, String> {
    let origin = origin(cases, path)?;
    let genesis = folder.bundle(&origin)?;
    if origin == path {
        return Ok(genesis);
    }
    let channel: ChannelId = genesis.channel_id().clone();
    let config = folder.config(path)?;
    Bundle::new(channel, config)
        .map(Arc::new)
        .map_err(|error| format!("{path}: {error}"))
}

/// The block at the beginning of a row of updates.
fn origin(cases: &[Value], path: &str) -> Result<String, String> {
    let mut path = path.to_owned();
    for _ in 0..CHAINED_MAX {
        let led_here = |case: &&Value| case.get("resulting_config").and_then(Value::as_str) == Some(&path);
        let Some(case) = cases.iter().find(led_here) else {
            return Ok(path);
        };
        path = parse::<Case>(case)?.channel_config_from;
    }
    Err(format!("{path} is derived from itself"))
}

fn check(
    folder: &KeyFolder,
    case: &Case,
    current: &Arc<Bundle>,
    node: &SigningIdentity,
    findings: &mut Findings,
) -> Result<(), String> {
    let members = members(current, case)?;
    let rules = Arc::new(Rules::new(Arc::clone(current), false).map_err(|error| error.to_string())?);
    let received = folder.bytes(&case.file)?;
    let proposed = propose(received.clone(), &rules, node, &members);
    compare(&case.expect, &proposed, findings);
    match (proposed, &case.resulting_config) {
        (Ok(checked), Some(path)) => {
            let made = open_config(&checked, &received, findings)?;
            compare_config(folder, path, case, current, &made, findings)?;
            commit(&checked, current, &made, findings);
            again(&checked, &rules, node, &members, &made, findings)
        }
        (Ok(_), None) if case.expect.accept => Err("the case names no resulting config".to_owned()),
        _ => Ok(()),
    }
}

/// The raft ids of a channel whose members never changed, all alive unless the case says otherwise.
fn members(current: &Bundle, case: &Case) -> Result<Members, String> {
    let consensus = &current.orderer().consensus_type;
    if consensus.kind != ETCDRAFT {
        return Ok(Members::default());
    }
    let metadata = RaftMetadata::read(&consensus.metadata, Severity::Commit);
    let count = metadata.map_err(|error| error.to_string())?.consenters.len() as u64;
    let ids: Vec<_> = (1..=count).map(ConsenterId).collect();
    let alive = case.active_raft_ids.as_ref();
    let active = alive.map_or_else(
        || ids.clone(),
        |alive| alive.iter().copied().map(ConsenterId).collect(),
    );
    Ok(Members { ids, active })
}

fn propose(
    received: Bytes,
    rules: &Arc<Rules>,
    node: &SigningIdentity,
    members: &Members,
) -> Result<Checked, ProcessError> {
    let now = SystemTime::now();
    let own = |name: &str| (rules.bundle().channel_id().as_str() == name).then(|| rules.clone());
    match processor::process(received, own, now)? {
        Verdict::Ready(checked) => Ok(checked),
        Verdict::Update(update) => update.propose(&Proposer {
            identity: node,
            nonce: [24; config_update::NONCE_BYTES],
            members,
            now,
        }),
    }
}

fn compare(expected: &Expected, proposed: &Result<Checked, ProcessError>, findings: &mut Findings) {
    let status = proposed
        .as_ref()
        .map_or_else(ProcessError::status, |_| Status::Success);
    let reason = proposed
        .as_ref()
        .map_or_else(ToString::to_string, |_| "accepted".to_owned());
    findings.verdict("update", expected.accept, &proposed.as_ref().map(drop));
    compare_text(expected, &reason, findings);
    findings.equal(&format!("status ({reason})"), &expected.status, &(status as i32));
    findings.equal(
        "status name",
        &expected.status_name.as_str(),
        &status.as_str_name(),
    );
}

fn compare_text(expected: &Expected, ours: &str, findings: &mut Findings) {
    let Some(reference) = &expected.reference_info else {
        return;
    };
    let is_compared = COMPARED.iter().any(|mark| reference.contains(mark));
    if is_compared && !ours.starts_with(reference.as_str()) {
        findings.note(format!(
            "the text begins otherwise than in the reference: {ours:?}, expected {reference:?}"
        ));
    }
}

/// The config in the envelope that was made, whose last update must be the received one.
fn open_config(checked: &Checked, received: &Bytes, findings: &mut Findings) -> Result<Made, String> {
    let opened = Opened::open(checked.envelope.entry().clone()).map_err(|error| error.to_string())?;
    findings.equal(
        "header type",
        &(HeaderType::Config as i32),
        &opened.channel_header.r#type,
    );
    let envelope = ConfigEnvelope::decode(opened.data.clone()).map_err(|error| error.to_string())?;
    let last_update = envelope.last_update.unwrap_or_default().encode_to_vec();
    findings.equal("last update", &hex::encode(received), &hex::encode(last_update));
    let config = envelope.config.ok_or("the envelope has no config")?;
    Ok(Made {
        config,
        data: opened.data,
    })
}

/// What was made of an update.
struct Made {
    config: Config,
    /// The serialized config envelope.
    data: Bytes,
}

fn compare_config(
    folder: &KeyFolder,
    path: &str,
    case: &Case,
    current: &Bundle,
    made: &Made,
    findings: &mut Findings,
) -> Result<(), String> {
    let expected = folder.bytes(path)?;
    let decoded = folder.config(path)?;
    if decoded != made.config {
        findings.note(format!("the config is not that of {path}"));
    }
    // The reference wrote it with its maps in order, as this node writes every config.
    let bytes = encode_config(&made.config);
    findings.equal(
        "bytes of the config",
        &hex::encode(&expected),
        &hex::encode(&bytes),
    );
    if !contains(&made.data, &bytes) {
        findings.note("the envelope holds another encoding of the config".to_owned());
    }
    let changed = changes(current.config(), &made.config)?;
    let stated = case.resulting_versions_changed.clone().unwrap_or_default();
    findings.same_list("change", &stated, &changed);
    Ok(())
}

fn contains(whole: &[u8], part: &[u8]) -> bool {
    whole.windows(part.len()).any(|window| window == part)
}

/// What differs between two configs, as the vectors write it.
fn changes(old: &Config, new: &Config) -> Result<Vec<String>, String> {
    let (before, after) = (lines(old)?, lines(new)?);
    let mut changed = Vec::new();
    for (element, state) in &after {
        match before.get(element) {
            None => changed.push(format!("added {element} {state}")),
            Some(was) if was != state => changed.push(format!("changed {element}: {was} -> {state}")),
            Some(_) => {}
        }
    }
    let gone = before.keys().filter(|element| !after.contains_key(*element));
    changed.extend(gone.map(|element| format!("removed {element}")));
    changed.sort();
    changed.insert(0, format!("sequence {}", new.sequence));
    Ok(changed)
}

/// Kind and path of each element, and what stands there.
fn lines(config: &Config) -> Result<BTreeMap<String, String>, String> {
    let mut listing = Listing::default();
    listing.add(&config.channel_group.clone().unwrap_or_default())?;
    let kinds = [
        ("G", listing.groups),
        ("V", listing.values),
        ("P", listing.policies),
    ];
    let of_kind = kinds.into_iter().flat_map(|(kind, lines)| {
        lines.into_iter().map(move |line| {
            let (path, state) = line.split_once(' ').unwrap_or((&line, ""));
            (format!("{kind} {path}"), state.to_owned())
        })
    });
    Ok(of_kind.collect())
}

/// A block of that envelope must pass as a committed one.
fn commit(checked: &Checked, current: &Bundle, made: &Made, findings: &mut Findings) {
    let block = block::next(BlockNumber(1), &[0; 32], vec![checked.envelope.entry().clone()]);
    match validator::validate(current, &block) {
        Ok(bundle) if *bundle.config() == made.config => {}
        Ok(_) => findings.note("commit gives another config".to_owned()),
        Err(error) => findings.note(format!("commit: expected acceptance, got: {error}")),
    }
}

/// Made anew from its last update, the config must be the same.
fn again(
    checked: &Checked,
    rules: &Arc<Rules>,
    node: &SigningIdentity,
    members: &Members,
    made: &Made,
    findings: &mut Findings,
) -> Result<(), String> {
    let update = config_update::last_update(&checked.envelope).map_err(|error| error.to_string())?;
    match propose(update.clone(), rules, node, members) {
        Ok(checked) if open_config(&checked, &update, findings)?.config == made.config => {}
        Ok(_) => findings.note("made anew from its last update it is another config".to_owned()),
        Err(error) => findings.note(format!("made anew: expected acceptance, got: {error}")),
    }
    Ok(())
}
