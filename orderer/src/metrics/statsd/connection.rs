//! The way to the statsd server.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpStream, UdpSocket, lookup_host};

use crate::config::StatsdNetwork;

/// Bytes of one UDP packet: what an Ethernet frame takes with room for tunnels.
const PACKET_BYTES_MAX: usize = 1400;
/// How long connecting may take, and how long writing.
const TIME_MAX: Duration = Duration::from_secs(5);

/// A way to the server; made when it is needed, and again after a failure.
#[derive(Debug)]
pub(super) struct Connection {
    network: StatsdNetwork,
    address: String,
    socket: Option<Socket>,
}

#[derive(Debug)]
enum Socket {
    Udp(UdpSocket),
    Tcp(TcpStream),
}

impl Connection {
    /// Connects nowhere yet.
    pub(super) fn to(network: StatsdNetwork, address: String) -> Self {
        Self {
            network,
            address,
            socket: None,
        }
    }

    /// Sends all of `lines`. After a failure some of them may have arrived.
    pub(super) async fn send(&mut self, lines: &[String]) -> io::Result<()> {
        if lines.is_empty() {
            return Ok(());
        }
        if self.socket.as_ref().is_some_and(Socket::is_lost) {
            self.socket = None;
        }
        let sent = match tokio::time::timeout(TIME_MAX, self.try_send(lines)).await {
            Ok(sent) => sent,
            Err(_) => Err(io::Error::new(
                io::ErrorKind::TimedOut,
                format!("nothing was taken within {TIME_MAX:?}"),
            )),
        };
        if sent.is_err() {
            self.socket = None;
        }
        sent
    }

    async fn try_send(&mut self, lines: &[String]) -> io::Result<()> {
        let socket = match &mut self.socket {
            Some(socket) => socket,
            none => none.insert(connect(self.network, &self.address).await?),
        };
        match socket {
            Socket::Udp(socket) => {
                for packet in packets(lines) {
                    socket.send(packet.as_bytes()).await?;
                }
                Ok(())
            }
            Socket::Tcp(stream) => stream.write_all(lines.concat().as_bytes()).await,
        }
    }
}

impl Socket {
    /// A server that has closed the connection would take one more write, and drop it.
    fn is_lost(&self) -> bool {
        match self {
            Self::Udp(_) => false,
            Self::Tcp(stream) => match stream.try_read(&mut [0; 64]) {
                Ok(bytes) => bytes == 0,
                Err(error) => error.kind() != io::ErrorKind::WouldBlock,
            },
        }
    }
}

async fn connect(network: StatsdNetwork, address: &str) -> io::Result<Socket> {
    match network {
        StatsdNetwork::Tcp => TcpStream::connect(address).await.map(Socket::Tcp),
        StatsdNetwork::Udp => {
            let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
            for address in lookup_host(address).await? {
                match connect_udp(address).await {
                    Ok(socket) => return Ok(Socket::Udp(socket)),
                    Err(error) => last = error,
                }
            }
            Err(last)
        }
    }
}

async fn connect_udp(address: SocketAddr) -> io::Result<UdpSocket> {
    let own = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(own).await?;
    socket.connect(address).await?;
    Ok(socket)
}

/// Whole lines, as many as fit. A longer one goes alone.
fn packets(lines: &[String]) -> Vec<String> {
    let mut packets = Vec::new();
    let mut packet = String::new();
    for line in lines {
        if !packet.is_empty() && packet.len() + line.len() > PACKET_BYTES_MAX {
            packets.push(std::mem::take(&mut packet));
        }
        packet.push_str(line);
    }
    packets.push(packet);
    packets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_have_whole_lines_and_fit_a_frame() {
        let lines: Vec<String> = (0..100).map(|number| format!("{number:<99}\n")).collect();
        let packets = packets(&lines);
        assert_eq!(packets.len(), 8);
        assert!(packets.iter().all(|packet| packet.len() <= PACKET_BYTES_MAX));
        assert!(packets.iter().all(|packet| packet.ends_with('\n')));
        assert_eq!(packets.concat(), lines.concat());
    }
}
