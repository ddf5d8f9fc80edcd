//! Who has the ports that the node wants.

use std::collections::BTreeSet;
use std::fs;
use std::net::{TcpListener, ToSocketAddrs as _};

use client::doctor::Finding;

use crate::config::{Config, Listen};

/// Name of a running node's process.
const OWN_NAME: &str = "orderer";
/// State of a listening socket in `/proc/net/tcp`.
const LISTENING: &str = "0A";

/// A process that listens.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Holder {
    id: u32,
    name: String,
}

/// One finding for each listener whose port is taken.
pub(super) fn findings(config: &Config) -> Vec<Finding> {
    let general = &config.general;
    let cluster = general.cluster.listener.as_ref();
    let listeners = [
        ("general", Some(&general.listen)),
        ("cluster", cluster.map(|listener| &listener.listen)),
        ("admin", Some(&config.admin.listen)),
        ("operations", Some(&config.operations.listen)),
    ];
    let listeners = listeners
        .into_iter()
        .filter_map(|(name, listen)| Some((name, listen?)));
    listeners
        .filter(|(_, listen)| is_taken(listen))
        .map(|(name, listen)| taken(name, listen, holder(listen.port).as_ref()))
        .collect()
}

fn is_taken(listen: &Listen) -> bool {
    let address = listen
        .target()
        .to_socket_addrs()
        .ok()
        .and_then(|mut found| found.next());
    address.is_some_and(|address| {
        TcpListener::bind(address).is_err_and(|error| error.kind() == std::io::ErrorKind::AddrInUse)
    })
}

fn taken(name: &str, listen: &Listen, holder: Option<&Holder>) -> Finding {
    let place = format!("{name} listener {listen}");
    match holder {
        Some(Holder { id, name }) if name == OWN_NAME => {
            Finding::ok(place, format!("process {id} ({name}) listens there"))
        }
        Some(Holder { id, name: other }) => {
            let what = format!("process {id} ({other}) has the port, and it is no orderer");
            let next = "end that process, or give the node another port";
            Finding::problem(place, what, next)
        }
        None => {
            let what = "somebody has the port, and this user may not see who";
            let next = format!(
                "run this as the node's user or as root, or: ss -ltnp 'sport = :{}'",
                listen.port
            );
            Finding::warning(place, what, next)
        }
    }
}

/// The process that listens on `port`, where this user may see it.
fn holder(port: u16) -> Option<Holder> {
    let sockets: BTreeSet<String> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .flat_map(|table| listening(&table, port))
        .map(|inode| format!("socket:[{inode}]"))
        .collect();
    let processes = fs::read_dir("/proc").ok()?;
    let ids = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    ids.filter(|id| has_one(*id, &sockets)).find_map(|id| {
        let name = fs::read_to_string(format!("/proc/{id}/comm")).ok()?;
        Some(Holder {
            id,
            name: name.trim().to_owned(),
        })
    })
}

fn has_one(id: u32, sockets: &BTreeSet<String>) -> bool {
    let Ok(files) = fs::read_dir(format!("/proc/{id}/fd")) else {
        return false;
    };
    files
        .filter_map(|file| fs::read_link(file.ok()?.path()).ok())
        .any(|target| target.to_str().is_some_and(|target| sockets.contains(target)))
}

/// Inodes of the sockets that listen on `port`, in a table of the kernel.
fn listening(table: &str, port: u16) -> Vec<String> {
    let wanted = format!(":{port:04X}");
    let lines = table
        .lines()
        .skip(1)
        .map(|line| line.split_whitespace().collect::<Vec<_>>());
    lines
        .filter(|words| {
            words.get(1).is_some_and(|local| local.ends_with(&wanted)) && words.get(3) == Some(&LISTENING)
        })
        .filter_map(|words| words.get(9).map(|inode| (*inode).to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_that_listens_is_found() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert_eq!(holder(port).unwrap().id, std::process::id());
        let listen = Listen {
            host: "127.0.0.1".to_owned(),
            port,
        };
        assert!(is_taken(&listen));
        drop(listener);
        assert!(!is_taken(&listen));
    }

    #[test]
    fn a_port_of_another_program_is_a_problem_and_our_own_is_none() {
        let listen = Listen {
            host: "127.0.0.1".to_owned(),
            port: 7050,
        };
        let by = |name: &str| Holder {
            id: 7,
            name: name.to_owned(),
        };
        let finding = taken("general", &listen, Some(&by("nginx")));
        assert_eq!(
            finding.what,
            "process 7 (nginx) has the port, and it is no orderer"
        );
        assert_eq!(taken("general", &listen, Some(&by("orderer"))).next, None);
        assert!(taken("general", &listen, None).next.unwrap().contains("ss -ltnp"));
    }
}
