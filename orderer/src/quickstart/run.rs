//! The flow: folder, nodes, channel, load, summary, serving.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use client::load::Progress;
use client::verify::ChainVerifier;
use futures::future::pending;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::Arguments;
use super::channel::{self, Channel};
use super::drill::Drill;
use super::error::QuickstartError;
use super::layout::Layout;
use super::members::Watcher;
use super::nodes::{Nodes, Remote};
use super::order::{Order, Ordered};
use super::report;
use super::screen::Screen;
use super::summary::Summary;

/// How long after a failure a node may turn out to have died.
const DEATH_TIME_MAX: Duration = Duration::from_millis(300);

/// Runs a quickstart from beginning to end.
pub(super) fn start(arguments: &Arguments) -> Result<(), QuickstartError> {
    arguments.check()?;
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
    let screen = Screen::new();
    let mut layout = Layout::open_or_make(&arguments.folder(), arguments.size(), SystemTime::now())?;
    if arguments.kill_leader && layout.nodes().len() == 1 {
        return Err(QuickstartError::Usage(super::NO_SUCCESSOR));
    }
    screen.print(&report::folder(&layout));
    for moved in layout.settle_ports()? {
        screen.print(&report::moved(moved));
    }
    let mut nodes = Nodes::start(&layout)?;
    let run = Run {
        arguments,
        layout: &layout,
        screen: &screen,
    };
    let outcome = run.present(&mut nodes, &mut signals).await;
    let stopped = nodes.stop().await;
    outcome.and(stopped.map_err(Into::into))
}

/// A network that runs.
struct Run<'a> {
    arguments: &'a Arguments,
    layout: &'a Layout,
    screen: &'a Screen,
}

impl Run<'_> {
    /// Everything that needs the nodes alive.
    async fn present(&self, nodes: &mut Nodes, signals: &mut Signals) -> Result<(), QuickstartError> {
        let (channel, joined) = watched(self.join(nodes), nodes, signals).await?;
        let watcher = channel.watcher();
        let network = Network {
            channel: &channel,
            joined,
            watcher: watcher.as_ref(),
            remote: nodes.remote(),
        };
        let summary = watched(self.order(network), nodes, signals).await?;
        self.screen.print(&summary.to_string());
        if self.arguments.exit {
            return Ok(());
        }
        self.screen.print(report::SERVING);
        let _table = watcher
            .as_ref()
            .map(|watcher| self.screen.show_members(watcher.members()));
        match watched(pending::<Result<Infallible, _>>(), nodes, signals).await {
            Err(QuickstartError::Interrupted) => {
                self.screen.print(report::STOPPING);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// From started nodes to a channel that all of them have, and whether one had to join.
    fn join(
        &self,
        nodes: &Nodes,
    ) -> impl Future<Output = Result<(Channel, bool), QuickstartError>> + use<'_> {
        let (ready, serving) = (nodes.ready(), report::nodes(self.layout, nodes));
        async move {
            ready.await?;
            self.screen.print(&serving);
            let channel = Channel::open(self.layout)?;
            let joined = channel.join().await?;
            Ok((channel, joined))
        }
    }

    /// From a channel to a summary of what it did.
    async fn order(&self, network: Network<'_>) -> Result<Summary, QuickstartError> {
        let Network {
            channel,
            joined,
            watcher,
            remote,
        } = network;
        let _table = watcher.map(|watcher| self.screen.show_members(watcher.members()));
        if let Some(watcher) = watcher {
            channel::leader(watcher).await?;
        }
        let height = channel.height().await?;
        let verifier = channel.verify(height).await?;
        self.screen.print(&report::channel(joined, height));
        let drill = watcher
            .filter(|_| self.arguments.kill_leader)
            .map(|watcher| Drill {
                watcher,
                remote,
                screen: self.screen,
            });
        let order = Order {
            channel,
            count: self.arguments.count(),
            watcher,
            drill,
        };
        let ordered = match order.count {
            0 => None,
            _ => Some(self.load(&order, verifier).await?),
        };
        let height = channel.height().await?;
        let members = watcher.map(|watcher| watcher.members().borrow().clone());
        Ok(Summary::new(
            self.arguments,
            self.layout,
            ordered,
            height,
            members.as_ref(),
        ))
    }

    async fn load(&self, order: &Order<'_>, verifier: ChainVerifier) -> Result<Ordered, QuickstartError> {
        let progress = Arc::new(Progress::default());
        let shown = self.screen.show_load(&progress, order.count);
        let ordered = order.run(verifier, &progress).await?;
        shown.finish().await;
        Ok(ordered)
    }
}

/// A channel that all nodes have.
struct Network<'a> {
    channel: &'a Channel,
    joined: bool,
    watcher: Option<&'a Watcher>,
    remote: Remote,
}

/// `work`, unless a node dies or a signal comes before it is done.
async fn watched<T>(
    work: impl Future<Output = Result<T, QuickstartError>>,
    nodes: &mut Nodes,
    signals: &mut Signals,
) -> Result<T, QuickstartError> {
    let outcome = tokio::select! {
        () = signals.received() => return Err(QuickstartError::Interrupted),
        error = nodes.watch() => return Err(error.into()),
        outcome = work => outcome,
    };
    if outcome.is_err() {
        // What a dying node makes fail comes a moment before its death, and is not the news.
        if let Ok(error) = tokio::time::timeout(DEATH_TIME_MAX, nodes.watch()).await {
            return Err(error.into());
        }
    }
    outcome
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
