use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

use super::*;
use crate::disk::{Fault, SimDisk};
use crate::index::MemoryIndex;

const LIMITS: StoreLimits = StoreLimits {
    segment_bytes_max: 600,
    cache_bytes_max: 300,
};

/// Block `number` after a header with hash `previous`.
fn block(number: u64, previous: &Hash) -> SealedBlock {
    let entry = Bytes::from(vec![7; 20 + usize::try_from(number % 5).unwrap() * 40]);
    SealedBlock::seal(&protos::block::next(BlockNumber(number), previous, vec![entry])).unwrap()
}

/// A chain of `count` blocks.
pub(crate) fn chain(count: u64) -> Vec<SealedBlock> {
    let mut previous = [0; 32];
    (0..count)
        .map(|number| {
            let block = block(number, &previous);
            previous = *block.hash();
            block
        })
        .collect()
}

fn channel() -> ChannelId {
    ChannelId::parse("one").unwrap()
}

fn try_open(disk: &SimDisk, index: &Arc<MemoryIndex>) -> Result<BlockStore, StoreError> {
    let root = disk.root();
    let folder = root.folder("one").unwrap();
    root.sync_dir().unwrap();
    BlockStore::open(&channel(), folder, Arc::clone(index) as Arc<dyn Index>, LIMITS)
}

fn open(disk: &SimDisk) -> BlockStore {
    try_open(disk, &Arc::default()).unwrap()
}

fn append_all(store: &mut BlockStore, blocks: &[SealedBlock]) {
    for block in blocks {
        store.append(block).unwrap();
    }
}

fn read_all(store: &BlockStore) -> Vec<SealedBlock> {
    store
        .reader()
        .iter(BlockNumber(0))
        .collect::<Result<_, _>>()
        .unwrap()
}

#[test]
fn a_block_is_seen_only_after_its_sync() {
    let disk = SimDisk::new(1);
    let mut store = open(&disk);
    let reader = store.reader();
    append_all(&mut store, &chain(3));
    assert_eq!(reader.height(), Height(0));
    assert_eq!(reader.get(BlockNumber(0)).unwrap(), None);
    assert_eq!(store.sync().unwrap(), Height(3));
    assert_eq!(reader.height(), Height(3));
    assert_eq!(read_all(&store), chain(3));
    assert_eq!(reader.tip().unwrap().unwrap(), chain(3)[2]);
    assert_eq!(reader.get(BlockNumber(3)).unwrap(), None);
}

#[test]
fn watchers_hear_each_new_height_once() {
    let mut store = open(&SimDisk::new(1));
    let heard = Arc::new(AtomicU64::new(0));
    let sum = Arc::clone(&heard);
    store.reader().on_height(Box::new(move |height| {
        sum.fetch_add(height.0 * 100 + 1, Ordering::Relaxed);
    }));
    append_all(&mut store, &chain(2));
    store.sync().unwrap();
    store.sync().unwrap();
    assert_eq!(heard.load(Ordering::Relaxed), 201);
}

#[test]
fn only_the_next_linked_block_is_taken() {
    let mut store = open(&SimDisk::new(1));
    let blocks = chain(3);
    store.append(&blocks[0]).unwrap();
    let gap = store.append(&blocks[2]).unwrap_err();
    assert!(matches!(
        gap,
        AppendError::NotNext {
            expected: BlockNumber(1),
            got: BlockNumber(2)
        }
    ));
    let fork = store.append(&block(1, &[9; 32])).unwrap_err();
    assert!(matches!(
        fork,
        AppendError::BrokenLink {
            number: BlockNumber(1)
        }
    ));
    store.append(&blocks[1]).unwrap();
    store.sync().unwrap();
    assert!(store.append(&block(2, &[9; 32])).is_err());
    store.append(&blocks[2]).unwrap();
}

#[test]
fn a_reopened_store_goes_on_where_it_was_with_and_without_its_index() {
    let disk = SimDisk::new(1);
    let blocks = chain(40);
    let kept = Arc::new(MemoryIndex::default());
    for (done, index) in [(0, Arc::clone(&kept)), (20, kept), (30, Arc::default())] {
        let mut store = try_open(&disk, &index).unwrap();
        assert_eq!(store.height(), Height(done));
        let reread = if done == 30 { 30 } else { 0 };
        assert_eq!(store.recovery().reindexed, reread);
        let until = if done == 0 { 20 } else { done + 10 };
        append_all(
            &mut store,
            &blocks[usize::try_from(done).unwrap()..usize::try_from(until).unwrap()],
        );
        store.sync().unwrap();
        assert_eq!(read_all(&store), blocks[..usize::try_from(until).unwrap()]);
    }
}

