//! A channel of three organisations on one node, and what it takes to change its config.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use client::broadcast::{self, Acknowledge, BroadcastError, BroadcastOptions};
use client::crypto::{self, KeyType, OrgKind, OrgPaths, OrgSpec};
use client::deliver::{DeliverStream, Position, Resume, Seek};
use client::envelope::EnvelopeSigner;
use client::genesis::{BatchSpec, ConsensusSpec, ConsenterSpec, GenesisOrg, GenesisSpec};
use client::participation::AdminClient;
use client::tls::{ClientCertificate, ClientTls};
use client::{Address, Connection, Target, msp_folder};
use configtx::block_verify::verify_block;
use configtx::compute_update::compute_update;
use configtx::encode::encode_config_update;
use configtx::identity::SigningIdentity;
use configtx::{Bundle, validator};
use prost::Message;
use protos::wire::common::{
    Block, Config, ConfigGroup, ConfigSignature, ConfigUpdate, ConfigUpdateEnvelope, ConfigValue, HeaderType,
    SignatureHeader,
};
use protos::{BlockNumber, ChannelId, SealedBlock, block};
use tempfile::TempDir;
use tests::fixture::ports;
use tests::fixture::process::Node;

/// The channel's name.
pub(crate) const CHANNEL: &str = "changing";
/// How long anything may take on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
const HOST: &str = "o1";
const LOCALHOST: &str = "127.0.0.1";

/// An organisation. Group name and MSP id are the same.
pub(crate) struct Org {
    pub(crate) name: &'static str,
    domain: String,
    paths: OrgPaths,
}

impl Org {
    /// Makes identities below `root`: an administrator, and two users or one node.
    pub(crate) fn make(root: &Path, name: &'static str, kind: OrgKind) -> Self {
        let domain = format!("{}.example", name.to_lowercase());
        let spec = OrgSpec::new(kind, &domain, KeyType::Ed25519);
        let spec = match kind {
            OrgKind::Orderer => spec.with_node(HOST, &["localhost", LOCALHOST]),
            OrgKind::Peer => spec.with_users(2),
        };
        let made = crypto::make(root, &[spec], SystemTime::now()).expect("identities");
        let paths = made.into_iter().next().expect("an organisation");
        Self { name, domain, paths }
    }

    pub(crate) fn admin(&self) -> SigningIdentity {
        self.member("Admin")
    }

    /// `Admin`, `User1` or `User2`.
    pub(crate) fn member(&self, name: &str) -> SigningIdentity {
        let folder = self.paths.user_msp(&format!("{name}@{}", self.domain));
        msp_folder::signing_identity(&folder, self.name).expect("an identity")
    }

    /// Signs envelopes for the channel as a member.
    pub(crate) fn signer(&self, name: &str) -> EnvelopeSigner {
        let channel = ChannelId::parse(CHANNEL).expect("a channel name");
        EnvelopeSigner::new(Arc::new(self.member(name)), channel)
    }

    pub(crate) fn paths(&self) -> &OrgPaths {
        &self.paths
    }

    /// The value `MSP` of its group.
    pub(crate) fn msp_value(&self) -> Bytes {
        let folder = msp_folder::MspFolder::read(&self.paths.msp(), self.name).expect("an MSP folder");
        folder.to_wire().encode_to_vec().into()
    }

    fn as_genesis(&self, endpoints: Vec<Address>) -> GenesisOrg {
        GenesisOrg {
            name: self.name.to_owned(),
            msp_id: self.name.to_owned(),
            msp_folder: self.paths.msp(),
            endpoints,
        }
    }
}

/// The node, its channel and the channel's first organisations.
pub(crate) struct Field {
    pub(crate) node: Node,
    pub(crate) orderers: Org,
    pub(crate) alpha: Org,
    pub(crate) beta: Org,
    pub(crate) batch: BatchSpec,
    address: Address,
    admin_address: Address,
    folder: TempDir,
}

impl Field {
    /// Starts a node and joins the channel.
    pub(crate) async fn start() -> Self {
        Self::start_with(false).await
    }

