//! The signals of the process, on a thread of their own: they are answered whatever the node is busy with.
//!
//! | signal | what happens |
//! |---|---|
//! | SIGTERM, SIGINT | the node ends in order ([`shutdown`](crate::shutdown)); the second one ends it at once |
//! | SIGUSR1 | a report of threads and tasks goes to the log ([`report`]) |
//! | SIGHUP | files are read again |
//! | SIGQUIT | the report, then the end at once with [`QUIT_STATUS`] |
//!
//! A process that is ended at once has the exit status that a shell gives to one that a signal has killed: 128 and
//! the signal's number. What it has acknowledged as durable, is.

use std::io;
use std::sync::{Arc, OnceLock};
use std::thread;

use tokio::runtime::{Builder, Handle};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use crate::report;
use crate::server::LOGGER;

/// Exit status after SIGQUIT, as after a failure of the node.
pub const QUIT_STATUS: u8 = 2;
/// Added to the signal's number when a second one ends the process.
const KILLED_STATUS: i32 = 128;

/// What signals ask of a node that runs.
pub trait Answering: Send + Sync {
    /// Reads its files again.
    fn reload(&self);

    /// Its listeners, channels and tasks, in lines.
    fn describe(&self) -> String;
}

/// The signals this process handles.
#[derive(Debug)]
pub struct Signals {
    node: Arc<Asked>,
    ended: watch::Receiver<bool>,
}

/// Who answers.
#[derive(Default)]
struct Asked(OnceLock<(Arc<dyn Answering>, Handle)>);

impl std::fmt::Debug for Asked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Asked({})", self.0.get().is_some())
    }
}

impl Signals {
    /// Takes the signals from their default actions.
    pub fn install() -> io::Result<Self> {
        let node = Arc::<Asked>::default();
        let (end, ended) = watch::channel(false);
        let runtime = Builder::new_current_thread().enable_io().build()?;
        let streams = runtime.block_on(async { Streams::open() })?;
        let listening = Listening {
            streams,
            node: Arc::clone(&node),
            end,
        };
        thread::Builder::new()
            .name("signals".to_owned())
            .spawn(move || runtime.block_on(listening.listen()))?;
        Ok(Self { node, ended })
    }

    /// From now on `node` answers, whose tasks run on the present runtime.
    pub fn serve(&self, node: Arc<dyn Answering>) {
        // There is one node in a process.
        let _ = self.node.0.set((node, Handle::current()));
    }

    /// Ready when the process is asked to end.
    pub async fn ended(&mut self) {
        if self.ended.wait_for(|ended| *ended).await.is_err() {
            // The thread is gone, which leaves nobody to end the node; the signals have no default action any more.
            tracing::error!(target: LOGGER, "signals are not heard any more: ending");
        }
    }
}

/// One stream for each signal.
struct Streams {
    terminate: Signal,
    interrupt: Signal,
    report: Signal,
    reload: Signal,
    quit: Signal,
}

impl Streams {
    fn open() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            report: signal(SignalKind::user_defined1())?,
            reload: signal(SignalKind::hangup())?,
            quit: signal(SignalKind::quit())?,
        })
    }

    async fn next(&mut self) -> Received {
        tokio::select! {
            _ = self.terminate.recv() => Received::End { number: 15, name: "terminated" },
            _ = self.interrupt.recv() => Received::End { number: 2, name: "interrupt" },
            _ = self.report.recv() => Received::Report,
            _ = self.reload.recv() => Received::Reload,
            _ = self.quit.recv() => Received::Quit,
        }
    }
}

enum Received {
    End { number: i32, name: &'static str },
    Report,
    Reload,
    Quit,
}

/// The thread.
struct Listening {
    streams: Streams,
    node: Arc<Asked>,
    end: watch::Sender<bool>,
}

impl Listening {
    async fn listen(mut self) {
        loop {
            match self.streams.next().await {
                Received::End { number, name } => self.end(number, name),
                Received::Report => {
                    tracing::info!(target: LOGGER, "Received signal: 10 (user defined signal 1)");
                    self.report();
                }
                Received::Reload => {
                    tracing::info!(target: LOGGER, "Received signal: 1 (hangup)");
                    self.reload();
                }
                Received::Quit => {
                    tracing::info!(target: LOGGER, "Received signal: 3 (quit)");
                    self.report();
                    std::process::exit(i32::from(QUIT_STATUS));
                }
            }
        }
    }

    fn end(&self, number: i32, name: &str) {
        tracing::info!(target: LOGGER, "Received signal: {number} ({name})");
        if self.end.send_replace(true) {
            tracing::warn!(target: LOGGER, "asked to end again before the end: ending at once");
            std::process::exit(KILLED_STATUS + number);
        }
    }

    fn report(&self) {
        match self.node.0.get() {
            Some((node, runtime)) => report::write(Some((&**node, runtime))),
            None => report::write(None),
        }
    }

    fn reload(&self) {
        if let Some((node, runtime)) = self.node.0.get() {
            // It may start tasks.
            let _entered = runtime.enter();
            node.reload();
        }
    }
}
