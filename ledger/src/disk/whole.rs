//! Small files that are written as a whole: a join block, a raft id.

use std::io;

use super::{Directory, read_exact_at};

/// How the name of a file ends while it is being written.
const UNFINISHED_SUFFIX: &str = ".tmp";

/// Writes the file `name`; once this returns it survives a crash. A crash before leaves the file that was
/// there, or none; never a part.
pub fn write_whole(folder: &dyn Directory, name: &str, content: &[u8]) -> io::Result<()> {
    let unfinished = format!("{name}{UNFINISHED_SUFFIX}");
    remove_if_there(folder, &unfinished)?;
    let file = folder.create(&unfinished)?;
    file.write_at(0, &[content])?;
    file.sync()?;
    folder.rename(&unfinished, name)?;
    folder.sync_dir()
}

/// The content of the file `name`, if there is one. A file of more than `bytes_max` bytes is an error.
pub fn read_whole(folder: &dyn Directory, name: &str, bytes_max: usize) -> io::Result<Option<Vec<u8>>> {
    let file = match folder.open(name) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    let len = usize::try_from(file.len()?).unwrap_or(usize::MAX);
    if len > bytes_max {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    let mut content = vec![0; len];
    read_exact_at(&*file, 0, &mut content)?;
    Ok(Some(content))
}

/// Removes the file `name`, if there is one; durable when it returns.
pub fn remove_whole(folder: &dyn Directory, name: &str) -> io::Result<()> {
    remove_if_there(folder, name)?;
    folder.sync_dir()
}

fn remove_if_there(folder: &dyn Directory, name: &str) -> io::Result<()> {
    match folder.remove_file(name) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::SimDisk;

    fn read(disk: &SimDisk) -> Option<Vec<u8>> {
        read_whole(&*disk.root(), "f", 100).unwrap()
    }

    #[test]
    fn a_crash_leaves_the_old_file_or_the_new_one_and_after_the_call_the_new_one() {
        let (mut old, mut new) = (0, 0);
        for seed in 0..300 {
            let disk = SimDisk::new(seed);
            write_whole(&*disk.root(), "f", b"old").unwrap();
            disk.stop_after(1 + seed % 8);
            let written = write_whole(&*disk.root(), "f", b"new one").is_ok();
            disk.crash();
            let content = read(&disk).expect("the file is gone");
            match content.as_slice() {
                b"old" => old += 1,
                b"new one" => new += 1,
                other => panic!("seed {seed}: {other:?}"),
            }
            assert!(!written || content == b"new one", "seed {seed}: written and lost");
            write_whole(&*disk.root(), "f", b"again").unwrap();
            assert_eq!(read(&disk).unwrap(), b"again");
        }
        assert!(old > 20 && new > 20);
    }

    #[test]
    fn a_removed_file_stays_away_and_a_long_one_is_not_read() {
        let disk = SimDisk::new(1);
        write_whole(&*disk.root(), "f", &[1; 101]).unwrap();
        let error = read_whole(&*disk.root(), "f", 100).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
        remove_whole(&*disk.root(), "f").unwrap();
        remove_whole(&*disk.root(), "f").unwrap();
        disk.crash();
        assert_eq!(read(&disk), None);
    }
}
