//! Making and signing envelopes (`docs/spec/rules.md` §3).

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use configtx::identity::{KeyAlgorithm, SigningIdentity};
use prost::Message as _;
use protos::wire::common::{ChannelHeader, Envelope, Header, HeaderType, Payload, SignatureHeader};
use protos::{ChannelId, TxId};

/// Random bytes that make an envelope and its transaction id unlike all others.
pub type Nonce = [u8; 24];

/// Signs envelopes of one identity for one channel. Cheap to clone; usable from many threads.
#[derive(Clone, Debug)]
pub struct EnvelopeSigner {
    identity: Arc<SigningIdentity>,
    channel: ChannelId,
    tls_certificate_hash: Bytes,
}

/// A signed envelope.
#[derive(Clone, Debug)]
pub struct SignedEnvelope {
    /// The serialized `common.Envelope`: what is sent, and what a block holds as its entry.
    pub bytes: Bytes,
    /// SHA-256 of nonce and creator, as stated in its header.
    pub tx_id: TxId,
}

impl EnvelopeSigner {
    /// For envelopes of `identity` to `channel`.
    pub fn new(identity: Arc<SigningIdentity>, channel: ChannelId) -> Self {
        Self {
            identity,
            channel,
            tls_certificate_hash: Bytes::new(),
        }
    }

    /// Binds envelopes to the client certificate of a connection. Deliver under mutual TLS needs it.
    #[must_use]
    pub fn bound_to(mut self, certificate_hash: Option<&Bytes>) -> Self {
        self.tls_certificate_hash = certificate_hash.cloned().unwrap_or_default();
        self
    }

    /// The channel that envelopes are for.
    pub fn channel(&self) -> &ChannelId {
        &self.channel
    }

    /// Kind of the key that signs.
    pub fn key_algorithm(&self) -> KeyAlgorithm {
        self.identity.certificate().public_key().algorithm()
    }

    /// Kind of the key that signs, for showing.
    pub fn key_name(&self) -> String {
        format!("{:?}", self.key_algorithm())
    }

    /// Signs `data` as an ordinary transaction, with a fresh nonce, dated now.
    pub fn transaction(&self, data: Bytes) -> SignedEnvelope {
        let nonce = rand::random();
        self.sign(HeaderType::EndorserTransaction, data, nonce, SystemTime::now())
    }

    /// Signs `data` under a header of type `kind`. The same arguments give the same Ed25519-signed bytes.
    pub fn sign(&self, kind: HeaderType, data: Bytes, nonce: Nonce, now: SystemTime) -> SignedEnvelope {
        let creator = self.identity.serialized();
        let tx_id = TxId::compute(&nonce, creator);
        let channel_header = ChannelHeader {
            r#type: kind as i32,
            timestamp: Some(now.into()),
            channel_id: self.channel.as_str().to_owned(),
            tx_id: tx_id.to_string(),
            tls_cert_hash: self.tls_certificate_hash.clone(),
            ..ChannelHeader::default()
        };
        let signature_header = SignatureHeader {
            creator: creator.clone(),
            nonce: Bytes::copy_from_slice(&nonce),
        };
        let header = Header {
            channel_header: channel_header.encode_to_vec().into(),
            signature_header: signature_header.encode_to_vec().into(),
        };
        let payload = Payload {
            header: Some(header),
            data,
        }
        .encode_to_vec();
        let signature = self.identity.sign(&payload);
        let envelope = Envelope {
            payload: payload.into(),
            signature: signature.into(),
        };
        SignedEnvelope {
            bytes: envelope.encode_to_vec().into(),
            tx_id,
        }
    }
}
