use super::*;

/// The content of file `f`, if it is there.
fn survivor(disk: &SimDisk) -> Option<Vec<u8>> {
    let file = disk.root().open("f").ok()?;
    let mut bytes = vec![0; usize::try_from(file.len().unwrap()).unwrap()];
    file.read_at(0, &mut bytes).unwrap();
    Some(bytes)
}

#[test]
fn it_passes_the_suite() {
    let mut seed = 0;
    crate::suite::run(|| {
        seed += 1;
        SimDisk::new(seed).root()
    });
}

#[test]
fn what_was_synced_survives_every_crash_and_the_rest_may_not() {
    let (mut lost, mut kept, mut torn, mut nameless) = (0, 0, 0, 0);
    for seed in 0..400 {
        let disk = SimDisk::new(seed);
        let root = disk.root();
        let file = root.create("f").unwrap();
        file.write_at(0, &[&[1; 700]]).unwrap();
        file.sync().unwrap();
        if seed >= 200 {
            root.sync_dir().unwrap();
        }
        file.write_at(700, &[&[2; 2000]]).unwrap();
        disk.crash();
        let Some(bytes) = survivor(&disk) else {
            assert!(seed < 200, "a synced name is gone");
            nameless += 1;
            continue;
        };
        assert_eq!(bytes[..700], [1; 700]);
        let rest = &bytes[700..];
        match rest.len() {
            0 => lost += 1,
            2000 if rest.iter().all(|byte| *byte == 2) => kept += 1,
            _ => torn += 1,
        }
    }
    assert!(lost > 20 && kept > 20 && torn > 20 && nameless > 20);
}

#[test]
fn the_same_seed_gives_the_same_crash() {
    let run = |seed| {
        let disk = SimDisk::new(seed);
        let file = disk.root().create("f").unwrap();
        disk.root().sync_dir().unwrap();
        file.write_at(0, &[&[9; 5000]]).unwrap();
        disk.crash();
        survivor(&disk)
    };
    for seed in 0..50 {
        assert_eq!(run(seed), run(seed));
    }
}

#[test]
fn handles_from_before_a_crash_do_not_work_and_locks_are_free() {
    let disk = SimDisk::new(3);
    let root = disk.root();
    let file = root.create("f").unwrap();
    let held = root.lock("l").unwrap();
    disk.crash();
    assert!(file.write_at(0, &[b"x"]).is_err() && file.len().is_err() && root.list().is_err());
    let again = disk.root().lock("l").unwrap();
    drop(held);
    assert!(disk.root().lock("l").is_err(), "an old guard freed a new lock");
    drop(again);
}

#[test]
fn a_full_disk_takes_a_part_and_says_so() {
    for seed in 0..20 {
        let disk = SimDisk::new(seed);
        let file = disk.root().create("f").unwrap();
        disk.set_capacity(Some(10));
        file.write_at(0, &[b"12345678"]).unwrap();
        let error = file.write_at(8, &[b"9abc"]).unwrap_err();
        assert!(crate::disk::is_disk_full(&error));
        assert!((8..=10).contains(&disk.used()));
        disk.set_capacity(None);
        file.write_at(8, &[b"9abc"]).unwrap();
    }
}

#[test]
fn a_failed_sync_loses_what_it_should_have_synced() {
    let disk = SimDisk::new(5);
    let file = disk.root().create("f").unwrap();
    disk.root().sync_dir().unwrap();
    file.write_at(0, &[b"abc"]).unwrap();
    disk.inject(Fault::Sync);
    file.sync().unwrap_err();
    file.sync().unwrap();
    disk.crash();
    assert_eq!(survivor(&disk).unwrap(), b"\0\0\0");
}

#[test]
fn a_stopped_disk_does_nothing_until_the_crash() {
    let disk = SimDisk::new(5);
    let root = disk.root();
    disk.stop_after(2);
    root.create("a").unwrap();
    assert!(root.create("b").is_err() && root.list().is_err() && disk.has_stopped());
    disk.crash();
    disk.root().create("c").unwrap();
}
