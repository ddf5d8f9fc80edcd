//! The channel participation API of an orderer's admin listener (`docs/spec/behaviour.md` §8).

use std::collections::BTreeMap;
use std::fmt;
use std::net::ToSocketAddrs as _;
use std::str::FromStr;
use std::time::Duration;

use bytes::Bytes;
use protos::{ChannelId, SealedBlock};
use reqwest::multipart::{Form, Part};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::connection::{Address, innermost};
use crate::tls::{self, ClientTls, TlsError};

const CHANNELS: &str = "/participation/v1/channels";
/// The server may take two minutes to write an answer.
const TIMEOUT: Duration = Duration::from_mins(2);

/// A channel in the list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelEntry {
    /// Its name.
    pub name: String,
    /// Path of its own resource.
    pub url: String,
}

/// All channels of a node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelList {
    /// Servers write null, nothing or a list; here it is always a list.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub channels: Vec<ChannelEntry>,
}

/// One channel on one node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChannelInfo {
    /// Its name.
    pub name: String,
    /// Path of its own resource.
    pub url: String,
    /// `consenter`, `follower`, `config-tracker` or `other`.
    pub consensus_relation: String,
    /// `active`, `onboarding`, `inactive` or `failed`.
    pub status: String,
    /// How many blocks the node has.
    pub height: u64,
    /// The channel's cluster as the node sees it, while the node takes part in one. Ordain's nodes tell it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consensus: Option<Consensus>,
    /// Why the channel is not simply active. Ordain's nodes tell it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What this server says beyond that.
    #[serde(flatten)]
    pub more: BTreeMap<String, serde_json::Value>,
}

/// A channel's cluster as one of its members sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consensus {
    /// The consensus type.
    #[serde(rename = "type")]
    pub kind: String,
    /// The member that tells this.
    pub id: u64,
    /// Who leads; 0: nobody is known to.
    pub leader: u64,
    /// The member's term.
    pub term: u64,
    /// All members, in the order of the config.
    #[serde(default)]
    pub members: Vec<u64>,
    /// Members that the leader has heard of lately; empty while that is not known.
    #[serde(default)]
    pub active: Vec<u64>,
    /// What keeps the channel from ordering now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
}

/// Which block of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockChoice {
    /// The newest one.
    Newest,
    /// The genesis block.
    Oldest,
    /// The newest config block.
    Config,
    /// The one of this number.
    Number(u64),
}

/// It is none of the words for a block, and no number.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no block: expected newest, oldest, config or a number")]
pub struct NoBlockChoice(String);

impl FromStr for BlockChoice {
    type Err = NoBlockChoice;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "newest" => Ok(Self::Newest),
            "oldest" => Ok(Self::Oldest),
            "config" => Ok(Self::Config),
            number => number
                .parse()
                .map(Self::Number)
                .map_err(|_| NoBlockChoice(text.to_owned())),
        }
    }
}

impl fmt::Display for BlockChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Newest => f.write_str("newest"),
            Self::Oldest => f.write_str("oldest"),
            Self::Config => f.write_str("config"),
            Self::Number(number) => number.fmt(f),
        }
    }
}

#[derive(Deserialize)]
struct Refusal {
    error: String,
}

fn null_is_empty<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<ChannelEntry>, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Why an admin request did not do what it should.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The HTTP client cannot be set up.
    #[error("cannot set up HTTP: {reason}")]
    Setup {
        /// Why.
        reason: String,
    },
    /// The expected server name is no host name.
    #[error(transparent)]
    Name(#[from] TlsError),
    /// No answer.
    #[error("no answer from {url}: {reason}")]
    Transport {
        /// What was asked.
        url: String,
        /// The innermost cause.
        reason: String,
    },
    /// The node said no.
    #[error("the node refused ({status}): {reason}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// Its reason, or the whole body if that is not the usual JSON.
        reason: String,
    },
    /// A success whose body is not what it should be.
    #[error("the answer does not parse: {reason}")]
    Malformed {
        /// Where and why.
        reason: String,
    },
}

/// Speaks to one node's admin listener. Cheap to clone.
#[derive(Clone, Debug)]
pub struct AdminClient {
    http: reqwest::Client,
    base: String,
}

