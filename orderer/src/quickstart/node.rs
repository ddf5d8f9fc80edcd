//! A node as a process of its own, which never outlives this one.
//!
//! Four things end it: [`Node::stop`] asks it to (SIGTERM); [`Node::kill`] and dropping the [`Node`] kill it; and when this process
//! is gone without having done either, the node notices the end of its standard input and stops by itself.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, getpid, kill_process};
use tokio::process::{Child, ChildStdin, Command};
use tokio::time::{Instant, sleep, timeout};

use super::layout::NodeFiles;
use crate::shutdown;

/// What a node's log says when it serves.
const READY: &str = "Beginning to serve requests";
/// A start takes longest after a crash with a large folder.
const START_TIME_MAX: Duration = Duration::from_mins(1);
/// How often the log of a starting node is looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);
/// A node bounds its own end; a little more, and it hangs.
const STOP_TIME_MAX: Duration = shutdown::TIME_MAX.saturating_add(Duration::from_secs(3));
/// How much of a log an error shows.
const TAIL_LINES_MAX: usize = 12;
const TAIL_BYTES_MAX: u64 = 16 << 10;

/// The argument by which a node is told to stop when its standard input ends.
const ARGUMENT: &str = "--until-stdin-ends";

/// What went wrong with a node's process.
#[derive(Debug, thiserror::Error)]
pub(super) enum NodeError {
    /// It cannot be started.
    #[error("cannot start {}: {source}", program.display())]
    Start {
        /// This program, or the log file.
        program: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It ended by itself.
    #[error("{name} died: {how}")]
    Died {
        /// Which node.
        name: String,
        /// Exit status or signal.
        how: String,
        /// Its log.
        log: LogEnd,
    },
    /// It does not get ready.
    #[error("{name} does not serve after {} s", START_TIME_MAX.as_secs())]
    NotReady {
        /// Which node.
        name: String,
        /// Its log.
        log: LogEnd,
    },
    /// It was asked to stop and did not, or failed over it.
    #[error("{name} did not stop in order: {how}")]
    Stop {
        /// Which node.
        name: String,
        /// How it ended.
        how: String,
        /// Its log.
        log: LogEnd,
    },
}

impl NodeError {
    /// The end of the log, where there is one.
    pub(super) fn log(&self) -> Option<&LogEnd> {
        match self {
            Self::Start { .. } => None,
            Self::Died { log, .. } | Self::NotReady { log, .. } | Self::Stop { log, .. } => Some(log),
        }
    }
}

/// The last lines of a log.
#[derive(Debug)]
pub(super) struct LogEnd {
    /// The file.
    pub file: PathBuf,
    /// Its last lines, of this run only.
    pub lines: Vec<String>,
}

/// A running node. Dropping it kills the process.
#[derive(Debug)]
pub(super) struct Node {
    name: String,
    child: Child,
    log: Log,
    /// Held open: its end is what tells the node that this process is gone.
    _input: Option<ChildStdin>,
}

impl Node {
    /// Starts this very program as a node of `files`. It is not ready yet.
    pub(super) fn start(files: &NodeFiles) -> Result<Self, NodeError> {
        let program = std::env::current_exe().map_err(|source| NodeError::Start {
            program: "this program".into(),
            source,
        })?;
        let (log, output) = Log::append(&files.log).map_err(|source| NodeError::Start {
            program: files.log.clone(),
            source,
        })?;
        let mut child = command(&program, &files.folder)
            .stderr(output)
            .spawn()
            .map_err(|source| NodeError::Start { program, source })?;
        Ok(Self {
            name: files.name.clone(),
            // Waiting for the child would close it.
            _input: child.stdin.take(),
            child,
            log,
        })
    }

    /// Its process, until it has ended.
    pub(super) fn process_id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Waits until it serves. That it died meanwhile is for [`death`](Self::death) to notice.
    pub(super) fn ready(&self) -> impl Future<Output = Result<(), NodeError>> + use<> {
        let (name, log) = (self.name.clone(), self.log.clone());
        async move {
            let deadline = Instant::now() + START_TIME_MAX;
            while !log.text().contains(READY) {
                if Instant::now() > deadline {
                    return Err(NodeError::NotReady { name, log: log.end() });
                }
                sleep(LOOK_INTERVAL).await;
            }
            Ok(())
        }
    }

