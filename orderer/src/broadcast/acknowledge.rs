//! When a stream says SUCCESS: the node's setting, or what the client asks for in the request metadata.

use http::HeaderMap;
use tonic::Status;

use crate::config::Acknowledge;

/// Request metadata by which a client chooses for its stream.
pub const METADATA: &str = "x-acknowledge";

/// The level of a stream with these headers on a node with this `setting`.
pub fn asked(headers: &HeaderMap, setting: Acknowledge) -> Result<Acknowledge, Status> {
    let Some(value) = headers.get(METADATA) else {
        return Ok(setting);
    };
    match value.as_bytes() {
        b"accepted" => Ok(Acknowledge::Accepted),
        b"committed" => Ok(Acknowledge::Committed),
        _ => Err(Status::invalid_argument(format!(
            "{METADATA} must be `accepted` or `committed`, got {value:?}"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_wins_over_the_setting_and_unknown_values_are_refused() {
        let mut headers = HeaderMap::new();
        assert_eq!(
            asked(&headers, Acknowledge::Committed).unwrap(),
            Acknowledge::Committed
        );
        for (value, level) in [
            ("accepted", Acknowledge::Accepted),
            ("committed", Acknowledge::Committed),
        ] {
            headers.insert(METADATA, value.parse().unwrap());
            assert_eq!(asked(&headers, Acknowledge::Accepted).unwrap(), level);
        }
        headers.insert(METADATA, "eventually".parse().unwrap());
        let error = asked(&headers, Acknowledge::Accepted).unwrap_err();
        assert_eq!(error.code(), tonic::Code::InvalidArgument);
    }
}
