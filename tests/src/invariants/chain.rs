//! The header chain is unbroken, data hashes are right, and the config sequence rises by one with each config block.
//!
//! Source: `docs/spec/rules.md` §1 and §2, §7 for sequences.

use configtx::block_verify::{verify_content, verify_link};
use configtx::config_block::ConfigBlock;
use protos::block::is_config_block;
use protos::wire::common::{Block, BlockHeader};

use super::Violation;

/// Checks a chain from its genesis block on.
pub fn check<'a>(chain: impl Iterator<Item = &'a Block>) -> Result<(), Violation> {
    let mut previous: Option<&BlockHeader> = None;
    let mut sequence = None;
    for block in chain {
        verify_content(block).map_err(|error| format!("chain: {error}"))?;
        if let Some(previous) = previous {
            verify_link(previous, block).map_err(|error| format!("chain: {error}"))?;
        }
        previous = block.header.as_ref();
        if is_config_block(block) {
            let found = ConfigBlock::read(block)
                .map_err(|error| format!("chain: {error}"))?
                .config
                .sequence;
            let expected = sequence.map_or(0, |sequence| sequence + 1);
            if found != expected {
                return Err(format!(
                    "chain: config sequence is {found} where {expected} should be"
                ));
            }
            sequence = Some(found);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use protos::BlockNumber;
    use protos::block::next;

    use super::*;
    use crate::sim::material::Material;

    #[test]
    fn a_block_that_does_not_link_breaks_the_chain() {
        let entry = || vec![Material::get().envelopes[0].clone()];
        let first = next(BlockNumber(0), &[0; 32], entry());
        let second = next(BlockNumber(1), &[1; 32], entry());
        assert_eq!(check([&first].into_iter()), Ok(()));
        assert!(
            check([&first, &second].into_iter())
                .unwrap_err()
                .contains("previous hash")
        );
    }
}
