//! A policy in the words that operators write it in: the way back from [`configtx::policy_rule`].

use prost::Message as _;
use protos::wire::common::implicit_meta_policy::Rule;
use protos::wire::common::msp_principal::Classification;
use protos::wire::common::msp_role::MspRoleType;
use protos::wire::common::policy::PolicyType;
use protos::wire::common::signature_policy::{NOutOf, Type};
use protos::wire::common::{
    CombinedPrincipal, ImplicitMetaPolicy, MspPrincipal, MspRole, OrganizationUnit, Policy, SignaturePolicy,
    SignaturePolicyEnvelope,
};

use super::certificate;
use super::facts::{fingerprint, plain};

/// `MAJORITY Admins`, `OR('Org1MSP.admin', 'Org2MSP.admin')`. What a rule cannot express, such as a principal
/// that is one certificate, is described in its place.
pub fn policy(policy: &Policy) -> String {
    let text = match PolicyType::try_from(policy.r#type) {
        Ok(PolicyType::ImplicitMeta) => implicit(policy),
        Ok(PolicyType::Signature) => signature(policy),
        _ => None,
    };
    text.unwrap_or_else(|| format!("policy of type {}, {}", policy.r#type, fingerprint(&policy.value)))
}

fn implicit(policy: &Policy) -> Option<String> {
    let meta = ImplicitMetaPolicy::decode(policy.value.clone()).ok()?;
    let rule = match Rule::try_from(meta.rule).ok()? {
        Rule::Any => "ANY",
        Rule::All => "ALL",
        Rule::Majority => "MAJORITY",
    };
    Some(format!("{rule} {}", plain(&meta.sub_policy)))
}

fn signature(policy: &Policy) -> Option<String> {
    let envelope = SignaturePolicyEnvelope::decode(policy.value.clone()).ok()?;
    rule(envelope.rule.as_ref()?, &envelope.identities)
}

fn rule(policy: &SignaturePolicy, principals: &[MspPrincipal]) -> Option<String> {
    match policy.r#type.as_ref()? {
        Type::SignedBy(index) => principals.get(usize::try_from(*index).ok()?).map(principal),
        Type::NOutOf(NOutOf { n, rules }) => {
            let inner: Option<Vec<_>> = rules.iter().map(|inner| rule(inner, principals)).collect();
            let (inner, count) = (inner?.join(", "), rules.len());
            Some(match usize::try_from(*n) {
                Ok(1) => format!("OR({inner})"),
                Ok(n) if n == count && n > 0 => format!("AND({inner})"),
                _ => format!("OutOf({})", [n.to_string(), inner].join(", ")),
            })
        }
    }
}

/// Whom a principal means: `'Org1MSP.admin'`, or a description of what a rule cannot express.
pub fn principal(principal: &MspPrincipal) -> String {
    let content = &principal.principal;
    let text = match Classification::try_from(principal.principal_classification) {
        Ok(Classification::Role) => MspRole::decode(content.clone()).ok().map(|role| role_text(&role)),
        Ok(Classification::OrganizationUnit) => OrganizationUnit::decode(content.clone()).ok().map(|unit| {
            let (msp_id, unit) = (
                plain(&unit.msp_identifier),
                plain(&unit.organizational_unit_identifier),
            );
            format!("<unit {unit} of {msp_id}>")
        }),
        Ok(Classification::Identity) => Some(format!("<{}>", certificate::identity(content))),
        Ok(Classification::Combined) => CombinedPrincipal::decode(content.clone()).ok().map(|combined| {
            let inner: Vec<_> = combined.principals.iter().map(self::principal).collect();
            format!("<all of {}>", inner.join(" and "))
        }),
        Ok(Classification::Anonymity) => Some("<anonymity>".to_owned()),
        Err(_) => None,
    };
    text.unwrap_or_else(|| format!("<principal of class {}>", principal.principal_classification))
}

fn role_text(role: &MspRole) -> String {
    let name = match MspRoleType::try_from(role.role) {
        Ok(role) => role.as_str_name().to_lowercase(),
        Err(_) => format!("role{}", role.role),
    };
    format!("'{}.{name}'", plain(&role.msp_identifier))
}
