//! What a chain asks of the other orderers: [`consensus::BlockSource`] of one channel.

use std::collections::BTreeSet;
use std::sync::Arc;

use configtx::Bundle;
use configtx::block_verify::{verify_content, verify_signatures};
use configtx::config_block::ConfigBlock;
use consensus::{BlockSource, WriteError};
use futures::FutureExt as _;
use futures::future::{BoxFuture, join_all};
use protos::block::last_config;
use protos::wire::common::Block;
use protos::{BlockNumber, Height};

use super::driver::{Job, Nobody, drive};
use super::endpoints::endpoints;
use super::link::{Link, within};
use super::plan::{Goal, Trouble};
use super::puller::Puller;
use super::{Appender, report};

/// The other orderers of one channel, as its config in force lists them.
pub struct ChannelSource {
    puller: Arc<Puller>,
    appender: Arc<dyn Appender>,
}

impl ChannelSource {
    /// Blocks go to `appender`.
    pub fn new(puller: Arc<Puller>, appender: Arc<dyn Appender>) -> Self {
        Self { puller, appender }
    }

    fn links(&self, bundle: &Bundle) -> Vec<Link> {
        let link = |endpoint| {
            let (puller, channel) = (Arc::clone(&self.puller), self.appender.channel().clone());
            Link::new(puller, endpoint, channel)
        };
        endpoints(bundle).into_iter().map(link).collect()
    }
}

impl BlockSource for ChannelSource {
    fn heights(&self) -> BoxFuture<'static, Vec<Height>> {
        let Some(bundle) = self.appender.bundle() else {
            return async { Vec::new() }.boxed();
        };
        let (links, time) = (self.links(&bundle), self.puller.limits().pull_timeout);
        async move {
            let asked = links
                .iter()
                .map(|link| within(time, link.height_and_certificate()));
            let answers = join_all(asked).await.into_iter().filter_map(Result::ok);
            // A node under two addresses counts once: a majority may hang on it.
            let mut seen = BTreeSet::new();
            answers
                .filter(|(_, certificate)| certificate.clone().is_none_or(|shown| seen.insert(shown)))
                .map(|(height, _)| height)
                .collect()
        }
        .boxed()
    }

    fn catch_up(&self, through: BlockNumber) -> BoxFuture<'static, Result<(), WriteError>> {
        let job = Job {
            puller: Arc::clone(&self.puller),
            appender: Arc::clone(&self.appender),
            goal: Goal::Through(through),
            endpoints: None,
            anchor: None,
        };
        async move { drive(job, &mut Nobody).await }.boxed()
    }

    fn newest_config(&self) -> BoxFuture<'static, Option<Block>> {
        let Some(bundle) = self.appender.bundle() else {
            return async { None }.boxed();
        };
        let (links, time) = (self.links(&bundle), self.puller.limits().pull_timeout);
        async move {
            let asked = links.iter().map(|link| newest_config(link, &bundle));
            let answers = join_all(asked.map(|asked| within(time, asked))).await;
            let mut newest: Option<Block> = None;
            for (link, answer) in links.iter().zip(answers) {
                match answer {
                    Ok(found) if number(&found) >= newest.as_ref().map_or(0, number) => newest = Some(found),
                    Ok(_) => {}
                    Err(trouble) => {
                        report::log(bundle.channel_id(), &link.endpoint().address, Some(&trouble));
                    }
                }
            }
            newest
        }
        .boxed()
    }
}

fn number(block: &Block) -> u64 {
    block.header.as_ref().map_or(0, |header| header.number)
}

/// The newest config block of one source, whose signatures are good under `bundle`.
async fn newest_config(link: &Link, bundle: &Bundle) -> Result<Block, Trouble> {
    let lie = |error: &dyn std::fmt::Display| Trouble::BadBlock(error.to_string());
    let newest = link.newest().await?.decode().map_err(|error| lie(&error))?;
    let place = last_config(&newest).map_err(|error| lie(&error))?;
    let found = link.block(place).await?;
    let block = found.decode().map_err(|error| lie(&error))?;
    if found.number() != place {
        let (due, got) = (place, found.number());
        return Err(Trouble::OutOfTurn { due, got });
    }
    verify_content(&block).map_err(|error| lie(&error))?;
    // Block 0 carries no signature; who is at it has it.
    if place != BlockNumber::GENESIS {
        verify_signatures(&block, bundle).map_err(|error| lie(&error))?;
    }
    let config = ConfigBlock::read(&block).map_err(|error| lie(&error))?;
    if config.channel_id != *bundle.channel_id() {
        return Err(Trouble::BadBlock(format!(
            "block {place} is of channel {}",
            config.channel_id
        )));
    }
    Ok(block)
}
