//! Blocks fetched from live orderers: hashes, metadata, links, signatures (`docs/spec/rules.md` §1, §2).

use configtx::Bundle;
use prost::Message;
use protos::block;
use protos::wire::common::{Block, IdentifierHeader};
use serde::Deserialize;
use serde_json::Value;

use crate::report::{Findings, Outcome};
use crate::vectors::{KeyFolder, parse};

#[derive(Deserialize)]
struct Case {
    file: String,
    number: u64,
    previous_hash_hex: String,
    data_hash_hex: String,
    header_hash_hex: String,
    transactions: usize,
    well_formed: bool,
    config_block: bool,
    last_config_index: u64,
    consenter_metadata_hex: String,
    signatures: usize,
    identifier_headers: Vec<u32>,
    /// Of the config that the block holds; only for config blocks.
    config_sequence: Option<u64>,
}

/// Runs `chain/cases.json`.
pub(crate) fn run(folder: &KeyFolder) -> Result<Vec<Outcome>, String> {
    let cases = folder.cases("chain")?;
    let outcomes = cases.iter().enumerate().map(|(index, value)| {
        let place = format!("[{index}]");
        let name = value.get("file").and_then(Value::as_str).unwrap_or(&place);
        Outcome::of(name, |findings| check(folder, &parse(value)?, findings))
    });
    Ok(outcomes.collect())
}

fn check(folder: &KeyFolder, case: &Case, findings: &mut Findings) -> Result<(), String> {
    let found = folder.block(&case.file)?;
    header_and_data(case, &found, findings)?;
    metadata(case, &found, findings)?;
    config_sequence(case, &found, findings)
}

fn header_and_data(case: &Case, found: &Block, findings: &mut Findings) -> Result<(), String> {
    let header = found.header.as_ref().ok_or("the block has no header")?;
    let data = found.data.clone().unwrap_or_default();
    findings.equal("number", &case.number, &header.number);
    findings.equal(
        "previous hash",
        &case.previous_hash_hex,
        &hex::encode(&header.previous_hash),
    );
    findings.equal(
        "data hash",
        &case.data_hash_hex,
        &hex::encode(block::block_data_hash(&data)),
    );
    findings.equal(
        "data hash in header",
        &case.data_hash_hex,
        &hex::encode(&header.data_hash),
    );
    findings.equal(
        "header hash",
        &case.header_hash_hex,
        &hex::encode(block::header_hash(header)),
    );
    findings.equal("transactions", &case.transactions, &data.data.len());
    findings.verdict("well-formed", case.well_formed, &block::check_well_formed(&data));
    findings.equal("config block", &case.config_block, &block::is_config_block(found));
    Ok(())
}

fn metadata(case: &Case, found: &Block, findings: &mut Findings) -> Result<(), String> {
    let text = |error: block::MetadataError| error.to_string();
    let orderer = block::orderer_metadata(found)
        .map_err(text)?
        .ok_or("slot 0 is empty")?;
    let slot = block::metadata(found, block::SLOT_SIGNATURES).map_err(text)?;
    let last_config = block::last_config(found).map_err(text)?;
    findings.equal("last config", &case.last_config_index, &last_config.0);
    findings.equal(
        "consenter metadata",
        &case.consenter_metadata_hex,
        &hex::encode(&orderer.consenter_metadata),
    );
    findings.equal("signatures", &case.signatures, &slot.signatures.len());
    let named = slot
        .signatures
        .iter()
        .map(|signature| &signature.identifier_header);
    let identifiers: Vec<u32> = named
        .filter(|header| !header.is_empty())
        .map(|header| IdentifierHeader::decode(header.clone()).map(|header| header.identifier))
        .collect::<Result<_, _>>()
        .map_err(|error| format!("identifier header: {error}"))?;
    let (expected, got) = (
        format!("{:?}", case.identifier_headers),
        format!("{identifiers:?}"),
    );
    findings.equal("identifier headers", &expected, &got);
    Ok(())
}

fn config_sequence(case: &Case, found: &Block, findings: &mut Findings) -> Result<(), String> {
    if let Some(expected) = case.config_sequence {
        let bundle = Bundle::from_block(found).map_err(|error| error.to_string())?;
        findings.equal("config sequence", &expected, &bundle.sequence().0);
    }
    Ok(())
}