    /// Ready when the process has ended although nobody asked it to.
    pub(super) async fn death(&mut self) -> NodeError {
        let how = describe(self.child.wait().await);
        NodeError::Died {
            name: self.name.clone(),
            how,
            log: self.log.end(),
        }
    }

    /// Asks it to stop, and waits for it; kills it when it takes too long.
    pub(super) async fn stop(mut self) -> Result<(), NodeError> {
        self.terminate();
        let how = match timeout(STOP_TIME_MAX, self.child.wait()).await {
            Ok(Ok(status)) if status.success() => return Ok(()),
            Ok(ended) => describe(ended),
            Err(_) => {
                // It may have ended just now; then there is nothing to kill.
                let _ = self.child.kill().await;
                format!("it was killed after {} s", STOP_TIME_MAX.as_secs())
            }
        };
        Err(NodeError::Stop {
            name: self.name.clone(),
            how,
            log: self.log.end(),
        })
    }

    /// Ends it at once, without a chance to do anything about it (SIGKILL); ready when it is gone.
    pub(super) async fn kill(mut self) {
        // It may have ended by itself; then there is nothing to kill.
        let _ = self.child.kill().await;
    }

    /// A process that ended already has no id any more, so no other process can be hit.
    fn terminate(&self) {
        let id = self.child.id().and_then(|id| i32::try_from(id).ok());
        if let Some(process) = id.and_then(Pid::from_raw) {
            let _ = kill_process(process, Signal::TERM);
        }
    }
}

fn command(program: &Path, folder: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .args(["start", ARGUMENT])
        .current_dir(folder)
        .env("FABRIC_CFG_PATH", ".")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        // A group of its own: Ctrl-C on the terminal is this process's to handle.
        .process_group(0)
        .kill_on_drop(true);
    // Settings of the surrounding shell are for some other node.
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("ORDERER_")) {
            command.env_remove(name);
        }
    }
    command
}

fn describe(ended: io::Result<ExitStatus>) -> String {
    ended.map_or_else(|error| error.to_string(), |status| status.to_string())
}

/// Makes this process stop, as by SIGTERM, when its standard input ends.
///
/// A pipe ends with the process that holds its other end, however that process ended.
pub fn stop_with_parent() {
    std::thread::spawn(|| {
        let _ = io::copy(&mut io::stdin(), &mut io::sink());
        let _ = kill_process(getpid(), Signal::TERM);
    });
}

/// The log file, and where this run begins in it.
#[derive(Clone, Debug)]
struct Log {
    file: PathBuf,
    begin: u64,
}

impl Log {
    fn append(path: &Path) -> io::Result<(Self, File)> {
        let file = File::options().append(true).create(true).open(path)?;
        let begin = fs::metadata(path)?.len();
        let log = Self {
            file: path.to_owned(),
            begin,
        };
        Ok((log, file))
    }

    /// What this run wrote; the last part of it if it is long.
    fn text(&self) -> String {
        let read = || -> io::Result<Vec<u8>> {
            let mut file = File::open(&self.file)?;
            let begin = self
                .begin
                .max(file.metadata()?.len().saturating_sub(TAIL_BYTES_MAX));
            file.seek(SeekFrom::Start(begin))?;
            let mut bytes = Vec::new();
            file.take(TAIL_BYTES_MAX).read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        read().map_or_else(
            |error| format!("cannot read {}: {error}", self.file.display()),
            |bytes| String::from_utf8_lossy(&bytes).into_owned(),
        )
    }

    fn end(&self) -> LogEnd {
        let text = self.text();
        let lines: Vec<_> = text.lines().map(str::to_owned).collect();
        LogEnd {
            file: self.file.clone(),
            lines: lines[lines.len().saturating_sub(TAIL_LINES_MAX)..].to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn the_end_of_a_log_is_of_this_run_and_short() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("orderer.log");
        fs::write(&path, "an earlier run\n").unwrap();
        let (log, mut output) = Log::append(&path).unwrap();
        assert_eq!(log.end().lines, Vec::<String>::new());
        for number in 0..1000 {
            writeln!(output, "line {number} {}", "x".repeat(100)).unwrap();
        }
        let lines = log.end().lines;
        assert_eq!(lines.len(), TAIL_LINES_MAX);
        assert!(lines[TAIL_LINES_MAX - 1].starts_with("line 999"));
        assert!(!log.text().contains("earlier"));
    }
}