#[test]
fn a_failed_write_poisons_writing_but_not_reading() {
    for fault in [Fault::Write, Fault::Sync] {
        let disk = SimDisk::new(1);
        let mut store = open(&disk);
        let blocks = chain(4);
        append_all(&mut store, &blocks[..2]);
        store.sync().unwrap();
        disk.inject(fault);
        let failed = store.append(&blocks[2]).is_err() || store.sync().is_err();
        assert!(failed, "{fault:?}");
        assert!(matches!(store.sync(), Err(WriteError::Poisoned { .. })));
        assert!(matches!(
            store.append(&blocks[2]),
            Err(AppendError::Write(WriteError::Poisoned { .. }))
        ));
        assert_eq!(read_all(&store), blocks[..2]);
        drop(store);
        let seen = read_all(&open(&disk));
        assert!(seen.starts_with(&blocks[..2]), "{fault:?}");
        disk.crash();
        assert_eq!(
            read_all(&open(&disk)),
            seen,
            "{fault:?}: shown to readers, then lost"
        );
    }
}

#[test]
fn a_full_disk_is_left_clean_and_appending_goes_on_when_there_is_room() {
    for capacity in 0..2000 {
        let disk = SimDisk::new(capacity);
        let blocks = chain(14);
        disk.set_capacity(Some(capacity));
        let mut store = open(&disk);
        let mut refused = 0;
        while store.next_number() < BlockNumber(14) {
            let next = usize::try_from(store.next_number().0).unwrap();
            if let Err(error) = store.append(&blocks[next]) {
                assert!(error.is_disk_full(), "{error}");
                refused += 1;
                assert!(store.sync().is_ok());
                disk.set_capacity((refused < 3).then_some(capacity));
            }
        }
        assert!(refused == 3, "capacity {capacity}");
        assert_eq!(store.sync().unwrap(), Height(14));
        drop(store);
        disk.crash();
        assert_eq!(read_all(&open(&disk)), blocks, "capacity {capacity}");
    }
}

/// Where block `number` is, found by reading.
fn place_of(store: &BlockStore, number: u64) -> (PathBuf, u64) {
    use crate::places::Found;
    match store.shared.places.find(BlockNumber(number)) {
        Some(Found::At(place)) => (
            PathBuf::from("/sim/one").join(segment::file_name(place.segment)),
            place.offset,
        ),
        other => panic!("block {number}: {other:?}"),
    }
}

#[test]
fn damage_below_the_tail_is_reported_with_its_place() {
    for number in 0..19 {
        let disk = SimDisk::new(1);
        let mut store = open(&disk);
        for block in &chain(20) {
            store.append(block).unwrap();
            store.sync().unwrap();
        }
        let (file, offset) = place_of(&store, number);
        drop(store);
        for at in [0, 10, 28, 29, 60] {
            disk.flip_bit(&file, offset + at, 3).unwrap();
            match try_open(&disk, &Arc::default()) {
                Err(StoreError::Damaged(damage)) => {
                    assert_eq!(damage.file, file);
                    assert_eq!(damage.offset, offset);
                    assert_eq!(damage.block, BlockNumber(number));
                }
                other => panic!("block {number}, byte {at}: {other:?}"),
            }
            disk.flip_bit(&file, offset + at, 3).unwrap();
        }
        assert_eq!(read_all(&open(&disk)), chain(20));
    }
}

#[test]
fn damage_of_the_last_block_is_noticed_when_the_index_vouches_for_it() {
    let disk = SimDisk::new(1);
    let index = Arc::new(MemoryIndex::default());
    let mut store = try_open(&disk, &index).unwrap();
    append_all(&mut store, &chain(5));
    store.sync().unwrap();
    let (file, offset) = place_of(&store, 4);
    drop(store);
    disk.flip_bit(&file, offset + 40, 0).unwrap();
    let expected = format!("block 4 is damaged in {} at byte {offset}: ", file.display());
    for start in 0..3 {
        let error = try_open(&disk, &index).unwrap_err();
        assert!(error.to_string().starts_with(&expected), "start {start}: {error}");
    }
}

