//! Carries out a [`Plan`]: requests to sources, verification off the async threads, appends in order.
//!
//! ```text
//! sources ──Read──> plan ──Verify──> blocking thread ──> Appender ──durable──> plan
//!                                                           └ config in force ──> watcher ──> verified ──> plan
//! ```
//!
//! Nothing behind a config block is verified before that config is in force and the [`Watcher`] has seen it.
//! Dropping the future of [`drive`] stops it between two blocks.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use client::deliver::DeliverStream;
use configtx::Bundle;
use consensus::WriteError;
use futures::future::{AbortHandle, Abortable, Aborted, BoxFuture};
use futures::stream::{FuturesOrdered, FuturesUnordered};
use futures::{FutureExt as _, StreamExt as _};
use protos::{BlockNumber, ChannelId, Height, SealedBlock};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::endpoints::{Endpoint, sources};
use super::link::{self, Link};
use super::plan::{Action, Goal, Plan, SourceId, Trouble};
use super::puller::Puller;
use super::verifier::{Anchor, Verdict, Verifier};
use super::{Appender, report};
use crate::logging::seldom::Seldom;

/// Blocks said to have come within a second.
const BLOCKS_SAID_MAX: u32 = 5;

/// What is to be fetched, and into what.
pub struct Job {
    /// This node.
    pub puller: Arc<Puller>,
    /// The channel, which has at least its genesis block.
    pub appender: Arc<dyn Appender>,
    /// Up to where.
    pub goal: Goal,
    /// Whom to ask, whatever the configs on the way say; none: those that the config in force lists.
    pub endpoints: Option<Vec<Endpoint>>,
    /// A block whose header is known beforehand.
    pub anchor: Option<Anchor>,
}

/// Learns how a fetch goes on.
pub trait Watcher: Send {
    /// Block `number` is durable and brought `config` into force. False ends the fetch.
    fn config_in_force(&mut self, number: BlockNumber, config: &Arc<Bundle>) -> bool;

    /// What keeps blocks from coming; none once they come.
    fn trouble(&mut self, trouble: Option<String>);

    /// The most blocks that a source says to have.
    fn height_known(&mut self, _height: Height) {}
}

/// Whoever only wants the blocks.
pub struct Nobody;

impl Watcher for Nobody {
    fn config_in_force(&mut self, _number: BlockNumber, _config: &Arc<Bundle>) -> bool {
        true
    }

    fn trouble(&mut self, _trouble: Option<String>) {}
}

/// Fetches until the goal is reached, everything durable, or the watcher has enough. A channel without a config in
/// force has nothing to be verified with: nothing is fetched for it, and this waits for ever.
///
/// # Errors
/// The ledger takes no more blocks.
pub async fn drive(job: Job, watcher: &mut dyn Watcher) -> Result<(), WriteError> {
    let Some(bundle) = job.appender.bundle() else {
        return futures::future::pending().await;
    };
    let verifier = Verifier::new(job.appender.tip(), Arc::clone(&bundle), job.anchor);
    Driver::new(job, &bundle, verifier).run(watcher).await
}

/// What came of one step of a source.
enum Outcome {
    Height(Result<Height, Trouble>),
    Block(Result<(Box<DeliverStream>, SealedBlock), Trouble>),
}

type Step = Pin<Box<dyn Future<Output = Result<(SourceId, Outcome), Aborted>> + Send>>;

/// A source's side of the driver.
struct Slot {
    link: Arc<Link>,
    /// Ends the step that is under way.
    abort: Option<AbortHandle>,
    /// Between two reads.
    stream: Option<Box<DeliverStream>>,
    first: BlockNumber,
    last: Option<BlockNumber>,
}

/// A verified block on its way to the disk.
struct Written {
    number: BlockNumber,
    bytes: usize,
    config: Option<Arc<Bundle>>,
    result: Result<(), WriteError>,
}

struct Driver {
    job: Job,
    channel: ChannelId,
    said: Seldom<()>,
    began: Instant,
    plan: Plan,
    slots: Vec<Slot>,
    steps: FuturesUnordered<Step>,
    /// Here while nothing is verified.
    verifier: Option<Verifier>,
    verifying: Option<JoinHandle<(Verifier, Verdict)>>,
    writes: FuturesOrdered<BoxFuture<'static, Written>>,
    /// A verdict that ends with a config block, told to the plan once that is in force.
    held: Option<(usize, Option<String>)>,
}

