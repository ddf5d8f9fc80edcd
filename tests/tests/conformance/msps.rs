//! MSP configs: is an organisation with such a one accepted (`docs/spec/rules.md` §8.1, §10.1)?

use configtx::Bundle;
use configtx::capability::encode_capabilities;
use prost::Message;
use protos::ChannelId;
use protos::wire::common::{BlockDataHashingStructure, Config, ConfigGroup, ConfigValue, HashingAlgorithm};
use protos::wire::orderer::{BatchSize, BatchTimeout};
use serde::Deserialize;
use serde_json::Value;

use crate::report::{Findings, Outcome};
use crate::vectors::{KeyFolder, id, parse};

#[derive(Deserialize)]
struct Case {
    msp_config_file: String,
    channel_capability: String,
    expect_valid: bool,
}

/// Runs `msps/cases.json`.
pub(crate) fn run(folder: &KeyFolder) -> Result<Vec<Outcome>, String> {
    let cases = folder.cases("msps")?;
    let outcomes = cases
        .iter()
        .enumerate()
        .map(|(index, case)| Outcome::of(id(case, index), |findings| check(folder, case, findings)));
    Ok(outcomes.collect())
}

fn check(folder: &KeyFolder, case: &Value, findings: &mut Findings) -> Result<(), String> {
    let case: Case = parse(case)?;
    let msp = folder.bytes(&case.msp_config_file)?;
    let org = group([("MSP", msp.to_vec())], []);
    let channel = ChannelId::parse("conformance").map_err(|error| error.to_string())?;
    let config = Config {
        sequence: 0,
        channel_group: Some(channel_group(&case.channel_capability, org)),
    };
    findings.verdict(
        "valid",
        case.expect_valid,
        &Bundle::new(channel, config).map(drop),
    );
    Ok(())
}

/// The smallest channel that is valid at this capability, with one application organisation.
fn channel_group(capability: &str, org: ConfigGroup) -> ConfigGroup {
    let batch_size = BatchSize {
        max_message_count: 1,
        absolute_max_bytes: 1,
        preferred_max_bytes: 1,
    };
    let batch_timeout = BatchTimeout {
        timeout: "1s".to_owned(),
    };
    let orderer = group(
        [
            ("BatchSize", batch_size.encode_to_vec()),
            ("BatchTimeout", batch_timeout.encode_to_vec()),
            ("Capabilities", encode_capabilities(["V2_0"]).to_vec()),
        ],
        [],
    );
    let hashing = HashingAlgorithm {
        name: "SHA256".to_owned(),
    };
    let width = BlockDataHashingStructure { width: u32::MAX };
    group(
        [
            ("HashingAlgorithm", hashing.encode_to_vec()),
            ("BlockDataHashingStructure", width.encode_to_vec()),
            ("Capabilities", encode_capabilities([capability]).to_vec()),
        ],
        [("Orderer", orderer), ("Application", group([], [("Org1", org)]))],
    )
}

fn group<const V: usize, const G: usize>(
    values: [(&str, Vec<u8>); V],
    groups: [(&str, ConfigGroup); G],
) -> ConfigGroup {
    let value = |bytes: Vec<u8>| ConfigValue {
        value: bytes.into(),
        ..ConfigValue::default()
    };
    ConfigGroup {
        values: values
            .into_iter()
            .map(|(name, bytes)| (name.to_owned(), value(bytes)))
            .collect(),
        groups: groups
            .into_iter()
            .map(|(name, group)| (name.to_owned(), group))
            .collect(),
        ..ConfigGroup::default()
    }
}
