//! What an etcdraft block carries for its consenter: a `common.Metadata` whose value is an `etcdraft.BlockMetadata`
//! (`docs/spec/wire.md` §8 and `common.OrdererBlockMetadata`). The core knows the inner message only.

use bytes::Bytes;
use prost::Message;
use protos::block::orderer_metadata;
use protos::wire::common::{Block, Metadata};
use protos::wire::etcdraft::BlockMetadata;

use crate::consenter::ConsenterMetadata;

/// The form in blocks of a serialized `etcdraft.BlockMetadata`; empty stays empty.
pub(super) fn wrap(ConsenterMetadata(value): ConsenterMetadata) -> ConsenterMetadata {
    let metadata = Metadata {
        value,
        ..Metadata::default()
    };
    ConsenterMetadata(Bytes::from(metadata.encode_to_vec()))
}

/// What a block says; none where it says nothing, as a genesis block does. An error in words.
pub fn read_block_metadata(block: &Block) -> Result<Option<BlockMetadata>, String> {
    let orderer = orderer_metadata(block).map_err(|error| error.to_string())?;
    read(&ConsenterMetadata(orderer.unwrap_or_default().consenter_metadata))
}

/// The same of metadata that was taken out of its block already.
pub(super) fn read(ConsenterMetadata(bytes): &ConsenterMetadata) -> Result<Option<BlockMetadata>, String> {
    let wrapped = Metadata::decode(bytes.clone()).map_err(|error| error.to_string())?;
    if wrapped.value.is_empty() {
        return Ok(None);
    }
    let metadata = BlockMetadata::decode(wrapped.value).map_err(|error| error.to_string())?;
    Ok(Some(metadata))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn block_metadata_lies_in_a_metadata_message() {
        let metadata = BlockMetadata {
            consenter_ids: vec![1, 2, 4],
            next_consenter_id: 5,
            raft_index: 7,
        };
        let wrapped = wrap(ConsenterMetadata(metadata.encode_to_vec().into()));
        assert_eq!(wrapped.0, &b"\x0a\x09\x0a\x03\x01\x02\x04\x10\x05\x18\x07"[..]);
        assert_eq!(read(&wrapped), Ok(Some(metadata)));
        assert_eq!(wrap(ConsenterMetadata::default()), ConsenterMetadata::default());
        assert_eq!(read(&ConsenterMetadata::default()), Ok(None));
        assert!(read(&ConsenterMetadata(Bytes::from_static(b"\x0a\x05"))).is_err());
    }
}
