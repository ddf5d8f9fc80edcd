//! The other orderers, as the channels get them: messages from `cluster`, blocks from `catchup` and `onboarding`.

use std::sync::Arc;

use consensus::{BlockSource, Transport};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use protos::ChannelId;
use protos::wire::etcdraft::Consenter;

use crate::catchup::{Appender, ChannelSource, Puller};
use crate::cluster::Cluster;
use crate::multichannel::others::{Follower, NoIdentity, Others, ToFollow};
use crate::onboarding::{self, FollowerEnd, FollowerStatus, Following};

/// The other orderers of a node.
pub(super) struct Fellows {
    pub(super) cluster: Arc<Cluster>,
    pub(super) puller: Arc<Puller>,
}

impl Others for Fellows {
    fn own_place(&self, consenters: &[Consenter]) -> Result<Option<usize>, NoIdentity> {
        if let Some(lack) = self.cluster.lacks() {
            return Err(NoIdentity { lack });
        }
        let is_self = |consenter: &Consenter| self.cluster.is_self(&consenter.server_tls_cert);
        Ok(consenters.iter().position(is_self))
    }

    fn transport(&self, channel: &ChannelId) -> Arc<dyn Transport> {
        self.cluster.transport(channel)
    }

    fn block_source(&self, appender: Arc<dyn Appender>) -> Arc<dyn BlockSource> {
        Arc::new(ChannelSource::new(Arc::clone(&self.puller), appender))
    }

    fn follow(&self, what: ToFollow) -> Arc<dyn Follower> {
        Arc::new(onboarding::Follower::start(Following {
            puller: Arc::clone(&self.puller),
            appender: what.appender,
            join: what.join,
            host: what.host,
        }))
    }

    /// The channel's transport went with its chain, and its follower's connections with the follower.
    fn forget(&self, _channel: &ChannelId) {}
}

impl Follower for onboarding::Follower {
    fn status(&self) -> FollowerStatus {
        Self::status(self)
    }

    fn halt(&self) -> BoxFuture<'_, ()> {
        self.stop().boxed()
    }

    fn ended(&self) -> BoxFuture<'static, FollowerEnd> {
        Self::ended(self)
    }
}
