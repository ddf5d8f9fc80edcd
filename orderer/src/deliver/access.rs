//! Who may read a channel: asked before the first block, and again as the config moves.

use std::time::{Duration, SystemTime};

use configtx::policy::SignedData;
use protos::ConfigSeq;

use super::request::SeekRequest;
use crate::processor::Rules;
use crate::processor::filter::{expiry, maintenance};

/// Why a client may not read, or not any more. It sees FORBIDDEN and no text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// Its certificate has ended.
    #[error("deliver client identity expired {:.1}s before", .ago.as_secs_f64())]
    Expired {
        /// How long ago.
        ago: Duration,
    },
    /// The readers policy is not met.
    #[error("{reason}: permission denied")]
    Policy {
        /// What the policy said.
        reason: String,
    },
}

/// One request's right to read.
#[derive(Clone, Debug)]
pub struct Access {
    /// When the certificate ends; none where that is not looked at.
    expires_at: Option<SystemTime>,
    /// The config under which the policy was met last.
    granted_at: Option<ConfigSeq>,
}

impl Access {
    /// Nothing granted yet.
    pub fn of(request: &SeekRequest, no_expiration_checks: bool) -> Self {
        let expires_at = configtx::identity::expires_at(request.creator());
        Self {
            expires_at: expires_at.filter(|_| !no_expiration_checks),
            granted_at: None,
        }
    }

    /// Checks expiry, and the policy where the config is another one than at the last check.
    pub fn check(&mut self, request: &SeekRequest, rules: &Rules, now: SystemTime) -> Result<(), Denied> {
        if let Some(ago) = expiry::expired_for(self.expires_at, now) {
            return Err(Denied::Expired { ago });
        }
        let sequence = rules.bundle().sequence();
        if self.granted_at == Some(sequence) {
            return Ok(());
        }
        may_read(request, rules)?;
        self.granted_at = Some(sequence);
        Ok(())
    }
}

fn may_read(request: &SeekRequest, rules: &Rules) -> Result<(), Denied> {
    let bundle = rules.bundle();
    let path = if maintenance::is_on(bundle.orderer()) {
        "/Channel/Orderer/Readers"
    } else {
        "/Channel/Readers"
    };
    let signed = SignedData {
        identity: request.creator(),
        data: request.payload(),
        signature: request.signature(),
    };
    let Some(policy) = bundle.policy(path) else {
        let reason = format!("policy {path} does not exist");
        return Err(Denied::Policy { reason });
    };
    policy.evaluate(&[signed]).map_err(|error| Denied::Policy {
        reason: error.to_string(),
    })
}
