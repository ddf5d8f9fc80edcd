//! One certificate with its dates.

use std::fmt;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// What a certificate is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Signs blocks and requests in this node's name.
    Enrollment,
    /// Shown by this listener.
    Server(&'static str),
    /// Shown where this node calls other orderers.
    Client,
    /// Verifies others.
    Authority,
    /// May administer this node's organisation.
    Admin,
    /// A consenter of a channel is known by it.
    Consenter,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Enrollment => f.write_str("enrollment certificate"),
            Self::Server(listener) => write!(f, "TLS server certificate of the {listener} listener"),
            Self::Client => f.write_str("TLS client certificate"),
            Self::Authority => f.write_str("certificate of an authority"),
            Self::Admin => f.write_str("administrator's certificate"),
            Self::Consenter => f.write_str("consenter's certificate"),
        }
    }
}

/// One certificate that this node depends on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Dated {
    /// What it is for.
    pub role: Role,
    /// Where it stands: a file, or a channel with the consenter.
    pub place: String,
    /// Its subject.
    pub subject: String,
    /// Its serial number in hex.
    pub serial: String,
    /// Begin of its validity, in seconds since 1970.
    pub not_before: i64,
    /// End of its validity, in seconds since 1970.
    pub not_after: i64,
}

impl Dated {
    /// Reads the dates of a certificate in DER; none if it is none.
    pub fn of(role: Role, place: String, der: &[u8]) -> Option<Self> {
        let (_, parsed) = X509Certificate::from_der(der).ok()?;
        Some(Self {
            role,
            place,
            subject: parsed.subject().to_string(),
            serial: parsed.raw_serial_as_string(),
            not_before: parsed.validity().not_before.timestamp(),
            not_after: parsed.validity().not_after.timestamp(),
        })
    }

    /// How long it holds from `now` on; none once it has expired.
    pub fn left(&self, now: SystemTime) -> Option<Duration> {
        let left = self.seconds_left(now);
        u64::try_from(left)
            .ok()
            .filter(|left| *left > 0)
            .map(Duration::from_secs)
    }

    fn seconds_left(&self, now: SystemTime) -> i64 {
        let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        self.not_after.saturating_sub(now)
    }

    /// Whether its validity has not begun yet.
    pub fn is_early(&self, now: SystemTime) -> bool {
        let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        i64::try_from(now.as_secs()).is_ok_and(|now| now < self.not_before)
    }

    /// The end of its validity as people write it.
    pub fn end(&self) -> String {
        Timestamp::from_second(self.not_after)
            .map_or_else(|_| "an unknown day".to_owned(), |end| end.to_string())
    }
}

/// Role, place, subject and serial number.
impl fmt::Display for Dated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {} ({}, serial {})",
            self.role, self.place, self.subject, self.serial
        )
    }
}
