//! What the engine's log keeps, through restarts, crashes and purges.

use std::path::PathBuf;

use bytes::Bytes;
use protos::{BlockNumber, ConsenterId};
use tempfile::TempDir;

use super::*;
use crate::raft::log::{EntryKind, HardState, Identity, LogEntry, MembersAt};

const SMALL_FILE: ReadableSize = ReadableSize::kb(16);
const SMALL_THRESHOLD: ReadableSize = ReadableSize::kb(64);

/// A log with small files in a folder of its own.
struct World {
    root: TempDir,
    log: Option<EngineLog>,
}

impl World {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let mut world = Self { root, log: None };
        world.open().unwrap();
        world
    }

    fn folder(&self) -> PathBuf {
        self.root.path().join("wal").join(FOLDER)
    }

    fn try_open(&self) -> Result<EngineLog, LogError> {
        let (wal, snap) = (self.root.path().join("wal"), self.root.path().join("snap"));
        EngineLog::open_with(&wal, &snap, SMALL_FILE, SMALL_THRESHOLD)
    }

    fn open(&mut self) -> Result<(), LogError> {
        self.log = None;
        self.log = Some(self.try_open()?);
        Ok(())
    }

    fn log(&self) -> &EngineLog {
        self.log.as_ref().unwrap()
    }

    fn write(&self, name: &str, write: LogWrite) {
        self.log().write(&[(channel(name), write)]).unwrap();
    }

    fn load(&self, name: &str) -> LogState {
        self.log().load(&channel(name)).unwrap()
    }

    fn indexes(&self, name: &str) -> Vec<u64> {
        let entries = self.load(name).entries;
        entries.iter().map(|entry| entry.index).collect()
    }

    /// The engine's files that entries come into, the oldest first.
    fn files(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.folder()).unwrap();
        let paths = entries.map(|entry| entry.unwrap().path());
        let mut paths: Vec<_> = paths
            .filter(|path| path.extension().is_some_and(|end| end == "raftlog"))
            .collect();
        paths.sort();
        paths
    }
}

fn channel(name: &str) -> ChannelId {
    ChannelId::parse(name).unwrap()
}

fn entry(index: u64, term: u64, bytes: usize) -> LogEntry {
    LogEntry {
        index,
        term,
        kind: EntryKind::Normal,
        data: Bytes::from(vec![u8::try_from(index % 251).unwrap(); bytes]),
    }
}

fn entries(indexes: std::ops::RangeInclusive<u64>, term: u64) -> LogWrite {
    LogWrite {
        entries: indexes.map(|index| entry(index, term, 100)).collect(),
        ..LogWrite::default()
    }
}

fn checkpoint(index: u64) -> Checkpoint {
    Checkpoint {
        index,
        term: 2,
        voters: vec![ConsenterId(1), ConsenterId(2)],
        block_number: BlockNumber(index - 1),
        block: Bytes::from(vec![7; 500]),
    }
}

/// A leader's checkpoint.
fn reset(index: u64) -> LogWrite {
    LogWrite {
        checkpoint: Some(checkpoint(index)),
        resets: true,
        ..LogWrite::default()
    }
}

#[test]
fn everything_is_there_after_a_restart() {
    let mut world = World::new();
    assert_eq!(world.load("ch1"), LogState::default());
    let conf_change = LogEntry {
        kind: EntryKind::ConfChange,
        ..entry(1, 1, 5)
    };
    let write = LogWrite {
        identity: Some(Identity {
            id: ConsenterId(3),
            lost: None,
            votes_from: 0,
            pulled: 0,
        }),
        hard_state: Some(HardState {
            term: 4,
            vote: 2,
            commit: 1,
        }),
        members: Some(MembersAt {
            index: 1,
            voters: vec![ConsenterId(3)],
        }),
        checkpoint: Some(checkpoint(1)),
        entries: vec![conf_change, entry(2, 4, 0), entry(3, 4, 3000)],
        ..LogWrite::default()
    };
    world.write("ch1", write.clone());
    world.write("ch2", entries(1..=2, 1));
    for _ in 0..2 {
        let state = world.load("ch1");
        assert_eq!(state.identity, write.identity);
        assert_eq!(Some(state.hard_state), write.hard_state);
        assert_eq!(Some(state.members), write.members);
        assert_eq!(state.checkpoint, write.checkpoint);
        assert_eq!(state.entries, write.entries);
        assert_eq!(world.indexes("ch2"), [1, 2]);
        world.open().unwrap();
    }
}

