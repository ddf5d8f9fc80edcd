//! Section `Metrics`.

use std::time::Duration;

/// Where metrics go. They are counted whatever this says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MetricsProvider {
    /// Nowhere.
    Disabled,
    /// To whoever asks the operations listener for `/metrics`.
    Prometheus,
    /// To a statsd server.
    Statsd(Statsd),
}

/// Section `Metrics.Statsd`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statsd {
    /// How the server is reached. Default UDP.
    pub network: StatsdNetwork,
    /// Where it is, `HOST:PORT`. Default `127.0.0.1:8125`.
    pub address: String,
    /// Time between two writes. Default 30 s.
    pub write_interval: Duration,
    /// In front of every name, with a dot behind it. Default none.
    pub prefix: String,
}

/// How a statsd server is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatsdNetwork {
    /// Packets.
    Udp,
    /// One connection.
    Tcp,
}
