//! Which groups and values a channel's config has, and what the values hold (`docs/spec/tools.md` §3.2).

/// Where in a config a group stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Channel,
    Orderer,
    OrdererOrg,
    Application,
    ApplicationOrg,
    Consortiums,
    Consortium,
    ConsortiumOrg,
}

impl Place {
    /// Where the sub-group `name` stands; nothing when there can be none.
    pub(super) fn group(self, name: &str) -> Option<Self> {
        Some(match (self, name) {
            (Self::Channel, "Orderer") => Self::Orderer,
            (Self::Channel, "Application") => Self::Application,
            (Self::Channel, "Consortiums") => Self::Consortiums,
            (Self::Orderer, _) => Self::OrdererOrg,
            (Self::Application, _) => Self::ApplicationOrg,
            (Self::Consortiums, _) => Self::Consortium,
            (Self::Consortium, _) => Self::ConsortiumOrg,
            _ => return None,
        })
    }

    /// The message that the value `name` holds; nothing when it is not known here.
    pub(super) fn value(self, name: &str) -> Option<&'static str> {
        Some(match (self, name) {
            (Self::Channel, "HashingAlgorithm") => "common.HashingAlgorithm",
            (Self::Channel, "BlockDataHashingStructure") => "common.BlockDataHashingStructure",
            (Self::Channel, "OrdererAddresses") | (Self::OrdererOrg, "Endpoints") => {
                "common.OrdererAddresses"
            }
            (Self::Channel, "Consortium") => "common.Consortium",
            (Self::Channel | Self::Orderer | Self::Application, "Capabilities") => "common.Capabilities",
            (Self::Orderer, "ConsensusType") => "orderer.ConsensusType",
            (Self::Orderer, "BatchSize") => "orderer.BatchSize",
            (Self::Orderer, "BatchTimeout") => "orderer.BatchTimeout",
            (Self::Orderer, "KafkaBrokers") => "orderer.KafkaBrokers",
            (Self::Orderer, "ChannelRestrictions") => "orderer.ChannelRestrictions",
            (Self::Orderer, "Orderers") => "common.Orderers",
            (Self::OrdererOrg | Self::ApplicationOrg | Self::ConsortiumOrg, "MSP") => "msp.MSPConfig",
            (Self::Application, "ACLs") => "protos.ACLs",
            (Self::ApplicationOrg, "AnchorPeers") => "protos.AnchorPeers",
            (Self::Consortium, "ChannelCreationPolicy") => "common.Policy",
            _ => return None,
        })
    }
}
