//! Genesis blocks: header, hashes, metadata slots, and every element of the config (`docs/spec/rules.md` §1, §5, §12).

use bytes::Bytes;
use prost::Message;
use protos::block;
use protos::wire::common::{Block, ChannelHeader, Config, ConfigEnvelope, ConfigGroup, Envelope, Payload};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::report::{Findings, Outcome};
use crate::vectors::KeyFolder;

#[derive(Deserialize)]
struct Case {
    channel: String,
    number: u64,
    previous_hash_hex: String,
    header_der_hex: String,
    header_hash_hex: String,
    data_hash_hex: String,
    data_hash_in_header_hex: String,
    metadata_slots_hex: Vec<String>,
    config_sequence: u64,
    groups: Vec<String>,
    values: Vec<String>,
    policies: Vec<String>,
}

/// Runs every `blocks/NAME.json` with its `blocks/NAME.block`.
pub(crate) fn run(folder: &KeyFolder) -> Result<Vec<Outcome>, String> {
    let names = folder.names("blocks", "json")?;
    let outcomes = names.into_iter().map(|name| {
        Outcome::of(name.as_str(), |findings| {
            let case: Case = folder.json(&format!("blocks/{name}.json"))?;
            let block = folder.block(&format!("blocks/{name}.block"))?;
            header(&case, &block, findings)?;
            config(&case, &block, findings)
        })
    });
    Ok(outcomes.collect())
}

fn header(case: &Case, found: &Block, findings: &mut Findings) -> Result<(), String> {
    let header = found.header.as_ref().ok_or("the block has no header")?;
    let data = found.data.clone().unwrap_or_default();
    let slots: Vec<_> = found
        .metadata
        .iter()
        .flat_map(|m| m.metadata.iter().map(hex::encode))
        .collect();
    findings.equal("number", &case.number, &header.number);
    findings.equal(
        "previous hash",
        &case.previous_hash_hex,
        &hex::encode(&header.previous_hash),
    );
    findings.equal(
        "header DER",
        &case.header_der_hex,
        &hex::encode(block::header_bytes(header)),
    );
    findings.equal(
        "header hash",
        &case.header_hash_hex,
        &hex::encode(block::header_hash(header)),
    );
    findings.equal(
        "data hash",
        &case.data_hash_hex,
        &hex::encode(block::block_data_hash(&data)),
    );
    findings.equal(
        "data hash in header",
        &case.data_hash_in_header_hex,
        &hex::encode(&header.data_hash),
    );
    findings.equal(
        "metadata slots",
        &case.metadata_slots_hex.join("|"),
        &slots.join("|"),
    );
    Ok(())
}

fn config(case: &Case, found: &Block, findings: &mut Findings) -> Result<(), String> {
    let (channel, config) = read_config(found).ok_or("the block is no config block")?;
    findings.equal("channel", &case.channel, &channel);
    findings.equal("config sequence", &case.config_sequence, &config.sequence);
    let mut listing = Listing::default();
    listing.add("/Channel", &config.channel_group.unwrap_or_default());
    findings.same_list("groups", &case.groups, &sorted(listing.groups));
    findings.same_list("values", &case.values, &sorted(listing.values));
    findings.same_list("policies", &case.policies, &sorted(listing.policies));
    Ok(())
}

fn read_config(found: &Block) -> Option<(String, Config)> {
    let entry = found.data.as_ref()?.data.first()?;
    let payload = Payload::decode(Envelope::decode(entry.clone()).ok()?.payload).ok()?;
    let header = ChannelHeader::decode(payload.header?.channel_header).ok()?;
    let config = ConfigEnvelope::decode(payload.data).ok()?.config?;
    Some((header.channel_id, config))
}

/// Every element of a config, one line each, as the vectors write them.
#[derive(Default)]
struct Listing {
    groups: Vec<String>,
    values: Vec<String>,
    policies: Vec<String>,
}

impl Listing {
    fn add(&mut self, path: &str, group: &ConfigGroup) {
        self.groups.push(format!(
            "{path} v{} mod_policy={}",
            group.version, group.mod_policy
        ));
        for (name, value) in &group.values {
            let (version, policy, hash) = (value.version, &value.mod_policy, sha256(&value.value));
            self.values.push(format!(
                "{path}/{name} v{version} mod_policy={policy} value_sha256={hash}"
            ));
        }
        for (name, policy) in &group.policies {
            let (version, mod_policy) = (policy.version, &policy.mod_policy);
            let held = policy.policy.clone().unwrap_or_default();
            let (kind, hash) = (held.r#type, sha256(&held.value));
            self.policies.push(format!(
                "{path}/{name} v{version} mod_policy={mod_policy} type={kind} value_sha256={hash}"
            ));
        }
        for (name, below) in &group.groups {
            self.add(&format!("{path}/{name}"), below);
        }
    }
}

fn sorted(mut lines: Vec<String>) -> Vec<String> {
    lines.sort();
    lines
}

fn sha256(bytes: &Bytes) -> String {
    hex::encode(Sha256::digest(bytes))
}
