//! The folder of vectors: where it is, and how its files are read.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use configtx::Bundle;
use configtx::identity::SigningIdentity;
use prost::Message;
use protos::wire::common::{Block, Config};
use serde::de::{Deserialize, DeserializeOwned, Deserializer, Error};
use serde_json::Value;

const DEFAULT: &str = "tests/vectors";

/// A folder of vectors.
pub(crate) struct Vectors {
    root: PathBuf,
    is_default: bool,
}

impl Vectors {
    /// The folder that `ORDAIN_VECTORS` names, counted from the workspace root; else the one of the repository.
    pub(crate) fn from_env() -> Result<Self, String> {
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let own = workspace.join(DEFAULT);
        let named = std::env::var_os("ORDAIN_VECTORS").filter(|name| !name.is_empty());
        let root = named.map_or_else(|| own.clone(), |name| workspace.join(name));
        let real = root
            .canonicalize()
            .map_err(|error| format!("{}: {error}", root.display()))?;
        let is_default = own.canonicalize().is_ok_and(|own| own == real);
        Ok(Self {
            root: real,
            is_default,
        })
    }

    /// Whether this is the folder of the repository, which must be complete.
    pub(crate) fn is_default(&self) -> bool {
        self.is_default
    }

    /// The cases made with keys of one type.
    pub(crate) fn key_folder(&self, key: &str) -> KeyFolder {
        KeyFolder {
            root: self.root.join(key),
        }
    }

    /// The folder `name`, which may be absent.
    pub(crate) fn folder(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }
}

/// The cases of one key type. Paths inside the cases count from here.
pub(crate) struct KeyFolder {
    root: PathBuf,
}

impl KeyFolder {
    /// Whether there is a folder for `kind`.
    pub(crate) fn has(&self, kind: &str) -> bool {
        self.root.join(kind).is_dir()
    }

    /// The bytes of a file.
    pub(crate) fn bytes(&self, path: &str) -> Result<Bytes, String> {
        std::fs::read(self.root.join(path))
            .map(Bytes::from)
            .map_err(|error| format!("{path}: {error}"))
    }

    /// A file that holds one serialized block.
    pub(crate) fn block(&self, path: &str) -> Result<Block, String> {
        Block::decode(self.bytes(path)?).map_err(|error| format!("{path}: {error}"))
    }

    /// The config that a file with a serialized config block holds.
    pub(crate) fn bundle(&self, path: &str) -> Result<Arc<Bundle>, String> {
        Bundle::from_block(&self.block(path)?)
            .map(Arc::new)
            .map_err(|error| format!("{path}: {error}"))
    }

    /// A file that holds one serialized config.
    pub(crate) fn config(&self, path: &str) -> Result<Config, String> {
        Config::decode(self.bytes(path)?).map_err(|error| format!("{path}: {error}"))
    }

    /// The identity in an MSP folder.
    pub(crate) fn identity(&self, msp_id: &str, path: &str) -> Result<SigningIdentity, String> {
        let only = |folder: &str| -> Result<String, String> {
            let folder = self.root.join(path).join(folder);
            let fault = |error: std::io::Error| format!("{}: {error}", folder.display());
            let entry = std::fs::read_dir(&folder).map_err(fault)?.next();
            let entry = entry.ok_or_else(|| format!("{}: empty", folder.display()))?;
            std::fs::read_to_string(entry.map_err(fault)?.path()).map_err(fault)
        };
        SigningIdentity::new(msp_id, &only("signcerts")?, &only("keystore")?)
            .map_err(|error| format!("{path}: {error}"))
    }

    /// A JSON file.
    pub(crate) fn json<T: DeserializeOwned>(&self, path: &str) -> Result<T, String> {
        serde_json::from_slice(&self.bytes(path)?).map_err(|error| format!("{path}: {error}"))
    }

    /// The cases of `kind/cases.json`, still unread, so that one broken case fails alone.
    pub(crate) fn cases(&self, kind: &str) -> Result<Vec<Value>, String> {
        self.json(&format!("{kind}/cases.json"))
    }

    /// Names of the files in `folder` that end in `.extension`, without it, in order.
    pub(crate) fn names(&self, folder: &str, extension: &str) -> Result<Vec<String>, String> {
        let listed = |error: std::io::Error| format!("{folder}: {error}");
        let mut names = Vec::new();
        for entry in std::fs::read_dir(self.root.join(folder)).map_err(listed)? {
            let path = entry.map_err(listed)?.path();
            if path.extension().is_some_and(|found| found == extension)
                && let Some(stem) = path.file_stem()
            {
                names.push(stem.to_string_lossy().into_owned());
            }
        }
        names.sort();
        Ok(names)
    }
}

/// Reads one case into its type.
pub(crate) fn parse<T: DeserializeOwned>(case: &Value) -> Result<T, String> {
    T::deserialize(case).map_err(|error| format!("case does not read: {error}"))
}

/// The `id` of a case, or its place in the list when it has none.
pub(crate) fn id(case: &Value, index: usize) -> String {
    case.get("id")
        .and_then(Value::as_str)
        .map_or_else(|| format!("[{index}]"), str::to_owned)
}

/// Bytes written as base64.
#[derive(Clone)]
pub(crate) struct Base64(pub(crate) Bytes);

impl<'de> Deserialize<'de> for Base64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        STANDARD
            .decode(text)
            .map(|bytes| Self(Bytes::from(bytes)))
            .map_err(D::Error::custom)
    }
}

/// Bytes written as lower-case hex.
#[derive(Clone)]
pub(crate) struct Hex(pub(crate) Bytes);

impl<'de> Deserialize<'de> for Hex {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        hex::decode(text)
            .map(|bytes| Self(Bytes::from(bytes)))
            .map_err(D::Error::custom)
    }
}
