//! Files that commands read and write whole, where standard input and output stand in for them.

use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use super::Failure;

/// Mode of a new file: a message may hold a private key.
const NEW_FILE_MODE: u32 = 0o600;

/// Where a command reads its input; standard input when no file is given.
#[derive(Debug, clap::Args)]
pub(super) struct Input {
    /// File to read; standard input if not given.
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
}

/// Where a command writes its result; standard output when no file is given.
#[derive(Debug, clap::Args)]
pub(super) struct Output {
    /// File to write, only when all went well; standard output if not given.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl Input {
    pub(super) fn read(&self) -> Result<Vec<u8>, Failure> {
        match &self.input {
            Some(path) => read(path),
            None => read_stdin(),
        }
    }
}

impl Output {
    /// This file, or standard output.
    pub(super) fn to(output: Option<PathBuf>) -> Self {
        Self { output }
    }

    pub(super) fn write(&self, content: &[u8]) -> Result<(), Failure> {
        match &self.output {
            Some(path) => replace(path, content)
                .map_err(|error| Failure::new(format!("cannot write {}: {error}", path.display()))),
            None => write_stdout(content),
        }
    }
}

pub(super) fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(path).map_err(|error| Failure::unreadable(path, &error))
}

fn read_stdin() -> Result<Vec<u8>, Failure> {
    let mut content = Vec::new();
    let read = io::stdin().lock().read_to_end(&mut content);
    read.map_err(|error| Failure::new(format!("cannot read standard input: {error}")))?;
    Ok(content)
}

pub(super) fn write_stdout(content: &[u8]) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    let written = stdout.write_all(content).and_then(|()| stdout.flush());
    written.map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::nobody_reads(),
        _ => Failure::new(format!("cannot write to standard output: {error}")),
    })
}

/// Puts `content` in place of what is at `path`, in one step: a reader sees the old file or the new one. The mode of
/// an existing file stays. What is no ordinary file, such as a pipe, is written to.
fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let existing = match fs::metadata(path) {
        Ok(existing) if !existing.is_file() => {
            return OpenOptions::new().write(true).open(path)?.write_all(content);
        }
        Ok(existing) => Some(existing.permissions()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    // The file that a link leads to is replaced, not the link.
    let path = if existing.is_some() {
        path.canonicalize()?
    } else {
        path.to_owned()
    };
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.part", std::process::id()));
    let part = path.with_file_name(name);
    let renamed = write_new(&part, content, existing).and_then(|()| fs::rename(&part, &path));
    if renamed.is_err() {
        // The first error is the one that counts.
        let _ = fs::remove_file(&part);
    }
    renamed
}

fn write_new(path: &Path, content: &[u8], permissions: Option<Permissions>) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let options = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(NEW_FILE_MODE);
    let mut file = options.open(path)?;
    file.set_permissions(permissions.unwrap_or_else(|| Permissions::from_mode(NEW_FILE_MODE)))?;
    file.write_all(content)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_new_file_is_private_and_an_old_one_keeps_its_mode() {
        let folder = tempfile::tempdir().unwrap();
        let (new, old) = (folder.path().join("new"), folder.path().join("old"));
        fs::write(&old, "before").unwrap();
        fs::set_permissions(&old, Permissions::from_mode(0o644)).unwrap();
        replace(&new, b"after").unwrap();
        replace(&old, b"after").unwrap();
        assert_eq!((mode(&new), mode(&old)), (0o600, 0o644));
        assert_eq!(fs::read(&old).unwrap(), b"after");
        assert_eq!(
            fs::read_dir(folder.path()).unwrap().count(),
            2,
            "nothing is left over"
        );
    }

    #[test]
    fn a_link_stays_and_leads_to_the_new_content() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        fs::write(&file, "before").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        replace(&link, b"after").unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read(&file).unwrap(), b"after");
    }

    #[test]
    fn what_is_no_ordinary_file_is_written_to() {
        replace(Path::new("/dev/null"), b"gone").unwrap();
        assert!(replace(Path::new("/"), b"").is_err());
        assert!(replace(Path::new("no-such-folder/file"), b"").is_err());
    }
}
