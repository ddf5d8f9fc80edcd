//! An organisation's authorities and what they revoked.
//!
//! An organisation that both runs orderers and uses the channel has its MSP in two groups, which must say the
//! same (`docs/spec/rules.md` §8.1). So a change goes to every group with that MSP id.

use bytes::Bytes;
use configtx::identity::Certificate;
use configtx::keys;
use prost::Message as _;
use protos::wire::common::{Config, ConfigGroup};
use protos::wire::msp::{FabricMspConfig, MspConfig};
use x509_parser::prelude::{CertificateRevocationList, FromDer as _};

use super::EditError;
use super::organisation::no_organisation;
use super::place::{Place, decode};

/// MSP type with X.509 certificates.
const X509: i32 = 0;
const PARTS: [&str; 2] = [keys::ORDERER, keys::APPLICATION];

/// Gives an organisation the authorities, administrators and roles of `settings`, such as of a new CA.
///
/// Revocation lists that it has stay, in front of those of `settings`: what was revoked must not become valid by
/// the way.
pub fn set_msp(config: Config, name: &str, settings: &FabricMspConfig) -> Result<Config, EditError> {
    change_msp(config, name, |path, old| {
        if old.name != settings.name {
            return Err(EditError::MspId {
                path: path.to_owned(),
                is: old.name.clone(),
                given: settings.name.clone(),
            });
        }
        let lists = std::mem::take(&mut old.revocation_list);
        let new = settings
            .revocation_list
            .iter()
            .filter(|list| !lists.contains(list));
        let new: Vec<_> = new.cloned().collect();
        *old = settings.clone();
        old.revocation_list = [lists, new].concat();
        Ok(())
    })
}

/// Adds the revocation list `list` (PEM or DER) to an organisation's MSP.
///
/// It must be by one of the organisation's authorities. The list counts from the moment it is in the config;
/// its own dates do not matter.
pub fn revoke(config: Config, name: &str, list: &Bytes) -> Result<Config, EditError> {
    change_msp(config, name, |path, msp| {
        let issuer = issuer(list).ok_or_else(|| EditError::RevocationList {
            path: path.to_owned(),
        })?;
        let authorities = msp.root_certs.iter().chain(&msp.intermediate_certs);
        let authorities = authorities.filter_map(|pem| Certificate::from_pem(pem).ok());
        let subjects: Vec<_> = authorities.map(|one| one.subject().to_owned()).collect();
        if !subjects.contains(&issuer) {
            return Err(EditError::ForeignRevocationList {
                path: path.to_owned(),
                issuer,
                authorities: subjects,
            });
        }
        if !msp.revocation_list.contains(list) {
            msp.revocation_list.push(list.clone());
        }
        Ok(())
    })
}

/// Who made a revocation list.
fn issuer(list: &[u8]) -> Option<String> {
    let block = pem::parse(list).ok();
    let der = block.as_ref().map_or(list, pem::Pem::contents);
    let (_, list) = CertificateRevocationList::from_der(der).ok()?;
    Some(list.issuer().to_string())
}

/// Changes the MSP of the organisation `name` in every group that has it.
fn change_msp(
    mut config: Config,
    name: &str,
    change: impl Fn(&str, &mut FabricMspConfig) -> Result<(), EditError>,
) -> Result<Config, EditError> {
    let id = id_of(&mut config, name)?;
    for part in PARTS {
        let Ok(place) = Place::find(&mut config, &[part]) else {
            continue;
        };
        for (org, group) in &mut place.group.groups {
            let path = format!("{}/{org}", place.path);
            if msp_id(&path, group)? == id {
                change_in(&mut Place { path, group }, &change)?;
            }
        }
    }
    Ok(config)
}

fn change_in(
    org: &mut Place<'_>,
    change: impl Fn(&str, &mut FabricMspConfig) -> Result<(), EditError>,
) -> Result<(), EditError> {
    let path = org.path_of(keys::MSP);
    let msp: MspConfig = org.value(keys::MSP)?;
    if msp.r#type != X509 {
        let kind = msp.r#type;
        return Err(EditError::MspType { path, kind });
    }
    let old: FabricMspConfig = decode(&path, &msp.config)?;
    let mut new = old.clone();
    change(&path, &mut new)?;
    if new != old {
        let config = new.encode_to_vec().into();
        org.set(keys::MSP, &MspConfig { config, ..msp });
    }
    Ok(())
}

/// MSP id of the organisation `name`, application organisations first.
fn id_of(config: &mut Config, name: &str) -> Result<String, EditError> {
    for part in PARTS.into_iter().rev() {
        if let Ok(org) = Place::find(config, &[part, name]) {
            return msp_id(&org.path, org.group);
        }
    }
    Err(no_organisation(config, name))
}

/// MSP id of the organisation whose group this is.
pub(super) fn msp_id(path: &str, org: &ConfigGroup) -> Result<String, EditError> {
    let path = format!("{path}/{}", keys::MSP);
    let Some(value) = org.values.get(keys::MSP) else {
        return Err(EditError::NoValue { path });
    };
    let msp: MspConfig = decode(&path, &value.value)?;
    decode(&path, &msp.config).map(|msp: FabricMspConfig| msp.name)
}
