//! How texts come to the terminal: lines on stdout, errors and what moves on stderr.

use std::io::{IsTerminal as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use client::load::Progress;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::error::QuickstartError;
use super::members::Members;
use super::{report, table};

/// How often a bar moves.
const BAR_INTERVAL: Duration = Duration::from_millis(50);
/// How often a line tells how far it is, where there is no terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(1);
const BAR: &str = "load      {msg} {wide_bar} {human_pos}/{human_len} ";

/// Where everything is said. Clones share what moves.
#[derive(Clone)]
pub(super) struct Screen {
    /// None: no terminal.
    moving: Option<MultiProgress>,
}

/// Prints what went wrong and what to do about it.
pub(super) fn print_error(error: &QuickstartError) {
    let _ = std::io::stderr().write_all(report::failure(error).as_bytes());
}

impl Screen {
    pub(super) fn new() -> Self {
        let moving = std::io::stderr().is_terminal().then(MultiProgress::new);
        Self { moving }
    }

    /// Prints `text` and a line end, above what moves.
    pub(super) fn print(&self, text: &str) {
        // Whoever closed our output does not want to know.
        let print = || drop(writeln!(std::io::stdout(), "{text}"));
        match &self.moving {
            Some(moving) => moving.suspend(print),
            None => print(),
        }
    }

    /// Shows how far a load of `count` envelopes is, until told that it is over.
    pub(super) fn show_load(&self, progress: &Arc<Progress>, count: u32) -> Shown {
        let bar = self.moving.as_ref().map(|moving| moving.add(new_bar(count)));
        let (over, seen) = oneshot::channel();
        let view = LoadView {
            screen: self.clone(),
            progress: progress.clone(),
            count: u64::from(count),
            bar: bar.clone(),
        };
        Shown {
            bars: bar.into_iter().collect(),
            over: Some(over),
            task: Some(tokio::spawn(view.run(seen))),
        }
    }

    /// Shows how the nodes stand, until dropped.
    pub(super) fn show_members(&self, members: watch::Receiver<Members>) -> Shown {
        let lines = members.borrow().0.len() + 1;
        let bars: Vec<_> = match &self.moving {
            Some(moving) => (0..lines).map(|_| moving.add(new_line())).collect(),
            None => Vec::new(),
        };
        let task = if bars.is_empty() {
            tokio::spawn(tell(self.clone(), members))
        } else {
            tokio::spawn(draw(bars.clone(), members))
        };
        Shown {
            bars,
            over: None,
            task: Some(task),
        }
    }
}

fn new_bar(count: u32) -> ProgressBar {
    let bar = ProgressBar::new(u64::from(count));
    if let Ok(style) = ProgressStyle::with_template(BAR) {
        bar.set_style(style);
    }
    bar
}

fn new_line() -> ProgressBar {
    let line = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{msg}") {
        line.set_style(style);
    }
    line
}

/// Something that is being shown. Dropping it takes it away.
pub(super) struct Shown {
    bars: Vec<ProgressBar>,
    over: Option<oneshot::Sender<()>>,
    task: Option<JoinHandle<()>>,
}

impl Shown {
    /// Says for the last time how far it came.
    pub(super) async fn finish(mut self) {
        // Both only fail when the task is gone, and with it what there was to show.
        let _ = self.over.take().map(|over| over.send(()));
        if let Some(task) = self.task.take() {
            let _ = task.await;
        }
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
        self.bars.iter().for_each(ProgressBar::finish_and_clear);
    }
}

/// Keeps the table true.
async fn draw(lines: Vec<ProgressBar>, mut members: watch::Receiver<Members>) {
    loop {
        let rows = table::rows(&members.borrow_and_update());
        for (line, row) in lines.iter().zip(rows) {
            line.set_message(row);
        }
        tokio::time::sleep(BAR_INTERVAL).await;
        if members.changed().await.is_err() {
            return;
        }
    }
}

/// Tells changes in lines: who leads and who is there at once, heights now and then.
async fn tell(screen: Screen, mut members: watch::Receiver<Members>) {
    let mut goes_on = members
        .wait_for(|members| members.leader().is_some())
        .await
        .is_ok();
    while goes_on {
        let now = members.borrow_and_update().clone();
        screen.print(&table::line(&now));
        let other = members.wait_for(|members| table::standing(members) != table::standing(&now));
        let soon = timeout(LINE_INTERVAL, other).await.map(|other| other.is_ok());
        goes_on = match soon {
            Ok(goes_on) => goes_on,
            Err(_) => members.wait_for(|members| *members != now).await.is_ok(),
        };
    }
}

struct LoadView {
    screen: Screen,
    progress: Arc<Progress>,
    count: u64,
    bar: Option<ProgressBar>,
}

impl LoadView {
    async fn run(self, mut over: oneshot::Receiver<()>) {
        let mut ticks = interval(if self.bar.is_some() {
            BAR_INTERVAL
        } else {
            LINE_INTERVAL
        });
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks.tick().await; // the first one comes at once
        loop {
            tokio::select! {
                _ = &mut over => break,
                _ = ticks.tick() => self.draw(),
            }
        }
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        self.print_line();
    }

    fn draw(&self) {
        let (verb, done) = self.state();
        match &self.bar {
            Some(bar) => {
                bar.set_message(verb);
                bar.set_position(done);
            }
            // The last line has a place of its own.
            None if done < self.count => self.print_line(),
            None => {}
        }
    }

    fn print_line(&self) {
        let (verb, done) = self.state();
        self.screen.print(&report::progress(verb, done, self.count));
    }

    fn state(&self) -> (&'static str, u64) {
        let signed = self.progress.signed.load(Ordering::Relaxed);
        if signed < self.count {
            return ("signed", signed);
        }
        ("ordered", self.progress.delivered.load(Ordering::Relaxed))
    }
}