    /// As [`start`](Self::start); the node may ask every client for a certificate of one of the channel's organisations.
    pub(crate) async fn start_with(client_auth: bool) -> Self {
        let mut field = Self::prepare(client_auth);
        field.node.start();
        let genesis = field.genesis(CHANNEL, &[&field.alpha, &field.beta]);
        field.join(&genesis).await;
        field
    }

    /// Makes everything and starts nothing.
    pub(crate) fn prepare(client_auth: bool) -> Self {
        let folder = TempDir::with_prefix("ordain-").expect("a temporary folder");
        let root = folder.path().join("crypto");
        let field = Self {
            node: Node::new(folder.path()),
            orderers: Org::make(&root, "Orderers", OrgKind::Orderer),
            alpha: Org::make(&root, "Alpha", OrgKind::Peer),
            beta: Org::make(&root, "Beta", OrgKind::Peer),
            batch: BatchSpec {
                max_message_count: 10,
                timeout: Duration::from_millis(50),
                ..BatchSpec::default()
            },
            address: loopback(),
            admin_address: loopback(),
            folder,
        };
        let file = field.folder.path().join("orderer.yaml");
        fs::write(file, field.settings(client_auth)).expect("orderer.yaml");
        field
    }

    /// A folder for more files.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn admin_address(&self) -> &Address {
        &self.admin_address
    }

    /// First block of a channel whose applications are those of `orgs`.
    pub(crate) fn genesis(&self, channel: &str, orgs: &[&Org]) -> Block {
        self.genesis_of(channel, orgs, ConsensusSpec::Solo)
    }

    /// First block of a raft channel of the first organisations.
    pub(crate) fn raft_genesis(&self) -> Block {
        let node = self
            .orderers
            .paths
            .node_tls(&format!("{HOST}.{}", self.orderers.domain));
        let consenter = ConsenterSpec {
            address: self.address.clone(),
            client_tls_certificate: node.join("server.crt"),
            server_tls_certificate: node.join("server.crt"),
        };
        let consensus = ConsensusSpec::Etcdraft(vec![consenter]);
        self.genesis_of(CHANNEL, &[&self.alpha, &self.beta], consensus)
    }

    fn genesis_of(&self, channel: &str, orgs: &[&Org], consensus: ConsensusSpec) -> Block {
        let spec = GenesisSpec {
            channel: ChannelId::parse(channel).expect("a channel name"),
            orderer_orgs: vec![self.orderers.as_genesis(vec![self.address.clone()])],
            application_orgs: orgs.iter().map(|org| org.as_genesis(Vec::new())).collect(),
            consensus,
            batch: self.batch,
        };
        spec.block(SystemTime::now()).expect("a genesis block")
    }

    pub(crate) async fn join(&self, genesis: &Block) {
        let joined = self.admin().join(genesis.encode_to_vec().into()).await;
        joined.expect("the node joins");
    }

    /// An organisation that is not in the channel yet.
    pub(crate) fn newcomer(&self, name: &'static str) -> Org {
        Org::make(&self.folder.path().join("crypto"), name, OrgKind::Peer)
    }

    /// The group that an organisation would have below `Application`.
    pub(crate) fn application_group(&self, org: &Org) -> ConfigGroup {
        let genesis = Bundle::from_block(&self.genesis(CHANNEL, &[org])).expect("a config");
        let root = genesis.config().channel_group.as_ref().expect("a root");
        root.groups["Application"].groups[org.name].clone()
    }

    /// The node's REST interface.
    pub(crate) fn admin(&self) -> AdminClient {
        AdminClient::new(&self.admin_address, Some(&self.tls(&self.orderers))).expect("an admin client")
    }

    /// A connection with a TLS certificate of the orderers' organisation.
    pub(crate) async fn connect(&self) -> Connection {
        self.connect_as(&self.orderers).await.expect("a connection")
    }

    pub(crate) async fn connect_as(&self, org: &Org) -> Result<Connection, client::connection::ConnectError> {
        let target = Target {
            address: self.address.clone(),
            tls: Some(self.tls(org)),
        };
        target.connect().await
    }

    fn tls(&self, org: &Org) -> ClientTls {
        let folder = org.paths.user_tls(&org.paths.admin_name());
        let read = |name: &str| fs::read(folder.join(name)).expect("a TLS file");
        let (certificate, key) = (read("client.crt"), read("client.key"));
        let trusted = self
            .orderers
            .paths
            .user_tls(&self.orderers.paths.admin_name())
            .join("ca.crt");
        let client = ClientCertificate {
            certificate: &certificate,
            key: &key,
        };
        ClientTls::new(&fs::read(trusted).expect("a TLS file"), Some(client)).expect("TLS settings")
    }

    fn settings(&self, client_auth: bool) -> String {
        let node = format!("{HOST}.{}", self.orderers.domain);
        let paths = &self.orderers.paths;
        let (tls, msp) = (paths.node_tls(&node), paths.node_msp(&node));
        let (tls, msp, data) = (tls.display(), msp.display(), self.folder.path().join("data"));
        let (port, admin, data) = (self.address.port(), &self.admin_address, data.display());
        let msp_id = self.orderers.name;
        let files = format!(
            "    Enabled: true
    PrivateKey: {tls}/server.key
    Certificate: {tls}/server.crt
    RootCAs: [{tls}/ca.crt]"
        );
        format!(
            "General:
  ListenAddress: {LOCALHOST}
  ListenPort: {port}
  TLS:
{files}
    ClientAuthRequired: {client_auth}
    ClientRootCAs: []
  LocalMSPDir: {msp}
  LocalMSPID: {msp_id}
FileLedger:
  Location: {data}
Admin:
  ListenAddress: {admin}
  TLS:
{files}
    ClientAuthRequired: true
    ClientRootCAs: [{tls}/ca.crt]
"
        )
    }

    /// The config in force, as the newest block tells.
    pub(crate) async fn config(&self) -> Config {
        let newest = self.block(Position::Newest).await;
        let number = block::last_config(&newest).expect("metadata");
        let block = self.block(Position::Number(number)).await;
        Bundle::from_block(&block).expect("a config").config().clone()
    }

    async fn block(&self, position: Position) -> Block {
        let mut stream = self
            .deliver(&self.orderers.signer("Admin"), Seek::one(position))
            .await;
        let block = stream.next().await.expect("a block").expect("one block");
        block.decode().expect("a block")
    }

    /// Blocks as `signer` gets them.
    pub(crate) async fn deliver(&self, signer: &EnvelopeSigner, seek: Seek) -> DeliverStream {
        DeliverStream::new(&self.connect().await, signer.clone(), seek, Resume::NEVER)
    }

    /// Every block.
    pub(crate) async fn chain(&self) -> Vec<SealedBlock> {
        let seek = Seek::range(Position::Oldest, Position::Newest);
        let mut stream = self.deliver(&self.orderers.signer("Admin"), seek).await;
        let mut chain = Vec::new();
        while let Some(block) = stream.next().await.expect("blocks") {
            chain.push(block);
        }
        chain
    }

    /// The update that `edit` makes of the config in force, approved by every administrator.
    pub(crate) async fn update(&self, edit: impl FnOnce(&mut ConfigGroup)) -> Bytes {
        self.update_of(&self.config().await, edit)
    }

    /// The update that `edit` makes of `config`.
    pub(crate) fn update_of(&self, config: &Config, edit: impl FnOnce(&mut ConfigGroup)) -> Bytes {
        let mut updated = config.clone();
        edit(updated.channel_group.as_mut().expect("a root"));
        let update = compute_update(CHANNEL, config, &updated).expect("a difference");
        self.approved(&update)
    }

    fn approved(&self, update: &ConfigUpdate) -> Bytes {
        let update = Bytes::from(encode_config_update(update));
        let admins = [&self.orderers, &self.alpha, &self.beta].map(Org::admin);
        let envelope = ConfigUpdateEnvelope {
            signatures: admins.iter().map(|admin| approval(admin, &update)).collect(),
            config_update: update,
        };
        let sender = self.orderers.signer("Admin");
        let (data, nonce) = (envelope.encode_to_vec().into(), [7; 24]);
        sender
            .sign(HeaderType::ConfigUpdate, data, nonce, SystemTime::now())
            .bytes
    }

    /// Sends envelopes on a stream of their own.
    pub(crate) async fn send(
        &self,
        level: Acknowledge,
        envelopes: Vec<Bytes>,
    ) -> Result<u64, BroadcastError> {
        let options = BroadcastOptions {
            acknowledge: Some(level),
            ..BroadcastOptions::default()
        };
        broadcast::submit_all(&self.connect().await, options, envelopes).await
    }

    /// Has an update ordered; ready when it is in force.
    pub(crate) async fn change(&self, edit: impl FnOnce(&mut ConfigGroup)) {
        let update = self.update(edit).await;
        let committed = self.send(Acknowledge::Committed, vec![update]).await;
        committed.expect("the update is ordered");
    }

    /// Orders one message; ready when it is durable.
    pub(crate) async fn order(&self, signer: &EnvelopeSigner) -> Result<u64, BroadcastError> {
        let message = signer.transaction(Bytes::from_static(b"message")).bytes;
        self.send(Acknowledge::Committed, vec![message]).await
    }
}