impl AdminClient {
    /// Prepares requests to `address`; with TLS the node asks for a client certificate. Nothing is dialled.
    pub fn new(address: &Address, tls: Option<&ClientTls>) -> Result<Self, AdminError> {
        let (http, base) = http(address, tls, TIMEOUT)?;
        Ok(Self { http, base })
    }

    /// All channels of the node.
    pub async fn list(&self) -> Result<ChannelList, AdminError> {
        self.json(self.request(Method::GET, CHANNELS)).await
    }

    /// One channel.
    pub async fn info(&self, channel: &ChannelId) -> Result<ChannelInfo, AdminError> {
        let path = format!("{CHANNELS}/{channel}");
        self.json(self.request(Method::GET, &path)).await
    }

    /// Lets the node join the channel of `config_block`, a serialized `common.Block`. Returns how the node
    /// stands to the channel right after.
    pub async fn join(&self, config_block: Bytes) -> Result<ChannelInfo, AdminError> {
        let form = form("config-block", "config.block", config_block);
        let request = self.request(Method::POST, CHANNELS).multipart(form);
        self.json(request).await
    }

    /// Removes the channel, its blocks included, from the node.
    pub async fn remove(&self, channel: &ChannelId) -> Result<(), AdminError> {
        let path = format!("{CHANNELS}/{channel}");
        self.send(self.request(Method::DELETE, &path)).await.map(drop)
    }

    /// Asks the node to order a config update; `envelope` is the serialized, signed envelope. Returns how
    /// the node stands to the channel, which is before the update is committed.
    pub async fn update(&self, envelope: Bytes) -> Result<ChannelInfo, AdminError> {
        let form = form("config-update-envelope", "config-update.envelope", envelope);
        self.json(self.request(Method::PUT, CHANNELS).multipart(form))
            .await
    }

    /// One block of the channel, as the node has it. Nothing in it is verified.
    pub async fn block(&self, channel: &ChannelId, choice: BlockChoice) -> Result<SealedBlock, AdminError> {
        let path = format!("{CHANNELS}/{channel}/blocks/{choice}");
        let body = self.send(self.request(Method::GET, &path)).await?;
        let malformed = |reason: String| AdminError::Malformed { reason };
        let block = SealedBlock::from_bytes(body).map_err(|error| malformed(error.to_string()))?;
        match choice {
            BlockChoice::Number(asked) if asked != block.number().0 => Err(malformed(format!(
                "block {} in place of block {asked}",
                block.number()
            ))),
            _ => Ok(block),
        }
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base))
    }

    async fn json<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, AdminError> {
        let body = self.send(request).await?;
        serde_json::from_slice(&body).map_err(|error| AdminError::Malformed {
            reason: error.to_string(),
        })
    }

    /// The body of a successful answer.
    async fn send(&self, request: RequestBuilder) -> Result<Bytes, AdminError> {
        let (status, body) = answer(request, &self.base).await?;
        if status.is_success() {
            return Ok(body);
        }
        Err(refused(status, &body))
    }
}

/// A client for HTTP with `address`, whose answers may take `time_max`, and the beginning of its URLs.
pub(crate) fn http(
    address: &Address,
    tls: Option<&ClientTls>,
    time_max: Duration,
) -> Result<(reqwest::Client, String), AdminError> {
    let setup = |error: &(dyn std::error::Error + 'static)| AdminError::Setup {
        reason: innermost(error),
    };
    let mut builder = reqwest::Client::builder().no_proxy().timeout(time_max);
    let mut base = format!("http://{address}");
    if let Some(tls) = tls {
        let name = tls.name_for(address.host())?.to_str().into_owned();
        if name != address.host() {
            let resolved = (address.host(), address.port())
                .to_socket_addrs()
                .map_err(|error| setup(&error))?
                .collect::<Vec<_>>();
            builder = builder.resolve_to_addrs(&name, &resolved);
        }
        base = format!("https://{}", address.with_host(&name));
        builder = builder.tls_backend_preconfigured(tls.config_for("http/1.1"));
    } else {
        builder = builder.tls_backend_preconfigured(tls::trusting_nobody()?);
    }
    let http = builder.build().map_err(|error| setup(&error))?;
    Ok((http, base))
}

