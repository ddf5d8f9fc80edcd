//! Ledgers of blocks that live reference orderers made, damaged in every way one can think of.

use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use consensus::raft::EngineLog;
use consensus::raft::ledger_only::{GAP, begin_anew};
use consensus::raft::log::RaftLog as _;
use ledger::index::{Index as _, SledIndex};
use ledger::{LedgerFactory, LedgerOptions, Place};
use proptest::prelude::*;
use protos::wire::common::Block;
use protos::{BlockNumber, ChannelId, ConsenterId, SealedBlock, block_file};
use tempfile::TempDir;

use super::folder::Folder;
use super::import::take;
use super::problem::{Problem, Report};
use super::records::Records;
use super::witnesses::first_metadata;
use super::{DAMAGED, Failure, verify};

/// Two or three of the blocks in a file.
const SEGMENT_BYTES: u64 = 20_000;

fn channel() -> ChannelId {
    ChannelId::parse("raft-three").unwrap()
}

/// The chain of three reference orderers: config blocks among others.
fn chain() -> Vec<SealedBlock> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors/ecdsa/chain/raft-three");
    let read = |number| fs::read(folder.join(format!("o1-{number:03}.block")));
    let blocks = (0..).map_while(|number: u32| read(number).ok());
    blocks
        .map(|bytes| SealedBlock::from_bytes(bytes.into()).unwrap())
        .collect()
}

/// A data folder in a temporary one.
struct World {
    root: TempDir,
}

impl World {
    fn empty() -> Self {
        Self {
            root: tempfile::tempdir().unwrap(),
        }
    }

    /// With these blocks as the channel's, in files of [`SEGMENT_BYTES`].
    fn of(blocks: &[SealedBlock]) -> Self {
        let world = Self::empty();
        let factory = world.factory();
        let mut store = factory.open_channel(&channel()).unwrap();
        for block in blocks {
            store.append(block).unwrap();
            store.sync().unwrap();
        }
        world
    }

    fn location(&self) -> PathBuf {
        self.root.path().join("data")
    }

    fn factory(&self) -> LedgerFactory {
        LedgerFactory::open(LedgerOptions {
            segment_bytes_max: SEGMENT_BYTES,
            ..LedgerOptions::at(self.location())
        })
        .unwrap()
    }

    fn folder(&self) -> Folder {
        Folder {
            location: self.location(),
            config: None,
        }
    }

    fn verify(&self) -> Report {
        verify::check(&self.folder(), &[], |_| {}).unwrap()
    }

    /// All problems.
    fn problems(&self) -> Vec<Problem> {
        let report = self.verify();
        assert_eq!(report.sound, report.problems() == 0);
        let of_channels = report.channels.into_iter().flat_map(|channel| channel.problems);
        report.problems.into_iter().chain(of_channels).collect()
    }

    /// Their kinds and first blocks.
    fn kinds(&self) -> Vec<(&'static str, Option<u64>)> {
        let problems = self.problems();
        problems
            .iter()
            .map(|problem| (problem.kind, problem.block))
            .collect()
    }

    /// Notes on the channel.
    fn notes(&self) -> Vec<String> {
        self.verify()
            .channels
            .into_iter()
            .flat_map(|channel| channel.notes)
            .collect()
    }

    fn chain_folder(&self) -> PathBuf {
        self.location().join("chains").join(channel().as_str())
    }

    /// The segment files, the newest last.
    fn segments(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.chain_folder()).unwrap();
        let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files
    }

    fn change(file: &Path, change: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = fs::read(file).unwrap();
        change(&mut bytes);
        fs::write(file, bytes).unwrap();
    }
}

/// Block `number` changed, and those after it linked anew.
fn forged(number: usize, change: impl FnOnce(&mut Block)) -> Vec<SealedBlock> {
    let mut blocks: Vec<_> = chain().iter().map(|block| block.decode().unwrap()).collect();
    change(&mut blocks[number]);
    for at in 1..blocks.len() {
        let previous = protos::block::header_hash(blocks[at - 1].header.as_ref().unwrap());
        blocks[at].header.as_mut().unwrap().previous_hash = Bytes::copy_from_slice(&previous);
    }
    blocks
        .iter()
        .map(|block| SealedBlock::seal(block).unwrap())
        .collect()
}

