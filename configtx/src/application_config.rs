//! The values of the application group, and its organisations. An orderer checks them and uses none.

use std::collections::BTreeMap;

use protos::wire::common::Capabilities;
use protos::wire::protos::AcLs;

use crate::capability::ApplicationCapabilities;
use crate::keys;
use crate::organization::{ApplicationOrg, Msps};
use crate::structure::{GroupAt, StructureError};

/// Settings of the applications on a channel.
#[derive(Clone, Debug, PartialEq)]
pub struct ApplicationConfig {
    /// Required features.
    pub capabilities: ApplicationCapabilities,
    /// Resource name to the policy that guards it.
    pub acls: BTreeMap<String, String>,
    /// By name of the group.
    pub organizations: BTreeMap<String, ApplicationOrg>,
}

impl ApplicationConfig {
    pub(crate) fn read(application: &GroupAt<'_>, msps: &mut Msps) -> Result<Self, StructureError> {
        application.check_values(&[keys::CAPABILITIES, keys::ACLS])?;
        let capabilities = application.value::<Capabilities>(keys::CAPABILITIES)?;
        let capabilities = ApplicationCapabilities::new(&capabilities);
        let acls = application.value::<AcLs>(keys::ACLS)?.acls;
        if application.has_value(keys::ACLS) && !capabilities.acls() {
            return Err(StructureError::AclsTooEarly);
        }
        let organizations = application
            .children()
            .map(|org| Ok((org.name().to_owned(), ApplicationOrg::read(&org, msps)?)))
            .collect::<Result<_, StructureError>>()?;
        Ok(Self {
            capabilities,
            acls: acls
                .into_iter()
                .map(|(name, acl)| (name, acl.policy_ref))
                .collect(),
            organizations,
        })
    }
}
