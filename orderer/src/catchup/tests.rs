use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use configtx::Bundle;
use consensus::BlockSource as _;
use parking_lot::Mutex;
use protos::{BlockNumber, Height};
use tokio::net::TcpListener;
use tracing_subscriber::layer::SubscriberExt as _;

use super::driver::{Job, Nobody, Watcher, drive};
use super::endpoints::Endpoint;
use super::plan::Goal;
use super::testing::{Chain, Fault, MemoryLedger, TestOrderer, in_time, orderers, puller};
use super::{ChannelSource, Puller};
use crate::config::Config;
use crate::logging::console::{Console, Printing};
use crate::logging::format::Format;
use crate::logging::spec::Spec;
use crate::testing;
use crate::tls::testing::{Authority, Files, Pair};

#[tokio::test(flavor = "multi_thread")]
async fn of_three_sources_one_lies_and_nothing_of_it_gets_in() {
    let (chain, orderers) = orderers(800, &[Fault::None, Fault::Lies, Fault::None]).await;
    let ledger = MemoryLedger::beginning(&chain);
    let source = ChannelSource::new(puller(testing::orderer()), ledger.clone());
    in_time(source.catch_up(BlockNumber(799))).await.unwrap();
    assert_eq!(ledger.blocks(), chain.blocks());
    for honest in [&orderers[0], &orderers[2]] {
        assert!(honest.sent() > 100, "both give blocks: {}", honest.sent());
    }
    assert!(orderers[1].sent() > 0, "the liar was asked");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_killed_midway_is_done_without() {
    let (chain, orderers) = orderers(1500, &[Fault::None, Fault::None]).await;
    let ledger = MemoryLedger::beginning(&chain);
    let source = ChannelSource::new(puller(testing::orderer()), ledger.clone());
    let killed = ledger.clone();
    let caught_up = tokio::spawn(source.catch_up(BlockNumber(1499)));
    testing::until(|| killed.blocks().len() > 100).await;
    orderers[0].kill();
    in_time(caught_up).await.unwrap().unwrap();
    assert_eq!(ledger.blocks(), chain.blocks());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_source_holds_nothing_up_for_long() {
    let (chain, _orderers) = orderers(400, &[Fault::SilentFrom(0), Fault::None, Fault::SilentFrom(7)]).await;
    let ledger = MemoryLedger::beginning(&chain);
    let source = ChannelSource::new(puller(testing::orderer()), ledger.clone());
    in_time(source.catch_up(BlockNumber(399))).await.unwrap();
    assert_eq!(ledger.blocks(), chain.blocks());
}

#[tokio::test(flavor = "multi_thread")]
async fn heights_are_those_of_who_answers() {
    let (chain, orderers) = orderers(9, &[Fault::None, Fault::None, Fault::None]).await;
    orderers[1].kill();
    let source = ChannelSource::new(puller(testing::orderer()), MemoryLedger::beginning(&chain));
    let heights = in_time(source.heights(Vec::new())).await;
    assert_eq!(heights.endpoints, [Height(9), Height(9)]);
    let config = in_time(source.newest_config()).await.unwrap();
    assert_eq!(config, chain.genesis().decode().unwrap());
}

/// A node whose General.TLS, and so its certificate for calls too, is `pair`.
fn puller_over_tls(files: &Files, pair: &Pair) -> Arc<Puller> {
    let (certificate, key) = (
        files.write("own.crt", &pair.certificate),
        files.write("own.key", &pair.key),
    );
    let text = format!(
        "
General:
  TLS: {{Enabled: true, Certificate: {}, PrivateKey: {}}}
  LocalMSPID: OrdererMSP
  Cluster: {{ReplicationPullTimeout: 1s, ReplicationRetryTimeout: 1s}}
",
        certificate.display(),
        key.display()
    );
    let config = Config::parse(Path::new("/etc/orderer.yaml"), &text, &BTreeMap::new()).unwrap();
    Arc::new(Puller::load(&config.general, Arc::new(testing::orderer())).unwrap())
}

/// What a fetch told of troubles.
#[derive(Default)]
struct Troubles(Arc<Mutex<Vec<Option<String>>>>);

impl Watcher for Troubles {
    fn config_in_force(&mut self, _number: BlockNumber, _config: &Arc<Bundle>) -> bool {
        true
    }

    fn trouble(&mut self, trouble: Option<String>) {
        self.0.lock().push(trouble);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn blocks_come_over_mutual_tls_and_a_node_knows_itself_by_its_certificate() {
    let authority = Authority::new("orderers");
    let (theirs, ours) = (authority.issue("theirs"), authority.issue("ours"));
    let files = Files::new(&theirs);
    let chain = Chain::new(Vec::new());
    chain.grow(49, 5000);
    let settings = files.settings(true, &[authority.pem()]);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let orderer = TestOrderer::serve_over(listener, &chain, Fault::None, Some(&settings));
    let job = |puller, ledger| Job {
        puller,
        appender: ledger,
        goal: Goal::Through(BlockNumber(49)),
        endpoints: Some(vec![Endpoint {
            address: orderer.address.to_string().parse().unwrap(),
            authorities: vec![pem::parse(authority.pem()).unwrap().into_contents().into()],
        }]),
        anchor: None,
    };
    let ledger = MemoryLedger::beginning(&chain);
    let fetch = job(puller_over_tls(&files, &ours), ledger.clone());
    in_time(drive(fetch, &mut Nobody)).await.unwrap();
    assert_eq!(ledger.blocks(), chain.blocks());

    let ledger = MemoryLedger::beginning(&chain);
    let fetch = job(puller_over_tls(&files, &theirs), ledger.clone());
    let mut troubles = Troubles::default();
    let told = Arc::clone(&troubles.0);
    let fetching = tokio::spawn(async move { drive(fetch, &mut troubles).await });
    let is_alone = || told.lock().last().is_some_and(Option::is_some);
    in_time(testing::until(is_alone)).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!fetching.is_finished(), "it waits for others to come");
    fetching.abort();
    let told = told.lock().pop().flatten();
    assert_eq!(
        told.as_deref(),
        Some("the channel's config lists no other orderer")
    );
    assert_eq!(ledger.blocks().len(), 1);
}

/// Collects what is logged.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Lines {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().clone()).unwrap()
    }
}

#[tokio::test]
async fn a_node_that_nobody_lets_in_says_so_once_for_each_and_goes_on_asking() {
    let lines = Lines::default();
    let console = Arc::new(Console::new(
        Spec::parse("").unwrap(),
        Format::parse("", false).unwrap(),
        Box::new(lines.clone()),
    ));
    let subscriber = tracing_subscriber::registry().with(Printing(console));
    let _logging = tracing::subscriber::set_default(subscriber);
    let (chain, orderers) = orderers(9, &[Fault::None, Fault::None]).await;
    let ledger = MemoryLedger::beginning(&chain);
    let source = ChannelSource::new(puller(testing::stranger()), ledger.clone());
    let catching_up = tokio::time::timeout(Duration::from_secs(2), source.catch_up(BlockNumber(8)));
    catching_up.await.unwrap_err();
    assert_eq!(ledger.blocks().len(), 1);
    let text = lines.text();
    for orderer in &orderers {
        let line = format!(
            "Received status:FORBIDDEN from {}: forbidden pulling the channel channel=ch",
            orderer.address
        );
        assert_eq!(text.matches(&line).count(), 1, "{text}");
    }
    assert!(!text.contains("ERRO"), "{text}");
    assert!(
        text.contains("WARN [orderer.common.cluster.replication]"),
        "{text}"
    );
}
