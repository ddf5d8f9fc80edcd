//! The thread that writes the raft logs of all channels of a node.
//!
//! While one sync is on its way to the disk, what the channels want written next gathers, and goes with one sync as
//! well: so 500 channels cost the disk hardly more than one.
//!
//! A full disk is waited out, with nothing lost and nothing confirmed. Any other failure ends the chains that it
//! concerns: all, if the log itself broke; else the one whose write is at fault.

use std::sync::{Arc, mpsc};
use std::time::Duration;

use protos::ChannelId;
use tokio::sync::watch;

use super::log::{LogError, LogWrite, RaftLog};

/// Most bytes written by one sync.
const GATHERED_BYTES_MAX: usize = 16 << 20;
/// Most writes by one sync.
const GATHERED_MAX: usize = 4096;
/// What a write counts on top of its data.
const WRITE_OVERHEAD_BYTES: usize = 128;
/// Between two tries on a full disk.
const FULL_DISK_INTERVAL: Duration = Duration::from_secs(1);

/// The way to the thread. It ends when nobody has one any more.
#[derive(Clone, Debug)]
pub(super) struct LogWriter {
    jobs: mpsc::Sender<Job>,
}

/// One channel's way to the thread.
#[derive(Debug)]
pub(super) struct ChannelLog {
    channel: ChannelId,
    jobs: mpsc::Sender<Job>,
    progress: Arc<watch::Sender<Progress>>,
    seen: watch::Receiver<Progress>,
}

/// How far the writes of a channel have come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Progress {
    /// The last write that is durable.
    pub(super) persisted: u64,
    /// What stands in the way of the next ones.
    pub(super) trouble: Option<LogError>,
}

impl Progress {
    /// Why nothing more will be written.
    pub(super) fn failure(&self) -> Option<&LogError> {
        self.trouble.as_ref().filter(|trouble| !trouble.is_disk_full)
    }
}

#[derive(Debug)]
struct Job {
    channel: ChannelId,
    number: u64,
    write: LogWrite,
    progress: Arc<watch::Sender<Progress>>,
}

impl Job {
    fn bytes(&self) -> usize {
        let entries = self.write.entries.iter();
        let entries: usize = entries.map(|entry| entry.data.len() + WRITE_OVERHEAD_BYTES).sum();
        let checkpoint = self.write.checkpoint.as_ref();
        WRITE_OVERHEAD_BYTES + entries + checkpoint.map_or(0, |checkpoint| checkpoint.block.len())
    }
}

impl LogWriter {
    /// Starts the thread.
    pub(super) fn start(log: Arc<dyn RaftLog>) -> Self {
        let (jobs, receiver) = mpsc::channel();
        let thread = std::thread::Builder::new().name("raft-log".to_owned());
        if let Err(error) = thread.spawn(move || run(&*log, &receiver)) {
            // Its end of the channel is gone, and so every write fails.
            tracing::error!(%error, "the thread that writes the raft logs cannot be started");
        }
        Self { jobs }
    }

    /// A channel's way, for one run of its chain.
    pub(super) fn channel(&self, channel: ChannelId) -> ChannelLog {
        let (progress, seen) = watch::channel(Progress::default());
        ChannelLog {
            channel,
            jobs: self.jobs.clone(),
            progress: Arc::new(progress),
            seen,
        }
    }
}

impl ChannelLog {
    /// Has this written behind everything before it.
    pub(super) fn write(&self, number: u64, write: LogWrite) {
        let job = Job {
            channel: self.channel.clone(),
            number,
            write,
            progress: Arc::clone(&self.progress),
        };
        if self.jobs.send(job).is_err() {
            let trouble = LogError {
                reason: "the thread that writes the raft logs is gone".to_owned(),
                is_disk_full: false,
                is_in_use: false,
            };
            report(&self.progress, Err(trouble));
        }
    }

    /// Ready when there is progress that was not seen yet, with how things stand.
    pub(super) async fn progress(&mut self) -> Progress {
        // Without a sender it would be an error, and `self` has one.
        let _ = self.seen.changed().await;
        self.seen.borrow_and_update().clone()
    }

