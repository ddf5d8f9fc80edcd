//! Policy messages for profiles.

use prost::Message;
use protos::wire::common::{
    ImplicitMetaPolicy, MspPrincipal, MspRole, Policy, SignaturePolicy, SignaturePolicyEnvelope,
    implicit_meta_policy::Rule, msp_principal::Classification, msp_role::MspRoleType, policy::PolicyType,
    signature_policy,
};

/// `ANY`, `ALL` or `MAJORITY` of the policies named `sub_policy` one level below.
pub fn implicit(rule: Rule, sub_policy: &str) -> Policy {
    let message = ImplicitMetaPolicy {
        sub_policy: sub_policy.to_owned(),
        rule: rule as i32,
    };
    Policy {
        r#type: PolicyType::ImplicitMeta as i32,
        value: message.encode_to_vec().into(),
    }
}

/// A policy over signatures.
pub fn signature(envelope: &SignaturePolicyEnvelope) -> Policy {
    Policy {
        r#type: PolicyType::Signature as i32,
        value: envelope.encode_to_vec().into(),
    }
}

/// One signature of somebody who has any of `roles` in `msp_id`: what an organisation's own policies usually
/// say.
pub fn any_of_roles(msp_id: &str, roles: &[MspRoleType]) -> Policy {
    let indexes = 0..i32::try_from(roles.len()).unwrap_or(i32::MAX);
    let rule = signature_policy::NOutOf {
        n: 1,
        rules: indexes
            .map(|index| SignaturePolicy {
                r#type: Some(signature_policy::Type::SignedBy(index)),
            })
            .collect(),
    };
    signature(&SignaturePolicyEnvelope {
        version: 0,
        rule: Some(SignaturePolicy {
            r#type: Some(signature_policy::Type::NOutOf(rule)),
        }),
        identities: roles.iter().map(|role| role_principal(msp_id, *role)).collect(),
    })
}

/// Satisfied by nobody and needing nobody: zero signatures.
pub(super) fn accept_all() -> Policy {
    signature(&SignaturePolicyEnvelope {
        version: 0,
        rule: Some(SignaturePolicy {
            r#type: Some(signature_policy::Type::NOutOf(signature_policy::NOutOf::default())),
        }),
        identities: Vec::new(),
    })
}

/// Whoever has `role` in `msp_id`.
pub(crate) fn role_principal(msp_id: &str, role: MspRoleType) -> MspPrincipal {
    let role = MspRole {
        msp_identifier: msp_id.to_owned(),
        role: role as i32,
    };
    MspPrincipal {
        principal_classification: Classification::Role as i32,
        principal: role.encode_to_vec().into(),
    }
}
