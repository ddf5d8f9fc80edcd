use std::path::PathBuf;

use bytes::Bytes;
use proptest::prelude::*;
use protos::wire::common::{BlockMetadata, Metadata};
use serde::Deserialize;

use super::*;
use crate::identity::SigningIdentity;

fn vectors() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors")
}

fn block(path: &str) -> Block {
    Block::decode(&std::fs::read(vectors().join(path)).unwrap()[..]).unwrap()
}

fn bundle(path: &str) -> Bundle {
    Bundle::from_block(&block(path)).unwrap()
}

/// The first node of the vectors, speaking for `msp_id`.
fn first_node(msp_id: &str) -> SigningIdentity {
    let folder = "ecdsa/crypto/ordererOrganizations/ord.vec.test/orderers/o1.ord.vec.test/msp";
    let file = |name: &str| std::fs::read_to_string(vectors().join(folder).join(name)).unwrap();
    let certificate = file("signcerts/o1.ord.vec.test-cert.pem");
    SigningIdentity::new(msp_id, &certificate, &file("keystore/priv_sk")).unwrap()
}

#[test]
fn blocks_are_taken_from_nodes_of_the_channels_organisations_alone() {
    let bundle = bundle("ecdsa/blocks/raft-three.block");
    assert_eq!(accepts_signer(&bundle, &first_node("OrdererMSP")), Ok(()));
    let refused = accepts_signer(&bundle, &first_node("OtherMSP")).unwrap_err();
    assert!(refused.to_string().contains(BLOCK_VALIDATION_PATH), "{refused}");
}

#[derive(Deserialize)]
struct SignatureCase {
    id: String,
    file: String,
    channel_config_from: String,
    signatures_valid: bool,
}

#[test]
fn block_signatures_are_judged_as_by_the_reference() {
    for set in ["ecdsa", "ed25519"] {
        let cases = std::fs::read(vectors().join(set).join("blocksigs/cases.json")).unwrap();
        let cases: Vec<SignatureCase> = serde_json::from_slice(&cases).unwrap();
        assert!(cases.len() > 10);
        for case in cases {
            let bundle = bundle(&format!("{set}/{}", case.channel_config_from));
            let block = block(&format!("{set}/{}", case.file));
            let verdict = verify_signatures(&block, &bundle);
            assert_eq!(
                verdict.is_ok(),
                case.signatures_valid,
                "{set} {}: {verdict:?}",
                case.id
            );
        }
    }
}

/// Every chain of the vectors: set, channel, node, number of blocks.
fn chains() -> impl Iterator<Item = (String, u64)> {
    let node = |set: &'static str, channel: &'static str, nodes: u32, blocks: u64| {
        (1..=nodes).map(move |node| (format!("{set}/chain/{channel}/o{node}"), blocks))
    };
    node("ecdsa", "raft-three", 3, 5)
        .chain(node("ecdsa", "bft-four", 4, 4))
        .chain(node("ecdsa", "raft-one", 1, 2))
        .chain(node("ed25519", "raft-three", 3, 5))
        .chain(node("ed25519", "raft-one", 1, 2))
}

#[test]
fn chains_of_live_orderers_verify_block_by_block() {
    for (chain, blocks) in chains() {
        let mut previous = block(&format!("{chain}-000.block"));
        let mut bundle = Bundle::from_block(&previous).unwrap();
        for number in 1..blocks {
            let next = block(&format!("{chain}-{number:03}.block"));
            verify_block(previous.header.as_ref().unwrap(), &next, &bundle)
                .unwrap_or_else(|error| panic!("{chain} {number}: {error}"));
            if block::is_config_block(&next) {
                bundle = Bundle::from_block(&next).unwrap();
            }
            previous = next;
        }
    }
}

/// Block 1 of a raft chain after `change`, verified after block 0.
fn changed(change: impl FnOnce(&mut Block)) -> BlockVerifyError {
    let genesis = block("ecdsa/chain/raft-three/o1-000.block");
    let mut next = block("ecdsa/chain/raft-three/o1-001.block");
    change(&mut next);
    let bundle = Bundle::from_block(&genesis).unwrap();
    verify_block(genesis.header.as_ref().unwrap(), &next, &bundle).unwrap_err()
}

