//! Free loopback ports.

use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::ops::RangeInclusive;

/// Where ports are chosen from: below those that systems hand out for outgoing connections. A node that dies must
/// find its port free when it comes back, while others dial it again and again.
const RANGE: RangeInclusive<u16> = 18_000..=30_000;
/// Ports tried before the search is given up.
const TRIES_MAX: usize = 1000;

/// The ports of one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ports {
    /// Broadcast, deliver, and the other orderers.
    pub general: u16,
    /// Channel participation.
    pub admin: u16,
    /// Health, readiness, logging spec, metrics.
    pub operations: u16,
}

impl Ports {
    /// Ports for `count` nodes, all different, that nothing listens on.
    pub(super) fn choose(count: usize) -> io::Result<Vec<Self>> {
        // All are held until all are known, so that they differ.
        let held: Vec<_> = (0..3 * count)
            .map(|_| listen_somewhere())
            .collect::<Result<_, _>>()?;
        let ports = held.iter().map(|listener| Ok(listener.local_addr()?.port()));
        let ports: Vec<_> = ports.collect::<io::Result<_>>()?;
        let nodes = ports.chunks_exact(3);
        Ok(nodes
            .map(|ports| Self {
                general: ports[0],
                admin: ports[1],
                operations: ports[2],
            })
            .collect())
    }

    /// These, with others in place of those that something listens on.
    pub(super) fn or_free(self) -> io::Result<Self> {
        let keep = |port: u16| {
            if is_free(port) {
                Ok(port)
            } else {
                Ok::<_, io::Error>(listen_somewhere()?.local_addr()?.port())
            }
        };
        Ok(Self {
            general: keep(self.general)?,
            admin: keep(self.admin)?,
            operations: keep(self.operations)?,
        })
    }
}

fn listen_somewhere() -> io::Result<TcpListener> {
    let mut tries = 0;
    loop {
        let port = rand::random_range(RANGE);
        tries += 1;
        match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && tries < TRIES_MAX => {}
            listening => return listening,
        }
    }
}

/// Any other error than a taken port is left for the node to report, with its own words.
fn is_free(port: u16) -> bool {
    match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
        Ok(_) => true,
        Err(error) => error.kind() != io::ErrorKind::AddrInUse,
    }
}

/// As a client dials it.
pub(super) fn address(port: u16) -> String {
    format!("{}:{port}", Ipv4Addr::LOCALHOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_ports_are_kept_and_taken_ones_replaced() {
        let ports = Ports::choose(1).unwrap()[0];
        assert_ne!(ports.general, ports.admin);
        assert_eq!(ports.or_free().unwrap(), ports);
        let _taken = TcpListener::bind((Ipv4Addr::LOCALHOST, ports.admin)).unwrap();
        let other = ports.or_free().unwrap();
        assert_eq!(other.general, ports.general);
        assert_ne!(other.admin, ports.admin);
        assert!(is_free(other.admin));
    }

    #[test]
    fn nodes_have_different_ports() {
        let ports = Ports::choose(5).unwrap();
        let mut all: Vec<_> = ports
            .iter()
            .flat_map(|ports| [ports.general, ports.admin, ports.operations])
            .collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 15);
        assert!(all.iter().all(|port| RANGE.contains(port)));
    }
}