    /// Ready when the write of this number is durable, or never will be.
    pub(super) async fn settled(&mut self, number: u64) {
        let settled = |progress: &Progress| progress.persisted >= number || progress.failure().is_some();
        let _ = self.seen.wait_for(settled).await;
    }
}

fn run(log: &dyn RaftLog, jobs: &mpsc::Receiver<Job>) {
    while let Ok(first) = jobs.recv() {
        write_all(log, gather(first, jobs));
    }
}

fn gather(first: Job, jobs: &mpsc::Receiver<Job>) -> Vec<Job> {
    let mut bytes = first.bytes();
    let mut gathered = vec![first];
    while bytes < GATHERED_BYTES_MAX && gathered.len() < GATHERED_MAX {
        let Ok(job) = jobs.try_recv() else { break };
        bytes += job.bytes();
        gathered.push(job);
    }
    gathered
}

/// Writes all of them and reports.
fn write_all(log: &dyn RaftLog, mut jobs: Vec<Job>) {
    jobs.retain(|job| job.progress.borrow().failure().is_none());
    let writes = jobs
        .iter_mut()
        .map(|job| (job.channel.clone(), std::mem::take(&mut job.write)))
        .collect::<Vec<_>>();
    match write_with_patience(log, &writes, &jobs) {
        Ok(()) => jobs.iter().for_each(|job| report(&job.progress, Ok(job.number))),
        // Nothing was written. The fault may be in one of them.
        Err(_) => {
            for (job, write) in jobs.iter().zip(writes) {
                if job.progress.borrow().failure().is_none() {
                    let one = std::slice::from_ref(job);
                    let written = write_with_patience(log, &[write], one);
                    report(&job.progress, written.map(|()| job.number));
                }
            }
        }
    }
}

/// Writes; tries again while the disk is full.
fn write_with_patience(
    log: &dyn RaftLog,
    writes: &[(ChannelId, LogWrite)],
    jobs: &[Job],
) -> Result<(), LogError> {
    if writes.is_empty() {
        return Ok(());
    }
    loop {
        match log.write(writes) {
            Err(error) if error.is_disk_full => {
                wait_noted(jobs, &error);
                std::thread::park_timeout(FULL_DISK_INTERVAL);
            }
            outcome => return outcome,
        }
    }
}

/// Tells the chains that their disk is full, and the log of the process once.
fn wait_noted(jobs: &[Job], error: &LogError) {
    let unaware = jobs.iter().filter(|job| job.progress.borrow().trouble.is_none());
    let unaware: Vec<_> = unaware.collect();
    if !unaware.is_empty() {
        tracing::warn!(%error, "the disk of the raft logs is full, waiting for room");
    }
    for job in unaware {
        report(&job.progress, Err(error.clone()));
    }
}

