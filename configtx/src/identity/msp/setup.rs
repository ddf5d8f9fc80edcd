//! From settings to a checked MSP: the steps of `docs/spec/rules.md` §10.1, in their order.

use std::sync::Arc;

use aws_lc_rs::digest;
use bytes::Bytes;
use prost::Message as _;
use protos::wire::msp::{FabricCryptoConfig, FabricMspConfig, FabricNodeOUs, FabricOuIdentifier, MspConfig};

use super::units::{NodeOu, NodeOus, UnitIdentifiers};
use super::{AuthorityFault, Inner, MspError, MspLevel, NodeRole, normalize};
use crate::identity::certificate::Certificate;
use crate::identity::chain::{Chain, ChainError, Pool};
use crate::identity::key::HashFamily;
use crate::identity::revocation::RevocationList;

/// `MSPConfig.type` of X.509 MSPs.
const X509: i32 = 0;

pub(super) fn set_up(config: &MspConfig, level: MspLevel) -> Result<Inner, MspError> {
    if config.r#type != X509 {
        return Err(MspError::Type { found: config.r#type });
    }
    let settings = FabricMspConfig::decode(config.config.clone()).map_err(|_| MspError::Malformed)?;
    if settings.name.is_empty() {
        return Err(MspError::NoName);
    }
    let mut msp = Inner::empty(settings.name.clone(), level);
    msp.set_hashes(settings.crypto_config.as_ref())?;
    msp.set_authorities(&settings)?;
    msp.set_revocation_lists(&settings.revocation_list)?;
    msp.check_authorities()?;
    msp.set_tls_authorities(&settings)?;
    msp.set_unit_identifiers(&settings.organizational_unit_identifiers)?;
    msp.set_node_ous(settings.fabric_node_ous.as_ref())?;
    msp.set_admins(&settings.admins)?;
    Ok(msp)
}

impl Inner {
    fn empty(name: String, level: MspLevel) -> Self {
        Self {
            name,
            level,
            hash_family: HashFamily::Sha2,
            identity_hash: &digest::SHA256,
            authorities: Pool::default(),
            not_issuing: Vec::new(),
            revocation_lists: Vec::new(),
            admins: Vec::new(),
            unit_identifiers: UnitIdentifiers::default(),
            node_ous: None,
            tls_roots: Vec::new(),
            tls_intermediates: Vec::new(),
        }
    }

    fn set_hashes(&mut self, config: Option<&FabricCryptoConfig>) -> Result<(), MspError> {
        let Some(config) = config else { return Ok(()) };
        self.hash_family = HashFamily::from_name(&config.signature_hash_family);
        self.identity_hash = match config.identity_identifier_hash_function.as_str() {
            "" | "SHA256" => &digest::SHA256,
            "SHA384" => &digest::SHA384,
            "SHA3_256" => &digest::SHA3_256,
            "SHA3_384" => &digest::SHA3_384,
            unknown => {
                let (msp_id, found) = (self.name.clone(), unknown.to_owned());
                return Err(MspError::IdentityHash { msp_id, found });
            }
        };
        Ok(())
    }

    /// Reads roots and intermediates twice over: first as they are, so that issuers are found, then with low
    /// `s`, as everything else sees them.
    fn set_authorities(&mut self, settings: &FabricMspConfig) -> Result<(), MspError> {
        if settings.root_certs.is_empty() {
            return Err(MspError::NoRoot {
                msp_id: self.name.clone(),
            });
        }
        let roots = self.read_all("root_certs", &settings.root_certs)?;
        let intermediates = self.read_all("intermediate_certs", &settings.intermediate_certs)?;
        let given = Pool::new(&roots, &intermediates);
        for root in &roots {
            self.authorities.add_root(self.low_s("root_certs", root, &given)?);
        }
        for intermediate in &intermediates {
            self.authorities
                .add_intermediate(self.low_s("intermediate_certs", intermediate, &given)?);
        }
        Ok(())
    }

    fn read_all(&self, list: &'static str, pems: &[Bytes]) -> Result<Vec<Arc<Certificate>>, MspError> {
        let read = |(entry, pem): (usize, &Bytes)| {
            Certificate::from_pem(pem)
                .map(Arc::new)
                .map_err(|source| MspError::Certificate {
                    msp_id: self.name.clone(),
                    list,
                    entry,
                    source,
                })
        };
        pems.iter().enumerate().map(read).collect()
    }

    fn low_s(
        &self,
        list: &'static str,
        certificate: &Arc<Certificate>,
        issuers: &Pool,
    ) -> Result<Arc<Certificate>, MspError> {
        let normal = normalize(certificate.clone(), issuers);
        normal
            .map(|(certificate, _)| certificate)
            .map_err(|source| self.chain_error(list, source))
    }

    fn set_revocation_lists(&mut self, lists: &[Bytes]) -> Result<(), MspError> {
        for (entry, bytes) in lists.iter().enumerate() {
            let list = RevocationList::read(bytes).ok_or_else(|| MspError::RevocationList {
                msp_id: self.name.clone(),
                entry,
            })?;
            self.revocation_lists.push(list);
        }
        Ok(())
    }

    /// Every authority is one, and those above an intermediate are remembered as inner.
    fn check_authorities(&mut self) -> Result<(), MspError> {
        for root in self.authorities.roots() {
            self.check_authority("root_certs", root, &self.authorities)?;
        }
        let mut inner = Vec::new();
        for intermediate in self.authorities.intermediates() {
            let chain = self.check_authority("intermediate_certs", intermediate, &self.authorities)?;
            inner.extend(chain.into_iter().skip(1));
        }
        self.not_issuing = inner;
        Ok(())
    }

    fn check_authority(
        &self,
        list: &'static str,
        authority: &Arc<Certificate>,
        pool: &Pool,
    ) -> Result<Chain, MspError> {
        let fault = |fault| MspError::Authority {
            msp_id: self.name.clone(),
            list,
            subject: authority.subject().to_owned(),
            fault,
        };
        if !authority.is_authority() {
            return Err(fault(AuthorityFault::NotAuthority));
        }
        if authority.subject_key_id().is_none() {
            return Err(fault(AuthorityFault::NoKeyId));
        }
        let chain = pool
            .unique_chain(authority)
            .map_err(|source| self.chain_error(list, source))?;
        self.check_revocation(&chain)
            .map_err(|rule| fault(AuthorityFault::Revocation(rule)))?;
        Ok(chain)
    }

    /// TLS certificates are not rewritten: nobody compares them.
    fn set_tls_authorities(&mut self, settings: &FabricMspConfig) -> Result<(), MspError> {
        let (roots_list, intermediates_list) = ("tls_root_certs", "tls_intermediate_certs");
        self.tls_roots = self.read_all(roots_list, &settings.tls_root_certs)?;
        self.tls_intermediates = self.read_all(intermediates_list, &settings.tls_intermediate_certs)?;
        let pool = Pool::new(&self.tls_roots, &self.tls_intermediates);
        for root in &self.tls_roots {
            self.check_authority(roots_list, root, &pool)?;
        }
        for intermediate in &self.tls_intermediates {
            self.check_authority(intermediates_list, intermediate, &pool)?;
        }
        Ok(())
    }

    fn set_unit_identifiers(&mut self, identifiers: &[FabricOuIdentifier]) -> Result<(), MspError> {
        for identifier in identifiers {
            let certifier = self.certifier(identifier)?;
            self.unit_identifiers
                .add(&identifier.organizational_unit_identifier, certifier);
        }
        Ok(())
    }

    /// The chain identifier that certificates issued by the named authority have.
    fn certifier(&self, identifier: &FabricOuIdentifier) -> Result<Vec<u8>, MspError> {
        let list = "organizational units";
        let unknown = || MspError::Certifier {
            msp_id: self.name.clone(),
            unit: identifier.organizational_unit_identifier.clone(),
        };
        let certificate = Certificate::from_pem(&identifier.certificate).map_err(|_| unknown())?;
        let (certificate, _) = normalize(Arc::new(certificate), &self.authorities).map_err(|_| unknown())?;
        if self.authorities.roots().contains(&certificate) {
            return Ok(self.chain_identifier(&[certificate]));
        }
        if !self.authorities.intermediates().contains(&certificate) {
            return Err(unknown());
        }
        let chain = self.authorities.unique_chain(&certificate);
        let chain = chain.map_err(|source| self.chain_error(list, source))?;
        // An inner authority issues no identities, so nothing could ever match it.
        if self.not_issuing.contains(&certificate) {
            Err(unknown())
        } else {
            Ok(self.chain_identifier(&chain))
        }
    }

    fn set_node_ous(&mut self, config: Option<&FabricNodeOUs>) -> Result<(), MspError> {
        let Some(config) = config.filter(|_| self.level >= MspLevel::V1_1) else {
            return Ok(());
        };
        let has_four = self.level >= MspLevel::V1_4_3;
        let is_named = |ou: &Option<FabricOuIdentifier>| {
            ou.as_ref()
                .is_some_and(|ou| !ou.organizational_unit_identifier.is_empty())
        };
        let has_two = is_named(&config.client_ou_identifier) && is_named(&config.peer_ou_identifier);
        if !has_four && !has_two {
            return Err(MspError::NodeOus {
                msp_id: self.name.clone(),
            });
        }
        let mut ous = NodeOus::default();
        ous.set(
            NodeRole::Client,
            self.node_ou(config.client_ou_identifier.as_ref())?,
        );
        ous.set(NodeRole::Peer, self.node_ou(config.peer_ou_identifier.as_ref())?);
        if has_four {
            ous.set(
                NodeRole::Admin,
                self.node_ou(config.admin_ou_identifier.as_ref())?,
            );
            ous.set(
                NodeRole::Orderer,
                self.node_ou(config.orderer_ou_identifier.as_ref())?,
            );
        }
        self.node_ous = (config.enable && !ous.is_empty()).then_some(ous);
        Ok(())
    }

    fn node_ou(&self, identifier: Option<&FabricOuIdentifier>) -> Result<Option<NodeOu>, MspError> {
        let Some(identifier) = identifier else {
            return Ok(None);
        };
        let certifier = (!identifier.certificate.is_empty())
            .then(|| self.certifier(identifier))
            .transpose()?;
        Ok(Some(NodeOu {
            unit: identifier.organizational_unit_identifier.clone(),
            certifier,
        }))
    }

    fn set_admins(&mut self, pems: &[Bytes]) -> Result<(), MspError> {
        let mut admins = Vec::new();
        for admin in self.read_all("admins", pems)? {
            admins.push(self.low_s("admins", &admin, &self.authorities)?);
        }
        let by_unit = self.node_ous.as_ref().is_some_and(|ous| ous.has(NodeRole::Admin));
        if admins.is_empty() && !by_unit && self.level >= MspLevel::V1_4_3 {
            return Err(MspError::NoAdmin {
                msp_id: self.name.clone(),
            });
        }
        for admin in &admins {
            self.check_admin(admin)?;
        }
        self.admins = admins.iter().map(|admin| admin.der().clone()).collect();
        Ok(())
    }

    /// With node OUs on a unit is enough; otherwise, and below level 1.4.3, the certificate must be valid.
    fn check_admin(&self, admin: &Arc<Certificate>) -> Result<(), MspError> {
        let standing = self.judge(admin, None);
        let by_unit = self.node_ous.is_some();
        if !by_unit || self.level < MspLevel::V1_4_3 {
            let admin_error = |source| MspError::Admin {
                msp_id: self.name.clone(),
                source,
            };
            standing.validity.clone().map_err(admin_error)?;
        }
        let has_unit = standing.has_role(NodeRole::Client)
            || self.level >= MspLevel::V1_4_3 && standing.has_role(NodeRole::Admin);
        if by_unit && !has_unit {
            let (msp_id, subject) = (self.name.clone(), admin.subject().to_owned());
            return Err(MspError::AdminUnit { msp_id, subject });
        }
        Ok(())
    }

    fn chain_error(&self, list: &'static str, source: ChainError) -> MspError {
        MspError::Chain {
            msp_id: self.name.clone(),
            list,
            source,
        }
    }
}
