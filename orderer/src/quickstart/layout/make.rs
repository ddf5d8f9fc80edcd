//! Making everything in an empty folder, once.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use client::connection::Address;
use client::connection_file::{ConnectionFile, IdentityFiles, OrdererAddresses, TlsFiles};
use client::crypto::{self, KeyType, Manifest, ManifestOrg, OrgKind, OrgPaths, OrgSpec};
use client::genesis::{self, BatchSpec, ConsensusSpec, ConsenterSpec, GenesisOrg, GenesisSpec};
use configtx::genesis::{Consensus, genesis_block};
use protos::ChannelId;
use protos::wire::etcdraft;

use super::super::ports::{Ports, address};
use super::super::settings;
use super::files::{
    CLIENT_DOMAIN, CLIENT_MSP, CRYPTO, NodeFiles, ORDERER_DOMAIN, ORDERER_MSP, client_org, common_name,
    connection_file, genesis_file, host, orderer_org,
};
use super::{CHANNEL, LayoutError, io_error};

/// An incomplete block waits this long for more envelopes: short, since people try single ones here.
pub(in super::super) const BATCH_TIMEOUT: Duration = Duration::from_millis(250);

/// On one machine messages take no time, so members may notice sooner than by default that one is gone: after one to
/// two seconds.
const TICK_INTERVAL: &str = "100ms";

const HOST_NAMES: [&str; 2] = ["localhost", "127.0.0.1"];

/// Makes everything for `count` nodes, the connection file last.
pub(super) fn make(folder: &Path, count: usize, now: SystemTime) -> Result<Vec<NodeFiles>, LayoutError> {
    let ports = Ports::choose(count).map_err(LayoutError::Ports)?;
    let nodes: Vec<_> = (1..)
        .zip(ports)
        .map(|(number, ports)| NodeFiles::at(folder, number, count, ports))
        .collect();
    make_identities(folder, &nodes, now)?;
    make_genesis(folder, &nodes, now)?;
    for node in &nodes {
        fs::create_dir_all(&node.folder).map_err(io_error(&node.folder))?;
        let text = settings::text(&node.identity(folder), node.ports);
        fs::write(node.settings(), text).map_err(io_error(&node.settings()))?;
    }
    connection(folder, &nodes).write(&connection_file(folder))?;
    Ok(nodes)
}

fn make_identities(folder: &Path, nodes: &[NodeFiles], now: SystemTime) -> Result<(), LayoutError> {
    let root = folder.join(CRYPTO);
    let orderers = (1..=nodes.len()).fold(
        OrgSpec::new(OrgKind::Orderer, ORDERER_DOMAIN, KeyType::Ed25519),
        |org, number| org.with_node(&host(number), &HOST_NAMES),
    );
    let mut clients = OrgSpec::new(OrgKind::Peer, CLIENT_DOMAIN, KeyType::Ed25519).with_users(2);
    // One user for each type of key, to compare them: `ordain bench --key p256`.
    if let Some(second) = clients.users.last_mut() {
        second.key = KeyType::P256;
    }
    let listed = |spec: &OrgSpec, msp_id: &str| ManifestOrg {
        kind: spec.kind,
        msp_id: msp_id.to_owned(),
        domain: spec.domain.clone(),
        nodes: spec.nodes.iter().map(|node| node.common_name.clone()).collect(),
    };
    let organisations = vec![listed(&orderers, ORDERER_MSP), listed(&clients, CLIENT_MSP)];
    crypto::make(&root, &[orderers, clients], now)?;
    Ok(Manifest { organisations }.write(&root)?)
}

fn make_genesis(folder: &Path, nodes: &[NodeFiles], now: SystemTime) -> Result<(), LayoutError> {
    let mut profile = genesis_spec(folder, nodes)?.profile()?.profile;
    if let Consensus::Etcdraft(metadata) = &mut profile.orderer.consensus {
        metadata.options = Some(etcdraft::Options {
            tick_interval: TICK_INTERVAL.to_owned(),
            ..etcdraft::Options::default()
        });
    }
    let block =
        genesis_block(&profile, CHANNEL, rand::random(), now).map_err(genesis::GenesisSpecError::from)?;
    Ok(genesis::write_block(&genesis_file(folder), &block)?)
}

fn genesis_spec(folder: &Path, nodes: &[NodeFiles]) -> Result<GenesisSpec, LayoutError> {
    let org = |msp_id: &str, paths: &OrgPaths| GenesisOrg {
        name: msp_id.to_owned(),
        msp_id: msp_id.to_owned(),
        msp_folder: paths.msp(),
        endpoints: Vec::new(),
    };
    let addresses = nodes.iter().map(|node| address(node.ports.general).parse());
    let endpoints = addresses.collect::<Result<Vec<Address>, _>>()?;
    let consenters = nodes.iter().zip(&endpoints).map(|(node, address)| {
        let certificate = orderer_org(folder)
            .node_tls(&common_name(&node.name))
            .join("server.crt");
        ConsenterSpec {
            address: address.clone(),
            client_tls_certificate: certificate.clone(),
            server_tls_certificate: certificate,
        }
    });
    let consensus = if nodes.len() == 1 {
        ConsensusSpec::Solo
    } else {
        ConsensusSpec::Etcdraft(consenters.collect())
    };
    Ok(GenesisSpec {
        channel: ChannelId::parse(CHANNEL)?,
        orderer_orgs: vec![GenesisOrg {
            endpoints,
            ..org(ORDERER_MSP, &orderer_org(folder))
        }],
        application_orgs: vec![org(CLIENT_MSP, &client_org(folder))],
        consensus,
        batch: BatchSpec {
            timeout: BATCH_TIMEOUT,
            ..BatchSpec::default()
        },
    })
}

pub(super) fn addresses(nodes: &[NodeFiles]) -> Vec<OrdererAddresses> {
    let one = |node: &NodeFiles| OrdererAddresses {
        address: address(node.ports.general),
        admin: Some(address(node.ports.admin)),
        // A file of an earlier version has no such section: any port, known to its log alone.
        operations: Some(node.ports.operations).filter(|port| *port != 0).map(address),
    };
    nodes.iter().map(one).collect()
}

/// A client of the application organisation, who is the orderers' administrator on the admin listener.
fn connection(folder: &Path, nodes: &[NodeFiles]) -> ConnectionFile {
    let (orderers, clients) = (orderer_org(folder), client_org(folder));
    let admin = orderers.user_tls(&orderers.admin_name());
    let tls = TlsFiles {
        ca: orderers.tls_ca(),
        certificate: None,
        key: None,
        server_name: None,
    };
    let user = |number: u8| IdentityFiles {
        msp_id: CLIENT_MSP.to_owned(),
        msp: clients.user_msp(&format!("User{number}@{CLIENT_DOMAIN}")),
    };
    let admin_tls = TlsFiles {
        certificate: Some(admin.join("client.crt")),
        key: Some(admin.join("client.key")),
        ..tls.clone()
    };
    ConnectionFile {
        channel: CHANNEL.to_owned(),
        genesis: Some(genesis_file(folder)),
        identity: user(1),
        identities: vec![user(2)],
        admin_tls: Some(admin_tls.clone()),
        operations_tls: Some(admin_tls),
        tls: Some(tls),
        orderers: addresses(nodes),
    }
}