#[test]
fn entries_are_written_over_compacted_and_reset() {
    let mut world = World::new();
    world.write("ch1", entries(1..=10, 1));
    world.write("ch1", entries(5..=6, 2));
    assert_eq!(world.indexes("ch1"), [1, 2, 3, 4, 5, 6]);
    let compacting = LogWrite {
        compact_below: Some(4),
        ..entries(7..=7, 2)
    };
    world.write("ch1", compacting);
    for _ in 0..2 {
        let state = world.load("ch1");
        let found: Vec<_> = state
            .entries
            .iter()
            .map(|entry| (entry.index, entry.term))
            .collect();
        assert_eq!(found, [(4, 1), (5, 2), (6, 2), (7, 2)]);
        world.open().unwrap();
    }

    world.write("ch1", reset(50));
    for _ in 0..2 {
        assert_eq!(world.indexes("ch1"), [0; 0]);
        assert_eq!(world.load("ch1").checkpoint, Some(checkpoint(50)));
        world.open().unwrap();
    }
    let with_entries = LogWrite {
        entries: entries(91..=92, 3).entries,
        ..reset(90)
    };
    world.write("ch1", entries(51..=53, 3));
    let nothing_left = LogWrite {
        resets: true,
        ..LogWrite::default()
    };
    world.write("ch1", nothing_left);
    for _ in 0..2 {
        assert_eq!(
            (world.indexes("ch1"), world.load("ch1").checkpoint),
            (vec![], None)
        );
        world.open().unwrap();
    }
    world.write("ch1", with_entries);
    for _ in 0..2 {
        assert_eq!(world.indexes("ch1"), [91, 92]);
        world.open().unwrap();
    }
    let everything = LogWrite {
        compact_below: Some(1000),
        ..LogWrite::default()
    };
    world.write("ch1", everything);
    assert_eq!(world.indexes("ch1"), [0; 0]);
    world.write("ch1", entries(93..=94, 3));
    assert_eq!(world.indexes("ch1"), [93, 94]);
}

#[test]
fn a_gap_is_refused_and_harms_nobody() {
    let world = World::new();
    world.write("ch1", entries(1..=3, 1));
    let before = LogWrite {
        compact_below: Some(2),
        ..LogWrite::default()
    };
    world.write("ch1", before);
    let broken = LogWrite {
        entries: vec![entry(4, 1, 1), entry(6, 1, 1)],
        ..LogWrite::default()
    };
    for bad in [entries(5..=6, 1), entries(1..=9, 1), entries(0..=1, 1), broken] {
        let all = [(channel("ch2"), entries(1..=1, 1)), (channel("ch1"), bad)];
        let error = world.log().write(&all).unwrap_err();
        assert!(!error.is_disk_full);
        assert!(
            error.reason.contains("log of channel ch1: entries from"),
            "{error}"
        );
    }
    assert_eq!(world.indexes("ch1"), [2, 3]);
    assert_eq!(world.load("ch2"), LogState::default());
    world.write("ch1", entries(4..=4, 1));
    assert_eq!(world.indexes("ch1"), [2, 3, 4]);
}

