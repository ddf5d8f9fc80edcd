//! Requests kept as files, for looking at what clients really send (`Debug.BroadcastTraceDir`,
//! `Debug.DeliverTraceDir`).
//!
//! Each request is one file with the bytes as they came, named `<nanoseconds since 1970>_<number>.Broadcast` or
//! `.Deliver`. A thread of its own writes them from a bounded queue: a disk that is slow or full costs files, never a
//! client's time and never more memory than `QUEUE_BYTES_MAX`. What is lost is counted and said now and then.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use crossbeam_channel::{Receiver, Sender};

use crate::logging::seldom::{Seldom, more};
use crate::server::LOGGER;

/// Requests that may wait.
const QUEUE_MAX: usize = 4096;
/// And their bytes.
const QUEUE_BYTES_MAX: usize = 32 << 20;
/// How often it is said that requests are not kept.
const SAID_TIME: Duration = Duration::from_secs(10);

/// A folder that requests are kept in. Clones share it.
#[derive(Clone, Debug)]
pub struct Trace(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    folder: PathBuf,
    /// End of the files' names.
    function: &'static str,
    queue: Sender<Request>,
    queued_bytes: Arc<AtomicUsize>,
    number: AtomicU64,
    said: Arc<Said>,
}

#[derive(Debug)]
struct Said {
    folder: PathBuf,
    kinds: Seldom<&'static str>,
}

#[derive(Debug)]
struct Request {
    name: String,
    bytes: Bytes,
}

impl Trace {
    /// Makes the folder and begins to keep requests there. One that cannot be made is tried again with each request.
    ///
    /// # Errors
    /// There is no thread for it.
    pub fn start(folder: PathBuf, function: &'static str) -> io::Result<Self> {
        let (queue, queued) = crossbeam_channel::bounded(QUEUE_MAX);
        let queued_bytes = Arc::<AtomicUsize>::default();
        let said = Arc::new(Said {
            folder: folder.clone(),
            kinds: Seldom::new(1, SAID_TIME),
        });
        let writer = Writer {
            folder: folder.clone(),
            queued,
            queued_bytes: Arc::clone(&queued_bytes),
            said: Arc::clone(&said),
        };
        thread::Builder::new()
            .name("trace".to_owned())
            .spawn(move || writer.run())?;
        tracing::warn!(
            target: LOGGER,
            "every {function} request is kept as a file in {}: for looking into a problem, not for long",
            folder.display()
        );
        Ok(Self(Arc::new(Shared {
            folder,
            function,
            queue,
            queued_bytes,
            number: AtomicU64::new(0),
            said,
        })))
    }

    /// Where they are kept.
    pub fn folder(&self) -> &PathBuf {
        &self.0.folder
    }

    /// Keeps a request, if there is room for it. Never waits.
    pub fn keep(&self, request: &Bytes) {
        let shared = &*self.0;
        let number = shared.number.fetch_add(1, Ordering::Relaxed);
        let nanos = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_nanos());
        let name = format!("{nanos}_{number:#x}.{}", shared.function);
        let bytes = request.clone();
        let size = bytes.len();
        let waiting = shared.queued_bytes.fetch_add(size, Ordering::Relaxed);
        let has_room = waiting == 0 || waiting + size <= QUEUE_BYTES_MAX;
        if !has_room || shared.queue.try_send(Request { name, bytes }).is_err() {
            shared.queued_bytes.fetch_sub(size, Ordering::Relaxed);
            shared.said.lost("they come faster than they are written");
        }
    }
}

impl Said {
    fn lost(&self, reason: &'static str) {
        self.lost_for(reason, reason);
    }

    fn lost_for(&self, kind: &'static str, reason: &str) {
        if let Some(kept_back) = self.kinds.tell(kind, Instant::now()) {
            let (folder, more) = (self.folder.display(), more(kept_back));
            tracing::warn!(target: LOGGER, "a request is not kept in {folder}: {reason}{more}");
        }
    }
}

/// The thread.
struct Writer {
    folder: PathBuf,
    queued: Receiver<Request>,
    queued_bytes: Arc<AtomicUsize>,
    said: Arc<Said>,
}

