//! Signature policies, policies of a config by path, and single principals (`docs/spec/rules.md` §6, §9).

use bytes::Bytes;
use configtx::Bundle;
use configtx::policy::{PolicyTree, SignedData};
use prost::Message;
use protos::wire::common::{ConfigGroup, ConfigPolicy, MspPrincipal, Policy};
use serde::Deserialize;
use serde_json::Value;

use crate::report::{Findings, Outcome};
use crate::vectors::{Base64, KeyFolder, id, parse};

/// Name given to a policy that a case brings along.
const OWN: &str = "Own";

#[derive(Deserialize)]
struct Case {
    msps_from: String,
    expect: bool,
    #[serde(flatten)]
    asked: Asked,
}

/// What is asked about the config of the case.
#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum Asked {
    /// Is this policy, which the config does not have, met by the signers?
    Signature {
        policy_b64: Base64,
        policy_compiles: bool,
        #[serde(default)]
        signers: Vec<Signer>,
    },
    /// Is the config's policy at this path met by the signers?
    Path {
        policy_path: String,
        #[serde(default)]
        signers: Vec<Signer>,
    },
    /// Does this identity satisfy the principal?
    Principal {
        principal_b64: Base64,
        identity_b64: Base64,
    },
}

#[derive(Deserialize)]
struct Signer {
    #[serde(rename = "identity_b64")]
    identity: Base64,
    #[serde(rename = "data_b64")]
    data: Base64,
    #[serde(rename = "signature_b64")]
    signature: Base64,
}

/// Runs `policies/cases.json`.
pub(crate) fn run(folder: &KeyFolder) -> Result<Vec<Outcome>, String> {
    let cases = folder.cases("policies")?;
    let outcomes = cases
        .iter()
        .enumerate()
        .map(|(index, case)| Outcome::of(id(case, index), |findings| check(folder, case, findings)));
    Ok(outcomes.collect())
}

fn check(folder: &KeyFolder, case: &Value, findings: &mut Findings) -> Result<(), String> {
    let case: Case = parse(case)?;
    let bundle = folder.bundle(&case.msps_from)?;
    match case.asked {
        Asked::Signature {
            policy_b64,
            policy_compiles,
            signers,
        } => {
            let tree = compile(&bundle, policy_b64.0);
            findings.verdict("compiles", policy_compiles, &tree.as_ref().map(drop));
            let met = tree.and_then(|tree| evaluate(&tree, OWN, &signers));
            findings.verdict("policy", case.expect, &met);
        }
        Asked::Path { policy_path, signers } => {
            findings.verdict(
                "policy",
                case.expect,
                &evaluate(bundle.policies(), &policy_path, &signers),
            );
        }
        Asked::Principal {
            principal_b64,
            identity_b64,
        } => {
            findings.verdict(
                "principal",
                case.expect,
                &satisfies(&bundle, principal_b64.0, &identity_b64.0)?,
            );
        }
    }
    Ok(())
}

/// A tree with this one policy in its root, and the identities of `bundle`.
fn compile(bundle: &Bundle, policy: Bytes) -> Result<PolicyTree, String> {
    let policy = Policy::decode(policy).map_err(|error| error.to_string())?;
    let policy = ConfigPolicy {
        policy: Some(policy),
        ..ConfigPolicy::default()
    };
    let root = ConfigGroup {
        policies: [(OWN.to_owned(), policy)].into(),
        ..ConfigGroup::default()
    };
    PolicyTree::new(&root, bundle.msps()).map_err(|error| error.to_string())
}

fn evaluate(tree: &PolicyTree, path: &str, signers: &[Signer]) -> Result<(), String> {
    let signed = signers.iter().map(|signer| SignedData {
        identity: &signer.identity.0,
        data: &signer.data.0,
        signature: &signer.signature.0,
    });
    tree.evaluate(path, &signed.collect::<Vec<_>>())
        .map_err(|error| error.to_string())
}

/// The outer error: the case itself is broken. The inner one: the identity does not satisfy the principal.
fn satisfies(bundle: &Bundle, principal: Bytes, identity: &Bytes) -> Result<Result<(), String>, String> {
    let principal = MspPrincipal::decode(principal).map_err(|error| format!("principal: {error}"))?;
    let identity = match bundle.msps().identity(identity) {
        Ok(identity) => identity,
        Err(error) => return Ok(Err(error.to_string())),
    };
    let satisfied = identity.satisfies(&bundle.msps().principal(&principal));
    Ok(if satisfied {
        Ok(())
    } else {
        Err("the identity does not satisfy it".to_owned())
    })
}
