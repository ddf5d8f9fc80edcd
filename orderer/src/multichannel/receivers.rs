//! The Manager as other orderers see it: the chains that take their messages.

use std::sync::Arc;

use consensus::Chain;
use protos::ChannelId;

use super::manager::Manager;
use crate::cluster::Receivers;

impl Receivers for Manager {
    fn chain(&self, channel: &ChannelId) -> Option<Arc<dyn Chain>> {
        self.get(channel.as_str())?.chain()
    }
}