impl Writer {
    fn run(self) {
        // Early, so that a wrong path is said at the start.
        if let Err(error) = fs::create_dir_all(&self.folder) {
            self.said.lost_for("folder", &error.to_string());
        }
        for request in &self.queued {
            if let Err(error) = self.write(&request) {
                self.said.lost_for("write", &error.to_string());
            }
            self.queued_bytes
                .fetch_sub(request.bytes.len(), Ordering::Relaxed);
        }
    }

    /// What was begun and cannot be finished is taken away again: half a request would mislead.
    fn write(&self, request: &Request) -> io::Result<()> {
        let path = self.folder.join(&request.name);
        let open = || {
            OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&path)
        };
        let mut file = match open() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                fs::create_dir_all(&self.folder)?;
                open()?
            }
            opened => opened?,
        };
        file.write_all(&request.bytes).inspect_err(|_| {
            // Nothing more can be done about it.
            let _ = fs::remove_file(&path);
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(folder: &std::path::Path) -> Vec<PathBuf> {
        let entries = fs::read_dir(folder).into_iter().flatten();
        let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files
    }

    fn until(holds: impl Fn() -> bool) {
        let began = Instant::now();
        while !holds() {
            assert!(
                began.elapsed() < Duration::from_secs(10),
                "it does not come about"
            );
            thread::sleep(Duration::from_millis(2));
        }
    }

    #[test]
    fn each_request_is_a_file_of_its_own_with_its_bytes() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("deep/traces");
        let trace = Trace::start(folder.clone(), "Broadcast").unwrap();
        for text in ["one", "two"] {
            trace.keep(&Bytes::from(text));
        }
        until(|| files(&folder).len() == 2 && trace.0.queued_bytes.load(Ordering::Relaxed) == 0);
        let mut texts = Vec::new();
        for file in files(&folder) {
            let name = file.file_name().unwrap().to_str().unwrap().to_owned();
            let (time, rest) = name.split_once('_').unwrap();
            assert!(
                time.parse::<u128>().unwrap() > 0 && rest.starts_with("0x"),
                "{name}"
            );
            assert!(rest.ends_with(".Broadcast"), "{name}");
            texts.push(fs::read_to_string(file).unwrap());
        }
        assert_eq!(texts, ["one", "two"]);
    }

    #[test]
    fn a_folder_that_cannot_be_written_costs_files_and_nothing_else() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("traces");
        // Where the folder should be is a file.
        fs::write(&folder, b"in the way").unwrap();
        let trace = Trace::start(folder.clone(), "Deliver").unwrap();
        let large = Bytes::from(vec![0; 1 << 20]);
        for _ in 0..1000 {
            trace.keep(&large);
        }
        until(|| trace.0.queued_bytes.load(Ordering::Relaxed) == 0);
        assert_eq!(fs::read(&folder).unwrap(), b"in the way");
        fs::remove_file(&folder).unwrap();
        trace.keep(&Bytes::from("it works again"));
        until(|| files(&folder).len() == 1);
    }

    #[test]
    fn what_waits_is_bounded() {
        // Nobody takes anything out.
        let (queue, _queued) = crossbeam_channel::bounded(QUEUE_MAX);
        let folder = PathBuf::from("nowhere");
        let trace = Trace(Arc::new(Shared {
            folder: folder.clone(),
            function: "Broadcast",
            queue,
            queued_bytes: Arc::default(),
            number: AtomicU64::new(0),
            said: Arc::new(Said {
                folder,
                kinds: Seldom::new(1, SAID_TIME),
            }),
        }));
        let large = Bytes::from(vec![0; 1 << 20]);
        for _ in 0..100 {
            trace.keep(&large);
        }
        assert_eq!(trace.0.queued_bytes.load(Ordering::Relaxed), QUEUE_BYTES_MAX);
        for _ in 0..2 * QUEUE_MAX {
            trace.keep(&Bytes::new());
        }
        assert_eq!(trace.0.queue.len(), QUEUE_MAX);
    }
}
