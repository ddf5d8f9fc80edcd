use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use configtx::Bundle;
use parking_lot::Mutex;
use protos::{BlockNumber, Height, SealedBlock};

use super::*;
use crate::catchup::testing::{Chain, Fault, MemoryLedger, in_time, orderers, puller};
use crate::testing;

/// Remembers the config blocks it was told of, and stops the follower at one of them.
#[derive(Default)]
struct Told {
    numbers: Mutex<Vec<u64>>,
    stop_at: Option<BlockNumber>,
}

impl Host for Told {
    fn config_in_force(&self, number: BlockNumber, _config: &Arc<Bundle>) -> GoOn {
        self.numbers.lock().push(number.0);
        if self.stop_at == Some(number) {
            GoOn::Stop
        } else {
            GoOn::Follow
        }
    }
}

fn start(ledger: &Arc<MemoryLedger>, join: Option<&SealedBlock>, host: &Arc<Told>) -> Follower {
    let join = join.map(|block| JoinBlock::read(&block.decode().unwrap()).unwrap());
    Follower::start(Following {
        puller: puller(testing::orderer()),
        appender: Arc::clone(ledger) as _,
        join,
        host: Arc::clone(host) as _,
    })
}

/// Config blocks 40 and 81 among 100.
async fn reconfigured(faults: &[Fault]) -> (Arc<Chain>, Vec<crate::catchup::testing::TestOrderer>) {
    let (chain, served) = orderers(40, faults).await;
    assert_eq!(chain.reconfigure("3s"), BlockNumber(40));
    chain.grow(40, 3000);
    assert_eq!(chain.reconfigure("5s"), BlockNumber(81));
    chain.grow(18, 3000);
    (chain, served)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_joins_with_a_later_block_gets_all_before_it_and_follows_on() {
    let (chain, _served) = reconfigured(&[Fault::Lies, Fault::None, Fault::None]).await;
    let (ledger, host) = (MemoryLedger::empty(), Arc::<Told>::default());
    let follower = start(&ledger, Some(&chain.blocks()[40]), &host);
    assert_eq!(follower.status().state, FollowerState::Onboarding);
    in_time(testing::until(|| ledger.blocks().len() == 100)).await;
    assert_eq!(ledger.blocks(), chain.blocks());
    let status = follower.status();
    assert_eq!(
        (status.state, status.height),
        (FollowerState::Active, Height(100))
    );
    assert_eq!(
        *host.numbers.lock(),
        [40, 81],
        "configs below the join block are nobody's business"
    );
    in_time(follower.stop()).await;
    assert_eq!(in_time(follower.ended()).await, FollowerEnd::Stopped);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_ends_at_the_config_block_that_its_host_says_and_takes_no_block_more() {
    for stop_at in [40, 81] {
        let (chain, _served) = reconfigured(&[Fault::None, Fault::None]).await;
        let ledger = MemoryLedger::empty();
        let host = Arc::new(Told {
            stop_at: Some(BlockNumber(stop_at)),
            ..Told::default()
        });
        let follower = start(&ledger, Some(&chain.blocks()[40]), &host);
        assert_eq!(in_time(follower.ended()).await, FollowerEnd::Consenter);
        assert_eq!(ledger.blocks().last().unwrap().number().0, stop_at);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_that_does_not_lead_to_the_join_block_is_refused_at_it() {
    let (chain, _served) = reconfigured(&[Fault::None, Fault::None]).await;
    let mut other = chain.blocks()[40].decode().unwrap();
    other.header.as_mut().unwrap().previous_hash = Bytes::from_static(&[7; 32]);
    let other = SealedBlock::seal(&other).unwrap();
    let (ledger, host) = (MemoryLedger::empty(), Arc::<Told>::default());
    let follower = start(&ledger, Some(&other), &host);
    let told = || {
        let trouble = follower.status().trouble.unwrap_or_default();
        trouble
            .matches("header of block 40 is not that of the join block")
            .count()
            == 2
    };
    in_time(testing::until(told)).await;
    assert_eq!(ledger.blocks(), chain.blocks()[..40]);
    assert_eq!(follower.status().state, FollowerState::Onboarding);
    assert!(host.numbers.lock().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_joins_with_the_genesis_block_needs_nobody_for_it() {
    let chain = Chain::new(vec!["127.0.0.1:1".to_owned()]);
    let (ledger, host) = (MemoryLedger::empty(), Arc::<Told>::default());
    let follower = start(&ledger, Some(&chain.genesis()), &host);
    in_time(testing::until(|| follower.status().trouble.is_some())).await;
    assert_eq!(ledger.blocks(), chain.blocks());
    assert_eq!(follower.status().state, FollowerState::Active);
    let trouble = follower.status().trouble.unwrap();
    assert!(trouble.contains("127.0.0.1:1"), "{trouble}");
    assert_eq!(*host.numbers.lock(), [0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_block_is_here_soon_after_it_was_made() {
    let (chain, _served) = orderers(20, &[Fault::None, Fault::None, Fault::None]).await;
    let (ledger, host) = (MemoryLedger::beginning(&chain), Arc::<Told>::default());
    let _follower = start(&ledger, None, &host);
    in_time(testing::until(|| ledger.blocks().len() == 20)).await;
    let mut delays = Vec::new();
    for number in 20..41 {
        // Longer than a comparison of heights takes, now and then.
        tokio::time::sleep(Duration::from_millis(120)).await;
        let made = Instant::now();
        chain.grow(1, 1000);
        in_time(testing::until(|| ledger.blocks().len() == number + 1)).await;
        delays.push(made.elapsed());
    }
    delays.sort();
    let middle = delays[delays.len() / 2];
    println!(
        "from a block's making to its append: median {middle:?}, most {:?}",
        delays.last().unwrap()
    );
    // Some milliseconds; by the comparison of heights alone it would be seconds.
    assert!(middle < Duration::from_secs(1), "{delays:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_goes_over_to_another_source_when_its_own_dies() {
    let (chain, served) = orderers(20, &[Fault::None, Fault::None]).await;
    let (ledger, host) = (MemoryLedger::beginning(&chain), Arc::<Told>::default());
    let follower = start(&ledger, None, &host);
    in_time(testing::until(|| ledger.blocks().len() == 20)).await;
    for (orderer, height) in [(0, 25), (1, 30)] {
        chain.grow(5, 1000);
        in_time(testing::until(|| ledger.blocks().len() == height)).await;
        served[orderer].kill();
        if orderer == 0 {
            continue;
        }
        in_time(testing::until(|| follower.status().trouble.is_some())).await;
    }
    assert_eq!(ledger.blocks(), chain.blocks());
}
