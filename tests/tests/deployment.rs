//! Deployment folders of Fabric's tools, as they lie in the vectors, on this node: started with nothing but environment
//! variables over the shipped `orderer.yaml`, or over one in the shape of Fabric's sample. Each is walked through: join,
//! order, read, update, restart, remove, join again.
//!
//! Here one node orders alone and is dialled as `localhost`. Three that know each other by the names of the folder are in
//! the suite `deployment_netns`.

use tests::fixture::cluster::Cluster;
use tests::fixture::cluster::deployment::{DeploymentSpec, KeySet, SettingsFile, local_place};
use tests::fixture::cluster::walk::walk;

async fn one_node(keys: KeySet, file: SettingsFile) {
    let spec = DeploymentSpec {
        keys,
        file,
        channel: "raft-one",
        places: vec![local_place()],
        variables: Vec::new(),
    };
    walk(&mut Cluster::of_deployment(&spec), keys).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ecdsa_folder_runs_with_the_shipped_sample_and_variables_alone() {
    one_node(KeySet::Ecdsa, SettingsFile::Shipped).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ecdsa_folder_runs_over_a_file_in_the_shape_of_fabrics_sample() {
    one_node(KeySet::Ecdsa, SettingsFile::SampleLike).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ed25519_folder_runs_with_the_shipped_sample_and_variables_alone() {
    one_node(KeySet::Ed25519, SettingsFile::Shipped).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ed25519_folder_runs_over_a_file_in_the_shape_of_fabrics_sample() {
    one_node(KeySet::Ed25519, SettingsFile::SampleLike).await;
}
