//! A config update and its signatures, as the file that goes from one signer to the next.
//!
//! The file is a serialized `common.Envelope` of type `CONFIG_UPDATE`. Signing keeps the bytes of the update and
//! the signatures that are there, and makes the envelope around them anew (`docs/spec/tools.md` §5).

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use configtx::identity::SigningIdentity;
use prost::Message as _;
use protos::ChannelId;
use protos::envelope::{OpenError, Opened};
use protos::id::ChannelIdError;
use protos::wire::common::{
    ChannelHeader, ConfigSignature, ConfigUpdate, ConfigUpdateEnvelope, Envelope, Header, HeaderType,
    Payload, SignatureHeader,
};

use crate::envelope::Nonce;

/// A config update with the signatures collected so far.
#[derive(Clone, Debug, PartialEq)]
pub struct UpdateEnvelope {
    channel: ChannelId,
    content: ConfigUpdateEnvelope,
}

/// Why bytes are no config update.
#[derive(Debug, thiserror::Error)]
pub enum UpdateFileError {
    /// No envelope with the usual headers.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// An envelope of another kind.
    #[error("header type is {found}, and that of a config update is {}", HeaderType::ConfigUpdate as i32)]
    Type {
        /// As given.
        found: i32,
    },
    /// No channel can have this name.
    #[error("channel {name:?}: {source}")]
    Channel {
        /// As given.
        name: String,
        /// Why.
        source: ChannelIdError,
    },
    /// The content is not the message it should be.
    #[error("{what} does not decode: {source}")]
    Decode {
        /// Which message.
        what: &'static str,
        /// Where decoding failed.
        source: prost::DecodeError,
    },
}

impl UpdateEnvelope {
    /// Wraps `update`; nobody has signed it yet.
    pub fn new(channel: ChannelId, update: &ConfigUpdate) -> Self {
        let content = ConfigUpdateEnvelope {
            config_update: update.encode_to_vec().into(),
            signatures: Vec::new(),
        };
        Self { channel, content }
    }

    /// Reads a serialized envelope. Whether its signatures are any good is not looked at.
    pub fn from_bytes(bytes: Bytes) -> Result<Self, UpdateFileError> {
        let opened = Opened::open(bytes)?;
        let header = opened.channel_header;
        if header.r#type != HeaderType::ConfigUpdate as i32 {
            return Err(UpdateFileError::Type { found: header.r#type });
        }
        let name = header.channel_id;
        let channel = ChannelId::parse(&name).map_err(|source| UpdateFileError::Channel {
            name: name.clone(),
            source,
        })?;
        let decode = |what| move |source| UpdateFileError::Decode { what, source };
        let content =
            ConfigUpdateEnvelope::decode(opened.data).map_err(decode("the config update envelope"))?;
        ConfigUpdate::decode(content.config_update.clone()).map_err(decode("the config update"))?;
        Ok(Self { channel, content })
    }

    /// The channel that its header names.
    pub fn channel(&self) -> &ChannelId {
        &self.channel
    }

    /// The serialized `common.ConfigUpdate`, which all signatures cover.
    pub fn config_update(&self) -> &Bytes {
        &self.content.config_update
    }

    /// The serialized `common.ConfigUpdateEnvelope`: update and signatures.
    pub fn data(&self) -> Bytes {
        self.content.encode_to_vec().into()
    }

    /// How many signatures there are.
    pub fn signatures(&self) -> usize {
        self.content.signatures.len()
    }

    /// Whether `identity` is among those who signed.
    pub fn is_signed_by(&self, identity: &SigningIdentity) -> bool {
        self.content.signatures.iter().any(|signature| {
            let header = SignatureHeader::decode(signature.signature_header.clone());
            header.is_ok_and(|header| header.creator == identity.serialized())
        })
    }

    /// Adds a signature, behind those that are there.
    pub fn sign(&mut self, identity: &SigningIdentity, nonce: Nonce) {
        let header = signature_header(identity, nonce);
        let signature = identity.sign(&[&header[..], self.config_update()].concat());
        self.content.signatures.push(ConfigSignature {
            signature_header: header,
            signature: signature.into(),
        });
    }

    /// The envelope around it all, signed by `sender`: what is written to files and what is submitted. The
    /// sender's signature is for the channel's writers policy; it does not count as one of the update's own.
    pub fn seal(&self, sender: &SigningIdentity, nonce: Nonce, now: SystemTime) -> Bytes {
        let payload = self.payload(signature_header(sender, nonce), now).encode_to_vec();
        let signature = sender.sign(&payload).into();
        let envelope = Envelope {
            payload: payload.into(),
            signature,
        };
        envelope.encode_to_vec().into()
    }

    /// The envelope around it with nobody's signature: for a first signer.
    pub fn unsigned(&self) -> Bytes {
        let envelope = Envelope {
            payload: self
                .payload(Bytes::new(), SystemTime::UNIX_EPOCH)
                .encode_to_vec()
                .into(),
            signature: Bytes::new(),
        };
        envelope.encode_to_vec().into()
    }

    fn payload(&self, signature_header: Bytes, now: SystemTime) -> Payload {
        let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let whole_seconds = SystemTime::UNIX_EPOCH + Duration::from_secs(since.as_secs());
        let channel_header = ChannelHeader {
            r#type: HeaderType::ConfigUpdate as i32,
            channel_id: self.channel.as_str().to_owned(),
            timestamp: Some(whole_seconds.into()),
            ..ChannelHeader::default()
        };
        let header = Header {
            channel_header: channel_header.encode_to_vec().into(),
            signature_header,
        };
        Payload {
            header: Some(header),
            data: self.data(),
        }
    }
}

fn signature_header(identity: &SigningIdentity, nonce: Nonce) -> Bytes {
    let header = SignatureHeader {
        creator: identity.serialized().clone(),
        nonce: Bytes::copy_from_slice(&nonce),
    };
    header.encode_to_vec().into()
}
