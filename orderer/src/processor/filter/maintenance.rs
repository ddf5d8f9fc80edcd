//! Refuses normal messages while a channel is in maintenance (`docs/spec/rules.md` §4, §8.4).

use configtx::OrdererConfig;
use configtx::orderer_config::ConsensusState;

use crate::processor::ProcessError;

/// True where maintenance exists and the channel is in it: other policies decide then.
pub fn is_on(config: &OrdererConfig) -> bool {
    config.capabilities.maintenance_mode() && config.consensus_type.state == ConsensusState::Maintenance
}

/// Checks that normal messages are let in: in any state but NORMAL they are not.
pub fn check_normal(config: &OrdererConfig) -> Result<(), ProcessError> {
    if config.capabilities.maintenance_mode() && config.consensus_type.state != ConsensusState::Normal {
        return Err(ProcessError::Maintenance);
    }
    Ok(())
}
