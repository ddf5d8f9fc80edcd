//! Signers and certificates, genesis blocks, the node's own keys.

use std::fs;
use std::path::Path;

use bytes::Bytes;
use client::deliver::{Position, Seek};
use client::envelope::EnvelopeSigner;
use client::participation::AdminError;
use prost::Message as _;
use protos::wire::common::{Block, Status};
use tests::fixture::bystander::Bystander;
use tests::fixture::network::{ChannelSpec, Network, NetworkSpec};

use super::{PATIENCE, assert_refused, fetch, noise, running};

/// Envelopes of `signer` get this answer, and its seeks are forbidden.
async fn assert_shut_out(network: &Network, signer: &EnvelopeSigner, status: Status, text: &str) {
    let envelope = signer.transaction(Bytes::from_static(b"x")).bytes;
    assert_refused(network, envelope, status, text).await;
    let (blocks, status) = fetch(network, signer, Seek::one(Position::Oldest)).await;
    assert_eq!((blocks.len(), status), (0, Some(Status::Forbidden)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signer_of_another_authority_is_forbidden() {
    let network = running(&NetworkSpec::default()).await;
    let bystander = Bystander::join(&network).await;
    let impostor = network.impostor();
    assert_shut_out(
        &network,
        &impostor,
        Status::Forbidden,
        "policy /Channel/Writers is not satisfied",
    )
    .await;
    assert_shut_out(&network, &impostor, Status::Forbidden, ": permission denied").await;
    bystander.orders().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_envelope_that_was_changed_after_signing_is_forbidden() {
    let network = running(&NetworkSpec::default()).await;
    let bystander = Bystander::join(&network).await;
    let signer = network.signer();
    let envelope = signer.transaction(Bytes::from_static(b"sum: 100")).bytes;
    let at = envelope.windows(8).position(|window| window == b"sum: 100");
    let mut changed = envelope.to_vec();
    changed[at.expect("the data is there") + 5] = b'9';
    let text = "the signature does not verify: permission denied";
    assert_refused(&network, changed.into(), Status::Forbidden, text).await;
    let mut changed = envelope.to_vec();
    *changed.last_mut().expect("a signature") ^= 1;
    assert_refused(&network, changed.into(), Status::Forbidden, text).await;
    bystander.orders().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_whose_blocks_nobody_would_take_says_so_and_one_of_the_channel_does_not() {
    let says = "nobody will take the blocks that this node signs, as ";
    let network = running(&NetworkSpec::default()).await;
    assert!(!network.node.log().contains(says), "{}", network.node.log());
    let spec = NetworkSpec {
        variables: &[("ORDERER_GENERAL_LOCALMSPID", "OtherMSP")],
        ..NetworkSpec::default()
    };
    let network = running(&spec).await;
    network.node.wait_for(says, PATIENCE);
    network.node.wait_for(
        "Are General.LocalMSPID and LocalMSPDir those of an orderer",
        PATIENCE,
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_certificate_is_told_so() {
    let spec = NetworkSpec {
        has_expired_org: true,
        ..NetworkSpec::default()
    };
    let network = running(&spec).await;
    let bystander = Bystander::join(&network).await;
    let expired = network.expired_signer();
    assert_shut_out(
        &network,
        &expired,
        Status::BadRequest,
        "broadcast client identity expired",
    )
    .await;
    network.node.wait_for("deliver client identity expired", PATIENCE);
    bystander.orders().await;
}

/// Genesis blocks that are not what they should be, with the status and a part of the text of their refusal.
fn broken_blocks(network: &Network) -> Vec<(&'static str, Bytes, u16, &'static str)> {
    let good = network.first_block(&ChannelSpec::named("other"));
    let change = |change: fn(&mut Block)| {
        let mut block = good.clone();
        change(&mut block);
        Bytes::from(block.encode_to_vec())
    };
    let whole = change(|_| {});
    vec![
        (
            "noise",
            noise(3, 500).into(),
            400,
            "cannot unmarshal file part config-block into a block",
        ),
        (
            "cut",
            whole.slice(..whole.len() / 2),
            400,
            "cannot unmarshal file part config-block into a block",
        ),
        (
            "nothing",
            Bytes::new(),
            400,
            "invalid join block: block is not a config block",
        ),
        (
            "no header",
            change(|block| block.header = None),
            400,
            "invalid join block: ",
        ),
        (
            "another data hash",
            change(|block| block.header.as_mut().expect("a header").data_hash = vec![7; 32].into()),
            400,
            "invalid join block: ",
        ),
        (
            "no metadata",
            change(|block| block.metadata = None),
            400,
            "invalid join block: ",
        ),
        (
            "data that is no envelope",
            change(|block| block.data.as_mut().expect("data").data = vec![noise(5, 90).into()]),
            400,
            "invalid join block: ",
        ),
        (
            "not the first block",
            change(|block| block.header.as_mut().expect("a header").number = 7),
            400,
            "cannot join: ",
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_genesis_block_is_refused_with_its_fault_and_leaves_nothing_behind() {
    let network = running(&NetworkSpec::default()).await;
    let bystander = Bystander::join(&network).await;
    for (what, block, status, text) in broken_blocks(&network) {
        match network.admin().join(block).await {
            Err(AdminError::Refused {
                status: found,
                reason,
            }) => {
                assert_eq!(found, status, "{what}: {reason}");
                assert!(reason.contains(text), "{what}: {text:?} is not in {reason:?}");
            }
            other => panic!("{what}: {other:?}"),
        }
        assert_eq!(
            network.admin().list().await.expect("a list").channels.len(),
            2,
            "{what}"
        );
    }
    assert!(!network.data_folder().join("chains/other").exists());
    bystander.orders().await;
    let good = network.first_block(&ChannelSpec::named("other"));
    let joined = network.join_with(&good).await.expect("the good block is taken");
    assert_eq!((joined.status.as_str(), joined.height), ("active", 1));
    let again = network.join_with(&good).await.expect_err("it is there");
    assert_eq!(
        again.to_string(),
        "the node refused (405): cannot join: channel already exists"
    );
}

/// Replaces every file in `folder` by `bytes`.
fn spoil(folder: &Path, bytes: &[u8]) {
    for entry in fs::read_dir(folder).expect("a folder") {
        fs::write(entry.expect("an entry").path(), bytes).expect("written");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_without_its_signing_key_says_which_files_do_not_fit() {
    let other = Network::new(&NetworkSpec::default());
    let [other_msp, _] = other.node_folders();
    let other_key = fs::read_dir(other_msp.join("keystore")).expect("a folder").next();
    let other_key = fs::read(other_key.expect("a key").expect("an entry").path()).expect("a key");
    for key in [
        &noise(1, 300)[..],
        b"",
        b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        &other_key,
    ] {
        let mut network = Network::new(&NetworkSpec::default());
        let [msp, _] = network.node_folders();
        spoil(&msp.join("keystore"), key);
        let status = network.node.start_in_vain(PATIENCE);
        let stderr = network.node.stderr();
        assert_eq!(status.code(), Some(2), "{stderr}");
        let names_both = stderr.contains("keystore") && stderr.contains("signcerts");
        assert!(names_both || stderr.contains("cannot read"), "{stderr}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_without_its_tls_key_says_of_which_listener_and_file() {
    let mut network = Network::new(&NetworkSpec::default());
    // It has the same files, and is opened first.
    network
        .node
        .set_variable("ORDERER_OPERATIONS_TLS_ENABLED", "false");
    let [_, tls] = network.node_folders();
    let key = fs::read(tls.join("server.key")).expect("a key");
    for (bytes, text) in [
        (&noise(1, 300)[..], "server.key"),
        (b"", "server.key holds no private key in PEM form"),
    ] {
        fs::write(tls.join("server.key"), bytes).expect("written");
        let status = network.node.start_in_vain(PATIENCE);
        assert_eq!(status.code(), Some(1));
        let stderr = network.node.stderr();
        assert!(stderr.contains("TLS of the general listener: "), "{stderr}");
        assert!(stderr.contains(text), "{stderr}");
    }
    fs::write(tls.join("server.key"), key).expect("written");
    network.node.start();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tls_key_that_breaks_while_the_node_runs_leaves_the_old_one_in_force() {
    let network = running(&NetworkSpec::default()).await;
    let bystander = Bystander::join(&network).await;
    let [_, tls] = network.node_folders();
    fs::write(tls.join("server.key"), noise(1, 300)).expect("written");
    network.node.reload();
    for listener in ["general", "admin"] {
        let text = format!("TLS files of the {listener} listener are kept as they were: ");
        network.node.wait_for(&text, PATIENCE);
    }
    bystander.orders().await;
    assert_eq!(network.admin().list().await.expect("a list").channels.len(), 2);
}
