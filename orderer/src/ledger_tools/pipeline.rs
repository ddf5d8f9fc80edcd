//! Checks that need no order, on all processors, with their results in order and a bound on memory.
//!
//! While one batch is checked, the next one is read. A batch has up to [`BATCH_BYTES`], or one larger block; two are in
//! memory at a time.

use std::sync::Mutex;
use std::sync::PoisonError;

use super::sequence::Job;

/// Bytes of blocks after which a batch is full.
const BATCH_BYTES: usize = 8 << 20;
/// Blocks after which it is full as well: small ones have their price, too.
const BATCH_BLOCKS: usize = 4096;

/// Runs all that `next` gives, and hands each on in order. Ends with the first error of either.
pub(super) fn run<E>(
    mut next: impl FnMut() -> Result<Option<Job>, E>,
    mut done: impl FnMut(Job) -> Result<(), E>,
) -> Result<(), E> {
    let helpers = std::thread::available_parallelism().map_or(1, usize::from);
    let mut batch = gather(&mut next)?;
    while !batch.is_empty() {
        let jobs = Mutex::new(batch.iter_mut());
        let ahead = std::thread::scope(|scope| {
            for _ in 1..helpers {
                // Without it the others do its share.
                let _ = std::thread::Builder::new().spawn_scoped(scope, || work(&jobs));
            }
            let ahead = gather(&mut next);
            work(&jobs);
            ahead
        });
        batch.into_iter().try_for_each(&mut done)?;
        batch = ahead?;
    }
    Ok(())
}

fn work<'a>(jobs: &Mutex<impl Iterator<Item = &'a mut Job>>) {
    loop {
        // The lock is held for no longer than taking one out.
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).next();
        match job {
            Some(job) => job.run(),
            None => return,
        }
    }
}

fn gather<E>(next: &mut impl FnMut() -> Result<Option<Job>, E>) -> Result<Vec<Job>, E> {
    let (mut batch, mut bytes) = (Vec::new(), 0);
    while bytes < BATCH_BYTES && batch.len() < BATCH_BLOCKS {
        let Some(job) = next()? else { break };
        bytes += job.block.bytes().len();
        batch.push(job);
    }
    Ok(batch)
}
