//! Channels and administrators of the vectors, and updates signed by them, for the tests of this crate.

use std::path::PathBuf;

use bytes::Bytes;
use prost::Message;
use protos::BlockNumber;
use protos::block;
use protos::wire::common::{
    Block, ChannelHeader, Config, ConfigGroup, ConfigSignature, ConfigUpdate, ConfigUpdateEnvelope,
    ConfigValue, Envelope, Header, HeaderType, Payload, SignatureHeader,
};

use crate::Bundle;
use crate::encode::encode_config_envelope;
use crate::identity::SigningIdentity;

fn vectors() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors/ecdsa")
}

/// The config in a genesis block of the vectors.
pub(crate) fn channel(name: &str) -> Bundle {
    let bytes = std::fs::read(vectors().join(format!("blocks/{name}.block"))).unwrap();
    Bundle::from_block(&Block::decode(&bytes[..]).unwrap()).unwrap()
}

/// One of the extra identities of the vectors.
pub(crate) fn identity(msp_id: &str, name: &str) -> SigningIdentity {
    let folder = vectors().join("crypto/extra").join(name);
    let read = |file: &str| std::fs::read_to_string(folder.join(file)).unwrap();
    SigningIdentity::new(msp_id, &read("cert.pem"), &read("key.pem")).unwrap()
}

/// The administrator of the orderer organisation.
pub(crate) fn orderer_admin() -> SigningIdentity {
    identity("OrdererMSP", "admin-ord")
}

/// The administrator of Org1.
pub(crate) fn org1_admin() -> SigningIdentity {
    identity("Org1MSP", "admin-org1")
}

/// The administrator of Org2.
pub(crate) fn org2_admin() -> SigningIdentity {
    identity("Org2MSP", "admin-org2")
}

/// The root group of a config.
pub(crate) fn root(bundle: &Bundle) -> ConfigGroup {
    bundle.config().channel_group.clone().unwrap()
}

/// A group with the version of one in the config and nothing else.
pub(crate) fn bare(group: &ConfigGroup) -> ConfigGroup {
    ConfigGroup {
        version: group.version,
        ..ConfigGroup::default()
    }
}

/// Read and write set of an update that changes nothing yet: root and orderer group at their versions.
pub(crate) fn untouched(bundle: &Bundle) -> ConfigUpdate {
    let root = root(bundle);
    let mut set = bare(&root);
    set.groups
        .insert("Orderer".to_owned(), bare(&root.groups["Orderer"]));
    ConfigUpdate {
        channel_id: bundle.channel_id().to_string(),
        read_set: Some(set.clone()),
        write_set: Some(set),
        ..ConfigUpdate::default()
    }
}

/// The orderer group of the write set.
pub(crate) fn written_orderer(update: &mut ConfigUpdate) -> &mut ConfigGroup {
    let root = update.write_set.as_mut().unwrap();
    root.groups.get_mut("Orderer").unwrap()
}

/// An update that writes an orderer value at the next version.
pub(crate) fn with_value(bundle: &Bundle, key: &str, value: &impl Message) -> ConfigUpdate {
    let old = root(bundle).groups["Orderer"].values[key].clone();
    let mut update = untouched(bundle);
    let new = ConfigValue {
        version: old.version + 1,
        value: value.encode_to_vec().into(),
        mod_policy: old.mod_policy,
    };
    written_orderer(&mut update).values.insert(key.to_owned(), new);
    update
}

/// Serializes `update` with a signature of each of `signers`.
pub(crate) fn signed(update: &ConfigUpdate, signers: &[&SigningIdentity]) -> Bytes {
    signed_bytes(&update.encode_to_vec(), signers)
}

/// The same for an update that is serialized already.
pub(crate) fn signed_bytes(update: &[u8], signers: &[&SigningIdentity]) -> Bytes {
    let sign = |signer: &&SigningIdentity| {
        let header = SignatureHeader {
            creator: signer.serialized().clone(),
            nonce: Bytes::from_static(b"nonce"),
        };
        let header = header.encode_to_vec();
        ConfigSignature {
            signature: signer.sign(&[&header[..], update].concat()).into(),
            signature_header: header.into(),
        }
    };
    let envelope = ConfigUpdateEnvelope {
        signatures: signers.iter().map(sign).collect(),
        config_update: Bytes::copy_from_slice(update),
    };
    envelope.encode_to_vec().into()
}

/// An unsigned envelope of some type on the channel.
fn envelope(channel: &str, kind: HeaderType, data: Bytes) -> Envelope {
    let header = ChannelHeader {
        r#type: kind as i32,
        channel_id: channel.to_owned(),
        ..ChannelHeader::default()
    };
    let payload = Payload {
        header: Some(Header {
            channel_header: header.encode_to_vec().into(),
            signature_header: Bytes::new(),
        }),
        data,
    };
    Envelope {
        payload: payload.encode_to_vec().into(),
        signature: Bytes::from_static(b"s"),
    }
}

/// A block of `config`, which `data`, a signed update, has led to.
pub(crate) fn config_block(channel: &str, config: &Config, data: Bytes) -> Block {
    let update = envelope(channel, HeaderType::ConfigUpdate, data).encode_to_vec();
    let config = encode_config_envelope(config, &update);
    let entry = envelope(channel, HeaderType::Config, config.into());
    block::next(BlockNumber(1), &[0; 32], vec![entry.encode_to_vec().into()])
}
