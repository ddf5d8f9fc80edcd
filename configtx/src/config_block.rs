//! Reading the configuration out of a config block.

use prost::Message;
use protos::block;
use protos::envelope::{OpenError, Opened};
use protos::id::{ChannelId, ChannelIdError};
use protos::wire::common::{Block, Config, ConfigEnvelope, Envelope};

use crate::unknown_field::{self, UnknownField};

/// The content of a config block.
#[derive(Clone, Debug, PartialEq)]
pub struct ConfigBlock {
    /// The channel its envelope names.
    pub channel_id: ChannelId,
    /// The complete configuration from the next block on.
    pub config: Config,
    /// The update that led to it; absent in a genesis block.
    pub last_update: Option<Envelope>,
    /// Something in the config that this program does not know; [`config`](Self::config) lacks it.
    pub unknown_field: Option<UnknownField>,
}

/// Why a block yields no configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigBlockError {
    /// Not exactly one entry with header type CONFIG.
    #[error("block is not a config block")]
    NotConfig,
    /// Its entry cannot be opened.
    #[error("config envelope: {0}")]
    Open(#[from] OpenError),
    /// Its channel name is illegal.
    #[error("config envelope: {0}")]
    ChannelId(#[from] ChannelIdError),
    /// Its payload is no `common.ConfigEnvelope`.
    #[error("config envelope does not decode: {0}")]
    Decode(#[from] prost::DecodeError),
    /// It carries no config.
    #[error("config envelope has no config")]
    NoConfig,
}

impl ConfigBlock {
    /// Opens a config block. Nothing is said yet about whether the config is any good.
    pub fn read(block: &Block) -> Result<Self, ConfigBlockError> {
        let entry = match block.data.as_ref().map(|data| data.data.as_slice()) {
            Some([only]) if block::is_config_block(block) => only,
            _ => return Err(ConfigBlockError::NotConfig),
        };
        let opened = Opened::open(entry.clone())?;
        let envelope = ConfigEnvelope::decode(opened.data.clone())?;
        Ok(Self {
            unknown_field: unknown_field::in_config(&opened.data),
            channel_id: ChannelId::parse(&opened.channel_header.channel_id)?,
            config: envelope.config.ok_or(ConfigBlockError::NoConfig)?,
            last_update: envelope.last_update,
        })
    }
}
