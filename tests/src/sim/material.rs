//! What all runs share, made once per process: identities, signed envelopes, genesis blocks.
//!
//! Keys and certificates are those of the vectors, so that a seed gives the same bytes on every machine.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use client::Address;
use client::config_update::UpdateEnvelope;
use client::envelope::EnvelopeSigner;
use client::genesis::{BatchSpec, ConsensusSpec, GenesisOrg, GenesisSpec};
use client::msp_folder;
use configtx::compute_update::compute_update;
use configtx::duration::GoDuration;
use configtx::genesis::{Consensus, Profile, genesis_block};
use configtx::identity::SigningIdentity;
use protos::ChannelId;
use protos::wire::common::{Block, Config, HeaderType};
use protos::wire::etcdraft::{ConfigMetadata, Consenter, Options as RaftOptions};
use protos::wire::orderer::BatchSize;

use super::seed::Options;

/// Nodes there are keys for.
pub const NODES: usize = 5;
/// Different envelopes.
pub const ENVELOPES: usize = 400;
/// Largest envelope a channel takes.
pub const ENVELOPE_BYTES_MAX: u32 = 64_000;
/// Length of a tick.
pub const TICK_MILLIS: u64 = 100;

const NONCE_BYTES: usize = 24;

/// Identities, certificates, and envelopes that clients send.
pub struct Material {
    /// The channel of every run.
    pub channel: ChannelId,
    /// In whose name each node signs.
    pub nodes: Vec<Arc<SigningIdentity>>,
    /// TLS certificates of each node, PEM: the usual one first; the first two nodes have another to change to.
    pub tls: Vec<Vec<Bytes>>,
    /// What clients send, signed.
    pub envelopes: Vec<Bytes>,
    /// Administrator of the orderers.
    admin: SigningIdentity,
    profile: Profile,
}

impl Material {
    /// The one of this process.
    pub fn get() -> &'static Self {
        static MADE: OnceLock<Material> = OnceLock::new();
        MADE.get_or_init(Self::make)
    }

    /// The time of every certificate check: within all their dates.
    pub fn now() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_900_000_000)
    }

    fn make() -> Self {
        let channel = ChannelId::parse("sim").expect("a channel name");
        let orderers = crypto("ordererOrganizations/ord.vec.test");
        let clients = crypto("peerOrganizations/org1.vec.test");
        let identity =
            |folder: PathBuf, msp| msp_folder::signing_identity(&folder, msp).expect("an identity");
        let name = |node: usize| format!("orderers/o{}.ord.vec.test", node + 1);
        let nodes = (0..NODES).map(|node| identity(orderers.join(name(node)).join("msp"), "OrdererMSP"));
        let mut tls: Vec<_> = (0..NODES)
            .map(|node| vec![read(&orderers.join(name(node)).join("tls/server.crt"))])
            .collect();
        tls[0].push(read(&crypto("extra/tls-rotated/cert.pem")));
        tls[1].push(read(&orderers.join("users/Admin@ord.vec.test/tls/client.crt")));
        let client = identity(clients.join("users/User1@org1.vec.test/msp"), "Org1MSP");
        let signer = EnvelopeSigner::new(Arc::new(client), channel.clone());
        Self {
            nodes: nodes.map(Arc::new).collect(),
            tls,
            envelopes: (0..ENVELOPES).map(|place| envelope(&signer, place)).collect(),
            admin: admin(),
            profile: profile(&channel, &orderers, &clients),
            channel,
        }
    }

    /// The genesis block of a channel of these nodes, in this order.
    pub fn genesis(&self, members: &[usize], options: &Options) -> Block {
        let mut profile = self.profile.clone();
        profile.orderer.consensus = Consensus::Etcdraft(ConfigMetadata {
            consenters: members.iter().map(|node| self.consenter(*node, 0)).collect(),
            options: Some(RaftOptions {
                tick_interval: format!("{TICK_MILLIS}ms"),
                election_tick: options.election_ticks,
                heartbeat_tick: options.heartbeat_ticks,
                max_inflight_blocks: options.inflight_blocks,
                snapshot_interval_size: options.snapshot_interval_bytes,
            }),
        });
        profile.orderer.batch_timeout = GoDuration::from_std(Duration::from_micros(options.batch_timeout.0));
        profile.orderer.batch_size = BatchSize {
            max_message_count: options.batch_count,
            absolute_max_bytes: ENVELOPE_BYTES_MAX,
            preferred_max_bytes: options.batch_bytes,
        };
        genesis_block(&profile, self.channel.as_str(), [7; NONCE_BYTES], Self::now())
            .expect("a genesis block")
    }

    /// A node as the config names it, with its TLS certificate number `certificate`.
    pub fn consenter(&self, node: usize, certificate: usize) -> Consenter {
        Consenter {
            host: address(node).host().to_owned(),
            port: address(node).port().into(),
            client_tls_cert: self.tls[node][certificate].clone(),
            server_tls_cert: self.tls[node][0].clone(),
        }
    }

    /// Whose TLS certificate that is.
    pub fn owner(&self, certificate: &Bytes) -> Option<usize> {
        self.tls.iter().position(|owned| owned.contains(certificate))
    }

    /// The signed envelope that asks for `updated`; none if it is no other config.
    pub fn update(&self, original: &Config, updated: &Config, nonce: u64) -> Option<Bytes> {
        let update = compute_update(self.channel.as_str(), original, updated).ok()?;
        let mut envelope = UpdateEnvelope::new(self.channel.clone(), &update);
        envelope.sign(&self.admin, nonce_of(nonce));
        Some(envelope.seal(&self.admin, nonce_of(!nonce), Self::now()))
    }
}

