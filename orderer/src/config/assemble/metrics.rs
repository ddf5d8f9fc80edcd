//! Section `Metrics`.

use super::{Assembly, Listen};
use crate::config::{MetricsProvider, Statsd, StatsdNetwork};

impl Assembly<'_> {
    pub(super) fn metrics(&mut self) -> MetricsProvider {
        match self.values.text("Metrics.Provider") {
            "prometheus" => MetricsProvider::Prometheus,
            "statsd" => MetricsProvider::Statsd(self.statsd()),
            _ => MetricsProvider::Disabled,
        }
    }

    fn statsd(&mut self) -> Statsd {
        let written = self.values.text("Metrics.Statsd.Address");
        let mut address = written.to_owned();
        match Listen::parse(written).filter(|server| server.port != 0) {
            Some(server) if server.host.is_empty() => address = format!("127.0.0.1:{}", server.port),
            Some(_) => {}
            None => {
                let what = format!("Metrics.Statsd.Address is '{written}', but HOST:PORT is expected");
                self.problem("Metrics.Statsd.Address", what);
            }
        }
        Statsd {
            network: match self.values.text("Metrics.Statsd.Network") {
                "tcp" => StatsdNetwork::Tcp,
                _ => StatsdNetwork::Udp,
            },
            address,
            write_interval: self.values.duration("Metrics.Statsd.WriteInterval"),
            prefix: self.values.text("Metrics.Statsd.Prefix").to_owned(),
        }
    }
}
