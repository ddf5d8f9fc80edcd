//! Where a case finds its files, and how it runs `ordain`.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;
use tests::fixture::binaries;

/// The folder of the cases, and an empty folder for one case.
pub(crate) struct Context {
    folder: PathBuf,
    scratch: TempDir,
}

impl Context {
    /// A context whose cases lie in `folder`.
    pub(crate) fn new(folder: &Path) -> Result<Self, String> {
        let scratch = tempfile::tempdir().map_err(|error| format!("no temporary folder: {error}"))?;
        Ok(Self {
            folder: folder.to_owned(),
            scratch,
        })
    }

    /// A path of a case, which counts from the folder of the cases, as a full path.
    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.folder.join(relative)
    }

    /// The bytes of a file that a case names.
    pub(crate) fn bytes(&self, relative: &str) -> Result<Vec<u8>, String> {
        std::fs::read(self.path(relative)).map_err(|error| format!("{relative}: {error}"))
    }

    /// A path in the case's own folder, which starts empty and goes with the context.
    pub(crate) fn scratch(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    /// `ordain`, to be run in the case's own folder.
    pub(crate) fn ordain<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Invocation {
        let mut command = Command::new(binaries::ordain());
        command.args(args).current_dir(self.scratch.path());
        Invocation(command)
    }
}

/// A call of `ordain` that has not started yet.
pub(crate) struct Invocation(Command);

impl Invocation {
    /// Runs it in another folder.
    pub(crate) fn in_folder(mut self, folder: &Path) -> Self {
        self.0.current_dir(folder);
        self
    }

    /// Adds an option with its value.
    pub(crate) fn arg(mut self, name: &str, value: &Path) -> Self {
        self.0.arg(name).arg(value);
        self
    }

    /// Sets a variable of its environment.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.0.env(name, value);
        self
    }

    /// Runs it to its end, with nothing on its standard input.
    pub(crate) fn run(mut self) -> Result<Ended, String> {
        let output = self.0.stdin(Stdio::null()).output();
        let output = output.map_err(|error| format!("ordain does not start: {error}"))?;
        Ok(Ended {
            code: output.status.code(),
            stdout: output.stdout,
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }
}

/// What a call of `ordain` left behind.
pub(crate) struct Ended {
    /// None: a signal ended it.
    code: Option<i32>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Ended {
    /// The exit code is 0.
    pub(crate) fn succeeded(&self) -> Result<(), String> {
        match self.code {
            Some(0) => Ok(()),
            _ => Err(format!("expected success, got {}", self.shown())),
        }
    }

    /// A refusal: exit code 1 or 2 (not that of a crash), and a message with every text of `must_contain`.
    pub(crate) fn refused(&self, case: &Value) -> Result<(), String> {
        if !matches!(self.code, Some(1 | 2)) {
            return Err(format!("expected a refusal, got {}", self.shown()));
        }
        let message = self.stderr.to_lowercase();
        let texts = case.get("must_contain").and_then(Value::as_array);
        for text in texts.into_iter().flatten() {
            let text = text
                .as_str()
                .ok_or("must_contain holds something that is no text")?;
            if !message.contains(&text.to_lowercase()) {
                return Err(format!("expected {text:?} in the message, got {}", self.shown()));
            }
        }
        if message.trim().is_empty() {
            return Err("refused without a message".to_owned());
        }
        Ok(())
    }

    fn shown(&self) -> String {
        let code = self
            .code
            .map_or("a signal".to_owned(), |code| format!("exit code {code}"));
        format!("{code}, {:?}", self.stderr.trim_end())
    }
}

/// A file that must not have been written, since the command failed.
pub(crate) fn not_written(path: &Path) -> Result<(), String> {
    if path.exists() {
        return Err(format!("a failed command wrote {}", path.display()));
    }
    Ok(())
}