fn loopback() -> Address {
    format!("{LOCALHOST}:{}", ports::free())
        .parse()
        .expect("an address")
}

fn approval(admin: &SigningIdentity, update: &[u8]) -> ConfigSignature {
    let header = SignatureHeader {
        creator: admin.serialized().clone(),
        nonce: Bytes::from_static(b"nonce"),
    };
    let header = Bytes::from(header.encode_to_vec());
    ConfigSignature {
        signature: admin.sign(&[&header[..], update].concat()).into(),
        signature_header: header,
    }
}

/// Replaces the content of a value, whose version the computed update raises.
pub(crate) fn set_value(group: &mut ConfigGroup, key: &str, value: Bytes) {
    let old = group.values.get(key).cloned().unwrap_or_default();
    group.values.insert(key.to_owned(), ConfigValue { value, ..old });
}

/// The group at `path` below the root.
pub(crate) fn group<'a>(root: &'a mut ConfigGroup, path: &[&str]) -> &'a mut ConfigGroup {
    path.iter().fold(root, |group, name| {
        group.groups.get_mut(*name).expect("a group of that name")
    })
}

/// Sets how many messages a block has.
pub(crate) fn set_batch(root: &mut ConfigGroup, messages: u32) {
    let value = protos::wire::orderer::BatchSize {
        max_message_count: messages,
        absolute_max_bytes: 200_000,
        preferred_max_bytes: 100_000,
    };
    set_value(
        group(root, &["Orderer"]),
        "BatchSize",
        value.encode_to_vec().into(),
    );
}

