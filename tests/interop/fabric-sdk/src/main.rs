//! Drives a node with the crate `fabric-sdk`: channels through its `osnadmin`, envelopes and blocks through its orderer
//! client, a config update that it computes and signs itself, and the operations service.
//!
//! Everything comes from the environment, as the script `fabric-sdk.sh` sets it. A check that fails ends the program.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use fabric_sdk::fabric::common::{
    Block, ChannelHeader, Config, ConfigEnvelope, Envelope, Header, HeaderType, Payload, SignatureHeader,
};
use fabric_sdk::fabric::msp::SerializedIdentity;
use fabric_sdk::fabric::protos::AnchorPeer;
use fabric_sdk::gateway::configtx;
use fabric_sdk::gateway::orderer::{BlockPosition, OrdererClient, OrdererClientBuilder};
use fabric_sdk::identity::{Identity, IdentityBuilder};
use fabric_sdk::operations::{OperationsClient, OperationsClientBuilder};
use fabric_sdk::osnadmin::{OsnadminClient, OsnadminClientBuilder};
use fabric_sdk::prelude::Message;

/// Attempts, a second apart, while nobody leads the fresh channel.
const ATTEMPTS_MAX: usize = 60;

struct Checks(usize);

impl Checks {
    fn that(&mut self, holds: bool, what: &str) {
        assert!(holds, "check failed: {what}");
        self.0 += 1;
    }
}

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: fabric-sdk.sh starts this program"))
}

fn file(name: &str) -> Vec<u8> {
    let path = variable(name);
    fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut checks = Checks(0);
    let channel = variable("CHANNEL");
    let admin = osnadmin();
    join(&admin, &channel, &mut checks).await;
    let orderer = orderer().await;
    order(&orderer, &channel, &mut checks).await;
    update(&orderer, &channel, &mut checks).await;
    operations(&mut checks).await;
    remove(&admin, &channel, &mut checks).await;
    println!("checks: {}", checks.0);
}

fn osnadmin() -> OsnadminClient {
    OsnadminClientBuilder::new()
        .with_url(variable("ADMIN_URL"))
        .and_then(|builder| builder.with_client_identity(file("TLS_CERTIFICATE"), file("TLS_KEY")))
        .and_then(|builder| builder.with_tls(file("TLS_CA")).build())
        .expect("a client of the admin listener")
}

/// Its list is strict: it takes an absent field or `[]`, and fails on null (docs/spec/dropin.md §3).
async fn join(admin: &OsnadminClient, channel: &str, checks: &mut Checks) {
    let empty = admin.list_channels().await.expect("the list of a node without channels");
    checks.that(empty.channels.is_empty() && empty.system_channel.is_none(), "no channel yet");
    let unknown = admin.get_channel(channel).await.expect_err("no such channel yet");
    checks.that(unknown.to_string().contains("channel does not exist"), &unknown.to_string());
    let joined = admin.join_channel(file("GENESIS")).await.expect("the node joins");
    checks.that(
        joined.name == channel && joined.consensus_relation == "consenter" && joined.status == "active",
        &format!("{joined:?}"),
    );
    checks.that(joined.height == 1, &format!("{joined:?}"));
    let again = admin.join_channel(file("GENESIS")).await.expect_err("it is joined already");
    checks.that(again.to_string().contains("channel already exists"), &again.to_string());
    let listed = admin.list_channels().await.expect("a list").channels;
    checks.that(listed.len() == 1 && listed[0].name == channel, &format!("{listed:?}"));
}

async fn orderer() -> OrdererClient {
    let mut orderer = OrdererClientBuilder::new()
        .with_identity(identity("USER_MSP_ID", "USER_MSP"))
        .and_then(|builder| builder.with_tls(file("TLS_CA")))
        .and_then(|builder| builder.with_authority(variable("ORDERER")))
        .and_then(OrdererClientBuilder::build)
        .expect("a client of the orderer");
    orderer.connect().await.expect("a connection");
    orderer
}

fn identity(msp_id: &str, folder: &str) -> Identity {
    let folder = PathBuf::from(variable(folder));
    let key = String::from_utf8(only_file(&folder.join("keystore"))).expect("a PEM file");
    IdentityBuilder::from_pem(only_file(&folder.join("signcerts")))
        .and_then(|builder| builder.with_msp(variable(msp_id)))
        .and_then(|builder| builder.with_private_key(key))
        .and_then(IdentityBuilder::build)
        .expect("an identity")
}