fn rewrite_slot(block: &mut Block, change: impl FnOnce(&mut Metadata)) {
    let slots = &mut block.metadata.as_mut().unwrap().metadata;
    let mut slot = Metadata::decode(slots[SLOT_SIGNATURES].clone()).unwrap();
    change(&mut slot);
    slots[SLOT_SIGNATURES] = slot.encode_to_vec().into();
}

#[test]
fn a_block_that_does_not_follow_is_refused() {
    let number = BlockNumber(1);
    assert_eq!(changed(|b| b.header = None), BlockVerifyError::NoHeader);
    assert_eq!(
        changed(|b| b.header.as_mut().unwrap().number = 2),
        BlockVerifyError::Number {
            expected: number,
            found: BlockNumber(2)
        }
    );
    assert_eq!(
        changed(|b| b.header.as_mut().unwrap().previous_hash = Bytes::new()),
        BlockVerifyError::PreviousHash { number }
    );
}

#[test]
fn a_block_whose_content_was_touched_is_refused() {
    let number = BlockNumber(1);
    assert_eq!(
        changed(|b| b.metadata = Some(BlockMetadata::default())),
        BlockVerifyError::MetadataSlots { number, found: 0 }
    );
    assert_eq!(
        changed(|b| b.metadata.as_mut().unwrap().metadata.truncate(4)),
        BlockVerifyError::MetadataSlots { number, found: 4 }
    );
    assert_eq!(
        changed(|b| b.data = None),
        BlockVerifyError::Data {
            number,
            source: IllFormed::Empty
        }
    );
    assert!(matches!(
        changed(|b| b.data.as_mut().unwrap().data.push(Bytes::new())),
        BlockVerifyError::Data { .. }
    ));
    assert_eq!(
        changed(|b| drop(b.data.as_mut().unwrap().data.pop())),
        BlockVerifyError::DataHash { number }
    );
}

#[test]
fn a_block_without_good_signatures_is_refused() {
    let broken = Bytes::from_static(&[0xff]);
    assert!(matches!(
        changed(|b| b.metadata.as_mut().unwrap().metadata[SLOT_SIGNATURES] = broken.clone()),
        BlockVerifyError::Metadata { .. }
    ));
    assert!(matches!(
        changed(|b| rewrite_slot(b, |slot| slot.signatures[0].signature_header = broken.clone())),
        BlockVerifyError::SignatureHeader { index: 0, .. }
    ));
    assert!(matches!(
        changed(|b| rewrite_slot(b, |slot| slot.signatures.clear())),
        BlockVerifyError::Signatures { .. }
    ));
}

#[test]
fn both_kinds_of_header_may_sign_one_bft_block() {
    let mut block = block("ecdsa/blocksigs/bft-three.block");
    let bundle = bundle("ecdsa/blocks/bft-four.block");
    let node = first_node("OrdererMSP");
    let header = block.header.clone().unwrap();
    rewrite_slot(&mut block, |slot| {
        let own_header = SignatureHeader {
            creator: node.serialized().clone(),
            nonce: Bytes::from_static(&[1; 24]),
        };
        let own_header = own_header.encode_to_vec();
        let signature = node.sign(&block::signed_bytes(&slot.value, &own_header, &header));
        let first = &mut slot.signatures[0];
        let named = IdentifierHeader::decode(first.identifier_header.clone()).unwrap();
        assert_eq!(named.identifier, 1, "the signature of o1 is replaced");
        *first = MetadataSignature {
            signature_header: own_header.into(),
            signature: signature.into(),
            identifier_header: Bytes::new(),
        };
    });
    assert_eq!(verify_signatures(&block, &bundle), Ok(()));
}

proptest! {
    #[test]
    fn a_damaged_block_is_refused_or_accepted_without_panic(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)
    ) {
        let genesis = block("ecdsa/chain/bft-four/o1-000.block");
        let bundle = Bundle::from_block(&genesis).unwrap();
        let mut bytes = std::fs::read(vectors().join("ecdsa/chain/bft-four/o1-001.block")).unwrap();
        for (place, value) in damage {
            let place = place.index(bytes.len());
            bytes[place] = value;
        }
        if let Ok(damaged) = Block::decode(&bytes[..]) {
            let _ = verify_block(genesis.header.as_ref().unwrap(), &damaged, &bundle);
            let _ = verify_signatures(&damaged, &bundle);
            let _ = crate::join::check_join_block(&damaged);
        }
    }
}
