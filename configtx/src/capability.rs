//! Capabilities: names a config lists to say which behaviour its nodes must have, and what each switches.
//!
//! A set acts as the union of its members. Names this program does not know are kept: a config that requires
//! one is refused by whoever must act on it, and only by them. Source: `docs/spec/rules.md` §11.

use bytes::Bytes;
use prost::Message;
use protos::wire::common::Capabilities;

use crate::encode::map_entry;
use crate::identity::MspLevel;

/// What the channel group's capabilities switch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChannelCapabilities {
    level: ChannelLevel,
    unsupported: Vec<String>,
}

/// Channel capabilities in their order: each has what those before it have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum ChannelLevel {
    #[default]
    None,
    V1_1,
    V1_3,
    V1_4_2,
    V1_4_3,
    V2_0,
    V3_0,
}

impl ChannelCapabilities {
    /// Reads the value `Capabilities` of the channel group; a missing one is an empty one.
    pub fn new(value: &Capabilities) -> Self {
        let (level, unsupported) = highest(value, |name| {
            Some(match name {
                "V1_1" => ChannelLevel::V1_1,
                "V1_3" => ChannelLevel::V1_3,
                "V1_4_2" => ChannelLevel::V1_4_2,
                "V1_4_3" => ChannelLevel::V1_4_3,
                "V2_0" => ChannelLevel::V2_0,
                "V3_0" => ChannelLevel::V3_0,
                _ => return None,
            })
        });
        Self { level, unsupported }
    }

    /// Names this program does not know.
    pub fn unsupported(&self) -> &[String] {
        &self.unsupported
    }

    /// Which rules the channel's MSPs follow.
    pub fn msp_level(&self) -> MspLevel {
        match self.level {
            ChannelLevel::None => MspLevel::V1_0,
            ChannelLevel::V1_1 => MspLevel::V1_1,
            ChannelLevel::V1_3 | ChannelLevel::V1_4_2 => MspLevel::V1_3,
            ChannelLevel::V1_4_3 | ChannelLevel::V2_0 => MspLevel::V1_4_3,
            ChannelLevel::V3_0 => MspLevel::V3_0,
        }
    }

    /// Orderer organisations may list endpoints of their own, and the channel-wide list may be empty.
    pub fn org_endpoints(&self) -> bool {
        self.level >= ChannelLevel::V1_4_2
    }

    /// An update may change the consensus type.
    pub fn consensus_type_change(&self) -> bool {
        self.level >= ChannelLevel::V1_4_2
    }

    /// `V3_0`: no channel-wide addresses, endpoints in every orderer organisation, identifier headers in block
    /// signatures, BFT.
    pub fn v3(&self) -> bool {
        self.level >= ChannelLevel::V3_0
    }
}

/// What the orderer group's capabilities switch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OrdererCapabilities {
    level: OrdererLevel,
    unsupported: Vec<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum OrdererLevel {
    #[default]
    None,
    V1_1,
    V1_4_2,
    V2_0,
}

impl OrdererCapabilities {
    /// Reads the value `Capabilities` of the orderer group; a missing one is an empty one.
    pub fn new(value: &Capabilities) -> Self {
        let (level, unsupported) = highest(value, |name| {
            Some(match name {
                "V1_1" => OrdererLevel::V1_1,
                "V1_4_2" => OrdererLevel::V1_4_2,
                "V2_0" => OrdererLevel::V2_0,
                _ => return None,
            })
        });
        Self { level, unsupported }
    }

    /// Names this program does not know; `V3_0` is one of them, it exists for channels only.
    pub fn unsupported(&self) -> &[String] {
        &self.unsupported
    }

    /// Broadcast refuses messages whose signer's certificate has expired.
    pub fn expiration_check(&self) -> bool {
        self.level >= OrdererLevel::V1_1
    }

    /// Maintenance mode exists, and with it the change of the consensus type.
    pub fn maintenance_mode(&self) -> bool {
        self.level >= OrdererLevel::V1_4_2
    }
}

