//! Block 0 for a node that joins with a later block.
//!
//! Nothing signs block 0, and it says itself who may sign the others. The join block proves it, but only once all
//! blocks between are here. So all orderers are asked, and the block that most of them have is taken: one that lies
//! does not spoil the ledger.

use std::sync::Arc;
use std::time::Duration;

use configtx::Bundle;
use configtx::block_verify::verify_content;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use protos::{BlockNumber, ChannelId, SealedBlock};

use crate::catchup::link::{Link, within};
use crate::catchup::plan::Trouble;

/// A genesis block and its config.
#[derive(Clone, Debug)]
pub(super) struct Genesis {
    pub(super) block: SealedBlock,
    pub(super) config: Arc<Bundle>,
}

/// What one round of questions brought.
#[derive(Debug)]
pub(super) struct Round {
    /// The block that most of those who answered have.
    pub(super) chosen: Option<Genesis>,
    /// What is wrong with whom, by place in the list.
    pub(super) troubles: Vec<(usize, Trouble)>,
}

/// Asks everybody once; no longer than until more than half of them agree.
pub(super) async fn ask(links: &[Link], channel: &ChannelId, time: Duration) -> Round {
    let ask = |(at, link)| async move {
        let answer = within(time, Link::block(link, BlockNumber::GENESIS)).await;
        (at, answer.and_then(|block| check(block, channel)))
    };
    let mut asked: FuturesUnordered<_> = links.iter().enumerate().map(ask).collect();
    let (mut votes, mut troubles) = (Votes::default(), Vec::new());
    while let Some((at, answer)) = asked.next().await {
        match answer {
            Ok(genesis) => votes.cast(at, genesis),
            Err(trouble) => troubles.push((at, trouble)),
        }
        if votes.most() * 2 > links.len() {
            break;
        }
    }
    let (chosen, outvoted) = votes.count();
    let lie = || Trouble::BadBlock("its block 0 is not the one that most orderers have".to_owned());
    troubles.extend(outvoted.into_iter().map(|at| (at, lie())));
    Round { chosen, troubles }
}

/// Whether `block` can be the channel's block 0.
fn check(block: SealedBlock, channel: &ChannelId) -> Result<Genesis, Trouble> {
    let bad = |what: &dyn std::fmt::Display| Trouble::BadBlock(format!("block 0: {what}"));
    if block.number() != BlockNumber::GENESIS || !block.previous_hash().is_empty() {
        return Err(bad(&"it is no genesis block"));
    }
    let decoded = block.decode().map_err(|error| bad(&error))?;
    verify_content(&decoded).map_err(|error| bad(&error))?;
    let config = Bundle::from_block(&decoded).map_err(|error| bad(&error))?;
    if config.channel_id() != channel {
        return Err(bad(&format_args!("it is of channel {}", config.channel_id())));
    }
    let config = Arc::new(config);
    Ok(Genesis { block, config })
}

/// Who has which block.
#[derive(Default)]
struct Votes(Vec<(Genesis, Vec<usize>)>);

impl Votes {
    fn cast(&mut self, voter: usize, genesis: Genesis) {
        let same = |(known, _): &&mut (Genesis, Vec<usize>)| known.block.hash() == genesis.block.hash();
        match self.0.iter_mut().find(same) {
            Some((_, voters)) => voters.push(voter),
            None => self.0.push((genesis, vec![voter])),
        }
    }

    fn most(&self) -> usize {
        self.0.iter().map(|(_, voters)| voters.len()).max().unwrap_or(0)
    }

    /// The block with the most votes, of several the one that came first; and who voted otherwise.
    fn count(self) -> (Option<Genesis>, Vec<usize>) {
        let most = self.most();
        let (mut chosen, mut outvoted) = (None, Vec::new());
        for (genesis, voters) in self.0 {
            if chosen.is_none() && voters.len() == most {
                chosen = Some(genesis);
            } else {
                outvoted.extend(voters);
            }
        }
        (chosen, outvoted)
    }
}
