//! A channel that moves from etcdraft to BFT, whose chain is not there yet.

use std::fs;
use std::path::PathBuf;

use bytes::Bytes;
use prost::Message as _;
use protos::wire::common::{Config, ConfigGroup, ConfigValue, Consenter, Orderers};
use protos::wire::orderer::ConsensusType;
use protos::wire::orderer::consensus_type::State;
use tests::fixture::cluster::check::{PATIENCE, oracle};
use tests::fixture::cluster::{Cluster, ClusterSpec};

fn orderer(config: &mut Config) -> &mut ConfigGroup {
    let root = config.channel_group.as_mut().expect("a config");
    root.groups.get_mut("Orderer").expect("an orderer group")
}

fn set_consensus(config: &mut Config, edit: impl FnOnce(&mut ConsensusType)) {
    let value = orderer(config).values.get_mut("ConsensusType").expect("a type");
    let mut consensus = ConsensusType::decode(value.value.clone()).expect("a type");
    edit(&mut consensus);
    value.value = consensus.encode_to_vec().into();
}

/// The certificate with which a node signs.
fn signing_certificate(cluster: &Cluster, node: usize) -> Bytes {
    let settings = fs::read_to_string(cluster.members[node].folder().join("orderer.yaml"));
    let settings = settings.expect("orderer.yaml");
    let folder = settings
        .lines()
        .find_map(|line| line.trim().strip_prefix("LocalMSPDir: "));
    let folder = PathBuf::from(folder.expect("an MSP folder")).join("signcerts");
    let mut entries = fs::read_dir(folder).expect("a folder");
    let entry = entries.next().expect("a certificate").expect("an entry");
    fs::read(entry.path()).expect("a certificate").into()
}

/// The raft members as those of BFT.
fn mapping(cluster: &Cluster) -> Orderers {
    let consenter = |node: usize| {
        let address = &cluster.members[node].place().cluster;
        let tls = fs::read(cluster.members[node].tls_files().certificate).expect("a certificate");
        Consenter {
            id: u32::try_from(node).expect("a small number") + 1,
            host: address.host().to_owned(),
            port: u32::from(address.port()),
            msp_id: "OrdererMSP".to_owned(),
            identity: signing_certificate(cluster, node),
            client_tls_cert: tls.clone().into(),
            server_tls_cert: tls.into(),
        }
    };
    Orderers {
        consenter_mapping: cluster.all().into_iter().map(consenter).collect(),
    }
}

fn to_bft(config: &mut Config, mapping: &Orderers) {
    set_consensus(config, |consensus| {
        "BFT".clone_into(&mut consensus.r#type);
        consensus.metadata = configtx::genesis::bft_options().encode_to_vec().into();
    });
    let value = ConfigValue {
        value: mapping.encode_to_vec().into(),
        mod_policy: "Admins".to_owned(),
        ..ConfigValue::default()
    };
    let group = orderer(config);
    group.values.insert("Orderers".to_owned(), value);
    let validation = group.policies.get_mut("BlockValidation").expect("a policy");
    validation.policy = Some(configtx::bft::block_validation_policy(&mapping.consenter_mapping));
}

/// Every node gets the block, and says then why it orders nothing; blocks are still served, and a restart changes
/// nothing. One that was down gets the block as well.
pub(crate) async fn a_channel_that_moves_to_bft_is_ended_on_every_node_with_the_reason() {
    let mut cluster = Cluster::start(&ClusterSpec::of(4)).await;
    let (all, oracle) = (cluster.all(), oracle());
    cluster.orders(&all, &oracle).await;
    cluster
        .change(0, |mut config| {
            set_consensus(&mut config, |consensus| {
                consensus.state = State::Maintenance as i32;
            });
            Ok(config)
        })
        .await;
    let height = cluster.equal_heights(&all, cluster.channel()).await;
    cluster.members[3].node.kill();
    let mapping = mapping(&cluster);
    cluster
        .change(0, |mut config| {
            to_bft(&mut config, &mapping);
            Ok(config)
        })
        .await;
    let is_ended = |info: &client::participation::ChannelInfo| {
        let reason = info.reason.as_deref().unwrap_or_default();
        info.height == height + 1 && info.status == "inactive" && reason.contains("BFT")
    };
    for node in 0..3 {
        cluster.until_info(node, "it orders nothing", is_ended).await;
        let changed = "changes the consensus type to BFT";
        cluster.members[node].node.wait_for(changed, PATIENCE);
        let stopped = "Raft node stopped channel=fixture";
        cluster.members[node].node.wait_for(stopped, PATIENCE);
        cluster
            .until_info(node, "it still has the reason", is_ended)
            .await;
    }
    cluster.members[3].node.start();
    cluster.until_info(3, "the block came", is_ended).await;
    cluster.members[0].node.kill();
    cluster.members[0].node.start();
    cluster.until_info(0, "it is still so", is_ended).await;
    cluster.assert_no_panic();
}
