//! Configs and updates in files.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use bytes::Bytes;
use configtx::config_block::ConfigBlock;
use configtx::{keys, tree};
use prost::Message as _;
use protos::ChannelId;
use protos::wire::common::{Block, Config, ConfigGroup, ConfigUpdate};
use serde_json::json;

use super::super::Failure;
use crate::config_edit::organisation::Part;
use crate::config_update::UpdateEnvelope;
use crate::json;

/// First byte of a serialized block: its header. A config begins with its sequence, or with its group.
const BLOCK_BEGIN: u8 = 0x0a;

/// A config that a file holds.
pub(super) struct ConfigFile {
    pub(super) config: Config,
    /// Where the file says whose it is.
    pub(super) channel: Option<ChannelId>,
}

pub(super) fn read(path: &Path) -> Result<Bytes, Failure> {
    fs::read(path)
        .map(Bytes::from)
        .map_err(|error| Failure::unreadable(path, &error))
}

/// Reads a config: JSON or protobuf, by itself or in its block.
pub(super) fn config(path: &Path) -> Result<ConfigFile, Failure> {
    let bytes = read(path)?;
    let failed = |what: &str, error: &dyn std::fmt::Display| {
        Failure::new(format!("{} holds no {what}: {error}", path.display()))
    };
    // A block may look like white space and a brace, but it is no text: there are hashes in it.
    let text = std::str::from_utf8(&bytes).ok();
    let json = text.filter(|text| text.trim_start().starts_with('{'));
    if let Some(text) = json {
        let encoded = json::encode("common.Config", text, json::Options::default());
        let encoded = encoded.map_err(|error| failed("config as JSON", &error))?;
        return decode(&encoded[..]).map_err(|error| failed("config", &error));
    }
    if bytes.first() != Some(&BLOCK_BEGIN) {
        return decode(&bytes[..]).map_err(|error| failed("config", &error));
    }
    let block = Block::decode(bytes).map_err(|error| failed("block", &error))?;
    let read = ConfigBlock::read(&block).map_err(|error| failed("config block", &error))?;
    Ok(ConfigFile {
        config: read.config,
        channel: Some(read.channel_id),
    })
}

fn decode(bytes: &[u8]) -> Result<ConfigFile, prost::DecodeError> {
    Ok(ConfigFile {
        config: Config::decode(bytes)?,
        channel: None,
    })
}

/// Reads an organisation's group as JSON, such as `configtxgen -printOrg` prints it.
pub(super) fn organisation(path: &Path, part: Part) -> Result<ConfigGroup, Failure> {
    const NAME: &str = "org";
    let failed = |error: &dyn std::fmt::Display| {
        Failure::new(format!(
            "{} holds no organisation as JSON: {error}",
            path.display()
        ))
    };
    let group: serde_json::Value = serde_json::from_slice(&read(path)?).map_err(|error| failed(&error))?;
    let parent = match part {
        Part::Orderer => keys::ORDERER,
        Part::Application => keys::APPLICATION,
    };
    // What a value's bytes mean depends on where its group stands.
    let config = json!({ "channel_group": { "groups": { parent: { "groups": { NAME: group } } } } });
    let encoded = json::encode("common.Config", &config.to_string(), json::Options::default());
    let config =
        Config::decode(&encoded.map_err(|error| failed(&error))?[..]).map_err(|error| failed(&error))?;
    let root = config.channel_group.unwrap_or_default();
    let found = root.groups.get(parent).and_then(|parent| parent.groups.get(NAME));
    found
        .cloned()
        .ok_or_else(|| failed(&format!("/{}/{parent} is empty", tree::ROOT)))
}

pub(super) fn update(path: &Path) -> Result<UpdateEnvelope, Failure> {
    let bytes = read(path)?;
    UpdateEnvelope::from_bytes(bytes.clone()).map_err(|error| {
        let failure = Failure::new(format!("{} holds no config update: {error}", path.display()));
        if is_bare_update(bytes) {
            failure.hint(
                "it is a common.ConfigUpdate without an envelope, as ordain diff writes it; ordain config diff writes \
                 one that has it, and ordain encode --help shows how to put one around this",
            )
        } else {
            failure
        }
    })
}

/// Whether it is a `common.ConfigUpdate` in no envelope.
fn is_bare_update(bytes: Bytes) -> bool {
    ConfigUpdate::decode(bytes).is_ok_and(|update| ChannelId::parse(&update.channel_id).is_ok())
}

/// Writes `content` to `path` in one step. A file that is there keeps its mode; a new one gets 0640.
pub(super) fn write(path: &Path, content: &[u8]) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::new(format!("cannot write {}: {error}", path.display()));
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    let part = path.with_file_name(name);
    let mut options = fs::OpenOptions::new();
    let mut file = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o640)
        .open(&part)
        .map_err(failed)?;
    if let Ok(old) = fs::metadata(path) {
        file.set_permissions(old.permissions()).map_err(failed)?;
    }
    file.write_all(content)
        .and_then(|()| file.sync_all())
        .map_err(failed)?;
    fs::rename(&part, path).map_err(failed)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::genesis::{GenesisOrg, organisation_group};

    #[test]
    fn an_organisation_as_json_is_the_group_it_was() {
        let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors/ecdsa/crypto");
        let org = GenesisOrg {
            name: "Org3".into(),
            msp_id: "Org3MSP".into(),
            msp_folder: vectors.join("peerOrganizations/org3.vec.test/msp"),
            endpoints: vec!["o1.org3.vec.test:7050".parse().unwrap()],
        };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("org.json");
        for (part, kind) in [
            (Part::Orderer, json::Organisation::Orderer),
            (Part::Application, json::Organisation::Application),
        ] {
            let group = organisation_group(part, &org, &mut Vec::new()).unwrap();
            fs::write(&path, json::group(&group, kind).unwrap()).unwrap();
            assert_eq!(organisation(&path, part).unwrap(), group);
        }
        fs::write(&path, "[]").unwrap();
        organisation(&path, Part::Orderer).unwrap_err();
    }

    #[test]
    fn a_file_is_replaced_and_keeps_its_mode() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("update.pb");
        let mode = || fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        write(&path, b"one").unwrap();
        assert_eq!(mode(), 0o640);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        write(&path, b"two").unwrap();
        assert_eq!(
            (mode(), fs::read(&path).unwrap().as_slice()),
            (0o600, &b"two"[..])
        );
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
