//! What the tests of this crate have in common: identities and channels of the vectors, signed envelopes.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use configtx::Bundle;
use configtx::identity::SigningIdentity;
use prost::Message;
use protos::block;
use protos::wire::common::{
    Block, BlockMetadata, ChannelHeader, Config, ConfigEnvelope, ConfigGroup, ConfigSignature, ConfigUpdate,
    ConfigUpdateEnvelope, ConfigValue, Envelope, Header, HeaderType, LastConfig, Metadata, OrdererAddresses,
    OrdererBlockMetadata, Payload, SignatureHeader,
};
use protos::wire::orderer::{BatchSize, BatchTimeout, ConsensusType, SeekInfo};

use crate::multichannel::chain_support::NodeParts;
use crate::multichannel::refused::Reports;

/// Folder of the vectors with Ed25519 keys.
pub(crate) fn vectors() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors/ed25519")
}

/// The identity in an MSP folder below the vectors' `crypto`.
pub(crate) fn identity(msp_id: &str, folder: &str) -> SigningIdentity {
    let only = |folder: PathBuf| {
        let entry = std::fs::read_dir(&folder).unwrap().next().unwrap().unwrap();
        std::fs::read_to_string(entry.path()).unwrap()
    };
    let msp = vectors().join("crypto").join(folder).join("msp");
    SigningIdentity::new(msp_id, &only(msp.join("signcerts")), &only(msp.join("keystore"))).unwrap()
}

pub(crate) fn orderer() -> SigningIdentity {
    identity(
        "OrdererMSP",
        "ordererOrganizations/ord.vec.test/orderers/o1.ord.vec.test",
    )
}

/// A client of Org1, who may read and write.
pub(crate) fn client() -> SigningIdentity {
    identity(
        "Org1MSP",
        "peerOrganizations/org1.vec.test/users/User1@org1.vec.test",
    )
}

/// A peer of Org1, which may read only.
pub(crate) fn peer() -> SigningIdentity {
    identity(
        "Org1MSP",
        "peerOrganizations/org1.vec.test/peers/peer0.org1.vec.test",
    )
}

/// The administrator of the orderer organisation.
pub(crate) fn orderer_admin() -> SigningIdentity {
    let folder = vectors().join("crypto/extra/admin-ord");
    let read = |file: &str| std::fs::read_to_string(folder.join(file)).unwrap();
    SigningIdentity::new("OrdererMSP", &read("cert.pem"), &read("key.pem")).unwrap()
}

/// A client of Org3, which is not in the channels.
pub(crate) fn stranger() -> SigningIdentity {
    identity(
        "Org3MSP",
        "peerOrganizations/org3.vec.test/users/User1@org3.vec.test",
    )
}

pub(crate) fn node_parts() -> NodeParts {
    let reports = Reports::below(&std::env::temp_dir());
    NodeParts::alone(Arc::new(orderer()), reports, consensus::consenters(None))
}

/// What a genesis block of the tests differs in from raft-one of the vectors.
pub(crate) struct Genesis {
    pub(crate) channel: &'static str,
    pub(crate) consensus: ConsensusType,
    pub(crate) batch: BatchSize,
    pub(crate) timeout: &'static str,
    /// Of the orderer organisation; empty: as in the vector.
    pub(crate) endpoints: Vec<String>,
}

impl Genesis {
    /// A solo channel whose blocks have two messages.
    pub(crate) fn solo(channel: &'static str) -> Self {
        Self {
            channel,
            consensus: ConsensusType {
                r#type: "solo".to_owned(),
                ..Default::default()
            },
            batch: BatchSize {
                max_message_count: 2,
                absolute_max_bytes: 100_000,
                preferred_max_bytes: 50_000,
            },
            timeout: "100ms",
            endpoints: Vec::new(),
        }
    }

    pub(crate) fn block(&self) -> Block {
        let path = vectors().join("blocks/raft-one.block");
        let block = Block::decode(Bytes::from(std::fs::read(path).unwrap())).unwrap();
        let mut config = configtx::config_block::ConfigBlock::read(&block).unwrap().config;
        let group = config
            .channel_group
            .as_mut()
            .unwrap()
            .groups
            .get_mut("Orderer")
            .unwrap();
        let mut put = |key: &str, value: Vec<u8>| group.values.get_mut(key).unwrap().value = value.into();
        put("ConsensusType", self.consensus.encode_to_vec());
        put("BatchSize", self.batch.encode_to_vec());
        let timeout = BatchTimeout {
            timeout: self.timeout.to_owned(),
        };
        put("BatchTimeout", timeout.encode_to_vec());
        if !self.endpoints.is_empty() {
            let addresses = OrdererAddresses {
                addresses: self.endpoints.clone(),
            };
            let org = group.groups.values_mut().next().unwrap();
            org.values.get_mut("Endpoints").unwrap().value = addresses.encode_to_vec().into();
        }
        self.around(config)
    }