fn metadata_slot(block: &mut Block, slot: usize) -> &mut Bytes {
    &mut block.metadata.as_mut().unwrap().metadata[slot]
}

fn copy(blocks: &[SealedBlock]) -> Vec<u8> {
    let records = blocks
        .iter()
        .map(|block| block_file::record(&block.decode().unwrap()));
    records.flatten().collect()
}

/// Imports a copy; the height of the channel.
fn import(world: &World, copy: &[u8]) -> Result<u64, Failure> {
    let factory = world.factory();
    let mut records = Records::new(copy, "copy".to_owned());
    let taken = take(&factory, None, &mut || {
        records.next().map_err(super::import::broken)
    })?;
    assert_eq!(taken.channel, channel());
    Ok(taken.incoming.finish().unwrap().0)
}

#[test]
fn a_chain_of_reference_orderers_is_sound() {
    let world = World::of(&chain());
    assert!(world.segments().len() > 1, "several files");
    let report = world.verify();
    assert!(report.sound, "{:?}", world.problems());
    let checked = &report.channels[0];
    assert_eq!(
        (checked.height, checked.blocks),
        (chain().len() as u64, chain().len() as u64)
    );
    assert!(checked.config_blocks > 0 && !report.in_use);
}

#[test]
fn verify_changes_nothing() {
    let world = World::of(&chain());
    let picture = || -> Vec<_> {
        let mut files = Vec::new();
        let mut folders = vec![world.location()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let modified = fs::metadata(&path).unwrap().modified().unwrap();
                    files.push((path.clone(), modified, fs::read(path).unwrap()));
                }
            }
        }
        files.sort();
        files
    };
    let before = picture();
    world.verify();
    assert_eq!(picture(), before);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    /// The checksums of a record cover all of its bytes but themselves, and those are compared; a file is nothing but
    /// records; and of the newest ones, which could be a write that never ended, the index says that they were durable.
    #[test]
    fn a_flipped_bit_anywhere_is_found(place: prop::sample::Index, bit in 0..8_u32) {
        let world = World::of(&chain());
        let files = world.segments();
        let lens: Vec<_> = files.iter().map(|file| usize::try_from(fs::metadata(file).unwrap().len()).unwrap()).collect();
        let mut offset = place.index(lens.iter().sum());
        let mut file = 0;
        while offset >= lens[file] {
            offset -= lens[file];
            file += 1;
        }
        World::change(&files[file], |bytes| bytes[offset] ^= 1 << bit);
        let problems = world.problems();
        prop_assert_eq!(problems.len(), 1, "{:?}", problems);
        prop_assert_eq!(problems[0].kind, "record");
        prop_assert_eq!(problems[0].file.as_ref(), Some(&files[file]));
        prop_assert!(problems[0].offset.unwrap() <= offset as u64);
    }
}

#[test]
fn a_missing_file_names_its_blocks_and_what_can_be_checked_behind_it_is() {
    let world = World::of(&chain());
    let files = world.segments();
    fs::remove_file(&files[1]).unwrap();
    let problems = world.problems();
    assert_eq!((problems.len(), problems[0].kind), (1, "missing-blocks"));
    assert!(problems[0].next.contains("docs/operating/recover.md"));
    assert!(problems[0].last_block >= problems[0].block);
}

#[test]
fn a_newest_file_cut_short_is_damage_if_the_index_vouches_and_else_an_unfinished_write() {
    let world = World::of(&chain());
    let newest = world.segments().pop().unwrap();
    World::change(&newest, |bytes| bytes.truncate(bytes.len() - 1));
    let last = chain().len() as u64 - 1;
    assert_eq!(world.kinds(), [("record", Some(last))]);
    fs::remove_dir_all(world.location().join("index")).unwrap();
    assert_eq!(world.kinds(), []);
    assert!(
        world.notes().iter().any(|note| note.contains("not finished")),
        "{:?}",
        world.notes()
    );
}

