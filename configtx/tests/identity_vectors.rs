//! The reference's verdicts on policies, principals and MSP settings, for both key types.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use configtx::identity::{Msp, MspLevel, MspManager};
use configtx::policy::{PolicyTree, SignedData};
use prost::Message as _;
use protos::wire::common::{
    Block, Capabilities, ConfigEnvelope, ConfigGroup, ConfigPolicy, Envelope, MspPrincipal, Payload, Policy,
};
use protos::wire::msp::MspConfig;
use serde::Deserialize;

const KEY_TYPES: [&str; 2] = ["ecdsa", "ed25519"];

#[derive(Deserialize)]
struct PolicyCase {
    id: String,
    msps_from: String,
    expect: bool,
    policy_b64: Option<String>,
    policy_path: Option<String>,
    policy_compiles: Option<bool>,
    principal_b64: Option<String>,
    identity_b64: Option<String>,
    #[serde(default)]
    signers: Vec<Signer>,
}

#[derive(Deserialize)]
struct Signer {
    #[serde(rename = "identity_b64")]
    identity: String,
    #[serde(rename = "data_b64")]
    data: String,
    #[serde(rename = "signature_b64")]
    signature: String,
}

#[derive(Deserialize)]
struct MspCase {
    id: String,
    msp_config_file: String,
    channel_capability: String,
    expect_valid: bool,
}

fn folder(key_type: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/vectors")
        .join(key_type)
}

fn read(path: &Path) -> Bytes {
    std::fs::read(path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        .into()
}

fn cases<T: for<'de> Deserialize<'de>>(key_type: &str, kind: &str) -> Vec<T> {
    serde_json::from_slice(&read(&folder(key_type).join(kind).join("cases.json"))).unwrap()
}

fn bytes(base64: &str) -> Bytes {
    STANDARD.decode(base64).unwrap().into()
}

fn level(capability: &str) -> MspLevel {
    match capability {
        "V3_0" => MspLevel::V3_0,
        "V2_0" => MspLevel::V1_4_3,
        other => panic!("no level for {other}"),
    }
}

/// The MSPs and the channel group of the config in a block.
struct Channel {
    root: ConfigGroup,
    msps: Arc<MspManager>,
}

impl Channel {
    fn read(key_type: &str, block: &str) -> Self {
        let block = Block::decode(read(&folder(key_type).join(block))).unwrap();
        let envelope = Envelope::decode(block.data.unwrap().data[0].clone()).unwrap();
        let payload = Payload::decode(envelope.payload).unwrap();
        let config = ConfigEnvelope::decode(payload.data).unwrap().config.unwrap();
        let root = config.channel_group.unwrap();
        let capabilities = Capabilities::decode(root.values["Capabilities"].value.clone()).unwrap();
        let (capability, _) = capabilities.capabilities.last_key_value().unwrap();
        let mut orgs = Vec::new();
        collect_msps("/Channel", &root, &mut orgs);
        let msps = Arc::new(MspManager::new(orgs, level(capability)).unwrap());
        Self { root, msps }
    }
}

fn collect_msps(path: &str, group: &ConfigGroup, found: &mut Vec<(String, MspConfig)>) {
    if let Some(msp) = group.values.get("MSP") {
        found.push((path.to_owned(), MspConfig::decode(msp.value.clone()).unwrap()));
    }
    for (name, group) in &group.groups {
        collect_msps(&format!("{path}/{name}"), group, found);
    }
}

/// True when the policy, or principal, of the case compiles and holds.
fn verdict(case: &PolicyCase, channel: &Channel) -> bool {
    if let (Some(principal), Some(identity)) = (&case.principal_b64, &case.identity_b64) {
        let principal = MspPrincipal::decode(bytes(principal)).unwrap();
        let identity = channel.msps.identity(&bytes(identity));
        return identity.is_ok_and(|identity| identity.satisfies(&channel.msps.principal(&principal)));
    }
    let (root, path) = match &case.policy_b64 {
        Some(policy) => (&group_with(bytes(policy)), "/Channel/Case"),
        None => (&channel.root, case.policy_path.as_deref().unwrap()),
    };
    let tree = PolicyTree::new(root, &channel.msps);
    let compiles = case.policy_b64.is_none() || case.policy_compiles == Some(true);
    assert_eq!(tree.is_ok(), compiles, "{}: {:?}", case.id, tree.err());
    let Ok(tree) = tree else { return false };
    let signers: Vec<[Bytes; 3]> = case
        .signers
        .iter()
        .map(|one| [bytes(&one.identity), bytes(&one.data), bytes(&one.signature)])
        .collect();
    let signed: Vec<_> = signers
        .iter()
        .map(|[identity, data, signature]| SignedData {
            identity,
            data,
            signature,
        })
        .collect();
    tree.evaluate(path, &signed).is_ok()
}

fn group_with(policy: Bytes) -> ConfigGroup {
    let entry = ConfigPolicy {
        policy: Some(Policy::decode(policy).unwrap()),
        ..ConfigPolicy::default()
    };
    ConfigGroup {
        policies: [("Case".to_owned(), entry)].into(),
        ..ConfigGroup::default()
    }
}

#[test]
fn policies_and_principals_decide_as_the_reference_does() {
    for key_type in KEY_TYPES {
        let mut channels = BTreeMap::new();
        let mut wrong = Vec::new();
        let cases: Vec<PolicyCase> = cases(key_type, "policies");
        for case in &cases {
            let channel = channels
                .entry(case.msps_from.clone())
                .or_insert_with(|| Channel::read(key_type, &case.msps_from));
            if verdict(case, channel) != case.expect {
                wrong.push(&case.id);
            }
        }
        assert!(cases.len() > 60, "{}", cases.len());
        assert!(wrong.is_empty(), "{key_type}: {wrong:?}");
    }
}

#[test]
fn msp_settings_are_accepted_as_the_reference_accepts_them() {
    for key_type in KEY_TYPES {
        let cases: Vec<MspCase> = cases(key_type, "msps");
        assert!(cases.len() > 20, "{}", cases.len());
        for case in cases {
            let config = MspConfig::decode(read(&folder(key_type).join(&case.msp_config_file))).unwrap();
            let msp = Msp::new(&config, level(&case.channel_capability));
            assert_eq!(
                msp.is_ok(),
                case.expect_valid,
                "{key_type} {}: {:?}",
                case.id,
                msp.err()
            );
        }
    }
}
