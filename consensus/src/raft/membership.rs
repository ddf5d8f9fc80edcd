//! Who comes and goes between two consenter sets of a raft channel, and the raft ids of those who stay.
//!
//! A member is known by the bytes of its client TLS certificate; host, port and server certificate may change
//! without it being another one. Ids are never used again. Source: `docs/spec/rules.md` §8.3.

use std::collections::BTreeSet;

use protos::ConsenterId;
use protos::wire::etcdraft::Consenter;

/// The one change that an update may make to the members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberChange {
    /// The same members, though perhaps elsewhere.
    None,
    /// One more, at this place of the new list.
    Add {
        /// From 0.
        index: usize,
    },
    /// One fewer.
    Remove {
        /// Its raft id.
        id: ConsenterId,
    },
    /// One has another client certificate and keeps its id.
    Rotate {
        /// Its raft id.
        id: ConsenterId,
        /// Its place in the new list, from 0.
        index: usize,
    },
}

/// Why the members may not change like that.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MembershipError {
    /// More than one at once.
    #[error(
        "more than one consenter changes: {} added, {} removed; change one at a time",
        list(added),
        list(removed)
    )]
    MoreThanOne {
        /// `host:port` of each that comes.
        added: Vec<String>,
        /// `host:port` of each that goes.
        removed: Vec<String>,
    },
    /// Too few members would be alive to go on.
    #[error(
        "{active} out of {now} nodes are alive, configuration will result in quorum loss: to {step}, {quorum} of the \
         {members} consenters that there would be must be alive, {alive} are known to be"
    )]
    QuorumLoss {
        /// Alive now.
        active: usize,
        /// Members now.
        now: usize,
        /// What the update does.
        step: &'static str,
        /// Alive now, without the one that goes or changes.
        alive: usize,
        /// Members after the change.
        members: usize,
        /// Majority of these.
        quorum: usize,
    },
}

impl MemberChange {
    /// Finds the change from `old` to `new`. `ids` are the raft ids of `old`, in the same order; where they are
    /// not known, the members count as those of a new channel, 1 and up.
    pub fn between(
        old: &[Consenter],
        ids: &[ConsenterId],
        new: &[Consenter],
    ) -> Result<Self, MembershipError> {
        let lacks = |set: &[Consenter], one: &Consenter| {
            !set.iter()
                .any(|other| other.client_tls_cert == one.client_tls_cert)
        };
        let places = |from: &[Consenter], set: &[Consenter]| -> Vec<usize> {
            (0..from.len())
                .filter(|place| lacks(set, &from[*place]))
                .collect()
        };
        let (added, removed) = (places(new, old), places(old, new));
        let id = |place: usize| {
            let known = ids.get(place).copied();
            known.unwrap_or(ConsenterId(place as u64 + 1))
        };
        match (&added[..], &removed[..]) {
            ([], []) => Ok(Self::None),
            ([index], []) => Ok(Self::Add { index: *index }),
            ([], [gone]) => Ok(Self::Remove { id: id(*gone) }),
            ([index], [gone]) => Ok(Self::Rotate {
                id: id(*gone),
                index: *index,
            }),
            _ => Err(MembershipError::MoreThanOne {
                added: added.iter().map(|place| address(&new[*place])).collect(),
                removed: removed.iter().map(|place| address(&old[*place])).collect(),
            }),
        }
    }

    /// Place in the new list of the member whose certificates are new to the channel.
    pub fn newcomer(self) -> Option<usize> {
        match self {
            Self::Add { index } | Self::Rotate { index, .. } => Some(index),
            Self::None | Self::Remove { .. } => None,
        }
    }

    /// Checks that the change leaves a quorum of `members`, the size of the new set, where `active` are the
    /// members known to be alive. Sets of up to two may be joined by a third that is not there yet.
    pub fn check_quorum(self, members: usize, active: &[ConsenterId]) -> Result<(), MembershipError> {
        let alive_without = |gone: Option<ConsenterId>| {
            let others = active.iter().filter(|id| Some(**id) != gone);
            others.collect::<BTreeSet<_>>().len()
        };
        let (step, alive, matters, now) = match self {
            Self::None => return Ok(()),
            Self::Add { .. } => (
                "add one",
                alive_without(None),
                members > 2,
                members.saturating_sub(1),
            ),
            Self::Rotate { id, .. } => (
                "rotate a certificate",
                alive_without(Some(id)),
                members > 2,
                members,
            ),
            Self::Remove { id } => ("remove one", alive_without(Some(id)), true, members + 1),
        };
        let quorum = members / 2 + 1;
        if matters && alive < quorum {
            return Err(MembershipError::QuorumLoss {
                active: alive_without(None),
                now,
                step,
                alive,
                members,
                quorum,
            });
        }
        Ok(())
    }
}

