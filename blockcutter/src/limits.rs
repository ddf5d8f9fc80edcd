//! The limits a batch is cut by.

/// Limits of a channel's batches. Only [`BatchLimits::new`] makes one, so the receiver never re-checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchLimits {
    max_message_count: usize,
    absolute_max_bytes: usize,
    preferred_max_bytes: usize,
}

/// Which relation between the limits does not hold (`docs/spec/rules.md` §8.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LimitsError {
    /// No message would fit.
    #[error("max message count is 0")]
    NoMessages,
    /// No byte would fit.
    #[error("absolute max bytes is 0")]
    NoAbsoluteBytes,
    /// Every message would be cut alone.
    #[error("preferred max bytes is 0")]
    NoPreferredBytes,
    /// The wish is above the bound.
    #[error("preferred max bytes {preferred_max_bytes} is above absolute max bytes {absolute_max_bytes}")]
    PreferredAboveAbsolute {
        /// The size a batch should keep to.
        preferred_max_bytes: u32,
        /// The size no envelope may exceed.
        absolute_max_bytes: u32,
    },
}

impl BatchLimits {
    /// Checks the three numbers of a channel's `BatchSize`. Bytes count payload and signature.
    pub fn new(
        max_message_count: u32,
        absolute_max_bytes: u32,
        preferred_max_bytes: u32,
    ) -> Result<Self, LimitsError> {
        if max_message_count == 0 {
            return Err(LimitsError::NoMessages);
        }
        if absolute_max_bytes == 0 {
            return Err(LimitsError::NoAbsoluteBytes);
        }
        if preferred_max_bytes == 0 {
            return Err(LimitsError::NoPreferredBytes);
        }
        if preferred_max_bytes > absolute_max_bytes {
            return Err(LimitsError::PreferredAboveAbsolute {
                preferred_max_bytes,
                absolute_max_bytes,
            });
        }
        Ok(Self {
            max_message_count: max_message_count as usize,
            absolute_max_bytes: absolute_max_bytes as usize,
            preferred_max_bytes: preferred_max_bytes as usize,
        })
    }

    /// Most envelopes in a batch.
    pub fn max_message_count(&self) -> usize {
        self.max_message_count
    }

    /// Largest envelope the channel takes, in bytes. Enforced at intake, not by the receiver.
    pub fn absolute_max_bytes(&self) -> usize {
        self.absolute_max_bytes
    }

    /// Largest batch of more than one envelope, in bytes.
    pub fn preferred_max_bytes(&self) -> usize {
        self.preferred_max_bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_broken_relation_has_its_error() {
        assert_eq!(BatchLimits::new(0, 1, 1), Err(LimitsError::NoMessages));
        assert_eq!(BatchLimits::new(1, 0, 1), Err(LimitsError::NoAbsoluteBytes));
        assert_eq!(BatchLimits::new(1, 1, 0), Err(LimitsError::NoPreferredBytes));
        let error = BatchLimits::new(1, 10, 11).unwrap_err();
        assert_eq!(
            error.to_string(),
            "preferred max bytes 11 is above absolute max bytes 10"
        );
        assert!(BatchLimits::new(1, 1, 1).is_ok());
    }
}
