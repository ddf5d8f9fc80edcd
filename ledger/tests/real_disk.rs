//! The data folder on the operating system's disk, with the index on disk too.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use bytes::Bytes;
use ledger::disk::RealDisk;
use ledger::{
    BlockStore, FactoryError, FolderFault, IndexState, LedgerFactory, LedgerOptions, OpenError, RemoveError,
    StoreError,
};
use protos::{BlockNumber, ChannelId, Height, SealedBlock};

fn channel(name: &str) -> ChannelId {
    ChannelId::parse(name).unwrap()
}

fn options(location: &Path) -> LedgerOptions {
    LedgerOptions {
        segment_bytes_max: 20_000,
        cache_bytes_max: 2000,
        ..LedgerOptions::at(location)
    }
}

fn open(location: &Path) -> LedgerFactory {
    LedgerFactory::open(options(location)).unwrap()
}

/// Appends `count` blocks of 100 bytes and a bit, in groups of ten.
fn grow(store: &mut BlockStore, count: u64) {
    let tip = store.reader().tip().unwrap();
    let mut previous = tip.map_or([0; 32], |block| *block.hash());
    for _ in 0..count {
        let number = store.next_number();
        let block = protos::block::next(number, &previous, vec![Bytes::from(vec![3; 100])]);
        let sealed = SealedBlock::seal(&block).unwrap();
        previous = *sealed.hash();
        store.append(&sealed).unwrap();
        if number.0.is_multiple_of(10) {
            store.sync().unwrap();
        }
    }
    store.sync().unwrap();
}

fn read(store: &BlockStore) -> usize {
    let blocks = store.reader().iter(BlockNumber(0));
    blocks.map(Result::unwrap).count()
}

#[test]
fn the_real_disk_passes_the_suite() {
    let folder = tempfile::tempdir().unwrap();
    let mut count = 0;
    ledger::suite::run(|| {
        count += 1;
        RealDisk::open(&folder.path().join(format!("{count}/with/parents"))).unwrap()
    });
}

#[test]
fn a_reopened_folder_reads_nothing_again() {
    let folder = tempfile::tempdir().unwrap();
    for round in 1..4 {
        let factory = open(folder.path());
        assert_eq!(factory.index_state(), &IndexState::Opened);
        for name in ["one", "two"] {
            let mut store = factory.open_channel(&channel(name)).unwrap();
            assert_eq!(store.recovery().reindexed, 0, "round {round}, {name}");
            grow(&mut store, 500);
            assert_eq!(read(&store), 500 * round);
        }
    }
}

#[test]
fn a_missing_or_spoilt_index_is_rebuilt() {
    let folder = tempfile::tempdir().unwrap();
    grow(
        &mut open(folder.path()).open_channel(&channel("one")).unwrap(),
        2000,
    );
    let index = folder.path().join("index");
    let database = index.join("db");
    let len = fs::metadata(&database).unwrap().len();
    let spoil: [&dyn Fn(); 3] = [
        &|| fs::remove_dir_all(&index).unwrap(),
        &|| fs::write(&database, vec![0xa5; usize::try_from(len).unwrap()]).unwrap(),
        &|| {
            let file = fs::File::options().write(true).open(&database).unwrap();
            file.set_len(len / 3).unwrap();
        },
    ];
    for (round, spoil) in spoil.iter().enumerate() {
        spoil();
        let factory = open(folder.path());
        let state = factory.index_state();
        assert!(
            !matches!(state, IndexState::InMemory { .. }),
            "round {round}: {state:?}"
        );
        let store = factory.open_channel(&channel("one")).unwrap();
        assert!(store.recovery().reindexed > 0, "round {round}: {state:?}");
        assert_eq!(read(&store), 2000);
        drop((store, factory));
        let factory = open(folder.path());
        let store = factory.open_channel(&channel("one")).unwrap();
        let again = store.recovery().reindexed;
        assert_eq!(again, 0, "round {round}: {:?}", factory.index_state());
    }
}

#[test]
fn a_second_user_of_the_folder_is_told_so() {
    let folder = tempfile::tempdir().unwrap();
    let first = open(folder.path());
    let error = LedgerFactory::open(options(folder.path())).unwrap_err();
    assert!(matches!(error, FactoryError::Locked { .. }));
    let text = format!("{} is in use by another process", folder.path().display());
    assert_eq!(error.to_string(), text);
    drop(first);
    open(folder.path());
}

#[test]
fn nobody_else_can_read_what_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let location = folder.path().join("a/b");
    grow(&mut open(&location).open_channel(&channel("one")).unwrap(), 5);
    let mut to_visit = vec![folder.path().join("a")];
    while let Some(path) = to_visit.pop() {
        let data = fs::metadata(&path).unwrap();
        assert_eq!(data.permissions().mode() & 0o077, 0, "{}", path.display());
        // sled makes files as it likes; their folder is closed.
        if data.is_dir() && !path.ends_with("index") {
            to_visit.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
}

/// Every path below `root` with its content.
fn picture(root: &Path) -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    let mut to_visit = vec![root.to_owned()];
    while let Some(path) = to_visit.pop() {
        if path.is_dir() {
            to_visit.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            all.push((path.display().to_string(), Vec::new()));
        } else {
            all.push((path.display().to_string(), fs::read(&path).unwrap()));
        }
    }
    all.sort();
    all
}

