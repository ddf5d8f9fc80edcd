//! Threads that the writers of all channels share.
//!
//! ```text
//! BlockWriter ── schedule(channel) ──> ready ──> a thread: one turn of that channel ─┬─ idle
//!                                        ^  ^                                         ├─ again: to the end of the row
//!                                        │  └─────────────────────────────────────────┘
//!                                        └── later, when the pause is over ── paused <── later
//! ```
//!
//! A channel stands in the row once at most, and one thread at a time works for it, so its blocks keep their order.
//! Nothing sleeps on a thread: a channel that waits for room on the disk is put aside. A channel whose disk hangs
//! holds one thread, and the others go on.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

/// Most threads. They wait for the disk nearly all of their time, and syncs of many files at once cost a journaling
/// file system little more than one; hung disks beyond this number stop the others.
pub const THREADS_MAX: usize = 16;

/// A channel's writer, as the threads see it.
pub trait Work: Send + Sync {
    /// Does a bounded piece of work. Never called by two threads at a time. Must not panic.
    fn turn(&self) -> After;
}

/// What is to become of a channel after its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// It has nothing to do; it is scheduled again when that changes.
    Idle,
    /// It has more to do.
    Again,
    /// It cannot go on before this much time has passed.
    Later(Duration),
}

/// The threads. They are started as they are needed, and end with the last clone of this.
#[derive(Clone)]
pub struct WriterPool(Arc<Owner>);

/// Ends the threads when it is dropped.
struct Owner(Arc<Shared>);

#[derive(Default)]
struct Shared {
    row: Mutex<Row>,
    /// Told of each new entry, and of the end.
    changed: Condvar,
}

#[derive(Default)]
struct Row {
    ready: VecDeque<Arc<dyn Work>>,
    /// With the time at which each may go on; all pauses are about as long, so this is nearly in order of time.
    paused: Vec<(Instant, Arc<dyn Work>)>,
    threads: usize,
    idle: usize,
    ended: bool,
}

impl Default for WriterPool {
    fn default() -> Self {
        Self(Arc::new(Owner(Arc::default())))
    }
}

impl std::fmt::Debug for WriterPool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "WriterPool({} threads)", self.threads())
    }
}

impl WriterPool {
    /// Puts a channel into the row, in which it must not stand yet.
    ///
    /// # Errors
    /// There is no thread, and the operating system gives none.
    pub fn schedule(&self, work: Arc<dyn Work>) -> std::io::Result<()> {
        let shared = &self.0.0;
        let mut row = shared.row.lock();
        row.ready.push_back(work);
        if row.ready.len() > row.idle && row.threads < THREADS_MAX {
            let started = start_thread(shared, row.threads);
            match started {
                Ok(()) => row.threads += 1,
                // The threads there are do it, later.
                Err(_) if row.threads > 0 => {}
                Err(error) => {
                    row.ready.pop_back();
                    return Err(error);
                }
            }
        }
        shared.changed.notify_one();
        Ok(())
    }

    /// How many threads were started.
    pub fn threads(&self) -> usize {
        self.0.0.row.lock().threads
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.row.lock().ended = true;
        self.0.changed.notify_all();
    }
}

fn start_thread(shared: &Arc<Shared>, number: usize) -> std::io::Result<()> {
    let shared = Arc::clone(shared);
    std::thread::Builder::new()
        .name(format!("write-{number}"))
        .spawn(move || {
            while let Some(work) = shared.next() {
                let after = work.turn();
                shared.put_back(work, after);
            }
        })
        .map(drop)
}

impl Shared {
    /// The next channel that can go on; none when the pool has ended and nothing is left to do but wait.
    fn next(&self) -> Option<Arc<dyn Work>> {
        let mut row = self.row.lock();
        loop {
            let now = Instant::now();
            if let Some(work) = row.take(now) {
                return Some(work);
            }
            if row.ended {
                return None;
            }
            row.idle += 1;
            match row.next_pause_ends() {
                Some(at) => drop(self.changed.wait_until(&mut row, at)),
                None => self.changed.wait(&mut row),
            }
            row.idle -= 1;
        }
    }

    fn put_back(&self, work: Arc<dyn Work>, after: After) {
        let mut row = self.row.lock();
        match after {
            // Dropped outside of the lock: with the last holder of a channel its ledger is closed.
            After::Idle => {
                drop(row);
                drop(work);
            }
            After::Again => row.ready.push_back(work),
            After::Later(pause) => {
                row.paused.push((Instant::now() + pause, work));
                // Whoever waits without a bound must learn of this one.
                self.changed.notify_one();
            }
        }
    }
}

impl Row {
    fn take(&mut self, now: Instant) -> Option<Arc<dyn Work>> {
        let due = self.paused.iter().position(|(at, _)| *at <= now);
        match due {
            Some(due) => Some(self.paused.remove(due).1),
            None => self.ready.pop_front(),
        }
    }

    fn next_pause_ends(&self) -> Option<Instant> {
        self.paused.iter().map(|(at, _)| *at).min()
    }
}

#[cfg(test)]
mod tests;
