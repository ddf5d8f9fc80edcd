//! What a chain asks of the other orderers: [`consensus::BlockSource`] of one channel.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use configtx::Bundle;
use configtx::block_verify::{verify_content, verify_signatures};
use configtx::config_block::ConfigBlock;
use consensus::block_source::Heights;
use consensus::{BlockSource, WriteError};
use futures::FutureExt as _;
use futures::future::{BoxFuture, join, join_all};
use protos::block::{Hash, last_config};
use protos::wire::common::Block;
use protos::wire::etcdraft::Consenter;
use protos::{BlockNumber, Height};

use super::driver::{Job, Nobody, drive};
use super::endpoints::{Endpoint, endpoint_of, endpoints, sources};
use super::link::{Link, within};
use super::plan::{Goal, Trouble};
use super::puller::Puller;
use super::{Appender, report};
use crate::cluster::TlsKey;

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

    fn link(&self, endpoint: Endpoint) -> Link {
        let (puller, channel) = (Arc::clone(&self.puller), self.appender.channel().clone());
        Link::new(puller, endpoint, channel)
    }

    fn links(&self, endpoints: Vec<Endpoint>) -> Vec<Link> {
        endpoints
            .into_iter()
            .map(|endpoint| self.link(endpoint))
            .collect()
    }
}

impl BlockSource for ChannelSource {
    fn heights(&self, consenters: Vec<Consenter>) -> BoxFuture<'static, Heights> {
        let Some(bundle) = self.appender.bundle() else {
            return async { Heights::default() }.boxed();
        };
        let time = self.puller.limits().pull_timeout;
        let links = self.links(endpoints(&bundle));
        let theirs = consenters.into_iter().map(|consenter| {
            let link = endpoint_of(&consenter, &bundle).map(|endpoint| self.link(endpoint));
            (consenter, link)
        });
        let theirs: Vec<_> = theirs.collect();
        async move {
            let endpoints = heights_of(&links, time);
            let consenters = theirs
                .iter()
                .map(|(consenter, link)| height_of(consenter, link.as_ref(), time));
            let (endpoints, consenters) = join(endpoints, join_all(consenters)).await;
            Heights {
                endpoints,
                consenters,
            }
        }
        .boxed()
    }

    fn first_blocks(&self) -> BoxFuture<'static, Vec<Hash>> {
        let Some(bundle) = self.appender.bundle() else {
            return async { Vec::new() }.boxed();
        };
        let (links, time) = (self.links(sources(&bundle)), self.puller.limits().pull_timeout);
        async move {
            let asked = links.iter().map(|link| within(time, first_block(link, &bundle)));
            let shown = join_all(asked).await.into_iter().filter_map(Result::ok);
            let mut seen = Vec::new();
            for hash in shown {
                if !seen.contains(&hash) {
                    seen.push(hash);
                }
            }
            seen
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
        let (links, time) = (self.links(sources(&bundle)), self.puller.limits().pull_timeout);
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

async fn heights_of(links: &[Link], time: Duration) -> Vec<Height> {
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

/// What the consenter itself says, known by its key; 0 where it has no such channel.
async fn height_of(consenter: &Consenter, link: Option<&Link>, time: Duration) -> Option<Height> {
    let link = link?;
    let key = TlsKey::of_pem(&consenter.server_tls_cert).ok()?;
    let asked = async {
        let shown = link.certificate().await?;
        let is_consenter = shown.is_some_and(|shown| TlsKey::of_der(&shown).is_ok_and(|shown| shown == key));
        let height = match link.height().await {
            Err(Trouble::NotFound) => Ok(Height::EMPTY),
            height => height,
        };
        height.map(|height| is_consenter.then_some(height))
    };
    within(time, asked).await.ok().flatten()
}

/// Hash of block 1 of one source, whose signatures are good under `bundle`, the genesis block's config.
async fn first_block(link: &Link, bundle: &Bundle) -> Result<Hash, Trouble> {
    let lie = |error: &dyn std::fmt::Display| Trouble::BadBlock(error.to_string());
    let found = link.block(BlockNumber(1)).await?;
    let block = found.decode().map_err(|error| lie(&error))?;
    if found.number() != BlockNumber(1) {
        let (due, got) = (BlockNumber(1), found.number());
        return Err(Trouble::OutOfTurn { due, got });
    }
    verify_content(&block).map_err(|error| lie(&error))?;
    verify_signatures(&block, bundle).map_err(|error| lie(&error))?;
    Ok(*found.hash())
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
