//! Who may do what: policies, and which policy guards which resource of the applications.

use configtx::{keys, tree};
use protos::wire::common::{Config, ConfigPolicy, Policy};
use protos::wire::protos::{AcLs, ApiResource};

use super::EditError;
use super::place::Place;

/// Sets the policy at `path`, such as `/Channel/Application/Org1MSP/Writers`; a new one answers to `Admins`.
///
/// The policy keeps its own `mod_policy`.
pub fn set_policy(mut config: Config, path: &str, policy: Policy) -> Result<Config, EditError> {
    let (groups, name) = split(path)?;
    let place = Place::find(&mut config, &groups)?;
    tree::check_key(name).map_err(|reason| EditError::Name {
        path: place.path.clone(),
        name: name.to_owned(),
        reason,
    })?;
    let new = || ConfigPolicy {
        mod_policy: keys::ADMINS.to_owned(),
        ..ConfigPolicy::default()
    };
    let entry = place.group.policies.entry(name.to_owned()).or_insert_with(new);
    entry.policy = Some(policy);
    Ok(config)
}

/// Takes the policy at `path` away.
pub fn remove_policy(mut config: Config, path: &str) -> Result<Config, EditError> {
    let (groups, name) = split(path)?;
    let place = Place::find(&mut config, &groups)?;
    match place.group.policies.remove(name) {
        Some(_) => Ok(config),
        None => Err(EditError::NoValue {
            path: path.to_owned(),
        }),
    }
}

/// The groups below the root on the way to a policy, and its name.
fn split(path: &str) -> Result<(Vec<&str>, &str), EditError> {
    let refuse = || EditError::Path {
        path: path.to_owned(),
        what: "policy",
        example: "/Channel/Application/Writers",
    };
    let below = path.strip_prefix('/').ok_or_else(refuse)?;
    let below = below.strip_prefix(tree::ROOT).ok_or_else(refuse)?;
    let below = below.strip_prefix('/').ok_or_else(refuse)?;
    let mut names: Vec<_> = below.split('/').collect();
    let name = names.pop().filter(|name| !name.is_empty()).ok_or_else(refuse)?;
    Ok((names, name))
}

/// Guards `resource`, such as `event/Block`, by the policy at `policy`; with none, by what is the default.
pub fn set_acl(mut config: Config, resource: &str, policy: Option<&str>) -> Result<Config, EditError> {
    let mut application = Place::application(&mut config)?;
    let mut acls: AcLs = application.value_or_default(keys::ACLS)?;
    match policy {
        Some(policy) => {
            let policy_ref = policy.to_owned();
            acls.acls.insert(resource.to_owned(), ApiResource { policy_ref });
        }
        None if acls.acls.remove(resource).is_some() => {}
        None => {
            let path = format!("{}/{resource}", application.path_of(keys::ACLS));
            return Err(EditError::NoValue { path });
        }
    }
    application.set(keys::ACLS, &acls);
    Ok(config)
}