#[test]
fn whole_blocks_that_are_cut_off_are_missed_by_the_index() {
    let world = World::of(&chain());
    let newest = world.segments().pop().unwrap();
    fs::remove_file(newest).unwrap();
    let kinds = world.kinds();
    assert_eq!((kinds.len(), kinds[0].0), (1, "missing-blocks"));
}

#[test]
fn forged_blocks_are_named_by_what_is_wrong_with_them() {
    // The signature goes with the bytes at the end of its slot.
    let world = World::of(&forged(2, |block| {
        let mut bytes = metadata_slot(block, 0).to_vec();
        *bytes.last_mut().unwrap() ^= 1;
        *metadata_slot(block, 0) = bytes.into();
    }));
    assert_eq!(world.kinds(), [("signatures", Some(2))]);
    let world = World::of(&forged(2, |block| {
        *metadata_slot(block, 1) = Bytes::from_static(b"\x0a\x02\x08\x09");
    }));
    assert_eq!(world.kinds(), [("last-config", Some(2))]);
    // Other data under the old header: the hash of the data is not it; the signature is over the header.
    let world = World::of(&forged(2, |block| {
        block
            .data
            .as_mut()
            .unwrap()
            .data
            .push(Bytes::from_static(b"more"));
    }));
    assert_eq!(world.kinds(), [("content", Some(2))]);
    // The first block of another channel, with the folder's name.
    let world = World::of(&chain());
    fs::rename(world.chain_folder(), world.location().join("chains/other")).unwrap();
    assert_eq!(world.kinds()[0], ("channel", Some(0)));
}

#[test]
fn an_index_that_points_elsewhere_is_named_and_no_block_is_blamed() {
    let world = World::of(&chain());
    let index = SledIndex::open(&world.location().join("index")).unwrap();
    let wrong = Place {
        segment: BlockNumber(0),
        offset: 1,
        len: 100,
    };
    index.insert(&channel(), BlockNumber(1), &[wrong]).unwrap();
    index.flush().unwrap();
    drop(index);
    assert_eq!(world.kinds(), [("index", Some(1))]);
    fs::write(world.location().join("index/db"), b"not a database").unwrap();
    assert_eq!(world.kinds(), [("index", None)]);
}

#[test]
fn what_lies_beside_the_blocks_is_told() {
    let world = World::of(&chain());
    fs::write(world.chain_folder().join("notes.txt"), b"").unwrap();
    fs::create_dir(world.location().join("chains/.import-other")).unwrap();
    fs::create_dir(world.location().join("chains/Not A Channel")).unwrap();
    let joins = world.location().join("pendingops/join");
    fs::create_dir_all(&joins).unwrap();
    fs::write(joins.join("broken.join"), b"\xff").unwrap();
    fs::write(joins.join("raft-three.join"), chain()[0].bytes()).unwrap();
    fs::write(joins.join("late.join~"), b"").unwrap();
    fs::write(world.location().join("pendingops/remove/gone.remove"), b"").unwrap();
    assert_eq!(world.kinds(), [("marker", None)]);
    assert!(world.notes().iter().any(|note| note.contains("notes.txt")));
    let notes = world.verify().notes.join("\n");
    for text in [
        "import that was not finished",
        "Not A Channel",
        "raft-three is pending",
        "late.join~",
        "gone has begun",
    ] {
        assert!(notes.contains(text), "no {text:?} in {notes}");
    }
    fs::write(world.chain_folder().join("blockfile_000000"), b"").unwrap();
    assert_eq!(world.kinds()[1].0, "folder");
}

#[test]
fn a_copy_comes_back_as_the_chain_it_was() {
    let world = World::empty();
    assert_eq!(import(&world, &copy(&chain())).unwrap(), chain().len() as u64);
    let report = world.verify();
    assert!(report.sound, "{:?}", world.problems());
    let factory = world.factory();
    let store = factory.open_channel(&channel()).unwrap();
    assert_eq!(store.recovery().reindexed, 0, "the index knows it");
    let read: Vec<_> = store.reader().iter(BlockNumber(0)).map(Result::unwrap).collect();
    assert_eq!(read, chain());
}