/// Goes through a chain as an auditor would: each block is signed by whom the config before it asks for, each config
/// follows the one before it, and each block names the newest config. Answers the last config.
pub(crate) fn replay(chain: &[SealedBlock]) -> Bundle {
    let genesis = chain[0].decode().expect("a block");
    let mut bundle = Bundle::from_block(&genesis).expect("a config");
    let mut last_config = BlockNumber::GENESIS;
    for pair in chain.windows(2) {
        let block = pair[1].decode().expect("a block");
        verify_block(pair[0].header(), &block, &bundle).expect("a block that verifies");
        if block::is_config_block(&block) {
            bundle = validator::validate(&bundle, &block).expect("a config that follows");
            last_config = pair[1].number();
        }
        assert_eq!(block::last_config(&block).expect("metadata"), last_config);
        let signed = block::orderer_metadata(&block)
            .expect("metadata")
            .expect("metadata of the orderer");
        assert_eq!(signed.last_config.expect("the last config").index, last_config.0);
    }
    bundle
}

/// What a refused envelope was answered.
pub(crate) fn refusal(outcome: Result<u64, BroadcastError>) -> (i32, String) {
    match outcome {
        Err(BroadcastError::Refused { status, info, .. }) => (status, info),
        other => panic!("expected a refusal, not {other:?}"),
    }
}