#[test]
fn durable_blocks_that_are_cut_off_are_damage_at_every_start() {
    let disk = SimDisk::new(1);
    let index = Arc::new(MemoryIndex::default());
    let mut store = try_open(&disk, &index).unwrap();
    append_all(&mut store, &chain(5));
    store.sync().unwrap();
    let (file, offset) = place_of(&store, 3);
    drop(store);
    let name = file.file_name().unwrap().to_string_lossy().into_owned();
    let cut = disk.root().folder("one").unwrap().open(&name).unwrap();
    cut.truncate(offset + 20).unwrap();
    for start in 0..3 {
        match try_open(&disk, &index) {
            Err(StoreError::Damaged(damage)) => assert_eq!(damage.block, BlockNumber(3), "start {start}"),
            other => panic!("start {start}: {other:?}"),
        }
    }
}

#[test]
fn the_blocks_before_a_damage_can_be_read_with_and_without_the_index() {
    for knows in [true, false] {
        for damaged in [0, 4, 19] {
            let disk = SimDisk::new(1);
            let index = Arc::new(MemoryIndex::default());
            let mut store = try_open(&disk, &index).unwrap();
            append_all(&mut store, &chain(20));
            store.sync().unwrap();
            let (file, offset) = place_of(&store, damaged);
            drop(store);
            if !knows {
                index.forget(&channel()).unwrap();
            }
            disk.flip_bit(&file, offset + 40, 0).unwrap();
            let folder = disk.root().folder("one").unwrap();
            let shared = read_before(&channel(), folder, index, BlockNumber(damaged), 300).unwrap();
            let reader = BlockReader::new(shared);
            assert_eq!(reader.height(), Height(damaged));
            let read: Result<Vec<_>, _> = reader.iter(BlockNumber(0)).collect();
            assert_eq!(read.unwrap(), chain(damaged), "index: {knows}");
        }
    }
}

#[test]
fn a_torn_tail_is_cut_off_and_the_next_start_finds_nothing_to_do() {
    let disk = SimDisk::new(1);
    let mut store = open(&disk);
    append_all(&mut store, &chain(3));
    store.sync().unwrap();
    let (file, offset) = place_of(&store, 2);
    drop(store);
    let folder = disk.root().folder("one").unwrap();
    let name = file.file_name().unwrap().to_string_lossy().into_owned();
    let torn = folder.open(&name).unwrap();
    let len = torn.len().unwrap();
    torn.truncate(len - 1).unwrap();
    let store = open(&disk);
    let expected = TornTail {
        file,
        offset,
        bytes: len - 1 - offset,
    };
    assert_eq!(store.recovery().torn, Some(expected));
    assert_eq!(read_all(&store), chain(2));
    drop(store);
    assert_eq!(open(&disk).recovery().torn, None);
}

#[test]
fn reads_do_not_need_the_index() {
    let disk = SimDisk::new(1);
    let index = Arc::new(MemoryIndex::default());
    let mut store = try_open(&disk, &index).unwrap();
    append_all(&mut store, &chain(30));
    store.sync().unwrap();
    store.shared.places.hand_over();
    index.forget(&channel()).unwrap();
    assert_eq!(read_all(&store), chain(30));
    let wrong = Place {
        segment: BlockNumber(0),
        offset: 3,
        len: 90,
    };
    index.insert(&channel(), BlockNumber(0), &[wrong; 30]).unwrap();
    assert_eq!(read_all(&store), chain(30));
}

#[test]
fn a_chain_is_verified_from_disk_to_its_first_fault() {
    let disk = SimDisk::new(1);
    let mut store = open(&disk);
    append_all(&mut store, &chain(10));
    store.sync().unwrap();
    let mut checked = 0;
    let height = crate::verify_chain(&store.reader(), |_| checked += 1).unwrap();
    assert_eq!((height, checked), (Height(10), 10));
    let (file, offset) = place_of(&store, 9);
    disk.flip_bit(&file, offset + 50, 1).unwrap();
    let error = crate::verify_chain(&store.reader(), |_| ()).unwrap_err();
    assert!(matches!(error, crate::VerifyError::Read(_)), "{error}");
}

#[test]
fn a_block_whose_entries_are_not_those_of_its_header_is_found() {
    let mut store = open(&SimDisk::new(1));
    let mut lying = chain(1)[0].decode().unwrap();
    lying.data.as_mut().unwrap().data[0] = Bytes::from_static(b"other");
    store.append(&SealedBlock::seal(&lying).unwrap()).unwrap();
    store.sync().unwrap();
    let error = crate::verify_chain(&store.reader(), |_| ()).unwrap_err();
    assert!(matches!(
        error,
        crate::VerifyError::DataHash {
            number: BlockNumber(0)
        }
    ));
}
