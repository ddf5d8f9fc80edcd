//! Threads of their own for what costs processor time: the checks of received envelopes, signatures above all.
//!
//! HTTP/2 must not wait behind a signature, so the stream handlers hand batches to this pool. A job runs on any
//! thread; who wants an order awaits the results in that order. A job that panics ends as an error of that job.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// Jobs waiting or running, for each thread. More would only add latency.
const JOBS_PER_THREAD_MAX: usize = 16;

type Job = Box<dyn FnOnce() + Send>;

/// The pool; its threads end when the last handle is dropped and the queue is empty. Cheap to clone.
#[derive(Clone, Debug)]
pub struct VerifyPool {
    jobs: Sender<Job>,
    room: Arc<Semaphore>,
}

/// Why a job has no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JobError {
    /// A bug of ours; the text is what the panic said.
    #[error("internal error while checking: {0}")]
    Panicked(String),
    /// The pool's threads are gone.
    #[error("the checking threads have stopped")]
    Stopped,
}

/// A job under way. Dropping it does not stop the job.
#[derive(Debug)]
pub struct Pending<T>(oneshot::Receiver<Result<T, JobError>>);

impl VerifyPool {
    /// Starts `threads` threads, at least one.
    ///
    /// # Errors
    /// The operating system refused a thread.
    pub fn start(threads: usize) -> std::io::Result<Self> {
        let threads = threads.max(1);
        // Bounded by the permits of `room`, which are taken before a job is sent.
        let (sender, receiver) = crossbeam_channel::unbounded();
        for number in 0..threads {
            let jobs: Receiver<Job> = receiver.clone();
            std::thread::Builder::new()
                .name(format!("verify-{number}"))
                .spawn(move || jobs.iter().for_each(|job| job()))?;
        }
        Ok(Self {
            jobs: sender,
            room: Arc::new(Semaphore::new(threads * JOBS_PER_THREAD_MAX)),
        })
    }

    /// Queues `job`; waits while the queue is full.
    pub async fn submit<T, F>(&self, job: F) -> Pending<T>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let (sender, receiver) = oneshot::channel();
        if let Ok(permit) = Arc::clone(&self.room).acquire_owned().await {
            // A send that fails drops the job and with it `sender`, which the receiver reports.
            let _ = self.jobs.send(Box::new(move || run(job, sender, permit)));
        }
        Pending(receiver)
    }
}

impl<T> Pending<T> {
    /// Waits for the result.
    pub async fn result(self) -> Result<T, JobError> {
        self.0.await.unwrap_or(Err(JobError::Stopped))
    }
}

fn run<T>(
    job: impl FnOnce() -> T,
    sender: oneshot::Sender<Result<T, JobError>>,
    permit: OwnedSemaphorePermit,
) {
    // The job owns all it touches, so nothing half-changed survives it.
    let result = catch_unwind(AssertUnwindSafe(job)).map_err(|panic| JobError::Panicked(panic_text(&*panic)));
    drop(permit);
    // Nobody waits if the stream has ended meanwhile.
    let _ = sender.send(result);
}

/// What a panic said.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without text".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test]
    async fn results_can_be_awaited_in_the_order_of_submission() {
        let pool = VerifyPool::start(4).unwrap();
        let mut pending = Vec::new();
        for number in 0..50_u64 {
            let job = move || {
                std::thread::sleep(Duration::from_micros(500 - number * 10));
                number
            };
            pending.push(pool.submit(job).await);
        }
        for (number, job) in (0..).zip(pending) {
            assert_eq!(job.result().await, Ok(number));
        }
    }

    #[tokio::test]
    async fn a_panic_is_the_error_of_its_job_alone() {
        let pool = VerifyPool::start(1).unwrap();
        let broken = pool.submit(|| panic!("no {}", 1)).await;
        let fine = pool.submit(|| 2).await;
        let error: Result<(), _> = broken.result().await;
        assert_eq!(error, Err(JobError::Panicked("no 1".to_owned())));
        assert_eq!(fine.result().await, Ok(2));
    }

    #[tokio::test]
    async fn a_full_queue_makes_the_sender_wait() {
        let pool = VerifyPool::start(1).unwrap();
        let (release, gate) = crossbeam_channel::bounded::<()>(0);
        for _ in 0..JOBS_PER_THREAD_MAX {
            let gate = gate.clone();
            drop(pool.submit(move || gate.recv().is_ok()).await);
        }
        let late = pool.submit(|| ());
        tokio::pin!(late);
        assert!(
            tokio::time::timeout(Duration::from_millis(30), &mut late)
                .await
                .is_err()
        );
        release.send(()).unwrap();
        let pending = tokio::time::timeout(Duration::from_secs(5), late).await.unwrap();
        drop(release);
        assert_eq!(pending.result().await, Ok(()));
    }
}
