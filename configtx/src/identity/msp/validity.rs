//! Is this identity valid, and what is it (`docs/spec/rules.md` §10.2).

use std::sync::Arc;

use aws_lc_rs::digest;

use super::units::NodeRoles;
use super::{BrokenRule, IdentityError, Inner, Msp, MspLevel, NodeRole};
use crate::identity::certificate::{Certificate, is_identity_key};
use crate::identity::chain::Chain;
use crate::identity::revocation::{self, Verdict};

/// What an MSP found out about an identity.
pub(crate) struct Standing {
    pub(crate) validity: Result<(), IdentityError>,
    pub(crate) is_listed_admin: bool,
    /// Hash over the authorities above it; `None` without a chain.
    pub(crate) chain_identifier: Option<Vec<u8>>,
    /// By its units alone; empty without a chain or when node OUs are off.
    roles: NodeRoles,
}

impl Standing {
    /// True when the identity carries the unit of `role`; does not say that it is valid.
    pub(crate) fn has_role(&self, role: NodeRole) -> bool {
        self.roles.contains(role)
    }
}

impl Msp {
    /// Judges an identity of this MSP; `known` is its chain where that was needed before.
    pub(crate) fn judge(&self, certificate: &Arc<Certificate>, known: Option<&Chain>) -> Standing {
        self.0.judge(certificate, known)
    }
}

impl Inner {
    pub(super) fn judge(&self, certificate: &Arc<Certificate>, known: Option<&Chain>) -> Standing {
        let chain = self.identity_chain(certificate, known);
        let units = certificate.organizational_units();
        let chain_identifier = chain
            .as_ref()
            .ok()
            .map(|chain| self.chain_identifier(&chain[1..]));
        let roles = self
            .node_ous
            .as_ref()
            .filter(|_| chain.is_ok())
            .map(|ous| ous.roles(units));
        let validity = chain.and_then(|chain| {
            let certifier = chain_identifier.as_deref().unwrap_or_default();
            self.check(certificate, &chain, certifier)
                .map_err(|rule| self.invalid(certificate, rule))
        });
        Standing {
            validity,
            is_listed_admin: self.admins.contains(certificate.der()),
            chain_identifier,
            roles: roles.unwrap_or_default(),
        }
    }

    /// The chain of an identity: it is no authority, and its issuer has none below it.
    fn identity_chain(
        &self,
        certificate: &Arc<Certificate>,
        known: Option<&Chain>,
    ) -> Result<Chain, IdentityError> {
        let invalid = |rule| self.invalid(certificate, rule);
        if certificate.is_authority() {
            return Err(invalid(BrokenRule::Authority));
        }
        let chain = match known {
            Some(chain) => chain.clone(),
            None => self
                .authorities
                .unique_chain(certificate)
                .map_err(|source| IdentityError::Chain {
                    msp_id: self.name.clone(),
                    source,
                })?,
        };
        let issuer = chain.get(1).ok_or_else(|| invalid(BrokenRule::NoIssuer))?;
        if self.not_issuing.contains(issuer) {
            return Err(invalid(BrokenRule::InnerIssuer {
                issuer: issuer.subject().to_owned(),
            }));
        }
        Ok(chain)
    }

    /// The rules beyond the chain.
    fn check(&self, certificate: &Certificate, chain: &Chain, certifier: &[u8]) -> Result<(), BrokenRule> {
        let algorithm = certificate.public_key().algorithm();
        if !is_identity_key(algorithm, self.level >= MspLevel::V3_0) {
            return Err(BrokenRule::KeyAlgorithm(algorithm));
        }
        self.check_revocation(chain)?;
        let units = certificate.organizational_units();
        self.unit_identifiers.check(units, certifier)?;
        self.node_ous
            .as_ref()
            .map_or(Ok(()), |ous| ous.check(units, certifier))
    }

    /// Looks the first certificate of `chain` up in the lists of the second; a root alone is not looked up.
    pub(super) fn check_revocation(&self, chain: &Chain) -> Result<(), BrokenRule> {
        let [certificate, issuer, ..] = chain.as_slice() else {
            return Ok(());
        };
        match revocation::look_up(&self.revocation_lists, certificate, issuer) {
            Verdict::Unlisted => Ok(()),
            Verdict::Revoked => Err(BrokenRule::Revoked),
            Verdict::Unknown => Err(BrokenRule::UnnamedRevocationList),
        }
    }

    /// Hash over the DER of these authorities, issuer first, root last.
    pub(super) fn chain_identifier(&self, authorities: &[Arc<Certificate>]) -> Vec<u8> {
        let mut hash = digest::Context::new(self.identity_hash);
        for authority in authorities {
            hash.update(authority.der());
        }
        hash.finish().as_ref().to_vec()
    }

    pub(super) fn invalid(&self, certificate: &Certificate, rule: BrokenRule) -> IdentityError {
        IdentityError::Invalid {
            msp_id: self.name.clone(),
            subject: certificate.subject().to_owned(),
            rule,
        }
    }
}
