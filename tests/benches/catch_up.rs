//! How fast a node catches up from one and from three others: `cargo bench -p tests --bench catch_up`.
//!
//! Three nodes with the same ledger serve Deliver over TLS in this process; a fourth pulls all of it into a ledger of
//! its own on the same disk: every block verified, every group of blocks synced. All of them share the machine's
//! cores, so more sources help only as far as one source is what limits. Runs are made in turns; each is told, and the
//! median. Nothing is asserted.
//!
//! | variable | default | says |
//! |---|---|---|
//! | `ORDAIN_BENCH_BLOCKS` | 10000 | blocks to fetch |
//! | `ORDAIN_BENCH_BLOCK_KIB` | 100 | size of a block, of signed envelopes with 700 bytes of payload each |
//! | `ORDAIN_BENCH_ROUNDS` | 3 | runs with each number of sources |

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use client::Address;
use client::crypto::KeyType;
use consensus::{ConsenterMetadata, consenters};
use ledger::{LedgerFactory, LedgerOptions};
use orderer::catchup::Puller;
use orderer::catchup::driver::{Job, Nobody, drive};
use orderer::catchup::endpoints::Endpoint;
use orderer::catchup::plan::Goal;
use orderer::config::Config;
use orderer::multichannel::block_writer::seal;
use orderer::multichannel::chain_support::{ChainSupport, NodeParts};
use orderer::multichannel::refused::Reports;
use orderer::server::Node;
use protos::{BlockNumber, Height, SealedBlock, block};
use tests::fixture::cpu;
use tests::fixture::network::{Network, NetworkSpec};
use tests::fixture::ports;

const SOURCES: usize = 3;

fn number(variable: &str, default: usize) -> usize {
    let text = std::env::var(variable).ok();
    text.map_or(default, |text| {
        text.parse()
            .unwrap_or_else(|_| panic!("{variable}: {text:?} is no number"))
    })
}

/// `cargo bench` says `--bench`; whoever builds all targets and runs them wants no gigabytes written.
fn main() {
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let blocks = number("ORDAIN_BENCH_BLOCKS", 10_000);
    let kib = number("ORDAIN_BENCH_BLOCK_KIB", 100);
    let rounds = number("ORDAIN_BENCH_ROUNDS", 3);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        for key in [KeyType::Ed25519, KeyType::P256] {
            let world = World::start(key, blocks, kib).await;
            println!(
                "{key:?}: {blocks} blocks, {:.1} MB; load average {}",
                world.megabytes,
                cpu::load_average()
            );
            let mut rates = BTreeMap::<usize, Vec<f64>>::new();
            for round in 0..rounds {
                for sources in [1, SOURCES] {
                    let rate = world.fetch(round, sources).await;
                    println!("  {sources} source(s): {rate:.0} MB/s");
                    rates.entry(sources).or_default().push(rate);
                }
            }
            for (sources, mut rates) in rates {
                rates.sort_by(f64::total_cmp);
                println!(
                    "  median of {sources} source(s): {:.0} MB/s",
                    rates[rates.len() / 2]
                );
            }
            world.stop().await;
        }
    });
}

struct World {
    network: Network,
    folder: PathBuf,
    nodes: Vec<Node>,
    endpoints: Vec<Endpoint>,
    height: Height,
    megabytes: f64,
}

impl World {
    async fn start(key: KeyType, blocks: usize, kib: usize) -> Self {
        let network = Network::new(&NetworkSpec {
            key,
            ..NetworkSpec::default()
        });
        let folder = network.data_folder().with_file_name("catch-up");
        let first = folder.join("source-0");
        let bytes = write_chain(&network, &first, blocks, kib);
        let [msp, tls] = network.node_folders();
        let authority = fs::read(tls.join("ca.crt")).expect("the authority");
        let authority = pem::parse(authority).expect("a certificate").into_contents();
        let (mut nodes, mut endpoints) = (Vec::new(), Vec::new());
        for source in 0..SOURCES {
            let data = folder.join(format!("source-{source}"));
            if source > 0 {
                link_segments(&first.join("chains"), &data.join("chains"));
            }
            let port = ports::free();
            let config = source_config(&msp, &tls, &data, port);
            nodes.push(Node::start(&config, Arc::default()).await.expect("a source"));
            let address: Address = format!("127.0.0.1:{port}").parse().expect("an address");
            endpoints.push(Endpoint {
                address,
                authorities: vec![Bytes::from(authority.clone())],
            });
        }
        Self {
            network,
            folder,
            nodes,
            endpoints,
            height: Height(blocks as u64),
            megabytes: megabytes(bytes),
        }
    }

