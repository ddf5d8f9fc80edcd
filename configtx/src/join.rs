//! Whether a node may take part in a channel that an administrator hands it as a block.
//!
//! What is said here needs the block alone. Whether the consensus type is one this node runs, and whether the
//! node is a member, is for the orderer to say. The texts are those of the REST interface; tools compare some
//! of them (`docs/spec/dropin.md` §3). Source: `docs/spec/rules.md` §12, `docs/spec/behaviour.md` §8.

use protos::block;
use protos::wire::common::Block;

use crate::bundle::{Bundle, BundleError, UnsupportedCapabilities};
use crate::keys::BLOCK_VALIDATION_PATH;

/// Why a block is no way into a channel; its text is the whole `error` of the reply, status 400.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// The block is no proper config block of an application channel.
    #[error("invalid join block: {0}")]
    Invalid(#[from] InvalidJoinBlock),
    /// The channel needs more than this program has.
    #[error("cannot join: {0}")]
    Unsupported(#[from] UnsupportedCapabilities),
    /// Nothing says which signatures a block needs, so no block could ever be verified.
    #[error("cannot join: config has no policy {BLOCK_VALIDATION_PATH}")]
    NoBlockValidation,
    /// A new channel has a policy whose rule means nothing.
    #[error("cannot join: policy {policy} has a rule other than ANY, ALL and MAJORITY")]
    UnknownRule {
        /// Its path.
        policy: String,
    },
}

/// What is wrong with a join block itself.
#[derive(Debug, thiserror::Error)]
pub enum InvalidJoinBlock {
    /// Not exactly one entry with header type CONFIG.
    #[error("block is not a config block")]
    NotConfig,
    /// No metadata at all.
    #[error("block has no metadata")]
    NoMetadata,
    /// Its data is not what its header names, or there is no header.
    #[error("data hash in the block's header is not the hash of its data")]
    DataHash,
    /// Its config is not valid.
    #[error("invalid config: {0}")]
    Config(#[from] BundleError),
    /// It is a system channel's block.
    #[error("invalid config: contains consortiums: system channel not supported")]
    Consortiums,
    /// It is no application channel's block.
    #[error("invalid config: contains no application group")]
    NoApplication,
}

/// Checks a join block and opens its config.
pub fn check_join_block(block: &Block) -> Result<Bundle, JoinError> {
    let bundle = open_join_block(block)?;
    bundle.check_supported()?;
    if bundle.policy(BLOCK_VALIDATION_PATH).is_none() {
        return Err(JoinError::NoBlockValidation);
    }
    let is_genesis = block.header.as_ref().is_some_and(|header| header.number == 0);
    // A channel that has such a policy already must be followed.
    if is_genesis && let Some(policy) = bundle.policies().with_unknown_rule().next() {
        let policy = policy.path().to_owned();
        return Err(JoinError::UnknownRule { policy });
    }
    Ok(bundle)
}

fn open_join_block(block: &Block) -> Result<Bundle, InvalidJoinBlock> {
    if !block::is_config_block(block) {
        return Err(InvalidJoinBlock::NotConfig);
    }
    let slots = block.metadata.as_ref().map_or(0, |slots| slots.metadata.len());
    if slots == 0 {
        return Err(InvalidJoinBlock::NoMetadata);
    }
    let named = block.header.as_ref().map(|header| &header.data_hash[..]);
    let actual = block.data.as_ref().map(block::block_data_hash);
    if named != actual.as_ref().map(<[u8; 32]>::as_slice) {
        return Err(InvalidJoinBlock::DataHash);
    }
    let bundle = Bundle::from_block(block)?;
    if bundle.has_consortiums() {
        return Err(InvalidJoinBlock::Consortiums);
    }
    if bundle.application().is_none() {
        return Err(InvalidJoinBlock::NoApplication);
    }
    Ok(bundle)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use prost::Message;
    use protos::wire::common::{Config, ConfigEnvelope, ConfigGroup, Envelope, Payload};

    use super::*;
    use crate::capability::encode_capabilities;
    use crate::config_block::ConfigBlock;

    fn vector(path: &str) -> Block {
        let root = std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors/ecdsa");
        Block::decode(&std::fs::read(root.join(path)).unwrap()[..]).unwrap()
    }

    /// A genesis block whose channel group went through `change`, hashes right.
    fn with_config(change: impl FnOnce(&mut ConfigGroup)) -> Block {
        let mut block = vector("blocks/raft-one.block");
        let mut config = ConfigBlock::read(&block).unwrap().config;
        change(config.channel_group.as_mut().unwrap());
        let data = block.data.as_mut().unwrap();
        let envelope = Envelope::decode(data.data[0].clone()).unwrap();
        let mut payload = Payload::decode(envelope.payload).unwrap();
        payload.data = rewrapped(config);
        let envelope = Envelope {
            payload: payload.encode_to_vec().into(),
            signature: Bytes::new(),
        };
        data.data[0] = envelope.encode_to_vec().into();
        block.header.as_mut().unwrap().data_hash = Bytes::copy_from_slice(&block::block_data_hash(data));
        block
    }

    fn rewrapped(config: Config) -> Bytes {
        let envelope = ConfigEnvelope {
            config: Some(config),
            last_update: None,
        };
        envelope.encode_to_vec().into()
    }

    fn refused(block: &Block) -> String {
        check_join_block(block).unwrap_err().to_string()
    }

    #[test]
    fn genesis_and_later_config_blocks_may_be_joined() {
        for path in [
            "blocks/raft-one.block",
            "blocks/bft-four.block",
            "chain/raft-three/o1-003.block",
        ] {
            assert!(check_join_block(&vector(path)).is_ok(), "{path}");
        }
    }

    #[test]
    fn other_blocks_are_no_join_blocks() {
        for block in [Block::default(), vector("chain/raft-three/o1-001.block")] {
            assert_eq!(refused(&block), "invalid join block: block is not a config block");
        }
        let mut bare = vector("blocks/raft-one.block");
        bare.metadata = None;
        assert_eq!(refused(&bare), "invalid join block: block has no metadata");
        let mut other = vector("blocks/raft-one.block");
        other.header = None;
        assert!(refused(&other).starts_with("invalid join block: data hash"));
    }

    #[test]
    fn a_system_channel_is_refused_in_the_words_tools_compare() {
        let block =
            with_config(|root| drop(root.groups.insert("Consortiums".into(), ConfigGroup::default())));
        assert_eq!(
            refused(&block),
            "invalid join block: invalid config: contains consortiums: system channel not supported"
        );
        let block = with_config(|root| drop(root.groups.remove("Application")));
        assert_eq!(
            refused(&block),
            "invalid join block: invalid config: contains no application group"
        );
    }

    #[test]
    fn a_channel_that_cannot_be_served_is_refused() {
        let block = with_config(|root| {
            let orderer = root.groups.get_mut("Orderer").unwrap();
            orderer.values.get_mut("Capabilities").unwrap().value = encode_capabilities(["V9_9"]);
        });
        assert_eq!(
            refused(&block),
            "cannot join: Orderer capabilities V9_9 are required but not supported"
        );
        let block = with_config(|root| {
            let orderer = root.groups.get_mut("Orderer").unwrap();
            orderer.policies.remove("BlockValidation");
        });
        assert_eq!(
            refused(&block),
            "cannot join: config has no policy /Channel/Orderer/BlockValidation"
        );
    }
}
