//! How texts come to the terminal: lines on stdout, errors and the moving bar on stderr.

use std::io::{IsTerminal as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use client::load::Progress;
use indicatif::{ProgressBar, ProgressStyle};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

use super::error::QuickstartError;
use super::report;

/// How often a bar moves.
const BAR_INTERVAL: Duration = Duration::from_millis(50);
/// How often a line tells how far it is, where there is no terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(1);
const BAR: &str = "load      {msg} {wide_bar} {human_pos}/{human_len} ";

/// Prints `text` and a line end.
pub(super) fn print(text: &str) {
    // Whoever closed our output does not want to know.
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// Prints what went wrong and what to do about it.
pub(super) fn print_error(error: &QuickstartError) {
    let _ = std::io::stderr().write_all(report::failure(error).as_bytes());
}

/// A load that is being shown. Dropping it takes the bar away.
pub(super) struct Shown {
    bar: Option<ProgressBar>,
    over: Option<oneshot::Sender<()>>,
    task: Option<JoinHandle<()>>,
}

/// Shows how far a load of `count` envelopes is, until told that it is over.
pub(super) fn show(progress: &Arc<Progress>, count: u32) -> Shown {
    let (over, seen) = oneshot::channel();
    let bar = std::io::stderr().is_terminal().then(|| new_bar(count));
    let view = View {
        progress: progress.clone(),
        count: u64::from(count),
        bar: bar.clone(),
    };
    let task = Some(tokio::spawn(view.run(seen)));
    Shown {
        bar,
        over: Some(over),
        task,
    }
}

fn new_bar(count: u32) -> ProgressBar {
    let bar = ProgressBar::new(u64::from(count));
    if let Ok(style) = ProgressStyle::with_template(BAR) {
        bar.set_style(style);
    }
    bar
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
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

struct View {
    progress: Arc<Progress>,
    count: u64,
    bar: Option<ProgressBar>,
}

impl View {
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
        print(&report::progress(verb, done, self.count));
    }

    fn state(&self) -> (&'static str, u64) {
        let signed = self.progress.signed.load(Ordering::Relaxed);
        if signed < self.count {
            return ("signed", signed);
        }
        ("ordered", self.progress.delivered.load(Ordering::Relaxed))
    }
}
