//! Config updates: what one changes, whether its signatures allow that, and the config it leads to.
//!
//! ```text
//! bytes -> Update -> delta: read set and versions hold? -> authorize: policies over the signatures
//!                                                              '-> overlay the config, rebuild -> Outcome
//! ```
//!
//! Nothing here is stricter than the reference: a config found in a committed block is computed again by this
//! very code (`docs/spec/rules.md` §7), and whoever judged it otherwise would fork. What intake refuses on top
//! is in [`validator`](crate::validator).

mod error;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use prost::Message;
use protos::ConfigSeq;
use protos::wire::common::{
    Config, ConfigGroup, ConfigSignature, ConfigUpdate, ConfigUpdateEnvelope, SignatureHeader,
};

use crate::Bundle;
use crate::identity::{Identity, MspManager};
use crate::policy::{Policy, PolicyTree, SignedData, SignerName, accepted_identities};
use crate::tree::{Element, Key, Kind, MissingMember, Tree, check_key};
use crate::unknown_field::{self, UnknownField};

pub use error::{Denied, Set, Unmet, UpdateError};

/// With this value in the old or the new config, empty mod policies are filled in.
const FILLS_MOD_POLICIES: &str = "/Channel/Orderer/Capabilities";
/// What they are filled with.
const FILLED_MOD_POLICY: &str = "Admins";

/// A config update as it was sent, laid out flat. It was compared with no config yet.
#[derive(Clone, Debug)]
pub struct Update {
    channel: String,
    /// The serialized `common.ConfigUpdate`, which the signatures cover.
    signed: Bytes,
    read_set: Tree,
    write_set: Tree,
    signatures: Vec<ConfigSignature>,
}

/// An element that an update writes.
#[derive(Clone, Copy, Debug)]
pub struct Change<'a> {
    /// Which.
    pub key: &'a Key,
    /// As the config has it; none when the update adds it.
    pub old: Option<&'a Element>,
    /// As the update writes it.
    pub new: &'a Element,
}

/// What an update leads to.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// The new config, at the next sequence.
    pub config: Config,
    /// Elements that the update writes and the new config does not hold, because no group lists them. Intake
    /// refuses such an update; in a committed block it stands.
    pub lost: Vec<Key>,
}

/// Who signed an update.
#[derive(Clone, Debug)]
pub struct Signers {
    /// Signatures given.
    pub given: usize,
    /// The identities whose signature verified, in order, each once.
    pub accepted: Vec<Arc<Identity>>,
}

impl Update {
    /// Opens a serialized `common.ConfigUpdateEnvelope`, the payload of a `CONFIG_UPDATE` message.
    pub fn read(data: Bytes) -> Result<Self, UpdateError> {
        let decode = |what| move |source| UpdateError::Decode { what, source };
        let envelope = ConfigUpdateEnvelope::decode(data).map_err(decode("config update envelope"))?;
        let signed = envelope.config_update;
        let update = ConfigUpdate::decode(signed.clone()).map_err(decode("config update"))?;
        Ok(Self {
            channel: update.channel_id,
            read_set: flatten(Set::Read, update.read_set.as_ref())?,
            write_set: flatten(Set::Write, update.write_set.as_ref())?,
            signatures: envelope.signatures,
            signed,
        })
    }

    /// The channel it is for.
    pub fn channel(&self) -> &str {
        &self.channel
    }

    /// What it writes, unchanged members of written groups included.
    pub fn write_set(&self) -> &Tree {
        &self.write_set
    }

    /// Something in it that this program does not know and would lose.
    pub fn unknown_field(&self) -> Option<UnknownField> {
        unknown_field::in_update(&self.signed)
    }

    /// Checks the update against `current` and its signatures against the policies of `current`, and computes
    /// the new config. Whether that config is any good is not looked at.
    pub fn apply(&self, current: &Bundle) -> Result<Outcome, UpdateError> {
        let delta = self.delta(current)?;
        self.authorize(&delta, current)?;
        Ok(outcome(&delta, current.tree(), current.sequence())?)
    }

