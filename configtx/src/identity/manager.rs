//! All MSPs of a channel.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use protos::wire::common::MspPrincipal;
use protos::wire::msp::MspConfig;

use super::Identity;
use super::cache::IdentityCache;
use super::msp::{IdentityError, Msp, MspError, MspLevel, decode};
use super::principal::Principal;

/// The MSPs of one configuration and the identities read with them.
#[derive(Default)]
pub struct MspManager {
    by_name: BTreeMap<String, Msp>,
    by_org: BTreeMap<String, Msp>,
    cache: IdentityCache,
}

/// Why the MSPs of a configuration do not go together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MspManagerError {
    /// The MSP of an organisation is not valid.
    #[error("organisation {org}: {source}")]
    Msp {
        /// Path of its group.
        org: String,
        /// What is wrong.
        source: Box<MspError>,
    },
    /// Two organisations have one MSP ID and different settings.
    #[error("organisations {first} and {second} share msp {msp_id} with different settings")]
    Conflict {
        /// The MSP ID.
        msp_id: String,
        /// Path of one group.
        first: String,
        /// Path of the other.
        second: String,
    },
}

impl MspManager {
    /// Sets up the MSP of every organisation, given as path of its group and settings. One MSP ID may occur
    /// in several groups, with the same settings.
    pub fn new(
        orgs: impl IntoIterator<Item = (String, MspConfig)>,
        level: MspLevel,
    ) -> Result<Self, MspManagerError> {
        let mut manager = Self::default();
        let mut known: Vec<(String, MspConfig)> = Vec::new();
        for (org, config) in orgs {
            let msp = manager.shared(&org, &config, &known, level)?;
            manager.by_name.insert(msp.name().to_owned(), msp.clone());
            manager.by_org.insert(org.clone(), msp);
            known.push((org, config));
        }
        Ok(manager)
    }

    /// The MSP of `config`: one set up before for the same settings, or a new one of a new name.
    fn shared(
        &self,
        org: &str,
        config: &MspConfig,
        known: &[(String, MspConfig)],
        level: MspLevel,
    ) -> Result<Msp, MspManagerError> {
        let twin = known.iter().find(|(_, settings)| settings == config);
        if let Some(msp) = twin.and_then(|(other, _)| self.by_org.get(other)) {
            return Ok(msp.clone());
        }
        let msp = Msp::new(config, level).map_err(|source| MspManagerError::Msp {
            org: org.to_owned(),
            source: Box::new(source),
        })?;
        match self.by_org.iter().find(|(_, other)| other.name() == msp.name()) {
            None => Ok(msp),
            Some((first, _)) => Err(MspManagerError::Conflict {
                msp_id: msp.name().to_owned(),
                first: first.clone(),
                second: org.to_owned(),
            }),
        }
    }

    /// Reads an encoded `SerializedIdentity` under the MSP it names; does not validate it.
    ///
    /// What was read before comes from the cache.
    pub fn identity(&self, serialized: &[u8]) -> Result<Arc<Identity>, IdentityError> {
        if let Some(identity) = self.cache.get(serialized) {
            return Ok(identity);
        }
        let named = decode(serialized)?;
        let Some(msp) = self.by_name.get(&named.mspid) else {
            return Err(IdentityError::UnknownMsp { msp_id: named.mspid });
        };
        let identity = Arc::new(msp.identity(&named.id_bytes)?);
        self.cache.insert(serialized, identity.clone());
        Ok(identity)
    }

    /// Decodes a principal; a certificate in it is read with these MSPs.
    pub fn principal(&self, principal: &MspPrincipal) -> Principal {
        Principal::new(principal, &|serialized| {
            let identity = self.identity(serialized).ok()?;
            Some((identity.msp_id().to_owned(), Bytes::clone(identity.der())))
        })
    }

    /// The MSP with this ID.
    pub fn msp(&self, msp_id: &str) -> Option<&Msp> {
        self.by_name.get(msp_id)
    }

    /// The MSP of the organisation whose group has this path.
    pub fn org(&self, path: &str) -> Option<&Msp> {
        self.by_org.get(path)
    }

    /// Every MSP once, by MSP ID.
    pub fn msps(&self) -> impl Iterator<Item = &Msp> {
        self.by_name.values()
    }

    /// Every organisation's path and MSP.
    pub fn orgs(&self) -> impl Iterator<Item = (&str, &Msp)> {
        self.by_org.iter().map(|(path, msp)| (path.as_str(), msp))
    }
}

impl fmt::Debug for MspManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.by_name.keys()).finish()
    }
}

#[cfg(test)]
mod tests;
