//! Judging a new config at both ends of its way: proposed by somebody, or found in a committed block.
//!
//! | | [`propose_config_update`] | [`validate`] |
//! |---|---|---|
//! | asked by | the processor, before ordering | the block writer, and whoever takes blocks from others |
//! | computes the config from the update (`docs/spec/rules.md` §7) | yes | yes, and compares |
//! | structure and capabilities (§8.1, §8.2) | yes | yes |
//! | against the config before it (§8.3) | yes | no |
//! | refuses more than the reference ([`IntakeRefusal`]) | yes | never: it would fork |
//!
//! The consenter's part of §8.3 and the maintenance step (§8.4) are asked by the processor, which knows the
//! consenters and has the wrapped envelope.

use bytes::Bytes;
use prost::Message;
use protos::envelope::{OpenError, Opened};
use protos::wire::common::{Block, Config, Envelope, HeaderType};
use protos::{ChannelId, ConfigSeq};

use crate::Bundle;
use crate::bundle::{BundleError, UnsupportedCapabilities};
use crate::config_block::{ConfigBlock, ConfigBlockError};
use crate::consensus_metadata::BFT;
use crate::keys::BLOCK_VALIDATION_PATH;
use crate::transition::{self, TransitionError};
use crate::tree::{Key, Tree};
use crate::unknown_field::UnknownField;
use crate::update::{Update, UpdateError};

#[cfg(test)]
mod tests;

/// Differing elements that a text names; the others are counted.
const SHOWN_MAX: usize = 3;

/// A config update that may be ordered as far as this crate can say, and the config it leads to.
#[derive(Debug)]
pub struct Proposal {
    /// The update, opened.
    pub update: Update,
    /// The new config, checked.
    pub bundle: Bundle,
}