fn only_file(folder: &Path) -> Vec<u8> {
    let mut files = fs::read_dir(folder).expect("a folder");
    let file = files.next().expect("a file").expect("a file");
    assert!(files.next().is_none(), "{} has more than one file", folder.display());
    fs::read(file.path()).expect("a file that can be read")
}

/// An application's envelope. The crate makes none for an orderer (its clients go through a peer's gateway), so it is put
/// together here from the crate's messages and signed by the crate.
fn transaction(channel: &str, nonce: u8, data: &[u8]) -> Envelope {
    let creator = SerializedIdentity {
        mspid: variable("USER_MSP_ID"),
        id_bytes: only_file(&PathBuf::from(variable("USER_MSP")).join("signcerts")),
    };
    let channel_header = ChannelHeader {
        r#type: HeaderType::EndorserTransaction.into(),
        timestamp: Some(std::time::SystemTime::now().into()),
        channel_id: channel.to_owned(),
        ..ChannelHeader::default()
    };
    let signature_header = SignatureHeader {
        creator: creator.encode_to_vec(),
        nonce: vec![nonce; 24],
    };
    let payload = Payload {
        header: Some(Header {
            channel_header: channel_header.encode_to_vec(),
            signature_header: signature_header.encode_to_vec(),
        }),
        data: data.to_vec(),
    };
    let payload = payload.encode_to_vec();
    let signature = identity("USER_MSP_ID", "USER_MSP").sign_message(&payload);
    Envelope { payload, signature }
}