fn report(progress: &watch::Sender<Progress>, outcome: Result<u64, LogError>) {
    progress.send_modify(|progress| match outcome {
        Ok(number) => {
            progress.persisted = number;
            progress.trouble = None;
        }
        Err(trouble) => progress.trouble = Some(trouble),
    });
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Mutex;

    use protos::ConsenterId;

    use super::*;
    use crate::raft::log::{Identity, LogState, Retired};

    /// What a call of `write` had in it: channel and identity of each.
    type Call = Vec<(String, u64)>;

    /// Keeps nothing but the calls; each first takes its answer from `answers`, and waits for the gate.
    #[derive(Default)]
    struct FakeLog {
        gate: Mutex<()>,
        calls: Mutex<Vec<Call>>,
        answers: Mutex<Vec<LogError>>,
    }

    impl RaftLog for FakeLog {
        fn load(&self, _: &ChannelId) -> Result<LogState, LogError> {
            Ok(LogState::default())
        }

        fn write(&self, writes: &[(ChannelId, LogWrite)]) -> Result<(), LogError> {
            drop(self.gate.lock().unwrap());
            let call: Call = writes
                .iter()
                .map(|(channel, write)| (channel.to_string(), write.identity.as_ref().unwrap().id.0))
                .collect();
            let bad = call.iter().any(|(channel, _)| channel == "bad");
            self.calls.lock().unwrap().push(call);
            if let Some(answer) = self.answers.lock().unwrap().pop() {
                return Err(answer);
            }
            if bad {
                return Err(error("a gap", false));
            }
            Ok(())
        }

        fn retire(&self, _: &ChannelId, _: Retired) -> Result<(), LogError> {
            Ok(())
        }

        fn remove(&self, _: &ChannelId) -> Result<(), LogError> {
            Ok(())
        }
    }

    fn error(reason: &str, is_disk_full: bool) -> LogError {
        LogError {
            reason: reason.to_owned(),
            is_disk_full,
            is_in_use: false,
        }
    }

    fn write(id: u64) -> LogWrite {
        LogWrite {
            identity: Some(Identity {
                id: ConsenterId(id),
                lost: None,
                votes_from: 0,
                pulled: 0,
            }),
            ..LogWrite::default()
        }
    }

    fn channel(writer: &LogWriter, name: &str) -> ChannelLog {
        writer.channel(ChannelId::parse(name).unwrap())
    }

    #[tokio::test]
    async fn five_hundred_channels_share_a_sync() {
        let log = Arc::new(FakeLog::default());
        let writer = LogWriter::start(Arc::clone(&log) as Arc<dyn RaftLog>);
        let mut channels: Vec<_> = (0..500)
            .map(|number| channel(&writer, &format!("ch{number}")))
            .collect();
        let gate = log.gate.lock().unwrap();
        for number in 1..=4 {
            for channel in &channels {
                channel.write(number, write(number));
            }
        }
        drop(gate);
        for channel in &mut channels {
            channel.settled(4).await;
            assert_eq!(channel.progress.borrow().persisted, 4);
        }
        let calls = log.calls.lock().unwrap();
        assert!(calls.len() <= 3, "{} syncs for 2000 writes", calls.len());
        let mut orders = BTreeMap::<&String, Vec<u64>>::new();
        for (channel, number) in calls.iter().flatten() {
            orders.entry(channel).or_default().push(*number);
        }
        assert!(orders.values().all(|order| order[..] == [1, 2, 3, 4]));
    }

    #[tokio::test]
    async fn a_write_at_fault_fails_its_channel_alone() {
        let log = Arc::new(FakeLog::default());
        let writer = LogWriter::start(Arc::clone(&log) as Arc<dyn RaftLog>);
        let (mut good, mut bad) = (channel(&writer, "good"), channel(&writer, "bad"));
        let gate = log.gate.lock().unwrap();
        for number in 1..=2 {
            good.write(number, write(number));
            bad.write(number, write(number));
        }
        drop(gate);
        good.settled(2).await;
        bad.settled(2).await;
        assert_eq!(good.progress.borrow().persisted, 2);
        let progress = bad.seen.borrow().clone();
        assert_eq!(
            (progress.persisted, progress.failure()),
            (0, Some(&error("a gap", false)))
        );
        bad.write(3, write(3));
        good.write(3, write(3));
        good.settled(3).await;
        let calls = log.calls.lock().unwrap();
        let tried = |wanted: u64| {
            calls
                .iter()
                .flatten()
                .any(|(name, number)| name == "bad" && *number == wanted)
        };
        assert!(tried(1) && !tried(3));
    }

    #[tokio::test]
    async fn a_full_disk_is_waited_out() {
        let log = Arc::new(FakeLog::default());
        log.answers.lock().unwrap().push(error("no room", true));
        let writer = LogWriter::start(Arc::clone(&log) as Arc<dyn RaftLog>);
        let mut channel = channel(&writer, "ch1");
        channel.write(1, write(1));
        let progress = channel.progress().await;
        assert_eq!((progress.persisted, progress.failure()), (0, None));
        assert_eq!(progress.trouble, Some(error("no room", true)));
        let expected = Progress {
            persisted: 1,
            trouble: None,
        };
        assert_eq!(channel.progress().await, expected);
        assert_eq!(log.calls.lock().unwrap().len(), 2);
    }
}