/// Why an update is not ordered. A bad request.
#[derive(Debug, thiserror::Error)]
pub enum ProposeError {
    /// It does not apply to the config in force.
    #[error(transparent)]
    Update(#[from] UpdateError),
    /// The config it leads to is not valid.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// The config it leads to needs more than this program has.
    #[error(transparent)]
    Unsupported(#[from] UnsupportedCapabilities),
    /// The config it leads to may not follow the one in force.
    #[error(transparent)]
    Transition(#[from] TransitionError),
    /// The reference would let it pass and be harmed by it.
    #[error(transparent)]
    Refused(#[from] IntakeRefusal),
}

/// What is refused at intake although the reference accepts it. None of these may be asked of a committed block.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IntakeRefusal {
    /// Elements that end up nowhere, so that anybody could have blocks made that change nothing.
    #[error(
        "{} would be lost: the write set adds it below a group that does not rise in version",
        list(elements)
    )]
    Lost {
        /// At least one.
        elements: Vec<Key>,
    },
    /// Something that this node would lose and other nodes would not, who then could not agree.
    #[error("{field} is not known to this node, so it cannot compute the new config")]
    UnknownField {
        /// In the update, or in the block of the config in force.
        field: UnknownField,
    },
    /// A policy over sub-groups with a rule that means nothing.
    #[error("policy {policy} has a rule other than ANY, ALL and MAJORITY")]
    UnknownRule {
        /// Its path.
        policy: String,
    },
    /// Nothing would say which signatures a block needs.
    #[error("the new config has no policy {BLOCK_VALIDATION_PATH}, so no block could be verified any more")]
    NoBlockValidation,
    /// Blocks of a BFT channel cannot be verified without identifier headers.
    #[error("consensus type {BFT} needs channel capability V3_0")]
    BftWithoutV3,
}

/// Why a config block does not follow the config in force: a fork, or a bug.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// The block holds no config.
    #[error(transparent)]
    Block(#[from] ConfigBlockError),
    /// It belongs to another channel.
    #[error("config block is for channel {found}, this is channel {expected}")]
    Channel {
        /// The channel it names.
        found: ChannelId,
        /// The channel it came to.
        expected: ChannelId,
    },
    /// It is not the next config.
    #[error("config has sequence {found}, expected {expected}")]
    Sequence {
        /// As it stands there.
        found: ConfigSeq,
        /// The one after the config in force.
        expected: ConfigSeq,
    },
    /// It does not say what led to it.
    #[error("config block has no last update")]
    NoUpdate,
    /// What led to it cannot be opened.
    #[error("last update: {0}")]
    Open(#[from] OpenError),
    /// What led to it is another kind of message.
    #[error("last update has header type {found}, expected {}", HeaderType::ConfigUpdate as i32)]
    NotUpdate {
        /// Its header type.
        found: i32,
    },
    /// What led to it does not apply.
    #[error("last update: {0}")]
    Update(#[from] UpdateError),
    /// What led to it leads elsewhere.
    #[error("config differs from what its last update gives in {}", list(elements))]
    Differs {
        /// The elements that differ; none when the sets are alike and the trees are not.
        elements: Vec<Key>,
    },
    /// It is not valid.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// It needs more than this program has.
    #[error(transparent)]
    Unsupported(#[from] UnsupportedCapabilities),
}

/// Computes the config that follows `current` by `data`, a serialized `common.ConfigUpdateEnvelope`, and checks
/// it up to what the consenter says. Intake severity.
pub fn propose_config_update(current: &Bundle, data: Bytes) -> Result<Proposal, ProposeError> {
    let update = Update::read(data)?;
    let outcome = update.apply(current)?;
    // First, because what is lost needs no signatures and a bundle costs much.
    refuse_loss(&update, outcome.lost, current)?;
    let bundle = Bundle::new(current.channel_id().clone(), outcome.config)?;
    bundle.check_supported()?;
    transition::check(current, &bundle)?;
    refuse_harm(&bundle)?;
    Ok(Proposal { update, bundle })
}

fn refuse_loss(update: &Update, lost: Vec<Key>, current: &Bundle) -> Result<(), IntakeRefusal> {
    if !lost.is_empty() {
        return Err(IntakeRefusal::Lost { elements: lost });
    }
    let field = update
        .unknown_field()
        .or_else(|| current.unknown_field().cloned());
    field.map_or(Ok(()), |field| Err(IntakeRefusal::UnknownField { field }))
}

fn refuse_harm(new: &Bundle) -> Result<(), IntakeRefusal> {
    if let Some(policy) = new.policies().with_unknown_rule().next() {
        let policy = policy.path().to_owned();
        return Err(IntakeRefusal::UnknownRule { policy });
    }
    if new.policy(BLOCK_VALIDATION_PATH).is_none() {
        return Err(IntakeRefusal::NoBlockValidation);
    }
    if new.orderer().consensus_type.kind == BFT && !new.capabilities().v3() {
        return Err(IntakeRefusal::BftWithoutV3);
    }
    Ok(())
}

/// Checks a config block that follows `current`, the config in force before it; gives the config in force after
/// it. Commit severity: what the reference accepts is accepted.
pub fn validate(current: &Bundle, block: &Block) -> Result<Bundle, CommitError> {
    let mut read = ConfigBlock::read(block)?;
    if read.channel_id != *current.channel_id() {
        return Err(CommitError::Channel {
            found: read.channel_id,
            expected: current.channel_id().clone(),
        });
    }
    let (found, expected) = (read.config.sequence, current.sequence().0.wrapping_add(1));
    if found != expected {
        return Err(CommitError::Sequence {
            found: ConfigSeq(found),
            expected: ConfigSeq(expected),
        });
    }
    let update = open_update(&read.last_update.take().ok_or(CommitError::NoUpdate)?)?;
    check_same(&update.apply(current)?.config, &read.config)?;
    let bundle = Bundle::from_config_block(read)?;
    bundle.check_supported()?;
    Ok(bundle)
}

fn open_update(envelope: &Envelope) -> Result<Update, CommitError> {
    let opened = Opened::open(envelope.encode_to_vec().into())?;
    let found = opened.channel_header.r#type;
    if found != HeaderType::ConfigUpdate as i32 {
        return Err(CommitError::NotUpdate { found });
    }
    Ok(Update::read(opened.data)?)
}

/// Structural equality of the two trees.
fn check_same(computed: &Config, found: &Config) -> Result<(), CommitError> {
    if computed.channel_group == found.channel_group {
        return Ok(());
    }
    let flat = |config: &Config| {
        let root = config.channel_group.as_ref();
        root.and_then(|root| Tree::flatten(root).ok()).unwrap_or_default()
    };
    let (computed, found) = (flat(computed), flat(found));
    let differs = |key: &&Key| computed.get(key) != found.get(key);
    let mut elements: Vec<_> = computed.keys().filter(differs).cloned().collect();
    elements.extend(found.keys().filter(|key| computed.get(key).is_none()).cloned());
    Err(CommitError::Differs { elements })
}

fn list(elements: &[Key]) -> String {
    let shown: Vec<_> = elements.iter().take(SHOWN_MAX).map(Key::to_string).collect();
    match elements.len().saturating_sub(SHOWN_MAX) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}
