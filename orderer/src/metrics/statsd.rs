//! Statsd: what was counted since the last time, written each interval (`docs/spec/dropin.md` §9).
//!
//! | module | holds |
//! |---|---|
//! | `lines` | the format, and what is new since the last time; pure |
//! | `connection` | UDP packets, or a TCP connection that is made again when it is lost |
//!
//! What could not be sent is sent with what comes after it, so nothing counted is lost while the server is away. The node
//! does not wait for any of it.

mod connection;
mod lines;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::Metrics;
use crate::config::Statsd;
use connection::Connection;
use lines::Written;

/// Logger of this part.
const LOGGER: &str = "orderer.operations";

/// How long the last lines may take when the node stops.
const LAST_TIME_MAX: Duration = Duration::from_secs(1);

/// Writes until `stop`, and once more then.
pub async fn run(metrics: Arc<Metrics>, settings: Statsd, stop: CancellationToken) {
    let mut writer = Writer {
        connection: Connection::to(settings.network, settings.address.clone()),
        prefix: prefix(&settings.prefix),
        written: Written::default(),
        metrics,
        is_in_trouble: false,
        settings,
    };
    let mut turns = interval(writer.settings.write_interval);
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = turns.tick() => writer.write().await,
            () = stop.cancelled() => break,
        }
    }
    // A server that does not take them in time is left without.
    let _ = tokio::time::timeout(LAST_TIME_MAX, writer.write()).await;
}

/// With a dot behind it, if there is one.
fn prefix(prefix: &str) -> String {
    match prefix {
        "" => String::new(),
        dotted if dotted.ends_with('.') => dotted.to_owned(),
        bare => format!("{bare}."),
    }
}

struct Writer {
    metrics: Arc<Metrics>,
    settings: Statsd,
    prefix: String,
    connection: Connection,
    /// What the server has.
    written: Written,
    /// The last attempt failed.
    is_in_trouble: bool,
}

impl Writer {
    async fn write(&mut self) {
        let metrics = Arc::clone(&self.metrics);
        // It looks at disks.
        let Ok(families) = tokio::task::spawn_blocking(move || metrics.collect()).await else {
            return; // the runtime ends
        };
        let (lines, now) = self.written.since(&families, &self.prefix);
        match self.connection.send(&lines).await {
            Ok(()) => {
                self.written = now;
                self.tell_recovery();
            }
            Err(error) => self.tell(&error.to_string()),
        }
    }

    fn tell(&mut self, error: &str) {
        if !std::mem::replace(&mut self.is_in_trouble, true) {
            let address = &self.settings.address;
            tracing::warn!(
                target: LOGGER,
                "metrics do not reach the statsd server {address}, and are sent later: {error}"
            );
        }
    }

    fn tell_recovery(&mut self) {
        if std::mem::take(&mut self.is_in_trouble) {
            let address = &self.settings.address;
            tracing::info!(target: LOGGER, "metrics reach the statsd server {address} again");
        }
    }
}

#[cfg(test)]
mod tests;
