//! What lies in bytes: the fields that are shown as the message they hold.
//!
//! A [`View`] says how the fields of a message are looked at; [`View::field`] says it for one field. Which message
//! lies in an opaque field may depend on the fields beside it: [`View::held`]. Source: `docs/spec/tools.md` §3.2.

use prost_reflect::{DynamicMessage, FieldDescriptor, Value};
use protos::wire::common::HeaderType;
use protos::wire::common::msp_principal::Classification;
use protos::wire::common::policy::PolicyType;

use super::config_tree::Place;
use super::error::Reason;
use super::schema::EMPTY;

/// How the fields of a message are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum View {
    /// Bytes are bytes, here and below.
    Plain,
    /// Fields that hold messages are shown as those.
    Open,
    /// A config group at a place of a channel's config.
    Group(Place),
    /// A config value: the message it holds, if its name is known at its place.
    Value(Option<&'static str>),
    /// The changes of one namespace, in a read-write set of this data model.
    Namespace(i32),
}

/// How one field is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FieldView {
    /// As it is; messages in it so.
    Is(View),
    /// Bytes that hold a message: [`View::held`] says which.
    Holds,
    /// Sub-groups of a config group: the key decides.
    Groups(Place),
    /// Values of a config group: the key decides.
    Values(Place),
    /// A map whose every entry is unknown.
    Unknown,
}

/// The message that a field holds.
enum Held {
    /// This one.
    Always(&'static str),
    /// The fields beside it say which.
    BySiblings(fn(&DynamicMessage) -> Result<&'static str, Reason>),
}

/// All fields that hold a message, wherever their message stands.
const HOLDING: &[(&str, Held)] = &[
    ("common.Envelope.payload", Held::Always("common.Payload")),
    ("common.Payload.data", Held::BySiblings(payload_data)),
    (
        "common.Header.channel_header",
        Held::Always("common.ChannelHeader"),
    ),
    (
        "common.Header.signature_header",
        Held::Always("common.SignatureHeader"),
    ),
    ("common.ChannelHeader.extension", Held::BySiblings(extension)),
    (
        "common.SignatureHeader.creator",
        Held::Always("msp.SerializedIdentity"),
    ),
    ("common.BlockData.data", Held::Always("common.Envelope")),
    (
        "common.ConfigUpdateEnvelope.config_update",
        Held::Always("common.ConfigUpdate"),
    ),
    (
        "common.ConfigSignature.signature_header",
        Held::Always("common.SignatureHeader"),
    ),
    ("common.Policy.value", Held::BySiblings(policy)),
    ("common.MSPPrincipal.principal", Held::BySiblings(principal)),
    ("msp.MSPConfig.config", Held::BySiblings(msp)),
    (
        "orderer.ConsensusType.metadata",
        Held::BySiblings(consensus_metadata),
    ),
    // A message in the reference's definition; bytes in ours, so that they stay as they came.
    ("orderer.SubmitRequest.payload", Held::Always("common.Envelope")),
    (
        "protos.TransactionAction.header",
        Held::Always("common.SignatureHeader"),
    ),
    (
        "protos.TransactionAction.payload",
        Held::Always("protos.ChaincodeActionPayload"),
    ),
    (
        "protos.ChaincodeActionPayload.chaincode_proposal_payload",
        Held::Always("protos.ChaincodeProposalPayload"),
    ),
    (
        "protos.ChaincodeProposalPayload.input",
        Held::Always("protos.ChaincodeInvocationSpec"),
    ),
    (
        "protos.ChaincodeEndorsedAction.proposal_response_payload",
        Held::Always("protos.ProposalResponsePayload"),
    ),
    (
        "protos.ProposalResponsePayload.extension",
        Held::Always("protos.ChaincodeAction"),
    ),
    (
        "protos.ChaincodeAction.results",
        Held::Always("rwset.TxReadWriteSet"),
    ),
    (
        "protos.ChaincodeAction.events",
        Held::Always("protos.ChaincodeEvent"),
    ),
];

impl View {
    /// How `field` of `message` is looked at.
    pub(super) fn field(self, message: &DynamicMessage, field: &FieldDescriptor) -> FieldView {
        if self == Self::Plain || field.containing_oneof().is_some() {
            return FieldView::Is(Self::Plain);
        }
        match (self, field.name()) {
            (Self::Group(place), "groups") => return FieldView::Groups(place),
            (Self::Group(place), "values") => return FieldView::Values(place),
            (Self::Value(_), "value") | (Self::Namespace(_), "rwset") => return FieldView::Holds,
            _ => {}
        }
        match field.full_name() {
            "common.Config.channel_group"
            | "common.ConfigUpdate.read_set"
            | "common.ConfigUpdate.write_set" => FieldView::Is(Self::Group(Place::Channel)),
            "common.ConfigUpdate.isolated_data" => FieldView::Unknown,
            "rwset.TxReadWriteSet.ns_rwset" => FieldView::Is(Self::Namespace(number(message, "data_model"))),
            name if HOLDING.iter().any(|(holding, _)| *holding == name) => FieldView::Holds,
            _ => FieldView::Is(Self::Open),
        }
    }

    /// Which message `field` of `message` holds, by the fields beside it.
    pub(super) fn held(
        self,
        message: &DynamicMessage,
        field: &FieldDescriptor,
    ) -> Result<&'static str, Reason> {
        match self {
            Self::Value(known) => return known.ok_or(Reason::UnknownValue),
            Self::Namespace(0) => return Ok("kvrwset.KVRWSet"),
            Self::Namespace(other) => return Err(Reason::DataModel(other)),
            _ => {}
        }
        let mut known = HOLDING.iter();
        match known.find(|(name, _)| *name == field.full_name()) {
            Some((_, Held::Always(name))) => Ok(name),
            Some((_, Held::BySiblings(which))) => which(message),
            None => Err(Reason::Unsupported),
        }
    }
}

fn payload_data(payload: &DynamicMessage) -> Result<&'static str, Reason> {
    let header = payload.get_field_by_name("header");
    let header = header.filter(|_| payload.has_field_by_name("header"));
    let header = header
        .as_deref()
        .and_then(Value::as_message)
        .ok_or(Reason::NoHeader)?;
    let number = channel_header_type(header)?;
    match HeaderType::try_from(number) {
        Ok(HeaderType::Config) => Ok("common.ConfigEnvelope"),
        Ok(HeaderType::ConfigUpdate) => Ok("common.ConfigUpdateEnvelope"),
        Ok(HeaderType::EndorserTransaction) => Ok("protos.Transaction"),
        Ok(HeaderType::OrdererTransaction) => Ok("common.Envelope"),
        Ok(HeaderType::Message) => Ok("common.ConfigValue"),
        _ => Err(Reason::PayloadType(number)),
    }
}

