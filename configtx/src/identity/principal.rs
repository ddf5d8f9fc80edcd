//! Who a policy asks for (`docs/spec/rules.md` §9).

use std::fmt;

use bytes::Bytes;
use prost::Message as _;
use protos::wire::common::msp_identity_anonymity::MspIdentityAnonymityType as AnonymityType;
use protos::wire::common::msp_principal::Classification;
use protos::wire::common::msp_role::MspRoleType;
use protos::wire::common::{
    CombinedPrincipal, MspIdentityAnonymity, MspPrincipal, MspRole, OrganizationUnit,
};

use super::msp::{MspLevel, NodeRole};
use super::{Certificate, Identity};

/// Deepest nesting of combined principals; deeper ones are never satisfied. Each level is a message of its
/// own, so no decoder's limit bounds it, and reading them takes stack.
const COMBINED_DEPTH_MAX: usize = 64;

/// A principal, decoded once.
///
/// Whatever does not decode or is unknown is a principal that nobody satisfies, never an error: it becomes
/// one only when someone evaluates it, and then that means "no".
#[derive(Debug)]
pub struct Principal(Kind);

/// Turns an encoded `SerializedIdentity` into its MSP ID and certificate in DER, without validating it.
type ReadIdentity<'a> = dyn Fn(&[u8]) -> Option<(String, Bytes)> + 'a;

#[derive(Debug)]
enum Kind {
    Role {
        msp_id: String,
        role: MspRoleType,
    },
    Unit(OrganizationUnit),
    /// One certificate of one MSP, in DER with low `s`.
    Exactly {
        msp_id: String,
        der: Bytes,
    },
    Anyone,
    All(Vec<Principal>),
    Nobody,
}

impl Principal {
    /// Decodes `principal`; `read` reads the identity in one that names a certificate.
    pub(crate) fn new(principal: &MspPrincipal, read: &ReadIdentity<'_>) -> Self {
        Self::nested(principal, read, 0)
    }

    fn nested(principal: &MspPrincipal, read: &ReadIdentity<'_>, depth: usize) -> Self {
        let bytes = principal.principal.clone();
        let kind = match Classification::try_from(principal.principal_classification) {
            Ok(Classification::Role) => role(bytes),
            Ok(Classification::OrganizationUnit) => OrganizationUnit::decode(bytes).ok().map(Kind::Unit),
            Ok(Classification::Identity) => read(&bytes).map(|(msp_id, der)| Kind::Exactly { msp_id, der }),
            Ok(Classification::Anonymity) => anonymity(bytes),
            Ok(Classification::Combined) if depth < COMBINED_DEPTH_MAX => {
                let member = |member: &MspPrincipal| Self::nested(member, read, depth + 1);
                let members = CombinedPrincipal::decode(bytes)
                    .map(|all| all.principals)
                    .unwrap_or_default();
                (!members.is_empty()).then(|| Kind::All(members.iter().map(member).collect()))
            }
            _ => None,
        };
        Self(kind.unwrap_or(Kind::Nobody))
    }

    pub(crate) fn is_satisfied_by(&self, identity: &Identity) -> bool {
        let is_of = |msp_id: &str| identity.msp_id() == msp_id;
        let has_combinations = identity.msp().level() >= MspLevel::V1_3;
        match &self.0 {
            Kind::Role { msp_id, role } => is_of(msp_id) && has_role(identity, *role),
            Kind::Unit(unit) => is_of(&unit.msp_identifier) && has_unit(identity, unit),
            Kind::Exactly { msp_id, der } => is_of(msp_id) && identity.der() == der && is_valid(identity),
            Kind::Anyone => has_combinations,
            Kind::All(members) => {
                has_combinations && members.iter().all(|member| member.is_satisfied_by(identity))
            }
            Kind::Nobody => false,
        }
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Role { msp_id, role } => {
                write!(f, "{msp_id}.{}", role.as_str_name().to_lowercase())
            }
            Kind::Unit(unit) => {
                let OrganizationUnit {
                    msp_identifier,
                    organizational_unit_identifier: name,
                    ..
                } = unit;
                write!(f, "{msp_identifier} with OU {name}")
            }
            Kind::Exactly { msp_id, der } => match Certificate::from_der(der) {
                Ok(certificate) => write!(f, "{msp_id} ({})", certificate.subject()),
                Err(_) => write!(f, "{msp_id} with a certificate of its own"),
            },
            Kind::Anyone => f.write_str("anyone"),
            Kind::All(members) => {
                let members: Vec<_> = members.iter().map(Self::to_string).collect();
                write!(f, "({})", members.join(" and "))
            }
            Kind::Nobody => f.write_str("nobody"),
        }
    }
}

fn role(bytes: Bytes) -> Option<Kind> {
    let decoded = MspRole::decode(bytes).ok()?;
    let role = MspRoleType::try_from(decoded.role).ok()?;
    Some(Kind::Role {
        msp_id: decoded.msp_identifier,
        role,
    })
}

/// A certificate is a name, so nobody here is anonymous.
fn anonymity(bytes: Bytes) -> Option<Kind> {
    let decoded = MspIdentityAnonymity::decode(bytes).ok()?;
    (decoded.anonymity_type == AnonymityType::Nominal as i32).then_some(Kind::Anyone)
}

fn is_valid(identity: &Identity) -> bool {
    identity.standing().validity.is_ok()
}

fn has_role(identity: &Identity, role: MspRoleType) -> bool {
    let standing = identity.standing();
    let by_unit = |role| is_valid(identity) && standing.has_role(role);
    match role {
        MspRoleType::Member => is_valid(identity),
        // A listed admin is not looked at any further.
        MspRoleType::Admin => standing.is_listed_admin || by_unit(NodeRole::Admin),
        MspRoleType::Client => by_unit(NodeRole::Client),
        MspRoleType::Peer => by_unit(NodeRole::Peer),
        MspRoleType::Orderer => by_unit(NodeRole::Orderer),
    }
}

fn has_unit(identity: &Identity, unit: &OrganizationUnit) -> bool {
    is_valid(identity)
        && identity
            .organizational_units()
            .contains(&unit.organizational_unit_identifier)
        && identity.standing().chain_identifier.as_deref() == Some(&*unit.certifiers_identifier)
}

#[cfg(test)]
mod tests;
