//! A raft consenter and other orderers that do as the test says.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use configtx::{Bundle, validator};
use consensus::block_source::NoSource;
use consensus::transport::Alone;
use consensus::{
    BlockSource, Chain, ChainFailure, ChainStatus, ClusterMessage, ClusterStatus, Consenter,
    ConsenterMetadata, ConsenterSupport, Ended, EnqueueError, HandleChainError, Phase, ReceiveError,
    Submission, Tickets, Transport,
};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use prost::Message as _;
use protos::wire::common::Block;
use protos::wire::etcdraft;
use protos::{ChannelId, ConsenterId, Height, SealedBlock, block};
use tokio::sync::watch;

use super::chain_support::NodeParts;
use super::others::{Follower, NoIdentity, Others, ToFollow};
use super::refused::Reports;
use crate::catchup::Appender;
use crate::onboarding::{FollowerEnd, FollowerState, FollowerStatus, GoOn};
use crate::testing;

/// The channel of the vectors' raft blocks.
pub(super) const CHANNEL: &str = "raft-three";

/// A block of the channel that the reference has ordered: 0 and 3 have configs.
pub(super) fn block(number: u64) -> Block {
    let file = testing::vectors().join(format!("chain/raft-three/o1-00{number}.block"));
    Block::decode(Bytes::from(std::fs::read(file).unwrap())).unwrap()
}

/// A node whose raft chains and followers are the fakes.
#[derive(Clone)]
pub(super) struct Fakes {
    pub(super) consenter: Arc<FakeConsenter>,
    pub(super) others: Arc<FakeOthers>,
}

impl Fakes {
    /// This node is the consenter on `host`.
    pub(super) fn on(host: &'static str) -> Self {
        Self {
            consenter: Arc::default(),
            others: Arc::new(FakeOthers {
                host: Mutex::new(host),
                followers: Mutex::default(),
                forgotten: Mutex::default(),
            }),
        }
    }

    pub(super) fn node(&self, folder: &Path) -> NodeParts {
        let raft = ("etcdraft", Arc::clone(&self.consenter) as Arc<dyn Consenter>);
        let solo = consensus::consenters(None).get("solo").unwrap();
        NodeParts {
            consenters: Arc::new([raft, ("solo", solo)].into_iter().collect()),
            others: Arc::clone(&self.others) as _,
            ..NodeParts::alone(
                Arc::new(testing::orderer()),
                Reports::below(folder),
                consensus::consenters(None),
            )
        }
    }

    /// The newest chain.
    pub(super) fn chain(&self) -> Arc<FakeChain> {
        Arc::clone(self.consenter.chains.lock().last().unwrap())
    }

    /// The newest follower.
    pub(super) fn follower(&self) -> Arc<FakeFollower> {
        Arc::clone(self.others.followers.lock().last().unwrap())
    }
}

#[derive(Default)]
pub(super) struct FakeConsenter {
    pub(super) chains: Mutex<Vec<Arc<FakeChain>>>,
    /// What the next chains are refused with.
    pub(super) refuses: Mutex<VecDeque<HandleChainError>>,
    pub(super) removed: Mutex<Vec<ChannelId>>,
    /// Where blocks of others come from now on.
    pub(super) followed: Mutex<Vec<ChannelId>>,
    pub(super) cannot_remove: Mutex<Option<String>>,
}

impl Consenter for FakeConsenter {
    fn handle_chain(
        &self,
        support: Arc<dyn ConsenterSupport>,
        metadata: ConsenterMetadata,
    ) -> Result<Arc<dyn Chain>, HandleChainError> {
        if let Some(error) = self.refuses.lock().pop_front() {
            return Err(error);
        }
        let chain = Arc::new(FakeChain {
            id: Mutex::new(ConsenterId(1)),
            support: Mutex::new(Some(support)),
            metadata,
            ended: watch::Sender::new(None),
        });
        self.chains.lock().push(Arc::clone(&chain));
        Ok(chain)
    }

    fn before_following(&self, channel: &ChannelId) -> Result<(), String> {
        self.followed.lock().push(channel.clone());
        Ok(())
    }

    fn remove_channel(&self, channel: &ChannelId) -> Result<(), String> {
        if let Some(reason) = self.cannot_remove.lock().clone() {
            return Err(reason);
        }
        self.removed.lock().push(channel.clone());
        Ok(())
    }
}

pub(super) struct FakeChain {
    pub(super) id: Mutex<ConsenterId>,
    support: Mutex<Option<Arc<dyn ConsenterSupport>>>,
    pub(super) metadata: ConsenterMetadata,
    ended: watch::Sender<Option<Result<Ended, ChainFailure>>>,
}

impl FakeChain {
    pub(super) fn end(&self, how: Ended) {
        *self.support.lock() = None;
        self.ended.send_if_modified(|ended| {
            let first = ended.is_none();
            ended.get_or_insert(Ok(how));
            first
        });
    }
}

