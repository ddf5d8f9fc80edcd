//! This node among other orderers.

use super::*;

#[test]
fn a_generated_file_has_a_listener_for_orderers() {
    let general = good(GENERATED).general;
    let cluster = &general.cluster;
    let listener = cluster.listener.as_ref().expect("a listener");
    assert_eq!(listener.listen.to_string(), "127.0.0.1:20011");
    assert!(listener.tls.client_auth_required);
    let server = PathBuf::from("/net/crypto/orderer/tls/server.crt");
    assert_eq!(
        general.cluster_server_certificate(),
        Some(listener.tls.certificate.as_path())
    );
    assert_eq!(
        cluster.client.as_ref().map(|pair| &pair.certificate),
        Some(&server)
    );
    assert_eq!(general.lack_for_cluster(), None);
    assert_eq!(cluster.rpc_timeout, Duration::from_secs(7));
    assert_eq!(cluster.backoff.max, Duration::from_mins(2));
    let consensus = good(GENERATED).consensus;
    assert_eq!(consensus.wal_dir, PathBuf::from("/net/orderer/etcdraft/wal"));
    assert_eq!(consensus.eviction_suspicion, Duration::from_secs(5));
    assert_eq!(consensus.tick_override, Some(Duration::from_millis(642)));
}

#[test]
fn orderers_share_the_general_listener_and_its_pair_by_default() {
    for cluster in ["", "  Cluster: {ListenPort: 0, ListenAddress: ''}\n"] {
        let general = good(&format!("{TLS}{cluster}")).general;
        assert_eq!(general.cluster.listener, None);
        let client = general.cluster.client.as_ref().expect("the pair of General.TLS");
        assert_eq!(client.certificate, PathBuf::from("/etc/node/tls/server.crt"));
        assert_eq!(general.cluster_server_tls(), general.tls.as_ref());
        assert_eq!(general.lack_for_cluster(), None);
    }
}

#[test]
fn a_node_without_tls_says_what_it_lacks_for_a_cluster() {
    let general = good("").general;
    assert_eq!(general.cluster_server_certificate(), None);
    let lack = general.lack_for_cluster().expect("a lack");
    assert!(lack.starts_with("General.TLS.Enabled is false"), "{lack}");
}

#[test]
fn the_keys_of_a_cluster_listener_come_together() {
    let told = refusal("General:\n  Cluster: {ListenPort: 7051, ListenAddress: 127.0.0.1}\n");
    for part in [
        "not set: General.Cluster.ServerCertificate, General.Cluster.ServerPrivateKey",
        "General.Cluster.ClientCertificate and General.Cluster.ClientPrivateKey must be set as well",
    ] {
        assert!(told.contains(part), "{part}\nin\n{told}");
    }
    let told = refusal("General:\n  Cluster: {ClientCertificate: c}\n");
    assert!(
        told.contains(
            "General.Cluster.ClientCertificate is set, but General.Cluster.ClientPrivateKey is not"
        ),
        "{told}"
    );
}

#[test]
fn the_clock_of_outgoing_connections_is_that_of_the_listener_in_use() {
    let shifts = "General:
  TLS: {Enabled: true, PrivateKey: k, Certificate: c, TLSHandshakeTimeShift: 1h}
  Cluster: {TLSHandshakeTimeShift: 2h";
    let shared = good(&format!("{shifts}}}"));
    assert_eq!(
        shared.general.cluster.handshake_time_shift,
        Duration::from_hours(1)
    );
    let own = "ListenPort: 1, ListenAddress: h, ServerCertificate: c, ServerPrivateKey: k, ClientCertificate: c, \
               ClientPrivateKey: k";
    let separate = good(&format!("{shifts}, {own}}}")).general.cluster;
    assert_eq!(separate.handshake_time_shift, Duration::from_hours(2));
    let listener = separate.listener.expect("a listener");
    assert_eq!(listener.tls.handshake_time_shift, Duration::from_hours(2));
}

#[test]
fn the_log_and_its_checkpoints_stand_beside_the_blocks_by_default() {
    let consensus = good("FileLedger: {Location: /data}").consensus;
    assert_eq!(consensus.wal_dir, PathBuf::from("/data/etcdraft/wal"));
    assert_eq!(consensus.snap_dir, PathBuf::from("/data/etcdraft/snapshot"));
    assert_eq!(consensus.eviction_suspicion, Duration::from_mins(10));
    assert_eq!(consensus.tick_override, None);
}

#[test]
fn a_wait_for_a_leader_may_be_none_at_all() {
    assert_eq!(good("").general.leader_wait, None);
    let none = good("General: {Broadcast: {LeaderWait: 0s}}");
    assert_eq!(none.general.leader_wait, Some(Duration::ZERO));
}

#[test]
fn one_key_of_a_backoff_leaves_the_others_at_their_defaults() {
    let backoff = good("General: {Backoff: {MaxDelay: 20s}}")
        .general
        .cluster
        .backoff;
    assert_eq!(
        backoff,
        Backoff {
            base: Duration::from_secs(1),
            multiplier: 1.6,
            max: Duration::from_secs(20),
        }
    );
}