    /// What the update changes: elements of the write set, without those that the read set has at the same
    /// version. Checks channel, read set, versions and the texts of mod policies.
    pub fn delta<'a>(&'a self, current: &'a Bundle) -> Result<Vec<Change<'a>>, UpdateError> {
        if self.channel != current.channel_id().as_str() {
            return Err(UpdateError::Channel {
                found: self.channel.clone(),
                expected: current.channel_id().clone(),
            });
        }
        self.delta_in(current.tree())
    }

    fn delta_in<'a>(&'a self, tree: &'a Tree) -> Result<Vec<Change<'a>>, UpdateError> {
        self.check_read_set(tree)?;
        let is_read = |key: &Key, new: &Element| {
            let read = self.read_set.get(key);
            read.is_some_and(|read| read.version == new.version)
        };
        let written = self.write_set.iter().filter(|(key, new)| !is_read(key, new));
        let old = |key| tree.get(key);
        let delta: Vec<_> = written
            .map(|(key, new)| Change {
                key,
                new,
                old: old(key),
            })
            .collect();
        if delta.is_empty() {
            return Err(UpdateError::NoEffect);
        }
        delta.iter().try_for_each(Change::check)?;
        Ok(delta)
    }

    fn check_read_set(&self, tree: &Tree) -> Result<(), UpdateError> {
        for (key, read) in self.read_set.iter() {
            let element = key.clone();
            let Some(current) = tree.get(key) else {
                return Err(UpdateError::ReadMissing { element });
            };
            if current.version != read.version {
                return Err(UpdateError::ReadVersion {
                    element,
                    found: read.version,
                    current: current.version,
                });
            }
        }
        Ok(())
    }

    /// Verifies the signatures, each by itself; those that do not count are skipped.
    ///
    /// # Errors
    /// A signature's header does not decode, which spoils the whole update.
    pub fn signers(&self, msps: &MspManager) -> Result<Signers, UpdateError> {
        let mut collected = Vec::with_capacity(self.signatures.len());
        for (index, one) in self.signatures.iter().enumerate() {
            let header = SignatureHeader::decode(one.signature_header.clone())
                .map_err(|source| UpdateError::SignatureHeader { index, source })?;
            let message = [&one.signature_header[..], &self.signed[..]].concat();
            collected.push((header.creator, message, &one.signature));
        }
        let signed: Vec<_> = collected
            .iter()
            .map(|(identity, data, signature)| SignedData {
                identity,
                data,
                signature,
            })
            .collect();
        Ok(Signers {
            given: signed.len(),
            accepted: accepted_identities(msps, &signed),
        })
    }

    fn authorize(&self, delta: &[Change<'_>], current: &Bundle) -> Result<(), UpdateError> {
        let signers = self.signers(current.msps())?;
        let mut verdicts = Verdicts::new(&signers);
        let unmet = |change: &Change<'_>| {
            let element = change.key.clone();
            let (policy, found) = change.governed_by(current.policies())?;
            match found {
                None => Some(Unmet {
                    element,
                    policy,
                    exists: false,
                }),
                Some(found) if verdicts.holds(found) => None,
                Some(_) => Some(Unmet {
                    element,
                    policy,
                    exists: true,
                }),
            }
        };
        let unmet: Vec<_> = delta.iter().filter_map(unmet).collect();
        if unmet.is_empty() {
            return Ok(());
        }
        Err(UpdateError::Denied(Denied {
            unmet,
            given: signers.given,
            counted: signers.names(),
        }))
    }
}

