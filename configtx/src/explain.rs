//! A config update in words: what it changes, which policies that needs, who has signed and who could.
//!
//! For people and tools that gather signatures, before the update is sent. It says what
//! [`Update::apply`] would decide, and goes on where that would stop for lack of signatures.

use std::collections::BTreeMap;

use crate::Bundle;
use crate::policy::{PolicyState, SignerName};
use crate::tree::{Key, Tree};
use crate::update::{Change, Signers, Update, UpdateError, outcome};

/// What an update changes and what that needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// Every element that is not the same afterwards: groups, then values, then policies, by path.
    pub elements: Vec<ChangedElement>,
    /// The policies that are asked, by path.
    pub policies: BTreeMap<String, PolicyState>,
    /// Signatures given.
    pub given: usize,
    /// The signers whose signature counts.
    pub counted: Vec<SignerName>,
}

/// One element that an update changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangedElement {
    /// Which.
    pub key: Key,
    /// What becomes of it.
    pub fate: Fate,
    /// Its version before; none when it is added.
    pub old_version: Option<u64>,
    /// Its version afterwards; none when it is gone.
    pub new_version: Option<u64>,
    /// The policy that is asked about it.
    pub policy: AskedPolicy,
}

/// What becomes of an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is new.
    Added,
    /// It is written anew, perhaps with the same content.
    Changed,
    /// Its group does not list it any more.
    Removed,
    /// It is written, and no group lists it; nodes refuse such an update.
    Lost,
}

/// Which policy is asked about an element.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AskedPolicy {
    /// None: what is added or removed is for the group that lists it, which changes as well.
    None,
    /// The one of this path, in [`Explanation::policies`].
    Known(String),
    /// The one of this path, which does not exist: nobody can change the element.
    Missing(String),
}

impl Explanation {
    /// True when the signatures are enough for every change.
    pub fn is_allowed(&self) -> bool {
        let is_missing = |element: &ChangedElement| matches!(element.policy, AskedPolicy::Missing(_));
        self.policies.values().all(|policy| policy.satisfied) && !self.elements.iter().any(is_missing)
    }
}

/// Explains `update` against `current`, the config it was computed from.
///
/// # Errors
/// It does not apply, whoever would sign it: another channel, other versions, no effect, or a signature whose
/// header cannot be read.
pub fn explain(update: &Update, current: &Bundle) -> Result<Explanation, UpdateError> {
    let delta = update.delta(current)?;
    let signers = update.signers(current.msps())?;
    let outcome = outcome(&delta, current.tree(), current.sequence())?;
    let mut policies = BTreeMap::new();
    let mut elements = Vec::with_capacity(delta.len());
    for change in &delta {
        let is_lost = outcome.lost.contains(change.key);
        let policy = asked(change, current, &signers, &mut policies);
        elements.push(changed(change, is_lost, policy));
    }
    let root = outcome.config.channel_group.as_ref();
    let after = root
        .map(Tree::flatten)
        .transpose()
        .map_err(|source| UpdateError::Key {
            set: crate::update::Set::Write,
            source,
        })?
        .unwrap_or_default();
    elements.extend(removed(current.tree(), &after));
    elements.sort_by(|one, other| one.key.cmp(&other.key));
    Ok(Explanation {
        elements,
        policies,
        given: signers.given,
        counted: signers.names(),
    })
}

/// Finds the policy of a change and notes how it stands.
fn asked(
    change: &Change<'_>,
    current: &Bundle,
    signers: &Signers,
    policies: &mut BTreeMap<String, PolicyState>,
) -> AskedPolicy {
    match change.governed_by(current.policies()) {
        None => AskedPolicy::None,
        Some((path, None)) => AskedPolicy::Missing(path),
        Some((_, Some(policy))) => {
            let path = policy.path().to_owned();
            policies
                .entry(path.clone())
                .or_insert_with(|| policy.state(&signers.accepted));
            AskedPolicy::Known(path)
        }
    }
}

fn changed(change: &Change<'_>, is_lost: bool, policy: AskedPolicy) -> ChangedElement {
    let fate = match change.old {
        _ if is_lost => Fate::Lost,
        None => Fate::Added,
        Some(_) => Fate::Changed,
    };
    ChangedElement {
        key: change.key.clone(),
        fate,
        old_version: change.old.map(|old| old.version),
        new_version: (!is_lost).then_some(change.new.version),
        policy,
    }
}