/// How messages name a consenter.
pub(super) fn address(consenter: &Consenter) -> String {
    format!("{}:{}", consenter.host, consenter.port)
}

fn list(addresses: &[String]) -> String {
    if addresses.is_empty() {
        return "none".to_owned();
    }
    addresses.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(name: u8) -> Consenter {
        Consenter {
            host: format!("o{name}"),
            port: 7050,
            client_tls_cert: vec![name].into(),
            server_tls_cert: vec![name].into(),
        }
    }

    fn members(names: &[u8]) -> Vec<Consenter> {
        names.iter().copied().map(member).collect()
    }

    fn ids(ids: &[u64]) -> Vec<ConsenterId> {
        ids.iter().copied().map(ConsenterId).collect()
    }

    fn change(old: &[u8], known: &[u64], new: &[u8]) -> Result<MemberChange, MembershipError> {
        MemberChange::between(&members(old), &ids(known), &members(new))
    }

    #[test]
    fn one_may_come_or_go_or_take_the_place_of_another() {
        use MemberChange::{Add, None, Remove, Rotate};
        let five = ConsenterId(5);
        assert_eq!(change(&[1, 2, 3], &[1, 2, 5], &[3, 2, 1]), Ok(None));
        assert_eq!(
            change(&[1, 2, 3], &[1, 2, 5], &[1, 4, 2, 3]),
            Ok(Add { index: 1 })
        );
        assert_eq!(change(&[1, 2, 3], &[1, 2, 5], &[1, 2]), Ok(Remove { id: five }));
        assert_eq!(
            change(&[1, 2, 3], &[1, 2, 5], &[4, 1, 2]),
            Ok(Rotate { id: five, index: 0 })
        );
    }

    #[test]
    fn members_without_known_ids_are_those_of_a_new_channel() {
        let id = ConsenterId(2);
        assert_eq!(change(&[1, 2], &[], &[1]), Ok(MemberChange::Remove { id }));
    }

    #[test]
    fn a_new_address_is_no_change_of_members() {
        let mut moved = members(&[1, 2]);
        moved[1].host = "elsewhere".into();
        moved[1].server_tls_cert = vec![9].into();
        assert_eq!(
            MemberChange::between(&members(&[1, 2]), &[], &moved),
            Ok(MemberChange::None)
        );
    }

    #[test]
    fn two_at_once_are_named() {
        for (new, text) in [
            (&[1, 2, 3, 4, 5][..], "o4:7050, o5:7050 added, none removed"),
            (&[1], "none added, o2:7050, o3:7050 removed"),
            (&[1, 4, 5], "o4:7050, o5:7050 added, o2:7050, o3:7050 removed"),
        ] {
            let error = change(&[1, 2, 3], &[], new).unwrap_err().to_string();
            assert!(error.contains(text), "{error}");
        }
    }

    #[test]
    fn a_quorum_of_the_new_set_must_be_alive() {
        let add = MemberChange::Add { index: 0 };
        let remove = MemberChange::Remove { id: ConsenterId(3) };
        let rotate = MemberChange::Rotate {
            id: ConsenterId(3),
            index: 0,
        };
        for (change, members, active, expected) in [
            (add, 2, &[][..], true),
            (add, 3, &[1], false),
            (add, 3, &[1, 2], true),
            (add, 4, &[1, 2], false),
            (remove, 2, &[1, 3], false),
            (remove, 2, &[1, 2], true),
            (remove, 1, &[], false),
            (rotate, 2, &[], true),
            (rotate, 3, &[1, 3], false),
            (rotate, 3, &[1, 2], true),
            (rotate, 3, &[1, 1], false),
            (MemberChange::None, 3, &[], true),
        ] {
            let found = change.check_quorum(members, &ids(active));
            assert_eq!(found.is_ok(), expected, "{change:?} {members} {active:?}");
        }
    }
}
