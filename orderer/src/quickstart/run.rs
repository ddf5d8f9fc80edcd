//! The flow: folder, nodes, channel, load, summary, serving.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use client::load::{LoadReport, Progress};
use client::verify::ChainVerifier;
use futures::future::{join_all, pending, select_all, try_join_all};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::Arguments;
use super::channel::Channel;
use super::error::QuickstartError;
use super::layout::Layout;
use super::node::{Node, NodeError};
use super::report::{self, Summary};
use super::screen;

/// How long after a failure a node may turn out to have died.
const DEATH_TIME_MAX: Duration = Duration::from_millis(300);

/// Runs a quickstart from beginning to end.
pub(super) fn start(arguments: &Arguments) -> Result<(), QuickstartError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(QuickstartError::Runtime)?;
    let outcome = runtime.block_on(quickstart(arguments));
    // A load that was interrupted may still be signing; nothing waits for it.
    runtime.shutdown_background();
    outcome
}

async fn quickstart(arguments: &Arguments) -> Result<(), QuickstartError> {
    let mut signals = Signals::install().map_err(QuickstartError::Runtime)?;
    let mut layout = Layout::open_or_make(&arguments.dir, SystemTime::now())?;
    screen::print(&report::folder(&layout));
    for moved in layout.settle_ports()? {
        screen::print(&report::moved(moved));
    }
    let mut nodes = Nodes::start(&layout)?;
    let outcome = present(arguments, &layout, &mut nodes, &mut signals).await;
    let stopped = nodes.stop().await;
    outcome.and(stopped)
}

/// Everything that needs the nodes alive.
async fn present(
    arguments: &Arguments,
    layout: &Layout,
    nodes: &mut Nodes,
    signals: &mut Signals,
) -> Result<(), QuickstartError> {
    let work = order(arguments, layout, nodes.ready(), report::nodes(layout, nodes));
    let summary = watched(work, nodes, signals).await?;
    screen::print(&summary.to_string());
    if arguments.exit {
        return Ok(());
    }
    screen::print(report::SERVING);
    match watched(pending::<Result<Infallible, _>>(), nodes, signals).await {
        Err(QuickstartError::Interrupted) => {
            screen::print(report::STOPPING);
            Ok(())
        }
        Err(error) => Err(error),
    }
}

/// From started nodes to a summary of what they did.
async fn order(
    arguments: &Arguments,
    layout: &Layout,
    ready: impl Future<Output = Result<(), NodeError>>,
    nodes: String,
) -> Result<Summary, QuickstartError> {
    ready.await?;
    screen::print(&nodes);
    let channel = Channel::open(layout)?;
    let joined = channel.join().await?;
    let height = channel.height().await?;
    let verifier = channel.verify(height).await?;
    screen::print(&report::channel(joined, height));
    let load = match arguments.count {
        0 => None,
        count => Some(load(&channel, count, verifier).await?),
    };
    Ok(Summary::new(arguments, layout, load, channel.height().await?))
}

async fn load(channel: &Channel, count: u32, verifier: ChainVerifier) -> Result<LoadReport, QuickstartError> {
    let progress = Arc::new(Progress::default());
    let shown = screen::show(&progress, count);
    let report = channel.load(count, verifier, progress).await?;
    shown.finish().await;
    Ok(report)
}

/// `work`, unless a node dies or a signal comes before it is done.
async fn watched<T>(
    work: impl Future<Output = Result<T, QuickstartError>>,
    nodes: &mut Nodes,
    signals: &mut Signals,
) -> Result<T, QuickstartError> {
    let outcome = tokio::select! {
        () = signals.received() => return Err(QuickstartError::Interrupted),
        error = nodes.first_death() => return Err(error.into()),
        outcome = work => outcome,
    };
    if outcome.is_err() {
        // What a dying node makes fail comes a moment before its death, and is not the news.
        if let Ok(error) = tokio::time::timeout(DEATH_TIME_MAX, nodes.first_death()).await {
            return Err(error.into());
        }
    }
    outcome
}

/// All nodes of the network. Dropping it kills those that run.
pub(super) struct Nodes(Vec<Node>);

impl Nodes {
    fn start(layout: &Layout) -> Result<Self, NodeError> {
        let nodes = layout.nodes().iter().map(Node::start);
        Ok(Self(nodes.collect::<Result<_, _>>()?))
    }

    /// Their processes.
    pub(super) fn process_ids(&self) -> impl Iterator<Item = Option<u32>> {
        self.0.iter().map(Node::process_id)
    }

    fn ready(&self) -> impl Future<Output = Result<(), NodeError>> + use<> {
        let all = try_join_all(self.0.iter().map(Node::ready));
        async move { all.await.map(drop) }
    }

    async fn first_death(&mut self) -> NodeError {
        let deaths = self.0.iter_mut().map(|node| Box::pin(node.death()));
        select_all(deaths).await.0
    }

    async fn stop(self) -> Result<(), QuickstartError> {
        let stopped = join_all(self.0.into_iter().map(Node::stop)).await;
        Ok(stopped.into_iter().collect::<Result<(), _>>()?)
    }
}

/// The signals that end a quickstart.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    fn install() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    async fn received(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
            _ = self.hang_up.recv() => {}
        }
    }
}