impl Chain for FakeChain {
    fn enqueue_all(&self, _: Vec<Submission>) -> BoxFuture<'_, Result<Tickets, EnqueueError>> {
        let reason = "it is a fake".to_owned();
        async { Err(EnqueueError::NoLeader { reason }) }.boxed()
    }

    fn errored(&self) -> watch::Receiver<bool> {
        watch::channel(false).1
    }

    fn receive(&self, _: ConsenterId, _: ClusterMessage) -> Result<(), ReceiveError> {
        Err(ReceiveError::Full)
    }

    fn status(&self) -> ChainStatus {
        let id = *self.id.lock();
        ChainStatus {
            phase: Phase::Running,
            dropped: 0,
            cluster: Some(ClusterStatus {
                id,
                members: vec![id],
                term: 4,
                leader: None,
                active: Vec::new(),
                answering: None,
                trouble: Some("nobody leads".to_owned()),
            }),
        }
    }

    fn start(&self) {}

    fn halt(&self) -> BoxFuture<'_, ()> {
        self.end(Ended::Halted);
        async {}.boxed()
    }

    fn ended(&self) -> BoxFuture<'static, Result<Ended, ChainFailure>> {
        let mut ended = self.ended.subscribe();
        async move {
            let how = ended.wait_for(Option::is_some).await;
            how.ok().and_then(|how| how.clone()).unwrap_or(Ok(Ended::Halted))
        }
        .boxed()
    }
}

pub(super) struct FakeOthers {
    /// Where this node is by the channel's config.
    pub(super) host: Mutex<&'static str>,
    followers: Mutex<Vec<Arc<FakeFollower>>>,
    pub(super) forgotten: Mutex<Vec<ChannelId>>,
}

impl Others for FakeOthers {
    fn own_place(&self, consenters: &[etcdraft::Consenter]) -> Result<Option<usize>, NoIdentity> {
        let host = *self.host.lock();
        Ok(consenters.iter().position(|consenter| consenter.host == host))
    }

    fn transport(&self, _: &ChannelId) -> Arc<dyn Transport> {
        Arc::new(Alone)
    }

    fn block_source(&self, _: Arc<dyn Appender>) -> Arc<dyn BlockSource> {
        Arc::new(NoSource)
    }

    fn follow(&self, what: ToFollow) -> Arc<dyn Follower> {
        let follower = Arc::new(FakeFollower {
            what: Mutex::new(Some(what)),
            ended: watch::Sender::new(None),
        });
        self.followers.lock().push(Arc::clone(&follower));
        follower
    }

    fn forget(&self, channel: &ChannelId) {
        self.forgotten.lock().push(channel.clone());
    }
}

pub(super) struct FakeFollower {
    what: Mutex<Option<ToFollow>>,
    ended: watch::Sender<Option<FollowerEnd>>,
}

impl FakeFollower {
    /// Takes the next block as if it had come from another orderer, and asks the host as onboarding does.
    pub(super) async fn take(&self, block: &Block) {
        let sealed = SealedBlock::seal(block).unwrap();
        let (appended, join) = {
            let what = self.what.lock();
            let what = what.as_ref().unwrap();
            let config = block::is_config_block(block).then(|| match what.appender.bundle() {
                None => Arc::new(Bundle::from_block(block).unwrap()),
                Some(before) => Arc::new(validator::validate(&before, block).unwrap()),
            });
            let join = what.join.as_ref().map(|join| join.number().0);
            (what.appender.append(sealed.clone(), config), join)
        };
        appended.await.unwrap();
        if block::is_config_block(block) && join.is_none_or(|join| join <= sealed.number().0) {
            self.ask(&sealed);
        }
    }

    fn ask(&self, sealed: &SealedBlock) {
        let goes_on = {
            let what = self.what.lock();
            let what = what.as_ref().unwrap();
            what.host
                .config_in_force(sealed.number(), &what.appender.bundle().unwrap())
        };
        if goes_on == GoOn::Stop {
            self.end(FollowerEnd::Consenter);
        }
    }

    pub(super) fn end(&self, how: FollowerEnd) {
        *self.what.lock() = None;
        self.ended.send_if_modified(|ended| {
            let first = ended.is_none();
            ended.get_or_insert(how);
            first
        });
    }
}

impl Follower for FakeFollower {
    fn status(&self) -> FollowerStatus {
        let what = self.what.lock();
        let height = what
            .as_ref()
            .map_or(Height::EMPTY, |what| what.appender.tip().height);
        let join = what.as_ref().and_then(|what| what.join.as_ref());
        let is_onboarding = join.is_some_and(|join| height.0 <= join.number().0);
        FollowerStatus {
            state: if is_onboarding {
                FollowerState::Onboarding
            } else {
                FollowerState::Active
            },
            height,
            known: Height::EMPTY,
            trouble: None,
        }
    }

    fn halt(&self) -> BoxFuture<'_, ()> {
        self.end(FollowerEnd::Stopped);
        async {}.boxed()
    }

    fn ended(&self) -> BoxFuture<'static, FollowerEnd> {
        let mut ended = self.ended.subscribe();
        async move {
            let how = ended.wait_for(Option::is_some).await;
            how.ok()
                .and_then(|how| how.clone())
                .unwrap_or(FollowerEnd::Stopped)
        }
        .boxed()
    }
}