impl Driver {
    fn new(job: Job, bundle: &Bundle, verifier: Verifier) -> Self {
        let channel = job.appender.channel().clone();
        let mut driver = Self {
            plan: Plan::new(job.puller.limits(), job.goal, job.appender.tip().height, 0),
            job,
            channel,
            said: Seldom::new(BLOCKS_SAID_MAX, Duration::from_secs(1)),
            began: Instant::now(),
            slots: Vec::new(),
            steps: FuturesUnordered::new(),
            verifier: Some(verifier),
            verifying: None,
            writes: FuturesOrdered::new(),
            held: None,
        };
        driver.take_sources(bundle);
        driver
    }

    /// Begins with the sources that `bundle` lists, if they are others than before. Nothing may be under way to the
    /// disk.
    fn take_sources(&mut self, bundle: &Bundle) {
        let fixed = self.job.endpoints.clone();
        let mut wanted = fixed.unwrap_or_else(|| sources(bundle));
        // Each node begins elsewhere, so that not all of them follow the same one.
        let turn = if wanted.is_empty() {
            0
        } else {
            rand::random_range(0..wanted.len())
        };
        let known = self.slots.iter().map(|slot| slot.link.endpoint());
        if !self.slots.is_empty()
            && wanted.len() == self.slots.len()
            && known.clone().all(|one| wanted.contains(one))
        {
            return;
        }
        wanted.rotate_left(turn);
        let (puller, height) = (&self.job.puller, self.job.appender.tip().height);
        self.plan = Plan::new(puller.limits(), self.job.goal, height, wanted.len());
        self.steps = FuturesUnordered::new();
        let slot = |endpoint| Slot {
            link: Arc::new(Link::new(Arc::clone(puller), endpoint, self.channel.clone())),
            abort: None,
            stream: None,
            first: BlockNumber::GENESIS,
            last: None,
        };
        self.slots = wanted.into_iter().map(slot).collect();
    }

    fn now(&self) -> Duration {
        self.began.elapsed()
    }

    async fn run(mut self, watcher: &mut dyn Watcher) -> Result<(), WriteError> {
        watcher.trouble(self.trouble());
        loop {
            let now = self.now();
            let actions = self.plan.poll(now);
            watcher.height_known(self.plan.height_claimed());
            self.carry_out(actions, watcher);
            if self.plan.is_done() && self.writes.is_empty() {
                return Ok(());
            }
            let wake = self.began + self.plan.wake(now);
            tokio::select! {
                Some(step) = self.steps.next() => self.stepped(step),
                verdict = join(&mut self.verifying) => self.judged(verdict),
                Some(written) = self.writes.next() => {
                    if !self.written(written, watcher)? {
                        return Ok(());
                    }
                }
                () = tokio::time::sleep_until(wake) => {}
            }
        }
    }

    fn carry_out(&mut self, actions: Vec<Action>, watcher: &mut dyn Watcher) {
        for action in actions {
            match action {
                Action::Probe(id) => self.probe(id),
                Action::Open { source, first, last } => {
                    let slot = &mut self.slots[source.0];
                    (slot.first, slot.last, slot.stream) = (first, last, None);
                }
                Action::Read(id) => self.read(id),
                Action::Close(id) => self.slots[id.0].close(),
                Action::Redial(id) => self.slots[id.0].link.reset(),
                Action::Verify(run) => self.verify(run),
                Action::Report(id, trouble) => {
                    let link = &self.slots[id.0].link;
                    report::log(&self.channel, &link.endpoint().address, trouble.as_ref());
                    watcher.trouble(self.trouble());
                }
            }
        }
    }

    /// What an operator should know: nothing while anybody is fine.
    fn trouble(&self) -> Option<String> {
        let mut texts = Vec::new();
        for (trouble, slot) in self.plan.troubles().zip(&self.slots) {
            match trouble {
                None => return None,
                Some(Trouble::Itself) => {}
                Some(trouble) => texts.push(format!("{}: {trouble}", slot.link.endpoint().address)),
            }
        }
        if texts.is_empty() {
            return Some("the channel's config lists no other orderer".to_owned());
        }
        Some(format!("no orderer gives blocks: {}", texts.join("; ")))
    }

