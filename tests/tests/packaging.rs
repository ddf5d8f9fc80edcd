//! What `packaging` promises, against what the node is: times, folders, the container's health check.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use orderer::config::{Config, Environment};
use tests::fixture::binaries;
use tests::fixture::cluster::Cluster;
use tests::fixture::cluster::deployment::{DeploymentSpec, KeySet, SettingsFile, local_place};
use tests::fixture::ports;

fn packaging(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../packaging")
        .join(name)
}

fn text(name: &str) -> String {
    fs::read_to_string(packaging(name)).expect("a file of packaging")
}

/// The last value of a key of the unit.
fn unit_value(key: &str) -> String {
    let unit = text("systemd/orderer.service");
    let mut values = unit
        .lines()
        .filter_map(|line| line.strip_prefix(&format!("{key}=")));
    let last = values.next_back();
    last.unwrap_or_else(|| panic!("no {key} in the unit")).to_owned()
}

#[test]
fn the_unit_waits_longer_than_a_node_takes_to_stop() {
    let seconds = unit_value("TimeoutStopSec").parse().expect("seconds");
    assert!(Duration::from_secs(seconds) > orderer::shutdown::TIME_MAX);
    assert_eq!(unit_value("KillSignal"), "SIGTERM");
    assert_eq!(unit_value("ExecReload"), "/bin/kill -HUP $MAINPID");
}

#[test]
fn unit_folders_and_image_are_those_of_the_shipped_settings() {
    let file = packaging("orderer.yaml");
    let config = Config::read(&file, &Environment::new()).expect("the sample");
    let location = config.ledger.location.display().to_string();
    assert_eq!(unit_value("ReadWritePaths"), location);
    assert_eq!(unit_value("WorkingDirectory"), "/etc/hyperledger/fabric");
    assert_eq!(
        unit_value("Environment"),
        "FABRIC_CFG_PATH=/etc/hyperledger/fabric"
    );
    for (name, wanted) in [
        (
            "systemd/orderer.tmpfiles.conf",
            format!("d {location} 0700 orderer orderer -"),
        ),
        ("Dockerfile", format!("VOLUME {location}\n")),
        ("Dockerfile", "FABRIC_CFG_PATH=/etc/hyperledger/fabric".to_owned()),
        ("Dockerfile", "EXPOSE 7050\n".to_owned()),
    ] {
        assert!(text(name).contains(&wanted), "{name} lacks {wanted}");
    }
    for folder in [&config.consensus.wal_dir, &config.consensus.snap_dir] {
        assert!(
            folder.starts_with(&location),
            "{} is not writable",
            folder.display()
        );
    }
}

/// The status of the container's health check under these variables.
fn health(variables: &[(String, String)]) -> Option<i32> {
    let programs = binaries::ordain().parent().expect("a folder");
    let others = std::env::var("PATH").expect("a PATH");
    let mut check = Command::new(packaging("healthcheck"));
    check.env("PATH", format!("{}:{others}", programs.display()));
    check.envs(variables.iter().cloned());
    check.output().expect("the health check runs").status.code()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_health_check_tells_a_node_that_answers_from_one_that_does_not() {
    for tls in [false, true] {
        let mut variables = vec![(
            "ORDERER_OPERATIONS_LISTENADDRESS".to_owned(),
            format!("127.0.0.1:{}", ports::free()),
        )];
        if tls {
            let node = KeySet::Ecdsa
                .folder()
                .join("crypto/ordererOrganizations/ord.vec.test/orderers/o1.ord.vec.test/tls");
            let file = |name: &str| node.join(name).display().to_string();
            variables.extend(
                [
                    ("ENABLED", "true".to_owned()),
                    ("PRIVATEKEY", file("server.key")),
                    ("CERTIFICATE", file("server.crt")),
                    ("ROOTCAS", format!("[{}]", file("ca.crt"))),
                    ("CLIENTROOTCAS", format!("[{}]", file("ca.crt"))),
                ]
                .map(|(key, value)| (format!("ORDERER_OPERATIONS_TLS_{key}"), value)),
            );
        }
        let spec = DeploymentSpec {
            keys: KeySet::Ecdsa,
            file: SettingsFile::Shipped,
            channel: "raft-one",
            places: vec![local_place()],
            variables: variables.clone(),
        };
        let mut cluster = Cluster::of_deployment(&spec);
        assert_eq!(health(&variables), Some(1), "nothing runs, TLS {tls}");
        cluster.launch(&[0]);
        assert_eq!(health(&variables), Some(0), "a node serves, TLS {tls}");
        cluster.join(&[0]).await;
        cluster.leader().await;
        assert_eq!(health(&variables), Some(0), "a node orders, TLS {tls}");
        cluster.stop(&[0]);
        assert_eq!(health(&variables), Some(1), "it is gone, TLS {tls}");
    }
}