impl Change<'_> {
    fn check(&self) -> Result<(), UpdateError> {
        self.check_mod_policy()?;
        let (element, found) = (self.key.clone(), self.new.version);
        match self.old {
            None if found != 0 => Err(UpdateError::NewVersion { element, found }),
            Some(old) if found != old.version.wrapping_add(1) => Err(UpdateError::Version {
                element,
                found,
                current: old.version,
            }),
            _ => Ok(()),
        }
    }

    /// The text alone: the policy need not exist.
    fn check_mod_policy(&self) -> Result<(), UpdateError> {
        let text = &self.new.mod_policy;
        if text.is_empty() {
            let element = self.key.clone();
            return Err(UpdateError::NoModPolicy { element });
        }
        let mut steps = text.strip_prefix('/').unwrap_or(text).split('/');
        steps
            .try_for_each(check_key)
            .map_err(|reason| UpdateError::ModPolicy {
                element: self.key.clone(),
                mod_policy: text.clone(),
                reason,
            })
    }

    /// The policy that must hold for this change, by path and as it is in `policies`; none where no policy is
    /// asked because the element is new.
    ///
    /// It is the one the element names *now*: absolute, or seen from the group that holds the element, or from
    /// the group itself where the element is one (`docs/spec/rules.md` §6).
    pub fn governed_by<'p>(&self, policies: &'p PolicyTree) -> Option<(String, Option<&'p Arc<Policy>>)> {
        let name = &self.old?.mod_policy;
        let group = governing_group(self.key);
        let found = Some(name).filter(|name| !name.is_empty());
        let found = found.and_then(|name| policies.resolve(group, name));
        let path = if name.starts_with('/') {
            name.clone()
        } else {
            format!("{group}/{name}")
        };
        Some((path, found))
    }
}

/// The group that relative names start from.
fn governing_group(key: &Key) -> &str {
    match key.kind {
        Kind::Group => &key.path,
        Kind::Value | Kind::Policy => key.path.rsplit_once('/').map_or("", |(group, _)| group),
    }
}

impl Signers {
    /// Each signer that counts, in words.
    pub fn names(&self) -> Vec<SignerName> {
        self.accepted.iter().map(|signer| signer.name()).collect()
    }
}

/// Which policies hold for a set of signers. Many changes ask for the same few policies.
struct Verdicts<'a> {
    signers: &'a Signers,
    known: BTreeMap<String, bool>,
}

impl<'a> Verdicts<'a> {
    fn new(signers: &'a Signers) -> Self {
        let known = BTreeMap::new();
        Self { signers, known }
    }

    fn holds(&mut self, policy: &Policy) -> bool {
        if let Some(known) = self.known.get(policy.path()) {
            return *known;
        }
        let holds = policy.evaluate_identities(&self.signers.accepted).is_ok();
        self.known.insert(policy.path().to_owned(), holds);
        holds
    }
}

/// The config after `delta`: the tree that its groups list, from the root down.
pub(crate) fn outcome(
    delta: &[Change<'_>],
    current: &Tree,
    sequence: ConfigSeq,
) -> Result<Outcome, MissingMember> {
    let mut overlay = current.clone();
    for change in delta {
        overlay.insert(change.key.clone(), change.new.clone());
    }
    let mut root = overlay.rebuild()?;
    if overlay.get(&Key::value(FILLS_MOD_POLICIES)).is_some() {
        fill_mod_policies(&mut root);
    }
    let lost = delta
        .iter()
        .filter(|change| !overlay.lists(change.key))
        .map(|change| change.key.clone())
        .collect();
    let config = Config {
        sequence: sequence.0.wrapping_add(1),
        channel_group: Some(root),
    };
    Ok(Outcome { config, lost })
}

/// An absent set is empty; a present one has at least the root group.
fn flatten(set: Set, group: Option<&ConfigGroup>) -> Result<Tree, UpdateError> {
    let flat = group.map(Tree::flatten).transpose();
    flat.map(Option::unwrap_or_default)
        .map_err(|source| UpdateError::Key { set, source })
}

/// Elements of the earliest channels have no mod policy, so nobody could ever change them.
fn fill_mod_policies(group: &mut ConfigGroup) {
    let fill = |mod_policy: &mut String| {
        if mod_policy.is_empty() {
            FILLED_MOD_POLICY.clone_into(mod_policy);
        }
    };
    fill(&mut group.mod_policy);
    group
        .values
        .values_mut()
        .for_each(|value| fill(&mut value.mod_policy));
    group
        .policies
        .values_mut()
        .for_each(|policy| fill(&mut policy.mod_policy));
    group.groups.values_mut().for_each(fill_mod_policies);
}
