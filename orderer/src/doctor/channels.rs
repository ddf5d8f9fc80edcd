//! The configs in force of this node's channels, and this node's place in them.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use client::Address;
use client::config_change::certificate;
use client::doctor::{Finding, channel};
use client::participation::{AdminClient, BlockChoice};
use client::tls::{ClientCertificate, ClientTls};
use configtx::Bundle;
use configtx::block_verify::accepts_signer;
use configtx::consensus_metadata::{Consenters, consenters_of};
use configtx::identity::Certificate;
use prost::Message as _;
use protos::ChannelId;
use protos::wire::common::Block;
use protos::wire::etcdraft::Consenter;
use rustls::client::verify_server_name;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::ParsedCertificate;

use crate::config::{CertificatePair, Config, Listen};
use crate::local_msp;
use crate::tls::files;

/// How long the running node may take for each answer.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(5);

/// Everything about the channels of `blocks`, or else of the running node.
pub(super) async fn findings(config: &Config, blocks: &[PathBuf]) -> Vec<Finding> {
    let (configs, mut findings) = if blocks.is_empty() {
        of_running(config).await
    } else {
        of_files(blocks)
    };
    for bundle in &configs {
        findings.extend(own_signature(config, bundle));
        findings.extend(own_place(config, bundle));
        let tls = match own_tls(config, &channel::authorities(bundle)) {
            Ok(tls) => tls,
            Err(reason) => {
                let place = format!("channel {}", bundle.channel_id());
                let what = format!("its consenters cannot be dialled with this node's certificate: {reason}");
                let next =
                    "mend General.Cluster.ClientCertificate and ClientPrivateKey, or General.TLS, first";
                findings.push(Finding::problem(place, what, next));
                continue;
            }
        };
        findings.extend(channel::findings(bundle, &tls, SystemTime::now()).await);
    }
    findings
}

fn of_files(blocks: &[PathBuf]) -> (Vec<Bundle>, Vec<Finding>) {
    let (mut configs, mut findings) = (Vec::new(), Vec::new());
    for file in blocks {
        match read_config(file) {
            Ok(bundle) => configs.push(bundle),
            Err(reason) => {
                let next =
                    "fetch one: ordain channel fetch CHANNEL config -o FILE, from any node that orders it";
                findings.push(Finding::problem(file.display().to_string(), reason, next));
            }
        }
    }
    (configs, findings)
}

fn read_config(file: &Path) -> Result<Bundle, String> {
    let bytes = fs::read(file).map_err(|error| error.to_string())?;
    let block = Block::decode(bytes.as_slice()).map_err(|error| format!("no block: {error}"))?;
    Bundle::from_block(&block).map_err(|error| format!("no config block: {error}"))
}

/// The configs of the running node's channels, by its admin listener.
async fn of_running(config: &Config) -> (Vec<Bundle>, Vec<Finding>) {
    let place = format!("admin listener {}", config.admin.listen);
    let unseen = |reason: String| {
        let what = format!("the channels of this node were not looked at: {reason}");
        let next = "start the node and run this again; or give config blocks of another node with --block";
        vec![Finding::warning(&place, what, next)]
    };
    let admin = match admin(config) {
        Ok(admin) => admin,
        Err(reason) => return (Vec::new(), unseen(reason)),
    };
    let list = match tokio::time::timeout(ANSWER_TIME_MAX, admin.list()).await {
        Ok(Ok(list)) => list,
        Ok(Err(error)) => return (Vec::new(), unseen(error.to_string())),
        Err(_) => {
            return (
                Vec::new(),
                unseen(format!("no answer within {ANSWER_TIME_MAX:?}")),
            );
        }
    };
    let (mut configs, mut findings) = (Vec::new(), Vec::new());
    for entry in list.channels {
        match config_of(&admin, &entry.name).await {
            Ok(bundle) => configs.push(bundle),
            Err(reason) => findings.push(Finding::warning(
                format!("channel {}", entry.name),
                format!("its config was not looked at: {reason}"),
                format!(
                    "fetch it from a node that orders it (ordain channel fetch {} config), and give it with --block",
                    entry.name
                ),
            )),
        }
    }
    (configs, findings)
}

async fn config_of(admin: &AdminClient, name: &str) -> Result<Bundle, String> {
    let channel = ChannelId::parse(name).map_err(|error| error.to_string())?;
    let fetching = admin.block(&channel, BlockChoice::Config);
    let block = tokio::time::timeout(ANSWER_TIME_MAX, fetching)
        .await
        .map_err(|_| format!("no answer within {ANSWER_TIME_MAX:?}"))?
        .map_err(|error| error.to_string())?;
    let block = block.decode().map_err(|error| error.to_string())?;
    Bundle::from_block(&block).map_err(|error| error.to_string())
}

/// The node's own certificate is one of the orderer organisation, and so lets it in as a rule.
fn admin(config: &Config) -> Result<AdminClient, String> {
    let listen = &config.admin.listen;
    let address: Address = dialled(listen).parse().map_err(|error| format!("{error}"))?;
    let Some(tls) = &config.admin.tls else {
        return AdminClient::new(&address, None).map_err(|error| error.to_string());
    };
    let mut authorities = Vec::new();
    for file in tls.root_cas.iter().chain(&tls.client_root_cas) {
        let found = files::certificates(file).map_err(|error| error.to_string())?;
        authorities.extend(found.iter().map(|der| der.to_vec()));
    }
    let own = CertificatePair {
        certificate: tls.certificate.clone(),
        private_key: tls.private_key.clone(),
    };
    let tls = client_tls(Some(&own), &authorities)?;
    AdminClient::new(&address, Some(&tls)).map_err(|error| error.to_string())
}

