//! Blocks fetched from live orderers: hashes, metadata, links, signatures (`docs/spec/rules.md` §1, §2).

use std::sync::Arc;

use configtx::{Bundle, block_verify, validator};
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
    from_orderer: u64,
    /// Under the config in force before the block; the genesis block has none.
    signatures_valid: Option<bool>,
}

/// Runs `chain/cases.json`.
pub(crate) fn run(folder: &KeyFolder) -> Result<Vec<Outcome>, String> {
    let values = folder.cases("chain")?;
    let cases: Vec<Result<Case, String>> = values.iter().map(parse).collect();
    let outcomes = cases
        .iter()
        .zip(&values)
        .enumerate()
        .map(|(index, (case, value))| {
            let place = format!("[{index}]");
            let name = value.get("file").and_then(Value::as_str).unwrap_or(&place);
            let chains = Chains {
                folder,
                cases: &cases,
            };
            Outcome::of(name, |findings| chains.check(case.as_ref()?, findings))
        });
    Ok(outcomes.collect())
}

/// The blocks of all chains: what comes before a block decides how it is judged.
struct Chains<'a> {
    folder: &'a KeyFolder,
    cases: &'a [Result<Case, String>],
}

impl Chains<'_> {
    fn check(&self, case: &Case, findings: &mut Findings) -> Result<(), String> {
        let found = self.folder.block(&case.file)?;
        header_and_data(case, &found, findings)?;
        metadata(case, &found, findings)?;
        config_sequence(case, &found, findings)?;
        if let Some(expected) = case.signatures_valid {
            let bundle = self.config_before(case)?;
            findings.verdict(
                "signatures",
                expected,
                &block_verify::verify_signatures(&found, &bundle),
            );
            findings.verdict("content", case.well_formed, &block_verify::verify_content(&found));
        }
        if case.config_block && case.number > 0 {
            let committed = validator::validate(&*self.config_before(case)?, &found);
            findings.verdict("commit", true, &committed.map(drop));
        }
        if let Some(previous) = self.before(case).find(|before| before.number + 1 == case.number) {
            let previous = self.folder.block(&previous.file)?.header.unwrap_or_default();
            findings.verdict("link", true, &block_verify::verify_link(&previous, &found));
        }
        Ok(())
    }

    /// Cases of the same chain, as the same orderer has it, with lower numbers.
    fn before<'a>(&'a self, case: &'a Case) -> impl Iterator<Item = &'a Case> {
        self.cases
            .iter()
            .filter_map(|other| other.as_ref().ok())
            .filter(|other| {
                other.chain() == case.chain()
                    && other.from_orderer == case.from_orderer
                    && other.number < case.number
            })
    }

    /// The config in force before the block: that of the newest config block below it, at least the genesis block.
    fn config_before(&self, case: &Case) -> Result<Arc<Bundle>, String> {
        let newest = self
            .before(case)
            .filter(|before| before.config_block)
            .max_by_key(|before| before.number);
        let genesis = || format!("blocks/{}.block", case.chain());
        self.folder
            .bundle(&newest.map_or_else(genesis, |config| config.file.clone()))
    }
}

impl Case {
    /// Name of the folder that the block lies in: the channel.
    fn chain(&self) -> &str {
        self.file.rsplit('/').nth(1).unwrap_or_default()
    }
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
