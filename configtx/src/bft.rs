//! What a BFT channel's consenter set implies: the quorum, and the policy a block's signatures must satisfy; and
//! its options.
//!
//! Source: `docs/spec/rules.md` §2.

mod options;

use prost::Message;
use protos::wire::common::{
    Consenter, MspPrincipal, Policy, SignaturePolicy, SignaturePolicyEnvelope, msp_principal,
    policy::PolicyType, signature_policy,
};
use protos::wire::msp::SerializedIdentity;

pub use options::{BftOptionsError, check_options};

/// How many of `consenters` must sign a block: with `f = (n - 1) / 3` faulty ones, half of `n + f + 1` and
/// more.
pub fn quorum(consenters: usize) -> usize {
    let faulty = consenters.saturating_sub(1) / 3;
    (consenters + faulty + 1).div_ceil(2)
}

/// The serialized identity of a consenter, as it would stand in a signature header.
pub fn serialized_identity(consenter: &Consenter) -> Vec<u8> {
    let identity = SerializedIdentity {
        mspid: consenter.msp_id.clone(),
        id_bytes: consenter.identity.clone(),
    };
    identity.encode_to_vec()
}

/// The policy `BlockValidation` that a channel with these consenters must have, byte for byte: a quorum of
/// exactly these identities, in configured order.
pub fn block_validation_policy(consenters: &[Consenter]) -> Policy {
    let indexes = 0..i32::try_from(consenters.len()).unwrap_or(i32::MAX);
    let rule = signature_policy::NOutOf {
        n: i32::try_from(quorum(consenters.len())).unwrap_or(i32::MAX),
        rules: indexes
            .map(|index| SignaturePolicy {
                r#type: Some(signature_policy::Type::SignedBy(index)),
            })
            .collect(),
    };
    let envelope = SignaturePolicyEnvelope {
        version: 0,
        rule: Some(SignaturePolicy {
            r#type: Some(signature_policy::Type::NOutOf(rule)),
        }),
        identities: consenters
            .iter()
            .map(|consenter| MspPrincipal {
                principal_classification: msp_principal::Classification::Identity as i32,
                principal: serialized_identity(consenter).into(),
            })
            .collect(),
    };
    Policy {
        r#type: PolicyType::Signature as i32,
        value: envelope.encode_to_vec().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quorum_outvotes_the_faulty_and_survives_them() {
        for (n, q) in [(1, 1), (2, 2), (3, 2), (4, 3), (5, 4), (6, 4), (7, 5), (10, 7)] {
            assert_eq!(quorum(n), q, "{n} consenters");
        }
    }
}