fn removed(before: &Tree, after: &Tree) -> impl Iterator<Item = ChangedElement> {
    let gone = before.iter().filter(|(key, _)| after.get(key).is_none());
    gone.map(|(key, old)| ChangedElement {
        key: key.clone(),
        fate: Fate::Removed,
        old_version: Some(old.version),
        new_version: None,
        policy: AskedPolicy::None,
    })
}

#[cfg(test)]
mod tests {
    use protos::wire::orderer::BatchSize;

    use super::*;
    use crate::testing::{
        bare, channel, orderer_admin, org1_admin, root, signed, untouched, with_value, written_orderer,
    };

    fn explained(
        update: &protos::wire::common::ConfigUpdate,
        signers: &[&crate::identity::SigningIdentity],
    ) -> Explanation {
        let update = Update::read(signed(update, signers)).unwrap();
        explain(&update, &channel("raft-three")).unwrap()
    }

    #[test]
    fn a_changed_value_names_its_policy_and_who_could_sign() {
        let update = with_value(&channel("raft-three"), "BatchSize", &BatchSize::default());
        let explanation = explained(&update, &[&org1_admin()]);
        let [element] = &explanation.elements[..] else {
            panic!("{explanation:?}");
        };
        assert_eq!(element.key, Key::value("/Channel/Orderer/BatchSize"));
        assert_eq!(
            (element.fate, element.old_version, element.new_version),
            (Fate::Changed, Some(0), Some(1))
        );
        let path = "/Channel/Orderer/Admins";
        assert_eq!(element.policy, AskedPolicy::Known(path.to_owned()));
        let policy = &explanation.policies[path];
        assert!(!policy.satisfied && !explanation.is_allowed());
        assert_eq!(policy.could_sign(), ["OrdererMSP.admin"]);
        assert!(policy.signed().is_empty());
        assert_eq!(explanation.counted[0].msp_id, "Org1MSP");
        let explanation = explained(&update, &[&org1_admin(), &orderer_admin()]);
        assert!(explanation.is_allowed());
        assert_eq!(explanation.policies[path].signed()[0].msp_id, "OrdererMSP");
        assert!(explanation.policies[path].could_sign().is_empty());
    }

    #[test]
    fn a_removed_org_is_listed_with_all_that_goes_with_it() {
        let current = channel("raft-three");
        let application = &root(&current).groups["Application"];
        let mut update = untouched(&current);
        for (set, version) in [(&mut update.read_set, 0), (&mut update.write_set, 1)] {
            let mut group = bare(application);
            group.version = version;
            group.mod_policy = "Admins".to_owned();
            group.groups = [("Org1".to_owned(), bare(&application.groups["Org1"]))].into();
            set.as_mut().unwrap().groups = [("Application".to_owned(), group)].into();
        }
        let explanation = explained(&update, &[&org1_admin()]);
        let of = |fate: Fate| explanation.elements.iter().filter(move |one| one.fate == fate);
        assert_eq!(of(Fate::Changed).count(), 1);
        assert!(of(Fate::Removed).any(|one| one.key == Key::group("/Channel/Application/Org2")));
        assert!(of(Fate::Removed).any(|one| one.key == Key::value("/Channel/Application/Org2/MSP")));
        let policy = &explanation.policies["/Channel/Application/Admins"];
        assert_eq!(policy.could_sign(), ["Org2MSP.admin"]);
        assert_eq!(policy.signed()[0].msp_id, "Org1MSP");
    }

    #[test]
    fn what_would_be_lost_is_said_to_be() {
        let mut update = untouched(&channel("raft-three"));
        let policy = protos::wire::common::ConfigPolicy {
            mod_policy: "Admins".to_owned(),
            ..Default::default()
        };
        written_orderer(&mut update)
            .policies
            .insert("Orphan".to_owned(), policy);
        let explanation = explained(&update, &[]);
        assert_eq!(explanation.elements[0].fate, Fate::Lost);
        assert_eq!(explanation.elements[0].policy, AskedPolicy::None);
    }
}