/// Where a listener of every interface can be dialled as well.
fn dialled(listen: &Listen) -> String {
    if matches!(listen.host.as_str(), "" | "0.0.0.0" | "::") {
        format!("127.0.0.1:{}", listen.port)
    } else {
        listen.to_string()
    }
}

/// As this node dials other orderers.
fn own_tls(config: &Config, authorities: &[Vec<u8>]) -> Result<ClientTls, String> {
    client_tls(config.general.cluster.client.as_ref(), authorities)
}

fn client_tls(pair: Option<&CertificatePair>, authorities: &[Vec<u8>]) -> Result<ClientTls, String> {
    let read =
        |file: &Path| fs::read(file).map_err(|error| format!("cannot read {}: {error}", file.display()));
    let pair = match pair {
        Some(pair) => Some((read(&pair.certificate)?, read(&pair.private_key)?)),
        None => None,
    };
    let shown = pair
        .as_ref()
        .map(|(certificate, key)| ClientCertificate { certificate, key });
    let authorities = authorities.iter().map(Vec::as_slice);
    ClientTls::for_authorities(authorities, shown).map_err(|error| error.to_string())
}

/// Whether others take the blocks that this node signs. What is wrong with the identity itself, the check of the settings
/// says.
fn own_signature(config: &Config, bundle: &Bundle) -> Option<Finding> {
    let identity = local_msp::load(&config.general).ok()?;
    let error = accepts_signer(bundle, &identity).err()?;
    let place = format!("this node in {}", bundle.channel_id());
    let (subject, msp_id) = (identity.certificate().subject(), identity.msp_id());
    let what = format!("nobody will take the blocks that it signs, as {subject} of {msp_id}: {error}");
    let next = "set General.LocalMSPID and LocalMSPDir to those of an orderer organisation of the channel; if it is a \
                new one, tell the channel first: ordain config add-org orderer";
    Some(Finding::problem(place, what, next))
}

/// Whether the config knows this node by the certificates that it shows.
fn own_place(config: &Config, bundle: &Bundle) -> Option<Finding> {
    let channel = bundle.channel_id();
    let Ok(Consenters::Raft(consenters)) = consenters_of(bundle.orderer()) else {
        return None;
    };
    let place = format!("this node in {channel}");
    let server = own_key(config.general.cluster_server_certificate());
    let pair = config.general.cluster.client.as_ref();
    let client = own_key(pair.map(|pair| pair.certificate.as_path()));
    let is = |pem: &[u8], key: &Option<[u8; 32]>| key.is_some() && key_of_pem(pem) == *key;
    let found = consenters
        .iter()
        .find(|consenter| is(&consenter.server_tls_cert, &server) || is(&consenter.client_tls_cert, &client));
    let Some(consenter) = found else {
        return Some(nowhere(config, place, &consenters));
    };
    let address = format!("{}:{}", consenter.host, consenter.port);
    let wrong = match (
        is(&consenter.server_tls_cert, &server),
        is(&consenter.client_tls_cert, &client),
    ) {
        (true, true) => {
            let what = format!("it is the consenter {address}, with the certificates that the config has");
            return Some(Finding::ok(place, what));
        }
        (false, _) => "server",
        (true, false) => "client",
    };
    let what = format!(
        "it is the consenter {address}, but the config has another {wrong} TLS certificate for it: other orderers \
         refuse it"
    );
    Some(Finding::problem(place, what, rotate(&address)))
}

fn rotate(address: &str) -> String {
    format!(
        "give the node its old certificate and key back, or tell the channel: ordain config rotate-consenter-cert \
         {address} --tls-cert FILE"
    )
}

/// No consenter has this node's keys. Where one has its port, somebody has exchanged the certificate.
fn nowhere(config: &Config, place: String, consenters: &[Consenter]) -> Finding {
    let general = &config.general;
    let listener = general.cluster.listener.as_ref();
    let listen = listener.map_or(&general.listen, |listener| &listener.listen);
    let own = general
        .cluster_server_certificate()
        .map(|file| fs::read(file).unwrap_or_default());
    let own = own.unwrap_or_default();
    let looks_like = |consenter: &&Consenter| {
        let is_named = consenter.host == listen.host || holds_for(&own, &consenter.host);
        consenter.port == u32::from(listen.port) && is_named
    };
    let Some(consenter) = consenters.iter().find(looks_like) else {
        let what = "it is none of the consenters, so it follows";
        return Finding::ok(place, what);
    };
    let address = format!("{}:{}", consenter.host, consenter.port);
    let (own, expected) = (
        certificate::line(&own),
        certificate::line(&consenter.server_tls_cert),
    );
    let what = format!(
        "the config has another key for {address}, which looks like this node: it will only follow, and other orderers \
         refuse it\nthis node: {own}\nin config: {expected}"
    );
    Finding::problem(place, what, rotate(&address))
}

/// Whether the certificate in `pem` is one for `host`.
fn holds_for(pem: &[u8], host: &str) -> bool {
    let (Ok(der), Ok(name)) = (CertificateDer::from_pem_slice(pem), ServerName::try_from(host)) else {
        return false;
    };
    let parsed = ParsedCertificate::try_from(&der);
    parsed.is_ok_and(|parsed| verify_server_name(&parsed, &name).is_ok())
}

fn own_key(file: Option<&Path>) -> Option<[u8; 32]> {
    key_of_pem(&fs::read(file?).ok()?)
}

fn key_of_pem(pem: &[u8]) -> Option<[u8; 32]> {
    channel::key(Certificate::from_pem(pem).ok()?.der())
}
