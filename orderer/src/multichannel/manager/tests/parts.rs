//! Joining with whatever block, and changing between ordering and following.

use consensus::{Ended, HandleChainError};
use protos::ConsenterId;

use super::*;
use crate::admin::{
    BlockChoice, ChannelInfo, FetchError, Registrar as _, Relation, RemoveError, Status as Shown,
};
use crate::deliver::source::Channels as _;
use crate::multichannel::fakes::{CHANNEL, Fakes, block};
use crate::multichannel::registrar::Participation;
use crate::onboarding::FollowerEnd;

/// A host that every config of the vectors' channel lists, and one that none does.
pub(super) const MEMBER: &str = "o1.ord.vec.test";
pub(super) const STRANGER: &str = "nowhere.test";

struct Node {
    fakes: Fakes,
    manager: Arc<Manager>,
    folder: tempfile::TempDir,
}

impl Node {
    fn on(host: &'static str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let fakes = Fakes::on(host);
        let manager = open_with(folder.path(), &fakes);
        Self {
            fakes,
            manager,
            folder,
        }
    }

    fn rest(&self) -> Participation {
        Participation(Arc::clone(&self.manager))
    }

    async fn join(&self, number: u64) -> ChannelInfo {
        self.rest().join(block(number)).await.unwrap()
    }

    fn info(&self) -> ChannelInfo {
        self.rest().channel(&name()).unwrap()
    }

    fn shown(&self) -> (Relation, Shown, u64) {
        shown(&self.info())
    }

    fn health(&self) -> Health {
        self.manager.get(CHANNEL).unwrap().health()
    }

    async fn until(&self, health: Health) {
        testing::until(|| self.health() == health).await;
    }

    fn chains(&self) -> usize {
        self.fakes.consenter.chains.lock().len()
    }

    fn has_join_file(&self) -> bool {
        self.folder
            .path()
            .join("pendingops/join/raft-three.join")
            .exists()
    }

    async fn takes(&self, numbers: std::ops::RangeInclusive<u64>) {
        for number in numbers {
            self.fakes.follower().take(&block(number)).await;
        }
    }

    async fn restart(self) -> Self {
        let Self {
            fakes,
            manager,
            folder,
        } = self;
        close(manager).await;
        let manager = open_with(folder.path(), &fakes);
        Self {
            fakes,
            manager,
            folder,
        }
    }
}

pub(super) fn open_with(folder: &Path, fakes: &Fakes) -> Arc<Manager> {
    let opened = Manager::open(&LedgerOptions::at(folder), fakes.node(folder));
    Arc::new(opened.unwrap())
}

pub(super) fn name() -> ChannelId {
    ChannelId::parse(CHANNEL).unwrap()
}

fn shown(info: &ChannelInfo) -> (Relation, Shown, u64) {
    (info.relation, info.status, info.height.0)
}

const FOLLOWING: Health = Health::Following { reason: None };

#[tokio::test]
async fn a_member_that_joins_with_the_genesis_block_orders_at_once() {
    let node = Node::on(MEMBER);
    let info = node.join(0).await;
    assert_eq!(shown(&info), (Relation::Consenter, Shown::Active, 1));
    let consensus = node.info().consensus.unwrap();
    assert_eq!((consensus.kind.as_str(), consensus.cluster.term), ("etcdraft", 4));
    assert!(!node.has_join_file());
    assert!(node.fakes.chain().metadata.0.is_empty());
}

#[tokio::test]
async fn a_stranger_that_joins_with_the_genesis_block_follows_and_keeps_its_join_file() {
    let node = Node::on(STRANGER);
    let info = node.join(0).await;
    assert_eq!(shown(&info), (Relation::Follower, Shown::Onboarding, 0));
    assert_eq!(node.shown(), (Relation::Follower, Shown::Active, 1));
    assert!(node.has_join_file());
    let node = node.restart().await;
    assert_eq!(node.shown(), (Relation::Follower, Shown::Active, 1));
    node.takes(1..=2).await;
    assert_eq!(node.info().height, Height(3));
}

#[tokio::test]
async fn a_member_that_joins_with_a_later_block_gets_the_blocks_before_it_and_then_orders() {
    let node = Node::on(MEMBER);
    let info = node.join(3).await;
    assert_eq!(shown(&info), (Relation::Consenter, Shown::Onboarding, 0));
    node.takes(0..=1).await;
    // Block 0 lists this node as well, but the blocks up to the join block come first.
    assert_eq!(node.shown(), (Relation::Consenter, Shown::Onboarding, 2));
    let node = node.restart().await;
    assert_eq!(node.shown(), (Relation::Consenter, Shown::Onboarding, 2));
    assert!(node.has_join_file());
    node.takes(2..=3).await;
    node.until(Health::Running).await;
    assert_eq!(node.shown(), (Relation::Consenter, Shown::Active, 4));
    testing::until(|| !node.has_join_file()).await;
    let metadata = &node.fakes.chain().metadata.0[..];
    assert_eq!(metadata, b"\x0a\x09\x0a\x03\x01\x02\x03\x10\x04\x18\x07");
}

#[tokio::test]
async fn followers_serve_neither_clients_nor_blocks() {
    let node = Node::on(STRANGER);
    node.join(0).await;
    let refusal = order(&node.manager, CHANNEL, "a").await.unwrap_err();
    let refusal = (refusal.status, refusal.info);
    assert_eq!(refusal, (Status::BadRequest, "channel does not exist".to_owned()));
    let Err(status) = node.manager.find(CHANNEL) else {
        panic!("it is followed only");
    };
    assert_eq!(status, Status::NotFound);
    let fetched = node.rest().block(&name(), BlockChoice::Newest).await;
    assert_eq!(fetched.err(), Some(FetchError::Follower));
}