#[test]
fn a_removed_channel_starts_fresh_and_leaves_nothing() {
    let mut world = World::new();
    world.write("ch1", entries(1..=3, 1));
    world.write("ch1", reset(7));
    world.write("ch2", entries(1..=1, 1));
    let folders = ["wal/ch1", "snap/ch1"].map(|folder| world.root.path().join(folder));
    assert_eq!(world.load("ch1").checkpoint, Some(checkpoint(7)));
    assert!(folders.iter().all(|folder| folder.is_dir()));

    world.log().remove(&channel("ch1")).unwrap();
    world.log().remove(&channel("ch1")).unwrap();
    assert!(!folders.iter().any(|folder| folder.exists()));
    for _ in 0..2 {
        assert_eq!(world.load("ch1"), LogState::default());
        world.open().unwrap();
    }
    world.write("ch1", entries(1..=2, 1));
    for _ in 0..2 {
        assert_eq!(world.indexes("ch1"), [1, 2]);
        assert_eq!(world.load("ch1").checkpoint, None);
        assert_eq!(world.indexes("ch2"), [1]);
        world.open().unwrap();
    }
}

#[test]
fn a_second_owner_of_the_folder_is_told_so() {
    let world = World::new();
    let error = world.try_open().unwrap_err();
    assert!(
        error
            .reason
            .ends_with(".raft-engine: another process has it open"),
        "{error}"
    );
    assert!(error.is_in_use);
    assert!(!error.is_disk_full);
}

/// Cuts the newest file as a crash in the middle of a write would have left it.
fn tear(world: &mut World, keep: u64) {
    let path = world.files().pop().unwrap();
    world.log = None;
    let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
    file.set_len(keep).unwrap();
}

#[test]
fn a_tail_torn_at_any_place_recovers_to_whole_writes() {
    let mut lengths = Vec::new();
    let write = |world: &World, index: u64| {
        let both = [
            (channel("ch1"), entries(index..=index, 1)),
            (channel("ch2"), entries(index..=index, 1)),
        ];
        world.log().write(&both).unwrap();
    };
    {
        let mut world = World::new();
        let path = world.files().pop().unwrap();
        for index in 1..=4 {
            write(&world, index);
            world.open().unwrap(); // cuts what was allocated in advance
            lengths.push(std::fs::metadata(&path).unwrap().len());
        }
    }
    for keep in (lengths[1]..=lengths[3]).step_by(37).chain([lengths[3]]) {
        let mut world = World::new();
        (1..=4).for_each(|index| write(&world, index));
        tear(&mut world, keep);
        world.open().unwrap();
        let whole = lengths.iter().filter(|length| **length <= keep).count();
        let expected: Vec<_> = (1..=whole as u64).collect();
        assert_eq!(world.indexes("ch1"), expected, "{keep} of {lengths:?}");
        assert_eq!(world.indexes("ch2"), expected);
        write(&world, whole as u64 + 1);
        world.open().unwrap();
        assert_eq!(world.indexes("ch1").len(), whole + 1);
    }
}

