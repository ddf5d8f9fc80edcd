//! What tools rely on in clusters (`docs/spec/dropin.md` §3, §5), and no other case shows.

use std::fs;
use std::time::SystemTime;

use bytes::Bytes;
use client::config_edit::consenter::{TlsCertificates, add_consenter};
use client::config_edit::organisation::{Part, add_organisation};
use client::crypto::{self, KeyType, OrgKind, OrgPaths, OrgSpec};
use client::genesis::{GenesisOrg, organisation_group};
use client::participation::{AdminError, BlockChoice};
use tests::fixture::cluster::check::{PATIENCE, oracle};
use tests::fixture::cluster::member::TlsFiles;
use tests::fixture::cluster::{Cluster, ClusterSpec};

const SECOND_DOMAIN: &str = "second.example";
const SECOND_MSP: &str = "SecondMSP";

/// Blocks are fetched from a member that has no leader; what would have to be ordered is refused with the reason.
pub(crate) async fn a_member_without_leader_still_answers_its_administrators() {
    let mut cluster = Cluster::start(&ClusterSpec::of(2)).await;
    let oracle = oracle();
    cluster.orders(&[0, 1], &oracle).await;
    let update = cluster.batch_update(0).await;
    cluster.members[1].node.kill();
    let lost = "No leader is present, cluster size is 2";
    cluster.members[0].node.wait_for(lost, PATIENCE);
    let (admin, channel) = (cluster.admin(0), cluster.channel());
    for choice in [
        BlockChoice::Newest,
        BlockChoice::Oldest,
        BlockChoice::Config,
        BlockChoice::Number(1),
    ] {
        let block = admin.block(channel, choice).await;
        block.unwrap_or_else(|error| panic!("{choice:?}: {error}"));
    }
    let refused = admin.update(update).await.expect_err("nobody leads");
    let AdminError::Refused { status, reason, .. } = refused else {
        panic!("not refused but {refused:?}");
    };
    assert_eq!(status, 400);
    let begin = "cannot update: ";
    assert!(
        reason.starts_with(begin) && reason.contains("no Raft leader"),
        "{reason}"
    );
    cluster.members[1].node.start();
    cluster.orders(&[0, 1], &oracle).await;
    cluster.agree(&[0, 1], &oracle).await;
    cluster.assert_no_panic();
}

/// A second organisation of orderers, with an authority of its own for TLS, that runs `node`.
fn second_organisation(cluster: &Cluster, node: usize) -> OrgPaths {
    let host = cluster.members[node].place().cluster.host().to_owned();
    let org = OrgSpec::new(OrgKind::Orderer, SECOND_DOMAIN, KeyType::Ed25519);
    let org = org.with_node("o", &["localhost", &host]);
    let made = crypto::make(&cluster.folder().join("second"), &[org], SystemTime::now());
    made.expect("identities").remove(0)
}

/// Gives a stopped node the identity and TLS files of that organisation. Its administrators stay who they were.
fn hand_over(cluster: &Cluster, node: usize, second: &OrgPaths) -> TlsFiles {
    let member = &cluster.members[node];
    let name = format!("o.{SECOND_DOMAIN}");
    let tls = second.node_tls(&name);
    let files = TlsFiles {
        authority: tls.join("ca.crt"),
        certificate: tls.join("server.crt"),
        key: tls.join("server.key"),
    };
    let (own, before) = (member.folder().join("tls"), member.folder().join("tls-before"));
    fs::create_dir(&before).expect("a folder");
    for file in ["ca.crt", "server.crt", "server.key"] {
        fs::copy(own.join(file), before.join(file)).expect("copied");
    }
    member.install(&files);
    let path = member.folder().join("orderer.yaml");
    let settings = fs::read_to_string(&path).expect("settings");
    let (general, admin) = settings.split_once("Admin:").expect("two parts");
    let admin = admin.replace(&own.display().to_string(), &before.display().to_string());
    let general: Vec<String> = general
        .lines()
        .map(|line| match line.trim().split(": ").next() {
            Some("LocalMSPDir") => format!("  LocalMSPDir: {}", second.node_msp(&name).display()),
            Some("LocalMSPID") => format!("  LocalMSPID: {SECOND_MSP}"),
            _ => line.to_owned(),
        })
        .collect();
    fs::write(&path, format!("{}\nAdmin:{admin}", general.join("\n"))).expect("settings");
    files
}