/// Status and body of the answer of the server at `base`.
pub(crate) async fn answer(request: RequestBuilder, base: &str) -> Result<(StatusCode, Bytes), AdminError> {
    let transport = |error: &reqwest::Error| AdminError::Transport {
        url: error.url().map_or_else(|| base.to_owned(), ToString::to_string),
        reason: innermost(error),
    };
    let response = request.send().await.map_err(|error| transport(&error))?;
    let status = response.status();
    let body = response.bytes().await.map_err(|error| transport(&error))?;
    Ok((status, body))
}

/// The one file that a request brings.
fn form(key: &'static str, file_name: &'static str, content: Bytes) -> Form {
    let bytes = content.len() as u64;
    let part = Part::stream_with_length(content, bytes).file_name(file_name);
    Form::new().part(key, part)
}

/// What a body that came with a bad status says.
pub(crate) fn refused(status: StatusCode, body: &[u8]) -> AdminError {
    let reason = serde_json::from_slice(body).map_or_else(
        |_| String::from_utf8_lossy(body).trim().to_owned(),
        |refusal: Refusal| refusal.error,
    );
    AdminError::Refused {
        status: status.as_u16(),
        reason,
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[test]
    fn every_form_of_an_empty_list_is_read() {
        for text in [
            r#"{"systemChannel":null,"channels":null}"#,
            r#"{"systemChannel":null}"#,
            r#"{"channels":[]}"#,
        ] {
            let list: ChannelList = serde_json::from_str(text).unwrap();
            assert_eq!(list, ChannelList::default());
        }
    }

    #[test]
    fn unknown_members_of_an_answer_are_kept() {
        let text =
            r#"{"name":"a","url":"/u","consensusRelation":"consenter","status":"active","height":1,"x":2}"#;
        let info: ChannelInfo = serde_json::from_str(text).unwrap();
        assert_eq!((info.height, info.status.as_str()), (1, "active"));
        assert_eq!(serde_json::to_string(&info).unwrap(), text);
    }

    /// Answers one request with `answer` and returns what was asked.
    async fn serve_once(answer: &str) -> (AdminClient, tokio::task::JoinHandle<String>) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string().parse().unwrap();
        let answer = answer.to_owned();
        let served = tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut asked = Vec::new();
            while !is_whole(&asked) {
                assert_ne!(socket.read_buf(&mut asked).await.unwrap(), 0);
            }
            socket.write_all(answer.as_bytes()).await.unwrap();
            String::from_utf8(asked).unwrap()
        });
        (AdminClient::new(&address, None).unwrap(), served)
    }

    fn is_whole(request: &[u8]) -> bool {
        let text = String::from_utf8_lossy(request).to_lowercase();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            return false;
        };
        let length = head.split("content-length: ").nth(1);
        let length = length.map_or(0, |rest| rest.lines().next().unwrap().parse().unwrap());
        body.len() >= length
    }

    fn http(status: &str, body: &str) -> String {
        format!(
            "HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
    }

    #[tokio::test]
    async fn a_block_is_posted_as_the_one_file_of_a_form() {
        let info = r#"{"name":"a","url":"/u","consensusRelation":"consenter","status":"active","height":1}"#;
        let (client, served) = serve_once(&http("201 Created", info)).await;
        let joined = client.join(Bytes::from_static(b"the-block")).await.unwrap();
        assert_eq!(
            (joined.consensus_relation.as_str(), joined.height),
            ("consenter", 1)
        );
        let asked = served.await.unwrap();
        assert!(
            asked.starts_with("POST /participation/v1/channels HTTP/1.1"),
            "{asked}"
        );
        assert!(
            asked.contains(r#"name="config-block"; filename="config.block""#),
            "{asked}"
        );
        assert!(asked.contains("\r\n\r\nthe-block\r\n"), "{asked}");
    }

    #[tokio::test]
    async fn an_update_is_put_as_the_one_file_of_a_form() {
        let info = r#"{"name":"a","url":"/u","consensusRelation":"consenter","status":"active","height":1}"#;
        let (client, served) = serve_once(&http("201 Created", info)).await;
        client.update(Bytes::from_static(b"the-envelope")).await.unwrap();
        let asked = served.await.unwrap();
        assert!(
            asked.starts_with("PUT /participation/v1/channels HTTP/1.1"),
            "{asked}"
        );
        assert!(
            asked.contains(r#"name="config-update-envelope"; filename="config-update.envelope""#),
            "{asked}"
        );
        assert!(asked.contains("\r\n\r\nthe-envelope\r\n"), "{asked}");
    }

    #[tokio::test]
    async fn a_removed_channel_needs_no_body() {
        let (client, served) = serve_once(&http("204 No Content", "")).await;
        client.remove(&ChannelId::parse("ch1").unwrap()).await.unwrap();
        let asked = served.await.unwrap();
        assert!(
            asked.starts_with("DELETE /participation/v1/channels/ch1 "),
            "{asked}"
        );
    }

    #[tokio::test]
    async fn an_unknown_channel_is_an_error_with_the_nodes_words() {
        let (client, _) = serve_once(&http("404 Not Found", r#"{"error":"channel does not exist"}"#)).await;
        let error = client.info(&ChannelId::parse("ch1").unwrap()).await.unwrap_err();
        assert!(
            matches!(error, AdminError::Refused { status: 404, .. }),
            "{error}"
        );
        assert!(error.to_string().ends_with("channel does not exist"), "{error}");
    }

    #[test]
    fn a_cluster_is_read_as_the_node_tells_it() {
        let text = r#"{"name":"a","url":"/u","consensusRelation":"consenter","status":"active","height":1,"consensus":{"type":"etcdraft","id":2,"leader":0,"term":7,"members":[1,2,3],"active":[],"trouble":"no quorum"}}"#;
        let info: ChannelInfo = serde_json::from_str(text).unwrap();
        let consensus = info.consensus.as_ref().unwrap();
        assert_eq!((consensus.id, consensus.leader), (2, 0));
        assert_eq!(consensus.trouble.as_deref(), Some("no quorum"));
        assert_eq!(serde_json::to_string(&info).unwrap(), text);
    }

    #[test]
    fn blocks_are_chosen_by_word_or_number() {
        for text in ["newest", "oldest", "config", "17"] {
            assert_eq!(text.parse::<BlockChoice>().unwrap().to_string(), text);
        }
        for text in ["", "latest", "-1"] {
            assert!(text.parse::<BlockChoice>().is_err(), "{text}");
        }
    }

    #[tokio::test]
    async fn a_fetched_block_is_the_one_that_was_asked_for() {
        let entries = vec![Bytes::from_static(b"\x0a\x01p")];
        let block = protos::block::next(protos::BlockNumber(3), &[7; 32], entries);
        let sealed = SealedBlock::seal(&block).unwrap();
        for (asked, good) in [(3, true), (4, false)] {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap().to_string().parse().unwrap();
            let body = sealed.bytes().clone();
            let served = tokio::spawn(async move {
                let (mut socket, _) = listener.accept().await.unwrap();
                let mut asked = Vec::new();
                while !is_whole(&asked) {
                    assert_ne!(socket.read_buf(&mut asked).await.unwrap(), 0);
                }
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
                socket.write_all(head.as_bytes()).await.unwrap();
                socket.write_all(&body).await.unwrap();
                String::from_utf8(asked).unwrap()
            });
            let client = AdminClient::new(&address, None).unwrap();
            let channel = ChannelId::parse("ch1").unwrap();
            let fetched = client.block(&channel, BlockChoice::Number(asked)).await;
            assert_eq!(fetched.is_ok(), good, "{fetched:?}");
            let request = served.await.unwrap();
            let path = format!("GET /participation/v1/channels/ch1/blocks/{asked} ");
            assert!(request.starts_with(&path), "{request}");
        }
    }

    #[test]
    fn refusals_carry_the_nodes_reason() {
        let error = refused(
            StatusCode::METHOD_NOT_ALLOWED,
            br#"{"error":"cannot join: channel already exists"}"#,
        );
        assert_eq!(
            error.to_string(),
            "the node refused (405): cannot join: channel already exists"
        );
        let error = refused(StatusCode::NOT_FOUND, b"404 page not found\n");
        assert_eq!(error.to_string(), "the node refused (404): 404 page not found");
    }
}