#[tokio::test]
async fn a_chain_that_is_no_member_any_more_becomes_a_follower_and_back() {
    let node = Node::on(MEMBER);
    node.join(0).await;
    *node.fakes.others.host.lock() = STRANGER;
    node.fakes.chain().end(Ended::NotMember);
    node.until(FOLLOWING).await;
    assert_eq!(*node.fakes.consenter.followed.lock(), [name()]);
    assert_eq!(node.shown(), (Relation::Follower, Shown::Active, 1));
    *node.fakes.others.host.lock() = MEMBER;
    node.takes(1..=3).await;
    node.until(Health::Running).await;
    assert_eq!(node.info().height, Height(4));
    assert_eq!(node.chains(), 2);
}

#[tokio::test]
async fn a_node_that_is_addressed_by_another_id_waits_for_the_config_that_gives_it_one() {
    let node = Node::on(MEMBER);
    node.join(0).await;
    // By its config this node is 1 of the channel, and so is its chain.
    node.fakes.chain().end(Ended::NotMember);
    node.until(FOLLOWING).await;
    // Block 3 still has it as 1.
    node.takes(1..=4).await;
    assert_eq!(node.health(), FOLLOWING);
    assert_eq!(node.chains(), 1);
}

#[tokio::test]
async fn a_chain_whose_id_the_config_has_changed_already_begins_anew() {
    let node = Node::on(MEMBER);
    node.join(0).await;
    let first = node.fakes.chain();
    *first.id.lock() = ConsenterId(9);
    first.end(Ended::NotMember);
    testing::until(|| node.chains() == 2).await;
    node.until(Health::Running).await;
}

#[tokio::test]
async fn a_lost_log_makes_a_follower_that_says_so_and_still_serves_blocks() {
    let node = Node::on(MEMBER);
    node.join(0).await;
    let lost = || "its log is lost; remove and add it".to_owned();
    node.fakes.chain().end(Ended::LostLog { reason: lost() });
    node.until(Health::Following { reason: Some(lost()) }).await;
    assert_eq!(node.info().reason, Some(lost()));
    assert_eq!(node.shown(), (Relation::Follower, Shown::Active, 1));
    let refusal = order(&node.manager, CHANNEL, "a").await.unwrap_err();
    assert_eq!(refusal.status, Status::ServiceUnavailable);
    assert!(refusal.info.contains(&lost()), "{}", refusal.info);
    assert!(*node.manager.find(CHANNEL).ok().unwrap().errored().borrow());
    let fetched = node.rest().block(&name(), BlockChoice::Newest).await;
    assert!(fetched.is_ok());
    let refused = HandleChainError::LostLog { reason: lost() };
    node.fakes.consenter.refuses.lock().push_back(refused);
    let node = node.restart().await;
    assert_eq!(node.info().reason, Some(lost()));
}

#[tokio::test]
async fn what_breaks_a_part_quarantines_the_channel() {
    let node = Node::on(STRANGER);
    node.join(0).await;
    node.fakes
        .follower()
        .end(FollowerEnd::Panicked("boom".to_owned()));
    testing::until(|| matches!(node.health(), Health::Quarantined(_))).await;
    assert_eq!(node.info().status, Shown::Inactive);
    assert_eq!(node.info().reason.as_deref(), Some("follower panicked: boom"));
}

#[tokio::test]
async fn a_node_that_nobody_could_know_joins_no_raft_channel_and_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let fakes = Fakes::on(MEMBER);
    let parts = NodeParts {
        others: testing::node_parts().others,
        ..fakes.node(folder.path())
    };
    let manager = Arc::new(Manager::open(&LedgerOptions::at(folder.path()), parts).unwrap());
    let error = manager.join(block(0)).await.unwrap_err().to_string();
    let expected = "cannot join: this node cannot take part in a channel of several orderers: ";
    assert!(error.starts_with(expected), "{error}");
    assert!(manager.channels().is_empty());
}

#[tokio::test]
async fn a_removed_channel_is_joined_again_in_the_same_process() {
    let node = Node::on(MEMBER);
    for _ in 0..2 {
        node.join(0).await;
        node.manager.remove(name()).await.unwrap();
        assert!(node.manager.channels().is_empty());
    }
    assert_eq!(*node.fakes.consenter.removed.lock(), [name(), name()]);
    assert_eq!(*node.fakes.others.forgotten.lock(), [name(), name()]);
    let missing = node.manager.remove(name()).await.unwrap_err();
    assert_eq!(missing, RemoveError::NoChannel);
}

#[tokio::test]
async fn a_removal_that_fails_is_shown_and_goes_on_when_asked_again() {
    let node = Node::on(MEMBER);
    node.join(0).await;
    *node.fakes.consenter.cannot_remove.lock() = Some("its log is stuck".to_owned());
    let error = node.manager.remove(name()).await.unwrap_err().to_string();
    assert!(error.contains("its log is stuck"), "{error}");
    assert_eq!(node.shown(), (Relation::Consenter, Shown::Failed, 0));
    let joined = node.rest().join(block(0)).await;
    assert_eq!(joined.err(), Some(JoinError::RemovalFailed));
    *node.fakes.consenter.cannot_remove.lock() = None;
    node.manager.remove(name()).await.unwrap();
    node.join(0).await;
}