    /// Fetches the whole chain into an empty ledger; megabytes in a second.
    async fn fetch(&self, round: usize, sources: usize) -> f64 {
        let data = self.folder.join(format!("fetched-{round}-{sources}"));
        let factory = LedgerFactory::open(LedgerOptions::at(&data)).expect("a data folder");
        let channel = self.network.channel().clone();
        let mut store = factory.open_channel(&channel).expect("a ledger");
        let genesis = SealedBlock::seal(self.network.genesis()).expect("a block");
        store.append(&genesis).expect("block 0");
        store.sync().expect("block 0");
        let identity = Arc::new(self.network.node_identity());
        let node = NodeParts::alone(Arc::clone(&identity), Reports::below(&data), consenters(None));
        let support = ChainSupport::open(channel, store, None, &node).expect("a channel");
        let [msp, tls] = self.network.node_folders();
        let config = puller_config(&msp, &tls, &data);
        let job = Job {
            puller: Arc::new(Puller::load(&config.general, identity).expect("TLS files")),
            appender: support.appender(),
            goal: Goal::Through(self.height.tip().expect("a block")),
            endpoints: Some(self.endpoints[..sources].to_vec()),
            anchor: None,
        };
        let began = Instant::now();
        drive(job, &mut Nobody).await.expect("all blocks");
        let rate = self.megabytes / began.elapsed().as_secs_f64();
        assert_eq!(support.reader().height(), self.height);
        drop(support);
        fs::remove_dir_all(&data).expect("the folder goes");
        rate
    }

    async fn stop(self) {
        for node in self.nodes {
            node.stop().await;
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "megabytes are told without fractions")]
fn megabytes(bytes: usize) -> f64 {
    bytes as f64 / 1e6
}

/// Writes a signed chain into an empty data folder; answers its size.
fn write_chain(network: &Network, data: &Path, blocks: usize, kib: usize) -> usize {
    let factory = LedgerFactory::open(LedgerOptions::at(data)).expect("a data folder");
    let mut store = factory.open_channel(network.channel()).expect("a ledger");
    let (signer, identity) = (network.signer(), network.node_identity());
    let payload = || Bytes::from((0..700).map(|_| rand::random()).collect::<Vec<u8>>());
    let one = signer.transaction(payload()).bytes.len();
    let count = (kib << 10).div_ceil(one);
    let entries: Vec<_> = (0..count).map(|_| signer.transaction(payload()).bytes).collect();
    let mut tip = SealedBlock::seal(network.genesis()).expect("a block");
    let mut bytes = tip.bytes().len();
    store.append(&tip).expect("block 0");
    for number in 1..blocks as u64 {
        let next = block::next(BlockNumber(number), tip.hash(), entries.clone());
        let metadata = ConsenterMetadata(Bytes::new());
        tip = seal(next, metadata, BlockNumber::GENESIS, &identity, &rand::random()).expect("a block");
        bytes += tip.bytes().len();
        store.append(&tip).expect("it is the next one");
    }
    store.sync().expect("it is durable");
    bytes
}

/// The same files once more: nothing is appended to them.
fn link_segments(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            link_segments(&path, &name);
        } else {
            fs::hard_link(&path, &name).expect("a link");
        }
    }
}

fn source_config(msp: &Path, tls: &Path, data: &Path, port: u16) -> Config {
    let (msp, tls, data) = (msp.display(), tls.display(), data.display());
    parse(&format!(
        "
General:
  ListenAddress: 127.0.0.1
  ListenPort: {port}
  TLS: {{Enabled: true, PrivateKey: {tls}/server.key, Certificate: {tls}/server.crt, RootCAs: [{tls}/ca.crt]}}
  LocalMSPDir: {msp}
  LocalMSPID: OrdererMSP
FileLedger: {{Location: {data}}}
Admin: {{ListenAddress: 127.0.0.1:0}}
"
    ))
}

/// A node without a listener for clients, so that it does not take the sources, whose certificate it borrows, for
/// itself.
fn puller_config(msp: &Path, tls: &Path, data: &Path) -> Config {
    let (msp, tls, data) = (msp.display(), tls.display(), data.display());
    parse(&format!(
        "
General:
  Cluster: {{ClientCertificate: {tls}/server.crt, ClientPrivateKey: {tls}/server.key}}
  LocalMSPDir: {msp}
  LocalMSPID: OrdererMSP
FileLedger: {{Location: {data}}}
"
    ))
}

fn parse(text: &str) -> Config {
    Config::parse(Path::new("/etc/orderer.yaml"), text, &BTreeMap::new()).expect("settings")
}
