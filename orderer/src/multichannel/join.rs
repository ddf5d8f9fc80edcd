//! Joining: what a join block must be, and the file that carries a join across a crash.
//!
//! The join file `pendingops/join/<channel>.join` is durable before anything else is done; whatever a crash
//! leaves unfinished is finished at the next start. Operators may put such files there themselves
//! (`docs/spec/dropin.md` §6).

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use configtx::Bundle;
use configtx::join::check_join_block;
use configtx::keys::BLOCK_VALIDATION_PATH;
use consensus::{ConfigChange, Members, metadata_validators};
use prost::Message as _;
use protos::wire::common::Block;
use protos::{BlockNumber, ChannelId};

use super::chain_support::NodeParts;
use super::membership::{Place, place_in};
use crate::admin::JoinError;

/// End of a join file's name.
const SUFFIX: &str = ".join";
/// End of the name of one that is being written.
const SUFFIX_TEMPORARY: &str = ".join~";

/// A block that its channel can be joined with, on this node.
pub struct CheckedJoin {
    /// The channel.
    pub channel: ChannelId,
    /// The block.
    pub block: Block,
    /// The config in it.
    pub bundle: Arc<Bundle>,
    /// This node's place by that config.
    pub place: Place,
}

impl CheckedJoin {
    /// Checks a join block (`docs/spec/rules.md` §12).
    pub fn check(block: Block, node: &NodeParts, now: SystemTime) -> Result<Self, JoinError> {
        let bundle = check_join_block(&block).map_err(not_joinable)?;
        check_consensus(&bundle, node, now).map_err(JoinError::Refused)?;
        let place = place_in(&bundle, &*node.others).map_err(JoinError::Refused)?;
        let joined = Self {
            channel: bundle.channel_id().clone(),
            block,
            bundle: Arc::new(bundle),
            place,
        };
        if place == Place::Alone && joined.number() != BlockNumber::GENESIS {
            let reason = "a solo channel is joined with its genesis block: there is no other orderer that has the blocks";
            return Err(JoinError::Refused(reason.to_owned()));
        }
        Ok(joined)
    }

    /// Its number.
    pub fn number(&self) -> BlockNumber {
        BlockNumber(self.block.header.as_ref().map_or(0, |header| header.number))
    }

    /// True if the node orders from the start; otherwise it follows first.
    pub fn orders_at_once(&self) -> bool {
        self.number() == BlockNumber::GENESIS && self.place.orders()
    }
}

fn not_joinable(error: configtx::join::JoinError) -> JoinError {
    match error {
        configtx::join::JoinError::Invalid(source) => JoinError::InvalidBlock(source.to_string()),
        configtx::join::JoinError::Unsupported(source) => JoinError::Refused(source.to_string()),
        configtx::join::JoinError::NoBlockValidation => {
            JoinError::Refused(format!("config has no policy {BLOCK_VALIDATION_PATH}"))
        }
        configtx::join::JoinError::UnknownRule { policy } => JoinError::Refused(format!(
            "policy {policy} has a rule other than ANY, ALL and MAJORITY"
        )),
    }
}

/// Checks that this node runs the channel's consensus, and that its settings are good.
fn check_consensus(bundle: &Bundle, node: &NodeParts, now: SystemTime) -> Result<(), String> {
    let kind = &bundle.orderer().consensus_type.kind;
    node.consenters.get(kind).map_err(|error| error.to_string())?;
    let validator = metadata_validators()
        .get(kind)
        .map_err(|error| error.to_string())?;
    let change = ConfigChange {
        old: None,
        new: bundle,
        members: &Members::default(),
        now,
    };
    validator.validate(&change).map_err(|error| {
        format!(
            "failed to determine cluster membership from join-block: failed to validate config metadata of \
             ordering config: {error}"
        )
    })
}

/// The folder of the join files.
#[derive(Clone, Debug)]
pub struct JoinFiles {
    folder: PathBuf,
}

/// A join file as it was found.
#[derive(Debug)]
pub struct Found {
    /// The channel its name says.
    pub channel: ChannelId,
    /// The block in it, or why there is none.
    pub block: Result<Block, String>,
}

impl JoinFiles {
    /// The join files of the data folder `location`; makes their folder.
    pub fn open(location: &Path) -> io::Result<Self> {
        let folder = location.join("pendingops").join("join");
        fs::create_dir_all(&folder)?;
        Ok(Self { folder })
    }

    /// Makes the join of `channel` with `join` durable.
    pub fn save(&self, channel: &ChannelId, join: &Bytes) -> io::Result<()> {
        let temporary = self.folder.join(format!("{channel}{SUFFIX_TEMPORARY}"));
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&temporary)?;
        file.write_all(join)?;
        file.sync_all()?;
        fs::rename(&temporary, self.path(channel))?;
        self.sync()
    }

    /// Forgets the join of `channel`; fine if there is none.
    pub fn remove(&self, channel: &ChannelId) -> io::Result<()> {
        match fs::remove_file(self.path(channel)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => self.sync(),
        }
    }

    /// Deletes files that were not written to their end, and reads the others.
    pub fn load(&self) -> io::Result<Vec<Found>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.ends_with(SUFFIX_TEMPORARY) {
                fs::remove_file(entry.path())?;
            } else if let Some(channel) = name
                .strip_suffix(SUFFIX)
                .and_then(|name| ChannelId::parse(name).ok())
            {
                let block = read_file(&entry.path());
                found.push(Found { channel, block });
            }
        }
        found.sort_by(|one, other| one.channel.cmp(&other.channel));
        Ok(found)
    }

    fn path(&self, channel: &ChannelId) -> PathBuf {
        self.folder.join(format!("{channel}{SUFFIX}"))
    }

    fn sync(&self) -> io::Result<()> {
        File::open(&self.folder)?.sync_all()
    }
}

fn read_file(path: &Path) -> Result<Block, String> {
    let bytes = fs::read(path).map_err(|error| error.to_string())?;
    Block::decode(Bytes::from(bytes)).map_err(|error| format!("not a block: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn join_files_survive_and_unfinished_ones_are_deleted() {
        let folder = tempfile::tempdir().unwrap();
        let files = JoinFiles::open(folder.path()).unwrap();
        let channel = ChannelId::parse("ch.1").unwrap();
        let join = Block::default();
        files.save(&channel, &join.encode_to_vec().into()).unwrap();
        let joins = folder.path().join("pendingops/join");
        fs::write(joins.join("late.join~"), b"half").unwrap();
        fs::write(joins.join("bad.join"), b"\xff").unwrap();
        let found = files.load().unwrap();
        let names: Vec<_> = found.iter().map(|found| found.channel.as_str()).collect();
        assert_eq!(names, ["bad", "ch.1"]);
        assert!(found[0].block.is_err());
        assert_eq!(found[1].block, Ok(join));
        assert!(!joins.join("late.join~").exists());
        files.remove(&channel).unwrap();
        files.remove(&channel).unwrap();
        assert_eq!(files.load().unwrap().len(), 1);
    }

    #[test]
    fn a_block_without_config_is_no_join_block() {
        let node = crate::testing::node_parts();
        let Err(error) = CheckedJoin::check(Block::default(), &node, SystemTime::now()) else {
            panic!("it has no config");
        };
        assert_eq!(
            error.to_string(),
            "invalid join block: block is not a config block"
        );
    }
}