/// Changes a byte in the middle of the first row of ten equal ones with the value `wanted` in a file.
fn damage(path: &std::path::Path, wanted: u8) {
    let mut bytes = std::fs::read(path).unwrap();
    let found = bytes
        .windows(10)
        .position(|row| row.iter().all(|byte| *byte == wanted));
    bytes[found.unwrap() + 5] ^= 1;
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn a_damaged_entry_fails_its_channel_and_no_other() {
    let mut world = World::new();
    world.write("ch1", entries(1..=3, 1));
    world.write("ch2", entries(1..=3, 1));
    world.write("ch1", entries(4..=4, 1));
    let path = world.files().pop().unwrap();
    world.log = None;
    damage(&path, 2); // the second entry of ch1
    world.open().unwrap();
    let error = world.log().load(&channel("ch1")).unwrap_err();
    let expected = "log of channel ch1: entries 1 to 4: Corruption";
    assert!(error.reason.contains(expected), "{error}");
    assert_eq!(world.indexes("ch2"), [1, 2, 3]);
    world.write("ch2", entries(4..=4, 1));
}

#[test]
fn a_damaged_older_file_is_named_and_breaks_no_process() {
    let mut world = World::new();
    for index in 1..=300 {
        world.write("ch1", entries(index..=index, 1));
    }
    let files = world.files();
    assert!(files.len() > 2);
    world.log = None;
    let mut bytes = std::fs::read(&files[0]).unwrap();
    bytes[40..60].fill(0xff);
    std::fs::write(&files[0], bytes).unwrap();
    let error = world.open().unwrap_err();
    assert!(error.reason.contains(".raft-engine: Corruption"), "{error}");
    let broken = BrokenLog(error.clone());
    assert_eq!(broken.load(&channel("ch1")), Err(error.clone()));
    assert_eq!(broken.write(&[]), Err(error.clone()));
    assert_eq!(broken.remove(&channel("ch1")), Err(error));
}

#[test]
fn purging_keeps_what_is_needed_and_nothing_that_was_dropped() {
    let mut world = World::new();
    world.write("quiet", entries(1..=3, 1));
    world.write("quiet", reset(9));
    world.write("gone", entries(1..=30, 1));
    world.log().remove(&channel("gone")).unwrap();
    world.write("stale", entries(1..=10, 1));
    world.write("stale", reset(5));
    for round in 0..12 {
        for index in 1..=200 {
            let index: u64 = round * 200 + index;
            let write = LogWrite {
                compact_below: Some(index.saturating_sub(40)),
                checkpoint: index.is_multiple_of(50).then(|| checkpoint(index)),
                ..entries(index..=index, 1)
            };
            world.write("busy", write);
        }
        purge(&world.log().engine, &world.log().state, &world.folder());
        if round % 3 == 2 {
            world.open().unwrap();
        }
        assert_eq!(world.indexes("busy").len(), 41);
        assert_eq!(world.load("busy").checkpoint, Some(checkpoint(round * 200 + 200)));
        assert_eq!(world.load("quiet").checkpoint, Some(checkpoint(9)));
        assert_eq!(world.indexes("quiet"), [0; 0]);
        assert_eq!(world.indexes("stale"), [0; 0]);
        assert_eq!(world.load("gone"), LogState::default());
    }
    assert!(world.files().len() < 12, "{:?}", world.files());
}

#[test]
#[expect(clippy::disallowed_methods, reason = "it shows how long loading takes")]
fn ten_thousand_entries_of_a_kilobyte_are_loaded() {
    let root = tempfile::tempdir().unwrap();
    let (wal, snap) = (root.path().join("wal"), root.path().join("snap"));
    let log = EngineLog::open(&wal, &snap).unwrap();
    let all: Vec<_> = (1..=10_000).map(|index| entry(index, 1, 1024)).collect();
    for call in all.chunks(20) {
        let write = LogWrite {
            entries: call.to_vec(),
            ..LogWrite::default()
        };
        log.write(&[(channel("ch1"), write)]).unwrap();
    }
    drop(log);
    let started = std::time::Instant::now();
    let log = EngineLog::open(&wal, &snap).unwrap();
    let opened = started.elapsed();
    let found = log.load(&channel("ch1")).unwrap().entries;
    println!(
        "opened in {opened:?}, opened and loaded in {:?}",
        started.elapsed()
    );
    assert!(found == all);
}

#[test]
fn a_retry_after_a_full_disk_asks_for_room_first() {
    let world = World::new();
    world.log().state().is_disk_full = true;
    world.write("ch1", entries(1..=1, 1));
    assert!(!world.log().state().is_disk_full);
    assert!(!world.folder().join("room.probe").exists());
}

#[test]
fn nothing_is_written_after_the_engine_broke() {
    let world = World::new();
    world.write("ch1", entries(1..=1, 1));
    let broken = guarded::<()>(&world.folder(), || panic!("sync failed")).unwrap_err();
    assert!(broken.reason.ends_with("the engine panicked: sync failed"));
    world.log().state().broken = Some(broken.clone());
    let write = [(channel("ch1"), entries(2..=2, 1))];
    assert_eq!(world.log().write(&write), Err(broken));
    assert_eq!(world.indexes("ch1"), [1]);
}
