//! Finding groups and values by their path.

use bytes::Bytes;
use configtx::{keys, tree};
use prost::Message;
use protos::wire::common::{Config, ConfigGroup, ConfigValue};

use super::EditError;

/// A group of a config, to be changed, and where it stands.
pub(super) struct Place<'a> {
    pub(super) path: String,
    pub(super) group: &'a mut ConfigGroup,
}

impl<'a> Place<'a> {
    /// The root group.
    pub(super) fn root(config: &'a mut Config) -> Result<Self, EditError> {
        let path = format!("/{}", tree::ROOT);
        match &mut config.channel_group {
            Some(group) => Ok(Self { path, group }),
            None => Err(EditError::NoGroup { path }),
        }
    }

    /// The group of the ordering service.
    pub(super) fn orderer(config: &'a mut Config) -> Result<Self, EditError> {
        Self::root(config)?.child(keys::ORDERER)
    }

    /// The group of the applications.
    pub(super) fn application(config: &'a mut Config) -> Result<Self, EditError> {
        Self::root(config)?.child(keys::APPLICATION)
    }

    /// A group by the names on its way from the root.
    pub(super) fn find(config: &'a mut Config, names: &[&str]) -> Result<Self, EditError> {
        names
            .iter()
            .try_fold(Self::root(config)?, |place, name| place.child(name))
    }

    pub(super) fn child(self, name: &str) -> Result<Self, EditError> {
        let path = self.path_of(name);
        match self.group.groups.get_mut(name) {
            Some(group) => Ok(Self { path, group }),
            None => Err(EditError::NoGroup { path }),
        }
    }

    /// Path of the member `name`.
    pub(super) fn path_of(&self, name: &str) -> String {
        format!("{}/{name}", self.path)
    }

    /// Reads a value that must be there.
    pub(super) fn value<M: Message + Default>(&self, key: &str) -> Result<M, EditError> {
        let path = self.path_of(key);
        match self.group.values.get(key) {
            Some(value) => decode(&path, &value.value),
            None => Err(EditError::NoValue { path }),
        }
    }

    /// Reads a value; a missing one is its empty message.
    pub(super) fn value_or_default<M: Message + Default>(&self, key: &str) -> Result<M, EditError> {
        match self.value(key) {
            Err(EditError::NoValue { .. }) => Ok(M::default()),
            read => read,
        }
    }

    /// Writes a value. One whose content stays the same keeps its bytes, whoever encoded them.
    pub(super) fn set<M: Message + Default + PartialEq>(&mut self, key: &str, message: &M) {
        let old = self.group.values.get(key);
        if old.is_some_and(|old| M::decode(old.value.clone()).as_ref() == Ok(message)) {
            return;
        }
        self.set_bytes(key, message.encode_to_vec().into());
    }

    /// Writes a value that is encoded already.
    pub(super) fn set_bytes(&mut self, key: &str, value: Bytes) {
        let new = || ConfigValue {
            mod_policy: keys::ADMINS.to_owned(),
            ..ConfigValue::default()
        };
        self.group.values.entry(key.to_owned()).or_insert_with(new).value = value;
    }
}

pub(super) fn decode<M: Message + Default>(path: &str, bytes: &Bytes) -> Result<M, EditError> {
    M::decode(bytes.clone()).map_err(|source| EditError::Decode {
        path: path.to_owned(),
        source,
    })
}