    fn around(&self, config: Config) -> Block {
        let data = ConfigEnvelope {
            config: Some(config),
            last_update: None,
        };
        let payload = payload(self.channel, HeaderType::Config as i32, &[], data.encode_to_vec());
        let entry = Envelope {
            payload: payload.encode_to_vec().into(),
            signature: Bytes::new(),
        };
        let mut block = block::next(
            protos::BlockNumber(0),
            &[0; 32],
            vec![entry.encode_to_vec().into()],
        );
        block.header.as_mut().unwrap().previous_hash = Bytes::new();
        let metadata = Metadata {
            value: OrdererBlockMetadata {
                last_config: Some(LastConfig::default()),
                consenter_metadata: Bytes::new(),
            }
            .encode_to_vec()
            .into(),
            signatures: Vec::new(),
        };
        let mut slots = vec![Bytes::new(); 5];
        slots[0] = metadata.encode_to_vec().into();
        block.metadata = Some(BlockMetadata { metadata: slots });
        block
    }
}

fn payload(channel: &str, header_type: i32, creator: &[u8], data: Vec<u8>) -> Payload {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let channel_header = ChannelHeader {
        r#type: header_type,
        channel_id: channel.to_owned(),
        timestamp: Some(prost_types::Timestamp {
            seconds: i64::try_from(now.as_secs()).unwrap(),
            nanos: 0,
        }),
        ..Default::default()
    };
    let signature_header = SignatureHeader {
        creator: Bytes::copy_from_slice(creator),
        nonce: Bytes::from_static(b"nonce"),
    };
    Payload {
        header: Some(Header {
            channel_header: channel_header.encode_to_vec().into(),
            signature_header: signature_header.encode_to_vec().into(),
        }),
        data: data.into(),
    }
}

/// A signed envelope of any type.
pub(crate) fn signed(signer: &SigningIdentity, channel: &str, header_type: i32, data: Vec<u8>) -> Bytes {
    let payload = payload(channel, header_type, signer.serialized(), data).encode_to_vec();
    let envelope = Envelope {
        signature: signer.sign(&payload).into(),
        payload: payload.into(),
    };
    envelope.encode_to_vec().into()
}

/// A signed normal message.
pub(crate) fn message(signer: &SigningIdentity, channel: &str, text: &str) -> Bytes {
    signed(
        signer,
        channel,
        HeaderType::EndorserTransaction as i32,
        text.as_bytes().to_vec(),
    )
}

/// An update that writes one value of the orderer group anew, approved by the orderers' administrator and sent by
/// `sender`.
pub(crate) fn orderer_value(
    current: &Bundle,
    key: &str,
    value: &impl Message,
    sender: &SigningIdentity,
) -> Bytes {
    let channel = current.channel_id().as_str();
    let root = current.config().channel_group.as_ref().unwrap();
    let orderer = &root.groups["Orderer"];
    let bare = |group: &ConfigGroup| ConfigGroup {
        version: group.version,
        ..ConfigGroup::default()
    };
    let mut read_set = bare(root);
    read_set.groups.insert("Orderer".to_owned(), bare(orderer));
    let mut write_set = read_set.clone();
    let old = &orderer.values[key];
    let new = ConfigValue {
        version: old.version + 1,
        value: value.encode_to_vec().into(),
        mod_policy: old.mod_policy.clone(),
    };
    let written = write_set.groups.get_mut("Orderer").unwrap();
    written.values.insert(key.to_owned(), new);
    let update = ConfigUpdate {
        channel_id: channel.to_owned(),
        read_set: Some(read_set),
        write_set: Some(write_set),
        ..ConfigUpdate::default()
    };
    let update = Bytes::from(update.encode_to_vec());
    let admin = orderer_admin();
    let header = SignatureHeader {
        creator: admin.serialized().clone(),
        nonce: Bytes::from_static(b"nonce"),
    };
    let header = Bytes::from(header.encode_to_vec());
    let envelope = ConfigUpdateEnvelope {
        signatures: vec![ConfigSignature {
            signature: admin.sign(&[&header[..], &update[..]].concat()).into(),
            signature_header: header,
        }],
        config_update: update,
    };
    signed(
        sender,
        channel,
        HeaderType::ConfigUpdate as i32,
        envelope.encode_to_vec(),
    )
}

/// A signed Deliver request.
pub(crate) fn seek(signer: &SigningIdentity, channel: &str, info: &SeekInfo) -> Bytes {
    signed(
        signer,
        channel,
        HeaderType::DeliverSeekInfo as i32,
        info.encode_to_vec(),
    )
}

/// Waits until `done`, for a few seconds at most.
pub(crate) async fn until(mut done: impl FnMut() -> bool) {
    let waiting = async {
        while !done() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), waiting)
        .await
        .expect("it happens in time");
}
