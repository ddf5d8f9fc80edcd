//! Genesis blocks: header, hashes, metadata slots, and every element of the config (`docs/spec/rules.md` §1, §5, §12).

use bytes::Bytes;
use configtx::Bundle;
use configtx::tree::{Content, Tree};
use protos::block;
use protos::wire::common::{Block, ConfigGroup, Policy};
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
    let bundle = Bundle::from_block(found).map_err(|error| error.to_string())?;
    findings.equal("channel", &case.channel.as_str(), &bundle.channel_id().as_str());
    findings.equal("config sequence", &case.config_sequence, &bundle.sequence().0);
    let mut listing = Listing::default();
    listing.add(&bundle.config().channel_group.clone().unwrap_or_default())?;
    findings.same_list("groups", &case.groups, &sorted(listing.groups));
    findings.same_list("values", &case.values, &sorted(listing.values));
    findings.same_list("policies", &case.policies, &sorted(listing.policies));
    Ok(())
}

/// Every element of a config, one line each, as the vectors write them.
#[derive(Default)]
pub(crate) struct Listing {
    pub(crate) groups: Vec<String>,
    pub(crate) values: Vec<String>,
    pub(crate) policies: Vec<String>,
}

impl Listing {
    pub(crate) fn add(&mut self, root: &ConfigGroup) -> Result<(), String> {
        let tree = Tree::flatten(root).map_err(|error| error.to_string())?;
        for (key, element) in tree.iter() {
            let head = format!(
                "{} v{} mod_policy={}",
                key.path, element.version, element.mod_policy
            );
            match &element.content {
                Content::Group(_) => self.groups.push(head),
                Content::Value(value) => self.values.push(format!("{head} value_sha256={}", sha256(value))),
                Content::Policy(policy) => {
                    let Policy { r#type, value } = policy.clone().unwrap_or_default();
                    self.policies
                        .push(format!("{head} type={} value_sha256={}", r#type, sha256(&value)));
                }
            }
        }
        Ok(())
    }
}

fn sorted(mut lines: Vec<String>) -> Vec<String> {
    lines.sort();
    lines
}

fn sha256(bytes: &Bytes) -> String {
    hex::encode(Sha256::digest(bytes))
}
