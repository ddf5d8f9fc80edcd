//! What SIGUSR1 and SIGQUIT bring to the log: everything that runs in this process.
//!
//! ```text
//! Go routines report: 61 tasks on 2 threads, 0 waiting to run
//!     threads: id, state, processor time, name, where it waits
//!       4711 S      1.204 s tokio-runtime-worker (epoll_wait)
//!     listeners, open calls, channels ...
//! ```
//!
//! The first words are those that tools look for (`docs/spec/dropin.md` §1); a program without goroutines tells of its
//! tasks and threads under them. The threads are told before the node is asked about itself, and by another thread than
//! those that work: so a node that is stuck tells at least where its threads are.

pub mod tasks;
pub mod threads;

use std::fmt::Write as _;

use tokio::runtime::Handle;

use crate::signals::Answering;

/// Logger of the reports.
const LOGGER: &str = "orderer.common.server.diag";

/// Writes the report; of the process alone while there is no node.
pub fn write(node: Option<(&dyn Answering, &Handle)>) {
    let tasks = match node {
        Some((_, runtime)) => of_runtime(runtime),
        None => "the node is starting".to_owned(),
    };
    tracing::info!(target: LOGGER, "Go routines report: {tasks}\n{}", of_threads());
    if let Some((node, _)) = node {
        tracing::info!(target: LOGGER, "What the node is doing:\n{}", node.describe());
    }
}

fn of_runtime(runtime: &Handle) -> String {
    let metrics = runtime.metrics();
    format!(
        "{} tasks on {} threads, {} waiting to run",
        metrics.num_alive_tasks(),
        metrics.num_workers(),
        metrics.global_queue_depth()
    )
}

fn of_threads() -> String {
    let threads = match threads::all() {
        Ok(threads) => threads,
        Err(error) => return format!("threads are not known: {error}"),
    };
    let mut text = format!(
        "{} threads: id, state, processor time, name, where it waits",
        threads.len()
    );
    for thread in threads {
        // Writing to a String cannot fail.
        let _ = write!(text, "\n  {thread}");
    }
    text
}
