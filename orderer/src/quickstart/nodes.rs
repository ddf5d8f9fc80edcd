//! All nodes of a network: who watches them, and who may kill and restart one meanwhile.
//!
//! ```text
//! drill ──Remote: kill, restart──> Nodes::watch ──> the first death that nobody ordered
//! ```

use futures::future::{BoxFuture, join_all, select_all, try_join_all};
use tokio::sync::{mpsc, oneshot};

use super::layout::{Layout, NodeFiles};
use super::node::{Node, NodeError};

/// All nodes of a network. Dropping it kills those that run.
pub(super) struct Nodes {
    places: Vec<Place>,
    orders: mpsc::Receiver<Order>,
    /// Kept so that waiting for orders never ends.
    remote: Remote,
}

/// A node, and its process unless it was killed.
struct Place {
    files: NodeFiles,
    running: Option<Node>,
}

/// Ready when a started node serves.
type Ready = BoxFuture<'static, Result<(), NodeError>>;

enum Order {
    Kill {
        node: usize,
        done: oneshot::Sender<()>,
    },
    Restart {
        node: usize,
        done: oneshot::Sender<Result<Started, NodeError>>,
    },
}

/// A node that was started again.
pub(super) struct Started {
    /// Its new process.
    pub process_id: Option<u32>,
    /// Ready when it serves.
    pub ready: Ready,
}

impl Nodes {
    /// Starts them all. They are not ready yet.
    pub(super) fn start(layout: &Layout) -> Result<Self, NodeError> {
        let start = |files: &NodeFiles| {
            Ok(Place {
                running: Some(Node::start(files)?),
                files: files.clone(),
            })
        };
        let places = layout
            .nodes()
            .iter()
            .map(start)
            .collect::<Result<_, NodeError>>()?;
        let (sender, orders) = mpsc::channel(1);
        Ok(Self {
            places,
            orders,
            remote: Remote(sender),
        })
    }

    /// Their processes; none for one that was killed.
    pub(super) fn process_ids(&self) -> impl Iterator<Item = Option<u32>> {
        let running = self.places.iter().map(|place| place.running.as_ref());
        running.map(|node| node.and_then(Node::process_id))
    }

    /// Ready when all of them serve.
    pub(super) fn ready(&self) -> Ready {
        let running = self.places.iter().filter_map(|place| place.running.as_ref());
        let all = try_join_all(running.map(Node::ready));
        Box::pin(async move { all.await.map(drop) })
    }

    /// For killing and restarting them while [`watch`](Self::watch) runs.
    pub(super) fn remote(&self) -> Remote {
        self.remote.clone()
    }

    /// Carries out orders until a node ends although nobody ordered it, or cannot be started.
    pub(super) async fn watch(&mut self) -> NodeError {
        loop {
            let running = self.places.iter_mut().filter_map(|place| place.running.as_mut());
            let deaths: Vec<_> = running.map(|node| Box::pin(node.death())).collect();
            let first_death = async {
                if deaths.is_empty() {
                    std::future::pending().await
                } else {
                    select_all(deaths).await.0
                }
            };
            let order = tokio::select! {
                error = first_death => return error,
                Some(order) = self.orders.recv() => order,
            };
            self.carry_out(order).await;
        }
    }

    /// Whoever gave the order and went away does not want to hear about it.
    async fn carry_out(&mut self, order: Order) {
        match order {
            Order::Kill { node, done } => {
                if let Some(node) = self.places.get_mut(node).and_then(|place| place.running.take()) {
                    node.kill().await;
                }
                let _ = done.send(());
            }
            Order::Restart { node, done } => {
                if let Some(place) = self.places.get_mut(node) {
                    let _ = done.send(place.restart());
                }
            }
        }
    }

    /// Asks all that run to stop, and waits for them.
    pub(super) async fn stop(self) -> Result<(), NodeError> {
        let running = self.places.into_iter().filter_map(|place| place.running);
        let stopped = join_all(running.map(Node::stop)).await;
        stopped.into_iter().collect()
    }
}

impl Place {
    fn restart(&mut self) -> Result<Started, NodeError> {
        let node = Node::start(&self.files)?;
        let started = Started {
            process_id: node.process_id(),
            ready: Box::pin(node.ready()),
        };
        self.running = Some(node);
        Ok(started)
    }
}

/// Kills and restarts nodes of somebody who watches them.
#[derive(Clone)]
pub(super) struct Remote(mpsc::Sender<Order>);

/// Nobody watches the nodes any more.
#[derive(Debug, thiserror::Error)]
#[error("the nodes are not watched any more")]
pub(super) struct Unwatched;

impl Remote {
    /// Kills a node (SIGKILL); ready when its process is gone.
    pub(super) async fn kill(&self, node: usize) -> Result<(), Unwatched> {
        let (done, killed) = oneshot::channel();
        self.0
            .send(Order::Kill { node, done })
            .await
            .map_err(|_| Unwatched)?;
        killed.await.map_err(|_| Unwatched)
    }

    /// Starts a node that was killed.
    pub(super) async fn restart(&self, node: usize) -> Result<Result<Started, NodeError>, Unwatched> {
        let (done, started) = oneshot::channel();
        let order = Order::Restart { node, done };
        self.0.send(order).await.map_err(|_| Unwatched)?;
        started.await.map_err(|_| Unwatched)
    }
}
