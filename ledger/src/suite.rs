//! What any disk must do, as tests: for [`RealDisk`](crate::disk::RealDisk), [`SimDisk`](crate::disk::SimDisk)
//! and whatever comes next.
//!
//! Each test gets an empty folder of its own and panics with what went wrong. What survives a power loss is
//! not asked here, since a test cannot cause one on a real disk.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use protos::{BlockNumber, ChannelId, Height, SealedBlock};

use crate::disk::{Directory, Entry, EntryKind, File};
use crate::index::MemoryIndex;
use crate::{BlockStore, LedgerFactory, LedgerOptions, OpenError};

/// One test: its name is the sentence it proves.
pub type DiskTest = (&'static str, fn(&Arc<dyn Directory>));

/// All tests.
pub const TESTS: [DiskTest; 11] = [
    (
        "a file is written in parts and read back",
        parts_are_written_in_a_row,
    ),
    ("a read ends with the file", a_read_ends_with_the_file),
    (
        "a file is cut and extended with zeros",
        a_file_is_cut_and_extended,
    ),
    ("a name is taken once and found again", a_name_is_taken_once),
    ("a rename takes the place of a file", a_rename_takes_the_place),
    (
        "a removed file is read through open handles",
        a_removed_file_stays_readable,
    ),
    ("folders nest and go when they are empty", folders_nest),
    ("a lock has one holder", a_lock_has_one_holder),
    ("a chain is read back after a restart", a_chain_survives_a_restart),
    (
        "a removed channel can be made anew",
        a_removed_channel_begins_anew,
    ),
    (
        "channels do not notice each other",
        channels_do_not_notice_each_other,
    ),
];

/// Runs all tests, each in a folder that `make` has just made.
pub fn run(mut make: impl FnMut() -> Arc<dyn Directory>) {
    for (name, test) in TESTS {
        println!("disk suite: {name}");
        test(&make());
    }
}

/// The content of a file.
fn content(file: &dyn File) -> Vec<u8> {
    let len = file.len().expect("length");
    let mut bytes = vec![0; usize::try_from(len).expect("small file")];
    let count = file.read_at(0, &mut bytes).expect("read");
    assert_eq!(count as u64, len, "a short read inside the file");
    bytes
}

fn kind<T>(result: io::Result<T>) -> Option<io::ErrorKind> {
    result.err().map(|error| error.kind())
}

fn parts_are_written_in_a_row(disk: &Arc<dyn Directory>) {
    let file = disk.create("f").expect("create");
    assert!(file.is_empty().expect("length"));
    file.write_at(0, &[b"ab", b"", b"c"]).expect("write");
    file.write_at(3, &[b"de"]).expect("write behind it");
    file.write_at(1, &[b"B"]).expect("write inside it");
    file.write_at(5, &[b"f"]).expect("write behind it again");
    file.sync().expect("sync");
    assert_eq!(content(&*file), b"aBcdef");
    assert_eq!(content(&*disk.open("f").expect("open")), b"aBcdef");
}

fn a_read_ends_with_the_file(disk: &Arc<dyn Directory>) {
    let file = disk.create("f").expect("create");
    file.write_at(0, &[b"abcd"]).expect("write");
    let mut buffer = [0; 3];
    assert_eq!(file.read_at(0, &mut buffer).expect("read"), 3);
    assert_eq!(file.read_at(2, &mut buffer).expect("read at the end"), 2);
    assert_eq!(&buffer[..2], b"cd");
    assert_eq!(file.read_at(9, &mut buffer).expect("read behind the end"), 0);
}

fn a_file_is_cut_and_extended(disk: &Arc<dyn Directory>) {
    let file = disk.create("f").expect("create");
    file.write_at(0, &[b"abcd"]).expect("write");
    file.truncate(2).expect("cut");
    file.truncate(3).expect("extend");
    assert_eq!(content(&*file), b"ab\0");
    file.write_at(3, &[b"e"]).expect("write behind it");
    file.sync().expect("sync");
    assert_eq!(content(&*file), b"ab\0e");
}

fn a_name_is_taken_once(disk: &Arc<dyn Directory>) {
    assert_eq!(kind(disk.open("f")), Some(io::ErrorKind::NotFound));
    assert_eq!(kind(disk.remove_file("f")), Some(io::ErrorKind::NotFound));
    disk.create("f").expect("create");
    assert_eq!(kind(disk.create("f")), Some(io::ErrorKind::AlreadyExists));
    disk.create("e").expect("create");
    disk.folder("d").expect("folder");
    disk.sync_dir().expect("sync");
    let names: Vec<_> = disk.list().expect("list");
    let entry = |name: &str, kind| Entry {
        name: name.to_owned(),
        kind,
    };
    let expected = [
        entry("d", EntryKind::Folder),
        entry("e", EntryKind::File),
        entry("f", EntryKind::File),
    ];
    assert_eq!(names, expected);
}

fn a_rename_takes_the_place(disk: &Arc<dyn Directory>) {
    disk.create("old")
        .expect("create")
        .write_at(0, &[b"1"])
        .expect("write");
    disk.create("new")
        .expect("create")
        .write_at(0, &[b"2"])
        .expect("write");
    disk.rename("new", "old").expect("rename");
    assert_eq!(kind(disk.open("new")), Some(io::ErrorKind::NotFound));
    assert_eq!(content(&*disk.open("old").expect("open")), b"2");
    assert_eq!(kind(disk.rename("new", "old")), Some(io::ErrorKind::NotFound));
}

fn a_removed_file_stays_readable(disk: &Arc<dyn Directory>) {
    let file = disk.create("f").expect("create");
    file.write_at(0, &[b"abc"]).expect("write");
    disk.remove_file("f").expect("remove");
    assert!(disk.list().expect("list").is_empty());
    assert_eq!(content(&*file), b"abc");
}

fn folders_nest(disk: &Arc<dyn Directory>) {
    let outer = disk.folder("outer").expect("folder");
    let inner = outer.folder("inner").expect("folder in it");
    inner.create("f").expect("create");
    let same = disk.folder("outer").expect("folder again").folder("inner");
    assert_eq!(same.expect("folder in it again").list().expect("list").len(), 1);
    assert!(outer.remove_folder("inner").is_err(), "removed with a file in it");
    inner.remove_file("f").expect("remove");
    outer.remove_folder("inner").expect("remove folder");
    assert!(outer.list().expect("list").is_empty());
    assert_eq!(outer.path(), disk.path().join("outer"));
}

fn a_lock_has_one_holder(disk: &Arc<dyn Directory>) {
    let held = disk.lock("l").expect("lock");
    assert_eq!(kind(disk.lock("l")), Some(io::ErrorKind::WouldBlock));
    drop(held);
    drop(disk.lock("l").expect("lock again"));
}

/// A linked chain of `count` blocks of growing size.
fn chain(count: u64) -> Vec<SealedBlock> {
    let mut previous = [0; 32];
    let mut next = |number: u64| {
        let len = usize::try_from(number).expect("small number") * 10;
        let entry = Bytes::from(vec![1; len]);
        let block = protos::block::next(BlockNumber(number), &previous, vec![entry]);
        let sealed = SealedBlock::seal(&block).expect("it has a header");
        previous = *sealed.hash();
        sealed
    };
    (0..count).map(&mut next).collect()
}

fn factory(disk: &Arc<dyn Directory>) -> LedgerFactory {
    let options = LedgerOptions {
        segment_bytes_max: 1000,
        cache_bytes_max: 1000,
        ..LedgerOptions::at("")
    };
    LedgerFactory::open_on(disk, Arc::<MemoryIndex>::default(), options).expect("factory")
}

fn channel(name: &str) -> ChannelId {
    ChannelId::parse(name).expect("a channel name")
}

fn fill(store: &mut BlockStore, blocks: &[SealedBlock]) {
    for block in blocks {
        store.append(block).expect("append");
    }
    store.sync().expect("sync");
}

fn read(store: &BlockStore) -> Vec<SealedBlock> {
    let blocks = store.reader().iter(BlockNumber::GENESIS);
    blocks.collect::<Result<_, _>>().expect("read")
}

fn a_chain_survives_a_restart(disk: &Arc<dyn Directory>) {
    let blocks = chain(60);
    for until in [20, 60] {
        let factory = factory(disk);
        let mut store = factory.open_channel(&channel("one")).expect("open");
        let done = usize::try_from(store.height().0).expect("small height");
        fill(&mut store, &blocks[done..until]);
        assert_eq!(read(&store), blocks[..until]);
    }
    let factory = factory(disk);
    let store = factory.open_channel(&channel("one")).expect("open");
    assert_eq!(read(&store), blocks);
    let files = disk.folder("chains").and_then(|chains| chains.folder("one"));
    let files = files.and_then(|folder| folder.list()).expect("list");
    assert!(files.len() > 5, "the segment files did not roll");
}

fn a_removed_channel_begins_anew(disk: &Arc<dyn Directory>) {
    let factory = factory(disk);
    let name = channel("one");
    let mut store = factory.open_channel(&name).expect("open");
    fill(&mut store, &chain(20));
    let reader = store.reader();
    assert!(factory.remove(&name).is_err(), "removed while open");
    drop(store);
    factory.remove(&name).expect("remove");
    assert!(reader.get(BlockNumber(0)).is_err(), "removed, and still there");
    assert!(factory.channels().is_empty());
    assert!(factory.remove(&name).is_err(), "removed twice");
    let mut store = factory.open_channel(&name).expect("open anew");
    assert_eq!(store.height(), Height::EMPTY);
    fill(&mut store, &chain(3));
    assert_eq!(read(&store), chain(3));
}

fn channels_do_not_notice_each_other(disk: &Arc<dyn Directory>) {
    let factory = factory(disk);
    let mut one = factory.open_channel(&channel("one")).expect("open one");
    let mut two = factory.open_channel(&channel("two")).expect("open two");
    let again = factory.open_channel(&channel("one"));
    assert!(matches!(again, Err(OpenError::AlreadyOpen { .. })));
    fill(&mut one, &chain(7));
    fill(&mut two, &chain(4));
    drop(two);
    factory.remove(&channel("two")).expect("remove two");
    assert_eq!(read(&one), chain(7));
    assert_eq!(factory.channels(), [channel("one")]);
}