/// What the application group's capabilities switch for an orderer. Unknown names are the peers' business.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApplicationCapabilities {
    acls: bool,
}

impl ApplicationCapabilities {
    /// Reads the value `Capabilities` of the application group; a missing one is an empty one.
    pub fn new(value: &Capabilities) -> Self {
        const WITH_ACLS: [&str; 5] = ["V1_2", "V1_3", "V1_4_2", "V2_0", "V2_5"];
        let acls = WITH_ACLS
            .iter()
            .any(|name| value.capabilities.contains_key(*name));
        Self { acls }
    }

    /// The group may hold the value `ACLs`.
    pub fn acls(&self) -> bool {
        self.acls
    }
}

/// The highest level that a known name stands for, and the unknown names.
fn highest<L: Default + Ord>(value: &Capabilities, known: impl Fn(&str) -> Option<L>) -> (L, Vec<String>) {
    let mut highest = L::default();
    let mut unsupported = Vec::new();
    for name in value.capabilities.keys() {
        match known(name) {
            Some(level) => highest = highest.max(level),
            None => unsupported.push(name.clone()),
        }
    }
    (highest, unsupported)
}

/// Serializes a set of capability names as the reference does: each map entry with its empty message written
/// out, names in byte order.
///
/// Config updates are computed by comparing value bytes, so an encoder that leaves the empty message out
/// would see changes where there are none (`docs/spec/tools.md` §3.3).
pub fn encode_capabilities<'a>(names: impl IntoIterator<Item = &'a str>) -> Bytes {
    let mut names: Vec<_> = names.into_iter().collect();
    names.sort_unstable();
    names.dedup();
    let mut out = Vec::new();
    for name in names {
        map_entry(&mut out, 1, name, &[]);
    }
    debug_assert!(Capabilities::decode(&out[..]).is_ok());
    Bytes::from(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(names: &[&str]) -> Capabilities {
        Capabilities::decode(encode_capabilities(names.iter().copied())).unwrap()
    }

    #[test]
    fn a_set_acts_as_the_union_of_its_members() {
        let both = ChannelCapabilities::new(&set(&["V1_3", "V3_0"]));
        assert_eq!(both.msp_level(), MspLevel::V3_0);
        assert!(both.v3() && both.org_endpoints() && both.consensus_type_change());
        let old = ChannelCapabilities::new(&set(&["V1_1", "V1_3"]));
        assert_eq!(old.msp_level(), MspLevel::V1_3);
        assert!(!old.v3() && !old.org_endpoints() && !old.consensus_type_change());
    }

    #[test]
    fn unknown_names_are_reported_and_switch_nothing() {
        let orderer = OrdererCapabilities::new(&set(&["V2_0", "V3_0", "V9_9"]));
        assert_eq!(orderer.unsupported(), ["V3_0", "V9_9"]);
        assert!(orderer.expiration_check() && orderer.maintenance_mode());
        let channel = ChannelCapabilities::new(&set(&["V9_9"]));
        assert_eq!(channel.unsupported(), ["V9_9"]);
        assert!(!channel.org_endpoints());
        assert!(!ApplicationCapabilities::new(&set(&["V1_1", "V9_9"])).acls());
        assert!(ApplicationCapabilities::new(&set(&["V2_5"])).acls());
    }

    #[test]
    fn v1_1_of_the_orderer_checks_expiry_without_maintenance() {
        let orderer = OrdererCapabilities::new(&set(&["V1_1"]));
        assert!(orderer.expiration_check() && !orderer.maintenance_mode());
    }

    #[test]
    fn the_empty_message_of_an_entry_is_written_out() {
        let expected = [&[0x0a, 0x08, 0x0a, 0x04][..], b"V3_0", &[0x12, 0x00]].concat();
        assert_eq!(encode_capabilities(["V3_0", "V3_0"])[..], expected);
    }
}
