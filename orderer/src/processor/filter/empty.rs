//! Refuses an empty payload. Opening an envelope does so already; the check stays for those that were opened
//! another way.

use crate::processor::ProcessError;

/// Checks the payload's bytes.
pub fn check(payload: &[u8]) -> Result<(), ProcessError> {
    if payload.is_empty() {
        return Err(ProcessError::Empty);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_payload_is_refused() {
        assert!(matches!(check(b""), Err(ProcessError::Empty)));
        assert!(check(b"x").is_ok());
    }
}
