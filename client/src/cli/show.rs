//! Blocks for people and for programs.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use prost::Message as _;
use protos::envelope::Opened;
use protos::wire::common::{ChannelHeader, HeaderType};
use protos::wire::msp::SerializedIdentity;
use protos::{SealedBlock, block};
use serde::Serialize;

/// Characters of an envelope's data shown in a table.
const PREVIEW_CHARS: usize = 60;

/// A block, laid open.
#[derive(Debug, Serialize)]
pub(super) struct ShownBlock {
    number: u64,
    hash: String,
    previous_hash: String,
    data_hash: String,
    bytes: usize,
    config: bool,
    /// Whether link, data hash and signatures were checked; false when nobody asked for it.
    verified: bool,
    entries: Vec<ShownEntry>,
}

/// An envelope in a block. What cannot be read is left out.
#[derive(Debug, Default, Serialize)]
struct ShownEntry {
    bytes: usize,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    tx_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    msp_id: String,
    /// Base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<String>,
    #[serde(skip)]
    preview: String,
}

impl ShownBlock {
    pub(super) fn new(sealed: &SealedBlock, verified: bool) -> Self {
        let decoded = sealed.decode().unwrap_or_default();
        let config = block::is_config_block(&decoded);
        let entries = decoded.data.iter().flat_map(|data| &data.data);
        Self {
            number: sealed.number().0,
            hash: hex::encode(sealed.hash()),
            previous_hash: hex::encode(sealed.previous_hash()),
            data_hash: hex::encode(&sealed.header().data_hash),
            bytes: sealed.bytes().len(),
            config,
            verified,
            entries: entries.map(|entry| ShownEntry::new(entry, config)).collect(),
        }
    }

    /// A line for the block, and one for each envelope.
    pub(super) fn table(&self) -> String {
        let count = self.entries.len();
        let what = match (self.config, count) {
            (true, _) => "config".to_owned(),
            (false, 1) => "1 envelope".to_owned(),
            (false, _) => format!("{count} envelopes"),
        };
        let verdict = if self.verified { "verified" } else { "not verified" };
        let head = format!(
            "block {:<6} {what:<14} {:>9} bytes  {}  {verdict}",
            self.number,
            self.bytes,
            self.hash.get(..16).unwrap_or_default()
        );
        let lines = self.entries.iter().map(ShownEntry::line);
        [head].into_iter().chain(lines).collect::<Vec<_>>().join("\n")
    }
}

impl ShownEntry {
    fn new(entry: &bytes::Bytes, config: bool) -> Self {
        let bytes = entry.len();
        let Ok(opened) = Opened::open(entry.clone()) else {
            return Self {
                bytes,
                preview: "(unreadable)".to_owned(),
                ..Self::default()
            };
        };
        let creator = opened.signature_header().unwrap_or_default().creator;
        let header = opened.channel_header;
        Self {
            bytes,
            kind: Some(kind_name(&header)),
            time: header
                .timestamp
                .and_then(|at| Timestamp::new(at.seconds, at.nanos).ok())
                .map(|at| format!("{at:.3}")),
            msp_id: SerializedIdentity::decode(creator).unwrap_or_default().mspid,
            tx_id: header.tx_id,
            preview: if config {
                String::new()
            } else {
                preview(&opened.data)
            },
            data: (!config).then(|| STANDARD.encode(&opened.data)),
        }
    }

    fn line(&self) -> String {
        let time = self.time.as_deref().unwrap_or("-");
        let tx_id = self.tx_id.get(..12).unwrap_or("-");
        let kind = self.kind.as_deref().unwrap_or("-");
        let line = format!(
            "  {time}  {:<12} {tx_id}  {kind:<20} {}",
            self.msp_id, self.preview
        );
        line.trim_end().to_owned()
    }
}

fn kind_name(header: &ChannelHeader) -> String {
    HeaderType::try_from(header.r#type).map_or_else(
        |_| header.r#type.to_string(),
        |known| known.as_str_name().to_owned(),
    )
}

/// Text as it is, anything else by its size.
fn preview(data: &[u8]) -> String {
    let printable = |text: &&str| !text.chars().any(|c| c.is_control() && c != '\t');
    match std::str::from_utf8(data).ok().filter(printable) {
        Some(text) if text.chars().count() > PREVIEW_CHARS => {
            text.chars().take(PREVIEW_CHARS).chain(['…']).collect()
        }
        Some(text) => text.to_owned(),
        None => format!("({} bytes)", data.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake_orderer::signer;

    fn block(data: &'static [u8]) -> ShownBlock {
        let envelope = signer().transaction(data.into()).bytes;
        let block = protos::block::next(protos::BlockNumber(7), &[1; 32], vec![envelope]);
        ShownBlock::new(&SealedBlock::seal(&block).unwrap(), true)
    }

    #[test]
    fn text_is_shown_and_other_data_counted() {
        let table = block(b"hello").table();
        assert!(
            table.starts_with("block 7") && table.contains("verified"),
            "{table}"
        );
        assert!(table.contains("Org1MSP") && table.ends_with("hello"), "{table}");
        assert!(block(&[0xff, 1, 2]).table().ends_with("(3 bytes)"));
    }

    #[test]
    fn json_holds_the_data_whole() {
        let json = serde_json::to_value(block(b"hello")).unwrap();
        assert_eq!(json["entries"][0]["data"], "aGVsbG8=");
        assert_eq!(json["entries"][0]["type"], "ENDORSER_TRANSACTION");
        assert_eq!(json["previous_hash"], "01".repeat(32));
    }

    #[test]
    fn an_unreadable_entry_is_shown_as_such() {
        let block = protos::block::next(protos::BlockNumber(1), &[1; 32], vec!["junk".into()]);
        let shown = ShownBlock::new(&SealedBlock::seal(&block).unwrap(), false);
        assert!(shown.table().contains("(unreadable)"));
    }
}