    fn probe(&mut self, id: SourceId) {
        let link = Arc::clone(&self.slots[id.0].link);
        self.step(id, async move { Outcome::Height(link.height().await) });
    }

    fn read(&mut self, id: SourceId) {
        let slot = &mut self.slots[id.0];
        let (link, stream) = (Arc::clone(&slot.link), slot.stream.take());
        let (first, last) = (slot.first, slot.last);
        self.step(id, async move {
            Outcome::Block(read(&link, stream, first, last).await)
        });
    }

    fn step(&mut self, id: SourceId, work: impl Future<Output = Outcome> + Send + 'static) {
        let (handle, registration) = AbortHandle::new_pair();
        self.slots[id.0].abort = Some(handle);
        let work = work.map(move |outcome| (id, outcome));
        self.steps.push(Box::pin(Abortable::new(work, registration)));
    }

    fn stepped(&mut self, step: Result<(SourceId, Outcome), Aborted>) {
        let Ok((id, outcome)) = step else {
            return;
        };
        let now = self.now();
        match outcome {
            Outcome::Height(Ok(height)) => self.plan.says_height(id, height, now),
            Outcome::Block(Ok((stream, block))) => {
                self.slots[id.0].stream = Some(stream);
                self.plan.block(id, block, now);
            }
            Outcome::Height(Err(trouble)) | Outcome::Block(Err(trouble)) => {
                self.plan.failed(id, trouble, now);
            }
        }
    }

    fn verify(&mut self, run: Vec<SealedBlock>) {
        if let Some(mut verifier) = self.verifier.take() {
            self.verifying = Some(tokio::task::spawn_blocking(move || {
                let verdict = verifier.run(run);
                (verifier, verdict)
            }));
        }
    }

    /// Hands good blocks to the ledger, and tells the plan unless a config has to come into force first.
    fn judged(&mut self, (verifier, verdict): (Verifier, Verdict)) {
        self.verifier = Some(verifier);
        let good = verdict.good.len();
        let fault = verdict.fault.map(|fault| fault.to_string());
        let brings_config = verdict.good.last().is_some_and(|(_, config)| config.is_some());
        for (block, config) in verdict.good {
            report::got(&self.channel, &block, &self.said);
            let (number, bytes) = (block.number(), block.bytes().len());
            let appended = self.job.appender.append(block, config.clone());
            self.writes.push_back(
                appended
                    .map(move |result| Written {
                        number,
                        bytes,
                        config,
                        result,
                    })
                    .boxed(),
            );
        }
        if brings_config {
            self.held = Some((good, fault));
        } else {
            let now = self.now();
            self.plan.verified(good, fault, now);
        }
    }

    /// A block is durable. False if the watcher has enough.
    fn written(&mut self, written: Written, watcher: &mut dyn Watcher) -> Result<bool, WriteError> {
        written.result?;
        self.plan.durable(written.bytes);
        let Some(config) = written.config else {
            return Ok(true);
        };
        let go_on = watcher.config_in_force(written.number, &config);
        if let Some((good, fault)) = self.held.take() {
            let now = self.now();
            self.plan.verified(good, fault, now);
        }
        if go_on {
            self.take_sources(&config);
            watcher.trouble(self.trouble());
        }
        Ok(go_on)
    }
}

impl Slot {
    fn close(&mut self) {
        if let Some(abort) = self.abort.take() {
            abort.abort();
        }
        self.stream = None;
    }
}

/// The next block of a source's stream, which is opened where there is none yet.
async fn read(
    link: &Link,
    stream: Option<Box<DeliverStream>>,
    first: BlockNumber,
    last: Option<BlockNumber>,
) -> Result<(Box<DeliverStream>, SealedBlock), Trouble> {
    let mut stream = match stream {
        Some(stream) => stream,
        None => Box::new(link.open(first, last).await?),
    };
    match link::next(&mut stream).await? {
        Some(block) => Ok((stream, block)),
        None => Err(Trouble::EndedEarly),
    }
}

/// What came of the verification under way; never, while there is none.
async fn join(verifying: &mut Option<JoinHandle<(Verifier, Verdict)>>) -> (Verifier, Verdict) {
    let Some(handle) = verifying else {
        return futures::future::pending().await;
    };
    let joined = handle.await;
    *verifying = None;
    match joined {
        Ok(done) => done,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        // The runtime is being shut down.
        Err(_) => futures::future::pending().await,
    }
}