/// Sends until the channel has a leader, as the crate's own tests do.
async fn submit(orderer: &OrdererClient, envelope: &Envelope) {
    for _ in 0..ATTEMPTS_MAX {
        match orderer.broadcast(envelope.clone()).await {
            Ok(_) => return,
            Err(error) if error.to_string().contains("no Raft leader") => {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            Err(error) => panic!("check failed: the envelope is refused: {error}"),
        }
    }
    panic!("check failed: nobody led the channel within {ATTEMPTS_MAX} s");
}

async fn order(orderer: &OrdererClient, channel: &str, checks: &mut Checks) {
    let envelopes = [1, 2, 3].map(|number| transaction(channel, number, &[number; 100]));
    for envelope in &envelopes {
        submit(orderer, envelope).await;
        checks.0 += 1;
    }
    let mut found = Vec::new();
    let mut number = 1;
    while found.len() < envelopes.len() {
        let block = orderer.fetch_block(channel, BlockPosition::Specified(number)).await;
        let block = block.expect("a block");
        checks.that(block.header.as_ref().map(|header| header.number) == Some(number), "the block asked for");
        found.extend(block.data.unwrap_or_default().data);
        number += 1;
    }
    for (sent, found) in envelopes.iter().zip(&found) {
        checks.that(sent.encode_to_vec() == *found, "what was sent is in a block, in its order, unchanged");
    }
    let oldest = orderer.fetch_block(channel, BlockPosition::Oldest).await.expect("the oldest block");
    checks.that(oldest.encode_to_vec() == file("GENESIS"), "block 0 is the one that was joined");

    let stranger = orderer.fetch_block("nobody-has-it", BlockPosition::Newest).await;
    let error = stranger.expect_err("no such channel").to_string();
    checks.that(error.contains("404"), &error);
    let elsewhere = orderer.broadcast(transaction("nobody-has-it", 4, b"")).await;
    let error = elsewhere.expect_err("no such channel").to_string();
    checks.that(error.contains("400") && error.contains("channel does not exist"), &error);
    let mut forged = transaction(channel, 5, b"forged");
    forged.payload.push(0);
    let error = orderer.broadcast(forged).await.expect_err("a wrong signature").to_string();
    checks.that(error.contains("403") || error.contains("400"), &error);
}

fn config_of(block: &Block) -> Config {
    let data = block.data.as_ref().expect("data");
    let envelope = Envelope::decode(data.data[0].as_slice()).expect("an envelope");
    let payload = Payload::decode(envelope.payload.as_slice()).expect("a payload");
    let config = ConfigEnvelope::decode(payload.data.as_slice()).expect("a config");
    config.config.expect("a config")
}

/// Anchor peers: computed, signed and sent by the crate.
async fn update(orderer: &OrdererClient, channel: &str, checks: &mut Checks) {
    let oldest = orderer.fetch_block(channel, BlockPosition::Oldest).await.expect("the oldest block");
    let original = config_of(&oldest);
    let mut changed = original.clone();
    let peer = AnchorPeer {
        host: "peer0.org1.example".to_owned(),
        port: 7051,
    };
    let org = variable("USER_ORG");
    configtx::set_anchor_peers(&mut changed, &org, vec![peer]).expect("the organisation");
    let computed = configtx::compute_config_update(&original, &changed, channel).expect("an update");
    let unsigned = configtx::create_config_update_envelope(&computed);
    let admin = identity("USER_MSP_ID", "USER_ADMIN_MSP");
    let refused = configtx::build_config_update_transaction(&admin, &unsigned).expect("an envelope");
    let error = orderer.broadcast(refused).await.expect_err("nobody signed it").to_string();
    checks.that(error.contains("400") || error.contains("403"), &error);

    let mut signed = unsigned;
    configtx::add_signature(&mut signed, &admin);
    let envelope = configtx::build_config_update_transaction(&admin, &signed).expect("an envelope");
    submit(orderer, &envelope).await;
    // The newest block is the config's once it has been written.
    for _ in 0..ATTEMPTS_MAX {
        let newest = orderer.fetch_block(channel, BlockPosition::Newest).await.expect("the newest block");
        let is_config = newest.data.as_ref().is_some_and(|data| data.data.len() == 1);
        let envelope = newest.data.as_ref().and_then(|data| Envelope::decode(data.data[0].as_slice()).ok());
        let payload = envelope.and_then(|envelope| Payload::decode(envelope.payload.as_slice()).ok());
        let kind = payload
            .and_then(|payload| ChannelHeader::decode(payload.header?.channel_header.as_slice()).ok())
            .map(|header| header.r#type);
        if is_config && kind == Some(HeaderType::Config.into()) {
            let config = config_of(&newest);
            checks.that(config.sequence == original.sequence + 1, "the sequence rose by one");
            checks.that(config.channel_group == expected(&changed, &config), "the config is the one that was computed");
            return;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    panic!("check failed: the update is in no block");
}

/// Versions rise where something changed; everything else is what the crate computed.
fn expected(changed: &Config, in_force: &Config) -> Option<fabric_sdk::fabric::common::ConfigGroup> {
    let mut group = changed.channel_group.clone()?;
    let org = variable("USER_ORG");
    let now = in_force.channel_group.as_ref()?;
    let application = group.groups.get_mut("Application")?;
    let organisation = application.groups.get_mut(&org)?;
    organisation.version = now.groups.get("Application")?.groups.get(&org)?.version;
    Some(group)
}

async fn operations(checks: &mut Checks) {
    let client: OperationsClient = OperationsClientBuilder::new()
        .with_url(variable("OPERATIONS_URL"))
        .and_then(OperationsClientBuilder::build)
        .expect("a client of the operations service");
    let health = client.healthz().await.expect("health");
    checks.that(health.status == "OK" && health.failed_checks.is_empty(), &format!("{health:?}"));
    let version = client.version().await.expect("a version");
    checks.that(version.contains("\"Version\"") && version.contains("\"CommitSHA\""), &version);
    client.put_logspec("info:orderer.common.broadcast=debug").await.expect("a new spec");
    let spec = client.get_logspec().await.expect("the spec").spec;
    checks.that(spec.contains("orderer.common.broadcast=debug"), &spec);
    client.put_logspec("info").await.expect("the old spec");
    client.put_logspec("info:=no level").await.expect_err("a spec that is none");
    checks.0 += 1;
    let metrics = client.metrics_raw().await.expect("metrics");
    checks.that(metrics.contains("ledger_blockchain_height"), "metrics of the ledger");
}

async fn remove(admin: &OsnadminClient, channel: &str, checks: &mut Checks) {
    admin.remove_channel(channel).await.expect("the channel is removed");
    let listed = admin.list_channels().await.expect("a list").channels;
    checks.that(listed.is_empty(), &format!("{listed:?}"));
    let again = admin.remove_channel(channel).await.expect_err("it is gone");
    checks.that(again.to_string().contains("channel does not exist"), &again.to_string());
}
