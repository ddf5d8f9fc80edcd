//! The other orderers, as the channels of this node need them: the seam to `cluster`, `catchup` and `onboarding`.

use std::sync::Arc;

use consensus::block_source::NoSource;
use consensus::transport::Alone;
use consensus::{BlockSource, Transport};
use futures::future::BoxFuture;
use protos::ChannelId;
use protos::wire::etcdraft::Consenter;

use crate::catchup::Appender;
use crate::onboarding::{FollowerEnd, FollowerState, FollowerStatus, Host, JoinBlock};

/// Makes what a channel needs to work with other orderers.
pub trait Others: Send + Sync {
    /// Which of `consenters` this node is: the one whose server certificate has the public key of this node's cluster
    /// listener (`docs/spec/rules.md` §12).
    ///
    /// # Errors
    /// This node cannot be anybody's fellow; why.
    fn own_place(&self, consenters: &[Consenter]) -> Result<Option<usize>, NoIdentity>;

    /// Where messages to the other consenters of `channel` go.
    fn transport(&self, channel: &ChannelId) -> Arc<dyn Transport>;

    /// The blocks of the others, for the channel of `appender`.
    fn block_source(&self, appender: Arc<dyn Appender>) -> Arc<dyn BlockSource>;

    /// Starts a follower; must be called within a `tokio` runtime, which then runs it.
    fn follow(&self, what: ToFollow) -> Arc<dyn Follower>;

    /// `channel` is not this node's any more: its connections end.
    fn forget(&self, channel: &ChannelId);
}

/// What a follower works with.
pub struct ToFollow {
    /// Where its blocks go.
    pub appender: Arc<dyn Appender>,
    /// Who is asked about each config.
    pub host: Arc<dyn Host>,
    /// The block the channel was joined with, as long as the ledger does not have it.
    pub join: Option<JoinBlock>,
}

/// What takes the place of a chain while this node is no consenter of the channel.
pub trait Follower: Send + Sync {
    /// How it stands.
    fn status(&self) -> FollowerStatus;

    /// Stops it; ready when it appends nothing more.
    fn halt(&self) -> BoxFuture<'_, ()>;

    /// Ready when it has ended, with how.
    fn ended(&self) -> BoxFuture<'static, FollowerEnd>;
}

/// Other orderers could not know this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this node cannot take part in a channel of several orderers: {lack}")]
pub struct NoIdentity {
    /// What it lacks.
    pub lack: &'static str,
}

/// A node that knows no others.
#[derive(Clone, Copy, Debug)]
pub struct NoOthers(pub NoIdentity);

impl Default for NoOthers {
    fn default() -> Self {
        let lack = "it was given no way to other orderers";
        Self(NoIdentity { lack })
    }
}

impl Others for NoOthers {
    fn own_place(&self, _consenters: &[Consenter]) -> Result<Option<usize>, NoIdentity> {
        Err(self.0)
    }

    fn transport(&self, _channel: &ChannelId) -> Arc<dyn Transport> {
        Arc::new(Alone)
    }

    fn block_source(&self, _appender: Arc<dyn Appender>) -> Arc<dyn BlockSource> {
        Arc::new(NoSource)
    }

    fn follow(&self, _what: ToFollow) -> Arc<dyn Follower> {
        Arc::new(Stuck(self.0))
    }

    fn forget(&self, _channel: &ChannelId) {}
}

/// A follower that knows nobody to follow.
struct Stuck(NoIdentity);

impl Follower for Stuck {
    fn status(&self) -> FollowerStatus {
        FollowerStatus {
            state: FollowerState::Onboarding,
            height: protos::Height::EMPTY,
            known: protos::Height::EMPTY,
            trouble: Some(self.0.to_string()),
        }
    }

    fn halt(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }

    fn ended(&self) -> BoxFuture<'static, FollowerEnd> {
        Box::pin(std::future::ready(FollowerEnd::Stopped))
    }
}