/// The type in a header's channel header, which is bytes.
fn channel_header_type(header: &DynamicMessage) -> Result<i32, Reason> {
    use prost::Message as _;
    use protos::wire::common::ChannelHeader;

    let bytes = header.get_field_by_name("channel_header");
    let bytes = bytes
        .as_deref()
        .and_then(Value::as_bytes)
        .cloned()
        .unwrap_or_default();
    let header = ChannelHeader::decode(bytes).map_err(|source| Reason::NotProtobuf {
        type_name: "common.ChannelHeader".to_owned(),
        source,
    })?;
    Ok(header.r#type)
}

fn extension(header: &DynamicMessage) -> Result<&'static str, Reason> {
    match number(header, "type") {
        number if number == HeaderType::EndorserTransaction as i32 => Ok("protos.ChaincodeHeaderExtension"),
        number => Err(Reason::Extension(number)),
    }
}

fn policy(policy: &DynamicMessage) -> Result<&'static str, Reason> {
    let number = number(policy, "type");
    match PolicyType::try_from(number) {
        Ok(PolicyType::Signature) => Ok("common.SignaturePolicyEnvelope"),
        Ok(PolicyType::ImplicitMeta) => Ok("common.ImplicitMetaPolicy"),
        _ => Err(Reason::PolicyType(number)),
    }
}

fn principal(principal: &DynamicMessage) -> Result<&'static str, Reason> {
    let number = number(principal, "principal_classification");
    match Classification::try_from(number) {
        Ok(Classification::Role) => Ok("common.MSPRole"),
        Ok(Classification::OrganizationUnit) => Ok("common.OrganizationUnit"),
        Ok(Classification::Identity) => Ok("msp.SerializedIdentity"),
        Ok(other) => Err(Reason::PrincipalClass(other.as_str_name().to_owned())),
        Err(_) => Err(Reason::PrincipalClass(number.to_string())),
    }
}

fn msp(config: &DynamicMessage) -> Result<&'static str, Reason> {
    match number(config, "type") {
        0 => Ok("msp.FabricMSPConfig"),
        1 => Ok("msp.IdemixMSPConfig"),
        other => Err(Reason::MspType(other)),
    }
}

/// Metadata of another consensus is shown as an empty message, whatever it holds.
#[expect(
    clippy::unnecessary_wraps,
    reason = "one of a table of functions, and the others may refuse"
)]
fn consensus_metadata(consensus: &DynamicMessage) -> Result<&'static str, Reason> {
    let kind = consensus.get_field_by_name("type");
    match kind.as_deref().and_then(Value::as_str) {
        Some("etcdraft") => Ok("etcdraft.ConfigMetadata"),
        Some("BFT") => Ok("orderer.smartbft.Options"),
        _ => Ok(EMPTY),
    }
}

/// A field that is a number or an enum; 0 when it is unset.
fn number(message: &DynamicMessage, field: &str) -> i32 {
    let value = message.get_field_by_name(field);
    let value = value.as_deref();
    let number = value.and_then(|value| value.as_i32().or_else(|| value.as_enum_number()));
    number.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::schema;

    #[test]
    fn every_holding_field_and_held_message_is_there() {
        for (name, held) in HOLDING {
            let (message, field) = name.rsplit_once('.').unwrap();
            let message = schema::find(message).unwrap();
            assert!(message.get_field_by_name(field).is_some(), "{name}");
            if let Held::Always(held) = held {
                schema::find(held).unwrap();
            }
        }
    }
}
