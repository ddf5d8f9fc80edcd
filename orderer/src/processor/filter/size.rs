//! Refuses what is above `BatchSize.absolute_max_bytes`.

use crate::processor::ProcessError;

/// Checks `bytes` (payload and signature) against the channel's limit; exactly at the limit is fine.
pub fn check(bytes: usize, bytes_max: u32) -> Result<(), ProcessError> {
    let bytes_max = usize::try_from(bytes_max).unwrap_or(usize::MAX);
    if bytes > bytes_max {
        return Err(ProcessError::TooLarge { bytes, bytes_max });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_itself_is_allowed() {
        assert!(check(10, 10).is_ok());
        let error = check(11, 10).unwrap_err();
        let text = "message payload is 11 bytes and exceeds maximum allowed 10 bytes";
        assert_eq!(error.to_string(), text);
    }
}