pub(crate) async fn a_member_of_a_new_organisation_and_its_authority_come_in_one_update() {
    let mut cluster = Cluster::start(&ClusterSpec::of(2).with_spares(1)).await;
    let oracle = oracle();
    cluster.orders(&[0, 1], &oracle).await;
    let second = second_organisation(&cluster, 2);
    let files = hand_over(&cluster, 2, &second);
    let address = cluster.members[2].place().cluster.clone();
    let org = GenesisOrg {
        name: SECOND_MSP.to_owned(),
        msp_id: SECOND_MSP.to_owned(),
        msp_folder: second.msp(),
        endpoints: vec![address.clone()],
    };
    let group = organisation_group(Part::Orderer, &org, &mut Vec::new()).expect("a group");
    let certificate = Bytes::from(fs::read(&files.certificate).expect("a certificate"));
    let certificates = TlsCertificates {
        client: certificate.clone(),
        server: certificate,
    };
    cluster
        .change(0, |config| {
            let config = add_organisation(config, Part::Orderer, SECOND_MSP, group.clone())?;
            add_consenter(config, &address, &certificates)
        })
        .await;
    let block = cluster.config_block(0).await;
    cluster.launch(&[2]);
    cluster.join_with(2, &block).await;
    cluster.until_consenter(2).await;
    for member in &cluster.members {
        let log = member.node.log();
        assert!(!log.contains("ERRO"), "a join is no error of anybody:\n{log}");
    }
    // From when it hears from the leader it counts: with one of the others it is a majority.
    cluster.members[2]
        .node
        .wait_for("Raft leader changed: 0 -> ", PATIENCE);
    cluster.orders(&[0, 1], &oracle).await;
    let height = cluster.equal_heights(&[0, 1], cluster.channel()).await;
    cluster.until_height(2, height).await;
    cluster.members[0].node.kill();
    cluster.orders(&[1], &oracle).await;
    cluster.members[0].node.start();
    cluster.orders(&[0, 1], &oracle).await;
    cluster.agree(&[0, 1], &oracle).await;
    cluster.assert_no_panic();
}

/// Gives a running member other certificates.
async fn rotate(cluster: &mut Cluster, through: usize, node: usize) {
    let files = cluster.second_tls_files(node);
    cluster.rotate(through, node, &files).await;
    cluster.until_follower(node).await;
    cluster.members[node].node.kill();
    cluster.members[node].install(&files);
    cluster.members[node].node.start();
    cluster.until_consenter(node).await;
}

/// When it comes, it knows nobody: the genesis block lists certificates that none of the others has any more.
pub(crate) async fn a_member_that_comes_with_the_genesis_block_after_all_others_have_changed_takes_part() {
    let mut cluster = Cluster::new(&ClusterSpec::of(5));
    let (there, oracle) = ([0, 1, 2, 3], oracle());
    cluster.launch(&there);
    cluster.join(&there).await;
    cluster.orders(&there, &oracle).await;
    for node in there {
        rotate(&mut cluster, (node + 1) % 4, node).await;
    }
    cluster.orders(&there, &oracle).await;
    cluster.launch(&[4]);
    cluster.join(&[4]).await;
    let height = cluster.equal_heights(&there, cluster.channel()).await;
    cluster.until_height(4, height).await;
    // It counts: without two of the others, it makes the majority.
    for node in [0, 1] {
        cluster.members[node].node.kill();
    }
    cluster.orders(&[2, 3, 4], &oracle).await;
    for node in [0, 1] {
        cluster.members[node].node.start();
    }
    cluster.orders(&cluster.all(), &oracle).await;
    cluster.agree(&cluster.all(), &oracle).await;
    cluster.assert_no_panic();
}

pub(crate) async fn five_of_seven_one_of_them_outdated_find_each_other() {
    let mut cluster = Cluster::start(&ClusterSpec::of(7)).await;
    let oracle = oracle();
    cluster.orders(&cluster.all(), &oracle).await;
    // From here on this one knows an old set.
    cluster.members[6].node.kill();
    rotate(&mut cluster, 1, 0).await;
    cluster.orders(&[0, 1], &oracle).await;
    for node in [0, 1, 2, 3, 4, 5] {
        cluster.members[node].node.kill();
    }
    let up = [0, 1, 2, 3, 6];
    cluster.launch(&up);
    cluster.orders(&up, &oracle).await;
    cluster.agree(&up, &oracle).await;
    cluster.assert_no_panic();
}
