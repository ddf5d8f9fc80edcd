//! A bar on a terminal; elsewhere one that nobody sees.

use std::io::IsTerminal as _;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::load::Progress;

const REDRAW: Duration = Duration::from_millis(100);

/// Signing first, then what came back in blocks.
pub(super) fn of_load(progress: &Arc<Progress>, envelopes: usize) -> ProgressBar {
    let envelopes = envelopes as u64;
    show(progress, envelopes, move |progress| {
        let signed = progress.signed.load(Ordering::Relaxed);
        if signed < envelopes {
            return ("signed", signed);
        }
        ("delivered", progress.delivered.load(Ordering::Relaxed))
    })
}

/// Blocks of one chain, whatever was read before.
pub(super) fn of_reading(progress: &Arc<Progress>, blocks: u64) -> ProgressBar {
    let before = progress.delivered.load(Ordering::Relaxed);
    show(progress, blocks, move |progress| {
        let read = progress.delivered.load(Ordering::Relaxed);
        ("blocks", read.saturating_sub(before))
    })
}

fn show(
    progress: &Arc<Progress>,
    all: u64,
    state: impl Fn(&Progress) -> (&'static str, u64) + Send + 'static,
) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(all);
    if let Ok(style) = ProgressStyle::with_template("{msg:10} {wide_bar} {human_pos}/{human_len} {elapsed}") {
        bar.set_style(style);
    }
    let (watched, drawn) = (progress.clone(), bar.clone());
    // The load keeps the one thread of the runtime busy, so the bar has a thread of its own.
    std::thread::spawn(move || {
        while !drawn.is_finished() {
            let (message, position) = state(&watched);
            drawn.set_message(message);
            drawn.set_position(position);
            std::thread::sleep(REDRAW);
        }
    });
    bar
}
