//! A Deliver request: a signed envelope around a `SeekInfo`, and the checks on its headers.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use prost::Message;
use protos::envelope::{OpenError, Opened};
use protos::wire::common::SignatureHeader;
use protos::wire::orderer::SeekInfo;

/// An opened request, and who signed it.
#[derive(Clone, Debug)]
pub struct SeekRequest {
    opened: Opened,
    creator: Bytes,
}

/// Why a request is refused before its channel is looked for. Clients see `BAD_REQUEST` and no text.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RequestError {
    /// Envelope, payload or channel header cannot be read.
    #[error(transparent)]
    Unreadable(#[from] OpenError),
    /// The signature header is absent or cannot be read.
    #[error("signature header does not decode: {0}")]
    SignatureHeader(prost::DecodeError),
    /// No timestamp, or one beyond the range of time.
    #[error("channel header has no timestamp")]
    NoTimestamp,
    /// The clocks disagree by more than the window.
    #[error("timestamp is {apart:?} away from our time, {window:?} is allowed")]
    TimeApart {
        /// By how much.
        apart: Duration,
        /// The setting.
        window: Duration,
    },
    /// The TLS certificate hash is missing, or that of another certificate.
    #[error("request is not bound to the client's TLS certificate")]
    TlsBinding,
}

impl RequestError {
    /// What kind of mistake it is, without its figures.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Unreadable(_) => "unreadable",
            Self::SignatureHeader(_) => "signature header",
            Self::NoTimestamp => "no timestamp",
            Self::TimeApart { .. } => "time",
            Self::TlsBinding => "TLS binding",
        }
    }
}

impl SeekRequest {
    /// Opens a received request.
    pub fn parse(received: Bytes) -> Result<Self, RequestError> {
        let opened = Opened::open(received)?;
        let header: SignatureHeader = opened.signature_header().map_err(RequestError::SignatureHeader)?;
        Ok(Self {
            creator: header.creator,
            opened,
        })
    }

    /// Checks that the request was made within `window` of `now`, before or after.
    pub fn check_time(&self, now: SystemTime, window: Duration) -> Result<(), RequestError> {
        let made = self.timestamp().ok_or(RequestError::NoTimestamp)?;
        let apart = now.duration_since(made).unwrap_or_else(|later| later.duration());
        if apart > window {
            return Err(RequestError::TimeApart { apart, window });
        }
        Ok(())
    }

    fn timestamp(&self) -> Option<SystemTime> {
        let stamp = self.opened.channel_header.timestamp.as_ref()?;
        let nanos = Duration::from_nanos(u64::try_from(stamp.nanos).ok()?);
        let seconds = Duration::from_secs(stamp.seconds.unsigned_abs());
        let whole = if stamp.seconds < 0 {
            UNIX_EPOCH.checked_sub(seconds)
        } else {
            UNIX_EPOCH.checked_add(seconds)
        };
        whole?.checked_add(nanos)
    }

    /// Checks that the request names the TLS certificate of the connection it came over.
    pub fn check_tls(&self, client: Option<&[u8; 32]>) -> Result<(), RequestError> {
        let named = &self.opened.channel_header.tls_cert_hash;
        match client {
            Some(hash) if named[..] == hash[..] => Ok(()),
            _ => Err(RequestError::TlsBinding),
        }
    }

    /// The channel it asks for.
    pub fn channel(&self) -> &str {
        &self.opened.channel_header.channel_id
    }

    /// Identity bytes of its signer.
    pub fn creator(&self) -> &Bytes {
        &self.creator
    }

    /// The signed bytes.
    pub fn payload(&self) -> &Bytes {
        &self.opened.payload
    }

    /// The signature over [`payload`](Self::payload).
    pub fn signature(&self) -> &Bytes {
        &self.opened.signature
    }

    /// What is asked for.
    pub fn seek_info(&self) -> Result<SeekInfo, prost::DecodeError> {
        SeekInfo::decode(self.opened.data.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protos::wire::common::{ChannelHeader, Envelope, Header, Payload};

    fn request(timestamp: Option<prost_types::Timestamp>, tls_cert_hash: &[u8]) -> SeekRequest {
        let channel_header = ChannelHeader {
            channel_id: "ch".to_owned(),
            timestamp,
            tls_cert_hash: Bytes::copy_from_slice(tls_cert_hash),
            ..Default::default()
        };
        let header = Header {
            channel_header: channel_header.encode_to_vec().into(),
            signature_header: Bytes::new(),
        };
        let payload = Payload {
            header: Some(header),
            data: Bytes::new(),
        };
        let envelope = Envelope {
            payload: payload.encode_to_vec().into(),
            signature: Bytes::new(),
        };
        SeekRequest::parse(envelope.encode_to_vec().into()).unwrap()
    }

    #[test]
    fn the_time_window_reaches_both_ways() {
        let at = |seconds| request(Some(prost_types::Timestamp { seconds, nanos: 0 }), b"");
        let now = UNIX_EPOCH + Duration::from_secs(1000);
        let window = Duration::from_secs(10);
        for (seconds, fine) in [
            (989, false),
            (990, true),
            (1010, true),
            (1011, false),
            (i64::MIN, false),
        ] {
            assert_eq!(at(seconds).check_time(now, window).is_ok(), fine, "{seconds}");
        }
        let missing = request(None, b"").check_time(now, window);
        assert!(matches!(missing, Err(RequestError::NoTimestamp)));
    }

    #[test]
    fn the_tls_hash_must_be_that_of_the_connection() {
        let bound = request(None, &[7; 32]);
        assert!(bound.check_tls(Some(&[7; 32])).is_ok());
        assert!(bound.check_tls(Some(&[8; 32])).is_err());
        assert!(bound.check_tls(None).is_err());
        assert!(request(None, b"").check_tls(Some(&[7; 32])).is_err());
    }
}
