//! A committed config that does not follow the config in force: a fork, a damaged ledger, or a bug of ours.
//!
//! The channel is quarantined, and an operator finds both configs in a report below the data folder,
//! `quarantine/<channel>-block-<number>.txt`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use client::json;
use configtx::config_block::ConfigBlock;
use configtx::{Bundle, validator};
use prost::Message as _;
use protos::wire::common::{Block, Config};
use protos::{BlockNumber, ChannelId};

use super::LOGGER;

/// A config block that does not validate, beside the config that it should have followed.
#[derive(Debug, thiserror::Error)]
#[error(
    "config block {block} does not follow config {}, which is in block {in_force_block}: {reason}",
    in_force.sequence().0
)]
pub struct RefusedConfig {
    /// The block.
    pub block: BlockNumber,
    /// What is wrong with it.
    pub reason: String,
    /// The config before it.
    pub in_force: Arc<Bundle>,
    /// Where that is.
    pub in_force_block: BlockNumber,
    /// The config in the block, if one can be read.
    pub refused: Option<Config>,
}

/// The config of `block`, checked against `in_force`, which block `in_force_block` holds.
pub fn validate(
    in_force: &Arc<Bundle>,
    in_force_block: BlockNumber,
    block: &Block,
) -> Result<Bundle, Box<RefusedConfig>> {
    validator::validate(in_force, block).map_err(|error| {
        Box::new(RefusedConfig {
            block: BlockNumber(block.header.as_ref().map_or(0, |header| header.number)),
            reason: error.to_string(),
            in_force: Arc::clone(in_force),
            in_force_block,
            refused: ConfigBlock::read(block).ok().map(|found| found.config),
        })
    })
}

/// Where reports are written.
#[derive(Clone, Debug)]
pub struct Reports {
    folder: PathBuf,
}

impl Reports {
    /// The reports of the data folder `location`.
    pub fn below(location: &Path) -> Self {
        Self {
            folder: location.join("quarantine"),
        }
    }

    /// Writes the report; answers the reason of the quarantine, which names the file.
    pub fn write(&self, channel: &ChannelId, refused: &RefusedConfig) -> String {
        let file = self.folder.join(format!("{channel}-block-{}.txt", refused.block));
        let written = std::fs::create_dir_all(&self.folder)
            .and_then(|()| std::fs::write(&file, report(channel, refused)));
        match written {
            Ok(()) => format!("{refused}; both configs are in {}", file.display()),
            Err(error) => {
                tracing::error!(target: LOGGER, "channel {channel}: cannot write {}: {error}", file.display());
                refused.to_string()
            }
        }
    }
}

fn report(channel: &ChannelId, refused: &RefusedConfig) -> String {
    let (block, before) = (refused.block, refused.in_force_block);
    let mut text = format!("channel {channel}: {refused}\n\nthe config in force, of block {before}:\n");
    text.push_str(&shown(refused.in_force.config()));
    // A String takes everything.
    let _ = write!(text, "\nthe config that was refused, of block {block}:\n");
    match &refused.refused {
        Some(config) => text.push_str(&shown(config)),
        None => text.push_str("there is none that can be read\n"),
    }
    text
}

/// As JSON; in hexadecimal digits where that does not go.
fn shown(config: &Config) -> String {
    let bytes = config.encode_to_vec();
    json::decode("common.Config", &bytes, json::Options { lenient: true })
        .unwrap_or_else(|error| format!("{error}; serialized: {}\n", hex(&bytes)))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
