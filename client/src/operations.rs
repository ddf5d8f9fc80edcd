//! The operations listener of an orderer: how it stands (`docs/operating/operations.md`), and its version
//! (`docs/spec/behaviour.md` §9).

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::connection::Address;
use crate::participation::{AdminError, ChannelInfo, answer, http, refused};
use crate::tls::ClientTls;

/// These answers come at once, or the node is in trouble.
const TIMEOUT: Duration = Duration::from_secs(6);

/// All that a node says of itself. Ordain's nodes tell it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Readiness {
    /// `ready`, `not_ready`, `starting` or `stopping`.
    pub status: String,
    /// The node's clock, in RFC 3339.
    pub time: String,
    /// Its version.
    pub version: String,
    /// What is wrong with all of it.
    #[serde(default)]
    pub reasons: Vec<Reason>,
    /// The file systems that it writes to.
    #[serde(default)]
    pub disks: Vec<Disk>,
    /// Its own certificates.
    #[serde(default)]
    pub certificates: Vec<Certificate>,
    /// Its channels.
    #[serde(default)]
    pub channels: Vec<ChannelReadiness>,
}

/// A channel of a node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChannelReadiness {
    /// Whether it is of use there.
    pub ready: bool,
    /// Blocks that the node knows to be somewhere and has not.
    #[serde(default)]
    pub behind: u64,
    /// What is wrong with it.
    #[serde(default)]
    pub reasons: Vec<Reason>,
    /// As the admin API tells it.
    #[serde(flatten)]
    pub info: ChannelInfo,
}

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// For programs, such as `no_leader`.
    pub code: String,
    /// For people.
    pub message: String,
    /// False: a warning.
    pub blocking: bool,
}

/// A file system that a node writes to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disk {
    /// What is kept there.
    #[serde(rename = "use")]
    pub purpose: String,
    /// The folder.
    pub folder: String,
    /// What the node may still write.
    pub free_bytes: u64,
    /// The whole.
    pub total_bytes: u64,
}

/// A certificate of a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// The setting that names it.
    #[serde(rename = "use")]
    pub purpose: String,
    /// Its file.
    pub file: String,
    /// Whose it is.
    pub subject: String,
    /// End of its validity.
    pub not_after: String,
    /// Whole days until then; below 0: since then.
    pub days_left: i64,
}

/// What every orderer says of its build.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// Its version.
    #[serde(rename = "Version", default)]
    pub version: String,
    /// The commit it was built from.
    #[serde(rename = "CommitSHA", default)]
    pub commit: String,
}

/// What every orderer says of its life.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// `OK`, or not.
    pub status: String,
    /// The node's clock, in RFC 3339.
    #[serde(default)]
    pub time: String,
}

/// Speaks to one node's operations listener. Cheap to clone.
#[derive(Clone, Debug)]
pub struct OperationsClient {
    http: reqwest::Client,
    base: String,
}

impl OperationsClient {
    /// Prepares requests to `address`. Nothing is dialled.
    pub fn new(address: &Address, tls: Option<&ClientTls>) -> Result<Self, AdminError> {
        let (http, base) = http(address, tls, TIMEOUT)?;
        Ok(Self { http, base })
    }

    /// All that the node says of itself. With TLS it wants to see a client certificate for that.
    pub async fn readiness(&self) -> Result<Readiness, AdminError> {
        self.get("/readyz?verbose").await
    }

    /// The node's version.
    pub async fn version(&self) -> Result<Version, AdminError> {
        self.get("/version").await
    }

    /// Whether the node is alive, and its clock.
    pub async fn health(&self) -> Result<Health, AdminError> {
        self.get("/healthz").await
    }

    /// An answer of 503 has a body like one of 200.
    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, AdminError> {
        let request = self.http.request(Method::GET, format!("{}{path}", self.base));
        let (status, body) = answer(request, &self.base).await?;
        if status == StatusCode::UNAUTHORIZED {
            return Err(AdminError::Refused {
                status: status.as_u16(),
                reason: "it wants a client certificate".to_owned(),
            });
        }
        if !status.is_success() && status != StatusCode::SERVICE_UNAVAILABLE {
            return Err(refused(status, &body));
        }
        serde_json::from_slice(&body).map_err(|error| AdminError::Malformed {
            reason: error.to_string(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_readiness_answer_is_read_with_its_channels() {
        let text = r#"{"status":"not_ready","time":"2026-11-21T01:00:00Z","version":"0.1.0","reasons":[],
            "disks":[{"use":"blocks","folder":"/data","free_bytes":5,"total_bytes":10}],
            "certificates":[{"use":"General.TLS.Certificate","file":"/s.crt","subject":"CN=a",
                             "not_after":"2027-01-01T00:00:00Z","days_left":40}],
            "channels":[{"ready":false,"name":"ch","url":"/u","consensusRelation":"consenter","status":"active",
                         "height":3,"consensus":{"type":"etcdraft","id":1,"leader":0,"term":2},
                         "reasons":[{"code":"no_leader","message":"nobody","blocking":true}]}]}"#;
        let readiness: Readiness = serde_json::from_str(text).unwrap();
        let channel = &readiness.channels[0];
        assert!(!channel.ready);
        assert_eq!(channel.info.name, "ch");
        assert_eq!(channel.info.consensus.as_ref().unwrap().term, 2);
        assert!(channel.info.more.is_empty(), "{:?}", channel.info.more);
        assert_eq!(channel.reasons[0].code, "no_leader");
        assert_eq!(readiness.disks[0].free_bytes, 5);
    }
}