#[test]
fn a_channel_of_the_reference_implementation_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let foreign = folder.path().join("chains/theirs");
    fs::create_dir_all(&foreign).unwrap();
    fs::write(foreign.join("blockfile_000000"), b"blocks").unwrap();
    fs::create_dir_all(folder.path().join("pendingops/remove")).unwrap();
    // Somebody put it into a folder of ours.
    fs::write(folder.path().join("ordain.lock"), b"").unwrap();
    for marked in [false, true] {
        if marked {
            fs::write(folder.path().join("pendingops/remove/theirs.remove"), b"").unwrap();
        }
        let before = picture(&foreign);
        let factory = open(folder.path());
        assert_eq!(factory.channels(), [channel("theirs")]);
        let text = factory.open_channel(&channel("theirs")).unwrap_err().to_string();
        assert!(
            text.contains("chains/theirs/blockfile_000000 is a block file of the reference"),
            "{text}"
        );
        assert!(matches!(
            factory.remove(&channel("theirs")),
            Err(RemoveError::Folder {
                source: FolderFault::Foreign { .. },
                ..
            })
        ));
        grow(&mut factory.open_channel(&channel("ours")).unwrap(), 3);
        factory.remove(&channel("ours")).unwrap();
        assert_eq!(picture(&foreign), before);
    }
}

#[test]
fn a_data_folder_of_the_reference_implementation_is_refused_and_nothing_in_it_changes() {
    let folder = tempfile::tempdir().unwrap();
    let chain = folder.path().join("chains/theirs");
    fs::create_dir_all(&chain).unwrap();
    fs::write(chain.join("blockfile_000000"), b"blocks").unwrap();
    let error = LedgerFactory::open(options(folder.path())).unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("orderer ledger import --fabric") && text.contains("nothing was changed"),
        "{text}"
    );
    let names: Vec<_> = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names, ["chains"]);
    assert_eq!(fs::read(chain.join("blockfile_000000")).unwrap(), b"blocks");
}

#[test]
fn an_index_of_the_reference_implementation_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let index = folder.path().join("index");
    fs::create_dir_all(&index).unwrap();
    fs::write(index.join("CURRENT"), b"MANIFEST-000001\n").unwrap();
    let before = picture(&index);
    let error = LedgerFactory::open(options(folder.path())).unwrap_err();
    assert!(matches!(error, FactoryError::Foreign { file, .. } if file == index.join("CURRENT")));
    assert_eq!(picture(&index), before);
}

#[test]
fn one_damaged_channel_does_not_keep_the_others_from_opening() {
    let folder = tempfile::tempdir().unwrap();
    let factory = open(folder.path());
    for name in ["bad", "good"] {
        grow(&mut factory.open_channel(&channel(name)).unwrap(), 50);
    }
    drop(factory);
    fs::remove_dir_all(folder.path().join("index")).unwrap();
    let file = folder.path().join("chains/bad/blocks-00000000000000000000.v1");
    let mut bytes = fs::read(&file).unwrap();
    bytes[1000] ^= 1;
    fs::write(&file, &bytes).unwrap();
    let factory = open(folder.path());
    let error = factory.open_channel(&channel("bad")).unwrap_err();
    let OpenError::Store {
        source: StoreError::Damaged(damage),
        ..
    } = error
    else {
        panic!("{error}");
    };
    assert_eq!(damage.file, file);
    assert!((1000 - 300..=1000).contains(&damage.offset));
    assert_eq!(read(&factory.open_channel(&channel("good")).unwrap()), 50);
    assert_eq!(fs::read(&file).unwrap(), bytes, "a damaged file was changed");
    factory.remove(&channel("bad")).unwrap();
    assert_eq!(factory.open_channel(&channel("bad")).unwrap().height(), Height(0));
}

#[test]
fn a_removal_that_an_earlier_process_began_is_finished() {
    let folder = tempfile::tempdir().unwrap();
    grow(
        &mut open(folder.path()).open_channel(&channel("one")).unwrap(),
        30,
    );
    let marker = folder.path().join("pendingops/remove/one.remove");
    fs::write(&marker, b"").unwrap();
    let factory = open(folder.path());
    assert!(factory.channels().is_empty());
    assert!(!marker.exists() && !folder.path().join("chains/one").exists());
    let mut store = factory.open_channel(&channel("one")).unwrap();
    assert_eq!(store.height(), Height(0));
    grow(&mut store, 3);
}

#[test]
fn an_empty_channel_folder_is_a_chain_of_height_0_even_if_the_index_knows_more() {
    let folder = tempfile::tempdir().unwrap();
    grow(
        &mut open(folder.path()).open_channel(&channel("one")).unwrap(),
        30,
    );
    let chain = folder.path().join("chains/one");
    fs::remove_dir_all(&chain).unwrap();
    fs::create_dir(&chain).unwrap();
    let factory = open(folder.path());
    let mut store = factory.open_channel(&channel("one")).unwrap();
    assert_eq!(store.height(), Height(0));
    grow(&mut store, 3);
    assert_eq!(read(&store), 3);
}
