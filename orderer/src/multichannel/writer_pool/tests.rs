use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use super::*;

const WAIT_MAX: Duration = Duration::from_secs(10);

/// Takes its turns from a list, and says when it had one.
struct Scripted {
    name: &'static str,
    turns: Mutex<VecDeque<After>>,
    said: mpsc::Sender<&'static str>,
    running: AtomicUsize,
}

impl Work for Scripted {
    fn turn(&self) -> After {
        assert_eq!(
            self.running.fetch_add(1, Ordering::SeqCst),
            0,
            "two threads at once"
        );
        let after = self.turns.lock().pop_front().unwrap_or(After::Idle);
        self.running.fetch_sub(1, Ordering::SeqCst);
        let _ = self.said.send(self.name);
        after
    }
}

fn scripted(name: &'static str, said: &mpsc::Sender<&'static str>, turns: &[After]) -> Arc<dyn Work> {
    Arc::new(Scripted {
        name,
        turns: Mutex::new(turns.iter().copied().collect()),
        said: said.clone(),
        running: AtomicUsize::new(0),
    })
}

/// Hangs until it is let go.
struct Hung(Mutex<mpsc::Receiver<()>>);

impl Work for Hung {
    fn turn(&self) -> After {
        let _ = self.0.lock().recv_timeout(WAIT_MAX);
        After::Idle
    }
}

#[test]
fn a_channel_that_hangs_keeps_one_thread_and_the_others_go_on() {
    let pool = WriterPool::default();
    let (let_go, hung) = mpsc::channel();
    pool.schedule(Arc::new(Hung(Mutex::new(hung)))).unwrap();
    let (said, heard) = mpsc::channel();
    for _ in 0..100 {
        pool.schedule(scripted("other", &said, &[After::Again, After::Idle]))
            .unwrap();
    }
    for _ in 0..200 {
        heard.recv_timeout(WAIT_MAX).unwrap();
    }
    assert!(pool.threads() <= THREADS_MAX);
    let_go.send(()).unwrap();
}

#[test]
fn a_channel_that_must_wait_comes_back_and_blocks_no_thread() {
    let pool = WriterPool::default();
    let (said, heard) = mpsc::channel();
    let pause = After::Later(Duration::from_millis(30));
    for _ in 0..2 * THREADS_MAX {
        pool.schedule(scripted("waits", &said, &[pause])).unwrap();
    }
    let first: Vec<_> = (0..2 * THREADS_MAX)
        .map(|_| heard.recv_timeout(WAIT_MAX).unwrap())
        .collect();
    assert_eq!(first, vec!["waits"; 2 * THREADS_MAX]);
    pool.schedule(scripted("goes on", &said, &[])).unwrap();
    let then: Vec<_> = (0..=2 * THREADS_MAX)
        .map(|_| heard.recv_timeout(WAIT_MAX).unwrap())
        .collect();
    assert!(then.contains(&"goes on"), "{then:?}");
    assert_eq!(
        then.iter().filter(|name| **name == "waits").count(),
        2 * THREADS_MAX
    );
}

#[test]
fn few_channels_need_few_threads_which_end_with_the_pool() {
    let pool = WriterPool::default();
    let (said, heard) = mpsc::channel();
    for _ in 0..50 {
        pool.schedule(scripted("one", &said, &[])).unwrap();
        heard.recv_timeout(WAIT_MAX).unwrap();
        std::thread::sleep(Duration::from_millis(1)); // until it waits again
    }
    assert!(pool.threads() < THREADS_MAX, "{} threads", pool.threads());
    let shared = Arc::downgrade(&pool.0.0);
    drop(pool);
    let began = Instant::now();
    while shared.strong_count() > 0 {
        assert!(began.elapsed() < WAIT_MAX, "threads go on");
        std::thread::sleep(Duration::from_millis(1));
    }
}