#[test]
fn nothing_is_left_of_a_copy_that_is_damaged_forged_or_begins_late() {
    let blocks = chain();
    let whole = copy(&blocks);
    let middle = copy(&blocks[..2]).len() + 2000;
    let flipped = |at: usize| {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        bytes
    };
    let unsigned = forged(3, |block| {
        block.metadata.as_mut().unwrap().metadata[0] = Bytes::new();
    });
    for (what, bytes, text) in [
        ("cut", whole[..whole.len() - 1].to_vec(), "ends inside"),
        ("flipped", flipped(middle), ""),
        ("late", copy(&blocks[1..]), "begins with block 0"),
        (
            "a gap",
            [copy(&blocks[..2]), copy(&blocks[3..])].concat(),
            "is due",
        ),
        ("unsigned", copy(&unsigned), "block 3"),
        ("empty", Vec::new(), "no block"),
        ("no blocks", b"these are no blocks".to_vec(), ""),
    ] {
        let world = World::empty();
        let failure = import(&world, &bytes).unwrap_err();
        assert!(failure.what.contains(text), "{what}: {}", failure.what);
        assert!(
            failure.code == DAMAGED || what == "late",
            "{what}: {}",
            failure.what
        );
        let left = fs::read_dir(world.location().join("chains")).unwrap().count();
        assert_eq!(left, 0, "{what}");
    }
}

#[test]
fn a_channel_that_is_there_is_never_changed_by_an_import() {
    let world = World::of(&chain()[..2]);
    let failure = import(&world, &copy(&chain())).unwrap_err();
    assert!(failure.what.contains("exists already"), "{}", failure.what);
    assert_eq!(world.verify().channels[0].height, 2);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    /// What no hash and no signature covers may change: the slots of metadata behind the first two, and which bytes
    /// encode a number. All else is found.
    #[test]
    fn a_flipped_bit_in_a_copy_is_found_or_changes_neither_headers_nor_entries_nor_signatures(
        place: prop::sample::Index,
        bit in 0..8_u32,
    ) {
        let mut bytes = copy(&chain());
        let at = place.index(bytes.len());
        bytes[at] ^= 1 << bit;
        let world = World::empty();
        if import(&world, &bytes).is_ok() {
            let factory = world.factory();
            let store = factory.open_channel(&channel()).unwrap();
            for (read, block) in store.reader().iter(BlockNumber(0)).zip(chain()) {
                let (read, block) = (read.unwrap().decode().unwrap(), block.decode().unwrap());
                prop_assert_eq!(read.header, block.header, "byte {}", at);
                prop_assert_eq!(read.data, block.data, "byte {}", at);
                let slots = |block: Option<protos::wire::common::BlockMetadata>| block.unwrap().metadata[..2].to_vec();
                // Block 0 has no signature.
                if store.height().0 > 1 {
                    prop_assert_eq!(slots(read.metadata), slots(block.metadata), "byte {}", at);
                }
            }
        }
    }
}

#[test]
fn a_new_log_for_the_newest_block_fits_the_chain_and_an_emptied_one_does_not() {
    let world = World::of(&chain());
    let (wal, snap) = (world.root.path().join("wal"), world.root.path().join("snap"));
    let newest = chain().pop().unwrap().decode().unwrap();
    let metadata = consensus::raft::read_block_metadata(&newest)
        .unwrap()
        .unwrap_or_else(|| first_metadata(3));
    let log = EngineLog::open(&wal, &snap).unwrap();
    let index = begin_anew(&log, &channel(), ConsenterId(2), &newest, &metadata).unwrap();
    assert_eq!(index, metadata.raft_index + GAP);
    let state = log.load(&channel()).unwrap();
    assert_eq!(
        consensus::raft::ledger_only::loss_of(&state, newest, metadata),
        None
    );
}
