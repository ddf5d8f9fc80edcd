//! Organizational units: those an MSP insists on, and those that tell kinds of nodes apart.

use std::collections::BTreeMap;

use super::BrokenRule;

/// What a node OU makes of an identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NodeRole {
    Client,
    Peer,
    Admin,
    Orderer,
}

impl NodeRole {
    fn index(self) -> usize {
        self as usize
    }
}

/// A set of [`NodeRole`]s.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct NodeRoles([bool; 4]);

impl NodeRoles {
    pub(crate) fn contains(self, role: NodeRole) -> bool {
        self.0[role.index()]
    }
}

/// The node OUs of an MSP that has them on.
#[derive(Debug, Default)]
pub(super) struct NodeOus {
    units: [Option<NodeOu>; 4],
}

/// One organizational unit, and the chain identifier its certificates must have if it names a CA.
#[derive(Clone, Debug)]
pub(super) struct NodeOu {
    pub(super) unit: String,
    pub(super) certifier: Option<Vec<u8>>,
}

impl NodeOus {
    pub(super) fn set(&mut self, role: NodeRole, ou: Option<NodeOu>) {
        self.units[role.index()] = ou;
    }

    pub(super) fn has(&self, role: NodeRole) -> bool {
        self.units[role.index()].is_some()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.units.iter().all(Option::is_none)
    }

    /// The roles whose unit is among `units`; certifiers are not looked at.
    pub(super) fn roles(&self, units: &[String]) -> NodeRoles {
        let named = |ou: &Option<NodeOu>| ou.as_ref().is_some_and(|ou| units.contains(&ou.unit));
        NodeRoles(self.units.each_ref().map(named))
    }

    /// Exactly one of `units` is a node OU, and of the right certifier.
    pub(super) fn check(&self, units: &[String], certifier: &[u8]) -> Result<(), BrokenRule> {
        let mut found = 0;
        for unit in units {
            // When two roles share a unit the last one's certifier counts.
            let Some(ou) = self.units.iter().flatten().rfind(|ou| ou.unit == *unit) else {
                continue;
            };
            if ou
                .certifier
                .as_ref()
                .is_some_and(|expected| expected != certifier)
            {
                return Err(BrokenRule::NodeOuCertifier { unit: unit.clone() });
            }
            found += 1;
        }
        if found == 1 {
            Ok(())
        } else {
            Err(BrokenRule::NodeOuCount { found })
        }
    }
}

/// `organizational_unit_identifiers`: a unit and the chain identifiers it counts under.
#[derive(Debug, Default)]
pub(super) struct UnitIdentifiers(BTreeMap<String, Vec<Vec<u8>>>);

impl UnitIdentifiers {
    pub(super) fn add(&mut self, unit: &str, certifier: Vec<u8>) {
        self.0.entry(unit.to_owned()).or_default().push(certifier);
    }

    /// At least one of `units` counts under `certifier`, unless none is asked for.
    pub(super) fn check(&self, units: &[String], certifier: &[u8]) -> Result<(), BrokenRule> {
        let counts = |unit: &String| {
            self.0
                .get(unit)
                .is_some_and(|certifiers| certifiers.iter().any(|known| known == certifier))
        };
        if self.0.is_empty() || units.iter().any(counts) {
            Ok(())
        } else {
            Err(BrokenRule::Unit {
                units: units.to_vec(),
            })
        }
    }
}