/// 24 bytes of a number.
pub fn nonce_of(number: u64) -> [u8; NONCE_BYTES] {
    let mut nonce = [0; NONCE_BYTES];
    nonce[..8].copy_from_slice(&number.to_be_bytes());
    nonce
}

/// Where a node would listen.
pub fn address(node: usize) -> Address {
    format!("o{}:7050", node + 1).parse().expect("an address")
}

fn crypto(path: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/vectors/ed25519/crypto")).join(path)
}

fn read(path: &Path) -> Bytes {
    std::fs::read(path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        .into()
}

fn admin() -> SigningIdentity {
    let text =
        |file: &str| String::from_utf8(read(&crypto("extra/admin-ord").join(file)).to_vec()).expect("PEM");
    SigningIdentity::new("OrdererMSP", &text("cert.pem"), &text("key.pem")).expect("an identity")
}

/// Mostly small ones; every 16th is larger than most blocks should be.
fn envelope(signer: &EnvelopeSigner, place: usize) -> Bytes {
    let bytes = if place % 16 == 15 {
        5_000
    } else {
        20 + place % 7 * 60
    };
    let mut data = format!("envelope {place} ").into_bytes();
    data.resize(bytes, b'.');
    let nonce = nonce_of(place as u64);
    signer
        .sign(
            HeaderType::EndorserTransaction,
            data.into(),
            nonce,
            Material::now(),
        )
        .bytes
}

/// Everything of the genesis block but what a seed decides.
fn profile(channel: &ChannelId, orderers: &Path, clients: &Path) -> Profile {
    let org = |msp_id: &str, folder: &Path, endpoints| GenesisOrg {
        name: msp_id.to_owned(),
        msp_id: msp_id.to_owned(),
        msp_folder: folder.join("msp"),
        endpoints,
    };
    let spec = GenesisSpec {
        channel: channel.clone(),
        orderer_orgs: vec![org("OrdererMSP", orderers, vec![address(0)])],
        application_orgs: vec![org("Org1MSP", clients, Vec::new())],
        consensus: ConsensusSpec::Solo,
        batch: BatchSpec::default(),
    };
    spec.profile().expect("a profile").profile
}
