//! Header encodings and hashes, data hashes and well-formedness, transaction ids (`docs/spec/rules.md` §1, §3).

use protos::wire::common::{BlockData, BlockHeader};
use protos::{TxId, block};
use serde::Deserialize;
use serde_json::Value;

use crate::report::{Findings, Outcome};
use crate::vectors::{Base64, Hex, KeyFolder, id, parse};

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    headers: Vec<Value>,
    #[serde(default)]
    block_data: Vec<Value>,
    #[serde(default)]
    tx_ids: Vec<Value>,
}

#[derive(Deserialize)]
struct HeaderCase {
    /// In decimal; a text, since it may be above what JSON numbers carry safely.
    number: String,
    previous_hash_hex: Hex,
    data_hash_hex: Hex,
    der_hex: String,
    hash_hex: String,
}

#[derive(Deserialize)]
struct DataCase {
    data_b64: Vec<Base64>,
    raw_hash_hex: String,
    well_formed: bool,
}

#[derive(Deserialize)]
struct TransactionCase {
    nonce_hex: Hex,
    creator_b64: Base64,
    tx_id: String,
}

type Check = fn(&Value, &mut Findings) -> Result<(), String>;

/// Runs `hashes/cases.json`.
pub(crate) fn run(folder: &KeyFolder) -> Result<Vec<Outcome>, String> {
    let file: File = folder.json("hashes/cases.json")?;
    let lists: [(&str, Vec<Value>, Check); 3] = [
        ("header", file.headers, header),
        ("data", file.block_data, data),
        ("tx", file.tx_ids, tx),
    ];
    let mut outcomes = Vec::new();
    for (list, cases, check) in lists {
        outcomes.extend(cases.iter().enumerate().map(|(index, case)| {
            Outcome::of(format!("{list} {}", id(case, index)), |findings| {
                check(case, findings)
            })
        }));
    }
    Ok(outcomes)
}

fn header(case: &Value, findings: &mut Findings) -> Result<(), String> {
    let case: HeaderCase = parse(case)?;
    let header = BlockHeader {
        number: case
            .number
            .parse()
            .map_err(|error| format!("number {}: {error}", case.number))?,
        previous_hash: case.previous_hash_hex.0,
        data_hash: case.data_hash_hex.0,
    };
    findings.equal("DER", &case.der_hex, &hex::encode(block::header_bytes(&header)));
    findings.equal("hash", &case.hash_hex, &hex::encode(block::header_hash(&header)));
    Ok(())
}

fn data(case: &Value, findings: &mut Findings) -> Result<(), String> {
    let case: DataCase = parse(case)?;
    let data = BlockData {
        data: case.data_b64.into_iter().map(|entry| entry.0).collect(),
    };
    findings.equal(
        "data hash",
        &case.raw_hash_hex,
        &hex::encode(block::block_data_hash(&data)),
    );
    findings.verdict("well-formed", case.well_formed, &block::check_well_formed(&data));
    Ok(())
}

fn tx(case: &Value, findings: &mut Findings) -> Result<(), String> {
    let case: TransactionCase = parse(case)?;
    let got = TxId::compute(&case.nonce_hex.0, &case.creator_b64.0);
    findings.equal("tx id", &case.tx_id, &got.to_string());
    Ok(())
}
