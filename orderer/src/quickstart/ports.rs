//! Free loopback ports.

use std::io;
use std::net::{Ipv4Addr, TcpListener};

/// The ports of one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ports {
    /// Broadcast and deliver.
    pub general: u16,
    /// Channel participation.
    pub admin: u16,
}

impl Ports {
    /// Two different ones that nothing listens on.
    pub(super) fn choose() -> io::Result<Self> {
        // Both are held until both are known, so that they differ.
        let (general, admin) = (listen_anywhere()?, listen_anywhere()?);
        Ok(Self {
            general: general.local_addr()?.port(),
            admin: admin.local_addr()?.port(),
        })
    }

    /// These, with others in place of those that something listens on.
    pub(super) fn or_free(self) -> io::Result<Self> {
        let free = Self::choose()?;
        let keep = |port: u16, other: u16| if is_free(port) { port } else { other };
        Ok(Self {
            general: keep(self.general, free.general),
            admin: keep(self.admin, free.admin),
        })
    }
}

fn listen_anywhere() -> io::Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
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
        let ports = Ports::choose().unwrap();
        assert_ne!(ports.general, ports.admin);
        assert_eq!(ports.or_free().unwrap(), ports);
        let _taken = TcpListener::bind((Ipv4Addr::LOCALHOST, ports.admin)).unwrap();
        let other = ports.or_free().unwrap();
        assert_eq!(other.general, ports.general);
        assert_ne!(other.admin, ports.admin);
        assert!(is_free(other.admin));
    }
}
