//! Deployment folders of Fabric's tools with three nodes that dial each other by the names in their channel, in network
//! namespaces of their own, with those names in their hosts file.
//!
//! Needs root, so it is a target with `test = false`, named in `.ci/run`:
//! `cargo test --release -p tests --test deployment_netns [WORD..]`. It runs itself again within namespaces; nothing is
//! seen outside or left behind.

use std::process::ExitCode;
use std::time::Duration;

use client::broadcast::Acknowledge;
use tests::fixture::cases::Case;
use tests::fixture::cases::Suite;
use tests::fixture::cluster::Cluster;
use tests::fixture::cluster::deployment::{DeploymentSpec, KeySet, SettingsFile, named_places};
use tests::fixture::cluster::netns::{self, Net};
use tests::fixture::cluster::walk::{Restarts, restart_under_load, walk};

const SUITE: Suite = Suite {
    name: "deployment_netns",
    // The names lead to one network at a time.
    at_a_time: 1,
    case_time_max: Duration::from_mins(4),
};

/// The channel's own ticks elect in five seconds and more, which would be most of a restart.
const QUICK_TICKS: (&str, &str) = ("ORDERER_CONSENSUS_TICKINTERVALOVERRIDE", "50ms");

async fn three_nodes(keys: KeySet, file: SettingsFile, variables: &[(&str, &str)]) -> (Net, Cluster) {
    let net = Net::new(3);
    let variables = variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let spec = DeploymentSpec {
        keys,
        file,
        channel: "raft-three",
        places: named_places(&net),
        variables: variables.collect(),
    };
    (net, Cluster::of_deployment(&spec))
}

async fn three_ecdsa_nodes_run_with_the_shipped_sample_and_variables_alone() {
    let (_net, mut cluster) = three_nodes(KeySet::Ecdsa, SettingsFile::Shipped, &[]).await;
    walk(&mut cluster, KeySet::Ecdsa).await;
}

async fn three_ed25519_nodes_run_over_a_file_in_the_shape_of_fabrics_sample() {
    let (_net, mut cluster) = three_nodes(KeySet::Ed25519, SettingsFile::SampleLike, &[QUICK_TICKS]).await;
    walk(&mut cluster, KeySet::Ed25519).await;
}

async fn three_nodes_of_a_folder_stop_and_start_at_once_and_lose_nothing() {
    const FEW: Restarts = Restarts {
        rounds: 6,
        acknowledged: 50,
        level: Acknowledge::Committed,
    };
    let (_net, mut cluster) = three_nodes(KeySet::Ecdsa, SettingsFile::Shipped, &[QUICK_TICKS]).await;
    let all = cluster.all();
    cluster.launch(&all);
    cluster.join(&all).await;
    cluster.leader().await;
    restart_under_load(&mut cluster, FEW).await;
}

fn main() -> ExitCode {
    if let Some(outcome) = netns::enter(SUITE.name) {
        return outcome;
    }
    let case = |name, run| Case { name, run };
    SUITE.run(&[
        case(
            "three_ecdsa_nodes_run_with_the_shipped_sample_and_variables_alone",
            || Box::pin(three_ecdsa_nodes_run_with_the_shipped_sample_and_variables_alone()),
        ),
        case(
            "three_ed25519_nodes_run_over_a_file_in_the_shape_of_fabrics_sample",
            || Box::pin(three_ed25519_nodes_run_over_a_file_in_the_shape_of_fabrics_sample()),
        ),
        case(
            "three_nodes_of_a_folder_stop_and_start_at_once_and_lose_nothing",
            || Box::pin(three_nodes_of_a_folder_stop_and_start_at_once_and_lose_nothing()),
        ),
    ])
}
